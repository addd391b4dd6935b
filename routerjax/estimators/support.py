"""Support: would the log's policy have asked this model of such a query?

Where it hardly ever did, nothing in the log says what the model does there, and an estimate is
extrapolation. An even share, 1/m, is the measure: a uniform log of a hundred models has support
everywhere.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

PRIOR_HITS = 0.5
"""Answers, among as many rows as an even share gives them, that stand against "never"."""
RECORDED_SHARE = 0.5
RECORDED_QUANTILE = 0.05
"""A policy that recorded propensities explored at these: half the 5 % quantile is support."""


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
        have asked an arm at a small propensity supports it there.
    """
    level = np.full(models, support / models)
    if recorded is not None:
        for arm in range(models):
            known = recorded[(arms == arm) & np.isfinite(recorded)]
            if len(known):
                least = RECORDED_SHARE * np.quantile(known, RECORDED_QUANTILE)
                level[arm] = min(level[arm], least)
    return level


def support_threshold(
    estimated: Float[np.ndarray, " n"], hits: Float[np.ndarray, " n"], *, level: float, models: int
) -> float:
    """Estimated propensity of an arm below which it has no support.

    A model of propensities need not be right where they are small. So what decides is how often
    the arm answered among the rows with estimates so low: hits are regressed on the estimates,
    monotonically (isotonic regression), and the rows below the threshold are those whose fitted
    value lies below the level. If they are so few that an even share of answers may be missing by
    chance, (hits + ½) / (rows + m/2) ≥ level, nothing is below it.

    Args:
      estimated: [n] out-of-fold estimates π̂(m | x).
      hits: [n] 1 where the arm answered, or its recorded propensity.
      level: propensity from which there is support.
      models: m.

    Returns:
      The threshold; infinity where the arm has support nowhere, 0 where it has everywhere.

    Reference: van der Laan et al. (2024), Stabilized Inverse Probability Weighting via Isotonic
    Calibration, for the calibration.
    """
    from scipy.optimize import isotonic_regression

    if level <= 0:
        return 0.0
    values, place, rows = np.unique(estimated, return_inverse=True, return_counts=True)
    total = np.bincount(place, weights=hits)
    fitted = isotonic_regression(total / rows, weights=rows).x
    below = fitted < level
    lowest = (total[below].sum() + PRIOR_HITS) / (rows[below].sum() + PRIOR_HITS * models)
    if not below.any() or lowest >= level:
        return 0.0
    return float("inf") if below.all() else float(values[~below][0])
