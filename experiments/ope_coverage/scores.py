"""Is a page right where a router runs already, which asks the model of the highest score?

`python -m experiments.ope_coverage.scores` draws logs of such a policy, most rows by the model of
the highest of several linear scores of the query and a few at random, and fits a router to each
with the defaults, and twice more: with propensities by trees alone, as before the logit, and with a
logit that allows for nothing drawn at random. Models answer well where the policy sends them and
badly elsewhere: nothing can be gained, and whoever crosses an edge loses. It writes scores.json
beside this file, in a quarter of an hour of one core.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from jaxtyping import Float

from experiments.ope_coverage.cell import rounded
from experiments.ope_coverage.pages import written
from routerjax.errors import DataWarning
from routerjax.pipelines.fit_log import fit
from routerjax.pipelines.lines import evaluation_of
from routerjax.records.logs import Log
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text
from routerjax.support.provenance import plain
from routerjax.training.config import FitConfig

SCORES = Path(__file__).with_name("scores.json")
RIGHT, WRONG, FIRST = 0.8, 0.2, 0.5
"""Quality of a model where the policy sends it, of any elsewhere, and there of the first one."""
TREES, PLAIN, MIXED = "trees alone", "with a logit", "a part at random"
"""Propensities: as before any logit; on discriminants alone; as `fit` has them."""


class Kind(NamedTuple):
    """A kind of log: numbers of a query, rows, models, and the share that is asked at random."""

    width: int
    rows: int
    models: int
    random: float


@dataclasses.dataclass(frozen=True)
class ScoresConfig:
    """The record of a run.

    Attributes:
      kinds: of the logs.
      others: queries on which the truth is the mean.
      logs: of every kind.
      seed: of the first log.
    """

    kinds: tuple[Kind, ...] = (
        Kind(16, 2_000, 2, 0.03),
        Kind(4, 2_000, 3, 0.03),
        Kind(16, 2_000, 4, 0.03),
        Kind(16, 5_000, 4, 0.03),
        Kind(16, 2_000, 4, 0.2),
        Kind(64, 2_000, 6, 0.03),
        Kind(256, 10_000, 6, 0.03),
    )
    others: int = 20_000
    logs: int = 20
    seed: int = 0


class Drawn(NamedTuple):
    """A log; other queries [n, d], their expected quality [n, m], and what today's policy earns."""

    log: Log
    features: Float[np.ndarray, "n d"]
    quality: Float[np.ndarray, "n m"]
    today: float


def drawn(kind: Kind, config: ScoresConfig, seed: int) -> Drawn:
    """A log of a kind."""
    rng = np.random.default_rng([seed, *kind[:3]])
    count = kind.rows + config.others
    x = rng.normal(size=(count, kind.width)).astype(np.float32)
    best = (x @ rng.normal(size=(kind.width, kind.models))).argmax(axis=1)
    quality = np.full((count, kind.models), WRONG)
    quality[:, 0] = FIRST
    quality[np.arange(count), best] = RIGHT
    at_random = rng.random(count) < kind.random
    arms = np.where(at_random, rng.integers(0, kind.models, count), best)
    answered = rng.random(count) < quality[np.arange(count), arms]
    own, others = slice(kind.rows), slice(kind.rows, None)
    log = Log.from_arrays(
        arms[own],
        answered[own].astype(np.float64),
        np.full(kind.rows, 1e-3),
        models=[f"model {place}" for place in range(kind.models)],
        embeddings=x[own],
    )
    each = quality[others].mean(axis=1)
    today = (1 - kind.random) * RIGHT + kind.random * each.mean()
    return Drawn(log, x[others], quality[others], float(today))


def measured(kind: Kind, config: ScoresConfig, seed: int, propensities: str) -> dict[str, Any]:
    """One log's router at cost weight 0: its page, and the truth."""
    own = drawn(kind, config, seed)
    place = "routerjax.pipelines.logging_policy."
    without: dict[str, Any] = {
        TREES: mock.patch(f"{place}tells", lambda *_: False),
        PLAIN: mock.patch(f"{place}explored_logit", lambda *_: None),
    }
    with without.get(propensities, contextlib.nullcontext()), warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        router = fit(own.log, config=FitConfig(cost_weights=(0.0,), seed=seed))
    page = evaluation_of(plain(router.report["evaluation"]))
    (line,) = page.of("router")
    choice = router.choices(own.features, cost_weights=(0.0,))[0]
    truth = own.quality[np.arange(len(choice)), choice].mean()
    return {
        "kind": kind._asdict(),
        "propensities": propensities,
        "seed": seed,
        "logit": router.logit,
        "mean": rounded(line.quality.mean),
        "low": rounded(line.quality.low),
        "high": rounded(line.quality.high),
        "truth": rounded(truth),
        "over_today": rounded(truth - own.today),
        "said_better": line.verdict == "better",
    }


def logs(config: ScoresConfig) -> Iterator[dict[str, Any]]:
    """Every log, one seed after the other."""
    for seed in range(config.seed, config.seed + config.logs):
        for kind in config.kinds:
            for propensities in (TREES, PLAIN, MIXED):
                yield measured(kind, config, seed, propensities)


def scores_table(results: dict[str, Any]) -> str:
    """Markdown: a line for every kind of log and of propensities."""
    head = ["models", "numbers", "rows", "at random", "propensities", "page − truth", "covered"]
    head += ["truth − today", "said to be better than today"]
    lines = []
    kinds = dict.fromkeys((Kind(**each["kind"]), each["propensities"]) for each in results["logs"])
    for kind, propensities in kinds:
        own = [
            each
            for each in results["logs"]
            if (Kind(**each["kind"]), each["propensities"]) == (kind, propensities)
        ]
        off = [each["mean"] - each["truth"] for each in own]
        covered = sum(each["low"] <= each["truth"] <= each["high"] for each in own)
        better = sum(each["said_better"] for each in own)
        lines.append(
            [
                str(kind.models),
                str(kind.width),
                f"{kind.rows:,}",
                f"{kind.random:.0%}",
                propensities,
                f"{np.mean(off):+.3f}",
                f"{covered} of {len(own)}",
                f"{np.mean([each['over_today'] for each in own]):+.3f}",
                f"{better} of {len(own)}",
            ]
        )
    return markdown(head, lines)


def main(arguments: Sequence[str] = ()) -> int:
    """Measure every kind and write scores.json; returns the exit code."""
    if list(arguments or sys.argv[1:]):
        print("usage: python -m experiments.ope_coverage.scores", file=sys.stderr)
        return 2
    config, records = ScoresConfig(), []
    for record in logs(config):
        records.append(record)
        print(json.dumps(record))
    write_text(SCORES, written(records, "drawn by the study", config))
    return 0


if __name__ == "__main__":
    sys.exit(main())
