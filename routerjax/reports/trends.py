"""Figures over a study's setting: logged rows, logging strength, and the winner's curse."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from routerjax.reports.selection import Results, by_seed, cost_weights_of, on_grid, seeds_of, where
from routerjax.reports.style import (
    COLUMN,
    FAINT,
    drawing,
    files,
    legend,
    line,
    looks,
    ticks,
    weight_axis,
)
from routerjax.reports.style import title as set_title

AXES = {
    "rows": "logged rows",
    "strength": "strength of the logging policy",
    "cost_weight": "cost weight λ, quality per dollar",
}


def settings(records: Results, name: str) -> list[float]:
    """Values of a field ("rows", "strength", "cost_weight") in the records, rising."""
    return sorted({r[name] for r in records if name in r})


def by_setting(results: Results, method: str, *, over: str, seeds: Sequence[int]) -> np.ndarray:
    """[s, k] mean utility over the grid of cost weights at every value of a setting."""
    grid = on_grid(results)
    columns = []
    for value in settings(grid, over):
        some = where(grid, **{over: value})
        cost_weights = cost_weights_of(some)
        utility = by_seed(some, method, metric="utility", seeds=seeds, cost_weights=cost_weights)
        columns.append(utility.mean(axis=1))
    return np.stack(columns, axis=1)


def trend(
    results: Results,
    path: Path,
    *,
    over: str,
    methods: Sequence[str],
    base: str,
    upper: Collection[str] = (),
    title: str = "",
    note: str = "",
) -> list[Path]:
    """Draw mean utility over λ against a setting, and below it the paired difference to a base.

    Over "rows" it is the learning curve, over "strength" the effect of logging. Bands are 95 %
    intervals over seeds.

    Args:
      results: records that differ in the setting alone, beside method, seed and cost weight.
      path: file, or name without suffix for PNG and PDF.
      over: "rows" (drawn on a log axis) or "strength".
      methods: to draw.
      base: whose utility is taken off in the lower panel.
      upper: methods that are references.
      title, note: above and below the axes.
    """
    seeds, places = seeds_of(results), settings(on_grid(results), over)
    other = by_setting(results, base, over=over, seeds=seeds)
    with drawing(path, size=(COLUMN, 4.6), note=note) as drawn:
        above, below = drawn.subplots(2, 1, sharex=True)
        for method, look in looks(methods, references=upper).items():
            values = by_setting(results, method, over=over, seeds=seeds)
            line(above, places, values, look=look, label=method)
            if method != base:
                line(below, places, values - other, look=look, label=method)
        below.axhline(0, color=FAINT, linewidth=0.8, zorder=2)
        if over == "rows":
            below.set_xscale("log")
        ticks(below, places)
        below.set_xlabel(AXES[over])
        above.set_ylabel("utility, mean over λ")
        below.set_ylabel(f"difference to {base}")
        set_title(above, title)
        legend(drawn, above)
    return files(path)


def label_field(records: Results, estimator: str, *, metric: str, over: str) -> np.ndarray:
    """[s, k] a metric of the labels of one estimator, mean over what is not on the axis.

    Args:
      records: of kind label_error, of one logging policy.
      estimator: whose labels.
      metric: "label_error" or "optimism".
      over: "strength", "rows" or "cost_weight".
    """
    own = where(records, estimator=estimator)
    seeds, places = seeds_of(records), settings(records, over)
    values = np.full((len(seeds), len(places)), np.nan)
    for i, seed in enumerate(seeds):
        for j, place in enumerate(places):
            some = where(own, seed=seed, **{over: place})
            if some:
                values[i, j] = np.mean([r[metric] for r in some])
    return values


def winners_curse(
    records: Results, path: Path, *, over: str, title: str = "", note: str = ""
) -> list[Path]:
    """Draw how wrong and how optimistic the labels of a classifier are, by estimator.

    Above, the share of training rows whose estimated best model is not a best one; below, the
    estimated utility of that model less its true one. Means over what is not on the axis,
    bands are 95 % intervals over seeds.

    Args:
      records: of kind label_error, of one logging policy.
      path: file, or name without suffix for PNG and PDF.
      over: "strength", "rows" or "cost_weight".
      title, note: above and below the axes.
    """
    estimators = list(dict.fromkeys(r["estimator"] for r in records))
    places = settings(records, over)
    with drawing(path, size=(COLUMN, 4.2), note=note) as drawn:
        above, below = drawn.subplots(2, 1, sharex=True)
        for estimator, look in looks(estimators).items():
            wrong = 100 * label_field(records, estimator, metric="label_error", over=over)
            line(above, places, wrong, look=look, label=estimator)
            high = label_field(records, estimator, metric="optimism", over=over)
            line(below, places, high, look=look, label=estimator)
        below.axhline(0, color=FAINT, linewidth=0.8, zorder=2)
        if over == "cost_weight":
            weight_axis(below, places)
        else:
            if over == "rows":
                below.set_xscale("log")
            ticks(below, places)
            below.set_xlabel(AXES[over])
        above.set_ylabel("wrong labels, % of rows")
        below.set_ylabel("optimism, utility")
        set_title(above, title)
        legend(drawn, above, columns=3)
    return files(path)
