"""Figures over the cost weight: cost–quality curves, utility, the sag between grid points."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from routerjax.evaluation.curves import quality_at
from routerjax.reports.scores import curves, span_of
from routerjax.reports.selection import (
    Results,
    between_weights,
    by_seed,
    cost_weights_of,
    on_grid,
    seeds_of,
    where,
)
from routerjax.reports.style import COLOURS as COLOURS
from routerjax.reports.style import (
    COLUMN,
    FAINT,
    PAGE,
    Look,
    drawing,
    files,
    legend,
    line,
    looks,
    name_of_point,
    shade,
    weight_axis,
)
from routerjax.reports.style import title as set_title

LABELLED = 6
"""Single models that a cost–quality plot names at most."""


def cost_quality(
    results: Results,
    references: Results,
    path: Path,
    *,
    methods: Sequence[str],
    upper: Collection[str] = (),
    title: str = "",
    note: str = "",
) -> list[Path]:
    """Draw each method's cost–quality curve, from the cost weights as trained.

    Markers are the mean points of the cost weights; the line is the curve of
    `evaluation.curves` that the area is taken of, and its band the 95 % interval over seeds at
    each budget. Dots are the single models.

    Args:
      results: records with method, seed, cost_weight, quality, cost, of one setting.
      references: reference records of the same seeds.
      path: file, or name without suffix for PNG and PDF.
      methods: to draw.
      upper: those of them that are references.
      title, note: above and below the axes.
    """
    results = on_grid(results)
    with drawing(path, size=(PAGE, 3.4), note=note) as drawn:
        axes = drawn.subplots()
        spans = [span_of(r) for r in references]
        if all(within.low > 0 for within in spans):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda dollars, _: f"{dollars:g}")
        for method, look in looks(methods, references=upper).items():
            _curve(axes, results, references, method, look)
        _single_models(axes, references)
        axes.set_xlabel("mean cost, US dollars per 1,000 queries")
        axes.set_ylabel("mean quality")
        set_title(axes, title)
        handles, labels = axes.get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside right upper")
    return files(path)


def _curve(axes: Any, results: Results, references: Results, method: str, look: Look) -> None:
    own = where(results, method=method)
    cost = 1000 * by_seed(own, method, metric="cost").mean(axis=0)
    quality = by_seed(own, method, metric="quality").mean(axis=0)
    axes.plot(cost, quality, linestyle="none", marker=look.marker, color=look.colour, zorder=4)
    lines = curves(own, references, method)
    # from where every seed has a point: below, the curve runs to the cheapest policy
    low, high = 1000 * max(one.cost[1] for one in lines.values()), cost.max()
    if high > low:
        budgets = np.geomspace(low, high, 200) if low > 0 else np.linspace(low, high, 200)
        reached = np.stack([quality_at(one, budgets / 1000) for one in lines.values()])
        axes.plot(budgets, reached.mean(axis=0), linestyle=look.line, color=look.colour, zorder=3)
        shade(axes, budgets, reached, look=look)
    axes.plot([], [], linestyle=look.line, marker=look.marker, color=look.colour, label=method)


def _single_models(axes: Any, references: Results) -> None:
    """Dots for the models, and names for those on or near their cost–quality front."""
    names = references[0]["models"]
    cost = 1000 * np.mean([r["mean_cost"] for r in references], axis=0)
    quality = np.mean([r["mean_quality"] for r in references], axis=0)
    axes.plot(cost, quality, ".", color=FAINT, markersize=4, zorder=1, label="single models")
    axes.autoscale_view()
    front = [i for i in np.argsort(cost) if quality[i] >= quality[cost <= cost[i]].max()]
    inches = axes.transData.transform(np.stack([cost, quality], axis=1)) / axes.figure.dpi
    right = axes.transAxes.transform((1.0, 0.0))[0] / axes.figure.dpi
    named: list[int] = []
    for i in dict.fromkeys([front[-1], front[0], *front[::-1]]):  # both ends before the others
        apart = [np.abs(inches[i] - inches[j]) for j in named]
        if len(named) == LABELLED or any(x < 0.8 and y < 0.12 for x, y in apart):
            continue
        named.append(i)
        left = right - inches[i, 0] < 1.0  # no room to the right
        own = names[i].rsplit("/", maxsplit=1)[-1]
        offset = (-3 if left else 3, -7)
        name_of_point(axes, own, (cost[i], quality[i]), offset=offset, left=left)


def utility_by_cost_weight(
    results: Results,
    path: Path,
    *,
    methods: Sequence[str],
    base: str,
    upper: Collection[str] = (),
    title: str = "",
    note: str = "",
) -> list[Path]:
    """Draw mean utility against λ, and below it the paired difference to a base.

    Bands are 95 % intervals over seeds; open markers stand between the points of the grid.

    Args:
      results: records with method, seed, cost_weight, utility, of one setting.
      path: file, or name without suffix for PNG and PDF.
      methods: to draw; `base` need not be among them.
      base: whose utility is taken off in the lower panel.
      upper: methods that are references.
      title, note: above and below the axes.
    """
    seeds = seeds_of(results)
    with drawing(path, size=(COLUMN, 4.6), note=note) as drawn:
        above, below = drawn.subplots(2, 1, sharex=True)
        for method, look in looks(methods, references=upper).items():
            own = where(results, method=method)
            cost_weights = cost_weights_of(own)
            mine, other = (
                by_seed(results, name, metric="utility", seeds=seeds, cost_weights=cost_weights)
                for name in (method, base)
            )
            hollow = between_weights(own)
            line(above, cost_weights, mine, look=look, label=method, hollow=hollow)
            if method != base:
                line(below, cost_weights, mine - other, look=look, label=method, hollow=hollow)
        below.axhline(0, color=FAINT, linewidth=0.8, zorder=2)
        above.set_ylabel("mean utility")
        below.set_ylabel(f"difference to {base}")
        set_title(above, title)
        weight_axis(below, cost_weights_of(results), between=between_weights(results))
        legend(drawn, above, hollow=bool(between_weights(results)))
    return files(path)


def sag_values(results: Results, method: str, *, trained: str) -> Mapping[float, np.ndarray]:
    """Utility relative to a router trained at the same cost weight, λ → [s], as a share.

    (u_λ − v_λ) / |mean v_λ|, paired by seed, with v the utility of `trained`, at all cost
    cost_weights that both have.
    """
    seeds = seeds_of(results)
    cost_weights = sorted(
        set(cost_weights_of(where(results, method=method)))
        & set(cost_weights_of(where(results, method=trained)))
    )
    mine, there = (
        by_seed(results, name, metric="utility", seeds=seeds, cost_weights=cost_weights)
        for name in (method, trained)
    )
    share = (mine - there) / np.abs(np.nanmean(there, axis=0))
    return {cost_weight: share[:, j] for j, cost_weight in enumerate(cost_weights)}


def sag(
    results: Results,
    path: Path,
    *,
    methods: Sequence[str],
    trained: str,
    title: str = "",
    note: str = "",
) -> list[Path]:
    """Draw how far below routers trained at that very λ the others fall, in percent.

    Bands are 95 % intervals of the paired differences over seeds; open markers stand between
    the points of the grid.

    Args:
      results: records of one setting, with `trained` at the held-out cost weights too.
      path: file, or name without suffix for PNG and PDF.
      methods: to draw, beside `trained`, which is zero.
      trained: the method trained at every cost weight.
      title, note: above and below the axes.
    """
    with drawing(path, size=(COLUMN, 2.9), note=note) as drawn:
        axes = drawn.subplots()
        axes.axhline(0, color=FAINT, linewidth=0.8, zorder=2)
        drawn_weights: set[float] = set()
        for method, look in looks(methods).items():
            values = sag_values(results, method, trained=trained)
            hollow = between_weights(where(results, method=method))
            percent = 100 * np.stack(list(values.values()), axis=1)
            line(axes, list(values), percent, look=look, label=method, hollow=hollow)
            drawn_weights |= set(values)
        weight_axis(axes, sorted(drawn_weights), between=between_weights(results))
        axes.set_ylabel(f"utility relative to\n{trained}, %")
        set_title(axes, title)
        legend(drawn, axes, hollow=bool(between_weights(results)))
    return files(path)
