"""The table and the figure of the loop, and those of the README made from the committed results.

`python -m experiments.loop.report` writes the README's table; with --check it compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from experiments.loop.run import POLICIES
from experiments.ope_coverage.report import filled
from routerjax.reports.style import PAGE, REFERENCE, drawing, looks
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text

HERE = Path(__file__).parent
RESULTS, README = HERE / "results.json", HERE / "README.md"
MARK = "loop"
NOTE = "Mean utility of a round's queries by true means, over seeds, less the best single model's."

Record = dict[str, Any]


def over_best(records: list[Record], name: str, number: int) -> float:
    """Mean utility of a policy's round (or of the oracle) over that of the best single model."""
    policy = POLICIES[0] if name == "oracle" else name
    own = [each for each in records if each["policy"] == policy and each["round"] == number]
    value = "oracle" if name == "oracle" else "utility"
    return float(np.mean([each[value] - each["best_single"] for each in own]))


def rounds_of(records: list[Record]) -> list[int]:
    """The numbers of the rounds."""
    return sorted({each["round"] for each in records})


def table(records: list[Record]) -> str:
    """Markdown: utility over that of the best single model of those offered, and promotions."""
    numbers = rounds_of(records)
    head = ["policy", *(f"round {number}" for number in numbers), "mean", "promoted", "explored"]
    lines = []
    for name in (*POLICIES, "oracle"):
        values = [over_best(records, name, number) for number in numbers]
        own = [each for each in records if each["policy"] == name]
        asked = [each for each in own if "promoted" in each]
        promoted = f"{sum(each['promoted'] for each in asked)} of {len(asked)}" if asked else ""
        explored = f"{sum(each['explored'] for each in own):,}" if own else ""
        line = [name, *(f"{value:+.4f}" for value in (*values, float(np.mean(values))))]
        lines.append([*line, promoted, explored])
    return markdown(head, lines)


def plot(records: list[Record], path: Path) -> None:
    """Draw the rounds of every policy."""
    numbers, names = rounds_of(records), [*POLICIES, "oracle"]
    look = looks(names, references=["oracle"])
    with drawing(path, size=(PAGE, 2.6), note=NOTE) as drawn:
        axes = drawn.subplots()
        axes.axhline(0.0, color=REFERENCE, linewidth=0.6)
        for name in names:
            values = [over_best(records, name, number) for number in numbers]
            own = look[name]
            style = {"color": own.colour, "marker": own.marker, "linestyle": own.line}
            axes.plot(numbers, values, label=name, **style)
        axes.set(xlabel="round", ylabel="over the best single model", xticks=numbers)
        drawn.legend(loc="outside upper left", ncols=len(names))


def readme() -> str:
    """The README with the table of the committed results."""
    records = json.loads(RESULTS.read_text(encoding="utf-8"))["rounds"]
    return filled(README.read_text(encoding="utf-8"), table(records), mark=MARK)


def main() -> int:
    """Write the README's table, or with --check compare; returns the exit code."""
    if "--check" in sys.argv[1:]:
        return int(README.read_text(encoding="utf-8") != readme())
    write_text(README, readme())
    return 0


if __name__ == "__main__":
    sys.exit(main())
