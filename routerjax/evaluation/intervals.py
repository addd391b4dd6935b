"""Means with standard errors and confidence intervals."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Interval(NamedTuple):
    """A mean with its uncertainty, in the unit of the scores.

    Attributes:
      mean: Mean of the scores.
      standard_error: standard deviation of the scores / √n; NaN for one score.
      low, high: confidence interval.
      n: number of scores.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    n: int


def mean_interval(scores: Float[np.ndarray, " n"], *, confidence: float = 0.95) -> Interval:
    """Mean of independent scores with Student's interval, mean ± t_{n−1}·s/√n.

    Args:
      scores: [n], one per row or one per seed; paired differences for a comparison.
      confidence: coverage of the interval.

    >>> mean_interval(np.array([1.0, 2.0, 3.0])).standard_error.__round__(4)
    0.5774
    """
    values = np.asarray(scores, np.float64)
    count, mean = len(values), float(values.mean())
    if count < 2:
        return Interval(mean, float("nan"), float("nan"), float("nan"), count)
    error = float(values.std(ddof=1) / np.sqrt(count))
    reach = student_quantile(0.5 + confidence / 2, count - 1) * error
    return Interval(mean, error, mean - reach, mean + reach, count)


@functools.cache
def student_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t with so many degrees of freedom, in double precision."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))
