"""Routers between two models, a weak and a strong one: RouteLLM's metrics, and our area.

RouteLLM looks at quality over the share of queries that the strong model answers. Its routers are
thresholds on one score, so that they reach every share from 0 to 1, and the curve always ends at
the two models themselves. Ours, `area_over_calls`, holds a router to what it does: beyond its
largest share it stays as it is, and a share that it never uses is not made up for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from routerjax.errors import InputError
from routerjax.evaluation.curves import ROUNDING, Curve, Span, area, checked_points, curve


class TwoModels(NamedTuple):
    """Mean quality of the weak and the strong one of two models on the test queries."""

    weak: float
    strong: float


def performance_gap_recovered(quality: float, models: TwoModels) -> float:
    """PGR = (quality − weak) / (strong − weak), 1 at the strong model's own quality.

    NaN where the strong model is not better.

    Args:
      quality: mean quality of the router.
      models: mean quality of the two models on the same queries.

    Reference: Ong et al. (2024), RouteLLM, arXiv 2406.18665.

    >>> performance_gap_recovered(0.75, TwoModels(weak=0.5, strong=1.0))
    0.5
    """
    gap = models.strong - models.weak
    return (quality - models.weak) / gap if gap > 0 else float("nan")


def average_gap_recovered(
    calls: Float[np.ndarray, " w"], quality: Float[np.ndarray, " w"], models: TwoModels
) -> float:
    """APGR = ∫₀¹ PGR(c) dc over the share c of queries sent to the strong model.

    The curve joins the router's points by straight lines in the order of c and ends at the two
    models, (0, weak) and (1, strong), which a threshold at either end gives. Points of equal share
    count as their mean. 1/2 for a router that chooses at random, whichever shares it was asked
    at; no dimension. The paper writes the integral and approximates it by ten shares; the
    authors' program integrates by trapezoids, as here. NaN where the strong model is not better.

    Args:
      calls: [w] share of queries that the strong model answers, in [0, 1], in any order.
      quality: [w] mean quality at those shares.
      models: mean quality of the two models on the same queries.

    Raises:
      InputError: the two differ in length, a value is not finite, or a share is outside [0, 1].

    Reference: arXiv 2406.18665, and `routellm/evals/evaluate.py` of lm-sys/RouteLLM.

    >>> average_gap_recovered(np.array([0.5]), np.array([0.75]), TwoModels(0.5, 1.0))
    0.5
    """
    shares, recovered = _recovered(calls, quality, models)
    return float(np.trapezoid(recovered, shares))


def calls_for_gap(
    calls: Float[np.ndarray, " w"],
    quality: Float[np.ndarray, " w"],
    models: TwoModels,
    *,
    share: float,
) -> float:
    """CPT: smallest share of queries to the strong model at which PGR is at least `share`.

    Read off the curve of `average_gap_recovered`; for a router that chooses at random it is
    `share` itself. RouteLLM prints it in percent. NaN where the strong model is not better.

    Args:
      calls: [w] share of queries that the strong model answers, in [0, 1], in any order.
      quality: [w] mean quality at those shares.
      models: mean quality of the two models on the same queries.
      share: of the gap between the two, in [0, 1]: 0.5 for CPT(50 %).

    Raises:
      InputError: as `average_gap_recovered`, or `share` is outside [0, 1].

    Reference: arXiv 2406.18665.

    >>> calls_for_gap(np.array([0.5]), np.array([0.75]), TwoModels(0.5, 1.0), share=0.25)
    0.25
    """
    if not 0.0 <= share <= 1.0:
        raise InputError(f"a share of the gap lies in [0, 1], and {share} does not", source="share")
    shares, recovered = _recovered(calls, quality, models)
    if np.isnan(recovered).any():
        return float("nan")
    first = int(np.argmax(recovered >= share - ROUNDING))  # the strong model's own 1 is there
    if first == 0:
        return 0.0
    low, high = recovered[first - 1], recovered[first]
    step = min((share - low) / (high - low), 1.0)
    return float(shares[first - 1] + step * (shares[first] - shares[first - 1]))


def call_curve(
    calls: Float[np.ndarray, " w"], quality: Float[np.ndarray, " w"], models: TwoModels
) -> Curve:
    """Our curve over the share of queries sent to the strong model, in place of cost.

    It starts at the weak model alone, share 0, and is made monotone in the order of λ, as
    `curve` is.

    Args:
      calls, quality: [w] at the cost weights trained on, λ rising.
      models: mean quality of the two models on the same queries.
    """
    return curve(calls, quality, Span(low=0.0, high=1.0, floor=models.weak))


def area_over_calls(found: Curve, models: TwoModels) -> float:
    """Our area over shares 0 to 1 of calls to the strong model, as a share of the models' gap.

    Not APGR: beyond its largest share a router stays as it is, where RouteLLM's curve goes on to
    the strong model. A coin asked at share 1/2 alone has 0.375 here and APGR 1/2. Fewer calls and
    more quality never lower it, which APGR does not promise.

    Args:
      found: quality over the share of calls, as `call_curve` makes it.
      models: mean quality of the two models on the same queries.
    """
    return performance_gap_recovered(area(found, Span(0.0, 1.0, models.weak)), models)


def _recovered(
    calls: Float[np.ndarray, " w"], quality: Float[np.ndarray, " w"], models: TwoModels
) -> tuple[np.ndarray, np.ndarray]:
    """Shares of calls, rising from 0 to 1, and PGR at each."""
    calls, quality = checked_points(calls, quality, names=("calls", "quality"))
    if (calls < 0).any() or (calls > 1).any():
        raise InputError("a share of calls lies in [0, 1]", source="calls")
    shares, place = np.unique(np.r_[0.0, calls, 1.0], return_inverse=True)
    reached = np.bincount(place, np.r_[models.weak, quality, models.strong]) / np.bincount(place)
    return shares, np.array([performance_gap_recovered(each, models) for each in reached])
