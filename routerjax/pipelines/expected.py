"""What routing is expected to add to the best single model, and where that is too little.

The outcome models of a plug-in router are a posterior, and what it says of the router's advantage
over the best single model is a weighted sum of their coefficients:

    Δ(λ) = mean_i û(x_i, a_i) − û(x_i, b_i),   var Δ = wᵀ C w,
    w_m = mean_i φ(x_i) (1{a_i = m} − 1{b_i = m})

b_i is the best single model, or the next best where it was not available, and a_i where the log
does not support it. The best single model is picked with care (`baselines.singles`). Where another
has more expected utility, Δ is the lesser of the leads over the two: what a model adds that is
always chosen is not added by choosing by query.
Where the advantage is less than a share of its own standard deviation, or next to nothing, the
router is the best single model: a choice that changes with the query must be worth the doubt.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.baselines.policies import first_available
from routerjax.baselines.singles import Singles, logged_means
from routerjax.estimators.hierarchical import Posterior, mean_features, variance_of
from routerjax.models.outcomes import OutcomeHead
from routerjax.models.policy import LEAST as LEAST_CHANCE
from routerjax.models.policy import ROWS, Policy
from routerjax.models.pooled import PooledHead
from routerjax.pipelines.pooled_features import feature_sums
from routerjax.pipelines.prepare import Prepared
from routerjax.records.logs import Log
from routerjax.records.on_disk import Stored
from routerjax.records.tables import Estimates

DOUBT = 0.5
"""Standard deviations by which the expected advantage must exceed 0."""
LEAST = 0.01
"""Of the quality range: an expected advantage below it is not worth a router."""


class Expected(NamedTuple):
    """The expected advantage of choosing by query at k cost weights.

    Attributes:
      best: [k] the best single model.
      advantage: [k] over it, or over the single model of most expected utility where that is less;
        utility per query.
      deviation: [k] its standard deviation, of what is not known of quality.
      supported: [k] share of the queries for which the log supports that model.
      kept: [k] True where the router is that model, wherever it is supported.
      single: [k, 1], or [k, n] where not every model was available on every row: the best single
        model that was.
      fell_back: [k] share of the queries on which the router chooses another model than it would,
        since the log does not support that one.
    """

    best: Int[np.ndarray, " k"]
    advantage: Float[np.ndarray, " k"]
    deviation: Float[np.ndarray, " k"]
    supported: Float[np.ndarray, " k"]
    kept: Bool[np.ndarray, " k"]
    single: Int[np.ndarray, "k _"]
    fell_back: Float[np.ndarray, " k"]

    def named(self, models: Sequence[str], cost_weights: Sequence[float]) -> list[dict[str, Any]]:
        """One record a cost weight, for a report."""
        return [
            {
                "cost_weight": cost_weight,
                "best_single": models[best],
                "advantage": advantage,
                "standard_deviation": deviation,
                "supported": share,
                "kept": kept,
            }
            for cost_weight, best, advantage, deviation, share, kept in zip(
                cost_weights, *(each.tolist() for each in self[:5]), strict=True
            )
        ]


def expected_advantages(
    policy: Policy,
    prepared: Prepared,
    predicted: Estimates,
    *,
    cost_weights: Sequence[float],
    fold: int | None = None,
) -> tuple[Int[np.ndarray, "k n"], Expected]:
    """Choices of a plug-in router, and what they are expected to add to the best single model.

    Args:
      policy: the plug-in.
      prepared: a log with a posterior, n rows, m models.
      predicted: [n, m] by the models of all rows, or out of fold.
      cost_weights: k of them.
      fold: the fold whose rows are asked, with the posterior of the others; None for all rows.

    Returns:
      Arms [k, n] of the rows asked, within support, the best single model's where it is kept; and
      `Expected`.
    """
    nuisances, record = prepared.nuisances, prepared.record
    assert nuisances is not None and nuisances.posterior is not None
    rows = slice(None) if fold is None else np.flatnonzero(nuisances.of_row == fold)
    predicted, supported = predicted[rows], nuisances.propensities.supported[rows]
    x = prepared.x if fold is None else prepared.x[rows]  # all of them are not copied
    could = None if record.available is None else np.asarray(record.available)[rows]
    choices, moved = _choices(policy, x, predicted, supported, cost_weights, could)
    singles = singles_by(prepared, predicted, supported, available=could, fold=fold)
    best = np.array([singles.best(each) for each in cost_weights])
    head = prepared.head
    assert isinstance(head, PooledHead)
    single, likeliest = (
        _everywhere([order(each) for each in cost_weights], could)
        for order in (singles.ranks, singles.utilities)
    )
    alone, other = (np.where(_at(supported, each), each, choices) for each in (single, likeliest))
    lead, further = (_leads(predicted, choices, each, cost_weights) for each in (alone, other))
    advantage = np.minimum(lead, further)
    over = np.where((further < lead)[:, None], other, alone)
    sums = feature_sums(head, prepared.model, x, choices, over) / len(x)
    variance = variance_of(nuisances.posterior, sums, head.sizes, fold=fold)
    deviation = record.quality_width * np.sqrt(np.maximum(variance, 0.0))
    kept = advantage < np.maximum(DOUBT * deviation, LEAST * record.quality_width)
    choices = np.where(kept[:, None], alone, choices)
    share = _at(supported, single).mean(axis=1)
    fell_back = np.where(kept, 1 - share, moved.mean(axis=1))
    return choices, Expected(best, advantage, deviation, share, kept, single, fell_back)


def _choices(
    policy: Policy,
    x: np.ndarray | Stored,
    predicted: Estimates,
    supported: Bool[np.ndarray, "n m"],
    cost_weights: Sequence[float],
    available: Bool[np.ndarray, "n m"] | None,
) -> tuple[Int[np.ndarray, "k n"], Bool[np.ndarray, "k n"]]:
    """Arms [k, n] that the policy chooses within support, of many rows some at a time, and where
    these are others than without regard to it."""
    found = np.zeros((len(cost_weights), len(x)), np.int64)
    moved = np.zeros(found.shape, bool)
    for first in range(0, len(x), ROWS):
        rows = slice(first, first + ROWS)
        could = None if available is None else available[rows]
        chances = policy.at(x[rows], predicted[rows], cost_weights=cost_weights, available=could)
        within = np.where(supported[rows], chances + np.float32(LEAST_CHANCE), 0.0)
        found[:, rows] = within.argmax(axis=-1)
        moved[:, rows] = found[:, rows] != chances.argmax(axis=-1)
    return found, moved


def _everywhere(
    ranks: Sequence[Float[np.ndarray, " m"]], available: Bool[np.ndarray, "n m"] | None
) -> Int[np.ndarray, "k _"]:
    """The model of highest rank [k, 1]; or [k, n] of those that were available on each row."""
    if available is None:
        return np.array([[int(own.argmax())] for own in ranks])
    return np.stack([first_available(own, available) for own in ranks])


def _at(
    supported: Bool[np.ndarray, "n m"], arms: Int[np.ndarray, "k _"]
) -> Bool[np.ndarray, "k n"]:
    """Whether the arms, of every row or [k, 1] of all of them, are supported."""
    return supported[np.arange(len(supported))[None], arms]


def singles_by(
    prepared: Prepared,
    predicted: Estimates,
    supported: Bool[np.ndarray, "n m"],
    *,
    available: Bool[np.ndarray, "n m"] | None = None,
    fold: int | None = None,
) -> Singles:
    """What a log with a posterior tells of its models, were each to answer all of some rows.

    The deviations are those of φ̄ᵀ β_m, φ̄ the mean features of the rows learnt from; the plain
    means are those of the same rows.

    Args:
      prepared: a log with a posterior, m models.
      predicted: [n, m] quality and cost of the rows.
      supported: whether the log supports a model there.
      available: True where a model could be chosen; None where every model could.
      fold: the fold that the rows are of, with what the others tell; None for all rows.
    """
    nuisances, record = prepared.nuisances, prepared.record
    assert nuisances is not None and nuisances.posterior is not None
    assert isinstance(record, Log)
    lowest = record.quality_range[0]
    learnt = slice(None) if fold is None else nuisances.of_row != fold
    return Singles(
        least_means(predicted, supported, lowest=lowest, available=available),
        record.quality_width * _deviations(nuisances.posterior, prepared.head, fold),
        logged_means(
            np.asarray(record.arms)[learnt],
            np.asarray(record.quality)[learnt],
            np.asarray(record.cost)[learnt],
            models=len(record.models),
            lowest=lowest,
        ),
    )


def _deviations(
    posterior: Posterior, head: OutcomeHead, fold: int | None
) -> Float[np.ndarray, " m"]:
    """[m] posterior standard deviation of every model's mean, as a share of the quality range."""
    assert isinstance(head, PooledHead)
    mean = mean_features(posterior, fold=fold)
    each = np.eye(head.models)[:, :, None] * mean
    variance = variance_of(posterior, each, head.sizes, fold=fold)
    return np.sqrt(np.maximum(variance, 0.0))


