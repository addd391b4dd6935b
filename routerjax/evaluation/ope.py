"""Off-policy evaluation: what a policy would have earned on a log it did not write."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from routerjax.estimators.counterfactual import estimate, importance_weights
from routerjax.estimators.defaults import FLOOR
from routerjax.evaluation.intervals import Interval, mean_interval
from routerjax.evaluation.metrics import Choice, expected, outcome
from routerjax.records.tables import Estimates, Log


class Value(NamedTuple):
    """A policy's value on a log at one cost weight.

    Attributes:
      utility, quality, cost: mean per query with standard error and 95 % interval.
      effective_sample_size: (Σ w)² / Σ w² of the weights w = p(t | x) / π(t | x) with which
        the log's rows speak of the policy.
      advantage: paired difference in utility to another policy; None where none is given.
    """

    utility: Interval
    quality: Interval
    cost: Interval
    effective_sample_size: float
    advantage: Interval | None = None


def value(
    choice: Choice,
    log: Log,
    predicted: Estimates,
    propensities: Float[np.ndarray, " n"],
    *,
    cost_weight: float,
    floor: float = FLOOR,
    over: Choice | None = None,
) -> Value:
    """Estimate a policy's value from a log, doubly robust.

    V = mean_i Σ_m p(m | x_i)·ũ_λ(x_i, m), with ũ the dr estimates: right if the propensities
    or the outcome model are. The standard error is that of the per-row scores. Where several
    policies or cost weights are asked for, `value_of` takes the estimates made once.

    Args:
      choice: the policy's arms [n] or probabilities [n, m] on the log's queries.
      log: rows the policy was not fitted on.
      predicted: [n, m] outcome predictions made without the log's rows.
      propensities: [n] probability of the arm that answered.
      cost_weight: λ, quality per dollar.
      floor: propensities below it are taken as it.
      over: another policy's choice, for the advantage over it.

    Reference: Dudík, Langford, Li (2011), Doubly Robust Policy Evaluation and Learning, eq. 4.
    """
    return value_of(
        choice,
        estimate(log, predicted, propensities, estimator="dr", floor=floor),
        log,
        propensities,
        cost_weight=cost_weight,
        floor=floor,
        over=over,
    )


def value_of(
    choice: Choice,
    estimates: Estimates,
    log: Log,
    propensities: Float[np.ndarray, " n"],
    *,
    cost_weight: float,
    floor: float = FLOOR,
    over: Choice | None = None,
) -> Value:
    """Estimate a policy's value from counterfactual estimates that are at hand.

    Args:
      choice: the policy's arms [n] or probabilities [n, m] on the log's queries.
      estimates: [n, m] counterfactual estimates of the log's rows.
      log: rows the policy was not fitted on.
      propensities: [n] probability of the arm that answered.
      cost_weight: λ, quality per dollar.
      floor: propensities below it are taken as it in the effective sample size.
      over: another policy's choice, for the advantage over it.
    """
    scores = outcome(choice, estimates, cost_weight=cost_weight)
    advantage = None
    if over is not None:
        others = outcome(over, estimates, cost_weight=cost_weight)
        advantage = mean_interval(scores.utility - others.utility)
    return Value(
        utility=mean_interval(scores.utility),
        quality=mean_interval(scores.quality),
        cost=mean_interval(scores.cost),
        effective_sample_size=effective_sample_size(choice, log, propensities, floor=floor),
        advantage=advantage,
    )


def effective_sample_size(
    choice: Choice, log: Log, propensities: Float[np.ndarray, " n"], *, floor: float = FLOOR
) -> float:
    """(Σ w)² / Σ w² of the weights w = p(t | x) / max(π(t | x), floor); 0 if none follows."""
    followed = expected(np.eye(len(log.models))[log.arms], choice)
    weights = followed * importance_weights(propensities, floor=floor)
    total = float((weights**2).sum())
    return float(weights.sum() ** 2 / total) if total > 0 else 0.0
