"""Means with standard errors and confidence intervals, where what is independent is a group.

Rows of one user, one session or one query depend on each other. They are one group, and a
standard error counts groups. Without groups every score stands for itself.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

DRAWS = 20_000
"""Draws of the largest deviation of a band; its critical value is then right to about 0.01."""


class Interval(NamedTuple):
    """A mean with its uncertainty, in the unit of the scores.

    Attributes:
      mean: Mean of the scores.
      standard_error: of the mean, clustered by group; NaN for one group.
      low, high: confidence interval.
      n: number of groups, which is that of the scores where each stands for itself.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    n: int


class Band(NamedTuple):
    """Means of several scores with intervals that hold all at once, in the unit of the scores.

    Attributes:
      mean, standard_error: [w] as of `Interval`.
      low, high: [w] mean ∓ critical·standard_error.
      critical: how many standard errors the band reaches; more than an interval's.
      n: number of groups.
    """

    mean: Float[np.ndarray, " w"]
    standard_error: Float[np.ndarray, " w"]
    low: Float[np.ndarray, " w"]
    high: Float[np.ndarray, " w"]
    critical: float
    n: int


def mean_interval(
    scores: Float[np.ndarray, " n"],
    *,
    groups: Int[np.ndarray, " n"] | None = None,
    confidence: float = 0.95,
    heavy_tails: bool = False,
) -> Interval:
    """Mean of scores with Student's interval, s̄ ± t_{G−1}·e, clustered by group.

    e = √(G/(G−1) · Σ_g (Σ_{i∈g} (s_i − s̄))²) / n, which for groups of one is s/√n.

    Args:
      scores: [n], one per row or one per seed; paired differences for a comparison.
      groups: [n] numbers 0, 1, …, equal where scores depend on each other; None where none do.
      confidence: coverage of the interval.
      heavy_tails: Whether Student's degrees of freedom are estimated (`degrees_of_freedom`), for
        scores whose spread comes from few groups, as that of a policy's on a log does.

    Reference: Liang, Zeger (1986), Longitudinal Data Analysis Using Generalized Linear Models.

    >>> mean_interval(np.array([1.0, 2.0, 3.0])).standard_error.__round__(4)
    0.5774
    >>> twice = mean_interval(np.array([1.0, 2, 3, 1, 2, 3]), groups=np.array([0, 1, 2, 0, 1, 2]))
    >>> twice.standard_error.__round__(4), twice.n
    (0.5774, 3)
    """
    values = np.asarray(scores, np.float64)
    mean = float(values.mean())
    sums = group_sums(values[None] - mean, groups)[0]
    count = len(sums)
    if count < 2:
        return Interval(mean, float("nan"), float("nan"), float("nan"), count)
    error = float(np.sqrt(count / (count - 1) * (sums**2).sum()) / len(values))
    degrees = degrees_of_freedom(sums) if heavy_tails else count - 1
    reach = student_quantile(0.5 + confidence / 2, degrees) * error
    return Interval(mean, error, mean - reach, mean + reach, count)


def within(own: Interval, low: float, high: float) -> Interval:
    """The part of an interval in which a mean of values between `low` and `high` can lie.

    It covers no less for that. An estimate that itself lies outside keeps its interval.
    """
    if not low <= own.mean <= high:
        return own
    return own._replace(low=max(own.low, low), high=min(own.high, high))


