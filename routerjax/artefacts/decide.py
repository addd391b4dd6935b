"""From embeddings to probabilities, in blocks of rows: compiled, or in NumPy where it is little."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from routerjax.artefacts import closed_form
from routerjax.artefacts.arrays import Arrays
from routerjax.artefacts.closed_form import ClosedForm
from routerjax.errors import InputError
from routerjax.estimators.utility import Unit
from routerjax.models.architectures import Architecture
from routerjax.models.outcomes import OutcomeHead, predict_folds
from routerjax.models.policy import ROWS, mean_probabilities, within_support
from routerjax.models.pooled import PooledHead
from routerjax.models.propensity import supported, without_unused_trees
from routerjax.records.tables import Estimates
from routerjax.support.compilation import keep_compiled

FEW = 16
"""Queries that are routed together are filled up to at least so many; one alone is not."""


class Model(NamedTuple):
    """What a router decides by: the first two are static, the others are on a device."""

    architecture: Architecture
    head: OutcomeHead
    arrays: Arrays
    unit: Unit
    constant: Estimates | None


class Decided(NamedTuple):
    """What a router makes of n queries at k cost weights.

    Attributes:
      probabilities: [k, n, m] of its softmax, over the models that the log supports.
      moved: [k, n] True where support moved the choice.
      expected: [n, m] quality and cost.
    """

    probabilities: Float[np.ndarray, "k n m"]
    moved: Bool[np.ndarray, "k n"]
    expected: Estimates


def model_of(
    architecture: Architecture,
    head: OutcomeHead,
    arrays: Arrays,
    unit: Unit,
    *,
    constant_start: bool,
) -> Model | ClosedForm:
    """What a router decides by: in closed form where it has one, else compiled.

    Args:
      architecture: of its policy.
      head: of its outcome models.
      arrays: its numbers.
      unit: of the utilities.
      constant_start: whether the policy starts from the arms' means.
    """
    arrays = arrays._replace(seen=None)
    if arrays.propensities is not None:
        arrays = arrays._replace(propensities=without_unused_trees(arrays.propensities))
    if not architecture.stages and isinstance(head, PooledHead):
        own = jax.tree.map(np.asarray, arrays)
        constant = own.constant if constant_start else None
        form = closed_form.closed_form(own, architecture.sharpness, unit, constant)
        if form is not None:
            return form
    keep_compiled()
    arrays = jax.tree.map(jnp.asarray, arrays)
    return Model(architecture, head, arrays, unit, arrays.constant if constant_start else None)


def decided(
    model: Model | ClosedForm,
    embeddings: np.ndarray,
    cost_weights: np.ndarray,
    kept: Int[np.ndarray, "*kept"],
    checked: Callable[[np.ndarray, int], np.ndarray],
    available: Bool[np.ndarray, "n m"] | None = None,
) -> Decided:
    """Probabilities and expected outcomes, a block of rows at a time.

    Args:
      model: what the router decides by.
      embeddings: [n, d], in memory or on disk.
      cost_weights: [k] within the fitted range.
      kept: [k] arm that the router is for every query that supports it; −1 where it chooses. It
        is [k, n] where not every model is available on every row.
      checked: a block and the position of its first row → the block in single precision.
      available: [n, m] True where the model can be chosen; None where every model can.

    Raises:
      InputError: as `checked` raises it, or the router makes no number of a query, which its
        parameters or huge embeddings can do; a row of which nothing is known has no best model.
    """
    parts = []
    step = closed_form.ROWS if isinstance(model, ClosedForm) else ROWS
    for first in range(0, max(len(embeddings), 1), step):
        block = checked(np.asarray(embeddings[first : first + step]), first)
        own_rows = slice(first, first + step)
        asked = kept if available is None else kept[:, own_rows]
        could = None if available is None else available[own_rows]
        if isinstance(model, ClosedForm):
            own = Decided(*closed_form.decide(model, block, cost_weights, asked, could))
        else:
            own = _compiled(model, block, cost_weights, asked, could)
        _check_finite(own, first)
        parts.append(own)
    if len(parts) == 1:
        return parts[0]
    return Decided(
        np.concatenate([own.probabilities for own in parts], axis=1),
        np.concatenate([own.moved for own in parts], axis=1),
        Estimates(
            quality=np.concatenate([own.expected.quality for own in parts]),
            cost=np.concatenate([own.expected.cost for own in parts]),
        ),
    )


def _compiled(
    model: Model,
    block: Float[np.ndarray, "n d"],
    cost_weights: np.ndarray,
    kept: np.ndarray,
    available: np.ndarray | None,
) -> Decided:
    """What the compiled program makes of a block, which is filled up to one of few sizes."""
    filled = np.zeros((_round_up(len(block)), block.shape[1]), np.float32)
    filled[: len(block)] = block
    rows = slice(len(block))
    asked = (kept,) if available is None else _padded(kept, available, len(filled))
    found = jax.tree.map(np.asarray, _decide(*model, filled, cost_weights, *asked))
    probabilities, moved, expected = found
    return Decided(
        probabilities[:, rows],
        moved[:, rows],
        Estimates(quality=expected.quality[rows], cost=expected.cost[rows]),
    )


def _padded(kept: np.ndarray, available: np.ndarray, rows: int) -> tuple[np.ndarray, ...]:
    """Both with as many rows as a block; on those added every model is available."""
    more = rows - len(available)
    return (
        np.pad(kept, ((0, 0), (0, more)), constant_values=-1),
        np.pad(available, ((0, more), (0, 0)), constant_values=True),
    )


def _check_finite(own: Decided, first: int) -> None:
    every = (own.probabilities, own.expected.quality[None], own.expected.cost[None])
    fine = [np.isfinite(values) for values in every]  # [k or 1, n, m]
    if not all(values.all() for values in fine):
        rows = np.logical_and.reduce([values.all(axis=(0, 2)) for values in fine])
        problem = "the router makes no number of this embedding"
        raise InputError(problem, row=first + int(rows.argmin()))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _decide(
    architecture: Architecture,
    head: OutcomeHead,
    arrays: Arrays,
    unit: Unit,
    constant: Estimates | None,
    embeddings: Float[Array, "n d"],
    cost_weights: Float[Array, " k"],
    kept: Int[Array, "*kept"],
    available: Bool[Array, "n m"] | None = None,
) -> tuple[Float[Array, "k n m"], Bool[Array, "k n"], Estimates]:
    x = arrays.scaling(embeddings)
    folds = predict_folds(head, arrays.outcomes, x)
    expected = jax.tree.map(lambda fold: jnp.mean(fold, axis=0), folds)
    start = expected
    if constant is not None:
        start = jax.tree.map(lambda mean: mean[None], constant)
    found = mean_probabilities(architecture, arrays.policy, x, start, unit, cost_weights, available)
    if arrays.propensities is None:
        return found, jnp.zeros(found.shape[:2], bool), expected
    known = supported(arrays.propensities, x, available)
    kept = kept[:, None] if kept.ndim == 1 else kept
    alone = jax.nn.one_hot(kept, found.shape[-1])
    wanted = jnp.where((kept >= 0)[..., None], alone, found)
    allowed = within_support(found, known)
    allowed = jnp.where(jnp.any(alone * known[None] > 0, axis=-1, keepdims=True), alone, allowed)
    return allowed, jnp.argmax(allowed, axis=-1) != jnp.argmax(wanted, axis=-1), expected


def _round_up(count: int) -> int:
    """One, or the next power of two from `FEW`: few shapes, few compilations."""
    return 1 if count == 1 else max(FEW, 1 << max(count - 1, 0).bit_length())
