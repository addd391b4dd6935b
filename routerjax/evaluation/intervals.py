"""Means with standard errors and confidence intervals, where what is independent is a group.

Rows of one user, one session or one query depend on each other. They are one group, and a
standard error counts groups. Without groups every score stands for itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

BLOCK = 1 << 16
"""Groups whose sums are multiplied at a time."""
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
    scores: Iterable[Float[np.ndarray, " n"]],
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
      scores: [w, n], one row a cost weight (or a policy), one column a row of the log. They may
        come one after another: of a million rows no more than their groups' sums is held.
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
    means: list[float] = []
    sums: list[np.ndarray] = []
    rows = 0
    for each in scores:
        values = np.asarray(each, np.float64)
        rows = len(values)
        means.append(float(values.mean()))
        sums.append(group_sums(values[None] - means[-1], groups)[0])
    mean, count = np.array(means), len(sums[0])
    if count < 2:
        nothing = np.full(len(mean), np.nan)
        return Band(mean, nothing, nothing, nothing, float("nan"), count)
    products = _products(sums)
    error = np.sqrt(count / (count - 1) * np.diagonal(products)) / rows
    degrees = min(map(degrees_of_freedom, sums)) if heavy_tails else count - 1
    critical = _largest_deviation(products, degrees, confidence=confidence, draws=draws, seed=seed)
    return Band(mean, error, mean - critical * error, mean + critical * error, critical, count)


def group_sums(
    values: Float[np.ndarray, "w n"], groups: Int[np.ndarray, " n"] | None
) -> Float[np.ndarray, "w g"]:
    """Sums of the columns of each group, [w, g]; the columns themselves without groups."""
    if groups is None:
        return values
    return np.stack([np.bincount(groups, each) for each in values])


def _products(sums: Sequence[Float[np.ndarray, " g"]]) -> Float[np.ndarray, "w w"]:
    """Σ_g S_vg S_wg, some groups at a time."""
    found = np.zeros((len(sums), len(sums)))
    for first in range(0, len(sums[0]), BLOCK):
        some = np.stack([own[first : first + BLOCK] for own in sums])
        found += some @ some.T
    return found


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
    products: Float[np.ndarray, "w w"],
    degrees: float | int,
    *,
    confidence: float,
    draws: int,
    seed: int,
) -> float:
    """The quantile of max_w |Z_w| of the correlations, given sums of products."""
    varies = np.diagonal(products) > 0
    if not varies.any():
        return student_quantile(0.5 + confidence / 2, degrees)
    length = np.sqrt(np.diagonal(products)[varies])
    values, vectors = np.linalg.eigh(products[varies][:, varies] / np.outer(length, length))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    rng = np.random.default_rng(seed)
    largest = abs(rng.standard_normal((draws, len(length))) @ root.T).max(axis=1)
    spread = np.sqrt(rng.chisquare(degrees, draws) / degrees)
    return float(np.quantile(largest / spread, confidence))


@functools.lru_cache(maxsize=4_096)
def student_quantile(probability: float, degrees: float | int) -> float:
    """Quantile of Student's t with so many degrees of freedom, in double precision."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))
