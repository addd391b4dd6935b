"""Committed results of the study: small files, the README's tables and expected.json made of them.

`python -m experiments.causal_routing.recorded --add NAME RESULTS` keeps the scores of a run as
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
from experiments.causal_routing import changes
from experiments.causal_routing.config import Orbit
from experiments.causal_routing.parts import parts
from experiments.causal_routing.roles import BASE, CEILING
from experiments.causal_routing.summary import COLUMNS, FIRST, MOST_ROWS, PLUG_INS
from experiments.expected import Line, Ours
from experiments.ope_coverage.report import filled
from routerjax.reports.scores import scores
from routerjax.reports.tables import markdown

HERE = Path(__file__).parent
RECORDED, EXPECTED, README = HERE / "recorded", HERE / "expected.json", HERE / "README.md"
SCORES = ("utility", "peak_score", "qnc", "area")
COMPARED = {"paper": "the paper's method", "routerjax": "our defaults"}
"""The runs whose methods are compared with each other, by name, and what they are called."""
PAIRS = (
    (PLUG_INS[0], BASE),
    ("rm-classification-dr", BASE),
    ("rm-softmax-dr", BASE),
    ("rm-softmax-dr", PLUG_INS[0]),
    (CEILING, PLUG_INS[1]),
)
"""Methods whose mean utilities are compared, seed by seed."""

CONFOUNDED = {"confounded": "estimated", "confounded_recorded": "recorded"}
"""Runs with and without a hidden cause of the choice, by what is known of the propensities."""
MISLED = (
    "best-single-log",
    "knn-plug-in",
    "regression-plug-in",
    "rm-softmax-direct",
    "rm-softmax-dr",
)

Record = dict[str, Any]


def condensed(folder: Path) -> Record:
    """The scores of a run's folder, a value a seed, under its provenance."""
    lines = (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    head, *records = map(json.loads, lines)
    head["config"] = expected.without_folders(head["config"])
    found = []
    for part in parts(records):
        each = scores(part.results, part.references, columns=COLUMNS)
        methods = {
            method: {name: np.round(each[name][method], 5).tolist() for name in SCORES}
            for method in each["utility"]
        }
        best = [float(np.max(r["mean_quality"])) for r in part.references]
        found.append(
            {
                "logging": part.logging,
                "rows": part.rows,
                "best_single_quality": np.round(best, 5).tolist(),
                "methods": methods,
            }
        )
    return {"provenance": head, "parts": found}


def kept() -> dict[str, Record]:
    """What is committed, by name."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(RECORDED.glob("*.json"))
    }


def ours_of(line: Line, results: dict[str, Record]) -> Ours | None:
    """Our value of a line: the mean over the seeds of the run it names.

    Published values are ORBIT's: with another encoder in its place the data are not the same.
    """
    run = results.get(line.get("recorded") or "")
    if run is None:
        return None
    config = run["provenance"]["config"]
    own = run["parts"][0]["methods"].get(line["method"])
    if own is None:
        return None
    values = np.array([_number(each) for each in own[line["score"]]])
    name = config["dataset"] or Path(config["table"] or "embedded").stem
    on = f"{name}, {config['seeds']} seeds"
    known = values[np.isfinite(values)]
    same = config["dataset"] == line["dataset"] and config["encoder"] == Orbit().encoder
    if len(known) < len(values):
        on += f", reached in {len(known)}" if len(known) else ", never reached"
    return Ours(float(known.mean()) if len(known) else float("nan"), on, same)


def _number(value: Any) -> float:
    return np.nan if value is None or isinstance(value, str) else float(value)


def scores_table(run: Record) -> str:
    """Markdown: mean and standard error over seeds of a run's scores, at most ten rows a policy."""
    head = ["logging", "method", *(COLUMNS[name].title for name in SCORES)]
    lines = []
    for part in run["parts"]:
        kept = [name for name in FIRST if name in part["methods"]][:MOST_ROWS]
        for method, each in part["methods"].items():
            if method not in kept:
                continue
            lines.append([part["logging"], method, *(_cell(each[name]) for name in SCORES)])
    return markdown(head, lines)


def differences_table(results: dict[str, Record]) -> str:
    """Markdown: differences of mean utility within a run and between runs, paired by seed."""
    runs = {name: results[name] for name in COMPARED if name in results}
    policies = [part["logging"] for part in next(iter(runs.values()))["parts"]]
    lines = []
    for name, run in runs.items():
        for one, other in PAIRS:
            each = [
                _utility(run, policy, one) - _utility(run, policy, other) for policy in policies
            ]
            lines.append([COMPARED[name], one, other, *map(_difference, each)])
    if len(runs) == len(COMPARED):
        first, second = runs
        for method in dict.fromkeys(one for one, _ in PAIRS):
            own, former = (
                [_utility(runs[n], p, method) for p in policies] for n in (second, first)
            )
            each = [a - b for a, b in zip(own, former, strict=True)]
            lines.append(
                [
                    COMPARED[second],
                    method,
                    f"the same by {COMPARED[first]}",
                    *map(_difference, each),
                ]
            )
    return markdown(["run", "method", "less", *policies], lines)


def confounding_table(results: dict[str, Record]) -> str:
    """Markdown: mean utility with a hidden cause, and less that without it, paired by seed."""
    head = ["propensities", "method", "with a hidden cause", "less without it"]
    lines = []
    for name, label in CONFOUNDED.items():
        for method in MISLED:
            own, other = (_utility(results[name], p, method) for p in ("confounded", "quality"))
            lines.append([label, method, _cell(own.tolist()), _difference(own - other)])
    return markdown(head, lines)


def _utility(run: Record, policy: str, method: str) -> np.ndarray:
    (part,) = (each for each in run["parts"] if each["logging"] == policy)
    return np.array(part["methods"][method]["utility"])


def _difference(values: np.ndarray) -> str:
    return f"{values.mean():+.4f} ± {values.std(ddof=1) / np.sqrt(len(values)):.4f}"


def _cell(values: Sequence[Any]) -> str:
    found = np.array([_number(each) for each in values])
    known = found[np.isfinite(found)]
    if len(known) < len(found):
        return f"reached in {len(known)} of {len(found)}" if len(known) else "never"
    error = known.std(ddof=1) / np.sqrt(len(known)) if len(known) > 1 else np.nan
    return f"{known.mean():.4f}" + ("" if np.isnan(error) else f" ± {error:.4f}")


def files() -> dict[Path, str]:
    """README and expected.json as the committed results would have them."""
    results = kept()
    lines = expected.filled(expected.read(EXPECTED), lambda line: ours_of(line, results))
    text = filled(README.read_text(encoding="utf-8"), expected.table(lines), mark="expected")
    for name, run in results.items():
        if name not in CONFOUNDED:
            made = changes.table(run) if name == "changes" else scores_table(run)
            text = filled(text, made, mark=name)
    text = filled(text, confounding_table(results), mark="confounding")
    text = filled(text, differences_table(results), mark="differences")
    return {EXPECTED: expected.text_of(lines), README: text}


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep a run, or write or check what is made of the kept ones; returns the exit code."""
    return expected.command("causal_routing", RECORDED, condensed, files, arguments)


if __name__ == "__main__":
    sys.exit(main())
