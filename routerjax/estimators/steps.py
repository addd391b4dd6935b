"""Steps: cuts through the queries of which an arm's few answers show no more than a slope.

Where an arm is one of many, so few answers are due on either side of a cut that nobody can say of
any rows that they are without one, and the direction that was estimated from them is off: queries
of both sides lie along it side by side. The cut looks like a slope. What tells it from the slope of
a policy that merely prefers the arm is its width: a step is as wide as the error of the direction
makes it, and a preference is wider.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from routerjax.estimators.cuts import STEEPNESS, slope_along

DEVIATIONS = 3.5
"""Standard errors by which the arm's queries lie further along the direction than all queries: with
thirty arms that are asked evenly one is off by so much in 140 logs, and the rest must hold too."""
MOST_ERROR = 0.8
"""Standard error of a query's distance, over the standard deviation of the distances: beyond it the
direction is hardly known."""
MOST_WIDTH = 2.35
"""Width of a step in standard errors of a query's distance."""
MOST_BELOW = 0.45
"""Share of the arm's mean rate at which it was asked below the step, one answer added."""
ABOVE = 0.8
"""Share of the ceiling at which the edge lies; where the rate is below the rest lies below."""
LEAST_ANSWERS = 5
"""Answers beyond the edge without which no step is told."""


def deviations(
    scores: Float[np.ndarray, " n"], asked: Bool[np.ndarray, " n"], *, together: float = 1.0
) -> float:
    """Standard errors by which the mean score of an arm's rows exceeds that of all rows.

    (mean over its h rows − mean) / (sd · √(together / h)); 0 where it has no rows or none differ.

    Args:
      scores: [n] of rows by a discriminant that never saw them.
      asked: [n] whether the arm answered.
      together: rows that count as one.
    """
    hits = int(asked.sum())
    spread = float(scores.std()) if hits else 0.0
    if not spread > 0:
        return 0.0
    off = float(scores[asked].mean() - scores.mean())
    return off / (spread * float(np.sqrt(together / hits)))


def edge_of_step(
    distances: Float[np.ndarray, " n"], asked: Bool[np.ndarray, " n"], *, error: float
) -> float:
    """Where along a direction an arm has support, if its answers show a step there.

    π(s) = c / (1 + exp(−1.7 (s − e) / τ)) is fitted to whether the arm answered at distance s, by
    maximum likelihood. It is a step if its width τ is at most `MOST_WIDTH` standard errors of a
    distance, if that error leaves something of the direction (`MOST_ERROR`), and if below the rate
    1 − `ABOVE` of the ceiling the arm was hardly asked (`MOST_BELOW`). The edge is where the rate
    is `ABOVE` of the ceiling.

    Args:
      distances: [n] of rows along a direction that was estimated without them.
      asked: [n] whether the arm answered.
      error: standard error of a distance.

    Returns:
      The edge; −infinity where there is no step.
    """
    if not 0 < error <= MOST_ERROR * float(distances.std()):
        return float("-inf")
    slope = slope_along(distances, asked)
    away = float(np.log(ABOVE / (1 - ABOVE))) / STEEPNESS * slope.width
    below, beyond = distances < slope.middle - away, distances >= slope.middle + away
    due = below.sum() * asked.mean()
    is_step = slope.width <= MOST_WIDTH * error and asked[below].sum() + 1 <= MOST_BELOW * due
    if not is_step or asked[beyond].sum() < LEAST_ANSWERS:
        return float("-inf")
    return slope.middle + away
