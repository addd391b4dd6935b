"""Support: would the log's policy have asked this model of such a query?

Where it hardly ever did, nothing in the log says what the model does there, and an estimate is
extrapolation. An even share, 1/m, is the measure: a uniform log of a hundred models has support
everywhere.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

PRIOR_HITS = 0.5
"""Answers, among as many rows as an even share gives them, that stand against "never"."""
RECORDED_SHARE = 0.5
RECORDED_QUANTILE = 0.05
"""A policy that recorded propensities explored at these: half the 5 % quantile is support."""
ENOUGH_EXPLORED = 10
"""Answers at small recorded propensities that make small propensities support: an interval that
rests on fewer answers, each of large weight, covers too little."""
EXPLORED_BELOW = 2.0
"""Times the share of 1/m that is support elsewhere: recorded propensities below it are small."""
PRIOR_HITS_OF_CUTS = 3.0
"""As `PRIOR_HITS`, of a cut: a direction can be laid through any rows, and takes the support of
many at once. Rows of a group count as one. Rows without an answer are no chance, by h such prior
hits, from h·(1/s − 1) times as many as an even share has for one, s the share that is support."""
ABOVE_CUT = 0.9
"""Share of an arm's mean propensity above a cut at which its edge lies."""
PRIOR_HITS_EXPLORED = 2.0
"""As `PRIOR_HITS`, where the level is that low: so few answers are due that some may be missing."""


def support_level(
    models: int,
    *,
    support: float,
    arms: Int[np.ndarray, " n"],
    recorded: Float[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, " m"]:
    """Propensity from which each arm has support: a share of 1/m, or less where it was explored.

    Args:
      models: m.
      support: share of an even share, 1/m; 0 switches support off.
      arms: [n] arm that answered.
      recorded: [n] its recorded propensity, NaN where there is none; a policy that is known to
        have asked an arm often enough at small propensities (`explored`) supports it there. How
        small is said by the 5 % quantile, over the arm's answers or over all queries, each answer
        standing for 1/π of them, whichever is less.
    """
    plain = support / models
    level = np.full(models, plain)
    enough = explored(models, support=support, arms=arms, recorded=recorded)
    for arm in np.flatnonzero(enough):
        assert recorded is not None
        known = recorded[(arms == arm) & np.isfinite(recorded)]
        least = min(
            np.quantile(known, RECORDED_QUANTILE),
            weighted_quantile(known, 1 / known, RECORDED_QUANTILE),
        )
        level[arm] = min(plain, RECORDED_SHARE * least)
    return level


def explored(
    models: int,
    *,
    support: float,
    arms: Int[np.ndarray, " n"],
    recorded: Float[np.ndarray, " n"] | None,
) -> Bool[np.ndarray, " m"]:
    """[m] True for arms that answered `ENOUGH_EXPLORED` rows at small recorded propensities.

    Args:
      models, support, arms, recorded: as of `support_level`.
    """
    if recorded is None:
        return np.zeros(models, bool)
    with np.errstate(invalid="ignore"):
        small = recorded < EXPLORED_BELOW * support / models
    return np.bincount(arms[small], minlength=models) >= ENOUGH_EXPLORED


def weighted_quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """The least value at or below which there is a share of the weights."""
    order = np.argsort(values)
    below = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(below, share)])


def support_threshold(
    scores: Float[np.ndarray, " n"],
    hits: Float[np.ndarray, " n"],
    *,
    level: float,
    models: int,
    prior_hits: float = PRIOR_HITS,
) -> float:
    """Estimated propensity, or another score, of an arm below which it has no support.

    A model of propensities need not be right where they are small. So what decides is how often
    the arm answered among the rows with scores so low: hits are regressed on the scores,
    monotonically (isotonic regression), and the rows below the threshold are those whose fitted
    value lies below the level. If they are so few that an even share of answers may be missing by
    chance, (hits + h) / (rows + h·m) ≥ level, nothing is below it.

    Args:
      scores: [n] out-of-fold estimates π̂(m | x), or what rises with them.
      hits: [n] 1 where the arm answered, or its recorded propensity.
      level: propensity from which there is support.
      models: m.
      prior_hits: h.

    Returns:
      The threshold; infinity where the arm has support nowhere, −infinity where everywhere.

    Reference: van der Laan et al. (2024), Stabilized Inverse Probability Weighting via Isotonic
    Calibration, for the calibration.
    """
    if level <= 0:
        return float("-inf")
    values, rows, fitted = _isotonic(scores, hits)
    below = fitted < level
    missing = (fitted[below] @ rows[below] + prior_hits) / (rows[below].sum() + prior_hits * models)
    if not below.any() or missing >= level:
        return float("-inf")
    return float("inf") if below.all() else float(values[~below][0])


def edge_of_cut(
    scores: Float[np.ndarray, " n"],
    hits: Float[np.ndarray, " n"],
    *,
    level: float,
    models: int,
    prior_hits: float = PRIOR_HITS,
    error: float = np.inf,
) -> float:
    """Where along a fitted direction an arm has support, if part of the rows there has none.

    A direction is estimated, so that a cut looks like a slope along it, with queries of both sides
    on it. Whoever trusts the arm from the `support_threshold` on trusts it on the lower part of the
    slope, where most queries are of the side without support. So the edge is the least score where
    isotonic regression of the hits reaches `ABOVE_CUT` of their mean above the threshold. It is at
    most two standard errors of a score above the threshold: a longer slope is the policy's own, and
    on it the arm is asked.

    Args:
      scores, hits, level, models, prior_hits: as of `support_threshold`.
      error: standard error of a score, in its unit.

    Returns:
      The edge; ±infinity as of `support_threshold`.
    """
    least = support_threshold(scores, hits, level=level, models=models, prior_hits=prior_hits)
    if not np.isfinite(least):
        return least
    values, _, fitted = _isotonic(scores, hits)
    edge = values[fitted >= ABOVE_CUT * hits[scores >= least].mean()][0]
    return float(min(edge, least + 2 * error))


def _isotonic(
    scores: np.ndarray, hits: np.ndarray
) -> tuple[Float[np.ndarray, " v"], Int[np.ndarray, " v"], Float[np.ndarray, " v"]]:
    """Distinct scores in order, how many rows have each, and the hits regressed on them."""
    from scipy.optimize import isotonic_regression

    values, place, rows = np.unique(scores, return_inverse=True, return_counts=True)
    fitted = isotonic_regression(np.bincount(place, weights=hits) / rows, weights=rows).x
    return values, rows, fitted
