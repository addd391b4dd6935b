"""The tables of the study, and those of the README made from the committed results.

`python -m experiments.log_size.report` writes the tables of the READMEs: of the study, and of the
project. `former.json`, a run of `--former` with fewer seeds, has a table of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.log_size.compare import (
    FAR,
    Comparison,
    Key,
    advantages,
    cells,
    compare,
    expectation,
    mean_and_error,
    seconds,
)
from experiments.log_size.methods import (
    BEST,
    FIT,
    FORMER,
    FROM_LOG,
    OTHERS,
    ROUTERS,
)
from experiments.log_size.prose import findings
from experiments.ope_coverage.report import filled
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text

HERE = Path(__file__).parent
RESULTS, README = HERE / "results.json", HERE / "README.md"
FORMER_RESULTS = HERE / "former.json"
FRONT = HERE.parent.parent / "README.md"
MARK = "sizes"
"""Of the tables in the README of the study; and of the one in that of the project."""
FORMER_MARK = "former"
FOUND_MARK = "found"

Record = dict[str, Any]


def methods_of(found: dict[Key, list[Record]], names: Sequence[str]) -> list[str]:
    """Those of the names that some cell has."""
    return [name for name in names if compare(found, name) is not None]


def methods_table(found: dict[Key, list[Record]]) -> str:
    """Markdown: every method over all cells."""
    far = f"draws below -{FAR}, above {FAR}"
    head = ["method", "advantage", "draws below 0", "worst draw", far, "cells below"]
    head += ["cells × cost weights below", "of full feedback"]
    lines = []
    for name in (*FROM_LOG, *OTHERS):
        own = compare(found, name)
        if own is not None:
            lines.append(_line(name, own))
    return markdown(head, lines)


def _line(name: str, own: Comparison) -> list[str]:
    """A method's cells of the table of methods."""
    error = "" if np.isnan(own.error) else f" ± {own.error:.4f}"
    return [
        name,
        f"{own.mean:+.4f}{error}",
        f"{own.lost:.0%} of {own.draws}",
        f"{own.worst:+.4f}",
        f"{own.far_below}, {own.far_above}",
        f"{own.below} of {own.cells}",
        f"{own.weights_below} of {own.weights}",
        _share(own.recovered),
    ]


def _with_share(each: Comparison) -> str:
    return f"{each.mean:+.3f} ± {each.error:.3f} ({_share(each.recovered)})"


def _share(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.0%}"


def cells_table(found: dict[Key, list[Record]]) -> str:
    """Markdown: every cell, advantages of the methods with standard errors over draws."""
    names = methods_of(found, ROUTERS)
    head = ["table", "logging", "rows", "draws", "best single", *names]
    head += ["worst draw of fit", "fit, of full feedback", "cost weights below"]
    lines = []
    for (table, logging, rows), draws in found.items():
        own, fit = {(table, logging, rows): draws}, advantages(draws, FIT)
        compared = compare(own, FIT)
        assert compared is not None
        base = np.mean([each["values"][BEST] for each in draws])
        about = [table, logging, f"{rows:,}", str(len(draws)), f"{base:.3f}"]
        each = [_advantage(draws, name) if compare(own, name) else "" for name in names]
        last = [f"{fit.mean(axis=1).min():+.4f}", _share(compared.recovered)]
        count = f"{compared.weights_below} of {compared.weights}"
        lines.append([*about, *each, *last, count])
    return markdown(head, lines)


def _advantage(draws: Sequence[Record], name: str) -> str:
    mean, error = mean_and_error(advantages(draws, name).mean(axis=1))
    return f"{mean:+.4f}" + ("" if np.isnan(error) else f" ± {error:.4f}")


