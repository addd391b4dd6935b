"""Choices that look at no query: means of each arm over the log, and the cheapest arm.

A mean is a row of `Estimates` [1, m] that stands for every query, so that `policies.best_single`
picks an arm from it at any cost weight. *Greedy* is the best arm by plain means, *ips-greedy* by
means that weigh each row by its inverse propensity.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from routerjax.estimators.counterfactual import importance_weights
from routerjax.estimators.defaults import FLOOR
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates


def plain_means(log: Log) -> Estimates:
    """Mean quality and cost of each arm over the rows it answered, [1, m].

    q̄_m = Σ_i 1{t_i = m}·q_i / Σ_i 1{t_i = m}, and the same for cost. Biased wherever the policy
    gave the arms different queries. An arm that never answered has quality −∞ and the cost of
    the dearest arm, so that nothing picks it.

    Args:
      log: n rows.
    """
    return _means(log, np.ones(len(log)))


def ips_means(
    log: Log, propensities: Float[np.ndarray, " n"], *, floor: float = FLOOR
) -> Estimates:
    """Mean quality and cost of each arm over all queries, by inverse propensities, [1, m].

    q̂_m = Σ_i 1{t_i = m}·w_i·q_i / Σ_i 1{t_i = m}·w_i with w_i = 1 / max(π(t_i | x_i), floor): the
    self-normalised estimate, which stays within the range of what was observed. Arms that never
    answered are as in `plain_means`.

    Args:
      log: n rows.
      propensities: [n] probability of the arm that answered, recorded or estimated.
      floor: propensities below it are taken as it.

    Reference: Swaminathan, Joachims (2015), The Self-Normalized Estimator for Counterfactual
    Learning.
    """
    return _means(log, importance_weights(propensities, floor=floor))


def cheapest(outcomes: Estimates) -> int:
    """The arm of lowest mean cost, the first at a tie; `outcomes` are [n, m]."""
    return int(np.asarray(outcomes.cost, np.float64).mean(axis=0).argmin())


def _means(log: Log, weights: Float[np.ndarray, " n"]) -> Estimates:
    arms, count = np.asarray(log.arms), len(log.models)
    total = np.bincount(arms, weights=weights, minlength=count)

    def mean(values: np.ndarray) -> np.ndarray:
        sums = np.bincount(arms, weights=weights * np.asarray(values, np.float64), minlength=count)
        return sums / np.where(total > 0, total, 1)

    answered = total > 0
    quality, cost = mean(log.quality), mean(log.cost)
    return Estimates(
        quality=np.where(answered, quality, -np.inf)[None],
        cost=np.where(answered, cost, cost.max())[None],
    )
