"""Pooled outcome models of a log or a table: features, moments, and the two-level regression."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from routerjax.estimators.elimination import Sizes
from routerjax.estimators.folds import Folds
from routerjax.estimators.hierarchical import fit_hierarchical
from routerjax.estimators.moments import Moments, moments_of
from routerjax.estimators.shared_noise import alone, row_weights
from routerjax.models.heads import outputs
from routerjax.models.outcomes import (
    FittedOutcomes,
    OutcomeModel,
    ratio_of,
)
from routerjax.models.pooled import PooledFeatures, PooledHead
from routerjax.pipelines.observed import Observed, calibrated_costs
from routerjax.records.groups import digests
from routerjax.records.on_disk import Stored, read
from routerjax.records.tables import Estimates
from routerjax.support.compilation import padded, padded_size
from routerjax.support.kept_programs import kept_program

MOST_ROWS = 4096
"""Rows from which the features are made; which ones depends on the rows, not on their order."""
WIDTH = 0.5
"""Width of the Gaussian kernel, in root mean square distances of the rows from their mean."""
SMALLEST_RATIO = 0.01
"""Of a cost to its model's mean, below which a cost is taken as this where its logarithm is."""
BLOCK_ROWS = 8192
LARGEST_EXACT = 1024
"""Columns up to which all principal components are computed."""


def fit_pooled(
    head: PooledHead,
    x: np.ndarray | Stored,
    observed: Observed,
    folds: Folds,
    *,
    quality_range: tuple[float, float],
    groups: Int[np.ndarray, " n"] | None = None,
) -> FittedOutcomes:
    """Fit quality and cost of every arm: out of fold for these rows, to all of them for others.

    Quality, a share of its range, is regressed as it is. Where groups hold several answers of
    an arm it is regressed once more, each row weighed by what it tells beside the others
    (`estimators/shared_noise`), so that means and posterior count groups. Cost is its arm's unit
    times a ratio whose logarithm is regressed; units are set so that an arm's predictions sum to
    what its own rows cost.

    Args:
      head: sizes of the features, number of arms.
      x: [n, d] scaled embeddings.
      observed: the outcomes that are known.
      folds: of the rows.
      quality_range: lowest and highest quality.
      groups: [n] numbers 0, 1, … of what is independent; None where every row is.

    Returns:
      Predictions of the rows, the model for new queries, and the posterior of quality.
    """
    params = make_features(head, x)
    unit = _units(observed, head.models)
    ratio = (
        np.where(unit[observed.arms] > 0, observed.cost, 1.0)
        / np.where(unit > 0, unit, 1.0)[observed.arms]
    )
    labels = np.stack([observed.quality, np.log(np.maximum(ratio, SMALLEST_RATIO))])
    means = labels.mean(axis=(1, 2))
    labels = labels - means[:, None, None]
    sizes = Sizes(head.components, head.landmarks)
    found = [
        fit_hierarchical(moments, sizes)
        for moments in _moments(head, params, x, labels, observed, folds)
    ]
    if groups is not None and not alone(observed.arms, groups):
        missed = labels[0] - _of_known(head, params, x, found[0].outside, observed, folds)
        weights = row_weights(missed, observed.arms, groups, models=head.models)
        (again,) = _moments(head, params, x, labels[:1], observed, folds, weights=weights)
        found[0] = fit_hierarchical(again, sizes)
    outside = [_with_mean(each.outside, mean) for each, mean in zip(found, means, strict=True)]
    every = [_with_mean(each.every, mean) for each, mean in zip(found, means, strict=True)]
    own, ratios, ratio_of_all = _predicted(head, params, x, outside, every[1], observed, folds)
    unit_outside = calibrated_costs(np.tile(unit, (len(ratios), 1)), ratios, observed, folds)
    unit = _calibrated(unit, ratio_of_all, observed, head.models)
    low, high = quality_range
    estimates = Estimates(
        quality=np.asarray(low + (high - low) * own.quality, np.float32),
        cost=np.asarray(unit_outside[folds.of_row] * own.cost, np.float32),
    )
    model = OutcomeModel(
        quality=_single(params, every[0]),
        cost=_single(params, every[1]),
        unit_cost=np.asarray(unit[None], np.float32),
        quality_range=np.asarray(quality_range, np.float32),
    )
    return FittedOutcomes(estimates, model, found[0])