def recovered_table(found: dict[Key, list[Record]]) -> str:
    """Markdown: share of the gap to full feedback by logging policy and rows, over the tables."""
    sizes, policies = sorted({key[2] for key in found}), list(dict.fromkeys(k[1] for k in found))
    head = ["method", "logging", *(f"{rows:,}" for rows in sizes), "all", "cells below"]
    lines = []
    for name in methods_of(found, FROM_LOG):
        for logging in policies:
            line = [name, logging]
            for rows in sizes:
                own = {k: draws for k, draws in found.items() if k[1:] == (logging, rows)}
                each = compare(own, name) if own else None
                line.append("" if each is None else f"{_share(each.recovered)} ({each.mean:+.4f})")
            every = compare({k: draws for k, draws in found.items() if k[1] == logging}, name)
            assert every is not None
            line.append(f"{_share(every.recovered)} ({every.mean:+.4f})")
            lines.append([*line, f"{every.below} of {every.cells}"])
    return markdown(head, lines)


def weights_table(found: dict[Key, list[Record]], shares: Sequence[float]) -> str:
    """Markdown: the advantage at every cost weight, mean over cells, and cells below."""
    head = ["method", *(f"{share:g}" for share in shares)]
    lines = []
    for name in methods_of(found, (*FROM_LOG, *OTHERS)):
        line = [name]
        for place in range(len(shares)):
            own = compare(_at(found, place), name)
            assert own is not None
            line.append(f"{own.mean:+.4f} ({own.below})")
        lines.append(line)
    return markdown(head, lines)


def _at(found: dict[Key, list[Record]], place: int) -> dict[Key, list[Record]]:
    """The draws with one of their cost weights alone."""

    def one(record: Record) -> Record:
        own = {name: values[place : place + 1] for name, values in record["values"].items()}
        return {**record, "values": own}

    return {key: [one(each) for each in draws] for key, draws in found.items()}


def expected_table(found: dict[Key, list[Record]]) -> str:
    """Markdown: what choosing by query was expected to add, and what it and others added.

    Over the best single model of the same fit, where the router kept that model and where not.
    """
    own = {kept: expectation(found, kept=kept) for kept in (True, False)}
    told = {kept: each for kept, each in own.items() if each is not None}
    names = [n for n in ROUTERS if all(n in e.came for e in told.values())]
    head = ["the router", "cost weights", "expected", *names, "fit above by 0.01"]
    lines = [
        [
            "keeps a single model" if kept else "chooses by query",
            f"{each.places:,}",
            f"{each.expected:+.4f}",
            *(f"{each.came[name]:+.4f}" for name in names),
            f"{each.above:.0%}",
        ]
        for kept, each in told.items()
    ]
    return markdown(head, lines)


def seconds_table(found: dict[Key, list[Record]]) -> str:
    """Markdown: CPU seconds of a fit by table and rows: median of later calls, of first ones."""
    names = methods_of(found, ROUTERS)
    head = ["table", "rows", *names]
    lines = []
    for table, rows in dict.fromkeys((key[0], key[2]) for key in found):
        own = [
            each for k, draws in found.items() if (k[0], k[2]) == (table, rows) for each in draws
        ]
        every = [[seconds(own, name, first=first) for first in (False, True)] for name in names]
        lines.append([table, f"{rows:,}", *(", ".join(map(_seconds, pair)) for pair in every)])
    return markdown(head, sorted(lines, key=_by_table(found)))


def _by_table(found: dict[Key, list[Record]]) -> Callable[[Sequence[str]], tuple[int, int]]:
    tables = list(dict.fromkeys(key[0] for key in found))

    def order(line: Sequence[str]) -> tuple[int, int]:
        return tables.index(line[0]), int(line[1].replace(",", ""))

    return order


def _seconds(value: float) -> str:
    return "none" if np.isnan(value) else f"{value:.1f}"


def tables_table(tables: Sequence[Record]) -> str:
    """Markdown: the tables, and where their costs come from."""
    head = ["table", "rows", "models", "models left out", "costs"]
    lines = [
        [
            each["name"],
            f"{each['rows']:,}",
            str(each["models"]),
            ", ".join(each["left_out"]),
            each["costs"],
        ]
        for each in tables
    ]
    return markdown(head, lines)


