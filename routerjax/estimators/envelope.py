"""The best arm as a function of the cost weight: the upper envelope of lines."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class Envelope(NamedTuple):
    """Pieces of the best arm over a range of cost weights.

    Attributes:
      arms: [p] best arm of each piece, each cheaper than the one before.
      breaks: [p − 1] cost weights at which the best arm changes, rising, dollars⁻¹ × quality.
    """

    arms: tuple[int, ...]
    breaks: tuple[float, ...]


def upper_envelope(
    quality: Float[np.ndarray, " m"],
    cost: Float[np.ndarray, " m"],
    *,
    low: float | int = 0.0,
    high: float | int = np.inf,
) -> Envelope:
    """Find argmax_m q_m − λ·c_m for every λ in [low, high], in O(m log m).

    Each arm is a line in λ with slope −c_m. Taken from the dearest arm to the cheapest, a line
    enters the envelope where it crosses the last one kept, at λ = (q − q')/(c − c'); lines whose
    piece vanishes are dropped for good. There are at most m pieces. At a break both arms are
    best; of arms with equal quality and cost the first is taken.

    Args:
      quality: [m] finite, in any unit.
      cost: [m] finite, dollars.
      low, high: range of λ, quality per dollar.

    Reference: Causal LLM Routing (arXiv 2505.16037), on the optimal policy in λ; the algorithm
    is the convex hull trick.

    >>> upper_envelope(np.array([0.875, 0.75, 0.25]), np.array([0.5, 0.25, 0.0]))
    Envelope(arms=(0, 1, 2), breaks=(0.5, 2.0))
    """
    quality, cost = np.asarray(quality, np.float64), np.asarray(cost, np.float64)
    order = np.lexsort((np.arange(len(cost)), -quality, -cost))
    arms: list[int] = []
    starts: list[float] = []
    for arm in map(int, order):
        if arms and cost[arm] == cost[arms[-1]]:
            continue  # as dear as the last and no better
        start = -np.inf
        while arms:
            last = arms[-1]
            start = float((quality[last] - quality[arm]) / (cost[last] - cost[arm]))
            if start > starts[-1]:
                break
            arms.pop()
            starts.pop()
        arms.append(arm)
        starts.append(start)
    return _within(arms, starts, low, high)


def envelopes(
    quality: Float[np.ndarray, "n m"],
    cost: Float[np.ndarray, "n m"],
    *,
    low: float | int = 0.0,
    high: float | int = np.inf,
    available: Bool[np.ndarray, "n m"] | None = None,
) -> list[Envelope]:
    """The upper envelope of every row, n of them, of its available arms alone.

    Args:
      quality: [n, m] finite, in any unit.
      cost: [n, m] finite, dollars.
      low, high: range of λ, quality per dollar.
      available: [n, m] True where an arm can be chosen; None where every arm can.
    """
    found = []
    for row, (own_quality, own_cost) in enumerate(zip(quality, cost, strict=True)):
        arms = np.arange(len(own_cost)) if available is None else np.flatnonzero(available[row])
        own = upper_envelope(own_quality[arms], own_cost[arms], low=low, high=high)
        found.append(own._replace(arms=tuple(int(arms[arm]) for arm in own.arms)))
    return found


def _within(arms: list[int], starts: list[float], low: float | int, high: float | int) -> Envelope:
    """The pieces that reach into [low, high], or the one that begins there if it is a point."""
    ends = [*starts[1:], np.inf]
    kept = [i for i in range(len(arms)) if ends[i] > low and (starts[i] < high or starts[i] <= low)]
    return Envelope(tuple(arms[i] for i in kept), tuple(starts[i] for i in kept[1:]))
