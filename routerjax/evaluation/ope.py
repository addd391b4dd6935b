"""Off-policy evaluation: what a policy would have earned on a log it did not write.

A policy is scored row by row, once, for quality and cost. The mean of the scores is its value and
their spread, by group, its standard error, at every cost weight and for every difference.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from routerjax.estimators.counterfactual import importance_weights
from routerjax.estimators.defaults import FLOOR
from routerjax.evaluation.intervals import Interval, group_sums, mean_interval
from routerjax.evaluation.metrics import Choice, expected
from routerjax.evaluation.off_policy import (
    OffPolicy,
    given_up,
    least_error,
    resolve_off_policy,
    transformed,
    weighted,
)
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates

Groups = Int[np.ndarray, " n"] | None
Propensities = Float[np.ndarray, " n"] | Float[np.ndarray, "n m"]


class Scores(NamedTuple):
    """Per-row scores of a policy, whose mean is its value; [n] each.

    Attributes:
      quality: in the unit of the log's quality.
      cost: dollars per query.
    """

    quality: Float[np.ndarray, " n"]
    cost: Float[np.ndarray, " n"]

    def utility(self, cost_weight: float) -> Float[np.ndarray, " n"]:
        """Scores of the utility q − λ·c, [n]."""
        return self.quality - cost_weight * self.cost

    def interval(self, cost_weight: float, *, groups: Groups = None) -> Interval:
        """Value in utility with its interval, clustered by group, with estimated degrees."""
        return mean_interval(self.utility(cost_weight), groups=groups, heavy_tails=True)


class Value(NamedTuple):
    """A policy's value on a log at one cost weight.

    Attributes:
      utility, quality, cost: mean per query with standard error and 95 % interval.
      effective_sample_size: (Σ w)² / Σ w² of the weights w = p(t | x) / π(t | x) with which
        the log's groups speak of the policy.
      advantage: paired difference in utility to another policy; None where none is given.
    """

    utility: Interval
    quality: Interval
    cost: Interval
    effective_sample_size: float
    advantage: Interval | None = None


def policy_scores(
    choice: Choice,
    log: Log,
    predicted: Estimates,
    propensities: Propensities,
    *,
    estimator: str | OffPolicy = "dr",
    floor: float = FLOOR,
    groups: Groups = None,
) -> Scores:
    """Score a policy on every row of a log.

    dr: s_i = Σ_m p(m | x_i)·ŷ(x_i, m) + w_i·(y_i − ŷ(x_i, t_i)), w = p(t | x) / max(π, floor);
    the others change w, leave ŷ out, or divide by the mean weight (`OFF_POLICY`). A parameter of
    theirs is chosen once, for quality and cost alike. If no row follows the policy, estimators
    with a baseline give the outcome model's word, and those without give NaN: such a log says
    nothing of the policy.

    Args:
      choice: the policy's arms [n] or probabilities [n, m] on the log's queries.
      log: rows the policy was not fitted on.
      predicted: [n, m] outcome predictions made without the log's rows.
      propensities: [n] probability of the arm that answered, or [n, m] of every arm. A parameter
        needs the latter: with the former hardly a weight is ever changed.
      estimator: a name in `OFF_POLICY`, an estimator, or ``file.py:name``.
      floor: propensities below it are taken as it.
      groups: [n] as of `mean_interval`; they count where a parameter is chosen.

    Raises:
      InputError: no such estimator, or weights of one's own that cannot be used.

    Reference: Dudík, Langford, Li (2011), Doubly Robust Policy Evaluation and Learning, eq. 4.
    """
    found = resolve_off_policy(estimator)
    followed = policy_weights(choice, log, propensities, floor=floor)
    weights = transformed(found, followed)
    if not (found.baseline or weights.any()):
        return Scores(*np.full((2, len(log.arms)), np.nan))
    outcomes = ((log.quality, predicted.quality), (log.cost, predicted.cost))
    scores = [
        weighted(
            *_parts(choice, log, observed, model if found.baseline else None),
            weights,
            normalised=found.normalised,
        )
        for observed, model in outcomes
    ]
    best = 0
    if found.parameters is not None:
        spreads = [float(np.std(observed, dtype=np.float64)) for observed, _ in outcomes]
        met, shares = _met(choice, propensities, followed, floor)
        best = least_error(scores, spreads, given_up(found, followed, met, shares), groups)
    return Scores(quality=scores[0][best], cost=scores[1][best])


def _parts(
    choice: Choice, log: Log, observed: np.ndarray, model: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Baseline and residual of every row, [n] float64 each."""
    outcome = np.asarray(observed, np.float64)
    if model is None:
        return np.zeros(len(outcome)), outcome
    return expected(model, choice), outcome - expected(model, np.asarray(log.arms))


