"""A pacer: the cost weight that holds what a day may cost, moved by what it has cost so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from routerjax.errors import InputError

DAY = 86_400.0
GAIN = 10.0
"""Steps along the fitted cost weights per share of a day's budget that was spent too early."""


class Daily:
    """Dollars of a day, counted from midnight UTC; a clock that goes back begins no other day."""

    def __init__(self) -> None:
        self._dollars, self._day = 0.0, -1

    def spent(self, now: float) -> float:
        """Of the day so far."""
        day = int(now // DAY)
        if day > self._day:
            self._day, self._dollars = day, 0.0
        return self._dollars

    def add(self, dollars: float, now: float) -> None:
        """Add what was spent, or take off what was charged too much."""
        self._dollars = self.spent(now) + dollars


class Pacer:
    """Holds a daily budget.

    With b the share of the day's dollars that is spent and t the share of the day that has gone,
    λ lies `GAIN`·(b − t) steps along the fitted cost weights from where the service starts, linear
    between them and within their range; all is spent, λ is the largest. A decision is charged
    with the cost expected of it, and with the difference when its cost is known.

    Attributes:
      dollars: of a day.
    """

    def __init__(self, dollars: float, *, cost_weights: Sequence[float], start: float) -> None:
        """Start at cost weight `start` of the fitted ones.

        Raises:
          InputError: a budget that is not above 0.
        """
        if not (np.isfinite(dollars) and dollars > 0):
            raise InputError(f"the daily budget is {dollars:g}; it must be above 0 dollars")
        self.dollars, self._daily = dollars, Daily()
        self._start, self._grid = start, np.asarray(cost_weights, np.float64)

    def cost_weight(self, now: float) -> float:
        """λ at a time, in seconds since 1970."""
        spent = self._daily.spent(now)
        if spent >= self.dollars:
            return float(self._grid[-1])
        ahead = spent / self.dollars - (now % DAY) / DAY
        steps = np.arange(len(self._grid), dtype=np.float64)
        place = np.interp(self._start, self._grid, steps) + GAIN * ahead
        return float(np.interp(place, steps, self._grid))

    def charge(self, dollars: float, now: float) -> None:
        """Add what was spent, or take off what was charged too much."""
        self._daily.add(dollars, now)
