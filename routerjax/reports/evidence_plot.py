"""The figure of an evaluation on a log: cost and quality, and the router's lead over today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from routerjax.errors import InputError
from routerjax.pipelines.lines import Evaluation, Line, Single
from routerjax.reports.style import COLOURS, FAINT, PAGE, REFERENCE, drawing, title, weight_axis

THIN = 0.01
"""A single model that the log does not support on more than this share is drawn hollow."""
NOTE = (
    "Doubly robust estimates from the log. Left: bars and shading are 95 % intervals of each point "
    "alone; a hollow model is one that today's policy hardly ever asks on part of the queries, and "
    "its bar is what the log leaves open. Right: the shading holds at all cost weights at once, "
    "95 %."
)


def plot_evidence(evaluation: Evaluation, path: Path) -> None:
    """Draw the router's cost–quality curve with today's point, and its advantage over today.

    Args:
      evaluation: on a log.
      path: a .png, .pdf or .svg, or a name without suffix for PNG and PDF.

    Raises:
      InputError: an evaluation on a table, or a place that cannot be written.
    """
    if evaluation.kind != "log":
        raise InputError(
            "a figure is drawn of an evaluation on a log; a table has no today's policy"
        )
    with drawing(path, size=(PAGE, 3.2), note=NOTE) as drawn:
        plane, lead = drawn.subplots(1, 2)
        _plane(plane, evaluation)
        _lead(lead, evaluation)


def _plane(axes: Any, evaluation: Evaluation) -> None:
    """Quality against cost: the router's curve, today's policy and every single model."""
    lines = sorted(evaluation.of("router"), key=lambda line: line.cost.mean)
    cost = [1000 * line.cost.mean for line in lines]
    low, high = (
        np.array([getattr(line.quality, end) for line in lines]) for end in ("low", "high")
    )
    axes.fill_between(cost, low, high, color=COLOURS[0], alpha=0.15, linewidth=0)
    axes.plot(cost, [line.quality.mean for line in lines], "o-", color=COLOURS[0], label="router")
    for single in evaluation.singles:
        _model(axes, single)
    today = evaluation.of("today")[0]
    _cross(axes, today, label="today's policy")
    axes.set_xlabel("cost, $ per 1,000 queries")
    axes.set_ylabel("quality")
    title(axes, "Quality and cost per query")
    axes.legend(loc="best")


def _model(axes: Any, single: Single) -> None:
    thin = single.unsupported > THIN
    x, y = 1000 * single.cost.mean, single.quality.mean
    reach = [[y - single.quality.low], [single.quality.high - y]]
    axes.errorbar(
        [x],
        [y],
        yerr=reach,
        fmt="s",
        color=FAINT if thin else REFERENCE,
        markerfacecolor="white" if thin else REFERENCE,
        linewidth=0.7,
        zorder=2,
    )
    said = f"{single.model}\n(unknown on {single.unsupported:.0%})" if thin else single.model
    axes.annotate(
        said.replace("$", r"\$"),
        (x, y),
        xytext=(3, 3),
        textcoords="offset points",
        fontsize=5.5,
        color=REFERENCE,
    )


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


def _lead(axes: Any, evaluation: Evaluation) -> None:
    """Utility over today's policy by cost weight, with the band of all cost weights at once."""
    lines = sorted(evaluation.of("router"), key=lambda line: line.cost_weight)
    weights = [line.cost_weight for line in lines]
    means = [line.over_today.mean if line.over_today else np.nan for line in lines]
    low, high = zip(*(line.band or (np.nan, np.nan) for line in lines), strict=True)
    axes.axhline(0, color=COLOURS[1], linewidth=0.8, label="today's policy")
    if len(weights) > 1:
        axes.fill_between(weights, low, high, color=COLOURS[0], alpha=0.15, linewidth=0)
        axes.plot(weights, means, "o-", color=COLOURS[0], label="router")
        weight_axis(axes, weights)
    else:
        reach = [[means[0] - low[0]], [high[0] - means[0]]]
        axes.errorbar(weights, means, yerr=reach, fmt="o", color=COLOURS[0], label="router")
        axes.set_xlabel("cost weight λ, quality per dollar")
    axes.set_ylabel("utility over today's policy")
    title(axes, "What the router adds")
    axes.legend(loc="best")