def _met(
    choice: Choice, propensities: Propensities, followed: np.ndarray, floor: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights that the logging policy might have met, and how often; those it did where unknown."""
    if propensities.ndim == 1:
        return followed, np.ones_like(followed)
    if choice.ndim == 1:
        shares = np.maximum(propensities[np.arange(len(choice)), choice], floor)
        return 1 / shares, shares
    shares = np.maximum(propensities, floor)
    return choice / shares, shares


def logged_scores(log: Log) -> Scores:
    """Scores of the policy that wrote the log: the outcomes it met."""
    return Scores(np.asarray(log.quality, np.float64), np.asarray(log.cost, np.float64))


def policy_weights(
    choice: Choice, log: Log, propensities: Propensities, *, floor: float = FLOOR
) -> Float[np.ndarray, " n"]:
    """Importance weights w = p(t | x) / max(π(t | x), floor) of a log's rows for a policy, [n].

    Args:
      choice: arms [n] or probabilities [n, m] on the log's queries.
      log: whose arms t count.
      propensities: [n] probability of the arm that answered, or [n, m] of every arm.
      floor: propensities below it are taken as it.
    """
    arms = np.asarray(log.arms)
    rows = np.arange(len(arms))
    followed = choice == arms if choice.ndim == 1 else choice[rows, arms]
    answered = propensities if propensities.ndim == 1 else propensities[rows, arms]
    inverse: np.ndarray = importance_weights(answered, floor=floor)
    weights: np.ndarray = np.asarray(followed, np.float64) * inverse
    return weights


def value(
    choice: Choice,
    log: Log,
    predicted: Estimates,
    propensities: Propensities,
    *,
    cost_weight: float,
    estimator: str | OffPolicy = "dr",
    floor: float = FLOOR,
    over: Scores | None = None,
    groups: Groups = None,
) -> Value:
    """Estimate a policy's value from a log, by default doubly robust.

    V = mean_i s_i of `policy_scores`; the dr value is right if the propensities or the outcome
    model are. The standard error is that of the scores, clustered by group. Estimated propensities
    are taken as known. Where several cost weights are asked for, `policy_scores` serve all.

    Args:
      choice, log, predicted, propensities, estimator, floor: as of `policy_scores`.
      cost_weight: λ, quality per dollar.
      over: another policy's scores on the same rows, for the advantage over it; `logged_scores`
        for the policy that wrote the log.
      groups: [n] numbers, equal where rows depend on each other; None where none do.

    Raises:
      InputError: no such estimator.
    """
    scores = policy_scores(
        choice, log, predicted, propensities, estimator=estimator, floor=floor, groups=groups
    )
    weights = policy_weights(choice, log, propensities, floor=floor)
    return Value(
        utility=scores.interval(cost_weight, groups=groups),
        quality=mean_interval(scores.quality, groups=groups, heavy_tails=True),
        cost=mean_interval(scores.cost, groups=groups, heavy_tails=True),
        effective_sample_size=_effective(weights, groups),
        advantage=None
        if over is None
        else difference(scores, over, cost_weight=cost_weight, groups=groups),
    )


def difference(
    scores: Scores, others: Scores, *, cost_weight: float, groups: Groups = None
) -> Interval:
    """How much more utility a policy is worth than another on the same rows: paired, clustered.

    Args:
      scores, others: of the two policies.
      cost_weight: λ, quality per dollar.
      groups: [n] as of `mean_interval`.
    """
    apart = scores.utility(cost_weight) - others.utility(cost_weight)
    return mean_interval(apart, groups=groups, heavy_tails=True)


def effective_sample_size(
    choice: Choice,
    log: Log,
    propensities: Propensities,
    *,
    floor: float = FLOOR,
    groups: Groups = None,
) -> float:
    """(Σ w)² / Σ w² of the weights w = p(t | x) / max(π(t | x), floor); 0 if none follows.

    With groups the weights of each are added up first, so that what is counted is groups.
    """
    return _effective(policy_weights(choice, log, propensities, floor=floor), groups)


def _effective(weights: Float[np.ndarray, " n"], groups: Groups) -> float:
    sums = group_sums(weights[None], groups)[0]
    total = float((sums**2).sum())
    return float(sums.sum() ** 2 / total) if total > 0 else 0.0
