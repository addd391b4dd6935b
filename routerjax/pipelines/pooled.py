"""Pooled outcome models of a log or a table: the two-level regression on `pooled_features`."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from routerjax.estimators.folds import Folds
from routerjax.estimators.hierarchical import fit_hierarchical
from routerjax.estimators.moments import Moments, moments_of, moments_of_table
from routerjax.estimators.shared_noise import alone, row_weights
from routerjax.models.outcomes import (
    FittedOutcomes,
    OutcomeModel,
    ratio_of,
)
from routerjax.models.pooled import PooledHead
from routerjax.pipelines.observed import Observed, calibrated_costs
from routerjax.pipelines.pooled_features import RowFeatures, row_features
from routerjax.records.on_disk import Stored
from routerjax.records.tables import Estimates

SMALLEST_RATIO = 0.01
"""Of a cost to its model's mean, below which a cost is taken as this where its logarithm is."""


def fit_pooled(
    head: PooledHead,
    x: np.ndarray | Stored,
    observed: Observed,
    folds: Folds,
    *,
    quality_range: tuple[float, float],
    groups: Int[np.ndarray, " n"] | None = None,
    by_asking: bool = False,
    weights: Float[np.ndarray, " n"] | None = None,
    task: Int[np.ndarray, " n"] | None = None,
) -> FittedOutcomes:
    """Fit quality and cost of every arm: out of fold for these rows, to all of them for others.

    Quality, a share of its range, is regressed as it is. Where groups hold several answers of
    an arm it is regressed once more, each row weighed by what it tells beside the others
    (`estimators/shared_noise`), so that means and posterior count groups. Cost is its arm's unit
    times a ratio whose logarithm is regressed; units are set so that an arm's predictions sum to
    what its own rows cost. Where rows have weights, all of these sums are weighted.

    Args:
      head: sizes of the features, number of arms.
      x: [n, d] scaled embeddings.
      observed: the outcomes that are known.
      folds: of the rows.
      quality_range: lowest and highest quality.
      groups: [n] numbers 0, 1, … of what is independent; None where every row is.
      by_asking: whether a policy chose the arms, so that how often it did tells of their quality.
      weights: [n] by which rows count (`estimators/stabilised`); None for 1.
      task: [n] places of the rows' tasks, as of `make_features`.

    Returns:
      Predictions of the rows, the model for new queries, and the posterior of quality.
    """
    rows = row_features(head, x, folds.of_row, task)
    params = rows.params
    unit = _units(observed, head.models)
    ratio = (
        np.where(unit[observed.arms] > 0, observed.cost, 1.0)
        / np.where(unit > 0, unit, 1.0)[observed.arms]
    )
    labels = np.stack([observed.quality, np.log(np.maximum(ratio, SMALLEST_RATIO))])
    means = labels.mean(axis=(1, 2))
    labels = labels - means[:, None, None]
    sizes = head.sizes
    counted = None if weights is None else np.broadcast_to(weights[:, None], observed.arms.shape)
    quality, logs = _moments(rows, labels, observed, folds, weights=counted)
    found = [fit_hierarchical(quality, sizes, by_asking=by_asking), fit_hierarchical(logs, sizes)]
    if groups is not None and not alone(observed.arms, groups):
        missed = labels[0] - _of_known(rows, found[0].outside, observed)
        own = row_weights(missed, observed.arms, groups, models=head.models)
        own = own if counted is None else own * counted
        (again,) = _moments(rows, labels[:1], observed, folds, weights=own)
        found[0] = fit_hierarchical(again, sizes, by_asking=by_asking)
    outside = [_with_mean(each.outside, mean) for each, mean in zip(found, means, strict=True)]
    every = [_with_mean(each.every, mean) for each, mean in zip(found, means, strict=True)]
    predicted, ratios, by_all = _predicted(rows, outside, every[1], observed)
    if counted is not None:
        ratios, by_all = ratios * counted, by_all * counted
        observed = observed._replace(cost=observed.cost * counted)
    unit_outside = calibrated_costs(np.tile(unit, (len(ratios), 1)), ratios, observed, folds)
    unit = _calibrated(unit, by_all, observed, head.models)
    low, high = quality_range
    estimates = Estimates(
        quality=np.asarray(low + (high - low) * predicted.quality, np.float32),
        cost=np.asarray(unit_outside[folds.of_row] * predicted.cost, np.float32),
    )
    model = OutcomeModel(
        quality=_single(params, every[0]),
        cost=_single(params, every[1]),
        unit_cost=np.asarray(unit[None], np.float32),
        quality_range=np.asarray(quality_range, np.float32),
    )
    return FittedOutcomes(estimates, model, found[0])


def _of_known(
    rows: RowFeatures, outside: Float[np.ndarray, "k D m"], observed: Observed
) -> Float[np.ndarray, "n a"]:
    """[n, a] labels of the arms that are known, as predicted out of fold."""
    found = np.empty(observed.arms.shape)
    for place, features in rows.blocks():
        arms, of_row = observed.arms[place], rows.of_row[place]
        for fold, own in enumerate(outside):
            inside = of_row == fold
            every = features[inside] @ own
            found[place][inside] = np.take_along_axis(every, arms[inside], axis=1)
    return found


def _moments(
    rows: RowFeatures,
    labels: Float[np.ndarray, "l n a"],
    observed: Observed,
    folds: Folds,
    *,
    weights: Float[np.ndarray, "n a"] | None = None,
) -> tuple[Moments, ...]:
    """Moments of quality and of the logarithm of the cost ratio, leading axis k."""
    total: Any = None
    models, count = rows.head.models, int(folds.train.shape[0])
    every = _is_complete(observed.arms, models)
    for place, features in rows.blocks():
        if every and weights is None:
            own = moments_of_table(features, labels[:, place], folds.of_row[place], folds=count)
            total = own if total is None else jax.tree.map(np.add, total, own)
            continue
        for column in range(observed.arms.shape[1]):
            own = moments_of(
                features,
                labels[:, place, column],
                observed.arms[place, column],
                folds.of_row[place],
                folds=count,
                models=models,
                weights=None if weights is None else weights[place, column],
            )
            total = own if total is None else jax.tree.map(np.add, total, own)
    found: tuple[Moments, ...] = total
    return found


def _is_complete(arms: Int[np.ndarray, "n a"], models: int) -> bool:
    """Whether every arm answered every row, in order, as in a table."""
    return models > 1 and arms.shape[1] == models and bool((arms == np.arange(models)).all())


def _predicted(
    rows: RowFeatures,
    outside: list[Float[np.ndarray, "k D m"]],
    cost_of_all: Float[np.ndarray, "D m"],
    observed: Observed,
) -> tuple[Estimates, Float[np.ndarray, "k n a"], Float[np.ndarray, "n a"]]:
    """Quality share and cost ratio out of fold [n, m], and ratios of the known arms: by the model
    outside each fold [k, n, a], and by that of all rows [n, a]."""
    parts = []
    for place, features in rows.blocks():
        arms, of_row = observed.arms[place], rows.of_row[place]
        quality, logs = (np.zeros((len(arms), rows.head.models)) for _ in range(2))
        for fold in range(len(outside[0])):
            inside = of_row == fold
            quality[inside] = features[inside] @ outside[0][fold]
            logs[inside] = features[inside] @ outside[1][fold]
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
