"""Committed results of the study: small files, the README's tables and expected.json made of them.

`python -m experiments.meta_router.recorded --add NAME RESULTS` keeps the areas of a run as
recorded/NAME.json; without arguments the README and expected.json are written from what is kept,
and with `--check` nothing is written, and the exit code is 1 where one of them is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments import expected
from experiments.expected import Line, Ours
from experiments.meta_router import bias_error, mixed_logs
from experiments.meta_router.config import PUBLISHED_GOLD
from experiments.meta_router.report import MOST_ROWS, NAMES, mean_and_error, ranked
from experiments.ope_coverage.report import filled
from routerjax.reports.tables import markdown

HERE = Path(__file__).parent
RECORDED, EXPECTED, README = HERE / "recorded", HERE / "expected.json", HERE / "README.md"
AUTHORS = "healthbench"
"""Name of the run on the authors' own labels, the one that may be compared with the figure."""
OTHER_TABLES = {"bias_error": bias_error.table, "mixed_logs": mixed_logs.table}
"""By name: what makes the table of a kept file that is no run of the study itself."""

Record = dict[str, Any]


def condensed(folder: Path) -> Record:
    """Areas of every run, peaks of the mean curves and mean ω, under the provenance."""
    lines = (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    head, *records = map(json.loads, lines)
    head["config"] = expected.without_folders(head["config"])
    settings: list[Record] = []
    for data, gold in dict.fromkeys((r["data"], r["gold_rows"]) for r in records):
        own = [r for r in records if (r["data"], r["gold_rows"]) == (data, gold)]
        methods = {}
        for method in dict.fromkeys(r["method"] for r in own):
            runs = [r for r in own if r["method"] == method and r["kind"] == "run"]
            (curve,) = (r for r in own if r["method"] == method and r["kind"] == "curve")
            place = int(np.argmax(curve["mean"]))
            methods[method] = {
                "areas": np.round([r["area"] for r in runs], 4).tolist(),
                "peak": round(curve["mean"][place], 4),
                "at": round(curve["ratio"][place], 2),
                "omega": _mean([r["omega"] for r in runs]),
            }
        settings.append({"data": data, "gold_rows": gold, "methods": methods})
    return {"provenance": head, "settings": settings}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 3) if known else None


def ours_of(line: Line, results: dict[str, Record]) -> Ours | None:
    """Our value of a line at the published number of gold rows, on the authors' labels alone."""
    run = results.get(line.get("recorded") or "")
    if run is None:
        return None
    for setting in run["settings"]:
        if setting["gold_rows"] == PUBLISHED_GOLD and line["method"] in setting["methods"]:
            own = setting["methods"][line["method"]]
            value = own["peak"] if line["score"] == "peak" else float(np.mean(own["areas"]))
            return Ours(value, f"{len(own['areas'])} runs", line["recorded"] == AUTHORS)
    return None


def table(run: Record) -> str:
    """Markdown: at most ten rows a setting, mean ± standard error over runs."""
    head = ["data", "gold", "method", "area", "less gold only", "less pooled", "peak", "mean ω"]
    lines = []
    for setting in run["settings"]:
        methods = setting["methods"]
        for name in ranked(methods)[:MOST_ROWS]:
            own = methods[name]
            areas = np.array(own["areas"])
            cells = [_cell(areas, "")]
            for base in ("gold_only", "pooled"):
                difference = areas - np.array(methods[base]["areas"])
                cells.append("" if name == base else _cell(difference, "+"))
            omega = "" if own["omega"] is None else f"{own['omega']:.2f}"
            about = [setting["data"], str(setting["gold_rows"]), NAMES[name]]
            lines.append([*about, *cells, f"{own['peak']:.3f}", omega])
    return markdown(head, lines)


def _cell(values: np.ndarray, sign: str) -> str:
    mean, error = mean_and_error(values)
    return f"{mean:{sign}.4f} ± {error:.4f}"


def files() -> dict[Path, str]:
    """README and expected.json as the committed results would have them."""
    results = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(RECORDED.glob("*.json"))
    }
    lines = expected.filled(expected.read(EXPECTED), lambda line: ours_of(line, results))
    text = filled(README.read_text(encoding="utf-8"), expected.table(lines), mark="expected")
    for name, run in results.items():
        text = filled(text, OTHER_TABLES.get(name, table)(run), mark=name)
    return {EXPECTED: expected.text_of(lines), README: text}


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep a run, or write or check what is made of the kept ones; returns the exit code."""
    return expected.command("meta_router", RECORDED, condensed, files, arguments)


if __name__ == "__main__":
    sys.exit(main())
