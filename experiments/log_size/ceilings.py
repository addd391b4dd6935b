"""What holds a router from a log below one from full feedback: one thing granted at a time.

`python -m experiments.log_size.ceilings --tables FILE,... --prices FILE` writes `ceilings.json`
beside this file and the README's account of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.log_size.config import SizeConfig
from experiments.log_size.data import Draw, Source, cost_weights_of, draw, fits, read_all, sources
from experiments.log_size.methods import BEST, FIT, FULL, arm_means, full_feedback, single, values
from experiments.ope_coverage.report import filled
from routerjax.cli.terminal import exit_code
from routerjax.pipelines.fit_log import fit
from routerjax.records.logs import Log
from routerjax.records.tables import Table
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text
from routerjax.support.compilation import keep_compiled
from routerjax.support.provenance import dumps, plain, provenance
from routerjax.training.config import FitConfig, NuisanceConfig

HERE = Path(__file__).parent
RESULTS, README, MARK = HERE / "ceilings.json", HERE / "README.md", "ceilings"
ROWS, SEEDS, LOGGING = (2_500, 10_000), 3, ("uniform", "biased", "sharp")
CAPACITIES = {"half the features": (16, 32), "twice the features": (64, 128)}
"""Principal components and landmarks; `fit` has 32 and 64."""
PROPENSITIES = "true propensities"
DIFFICULTY = "difficulty known"
HINDSIGHT = "best features in hindsight"
TASK = "task known"
FULL_TASK = "full feedback, task known"
ENCODER = "MiniLM"
FULL_ENCODER = "full feedback, MiniLM"
OF_LOG = (FIT, PROPENSITIES, *CAPACITIES, HINDSIGHT, DIFFICULTY, TASK, ENCODER)
COLUMNS = (*OF_LOG, FULL, FULL_TASK, FULL_ENCODER)

Record = dict[str, Any]
Cell = tuple[str, str, int]


def chosen(log: Log, made: Draw, cost_weights: tuple[float, ...], **options: Any) -> np.ndarray:
    """[w, t] what a router by `fit` of a log chooses for the draw's test rows."""
    config = FitConfig(cost_weights=cost_weights, evaluation=0.0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        router = fit(log, config=config, drop_unlogged=True)
    place = np.array([made.test.models.index(model) for model in router.models])
    return np.asarray(
        place[router.choices(np.asarray(made.test.features), cost_weights=cost_weights)]
    )


def without_difficulty(made: Draw) -> Log:
    """The draw's log, each quality less the mean quality of all models on that query.

    What is left is what can route; no log knows it.
    """
    common = np.asarray(made.table.quality, np.float64).mean(axis=1)
    low, high = made.log.quality_range
    quality = np.asarray(made.log.quality - common, np.float32)
    return dataclasses.replace(made.log, quality=quality, quality_range=(low - high, high - low))


def with_task(table: Table) -> Table | None:
    """The table, its embeddings with the task of every query appended; None where it has none.

    The biased policies ask a model for what it is good at by task, which embeddings tell in part
    alone: what they do not tell confounds. The indicators vary as much as the embeddings do.
    """
    if table.task is None:
        return None
    names, place = np.unique(np.asarray(table.task), return_inverse=True)
    x, one = np.asarray(table.features, np.float32), np.eye(len(names))[place]
    scale = np.sqrt(x.var(axis=0).sum() / max(one.var(axis=0).sum(), 1e-12))
    both = np.concatenate([x, scale * (one - one.mean(axis=0))], axis=1)
    return table.replace(embeddings=both.astype(np.float32))


def measure(
    source: Source, other: Source | None, config: SizeConfig, *, logging: str, rows: int, seed: int
) -> Record:
    """Utilities [w] on one draw: what `fit` reaches, and with what it could not know.

    Args:
      source: the table.
      other: the same table by another encoder, if there is one.
      config: of the cost weights.
      logging, rows, seed: of the draw.
    """
    weights = cost_weights_of(source.table, config)
    made, known = (
        draw(source.table, logging=logging, rows=rows, seed=seed, recorded=recorded)
        for recorded in (False, True)
    )
    found = {
        BEST: single(arm_means(made.log), weights, len(made.test)),
        FIT: chosen(made.log, made, weights, seed=seed),
        PROPENSITIES: chosen(known.log, made, weights, seed=seed),
        DIFFICULTY: chosen(without_difficulty(made), made, weights, seed=seed),
        FULL: full_feedback(made, weights, seed=seed).choices,
    }
    for name, (components, landmarks) in CAPACITIES.items():
        nuisance = NuisanceConfig(components=components, landmarks=landmarks)
        found[name] = chosen(made.log, made, weights, seed=seed, nuisance=nuisance)
    utilities = {name: values(own, made.test, weights) for name, own in found.items()}
    elsewise = {
        (TASK, FULL_TASK): with_task(source.table),
        (ENCODER, FULL_ENCODER): None if other is None else other.table,
    }
    for names, encoded in elsewise.items():
        if encoded is not None:
            again = draw(encoded, logging=logging, rows=rows, seed=seed, recorded=False)
            both = (
                chosen(again.log, again, weights, seed=seed),
                full_feedback(again, weights, seed=seed).choices,
            )
            own = [values(each, again.test, weights) for each in both]
            utilities |= dict(zip(names, own, strict=True))
    return {
        "table": source.name,
        "logging": logging,
        "rows": rows,
        "seed": seed,
        "values": {name: [round(each, 6) for each in own] for name, own in utilities.items()},
    }


def cells_of(records: Sequence[Record]) -> dict[Cell, list[Record]]:
    """The draws of every table, logging policy and number of rows."""
    found: dict[Cell, list[Record]] = {}
    for each in records:
        found.setdefault((each["table"], each["logging"], each["rows"]), []).append(each)
    return found


def table(records: Sequence[Record]) -> str:
    """Markdown: advantages over the best single model by means, with standard errors over draws."""
    cells = cells_of(records)
    names = [name for name in COLUMNS if name != HINDSIGHT]
    head = ["table", "logging", "rows", *COLUMNS]
    lines = []
    for (name, logging, rows), own in cells.items():
        found = {column: _advantages(own, column) for column in names}
        sizes = [found[column] for column in (FIT, *CAPACITIES)]
        found[HINDSIGHT] = np.max(sizes, axis=0)
        shown = [_shown(found[column]) for column in COLUMNS]
        lines.append([name, logging, f"{rows:,}", *shown])
    return markdown(head, lines)


def _advantages(records: Sequence[Record], method: str) -> np.ndarray:
    """[s] advantage of every draw, mean over cost weights; empty where the method did not run."""
    own = [each["values"] for each in records if method in each["values"]]
    return np.array([np.mean(each[method]) - np.mean(each[BEST]) for each in own])


def _shown(values: np.ndarray) -> str:
    if len(values) < 2:
        return ""
    return f"{values.mean():+.4f} ± {values.std(ddof=1) / len(values) ** 0.5:.4f}"


def said(records: Sequence[Record]) -> str:
    """Markdown: what the table says, every number of it read off the records."""
    cells = cells_of(records)
    found = {cell: _means(own) for cell, own in cells.items()}
    seen = found.values()
    sizes = max(max(each[name] for name in (FIT, *CAPACITIES)) - each[FIT] for each in seen)
    fit, known, full = (
        float(np.mean([each[name] for each in seen])) for name in (FIT, DIFFICULTY, FULL)
    )
    least = [
        f"{name} {_between([found[cell][FULL] for cell in cells if cell[0] == name])}"
        for name in dict.fromkeys(cell[0] for cell in cells)
    ]
    lines = [
        "With *true propensities*, which the default router uses for support alone, `fit` gains "
        f"{_over_fit(found, PROPENSITIES)}.",
        f"*Other sizes of the outcome model* gain {sizes:.4f} at most in a cell, the best of them "
        "taken in hindsight.",
        f"*Difficulty known*: {_over_fit(found, DIFFICULTY)}, on average {known - fit:+.4f} of the "
        f"{full - fit:.4f} that full feedback has more. What is missing is the other models' "
        "answers to the same queries.",
        *(
            f"*{name[0].upper()}{name[1:]}*: {_over_fit(found, name)}."
            for name in (TASK, ENCODER)
            if any(name in each for each in seen)
        ),
        f"*Full feedback* itself adds to the best single model: {', '.join(least)}.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _means(records: Sequence[Record]) -> dict[str, float]:
    """Mean advantage of every method that ran in a cell."""
    found = {name: _advantages(records, name) for name in COLUMNS if name != HINDSIGHT}
    return {name: float(own.mean()) for name, own in found.items() if len(own)}


def _over_fit(found: Mapping[Cell, Mapping[str, float]], method: str) -> str:
    """By table, least and most of what a method has more than `fit` in a cell."""
    gains: dict[str, list[float]] = {}
    for cell, own in found.items():
        if method in own:
            gains.setdefault(cell[0], []).append(own[method] - own[FIT])
    return ", ".join(f"{name} {_between(own)}" for name, own in gains.items())


def _between(values: Sequence[float]) -> str:
    return f"{min(values):+.4f} to {max(values):+.4f}"


def readme_part() -> str:
    """Markdown: what stands between the README's markers, from the committed file."""
    records = json.loads(RESULTS.read_text(encoding="utf-8"))["records"]
    return f"{said(records)}\n\n{table(records)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the results and the README's part; returns the exit code."""
    return exit_code(lambda: _run(arguments), prog="experiments.log_size.ceilings")


def _run(arguments: Sequence[str] | None) -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.log_size.ceilings")
    parser.add_argument("--tables", default="", help="wide tables, FILE,...")
    parser.add_argument("--embeddings", default="", help="their MiniLM embeddings, .npy FILE,...")
    parser.add_argument("--prices", type=Path, help="prices, for tables without costs")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="draws of every cell")
    asked = parser.parse_args(arguments)
    files, beside = (
        tuple(filter(None, each.split(","))) for each in (asked.tables, asked.embeddings)
    )
    config = SizeConfig(queries=20_000, seeds=asked.seeds)
    keep_compiled()
    made = sources(config, files, prices=asked.prices)
    again = [f for f in files if any(Path(e).name.startswith(f"{Path(f).stem}.") for e in beside)]
    others = {
        source.name: source for source in read_all(again, embeddings=beside, prices=asked.prices)
    }
    records = []
    for source in made:
        for rows in (each for each in ROWS if fits(source.table, each)):
            for logging in LOGGING:
                print(f"{source.name}, {logging}, {rows:,} rows", file=sys.stderr)
                records += [
                    measure(
                        source,
                        others.get(source.name),
                        config,
                        logging=logging,
                        rows=rows,
                        seed=seed,
                    )
                    for seed in range(asked.seeds)
                ]
    named = "; ".join(source.name for source in made)
    head = provenance(config=config, seed=0, data=named)
    write_text(RESULTS, dumps({"provenance": head, "records": plain(records)}) + "\n")
    write_text(README, filled(README.read_text(encoding="utf-8"), readme_part(), mark=MARK))


if __name__ == "__main__":
    sys.exit(main())
