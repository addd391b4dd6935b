"""The table and the figure of the loop, made from the committed results.

`python -m experiments.loop.report` writes the README's table and docs/figures/loop.png; with
--check it compares the table.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.loop.run import NEVER, POLICIES
from experiments.ope_coverage.report import filled
from routerjax.reports.style import PAGE, REFERENCE, drawing, looks
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text

HERE = Path(__file__).parent
RESULTS, README = HERE / "results.json", HERE / "README.md"
FIGURE = HERE.parent.parent / "docs" / "figures" / "loop.png"
MARK = "loop"
NOTE = (
    "Mean utility of a round's queries by true means, over seeds, less the best single model's; "
    "bars are standard errors over seeds."
)

Record = dict[str, Any]


def over_best(records: list[Record], name: str, numbers: Sequence[int]) -> np.ndarray:
    """[s] for every seed the mean over rounds of a policy's utility (or the oracle's) less that of
    the best single model: both are of the same queries, so that the difference is paired."""
    policy = POLICIES[0] if name == "oracle" else name
    value = "oracle" if name == "oracle" else "utility"
    found = []
    for seed in sorted({each["seed"] for each in records}):
        own = [
            each[value] - each["best_single"]
            for each in records
            if each["policy"] == policy and each["seed"] == seed and each["round"] in numbers
        ]
        found.append(float(np.mean(own)))
    return np.array(found)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean over seeds and its standard error, NaN of one seed."""
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else math.nan
    return float(values.mean()), float(error)


def rounds_of(records: list[Record]) -> list[int]:
    """The numbers of the rounds."""
    return sorted({each["round"] for each in records})


def _cell(values: np.ndarray) -> str:
    mean, error = mean_and_error(values)
    return f"{mean:+.3f}" if math.isnan(error) else f"{mean:+.3f} ± {error:.3f}"


def table(records: list[Record]) -> str:
    """Markdown: utility over that of the best single model of those offered, the mean of it over
    that of never refitting, and promotions."""
    numbers = rounds_of(records)
    rounds = [f"round {number}" for number in numbers]
    head = ["policy", *rounds, "mean", f"over {NEVER}", "promoted", "explored"]
    lines, plain = [], over_best(records, NEVER, numbers)
    for name in (*POLICIES, "oracle"):
        every = over_best(records, name, numbers)
        cells = [_cell(over_best(records, name, [number])) for number in numbers]
        own = [each for each in records if each["policy"] == name]
        asked = [each for each in own if "promoted" in each]
        promoted = f"{sum(each['promoted'] for each in asked)} of {len(asked)}" if asked else ""
        explored = f"{sum(each['explored'] for each in own):,}" if own else ""
        over = "" if name == NEVER else _cell(every - plain)
        lines.append([name, *cells, _cell(every), over, promoted, explored])
    return markdown(head, lines)


def plot(records: list[Record], path: Path) -> None:
    """Draw the rounds of every policy, with standard errors over seeds."""
    numbers, names = rounds_of(records), [*POLICIES, "oracle"]
    look = looks(names, references=["oracle"])
    with drawing(path, size=(PAGE, 2.6), note=NOTE) as drawn:
        axes = drawn.subplots()
        axes.axhline(0.0, color=REFERENCE, linewidth=0.6)
        for name in names:
            found = [mean_and_error(over_best(records, name, [number])) for number in numbers]
            own = look[name]
            style = {"color": own.colour, "marker": own.marker, "linestyle": own.line}
            errors = np.nan_to_num([error for _, error in found])
            axes.errorbar(
                numbers, [mean for mean, _ in found], yerr=errors, label=name, capsize=2, **style
            )
        axes.set(xlabel="round", ylabel="over the best single model", xticks=numbers)
        drawn.legend(loc="outside upper left", ncols=len(names))


def readme() -> str:
    """The README with the table of the committed results."""
    records = json.loads(RESULTS.read_text(encoding="utf-8"))["rounds"]
    return filled(README.read_text(encoding="utf-8"), table(records), mark=MARK)


def main() -> int:
    """Write the README's table and the figure, or with --check compare; returns the exit code."""
    if "--check" in sys.argv[1:]:
        return int(README.read_text(encoding="utf-8") != readme())
    write_text(README, readme())
    plot(json.loads(RESULTS.read_text(encoding="utf-8"))["rounds"], FIGURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
