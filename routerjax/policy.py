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
    """A policy trained at each cost weight of a grid, the average of its members.

    Attributes:
      head: with outputs [w, m], one network a member (shared trunk); or with outputs [1, m],
        one network a member and cost weight (separate).
      params: leading axis r, members first, then cost weights.
      cost_weights: [w] grid of λ, rising.
      members: b.
    """

    head: Head
    params: Any
    cost_weights: tuple[float, ...]
    members: int

    def member(self, index: int) -> GridPolicy:
        """One member alone."""
        networks = jax.tree.leaves(self.params)[0].shape[0] // self.members
        own = slice(index * networks, (index + 1) * networks)
        params = jax.tree.map(lambda leaf: leaf[own], self.params)
        return self._replace(params=params, members=1)

    def at_grid(self, x: jax.Array) -> np.ndarray:
        """Probabilities [w, n, m] at every cost weight of the grid for scaled embeddings [n, d]."""
        return np.asarray(_grid_probabilities(self.head, len(self.cost_weights), self.params, x))

    def probabilities(self, x: jax.Array, *, cost_weight: float) -> np.ndarray:
        """Probabilities [n, m] at one cost weight; the largest is the choice.

        On the grid it is the members' mean softmax of the logits trained there. Between two
        grid points, λ = (1 − α)·λ_k + α·λ_{k+1}, it is (1 − α)·p_k + α·p_{k+1}:
        probabilities have a common scale, the logits of different cost weights need not.

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


@functools.partial(jax.jit, static_argnums=(0, 1))
def _grid_probabilities(head: Head, weights: int, params: Any, x: jax.Array) -> jax.Array:
    one = lambda params: jax.nn.softmax(outputs(head, params, x), axis=-1)  # noqa: E731
    probabilities = jnp.moveaxis(jax.lax.map(one, params), 2, 1)  # [r, outputs, n, m]
    return jnp.mean(probabilities.reshape(-1, weights, *probabilities.shape[2:]), axis=0)
