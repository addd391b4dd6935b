"""Metrics of routers among any number of models, as their authors define them.

They are here so that our numbers can be laid beside published ones, under the names they were
published with. All but RCI pick points by their quality on the test rows: a hull, a Pareto front,
a maximum. Noise on those rows then counts as quality, more of it for a router that was asked at
more cost weights. `curves.area`, `curves.peak` and `curves.cost_to_reach` pick nothing, and
compare all routers over one cost range.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from routerjax.errors import InputError
from routerjax.evaluation.curves import ROUNDING, Curve, Span, checked_points
from routerjax.evaluation.metrics import Choice, expected
from routerjax.records.tables import Estimates


def pareto_front(cost: Float[np.ndarray, " w"], quality: Float[np.ndarray, " w"]) -> Curve:
    """The points that no point of equal or lower cost equals in quality; both coordinates rise.

    Args:
      cost, quality: [w] means over the test queries, in any order.

    Raises:
      InputError: the two differ in length, there is no point, or a value is not finite.

    >>> pareto_front(np.array([2.0, 1.0, 3.0]), np.array([0.4, 0.5, 0.9])).cost.tolist()
    [1.0, 3.0]
    """
    cost, quality = checked_points(cost, quality, names=("cost", "quality"))
    order = np.lexsort((-quality, cost))
    cost, quality = cost[order], quality[order]
    before = np.r_[-np.inf, np.maximum.accumulate(quality)[:-1]]
    return Curve(cost[quality > before], quality[quality > before])


def nondecreasing_hull(cost: Float[np.ndarray, " w"], quality: Float[np.ndarray, " w"]) -> Curve:
    """RouterBench's non-decreasing convex hull: the best that mixing two of the points reaches.

    The corners of the least concave, rising function above all points.

    Args:
      cost, quality: [w] means over the test queries, in any order.

    Raises:
      InputError: as `pareto_front`.

    Reference: Hu et al. (2024), RouterBench, arXiv 2403.12031, section 3.

    >>> nondecreasing_hull(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.1, 1.0])).cost.tolist()
    [0.0, 2.0]
    """
    front = pareto_front(cost, quality)
    corners: list[tuple[float, float]] = []
    for right, high in zip(front.cost.tolist(), front.quality.tolist(), strict=True):
        while len(corners) > 1:
            (left, low), (middle, value) = corners[-2:]
            if (value - low) * (right - left) > (high - low) * (middle - left):
                break
            corners.pop()
        corners.append((right, high))
    return Curve(*(np.array(side) for side in zip(*corners, strict=True)))


def average_improvement_in_quality(
    cost: Float[np.ndarray, " w"],
    quality: Float[np.ndarray, " w"],
    *,
    low: float,
    high: float,
) -> float:
    """AIQ = 1/(high − low) ∫ Q̃(c) dc over costs low to high, in the unit of quality.

    Q̃ is the non-decreasing hull of the router's points; beyond the dearest point it stays level.
    RouterBench takes the range from the routers that are compared, so that adding a router changes
    the others' AIQ; its program counts from cost 0 to the dearest point of any router, with
    nothing below a router's cheapest point. The paper's integral is what stands here, and the
    caller names the range. With `low = high` it is the quality there.

    Args:
      cost, quality: [w] means over the test queries, in any order.
      low, high: the cost range in dollars, the same for all routers that are compared.

    Raises:
      InputError: as `pareto_front`; the range is reversed; or every point costs more than `low`,
        so that the hull says nothing there. The per-query cheapest policy, (span.low,
        span.floor), is a point that closes the gap.

    Reference: Hu et al. (2024), arXiv 2403.12031, section 3; `evaluation/AIQ.py` of
    withmartian/routerbench.

    >>> average_improvement_in_quality(
    ...     np.array([0.0, 2.0]), np.array([0.0, 1.0]), low=0.0, high=4.0
    ... )
    0.75
    """
    hull = nondecreasing_hull(cost, quality)
    if not low <= high:
        raise InputError(f"the cost range from {low} to {high} is reversed", source="low, high")
    if hull.cost[0] - low > ROUNDING * (high - low):
        raise InputError(
            f"the cheapest point costs {hull.cost[0]}, more than the low end {low} of the range",
            source="cost",
        )
    return _mean_height(hull, low, high)


def normalized_area(
    cost: Float[np.ndarray, " w"],
    quality: Float[np.ndarray, " w"],
    *,
    within: Span | None = None,
) -> float:
    """`nAUC`: mean height of the lines through the Pareto front, in the unit of quality.

    Its authors define it in two ways. In MMR-Bench the range is the front's own, from its
    cheapest to its dearest point (`within` None): two routers are averaged over two ranges, and
    one that is never asked at its cheap, bad end scores higher. NaN where the front has no width.
    In ORBIT, their later toolbox, the range is the span (`within`), the per-query cheapest policy
    is one of the points, and beyond the dearest point the front stays level. That range is ours;
    what still differs from `area` is the front, which picks points by test quality.

    Args:
      cost, quality: [w] means over the test queries, in any order.
      within: the span that all routers of the comparison share; None for the front's own range.

    Raises:
      InputError: as `pareto_front`.

    References: Ma, Lai, Ye (2026), MMR-Bench, arXiv 2601.17814, and `src/mmrbench/eval.py` of
    Hunter-Wrynn/MMR-Bench; ORBIT (2026), doi 10.1007/s11704-026-61310-5, and `utils/metrics.py`
    of LAMDA-Model-Reuse/ORBIT.

    >>> points = np.array([1.0, 3.0]), np.array([0.5, 0.75])
    >>> normalized_area(*points), normalized_area(*points, within=Span(0.0, 4.0, 0.25))
    (0.625, 0.59375)
    """
    if within is None:
        front = pareto_front(cost, quality)
        low, high = float(front.cost[0]), float(front.cost[-1])
        return _mean_height(front, low, high) if high > low else float("nan")
    cost, quality = checked_points(cost, quality, names=("cost", "quality"))
    cost, quality = np.r_[within.low, cost], np.r_[within.floor, quality]
    affordable = cost <= within.high + ROUNDING * (within.high - within.low)
    # what costs the low end or less is had at the low end
    clipped = np.clip(cost, within.low, within.high)
    front = pareto_front(clipped[affordable], quality[affordable])
    return _mean_height(front, within.low, within.high)


def peak_score(quality: Float[np.ndarray, " w"]) -> float:
    """P_s: the largest mean quality of any of a router's points, in the unit of quality.

    Picked on the test rows; `peak` is the quality at the smallest cost weight, wherever it is.

    Args:
      quality: [w] means over the test queries, in any order.

    Raises:
      InputError: there is no point or one is not finite.

    References: Ma, Lai, Ye (2026), MMR-Bench, arXiv 2601.17814; ORBIT, which counts the per-query
    cheapest policy as a point.

    >>> peak_score(np.array([0.25, 0.75, 0.5]))
    0.75
    """
    _, quality = checked_points(quality, quality, names=("quality", "quality"))
    return float(quality.max())


def cost_ratio(
    cost: Float[np.ndarray, " w"],
    quality: Float[np.ndarray, " w"],
    *,
    target: float,
    reference_cost: float,
) -> float:
    """Cost of the cheapest of a router's points with at least the target quality, over another.

    min{cost_j : quality_j ≥ target} / reference_cost; inf where no point reaches the target or
    the reference costs nothing. Points are not mixed, as `cost_to_reach` mixes them. A quality
    short by rounding (1e-9) reaches the target. ORBIT prints it, under this name, for the best
    single model, where it is QNC.

    Args:
      cost, quality: [w] means over the test queries, in any order.
      target: quality to be reached.
      reference_cost: mean cost in dollars that it is compared with, 0 or more.

    Raises:
      InputError: as `pareto_front`, or the reference cost is negative.

    Reference: ORBIT, `methods/base.py` of LAMDA-Model-Reuse/ORBIT.

    >>> cost_ratio(np.array([1.0, 3.0]), np.array([0.5, 0.75]), target=0.6, reference_cost=4.0)
    0.75
    """
    cost, quality = checked_points(cost, quality, names=("cost", "quality"))
    if not reference_cost >= 0:
        raise InputError(f"a cost of {reference_cost} is negative", source="reference_cost")
    reached = quality >= target - ROUNDING
    if not reached.any() or reference_cost == 0:
        return float("inf")
    return float(cost[reached].min() / reference_cost)


def quality_neutral_cost(
    cost: Float[np.ndarray, " w"],
    quality: Float[np.ndarray, " w"],
    *,
    model_cost: Float[np.ndarray, " m"],
    model_quality: Float[np.ndarray, " m"],
) -> float:
    """QNC: `cost_ratio` to the best single model, 1 where the router saves nothing.

    The best is the model of largest mean quality on the same test queries, the cheapest of
    several (its authors take the first). inf where the router never matches it.

    Args:
      cost, quality: [w] means over the test queries, in any order.
      model_cost, model_quality: [m] means of every model on the same queries.

    Raises:
      InputError: as `cost_ratio`; the models' two arrays are held to the same.

    References: Jitkrittum et al. (2025), Universal Model Routing, arXiv 2502.08773, section 7,
    which names it; Ma, Lai, Ye (2026), arXiv 2601.17814, whose points are not mixed, as here.

    >>> models = {"model_cost": np.array([1.0, 4.0]), "model_quality": np.array([0.5, 0.75])}
    >>> quality_neutral_cost(np.array([1.0, 3.0]), np.array([0.5, 0.75]), **models)
    0.75
    """
    names = ("model_cost", "model_quality")
    model_cost, model_quality = checked_points(model_cost, model_quality, names=names)
    best = float(model_quality.max())
    dearness = float(model_cost[model_quality == best].min())
    return cost_ratio(cost, quality, target=best, reference_cost=dearness)


def routing_collapse_index(choice: Choice, outcomes: Estimates) -> float:
    """RCI: share of queries whose answer does not come from a best model, a cheaper one if any is.

    The dearest models are those of largest mean cost. On a query the wanted models are the best
    by quality without the dearest, or, where only dearest ones are best, those; RCI is
    1 − mean(choice is wanted): 0 for a router that calls a dearest model only where nothing else
    does as well, 1 for one that never does right. The authors take the choice at the largest
    budget. It asks for the very best answer, so that a noisy score counts as collapse;
    `metrics.collapse` compares shares of traffic with the oracle's.

    Args:
      choice: arms [n], or probabilities [n, m], then its expectation.
      outcomes: [n, m] known outcomes of every model; over estimates the best is noise.

    References: Lai, Ye (2026), When Routing Collapses, arXiv 2602.03478, which names it; the rule
    is that of their program, `cal_rci` in `methods/base.py` of LAMDA-Model-Reuse/ORBIT.
    """
    quality = np.asarray(outcomes.quality, np.float64)
    mean_cost = np.asarray(outcomes.cost, np.float64).mean(axis=0)
    best = quality == quality.max(axis=1, keepdims=True)
    cheaper = best & (mean_cost < mean_cost.max())
    wanted = np.where(cheaper.any(axis=1, keepdims=True), cheaper, best)
    return float(1.0 - expected(wanted, choice).mean())


def _mean_height(found: Curve, low: float, high: float) -> float:
    """Mean of the lines through a curve over costs low to high, level beyond its last point."""
    inside = (found.cost > low) & (found.cost < high)
    at = np.r_[low, found.cost[inside], high]
    height = np.interp(at, found.cost, found.quality)
    return float(np.trapezoid(height, at) / (high - low) if high > low else height[0])