def least_means(
    estimates: Estimates,
    supported: Bool[np.ndarray, "n m"],
    *,
    lowest: float,
    available: Bool[np.ndarray, "n m"] | None = None,
) -> Estimates:
    """[m] mean quality and cost of every model, of the lowest quality where support is missing.

    What a model would do where it was hardly ever asked the log does not say; the best single
    model is one whose value does not rest on it. Where a model was not available it is taken as if
    it had been, so that models are compared on the same queries.
    """
    known = supported if available is None else supported | ~available
    quality = np.where(known, estimates.quality, lowest).astype(np.float64)
    cost = np.asarray(estimates.cost, np.float64)
    return Estimates(quality=quality.mean(axis=0), cost=cost.mean(axis=0))


def _leads(
    predicted: Estimates,
    ones: Int[np.ndarray, "k n"],
    others: Int[np.ndarray, "k n"],
    cost_weights: Sequence[float],
) -> Float[np.ndarray, " k"]:
    """[k] mean expected utility of choices over others."""
    rows = np.arange(ones.shape[1])
    found = []
    for one, other, cost_weight in zip(ones, others, cost_weights, strict=True):
        utility = np.asarray(predicted.quality, np.float64) - cost_weight * predicted.cost
        found.append(float((utility[rows, one] - utility[rows, other]).mean()))
    return np.array(found)
