"""A router head with its parameters: probabilities over models at any cost weight of its range."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.errors import InputError
from routerjax.heads import Head, outputs
from routerjax.records import Estimates


class GridPolicy(NamedTuple):
    """A policy trained at each cost weight of a grid, the average of its members.

    A member's logits are gain·ũ_λ(x, m) / scale_λ + head_λ(x)_m: where it started, the
    utilities of the outcome model's predictions (plug-in) or of the arms' means (best single
    model), and what training added.

    Attributes:
      head: with outputs [w, m], one network a member (shared trunk); or with outputs [1, m],
        one network a member and cost weight (separate).
      params: leading axis r, members first, then cost weights.
      cost_weights: [w] grid of λ, rising.
      members: b.
      scale: [w] unit of the utilities of each cost weight.
      gain: logits per unit of scaled utility at the start.
      constant: [m] means where the start is the best single model, else None.
    """

    head: Head
    params: Any
    cost_weights: tuple[float, ...]
    members: int
    scale: tuple[float, ...]
    gain: float
    constant: Estimates | None

    def member(self, index: int) -> GridPolicy:
        """One member alone."""
        networks = jax.tree.leaves(self.params)[0].shape[0] // self.members
        own = slice(index * networks, (index + 1) * networks)
        params = jax.tree.map(lambda leaf: leaf[own], self.params)
        return self._replace(params=params, members=1)

    def at_grid(self, x: jax.Array, predicted: Estimates) -> np.ndarray:
        """Probabilities [w, n, m] at every cost weight of the grid.

        Args:
          x: [n, d] scaled embeddings.
          predicted: [n, m] outcome predictions for the same queries.
        """
        start = self.constant or predicted
        start = jax.tree.map(lambda leaf: jnp.asarray(leaf).reshape(-1, leaf.shape[-1]), start)
        grid = (jnp.asarray(self.cost_weights), jnp.asarray(self.scale))
        return np.asarray(_grid_probabilities(self.head, self.gain, self.params, x, start, grid))

    def probabilities(
        self, x: jax.Array, predicted: Estimates, *, cost_weight: float
    ) -> np.ndarray:
        """Probabilities [n, m] at one cost weight; the largest is the choice.

        On the grid it is the members' mean softmax of the logits trained there. Between two
        grid points, λ = (1 − α)·λ_k + α·λ_{k+1}, it is (1 − α)·p_k + α·p_{k+1}:
        probabilities have a common scale, the logits of different cost weights need not.

        Raises:
          InputError: λ outside the grid's range.
        """
        check_range(cost_weight, self.cost_weights)
        lower, upper, share = interval_of(cost_weight, self.cost_weights)
        at_grid = self.at_grid(x, predicted)
        return (1 - share) * at_grid[lower] + share * at_grid[upper]


def scaled_utilities(estimates: Estimates, cost_weights: jax.Array, scale: jax.Array) -> jax.Array:
    """(q − λ·c) / scale_λ, [n, w, m], of estimates [n, m] at cost weights [w]."""
    weights, scale = cost_weights[:, None], scale[:, None]
    return (estimates.quality[:, None] - weights * estimates.cost[:, None]) / scale


def interval_of(cost_weight: float, grid: tuple[float, ...]) -> tuple[int, int, float]:
    """Grid interval that holds λ: (k, k + 1, α) with λ = (1 − α)·λ_k + α·λ_{k+1}."""
    upper = min(int(np.searchsorted(grid, cost_weight)), len(grid) - 1)
    lower = max(upper - 1, 0)
    width = grid[upper] - grid[lower]
    return lower, upper, (cost_weight - grid[lower]) / width if width else 0.0


def check_range(cost_weight: float, grid: tuple[float, ...]) -> None:
    """Raise InputError where λ lies outside the grid's range."""
    low, high = grid[0], grid[-1]
    if not low <= cost_weight <= high:
        raise InputError(
            f"cost weight {cost_weight:g} is outside the fitted range {low:g} to {high:g}; "
            "fit again with --cost-weights that reach it"
        )


@functools.partial(jax.jit, static_argnums=0)
def _grid_probabilities(head: Head, gain, params, x, start, grid) -> jax.Array:
    logits = jax.lax.map(lambda params: outputs(head, params, x), params)  # [r, n, outputs, m]
    logits = jnp.moveaxis(logits, 2, 1)
    logits = logits.reshape(-1, len(grid[0]), *logits.shape[2:])  # [b, w, n, m]
    logits += gain * jnp.moveaxis(scaled_utilities(start, *grid), 1, 0)
    return jnp.mean(jax.nn.softmax(logits, axis=-1), axis=0)
