"""The cost–quality curve of a router over its grid of cost weights, and what is read off it.

A curve must reward any router that is better and cheaper at every cost weight, and must not
pick operating points by their quality on test rows, as a Pareto front or a running maximum
does. Joining the points in the order of λ fails the first: where quality rises with λ by
chance, a cheaper router can lose area. So the points are made monotone in the order of λ as
trained, by averaging (isotonic regression) and never by choosing. That keeps order between
routers (raising a quality or lowering a cost lowers no point of the curve), keeps the mean of
the points over the grid, and leaves points that are in order as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Shaped

from routerjax.errors import InputError
from routerjax.records.tables import Estimates

ROUNDING = 1e-9

Points: TypeAlias = Shaped[np.ndarray, "..."] | Sequence[Any]
"""One coordinate of points, before it is checked to be [w]."""


class Span(NamedTuple):
    """The cost range that all routers of one comparison share, of one set of test queries.

    Attributes:
      low: mean over queries of the cheapest model's cost, dollars; no policy costs less.
      high: mean over queries of the dearest model's cost; no policy costs more.
      floor: mean quality of the policy that sends every query to its cheapest model, or to any
        of several that cost the same.
    """

    low: float
    high: float
    floor: float


class Curve(NamedTuple):
    """Points (cost, quality) [k], both rising, from the span's cheapest policy to λ's smallest."""

    cost: np.ndarray
    quality: np.ndarray


def span(outcomes: Estimates) -> Span:
    """Cost range of known outcomes [n, m] and the quality of the per-query cheapest model."""
    cost = np.asarray(outcomes.cost, np.float64)
    quality = np.asarray(outcomes.quality, np.float64)
    low = cost.min(axis=1)
    cheapest = cost == low[:, None]
    floor = np.where(cheapest, quality, 0.0).sum(axis=1) / cheapest.sum(axis=1)
    return Span(float(low.mean()), float(cost.max(axis=1).mean()), float(floor.mean()))


def curve(cost: Float[np.ndarray, " w"], quality: Float[np.ndarray, " w"], within: Span) -> Curve:
    """A router's curve from its points at rising cost weights.

    The chain starts at (low, floor), the per-query cheapest policy, which is what λ → ∞ asks
    for, and goes through the points from the largest λ to the smallest. Isotonic regression
    of cost and of quality along the chain makes both rise. Between two points a router mixes
    its two cost weights, which is linear; beyond its dearest point it stays as it is.

    If another router's points at the same cost weights cost no more and are no worse, its
    curve lies nowhere below this one.

    Args:
      cost, quality: [w] means over the test queries at the cost weights trained on, λ rising.
      within: the comparison's span.
    """
    chain = np.r_[within.low, np.asarray(cost, np.float64)[::-1]]
    clipped = np.clip(isotonic(chain), within.low, within.high)
    return Curve(clipped, isotonic(np.r_[within.floor, np.asarray(quality, np.float64)[::-1]]))


def isotonic(values: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """Rising values nearest to the given ones in squares.

    Reference: Barlow, Bartholomew, Bremner, Brunk (1972), Statistical Inference under Order
    Restrictions, section 1.2.

    >>> isotonic(np.array([1.0, 4.0, 2.0, 5.0])).tolist()
    [1.0, 3.0, 3.0, 5.0]
    """
    from scipy.optimize import isotonic_regression  # takes a quarter of a second to import

    rising: np.ndarray = isotonic_regression(np.asarray(values, np.float64)).x
    return rising


def quality_at(found: Curve, budgets: Float[np.ndarray, " b"]) -> Float[np.ndarray, " b"]:
    """Quality a router reaches at mean costs of at most the budgets, by linear interpolation."""
    budgets = np.asarray(budgets, np.float64)
    below = np.clip(np.searchsorted(found.cost, budgets, side="right") - 1, 0, None)
    above = np.minimum(below + 1, len(found.cost) - 1)
    width = found.cost[above] - found.cost[below]
    share = np.clip((budgets - found.cost[below]) / np.where(width > 0, width, 1.0), 0.0, 1.0)
    low, high = found.quality[below], found.quality[above]
    between: np.ndarray = low + share * (high - low)
    return between


def area(found: Curve, within: Span) -> float:
    """Mean quality over the span's budgets, 1/(high − low) ∫ Q(b) db, in the unit of quality.

    Where every model costs the same, so that the span has no width, the quality there.

    Args:
      found: the curve.
      within: the span, the same for every router that is compared.
    """
    width = within.high - within.low
    if width <= 0:
        return float(found.quality[-1])
    tail = (within.high - found.cost[-1]) * found.quality[-1]
    return float((np.trapezoid(found.quality, found.cost) + tail) / width)


def peak(quality: Float[np.ndarray, " w"]) -> float:
    """Quality at the smallest cost weight, where a router buys all it can.

    Not the largest of the points, which would be picked on the test rows.

    Args:
      quality: [w] at the cost weights trained on, λ rising.
    """
    return float(quality[0])


def cost_to_reach(found: Curve, quality: float) -> float:
    """Cheapest mean cost at which the curve reaches a quality, dollars; inf where it never does.

    Linear between points, as the curve is. For the best single model's quality, in hindsight
    on the same queries, it says what matching that model costs. A quality short by rounding
    (1e-9) reaches it.

    Args:
      found: the curve.
      quality: to be reached, in the curve's unit.
    """
    quality -= ROUNDING
    if quality > found.quality[-1]:
        return float("inf")
    right = int(np.searchsorted(found.quality, quality, side="left"))
    if right == 0:
        return float(found.cost[0])
    (low, high), (start, end) = (
        found.quality[right - 1 : right + 1],
        found.cost[right - 1 : right + 1],
    )
    return float(start + (quality - low) / (high - low) * (end - start))


def checked_points(
    first: Points, second: Points, *, names: tuple[str, str]
) -> tuple[Float[np.ndarray, " w"], Float[np.ndarray, " w"]]:
    """The two coordinates of a router's points as float64.

    Args:
      first, second: [w] of one router.
      names: of the two, for the error.

    Raises:
      InputError: they differ in length, there is no point, or a value is not finite.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    both = " and ".join(names)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        shapes = f"{list(first.shape)} and {list(second.shape)}"
        raise InputError(
            f"a router's points are two arrays of one length, 1 or more, not {shapes}", source=both
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError("every point must be finite", source=both)
    return first, second
