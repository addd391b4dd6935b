"""A trained router: probabilities over models at any cost weight of its range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from routerjax.estimators.trees import NEVER
from routerjax.estimators.utility import Unit, check_range
from routerjax.models.architectures import Architecture
from routerjax.records.on_disk import Stored, read
from routerjax.records.tables import Estimates
from routerjax.support.compilation import padded, padded_size
from routerjax.support.kept_programs import kept_program

ROWS = 8192  # routed at a time: bounds the memory of [members, rows, cost weights, arms]
LEAST = 1e-30
"""Of a supported arm's probability, so that one is left where the router gives them none."""


class Policy(NamedTuple):
    """The average of a router's members.

    Attributes:
      architecture: what the parameters mean.
      params: leading axis b, members.
      unit: Unit of the utilities at each cost weight.
      constant: [m] means where the start is the best single model; None where it is what the
        outcome model predicts.
    """

    architecture: Architecture
    params: PyTree
    unit: Unit
    constant: Estimates | None

    def __repr__(self) -> str:
        low, high = self.cost_weights[0], self.cost_weights[-1]
        return (
            f"Policy({type(self.architecture).__name__}, {len(self.cost_weights)} cost weights "
            f"from {low:g} to {high:g})"
        )

    @property
    def cost_weights(self) -> tuple[float, ...]:
        """[w] fitted cost weights λ, rising."""
        return self.architecture.cost_weights

    def member(self, index: int) -> Policy:
        """One member alone."""
        return self._replace(params=jax.tree.map(lambda leaf: leaf[index : index + 1], self.params))

    def at(
        self,
        x: Float[Array | np.ndarray, "n d"] | Stored,
        predicted: Estimates,
        *,
        cost_weights: Sequence[float],
        available: Bool[np.ndarray, "n m"] | None = None,
    ) -> Float[np.ndarray, "k n m"]:
        """Probabilities [k, n, m] at k cost weights; the largest is the choice.

        Args:
          x: [n, d] scaled embeddings.
          predicted: [n, m] outcome predictions for the same queries.
          cost_weights: k of them, within the fitted range.
          available: True where the model can be chosen; the probability of others is 0.

        Raises:
          InputError: a cost weight outside the fitted range.
        """
        for cost_weight in cost_weights:
            check_range(cost_weight, self.cost_weights)
        asked, parts = within_range(cost_weights, self.cost_weights), []
        for first in range(0, len(x), ROWS):
            own = np.asarray(read(x[first : first + ROWS]), np.float32)
            size = padded_size(len(own))
            rows = slice(first, first + len(own))
            start = self._start(predicted, rows, size)
            could = () if available is None else (padded(available[rows], size, fill=True),)
            found = _probabilities(
                self.architecture, self.params, padded(own, size), start, self.unit, asked, *could
            )
            parts.append(np.asarray(found)[:, : len(own)])
        return np.concatenate(parts, axis=1)

    def _start(self, predicted: Estimates, rows: slice, size: int) -> Estimates:
        """What is expected of the rows, filled up to `size`; of all alike where it is constant."""

        def filled(leaf: np.ndarray) -> np.ndarray:
            return padded(np.asarray(leaf[rows], np.float32), size)

        if self.constant is None:
            found: Estimates = jax.tree.map(filled, predicted)
        else:
            found = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), self.constant[None])
        return found


def within_support(
    probabilities: Float[Array, "k n m"], supported: Bool[Array, "n m"]
) -> Float[Array, "k n m"]:
    """Probabilities over the arms that the log supports, in the router's proportions."""
    allowed = jnp.where(supported[None], probabilities + LEAST, 0.0)
    return allowed / jnp.sum(allowed, axis=-1, keepdims=True)


def within_range(
    cost_weights: Sequence[float], fitted: tuple[float, ...]
) -> Float[np.ndarray, " k"]:
    """Cost weights in float32; where rounding leaves the fitted range, its end is taken."""
    low, high = np.float32(fitted[0]), np.float32(fitted[-1])
    return np.minimum(np.maximum(np.asarray(cost_weights, np.float32), low), high)


def mean_probabilities(
    architecture: Architecture,
    params: PyTree,
    x: Float[Array, "n d"],
    start: Estimates,
    unit: Unit,
    cost_weights: Float[Array, " k"],
    available: Bool[Array, "n m"] | None = None,
) -> Float[Array, "k n m"]:
    """Probabilities [k, n, m], the mean of the members; arguments as in
    `Architecture.log_probabilities`. A member's softmax is over the arms that are `available`."""

    def member(params: PyTree) -> Float[Array, "n k m"]:
        found = architecture.log_probabilities(params, x, start, unit, cost_weights)
        if available is not None:
            found = jax.nn.log_softmax(jnp.where(available[:, None], found, NEVER), axis=-1)
        return jnp.exp(found)

    if not architecture.stages:
        return jnp.moveaxis(member({}), 0, 1)

    return jnp.moveaxis(jnp.mean(jax.lax.map(member, params), axis=0), 0, 1)


_probabilities = kept_program(mean_probabilities, static=("architecture",))
