"""Tables of methods × cost weights and methods × scores from result records."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from routerjax.evaluation.intervals import Interval, mean_interval
from routerjax.evaluation.metrics import gap_recovered, paired_difference
from routerjax.reports.scores import SCORES, Score, Scores
from routerjax.reports.selection import (
    Results,
    by_seed,
    cost_weights_of,
    methods_of,
    seeds_of,
    short,
)

MEAN = "mean"


class Cell(NamedTuple):
    """Text of a cell, bold or not."""

    text: str
    bold: bool = False


class Sheet(NamedTuple):
    """A table before it is Markdown or LaTeX.

    Attributes:
      caption: what the numbers are.
      header: names of the columns.
      rows: cells, as many as the header names; references stand last.
      candidates: number of rows that are no references.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    candidates: int


def paired_advantage(results: Results, method: str, base: str) -> Interval:
    """Mean over cost weights of a method's utility minus the base's, paired by seed."""
    seeds, cost_weights = seeds_of(results), cost_weights_of(results)
    mine, other = (
        by_seed(results, name, metric="utility", seeds=seeds, cost_weights=cost_weights).mean(
            axis=1
        )
        for name in (method, base)
    )
    return paired_difference(mine, other)


def gap_share(results: Results, method: str, *, base: str, ceiling: str) -> float:
    """Share of the gap from `base` to `ceiling` recovered, from means over seeds and λ."""
    mean = {
        name: by_seed(results, name, metric="utility").mean() for name in (method, base, ceiling)
    }
    return float(gap_recovered(mean[method], floor=mean[base], ceiling=mean[ceiling]))


def best_apart(
    values: Mapping[str, np.ndarray], *, references: Collection[str] = (), sign: int = 1
) -> str | None:
    """The best method, if its paired interval against the next best excludes zero.

    Args:
      values: method → [s] scores by seed, NaN where a seed is missing.
      references: methods that know what no log tells; never the best, nor the next best.
      sign: 1 where more is better, −1 where less is, 0 where neither.

    Returns:
      A method, or None: a difference within the 95 % interval, one seed, or an infinite score.
    """
    means = {
        name: sign * float(np.nanmean(scores))
        for name, scores in values.items()
        if name not in references and not np.isnan(scores).all()
    }
    if len(means) < 2 or not sign:
        return None
    best, second = sorted(means, key=lambda name: means[name], reverse=True)[:2]
    apart = paired_difference(sign * values[best], sign * values[second])
    return best if apart.low > 0 else None


def cost_weight_sheet(
    results: Results,
    *,
    metric: str = "utility",
    base: str | None = None,
    ceiling: str | None = None,
    references: Collection[str] = (),
    caption: str = "",
) -> Sheet:
    """Methods × cost weights: mean ± standard error over seeds, the best apart in bold.

    The last columns are the mean over cost weights and, for utility with a `base`, its paired
    difference to the base and the share of the gap from `base` to `ceiling`.
    """
    cost_weights, seeds = cost_weights_of(results), seeds_of(results)
    methods, candidates = _references_last(methods_of(results), references)
    sign = {"utility": 1, "regret": -1}.get(metric, 0)
    values = {
        name: by_seed(results, name, metric=metric, seeds=seeds, cost_weights=cost_weights)
        for name in methods
    }
    columns = [{name: v[:, j] for name, v in values.items()} for j in range(len(cost_weights))]
    columns.append({name: v.mean(axis=1) for name, v in values.items()})
    best = [best_apart(column, references=references, sign=sign) for column in columns]
    header = ["method", *[f"λ = {short(cost_weight)}" for cost_weight in cost_weights], MEAN]
    header += [f"− {base}"] if base else []
    header += ["share of gap"] if base and ceiling else []
    rows = []
    for name in methods:
        row = [Cell(name)]
        row += [
            Cell(number(_mean(column[name])), name == top)
            for column, top in zip(columns, best, strict=True)
        ]
        if base:
            row.append(
                Cell("" if name == base else number(paired_advantage(results, name, base), "+"))
            )
        if base and ceiling:
            share = gap_share(results, name, base=base, ceiling=ceiling)
            known = name != base and np.isfinite(share)
            row.append(Cell(f"{share:.0%}" if known else ""))
        rows.append(tuple(row))
    return Sheet(caption, tuple(header), tuple(rows), candidates)