def make_features(head: PooledHead, x: np.ndarray | Stored) -> dict[str, np.ndarray]:
    """Parameters of `PooledFeatures` from the embeddings alone; the order of the rows is no matter.

    Args:
      head: sizes.
      x: [n, d] scaled embeddings.
    """
    rows = _sample(x)
    centre = rows.mean(axis=0, dtype=np.float64)
    away = rows - centre
    spread = max(float(np.mean(np.sum(away**2, axis=1))), 1e-12)
    directions = _directions(away, head.components) / np.sqrt(spread)
    z = away @ directions
    points = np.zeros((head.landmarks, head.components))
    half = np.zeros((head.landmarks, head.landmarks))
    shift = np.zeros(head.landmarks)
    _, distinct = np.unique(digests(rows), return_index=True)
    chosen = np.sort(distinct)[: head.landmarks]
    count = len(chosen)
    points[:count] = z[chosen]
    values, vectors = np.linalg.eigh(_kernel(points[:count], points[:count]))
    kept = values > 1e-5 * values[-1]
    half[:count, :count] = vectors * np.where(kept, np.where(kept, values, 1.0) ** -0.5, 0.0)
    shift[:count] = (_kernel(z, points[:count]) @ half[:count, :count]).mean(axis=0)
    found = {
        "centre": centre,
        "directions": directions,
        "points": points,
        "half": half,
        "shift": shift,
        "width": np.float64(WIDTH),
    }
    return {name: np.asarray(value, np.float32) for name, value in found.items()}


def _sample(x: np.ndarray | Stored) -> Float[np.ndarray, "s d"]:
    """At most `MOST_ROWS` rows, in an order that their content decides."""
    rows = np.arange(len(x))
    if len(x) > 16 * MOST_ROWS:  # a digest of every row would take longer than the fit
        rows = np.linspace(0, len(x) - 1, 16 * MOST_ROWS).astype(np.int64)
    values = np.asarray(read(x[rows]))
    order = np.argsort(digests(values), kind="stable")
    return np.asarray(values[order[:MOST_ROWS]], np.float64)


def _directions(away: Float[np.ndarray, "s d"], components: int) -> Float[np.ndarray, "d c"]:
    """The leading principal directions, orthonormal; zeros where there are no more."""
    if away.shape[1] <= LARGEST_EXACT:
        vectors = np.linalg.eigh(away.T @ away)[1][:, ::-1][:, :components]
        return np.asarray(vectors)
    from scipy.sparse.linalg import svds

    count = min(components, min(away.shape) - 1)
    start = np.ones(min(away.shape))
    found = np.zeros((away.shape[1], components))
    if count > 0:
        found[:, :count] = svds(away, k=count, v0=start)[2][::-1].T
    return found


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    square = (a**2).sum(axis=1)[:, None] - 2 * a @ b.T + (b**2).sum(axis=1)[None]
    return np.asarray(np.exp(-np.maximum(square, 0.0) / (2 * WIDTH**2)))


@functools.partial(kept_program, static=("head",))
def _features_of(head: PooledHead, params: dict[str, Any], x: Float[Array, "n d"]) -> Any:
    return outputs(PooledFeatures(head.components, head.landmarks), {"params": params}, x)


def _blocks(
    head: PooledHead, params: dict[str, Any], x: np.ndarray | Stored
) -> Iterator[tuple[slice, Float[np.ndarray, "b D"]]]:
    """Features of the rows, a block at a time, in few shapes."""
    for first in range(0, len(x), BLOCK_ROWS):
        rows = np.asarray(read(x[first : first + BLOCK_ROWS]), np.float32)
        filled = padded(rows, padded_size(len(rows)))
        found = np.asarray(_features_of(head, params, filled))[: len(rows)]
        yield slice(first, first + len(rows)), found


def feature_sums(
    head: PooledHead,
    model: OutcomeModel,
    x: np.ndarray | Stored,
    ones: Int[np.ndarray, "k n"],
    others: Int[np.ndarray, "k n"],
) -> Float[np.ndarray, "k m D"]:
    """Σ_i φ(x_i) (1{a_i = m} − 1{b_i = m}) of every arm, for k pairs of policies.

    Args:
      head: sizes of the features, m.
      model: whose features they are.
      x: [n, d] scaled embeddings.
      ones, others: [k, n] arms a and b that they choose.
    """
    params = jax.tree.map(lambda leaf: np.asarray(leaf)[0], model.quality["params"]["features"])
    width = 1 + head.components + head.landmarks
    total, each = np.zeros((len(ones), head.models, width)), np.eye(head.models)
    for place, features in _blocks(head, params, x):
        for k, (one, other) in enumerate(zip(ones[:, place], others[:, place], strict=True)):
            total[k] += (each[one] - each[other]).T @ features
    return total


