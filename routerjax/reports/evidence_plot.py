"""The figure of an evaluation: cost and quality, and the router's lead over another policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from routerjax.pipelines.lines import Evaluation, Line, Single
from routerjax.reports.style import (
    COLOURS,
    FAINT,
    PAGE,
    REFERENCE,
    drawing,
    name_of_point,
    title,
    weight_axis,
)

THIN = 0.01
"""A single model that the log does not support on more than this share is drawn hollow."""
NOTE = (
    "Doubly robust estimates from the log. Left: bars and shading are 95 % intervals of each point "
    "alone; a hollow model is one that today's policy hardly ever asks on part of the queries, or "
    "whose judge's scores no gold ones correct, and its bar is what the log leaves open. Right: "
    "the shading holds at all cost weights at once, 95 %."
)
NOTE_OF_TABLE = (
    "Means of known cells. Shading and bars are 95 % intervals of each point alone. The best "
    "single model is the one that the router's own log picks at each cost weight."
)
BESIDE = {
    "best-single-log": ("best single model", "s", COLOURS[1]),
    "random": ("random model", "D", FAINT),
    "oracle": ("oracle", "^", REFERENCE),
}
"""Methods of a table that the router is drawn beside: label, marker, colour."""


def plot_evidence(evaluation: Evaluation, path: Path) -> None:
    """Draw the router's cost–quality curve, and its advantage by cost weight.

    On a log the curve stands beside today's policy and the single models, and the advantage is
    over today's policy; on a table beside the best single model, a random one and the oracle, and
    the advantage is over the best single model.

    Args:
      evaluation: on a log or a table.
      path: a .png, .pdf or .svg, or a name without suffix for PNG and PDF.

    Raises:
      InputError: a place that cannot be written.
    """
    is_log = evaluation.kind == "log"
    with drawing(path, size=(PAGE, 3.2), note=NOTE if is_log else NOTE_OF_TABLE) as drawn:
        plane, lead = drawn.subplots(1, 2)
        _plane(plane, evaluation)
        _lead(lead, evaluation)


def _plane(axes: Any, evaluation: Evaluation) -> None:
    """Quality against cost: the router's curve beside other policies and single models."""
    lines = sorted(evaluation.of("router"), key=lambda line: line.cost.mean)
    cost = [1000 * line.cost.mean for line in lines]
    low, high = (
        np.array([getattr(line.quality, end) for line in lines]) for end in ("low", "high")
    )
    axes.fill_between(cost, low, high, color=COLOURS[0], alpha=0.15, linewidth=0)
    axes.plot(cost, [line.quality.mean for line in lines], "o-", color=COLOURS[0], label="router")
    for single in evaluation.singles:
        _model(axes, single)
    for today in evaluation.of("today")[:1]:
        _cross(axes, today, label="today's policy")
    if evaluation.kind == "table":
        _beside(axes, evaluation)
    axes.set_xlabel("cost, $ per 1,000 queries")
    axes.set_ylabel("quality")
    title(axes, "Quality and cost per query")
    axes.legend(loc="best")


def _model(axes: Any, single: Single) -> None:
    thin = single.unsupported > THIN
    x, y = 1000 * single.cost.mean, single.quality.mean
    reach = [[y - single.quality.low], [single.quality.high - y]]
    spent = [[x - 1000 * single.cost.low], [1000 * single.cost.high - x]]
    axes.errorbar(
        [x],
        [y],
        xerr=spent if thin else None,
        yerr=reach,
        fmt="s",
        color=FAINT if thin else REFERENCE,
        markerfacecolor="white" if thin else REFERENCE,
        linewidth=0.7,
        zorder=2,
    )
    said = f"{single.model}\n(unknown on {single.unsupported:.0%})" if thin else single.model
    name_of_point(axes, said, (x, y), offset=(3, 3))


def _cross(axes: Any, line: Line, *, label: str) -> None:
    x, y = 1000 * line.cost.mean, line.quality.mean
    axes.errorbar(
        [x],
        [y],
        xerr=[[x - 1000 * line.cost.low], [1000 * line.cost.high - x]],
        yerr=[[y - line.quality.low], [line.quality.high - y]],
        fmt="D",
        color=COLOURS[1],
        label=label,
        zorder=4,
    )


def _beside(axes: Any, evaluation: Evaluation) -> None:
    """What a table's router is drawn beside: a line a policy, or one point."""
    for method, (label, marker, colour) in BESIDE.items():
        lines = sorted(evaluation.of(method), key=lambda line: line.cost.mean)
        points = dict.fromkeys((1000 * line.cost.mean, line.quality.mean) for line in lines)
        if points:
            axes.plot(
                *zip(*points, strict=True),
                color=colour,
                marker=marker,
                markerfacecolor="white",
                linestyle="--" if len(points) > 1 else "",
                linewidth=0.7,
                label=label,
            )


def _lead(axes: Any, evaluation: Evaluation) -> None:
    """The router's lead by cost weight: over today's policy on a log, else the best single model.

    The shading on a log is the band of all cost weights at once.
    """
    lines = sorted(evaluation.of("router"), key=lambda line: line.cost_weight)
    weights = [line.cost_weight for line in lines]
    if evaluation.kind == "log":
        other = "today's policy"
        means = [line.over_today.mean if line.over_today else np.nan for line in lines]
        low, high = zip(*(line.band or (np.nan, np.nan) for line in lines), strict=True)
    else:
        other = "best single model"
        means = [line.advantage.mean for line in lines]
        low, high = zip(*((line.advantage.low, line.advantage.high) for line in lines), strict=True)
    axes.axhline(0, color=COLOURS[1], linewidth=0.8, label=other)
    if len(weights) > 1:
        axes.fill_between(weights, low, high, color=COLOURS[0], alpha=0.15, linewidth=0)
        axes.plot(weights, means, "o-", color=COLOURS[0], label="router")
        weight_axis(axes, weights)
    else:
        reach = [[means[0] - low[0]], [high[0] - means[0]]]
        axes.errorbar(weights, means, yerr=reach, fmt="o", color=COLOURS[0], label="router")
        axes.set_xlabel("cost weight λ, quality per dollar")
    axes.set_ylabel(f"utility over {other}")
    title(axes, "What the router adds")
    axes.legend(loc="best")