def score_sheet(
    scores: Scores,
    *,
    columns: Mapping[str, Score] = SCORES,
    references: Collection[str] = (),
    caption: str = "",
) -> Sheet:
    """Methods × scores: mean ± standard error over seeds, the best apart in bold.

    A cost or a share of calls that some seeds never reach is told by how many seeds reach it.
    """
    named = dict.fromkeys(method for column in scores.values() for method in column)
    methods, candidates = _references_last(list(named), references)
    rows = [[Cell(method)] for method in methods]
    for name, column in scores.items():
        shown = columns[name]
        best = best_apart(column, references=references, sign=shown.sign)
        for row, method in zip(rows, methods, strict=True):
            values = shown.scale * column.get(method, np.array([np.nan]))
            row.append(Cell(_score(values, digits=shown.digits), method == best))
    header = ("method", *[columns[name].title for name in scores])
    return Sheet(caption, header, tuple(tuple(row) for row in rows), candidates)


def metric_table(results: Results, *, metric: str, scale: float = 1.0, digits: int = 3) -> str:
    """Markdown: another metric per method and cost weight, mean over seeds, times `scale`."""
    cost_weights = cost_weights_of(results)
    rows = [
        [
            method,
            *[
                f"{scale * value:.{digits}f}"
                for value in by_seed(
                    results, method, metric=metric, cost_weights=cost_weights
                ).mean(axis=0)
            ],
        ]
        for method in methods_of(results)
    ]
    return markdown(
        ["method", *[f"λ = {short(cost_weight)}" for cost_weight in cost_weights]], rows
    )


def to_markdown(sheet: Sheet) -> str:
    """The sheet's cells as a Markdown table, without its caption."""
    rows = [[f"**{cell.text}**" if cell.bold else cell.text for cell in row] for row in sheet.rows]
    return markdown(sheet.header, rows)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column left and the others right, padded so that it reads as text."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in escaped) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join([first, *others]) + " |"

    rule = "|" + "|".join(
        "-" * (width + 2) if i == 0 else "-" * (width + 1) + ":" for i, width in enumerate(widths)
    )
    return "\n".join([line(escaped[0]), rule + "|", *map(line, escaped[1:])])


def number(interval: Interval, sign: str = "", *, digits: int = 3) -> str:
    """Mean ± standard error; the mean alone for one seed, nothing where there is none."""
    if np.isnan(interval.mean):
        return ""
    mean = f"{round(interval.mean, digits) + 0.0:{sign}.{digits}f}"  # + 0.0: no minus before a zero
    error = interval.standard_error
    return mean if np.isnan(error) else f"{mean} ± {error:.{digits}f}"


def _references_last(methods: Sequence[str], references: Collection[str]) -> tuple[list[str], int]:
    """Methods in order, references behind the others, and the number of those others."""
    candidates = [name for name in methods if name not in references]
    return candidates + [name for name in methods if name in references], len(candidates)


def _mean(values: np.ndarray) -> Interval:
    """Over the seeds that were run."""
    known = values[~np.isnan(values)]
    return mean_interval(known) if len(known) else Interval(np.nan, np.nan, np.nan, np.nan, 0)


def _score(values: np.ndarray, *, digits: int) -> str:
    known = values[~np.isnan(values)]
    reached = int(np.isfinite(known).sum())
    if reached == len(known):
        return number(_mean(known), digits=digits)
    return f"reached {reached}/{len(known)}" if reached else "never"
