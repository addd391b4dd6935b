"""A router head with its parameters: probabilities over models at any cost weight of its range."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.errors import InputError
from routerjax.heads import Head, outputs


class GridPolicy(NamedTuple):
    """A policy trained at each cost weight of a grid.

    Attributes:
      head: with outputs [w, m] and one run of parameters (shared trunk), or outputs [1, m]
        and one run per cost weight (separate networks).
      params: leading axis r.
      cost_weights: [w] grid of λ, rising.
    """

    head: Head
    params: Any
    cost_weights: tuple[float, ...]

    def at_grid(self, x: jax.Array) -> np.ndarray:
        """Probabilities [w, n, m] at every cost weight of the grid for scaled embeddings [n, d]."""
        return np.asarray(_grid_probabilities(self.head, self.params, x))

    def probabilities(self, x: jax.Array, *, cost_weight: float) -> np.ndarray:
        """Probabilities [n, m] at one cost weight; the largest is the choice.

        On the grid it is the softmax of the logits trained there. Between two grid points,
        λ = (1 − α)·λ_k + α·λ_{k+1}, it is the mixture (1 − α)·p_k + α·p_{k+1}: probabilities
        have a common scale, the logits of different cost weights need not.

        Raises:
          InputError: λ outside the grid's range.
        """
        check_range(cost_weight, self.cost_weights)
        lower, upper, share = interval_of(cost_weight, self.cost_weights)
        at_grid = self.at_grid(x)
        return (1 - share) * at_grid[lower] + share * at_grid[upper]


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
def _grid_probabilities(head: Head, params: Any, x: jax.Array) -> jax.Array:
    logits = jax.lax.map(lambda params: outputs(head, params, x), params)  # [r, n, w / r, m]
    logits = jnp.moveaxis(logits, 2, 1)
    return jax.nn.softmax(logits.reshape(-1, *logits.shape[2:]), axis=-1)
