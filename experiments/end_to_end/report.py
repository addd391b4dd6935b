"""The tables of the study, and those of the README made from the committed results.

`python -m experiments.end_to_end.report` writes the README's tables and the figure beside it; with
--check nothing is written, and the exit code is 1 where the README is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.end_to_end.compare import (
    CONFIDENCE,
    Cell,
    beside_default,
    cells_of,
    difference,
    differences,
    kept_start,
    over_tables,
)
from experiments.end_to_end.config import EMBEDDED, FULL
from experiments.end_to_end.methods import (
    BEST,
    COLD,
    FULL_COLD,
    PLUG_IN,
    REFERENCES,
    SHOWN,
    WARM,
    base_of,
    name_of,
)
from experiments.ope_coverage.report import filled
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text

HERE = Path(__file__).parent
RESULTS, README, FIGURE = HERE / "results.json", HERE / "README.md", HERE / "end_to_end.png"
MARK = "end to end"

HEADLINE = (
    WARM,
    COLD,
    name_of("classification_bound", "dr", "plug-in"),
    name_of("classification_bound", "dr", "random"),
    name_of("barp", "dr", "plug-in"),
    name_of("barp", "dr", "random"),
    name_of("softmax_regret", "direct", "random"),
    name_of("softmax_regret", "ips", "plug-in"),
    name_of("softmax_regret", FULL, "plug-in"),
    FULL_COLD,
)
"""The ten rows of the first table."""

Record = dict[str, Any]


def parted(cells: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
    """Cells of the embedded world, and of tables."""
    own = [each for each in cells if each.table == EMBEDDED]
    return own, [each for each in cells if each.table != EMBEDDED]


def routers_of(cells: Sequence[Cell]) -> list[str]:
    """Every trained router."""
    return cells[0].methods[len(REFERENCES) :]


def tally(cells: Sequence[Cell], method: str) -> tuple[int, int]:
    """In how many cells a router is ahead, and behind: its interval leaves out 0."""
    verdicts = [difference(each, method).verdict for each in cells]
    return verdicts.count(1), verdicts.count(-1)


def methods_table(cells: Sequence[Cell], names: Sequence[str]) -> str:
    """Markdown: routers less predict-then-choose, over the embedded world and over tables."""
    embedded, tables = parted(cells)
    head = ["surrogate, target, start", "embedded", "ahead, behind", "tables", "ahead, behind"]
    lines = []
    for name in names:
        line = [name]
        for some in (embedded, tables):
            found = over_tables(some, name)
            line += ["", ""] if found is None else [str(found), _tally(some, name)]
        lines.append([*line, f"{kept_start(cells, name):.0%}"])
    return markdown([*head, "kept its start"], lines)


def _tally(cells: Sequence[Cell], name: str) -> str:
    ahead, behind = tally(cells, name)
    return f"{ahead}, {behind} of {len(cells)}"


def cells_table(cells: Sequence[Cell]) -> str:
    """Markdown: every setting; what prediction adds to a single model, and routers to that."""
    names = [name for name in SHOWN if name in routers_of(cells)]
    head = ["table", "setting", "draws", "plug-in over best single", *names]
    of_log = [name for name in routers_of(cells) if f", {FULL}, " not in name]
    lines = []
    for cell in cells:
        lead = differences(cell, PLUG_IN, over=BEST).mean()
        verdicts = [difference(cell, name).verdict for name in of_log]
        lines.append(
            [
                cell.table,
                cell.setting,
                str(len(cell.draws)),
                f"{lead:+.4f}",
                *(str(difference(cell, name)) for name in names),
                f"{verdicts.count(1)}, {verdicts.count(-1)} of {len(of_log)}",
            ]
        )
    return markdown([*head, "routers from the log ahead, behind"], lines)


def weights_table(results: Record, cells: Sequence[Cell]) -> str:
    """Markdown: the difference at every cost weight, mean over cells."""
    shares = results["provenance"]["config"]["cost_weights"]
    names = [name for name in SHOWN if name in routers_of(cells)]
    lines = []
    for label, some in zip(("embedded", "tables"), parted(cells), strict=True):
        for name in names if some else ():
            lines.append([label, name, *(f"{each:+.4f}" for each in _by_weight(some, name))])
    return markdown(["", "router", *(f"{share:g}" for share in shares)], lines)


def _by_weight(cells: Sequence[Cell], name: str) -> np.ndarray:
    pairs = [[each["by_weight"] for each in cell.draws] for cell in cells]
    found = [
        np.mean([np.subtract(own[name], own[base_of(name)]) for own in draws], axis=0)
        for draws in pairs
    ]
    mean: np.ndarray = np.mean(found, axis=0)
    return mean


def sentences(cells: Sequence[Cell]) -> str:
    """What was found, in three sentences."""
    embedded, tables = parted(cells)
    parts = f"{len(embedded)} of the embedded world and {len(tables)} of real tables"
    one = (
        f"1. Of {len(cells)} settings, {parts}, softmax regret on dr utilities, started from the "
        f"plug-in, is {_tallied(cells, WARM)}; held-out rows keep its start in "
        f"{kept_start(cells, WARM):.0%} of the draws, and on average it adds {_means(cells, WARM)}."
    )
    two = (
        f"2. Started at random it is {_tallied(cells, COLD)}, and on average it adds "
        f"{_means(cells, COLD)}."
    )
    three = (
        "3. With every model's answer, where nothing is estimated from a log, softmax regret from "
        f"a random start is {_tallied(cells, FULL_COLD)} against predict-then-choose of full "
        f"feedback, and on average it adds {_means(cells, FULL_COLD)}."
    )
    return "\n".join([one, two, three])


def _tallied(cells: Sequence[Cell], name: str) -> str:
    ahead, behind = tally(cells, name)
    return f"ahead in {ahead}{_where(cells, name)} and behind in {behind}"


def _where(cells: Sequence[Cell], name: str) -> str:
    """In brackets, where a router is ahead, and by how much: the six largest."""
    found = [(each, difference(each, name)) for each in cells]
    best = sorted((pair for pair in found if pair[1].verdict > 0), key=lambda pair: -pair[1].mean)
    told = [f"{cell.table} {cell.setting} {own.mean:+.4f}" for cell, own in best[:6]]
    more = f"; and {len(best) - 6} more" if len(best) > 6 else ""
    return f" ({'; '.join(told)}{more})" if told else ""


def _means(cells: Sequence[Cell], name: str) -> str:
    embedded, tables = parted(cells)
    told = [
        f"{own} {label}"
        for label, some in (("on the embedded world", embedded), ("on tables", tables))
        if (own := over_tables(some, name)) is not None
    ]
    return " and ".join(told)


def default_table(cells: Sequence[Cell]) -> str:
    """Markdown: routers on other outcome models less predict-then-choose with the default one."""
    head = ["table", "setting", "over predict-then-choose with the same model", "with the default"]
    lines = [
        [cell.table, cell.setting, str(difference(cell, WARM)), str(own)]
        for cell, own in beside_default(cells, WARM)
    ]
    return markdown(head, lines)


def tables_table(tables: Sequence[Record]) -> str:
    """Markdown: the tables, and where their costs come from."""
    lines = [
        [each["name"], f"{each['rows']:,}", str(each["models"]), each["costs"]] for each in tables
    ]
    return markdown(["table", "rows", "models", "costs"], lines)


def summary(results: Record) -> str:
    """Markdown: the tables of the README."""
    cells = cells_of(results)
    routers = routers_of(cells)
    first = [name for name in HEADLINE if name in routers]
    draws = len(results["draws"])
    seconds = sum(sum(each["seconds"].values()) for each in results["draws"])
    seeds = sorted({len(each.draws) for each in cells})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    parts = [
        f"Routers less predict-then-choose with the same outcome model, ± one standard error; "
        f"*ahead* and *behind* are by {CONFIDENCE:.0%} intervals that leave out 0 ({draws} draws, "
        f"{count} seeds a setting, {seconds / 60:.0f} minutes of processor time):",
        methods_table(cells, first),
        *([sentences(cells)] if set(SHOWN) <= set(routers) else []),
        "Every setting:",
        cells_table(cells),
        "By cost weight over the dearest model's mean cost:",
        weights_table(results, cells),
    ]
    if WARM in routers and beside_default(cells, WARM):
        label = f"What a better outcome model would have been worth instead ({WARM}):"
        parts += [label, default_table(cells)]
    others = [name for name in routers if name not in first]
    if others:
        parts += ["The other routers:", methods_table(cells, others)]
    if results["tables"]:
        parts += ["The tables:", tables_table(results["tables"])]
    return "\n\n".join(parts)


def report(results: Record) -> str:
    """Markdown: all tables, with what they compare."""
    return f"# End to end against predict-then-choose\n\n{summary(results)}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the README's tables and the figure, or with --check compare; returns the exit code."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    text = README.read_text(encoding="utf-8")
    new = filled(text, summary(results), mark=MARK)
    if "--check" in (sys.argv[1:] if arguments is None else arguments):
        if new != text:
            print(f"{README.name} is not what {RESULTS.name} says; run this without --check")
        return int(new != text)
    from experiments.end_to_end.figure import plot

    write_text(README, new)
    plot(results, FIGURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
