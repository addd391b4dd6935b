"""The study on disk: results.json, its tables, and those of the README made from the same file.

`python -m experiments.ope_coverage.report` writes the README's tables from the committed results.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.ope_coverage import prose
from experiments.ope_coverage.cell import BAND, CORRECTED, FEWEST, MOST, TODAY, coverages
from experiments.ope_coverage.config import CoverageConfig
from experiments.ope_coverage.cuts import CUTS, cuts_table
from experiments.ope_coverage.mixed import MIXED, mixed_table
from experiments.ope_coverage.pages import PAGES, TASKS, pages_table
from experiments.ope_coverage.product import PRODUCT, product_table
from experiments.ope_coverage.scores import SCORES, scores_table
from routerjax.errors import InputError
from routerjax.evaluation.off_policy import OFF_POLICY
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text
from routerjax.support.provenance import dumps, plain, provenance

HERE = Path(__file__).parent
RESULTS, README = HERE / "results.json", HERE / "README.md"
SHOWN = (*OFF_POLICY, CORRECTED, TODAY)

Record = dict[str, Any]
Said = Callable[[Record], str]


def write_results(
    path: Path, cells: list[Record], null: list[Record], config: CoverageConfig
) -> Record:
    """Write one JSON document: provenance, the cells, the cells of models alike; returns it."""
    head = provenance(config=config, seed=config.seed, data="drawn by the study")
    results = {"provenance": head, "cells": cells, "null": null}
    lines = [f'"provenance": {dumps(head)}']
    lines += [
        f'"{name}": [\n' + ",\n".join(map(dumps, records)) + "\n]"
        for name, records in (("cells", cells), ("null", null))
    ]
    write_text(path, "{" + ",\n".join(lines) + "}\n")
    return plain(results)


def enough(cell: Record) -> bool:
    """Whether the log's support for the policy is enough, by `FEWEST` and `MOST`."""
    return cell["effective"] >= FEWEST and cell["unsupported"] <= MOST


def coverage_table(cells: Sequence[Record]) -> str:
    """Markdown: mean coverage over cells, lowest and highest, by propensities and rows."""
    columns = sorted({(cell["propensities"], cell["rows"]) for cell in cells}, key=_order)
    head = ["interval", *(f"{source}, {rows:,}" for source, rows in columns)]
    lines = []
    for name in (*SHOWN, BAND):
        parts = [
            coverages([c for c in cells if (c["propensities"], c["rows"]) == column], name)
            for column in columns
        ]
        lines.append([f"`{name}`" if name in OFF_POLICY else name, *map(_range, parts)])
    counts = [
        str(sum((cell["propensities"], cell["rows"]) == column for cell in cells))
        for column in columns
    ]
    flagged = [
        _range([c["flagged"] for c in cells if (c["propensities"], c["rows"]) == column])
        for column in columns
    ]
    return markdown(head, [*lines, ["logs flagged", *flagged], ["kinds of log", *counts]])


def _order(column: tuple[str, int]) -> tuple[bool, int]:
    return column[0] != "recorded", column[1]