def summary(results: Record) -> str:
    """Markdown: the tables of the README."""
    found, shares = cells(results["draws"]), results["provenance"]["config"]["cost_weights"]
    parts = [
        "All cells; *of full feedback* is the share of its advantage:",
        methods_table(found),
        "Every cell; advantages with standard errors over draws:",
        cells_table(found),
        "The share of full feedback's advantage, and in brackets the advantage, over tables:",
        recovered_table(found),
        "By cost weight over the dearest model's mean cost; in brackets, cells below:",
        weights_table(found, shares),
        "What choosing by query was expected to add to the best single model of the same fit, and "
        "what methods did add to it, over draws and cost weights:",
        expected_table(found),
        "CPU seconds of a fit, median of later calls of a shape, and of first ones, which compile:",
        seconds_table(found),
        "The tables:",
        tables_table(results["tables"]),
    ]
    return "\n\n".join(parts)


def front_table(results: Record) -> str:
    """Markdown: `fit` by logging policy and rows, over the tables; for the project's README."""
    found = cells(results["draws"])
    sizes = sorted({rows for _, _, rows in found})
    head = ["logged by", *(f"{rows:,} rows" for rows in sizes), "cells below"]
    lines = []
    for logging in dict.fromkeys(policy for _, policy, _ in found):
        line = [logging]
        for rows in sizes:
            own = {key: draws for key, draws in found.items() if key[1:] == (logging, rows)}
            each = compare(own, FIT) if own else None
            line.append("" if each is None else _with_share(each))
        every = compare({key: own for key, own in found.items() if key[1] == logging}, FIT)
        assert every is not None
        lines.append([*line, f"{every.below} of {every.cells}"])
    return markdown(head, lines)


def former_table(results: Record) -> str:
    """Markdown: the default beside the method of version 0.1.0, on the same draws."""
    found = cells(results["draws"])
    both = {
        key: [each for each in draws if FORMER in each["values"]] for key, draws in found.items()
    }
    apart = [
        np.mean(np.subtract(each["values"][FIT], each["values"][FORMER]))
        for draws in both.values()
        for each in draws
    ]
    each = compare(both, FORMER)
    assert each is not None
    told = (
        f"{FIT} less {FORMER}, mean over {each.draws} draws of {each.cells} cells and over cost "
        f"weights: {np.mean(apart):+.4f}, from {min(apart):+.4f} to {max(apart):+.4f}; it is ahead "
        f"in {np.mean(np.asarray(apart) > 0):.0%} of them and level in "
        f"{np.mean(np.asarray(apart) == 0):.0%}. Cells of a table share their queries, so that "
        "there is no standard error where a table has one seed."
    )
    head = ["method", "advantage", "draws below 0", "worst draw", "of full feedback"]
    names = methods_of(both, (*FROM_LOG, *OTHERS))
    lines = [_line(name, own) for name in names if (own := compare(both, name))]
    table = markdown(head, [[*line[:4], line[-1]] for line in lines])
    return "\n\n".join([told, table, seconds_table(both)])


def report(results: Record) -> str:
    """Markdown: all tables, with what they compare."""
    parts = [
        "# Logs of several sizes",
        f"Advantages in mean utility over the {BEST.replace(',', '')} of the same log, mean over "
        "cost weights, on every row outside the log. *Below* is by more than one paired standard "
        "error over draws.",
        summary(results),
    ]
    return "\n\n".join(parts) + "\n"


def readmes() -> dict[Path, str]:
    """Both READMEs, with their tables from the committed results."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    made = {README: summary(results), FRONT: front_table(results)}
    pages = {
        path: filled(path.read_text(encoding="utf-8"), tables, mark=MARK)
        for path, tables in made.items()
    }
    former = json.loads(FORMER_RESULTS.read_text(encoding="utf-8"))
    pages[README] = filled(pages[README], former_table(former), mark=FORMER_MARK)
    pages[README] = filled(pages[README], findings(results), mark=FOUND_MARK)
    return pages


def main() -> int:
    """Write the READMEs' tables from the committed results; returns the exit code."""
    for path, text in readmes().items():
        write_text(path, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
