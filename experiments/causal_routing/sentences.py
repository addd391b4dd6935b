"""Sentences that stay true whatever the numbers in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from routerjax.evaluation.intervals import Interval
from routerjax.reports.selection import short


def difference_sentence(one: str, other: str, difference: Interval) -> str:
    """A sentence that is true whatever the interval of one − other."""
    if np.isnan(difference.mean):
        return f"{one} and {other} share no seed."
    if difference.mean == difference.low == difference.high == 0:
        return f"{one} and {other} earn the same."
    if np.isnan(difference.low):
        return f"{one} less {other} is {difference.mean:+.3f} in the one seed they share."
    if difference.low > 0 or difference.high < 0:
        word = "more" if difference.low > 0 else "less"
        size = abs(difference.mean)
        low, high = sorted((abs(difference.low), abs(difference.high)))
        return f"{one} earns {size:.3f} [{low:.3f}, {high:.3f}] {word} than {other}."
    return f"{one} and {other} are not told apart ({bracket(difference)})."


def bracket(interval: Interval, *, scale: float = 1.0, digits: int = 3, unit: str = "") -> str:
    """Mean [low, high], signed; the mean alone for one seed."""

    def signed(value: float) -> str:
        return f"{round(scale * value, digits) + 0.0:+.{digits}f}"  # + 0.0: zero without a minus

    if np.isnan(interval.low):
        return f"{signed(interval.mean)}{unit}"
    return f"{signed(interval.mean)}{unit} [{signed(interval.low)}, {signed(interval.high)}]"


def numbers(values: Sequence[float]) -> str:
    """1, 2 and 3."""
    return words([short(value) for value in values])


def words(names: Sequence[str]) -> str:
    """One, two and three."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))
