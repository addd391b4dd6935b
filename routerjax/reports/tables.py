"""Tables of methods × cost weights from result records, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from routerjax.evaluation.intervals import Interval, mean_interval
from routerjax.evaluation.metrics import gap_recovered

MEAN = "mean"

Results = Sequence[dict[str, Any]]


def by_seed(results: Results, method: str, *, metric: str) -> np.ndarray:
    """[s, w] a metric of one method by seed and cost weight, both rising."""
    own = [r for r in results if r["method"] == method]
    seeds = sorted({r["seed"] for r in own})
    weights = sorted({r["cost_weight"] for r in own})
    values = np.full((len(seeds), len(weights)), np.nan)
    for r in own:
        values[seeds.index(r["seed"]), weights.index(r["cost_weight"])] = r[metric]
    return values


def methods_of(results: Results) -> list[str]:
    """Methods in the order in which they first occur."""
    return list(dict.fromkeys(r["method"] for r in results))


def weights_of(results: Results) -> list[float]:
    """Cost weights, rising."""
    return sorted({r["cost_weight"] for r in results})


def paired_gain(results: Results, method: str, base: str) -> Interval:
    """Mean over cost weights of a method's utility minus the base's, paired by seed."""
    difference = by_seed(results, method, metric="utility") - by_seed(
        results, base, metric="utility"
    )
    return mean_interval(difference.mean(axis=1))


def gap_share(results: Results, method: str, *, base: str, ceiling: str) -> float:
    """Share of the gap from `base` to `ceiling` recovered, from means over seeds and weights."""
    mean = {
        name: by_seed(results, name, metric="utility").mean() for name in (method, base, ceiling)
    }
    return float(gap_recovered(mean[method], floor=mean[base], ceiling=mean[ceiling]))


def utility_table(results: Results, *, base: str, ceiling: str | None = None) -> str:
    """Markdown: utility per method and cost weight, mean ± standard error over seeds.

    The last columns are the mean over cost weights, its paired difference to `base`, and the
    share of the gap from `base` to `ceiling`.
    """
    weights = weights_of(results)
    header = ["method", *[f"λ = {weight:g}" for weight in weights], MEAN, f"− {base}"]
    if ceiling:
        header.append("share of gap")
    rows = []
    for method in methods_of(results):
        values = by_seed(results, method, metric="utility")
        cells = [_cell(mean_interval(column)) for column in values.T]
        cells.append(_cell(mean_interval(values.mean(axis=1))))
        cells.append("" if method == base else _cell(paired_gain(results, method, base), sign="+"))
        if ceiling:
            share = gap_share(results, method, base=base, ceiling=ceiling)
            cells.append("" if method == base else f"{share:.0%}")
        rows.append([method, *cells])
    return markdown(header, rows)


def metric_table(results: Results, *, metric: str, scale: float = 1.0, digits: int = 3) -> str:
    """Markdown: another metric per method and cost weight, mean over seeds, times `scale`."""
    weights = weights_of(results)
    rows = [
        [method, *[f"{scale * value:.{digits}f}" for value in
                   by_seed(results, method, metric=metric).mean(axis=0)]]
        for method in methods_of(results)
    ]  # fmt: skip
    return markdown(["method", *[f"λ = {weight:g}" for weight in weights]], rows)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column left and the others right, padded so that it reads as text."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join([first, *others]) + " |"

    rule = "|" + "|".join(
        "-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths)
    )
    return "\n".join([line(header), rule + "|", *map(line, rows)])


def _cell(interval: Interval, *, sign: str = "") -> str:
    error = interval.standard_error
    mean = f"{interval.mean:{sign}.3f}"
    return mean if np.isnan(error) else f"{mean} ± {error:.3f}"
