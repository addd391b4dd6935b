"""Cost weights: their unit, those a router is fitted at, and the brackets between them."""

from __future__ import annotations

from typing import Any, NamedTuple

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

    def at(self, cost_weights: Any) -> Any:
        """s_λ for every λ, positive."""
        return self.quality_width + cost_weights * self.mean_cost


def scaled_utilities(estimates: Estimates, cost_weights: jax.Array, unit: Unit) -> jax.Array:
    """(q − λ·c) / s_λ, [n, k, m], of estimates [n, m] at cost weights [k]."""
    per_dollar, scale = (part[None, :, None] for part in (cost_weights, unit.at(cost_weights)))
    utilities: jax.Array = estimates.quality[:, None] - per_dollar * estimates.cost[:, None]
    return utilities / scale


class Bracket(NamedTuple):
    """Two neighbours among the fitted cost weights: λ = (1 − α)·λ_k + α·λ_{k+1}.

    Attributes:
      lower, upper: k and k + 1; the same where a single cost weight is fitted.
      share: α in [0, 1].
    """

    lower: jax.Array
    upper: jax.Array
    share: jax.Array


def bracket_of(cost_weights: jax.Array, fitted: tuple[float, ...]) -> Bracket:
    """The bracket of every cost weight; a fitted one is the upper end of the bracket below it."""
    known = jnp.asarray(fitted, jnp.result_type(float))
    above = jnp.clip(jnp.searchsorted(known, cost_weights), 0, len(fitted) - 1)
    lower = jnp.maximum(above - 1, 0)
    upper = jnp.minimum(lower + 1, len(fitted) - 1)
    width = known[upper] - known[lower]
    share = jnp.where(width > 0, (cost_weights - known[lower]) / jnp.where(width > 0, width, 1), 0)
    return Bracket(lower, upper, share)


def inside(fitted: tuple[float, ...], share: jax.Array) -> jax.Array:
    """Cost weights at α = `share` [w − 1] of every bracket, [w − 1]."""
    known = jnp.asarray(fitted, jnp.result_type(float))
    return known[:-1] + share * jnp.diff(known)


def along(fitted: tuple[float, ...], steps: jax.Array) -> jax.Array:
    """Cost weights `steps` [k] along the w fitted ones: λ_k at step k, linear in between."""
    known = jnp.asarray(fitted, jnp.result_type(float))
    return jnp.interp(steps, jnp.arange(len(fitted), dtype=jnp.float32), known)


def between(fitted: tuple[float, ...], count: int = 1) -> tuple[float, ...]:
    """`count` cost weights evenly spaced inside every bracket, none of them a fitted one."""
    shares = np.arange(1, count + 1) / (count + 1)
    pairs = zip(fitted[:-1], fitted[1:], strict=True)
    return tuple(float(low + share * (high - low)) for low, high in pairs for share in shares)


def check_range(cost_weight: float, fitted: tuple[float, ...]) -> None:
    """Raise InputError where λ lies outside the fitted range."""
    low, high = fitted[0], fitted[-1]
    if not low <= cost_weight <= high:
        raise InputError(
            f"cost weight {cost_weight:g} is outside the fitted range {low:g} to {high:g}; "
            "fit again with --cost-weights that reach it"
        )
