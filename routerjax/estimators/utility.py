"""Cost weights: their unit, the grid that a router is trained on, and the intervals between."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.errors import InputError
from routerjax.records.tables import Estimates


class Unit(NamedTuple):
    """The unit s_λ = quality_width + λ·mean_cost in which utilities at λ are of order one.

    It is affine in λ, as utility is, so that u_λ / s_λ mixes between two cost weights with known
    shares.

    Attributes:
      quality_width: width of the quality range.
      mean_cost: dollars per query, 0 or more.
    """

    quality_width: jax.Array | float
    mean_cost: jax.Array | float

    def at(self, cost_weights):
        """s_λ for every λ, positive."""
        return self.quality_width + cost_weights * self.mean_cost


def scaled_utilities(estimates: Estimates, cost_weights: jax.Array, unit: Unit) -> jax.Array:
    """(q − λ·c) / s_λ, [n, k, m], of estimates [n, m] at cost weights [k]."""
    weights, scale = cost_weights[:, None], unit.at(cost_weights)[:, None]
    return (estimates.quality[:, None] - weights * estimates.cost[:, None]) / scale


class Interval(NamedTuple):
    """Where cost weights lie in a grid: λ = (1 − α)·λ_k + α·λ_{k+1}.

    Attributes:
      lower, upper: k and k + 1; the same where the grid is a single point.
      share: α in [0, 1].
    """

    lower: jax.Array
    upper: jax.Array
    share: jax.Array


def interval_of(cost_weights: jax.Array, grid: tuple[float, ...]) -> Interval:
    """The grid interval of every cost weight; a grid point is the end of the one below it."""
    points = jnp.asarray(grid, jnp.float32)
    above = jnp.clip(jnp.searchsorted(points, cost_weights), 0, len(grid) - 1)
    lower = jnp.maximum(above - 1, 0)
    upper = jnp.minimum(lower + 1, len(grid) - 1)
    width = points[upper] - points[lower]
    share = jnp.where(width > 0, (cost_weights - points[lower]) / jnp.where(width > 0, width, 1), 0)
    return Interval(lower, upper, share)


def inside(grid: tuple[float, ...], share: jax.Array) -> jax.Array:
    """Cost weights at α = `share` [w − 1] of every interval, [w − 1]."""
    points = jnp.asarray(grid, jnp.float32)
    return points[:-1] + share * jnp.diff(points)


def along(grid: tuple[float, ...], place: jax.Array) -> jax.Array:
    """Cost weights at places [k] along a grid of w points, 0 to w − 1: λ_k at k, linear between."""
    points = jnp.asarray(grid, jnp.float32)
    return jnp.interp(place, jnp.arange(len(grid), dtype=jnp.float32), points)


def between(grid: tuple[float, ...], count: int = 1) -> tuple[float, ...]:
    """`count` cost weights evenly spaced inside every interval of a grid, none of them on it."""
    shares = np.arange(1, count + 1) / (count + 1)
    pairs = zip(grid[:-1], grid[1:], strict=True)
    return tuple(float(low + share * (high - low)) for low, high in pairs for share in shares)


def check_range(cost_weight: float, grid: tuple[float, ...]) -> None:
    """Raise InputError where λ lies outside the grid's range."""
    low, high = grid[0], grid[-1]
    if not low <= cost_weight <= high:
        raise InputError(
            f"cost weight {cost_weight:g} is outside the fitted range {low:g} to {high:g}; "
            "fit again with --cost-weights that reach it"
        )
