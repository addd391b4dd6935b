"""The figure of the study: advantages by rows, a panel for every table and logging policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.log_size.compare import Key, advantages, mean_and_error
from experiments.log_size.methods import FULL, ROUTERS
from experiments.log_size.report import methods_of
from routerjax.reports.style import PAGE, REFERENCE, Look, drawing, looks

Record = dict[str, Any]

MARGIN = 1.3
NOTE = (
    "Mean utility over cost weights, less that of the best single model by the log's means. Bars: "
    "one standard error over draws."
)


def plot(found: dict[Key, list[Record]], path: Path) -> None:
    """Draw the advantage over the best single model of the same log, with standard errors."""
    tables = list(dict.fromkeys(key[0] for key in found))
    policies = list(dict.fromkeys(key[1] for key in found))
    sizes = [key[2] for key in found]
    span = min(sizes) / MARGIN, max(sizes) * MARGIN
    names = methods_of(found, ROUTERS)
    look = looks(names, references=[FULL])
    with drawing(path, size=(PAGE, 0.6 + 1.4 * len(policies)), note=NOTE) as drawn:
        axes = drawn.subplots(len(policies), len(tables), sharex=True, squeeze=False)
        for across, table in enumerate(tables):
            for down, logging in enumerate(policies):
                own = {key[2]: draws for key, draws in found.items() if key[:2] == (table, logging)}
                axes[down][across].set(xscale="log", xlim=span)
                _panel(axes[down][across], own, names, look)
                if down == 0:
                    axes[down][across].set_title(table, loc="left")
            axes[-1][across].set_xlabel("rows of the log")
        for down, logging in enumerate(policies):
            axes[down][0].set_ylabel(f"{logging}\nadvantage")
        handles, labels = axes[0][0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper left", ncols=len(names))


def _panel(
    axes: Any, own: dict[int, list[Record]], names: list[str], look: dict[str, Look]
) -> None:
    axes.axhline(0.0, color=REFERENCE, linewidth=0.6)
    for name in names:
        points = [
            (rows, *mean_and_error(advantages(draws, name).mean(axis=1)))
            for rows, draws in sorted(own.items())
            if all(name in each["values"] for each in draws)
        ]
        if not points:
            continue
        rows, means, errors = zip(*points, strict=True)
        axes.errorbar(
            rows,
            means,
            yerr=errors,
            color=look[name].colour,
            marker=look[name].marker,
            linestyle=look[name].line,
            elinewidth=0.7,
            label=name,
        )