def _of_known(
    head: PooledHead,
    params: dict[str, Any],
    x: np.ndarray | Stored,
    outside: Float[np.ndarray, "k D m"],
    observed: Observed,
    folds: Folds,
) -> Float[np.ndarray, "n a"]:
    """[n, a] labels of the arms that are known, as predicted out of fold."""
    found = np.empty(observed.arms.shape)
    for place, features in _blocks(head, params, x):
        arms, of_row = observed.arms[place], folds.of_row[place]
        for fold, own in enumerate(outside):
            rows = of_row == fold
            every = features[rows] @ own
            found[place][rows] = np.take_along_axis(every, arms[rows], axis=1)
    return found


def _moments(
    head: PooledHead,
    params: dict[str, Any],
    x: np.ndarray | Stored,
    labels: Float[np.ndarray, "l n a"],
    observed: Observed,
    folds: Folds,
    *,
    weights: Float[np.ndarray, "n a"] | None = None,
) -> tuple[Moments, ...]:
    """Moments of quality and of the logarithm of the cost ratio, leading axis k."""
    total: Any = None
    count = int(folds.train.shape[0])
    for place, features in _blocks(head, params, x):
        for column in range(observed.arms.shape[1]):
            own = moments_of(
                features,
                labels[:, place, column],
                observed.arms[place, column],
                folds.of_row[place],
                folds=count,
                models=head.models,
                weights=None if weights is None else weights[place, column],
            )
            total = own if total is None else jax.tree.map(np.add, total, own)
    found: tuple[Moments, ...] = total
    return found


def _predicted(
    head: PooledHead,
    params: dict[str, Any],
    x: np.ndarray | Stored,
    outside: list[Float[np.ndarray, "k D m"]],
    cost_of_all: Float[np.ndarray, "D m"],
    observed: Observed,
    folds: Folds,
) -> tuple[Estimates, Float[np.ndarray, "k n a"], Float[np.ndarray, "n a"]]:
    """Quality share and cost ratio out of fold [n, m], and ratios of the known arms: by the model
    outside each fold [k, n, a], and by that of all rows [n, a]."""
    parts = []
    for place, features in _blocks(head, params, x):
        arms, of_row = observed.arms[place], folds.of_row[place]
        quality, logs = (np.zeros((len(arms), head.models)) for _ in range(2))
        for fold in range(len(outside[0])):
            rows = of_row == fold
            quality[rows] = features[rows] @ outside[0][fold]
            logs[rows] = features[rows] @ outside[1][fold]
        every = [np.take_along_axis(features @ each, arms, axis=1) for each in outside[1]]
        by_all = np.take_along_axis(features @ cost_of_all, arms, axis=1)
        costs = (ratio_of(each) for each in (logs, np.stack(every, axis=1), by_all))
        parts.append((np.clip(quality, 0.0, 1.0), *costs))
    share, ratio, known, by_all = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Estimates(quality=share, cost=ratio), known.swapaxes(0, 1), by_all


def _units(observed: Observed, models: int) -> Float[np.ndarray, " m"]:
    """[m] mean cost of each arm's rows; of an arm without rows that of all."""
    arms, cost = observed.arms.ravel(), np.asarray(observed.cost, np.float64).ravel()
    count = np.bincount(arms, minlength=models)
    total = np.bincount(arms, weights=cost, minlength=models)
    return np.where(count > 0, total / np.maximum(count, 1), cost.mean())


def _calibrated(
    unit: Float[np.ndarray, " m"],
    ratio: Float[np.ndarray, "n a"],
    observed: Observed,
    models: int,
) -> Float[np.ndarray, " m"]:
    """Units with which each arm's predictions over all rows sum to what they cost."""
    rows = np.ones(len(ratio), bool)
    predicted = unit * observed.by_arm(ratio, rows, models)
    actual = observed.by_arm(np.asarray(observed.cost, np.float64), rows, models)
    known = (predicted > 0) & (actual > 0)
    return np.asarray(np.where(known, unit * actual / np.where(known, predicted, 1.0), unit))


def _with_mean(coefficients: np.ndarray, mean: float) -> np.ndarray:
    """Coefficients [..., D, m] of labels from which their mean was taken, with it again."""
    found = np.array(coefficients, np.float64)
    found[..., 0, :] += mean
    return found


def _single(params: dict[str, Any], coefficients: np.ndarray) -> dict[str, Any]:
    """Parameters of one pooled head, leading axis 1."""
    own = {"features": params, "coefficients": np.asarray(coefficients, np.float32)}
    return {"params": jax.tree.map(lambda leaf: leaf[None], own)}