def _range(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f"{np.mean(values):.3f} ({min(values):.2f} to {max(values):.2f})"


def error_table(cells: Sequence[Record]) -> str:
    """Markdown: root mean squared error relative to dr, geometric mean over cells."""
    sources = list(dict.fromkeys(cell["propensities"] for cell in cells))
    groups: list[tuple[str, Callable[[Record], bool]]] = [
        ("support is enough", enough),
        ("it is not", lambda cell: not enough(cell)),
    ]
    head = ["estimator", *(f"{source}, {label}" for source in sources for label, _ in groups)]
    lines = []
    for name in (*OFF_POLICY, CORRECTED):
        line = [f"`{name}`" if name in OFF_POLICY else name]
        for source in sources:
            for _, belongs in groups:
                own = [c for c in cells if c["propensities"] == source and belongs(c)]
                line.append(_relative(own, name))
        lines.append(line)
    return markdown(head, lines)


def _relative(cells: Sequence[Record], name: str) -> str:
    """Geometric mean of the estimator's error over that of dr, where both always spoke."""
    ratios = [
        _error(cell["estimators"][name]) / _error(cell["estimators"]["dr"])
        for cell in cells
        if cell["estimators"].get(name, {}).get("silent") == 0
    ]
    return f"{np.exp(np.mean(np.log(ratios))):.2f}" if ratios else ""


def _error(found: Record) -> float:
    return float(np.hypot(found["bias"], found["deviation"]))


def null_table(null: Sequence[Record]) -> str:
    """Markdown: how often the advantage over today excludes 0 where all models are alike."""
    columns = sorted({(cell["propensities"], cell["rows"]) for cell in null}, key=_order)
    head = ["logs", *(f"{source}, {rows:,}" for source, rows in columns)]
    kinds: list[tuple[str, Callable[[Record], bool], Callable[[Record], float]]] = [
        ("support is enough", enough, _excluded),
        ("it is not", lambda cell: not enough(cell), _excluded),
        ("all, flagged logs aside", lambda cell: True, lambda cell: cell["said"]),
    ]
    lines = []
    for label, belongs, share in kinds:
        line = [label]
        for column in columns:
            own = [c for c in null if (c["propensities"], c["rows"]) == column and belongs(c)]
            line.append(_range([share(cell) for cell in own]))
        lines.append(line)
    return markdown(head, lines)


def _excluded(cell: Record) -> float:
    return cell["better"] + cell["worse"]


def full_table(cells: Sequence[Record]) -> str:
    """Markdown: every cell, with the coverage of every estimator."""
    head = [
        "propensities",
        "rows",
        "models",
        "logging",
        "rows depend",
        "ESS",
        "unsupported",
        "flagged",
    ]
    lines = []
    for cell in sorted(cells, key=lambda cell: _order((cell["propensities"], 0))):
        about = [
            cell["propensities"],
            f"{cell['rows']:,}",
            str(cell["models"]),
            cell["logging"],
            cell["dependence"],
            f"{cell['effective']:.0f}",
            f"{cell['unsupported']:.0%}",
            f"{cell['flagged']:.0%}",
        ]
        found = [cell["estimators"].get(name, {}).get("coverage") for name in SHOWN]
        numbers = ["" if each is None else f"{each:.2f}" for each in (*found, cell["band"])]
        lines.append([*about, *numbers])
    return markdown([*head, *SHOWN, BAND], lines)


def summary(results: Record) -> str:
    """Markdown: the tables of the README."""
    cells, null = results["cells"], results["null"]
    supported, others = [c for c in cells if enough(c)], [c for c in cells if not enough(c)]
    parts = []
    if supported:
        parts += ["Coverage where support is enough:", coverage_table(supported)]
    if others:
        parts += ["Coverage where it is not:", coverage_table(others)]
    parts += ["Root mean squared error, as a multiple of that of `dr`:", error_table(cells)]
    parts += [
        "Share of logs, all models alike, on which the interval of the advantage excludes 0:",
        null_table(null),
    ]
    return "\n\n".join(parts)


def report(results: Record) -> str:
    """Markdown: the summary, and the table of every cell."""
    logs = results["cells"][0]["logs"]
    parts = [
        "# Coverage of the intervals of a policy's value",
        f"95 % intervals, {logs} logs a kind. Mean over kinds of log (lowest to highest). Support "
        f"is enough with an effective sample size of {FEWEST} groups or more and at most "
        f"{MOST:.0%} of the policy's choices without support.",
        summary(results),
        "Every kind of log:",
        full_table(results["cells"]),
    ]
    return "\n\n".join(parts) + "\n"


def filled(text: str, tables: str, *, mark: str = "coverage") -> str:
    """The README with the tables between its markers, two comments with the mark.

    Raises:
      InputError: it has no markers.
    """
    first, last = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, start, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not end:
        raise InputError(f"the tables go between {first} and {last}; they are missing")
    return f"{before}{start}\n\n{tables}\n\n{end}{after}"


def readme_tables() -> str:
    """Markdown: the tables of the study of estimators and of pages, from the committed files."""
    results, product, pages = (_read(path) for path in (RESULTS, PRODUCT, PAGES))
    label = "Coverage with the product's own nuisances, propensities estimated:"
    of_pages = (
        "Coverage of the page that `fit` ends with on RouterBench, and in brackets the mean error "
        "and the mean half-width:"
    )
    parts = [summary(results), label, product_table(product), of_pages, pages_table(pages)]
    return "\n\n".join(parts)


def readme_findings() -> str:
    """Markdown: what the study of estimators found, from the committed files."""
    results = _read(RESULTS)
    supported, others = (
        [cell for cell in results["cells"] if enough(cell) is wanted] for wanted in (True, False)
    )
    alike = [cell for cell in results["null"] if enough(cell)]
    return prose.coverage_said(supported, others, alike, _read(PRODUCT))


def readme() -> str:
    """The README with its tables and findings, from the committed files."""
    text = filled(README.read_text(encoding="utf-8"), readme_tables())
    text = filled(text, readme_findings(), mark="found")
    text = filled(text, prose.pages_said(_read(PAGES)), mark="pages")
    parts: tuple[tuple[str, Path, Said, Said], ...] = (
        ("cuts", CUTS, cuts_table, prose.cuts_said),
        ("tasks", TASKS, pages_table, prose.tasks_said),
        ("scores", SCORES, scores_table, prose.scores_said),
        ("mixed", MIXED, mixed_table, prose.mixed_said),
    )
    for mark, path, table, said in parts:
        results = _read(path)
        text = filled(text, f"{table(results)}\n\n{said(results)}", mark=mark)
    return text


def _read(path: Path) -> Record:
    found: Record = json.loads(path.read_text(encoding="utf-8"))
    return found


def main() -> int:
    """Write the README's tables from the committed results; returns the exit code."""
    write_text(README, readme())
    return 0


if __name__ == "__main__":
    sys.exit(main())
