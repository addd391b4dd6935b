"""Rows with gold and preference labels: folds, cross-fitting and the propensity of gold.

Rows carry weights, and a weight of 0 takes a row out. Which regression is used is the
caller's choice, one callable for all: `Regress`. Everything but the report is traceable, so
that a study maps one run's function over its runs and compiles it once.
"""

from __future__ import annotations

import functools
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from routerjax.estimators.overlap import Overlap
from routerjax.estimators.ridge import fit_logistic
from routerjax.support.mapping import mapped

FOLDS = 5
PROPENSITY_FLOOR = 0.005
"""Estimated propensities of gold are kept this far from 0 and 1."""

COPIES, LEAST_WIDTH = 4, 150
"""What a regression holds: weighted, centred and rotated features, or those of its landmarks."""


@runtime_checkable
class Regress(Protocol):
    """Fit weighted rows and predict others: the one interface of every nuisance.

    `routerjax.estimators.ridge.ridge` and `kernel_ridge`, `routerjax.pipelines.cate_heads.heads`
    and `routerjax.baselines.forest.forest` are such functions; write your own in a few lines.
    """

    def __call__(
        self,
        x: Float[Array, "n d"],
        label: Float[Array, " n"],
        weights: Float[Array, " n"],
        queries: Float[Array, "q d"],
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, " q"]: ...


class LabelledRows(NamedTuple):
    """The rows from which a bias is learnt.

    Attributes:
      x: [n, d] features.
      label: [n] gold or preference label Y, by `gold`.
      gold: [n] True where the label is gold-standard.
      propensity: [n] probability e(x) that the label is gold, or [k, n] of it estimated once
        without each fold.
      fold: [n] fold of each row, 0 … folds − 1.
      groups: [n] integers below n, equal where the query repeats; None where none does.
    """

    x: Array
    label: Array
    gold: Array
    propensity: Array
    fold: Array
    groups: Array | None = None


@functools.partial(jax.jit, static_argnames="folds")
def assign_folds(
    gold: Bool[Array, " n"],
    *,
    key: PRNGKeyArray,
    folds: int = FOLDS,
    groups: Int[Array, " n"] | None = None,
) -> Int[Array, " n"]:
    """Deal rows into folds, gold rows evenly, rows of one group together.

    Args:
      gold: [n]; a group with a gold row is dealt with the gold rows.
      key: Random key of the order in which rows are dealt.
      folds: K.
      groups: [n] integers 0 … n − 1, one a query; None where no query repeats.

    Returns:
      [n] fold of each row.
    """
    n = gold.shape[0]
    groups = jnp.arange(n) if groups is None else groups
    has_gold = jax.ops.segment_max(jnp.asarray(gold, jnp.int32), groups, num_segments=n) > 0
    order = jnp.argsort(jax.random.uniform(key, (n,)) - has_gold)
    return jnp.zeros(n, jnp.int32).at[order].set(jnp.arange(n) % folds)[groups]


@functools.partial(jax.jit, static_argnames=("regress", "folds"))
def cross_fit(
    regress: Regress,
    rows: LabelledRows,
    weights: Float[Array, " n"],
    *,
    key: PRNGKeyArray,
    folds: int = FOLDS,
    label: Float[Array, " n"] | None = None,
) -> Float[Array, " n"]:
    """Predict every row by a model fitted on the other folds only.

    Args:
      regress: the regression.
      rows: n rows with their folds.
      weights: [n]; row i is predicted whatever its own weight.
      key: folded into one per fold.
      folds: K.
      label: [n] what is predicted; the rows' label unless given.

    Returns:
      [n] out-of-fold predictions.
    """
    label = rows.label if label is None else label

    def without(k: Array) -> Array:
        key_k = jax.random.fold_in(key, k)
        return regress(rows.x, label, weights * (rows.fold != k), rows.x, key=key_k)

    found = mapped(without, jnp.arange(folds), holds=held(rows.x))
    return own_fold(found, rows.fold)


