"""Does the page that `fit` ends with cover? Logs of a real table, truth from its other rows.

`python -m experiments.ope_coverage.pages TABLE EMBEDDINGS` draws logs of 1,000 rows from a complete
table, fits a router to each with the defaults, and asks for each value on its page whether the
interval holds the mean over the rows that the log does not have. It writes pages.json beside this
file: a quarter of an hour of one core. Without a table it is the embedded one, by whose tasks the
log's policy chooses, once with the column `task` and once without: tasks.json.
"""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.ope_coverage.cell import rounded
from routerjax.artefacts.router import Router
from routerjax.data.io.files import read_table
from routerjax.data.synthetic.logging_policies import noisy_softmax, simulate_log
from routerjax.data.synthetic.table import embedded_table
from routerjax.errors import DataWarning, InputError
from routerjax.pipelines.fit_log import fit
from routerjax.pipelines.lines import Evaluation, evaluation_of
from routerjax.records.logs import Log
from routerjax.records.tables import Table
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text
from routerjax.support.provenance import dumps, plain, provenance
from routerjax.training.config import FitConfig

PAGES, TASKS = (Path(__file__).with_name(f"{name}.json") for name in ("pages", "tasks"))
RECORDED, ESTIMATED, TOLD = "recorded", "estimated", "estimated, task told"
SEED, QUERIES, DIMENSIONS = 2505, 20_000, 64
"""Of the embedded table."""
ROUTER, BEST, TODAY, ADVANTAGE, OVER = "router", "best single", "today", "advantage", "over today"
VALUES = (ROUTER, BEST, TODAY, ADVANTAGE, OVER)
STRENGTHS = {"biased": (3.0, 0.02), "sharp": (6.0, 0.002)}
"""How much the log's policy prefers what is good on average by task, and its least propensity."""


@dataclasses.dataclass(frozen=True)
class PagesConfig:
    """The record of a run.

    Attributes:
      rows: of a log.
      logging: names of `STRENGTHS`.
      propensities: `RECORDED`, `ESTIMATED` from the query, or from it and its task, `TOLD`.
      cost_weights: at which the page is read.
      logs: of every kind.
      seed: of the first log.
    """

    rows: int = 1_000
    logging: tuple[str, ...] = tuple(STRENGTHS)
    propensities: tuple[str, ...] = (RECORDED, ESTIMATED)
    cost_weights: tuple[float, ...] = (0.0, 10.0, 100.0)
    logs: int = 60
    seed: int = 0


def drawn(
    table: Table, config: PagesConfig, *, logging: str, source: str, seed: int
) -> tuple[Log, Table, np.ndarray]:
    """A log of some rows, the other rows, and the log's policy on these, [·, m].

    The log holds the tasks where its propensities are `TOLD` alone.
    """
    strength, floor = STRENGTHS[logging]
    policy = noisy_softmax(strength=strength, floor=min(floor, 0.5 / len(table.models)))
    recorded = source == RECORDED
    every, chances = simulate_log(table, policy, key=jax.random.key(seed), record=recorded)
    every = every if source == TOLD else every.replace(task=None)
    order = np.random.default_rng(seed).permutation(len(table))
    own, others = order[: config.rows], order[config.rows :]
    return every.rows(own), table.rows(others), chances[others]