def simultaneous_band(
    scores: Float[np.ndarray, "w n"],
    *,
    groups: Int[np.ndarray, " n"] | None = None,
    confidence: float = 0.95,
    heavy_tails: bool = False,
    draws: int = DRAWS,
    seed: int = 0,
) -> Band:
    """Means of w scores of the same rows, with intervals that hold at once: s̄_w ± z·e_w.

    z is the quantile of max_w |Σ_g ξ_g·S_gw| / √(Σ_g S_gw²) over multipliers ξ, with S_gw the
    sum of the deviations of group g. For normal multipliers, whose sums are jointly normal given
    the scores, that is the quantile of max_w |Z_w| for Z normal with the correlations of S, and
    so the multipliers need not be drawn one by one. Z is divided by the root of a chi-square
    over its G − 1 degrees of freedom, as Student's interval allows for the estimated variance.

    Args:
      scores: [w, n], one row a cost weight (or a policy), one column a row of the log.
      groups: [n] as of `mean_interval`.
      confidence: that all w intervals hold.
      heavy_tails: as of `mean_interval`; the least degrees of freedom count for all.
      draws: of Z.
      seed: Seed of the draws.

    Returns:
      `Band`; NaN for one group. Scores that do not vary have an interval of no width.

    Reference: Chernozhukov, Chetverikov, Kato (2013), Gaussian Approximations and Multiplier
    Bootstrap for Maxima of Sums of High-Dimensional Random Vectors.
    """
    values = np.asarray(scores, np.float64)
    mean = values.mean(axis=1)
    sums = group_sums(values - mean[:, None], groups)
    count = sums.shape[1]
    if count < 2:
        nothing = np.full(len(mean), np.nan)
        return Band(mean, nothing, nothing, nothing, float("nan"), count)
    error = np.sqrt(count / (count - 1) * _squares(sums)) / values.shape[1]
    degrees = min(map(degrees_of_freedom, sums)) if heavy_tails else count - 1
    critical = _largest_deviation(sums, degrees, confidence=confidence, draws=draws, seed=seed)
    return Band(mean, error, mean - critical * error, mean + critical * error, critical, count)


def group_sums(
    values: Float[np.ndarray, "w n"], groups: Int[np.ndarray, " n"] | None
) -> Float[np.ndarray, "w g"]:
    """Sums of the columns of each group, [w, g]; the columns themselves without groups."""
    if groups is None:
        return values
    return np.stack([np.bincount(groups, each) for each in values])


def _squares(sums: Float[np.ndarray, "w g"]) -> Float[np.ndarray, " w"]:
    """Sums of squares, one row at a time: a million groups are not squared for all w at once."""
    return np.array([(own**2).sum() for own in sums])


def degrees_of_freedom(sums: Float[np.ndarray, " g"]) -> float:
    """Degrees of freedom of the variance of a mean: 2G / (κ − 1), at least 1, at most G − 1.

    κ = G·Σ S_g⁴ / (Σ S_g²)² is the kurtosis of the groups' sums of deviations. The variance of a
    sample variance is (κ − 1)·σ⁴ / G, and that of χ²_ν·σ²/ν is 2·σ⁴/ν. Normal sums have κ = 3 and
    about G degrees; where one group in k carries the mean, there are about 2G/k.

    Reference: Satterthwaite (1946), An Approximate Distribution of Estimates of Variance
    Components.

    >>> degrees_of_freedom(np.array([1.0, -1.0] * 50))
    99.0
    >>> degrees_of_freedom(np.array([-1.0] * 98 + [49.0] * 2)).__round__(2)
    4.25
    """
    count, squares = len(sums), sums**2
    most = float(count - 1)
    if not squares.any():
        return most
    excess = count * float((squares**2).sum()) / float(squares.sum()) ** 2 - 1
    return max(1.0, min(most, 2 * count / excess)) if excess > 0 else most


def _largest_deviation(
    sums: np.ndarray, degrees: float | int, *, confidence: float, draws: int, seed: int
) -> float:
    """The quantile of max_w |Z_w| of the correlations between the sums [w, g]."""
    squares = _squares(sums)
    unit = sums[squares > 0]  # a copy
    if len(unit) == 0:
        return student_quantile(0.5 + confidence / 2, degrees)
    unit /= np.sqrt(squares[squares > 0])[:, None]
    values, vectors = np.linalg.eigh(unit @ unit.T)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    rng = np.random.default_rng(seed)
    largest = abs(rng.standard_normal((draws, len(unit))) @ root.T).max(axis=1)
    spread = np.sqrt(rng.chisquare(degrees, draws) / degrees)
    return float(np.quantile(largest / spread, confidence))


@functools.lru_cache(maxsize=4_096)
def student_quantile(probability: float, degrees: float | int) -> float:
    """Quantile of Student's t with so many degrees of freedom, in double precision."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))