@functools.partial(jax.jit, static_argnames=("regress", "folds"))
def cross_fit_twice(
    regress: Regress,
    rows: LabelledRows,
    weights: Float[Array, " n"],
    *,
    key: PRNGKeyArray,
    folds: int = FOLDS,
    label: Float[Array, " n"] | None = None,
) -> Float[Array, "k n"]:
    """Cross-fit once within the rows outside each fold, [k, n].

    Entry [k, i] predicts row i by a model that saw neither fold k nor the fold of row i, so
    that what is learnt from [k] about fold k has never met fold k. One model a pair of folds
    serves both ways: K (K − 1) / 2 of them, and K for the rows of fold k itself.

    Args: as `cross_fit`.
    """
    label = rows.label if label is None else label
    pairs = [(j, k) for j in range(folds) for k in range(j, folds)]
    first, second = jnp.asarray(pairs).T

    def without(pair: tuple[Array, Array]) -> Array:
        j, k = pair
        kept = weights * (rows.fold != j) * (rows.fold != k)
        return regress(rows.x, label, kept, rows.x, key=jax.random.fold_in(key, j * folds + k))

    predictions = mapped(without, (first, second), holds=held(rows.x))
    place = jnp.zeros((folds, folds), jnp.int32)
    place = place.at[first, second].set(jnp.arange(len(pairs)))
    place = place.at[second, first].set(jnp.arange(len(pairs)))
    return jnp.take_along_axis(predictions, place[:, rows.fold], axis=0)


def held(x: Float[Array, "n d"] | jax.ShapeDtypeStruct) -> int:
    """Bytes that a regression on x takes while it is fitted, roughly: x anew a few times."""
    rows, width = x.shape
    return int(COPIES * rows * max(width, LEAST_WIDTH) * x.dtype.itemsize)


def held_by_all(x: Float[Array, "n d"] | jax.ShapeDtypeStruct, folds: int = FOLDS) -> int:
    """Bytes of the regressions of every fold, and pair of folds, at once."""
    return folds * (folds + 1) // 2 * held(x)


def own_fold(predictions: Float[Array, "k n"], fold: Int[Array, " n"]) -> Float[Array, " n"]:
    """Each row's prediction by the model that never saw its fold: [k, n] → [n]."""
    return jnp.take_along_axis(predictions, fold[None], axis=0)[0]


@functools.partial(jax.jit, static_argnames=("folds", "floor"))
def estimate_propensity(
    rows: LabelledRows,
    weights: Float[Array, " n"],
    *,
    folds: int = FOLDS,
    floor: float = PROPENSITY_FLOOR,
) -> Float[Array, "k n"]:
    """Cross-fitted logistic estimate of e(x) = P(gold | x), kept within [floor, 1 − floor].

    Where gold rows were drawn at random by design, the known share is better than any estimate.

    Args:
      rows: n rows; their labels and propensities are not read.
      weights: [n], 0 takes a row out.
      folds: K.
      floor: The estimate stays at least this far from 0 and from 1.

    Returns:
      [k, n]; that of [k, i] saw neither fold k nor the fold of row i, as `cross_fit_twice` says.
      ``own_fold`` of it is the plain out-of-fold estimate.
    """
    gold = jnp.asarray(rows.gold, jnp.float32)
    none = jax.random.key(0)  # the regression draws nothing
    logit = cross_fit_twice(_logit, rows, weights, key=none, folds=folds, label=gold)
    return jnp.clip(jax.nn.sigmoid(logit), floor, 1 - floor)


def _logit(
    x: Array, label: Array, weights: Array, queries: Array, *, key: PRNGKeyArray | None
) -> Array:
    del key
    predicted: Array = fit_logistic(x, label, weights)(queries)
    return predicted


def source_overlap(
    gold: np.ndarray, propensity: np.ndarray, *, known: bool, floor: float = PROPENSITY_FLOOR
) -> Overlap:
    """Report how well gold and preference rows cover each other.

    Args:
      gold: [n] source.
      propensity: [n] probability of gold.
      known: whether it was known rather than estimated.
      floor: rows whose own source had a probability of no more than it count as clipped.

    Returns:
      Overlap with the "models" preference and gold.
    """
    gold = np.asarray(gold, bool)
    own = np.where(gold, propensity, 1 - np.asarray(propensity, np.float64))
    weights = 1.0 / np.maximum(own, floor)
    sizes = [
        weights[gold == side].sum() ** 2 / max((weights[gold == side] ** 2).sum(), 1e-30)
        for side in (False, True)
    ]
    return Overlap(
        rows=len(gold),
        models=("preference", "gold"),
        arm_rows=(int((~gold).sum()), int(gold.sum())),
        effective_sample_size=(float(sizes[0]), float(sizes[1])),
        smallest_propensity=float(own.min()),
        floor=floor,
        share_clipped=float(np.mean(own <= floor)),
        source="known" if known else "estimated",
    )