def measured(
    table: Table, config: PagesConfig, *, logging: str, source: str, seed: int
) -> dict[str, Any]:
    """One log's page: by value and cost weight mean, ends of the interval, and truth."""
    log, others, chances = drawn(table, config, logging=logging, source=source, seed=seed)
    asked = FitConfig(cost_weights=config.cost_weights, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        router = fit(log, config=asked, drop_unlogged=True)
    page = evaluation_of(plain(router.report["evaluation"]))
    truth = _truth(router, others, chances, config.cost_weights)
    return {
        "logging": logging,
        "propensities": source,
        "seed": seed,
        "values": [
            {"value": value, "cost_weight": cost_weight, **found, "truth": rounded(truth[value][k])}
            for k, cost_weight in enumerate(config.cost_weights)
            for value, found in _said(page, cost_weight).items()
        ],
    }


def _truth(
    router: Router, others: Table, chances: np.ndarray, cost_weights: Sequence[float]
) -> dict[str, list[float]]:
    """Means over rows that the log does not have, by value and cost weight."""
    rows, found = np.arange(len(others)), {value: [] for value in VALUES}  # type: ignore[var-annotated]
    choices = router.choices(others.features, cost_weights=cost_weights)
    for choice, cost_weight in zip(choices, cost_weights, strict=True):
        utility = others.estimates.utilities(cost_weight).astype(np.float64)
        place = np.array([others.models.index(name) for name in router.models])
        own = utility[rows, place[choice]].mean()
        best = utility[:, others.models.index(router.best_single_at(cost_weight))].mean()
        today = (chances * utility).sum(axis=1).mean()
        for value, mean in zip(VALUES, (own, best, today, own - best, own - today), strict=True):
            found[value].append(float(mean))
    return found


def _said(page: Evaluation, cost_weight: float) -> dict[str, dict[str, float]]:
    """The page's intervals at a cost weight; none of what it cannot tell."""
    lines = {line.method: line for line in page.lines if line.cost_weight == cost_weight}
    router, best, today = (lines[name] for name in ("router", "best-single-log", "today"))
    intervals = (router.utility, best.utility, today.utility, router.advantage, router.over_today)
    unsupported = (router.unsupported, best.unsupported, 0.0, router.unsupported, 0.0)
    return {
        value: {
            "mean": rounded(each.mean),
            "low": rounded(each.low),
            "high": rounded(each.high),
            "unsupported": rounded(share or 0.0),
        }
        for value, each, share in zip(VALUES, intervals, unsupported, strict=True)
        if each is not None and np.isfinite(each.mean)
    }


def pages(table: Table, config: PagesConfig) -> Iterator[dict[str, Any]]:
    """Every log's page, one seed after the other, so that kinds have as many logs at any time."""
    for seed in range(config.seed, config.seed + config.logs):
        for logging in config.logging:
            for source in config.propensities:
                yield measured(table, config, logging=logging, source=source, seed=seed)


def read(table: str, embeddings: str) -> Table:
    """The complete rows of a wide table, with embeddings made beforehand."""
    return read_table(table, embeddings=embeddings).replace(split=None).complete()


def written(records: Sequence[dict[str, Any]], data: str, config: Any) -> str:
    """The results as JSON, a log a line; config is the record of the run, data what it read."""
    head = provenance(config=config, seed=config.seed, data=data)
    lines = ",\n".join(dumps(each) for each in records)
    return f'{{"provenance": {dumps(head)},\n"logs": [\n{lines}\n]}}\n'


def pages_table(results: dict[str, Any]) -> str:
    """Markdown: coverage, mean error and mean half-width of every value, by kind of log."""
    kinds = list(dict.fromkeys((each["logging"], each["propensities"]) for each in results["logs"]))
    head = ["value", *(f"{logging}, {source}" for logging, source in kinds)]
    lines = []
    for value in VALUES:
        line = [value]
        for kind in kinds:
            own = [
                each
                for log in results["logs"]
                if (log["logging"], log["propensities"]) == kind
                for each in log["values"]
                if each["value"] == value
            ]
            covered = np.mean([each["low"] <= each["truth"] <= each["high"] for each in own])
            off = np.mean([each["mean"] - each["truth"] for each in own])
            half = np.mean([(each["high"] - each["low"]) / 2 for each in own])
            line.append(f"{covered:.2f} ({off:+.3f}, ± {half:.3f})")
        lines.append(line)
    return f"{markdown(head, lines)}\n\n{_claims(results)}"


def _claims(results: dict[str, Any]) -> str:
    """How often the page says that the router is better or worse than the best single model."""
    own = [each for log in results["logs"] for each in log["values"] if each["value"] == ADVANTAGE]
    claimed = sum(not each["low"] <= 0 <= each["high"] for each in own)
    return f"The interval of the advantage leaves out 0 in {claimed} of {len(own)} readings."


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every kind and write pages.json, or tasks.json; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) not in (0, 2):
        print("usage: python -m experiments.ope_coverage.pages [TABLE EMBEDDINGS]", file=sys.stderr)
        return 2
    try:
        table = read(*given) if given else _embedded()
    except InputError as error:
        print(f"pages: {error}", file=sys.stderr)
        return 2
    config = PagesConfig() if given else PagesConfig(propensities=(ESTIMATED, TOLD))
    records = []
    for record in pages(table, config):
        records.append(record)
        print(dumps({name: record[name] for name in ("seed", "logging", "propensities")}))
    write_text(PAGES if given else TASKS, written(records, table.fingerprint, config))
    return 0


def _embedded() -> Table:
    return embedded_table(SEED, queries=QUERIES, dimensions=DIMENSIONS).table


if __name__ == "__main__":
    sys.exit(main())
