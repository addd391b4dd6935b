"""Scores under the names of other authors, of whole routers from result records."""

from __future__ import annotations

import numpy as np

from routerjax.evaluation.published import (
    average_improvement_in_quality,
    normalized_area,
    peak_score,
    quality_neutral_cost,
)
from routerjax.evaluation.two_models import average_gap_recovered, calls_for_gap
from routerjax.reports.scores import SCORES, OneSeed, Score

_COMPARED, _TWO = ("reference",), ("reference", "two models")


def _average_gap(own: OneSeed) -> float:
    return average_gap_recovered(own.calls, own.values("quality"), own.two_models)


def _calls_for_half(own: OneSeed) -> float:
    return calls_for_gap(own.calls, own.values("quality"), own.two_models, share=0.5)


def _calls_for_most(own: OneSeed) -> float:
    return calls_for_gap(own.calls, own.values("quality"), own.two_models, share=0.8)


def _aiq(own: OneSeed) -> float:
    within = own.within
    return average_improvement_in_quality(
        np.r_[within.low, own.values("cost")],
        np.r_[within.floor, own.values("quality")],
        low=within.low,
        high=within.high,
    )


def _nauc(own: OneSeed) -> float:
    return normalized_area(own.values("cost"), own.values("quality"), within=own.within)


def _peak_score(own: OneSeed) -> float:
    return peak_score(own.values("quality"))


def _qnc(own: OneSeed) -> float:
    return quality_neutral_cost(
        own.values("cost"),
        own.values("quality"),
        model_cost=np.array(own.compared["mean_cost"]),
        model_quality=np.array(own.compared["mean_quality"]),
    )


def _rci(own: OneSeed) -> float:
    return float(own.values("rci")[0])


PUBLISHED = {
    "area": SCORES["area"],
    "apgr": Score("APGR", 1, _average_gap, _TWO),
    "cpt50": Score("CPT(50 %), %", -1, _calls_for_half, _TWO, scale=100.0, digits=0),
    "cpt80": Score("CPT(80 %), %", -1, _calls_for_most, _TWO, scale=100.0, digits=0),
    "aiq": Score("AIQ", 1, _aiq, _COMPARED),
    "nauc": Score("nAUC", 1, _nauc, _COMPARED),
    "peak_score": Score("peak score", 1, _peak_score, _COMPARED),
    "qnc": Score("QNC", -1, _qnc, _COMPARED, digits=2),
    "rci": Score("RCI", -1, _rci, ("rci",), digits=2),
}
"""Beside our area, which leads. AIQ and nAUC are taken over the same cost range as the area, with
the per-query cheapest policy as a point; RCI is that of the smallest cost weight."""

CAPTION = (
    "The same routers by other authors' metrics, beside our area; AIQ, nAUC, peak score and QNC "
    "pick points by their quality on the test rows"
)
