"""The tables of the comparison, and those of the README made from the committed results.

`python -m experiments.encoders.report` writes the README's tables.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.log_size.compare import mean_and_error
from experiments.log_size.methods import BEST, FIT, FULL
from experiments.ope_coverage.report import filled
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text

HERE = Path(__file__).parent
RESULTS, README = HERE / "results.json", HERE / "README.md"
MARK = "encoders"

Record = dict[str, Any]


def per_draw(record: Record, method: str, logging: str) -> np.ndarray:
    """[s] mean utility over cost weights, a number a seed."""
    draws = sorted(record["draws"], key=_seed)
    return np.array(
        [np.mean(each["values"][method]) for each in draws if each["logging"] == logging]
    )


def _seed(draw: Record) -> int:
    return int(draw["seed"])


def report(results: Record) -> str:
    """Markdown: seconds, utilities and paired differences to the first encoder."""
    records: Sequence[Record] = results["encoders"]
    head = ["table", "logging", "encoder", "width", "CPU seconds per 1,000 prompts"]
    head += ["best single", "fit", "full feedback", "fit, less the first encoder's"]
    lines = []
    for record in records:
        first = next(each for each in records if each["table"] == record["table"])
        for logging in dict.fromkeys(each["logging"] for each in record["draws"]):
            fit = per_draw(record, FIT, logging)
            against = fit - per_draw(first, FIT, logging)
            lines.append(
                [
                    record["table"],
                    logging,
                    record["encoder"],
                    str(record["width"]),
                    f"{record['seconds']['cpu']:.2f}",
                    f"{per_draw(record, BEST, logging).mean():.3f}",
                    _with_error(fit),
                    _with_error(per_draw(record, FULL, logging)),
                    "" if record is first else _with_error(against, signed=True),
                ]
            )
    return markdown(head, lines)


def _with_error(values: np.ndarray, *, signed: bool = False) -> str:
    mean, error = mean_and_error(values)
    return f"{mean:{'+' if signed else ''}.4f} ± {error:.4f}"


def readme_tables() -> str:
    """Markdown: what stands between the README's markers, from the committed results."""
    return report(json.loads(RESULTS.read_text(encoding="utf-8")))


def main() -> int:
    """Write the README's tables from the committed results; returns the exit code."""
    text = README.read_text(encoding="utf-8")
    write_text(README, filled(text, readme_tables(), mark=MARK))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
