"""Is a model that today's policy never asks on part of the queries trusted there?

`python -m experiments.ope_coverage.cuts TABLE EMBEDDINGS` draws logs whose policy never asks one
model where a score of the query is low, or on some kinds of queries, fits a router to each with the
defaults, and compares its page with the truth on other queries. The score is one number of the
embedding, a product of two, how far out the query lies, a sum of all numbers with random weights,
or, on the complete table, what a ridge regression on other rows of it expects the model to be
better than the rest. Kinds are clouds of queries about centres, and no column names them. It writes
cuts.json beside this file, in minutes of one core.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from experiments.ope_coverage.cell import rounded
from experiments.ope_coverage.pages import read, written
from routerjax.artefacts.router import Router
from routerjax.data.synthetic.logging_policies import simulate_log
from routerjax.errors import DataWarning, InputError
from routerjax.models.propensity import supported
from routerjax.pipelines.fit_log import fit
from routerjax.pipelines.lines import evaluation_of
from routerjax.records.logs import Log
from routerjax.records.tables import Table
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text
from routerjax.support.provenance import plain
from routerjax.training.config import FitConfig

CUTS = Path(__file__).with_name("cuts.json")
NUMBER, PRODUCT, FAR = "one number", "a product of two", "how far out"
SUM, TABLE = "a sum", "a score on RouterBench"
KINDS = "kinds of queries"
COUNT, UNASKED, SPREAD = 30, 4, 0.35
"""Kinds, those of which the model is never asked, and how far their queries lie from a centre."""
COSTS = (4e-3, 1e-3)
RIGHT, WRONG = 0.95, 0.05
"""Quality of the model on both sides of the cut; that of the others falls from `OTHERS`."""
OTHERS = (0.72, 0.5)


class Kind(NamedTuple):
    """A kind of log: what the policy cuts, of how many numbers, rows and models."""

    cut: str
    width: int
    rows: int
    models: int


@dataclasses.dataclass(frozen=True)
class CutsConfig:
    """The record of a run.

    Attributes:
      kinds: of the logs; those of the table take its width and models.
      share: of the queries that lie on the side where the model is never asked.
      others: queries on which the truth is the mean.
      scored: rows of the table that today's policy learnt its score from.
      logs: of every kind.
      seed: of the first log.
    """

    kinds: tuple[Kind, ...] = (
        Kind(NUMBER, 8, 1_000, 3),
        Kind(NUMBER, 8, 1_200, 12),
        Kind(PRODUCT, 8, 1_000, 3),
        Kind(PRODUCT, 8, 1_500, 8),
        Kind(FAR, 8, 1_200, 5),
        Kind(SUM, 8, 1_000, 3),
        Kind(SUM, 16, 1_500, 5),
        Kind(SUM, 64, 2_000, 3),
        Kind(SUM, 64, 10_000, 3),
        Kind(SUM, 8, 1_200, 12),
        Kind(SUM, 16, 1_200, 10),
        Kind(SUM, 64, 2_000, 8),
        Kind(KINDS, 32, 1_500, 5),
        Kind(KINDS, 32, 3_000, 5),
        Kind(KINDS, 128, 5_000, 8),
        Kind(TABLE, 0, 1_000, 0),
    )
    share: float = 0.5
    others: int = 8_000
    scored: int = 1_000
    logs: int = 20
    seed: int = 0


class Drawn(NamedTuple):
    """A log, and queries that it does not hold.

    Attributes:
      log: whose policy chooses evenly among the models it may ask.
      features: [n, d] of the others.
      quality: [n, m] their expected quality.
      below: [n] True where the policy never asks the model.
      model: position of that model.
    """

    log: Log
    features: Float[np.ndarray, "n d"]
    quality: Float[np.ndarray, "n m"]
    below: Bool[np.ndarray, " n"]
    model: int


def drawn(kind: Kind, config: CutsConfig, seed: int, table: Table | None) -> Drawn:
    """A log of a kind; the table is needed by its own alone."""
    rng = np.random.default_rng([seed, kind.rows, kind.width, kind.models])
    if kind.cut == TABLE:
        assert table is not None
        return _of_table(table, kind, config, rng)
    count, width, last = kind.rows + config.others, kind.width, kind.models - 1
    x, below = _queries(kind, count, config, rng)
    ease = 0.1 * np.tanh(x @ rng.normal(size=(width, kind.models)) / np.sqrt(width))
    quality = np.clip(np.linspace(*OTHERS, kind.models) + ease, 0.02, 0.98)
    quality[:, last] = np.where(below, WRONG, RIGHT)
    answered = Table.from_arrays(
        (rng.random(count)[:, None] < quality).astype(np.float32),
        np.broadcast_to(np.geomspace(*COSTS, kind.models), quality.shape),
        models=[f"model {place}" for place in range(kind.models)],
        embeddings=x,
    )
    own, others = np.split(np.arange(count), [kind.rows])
    log = _logged(answered.rows(own), below[own], last, seed)
    return Drawn(log, x[others], quality[others], below[others], last)


def _queries(
    kind: Kind, count: int, config: CutsConfig, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
    """Embeddings, and True where the policy never asks the model."""
    x = rng.normal(size=(count, kind.width)).astype(np.float32)
    if kind.cut == KINDS:
        centres, own = rng.normal(size=(COUNT, kind.width)), rng.integers(0, COUNT, count)
        return (centres[own] + SPREAD * x).astype(np.float32), own < UNASKED
    score = _score(kind, x, rng)
    return x, score < np.quantile(score, config.share)


def _score(kind: Kind, x: np.ndarray, rng: np.random.Generator) -> Float[np.ndarray, " n"]:
    """What the policy cuts, of queries x [n, d]."""
    if kind.cut == SUM:
        return np.asarray(x @ rng.normal(size=kind.width))
    found: np.ndarray = {NUMBER: x[:, 0], PRODUCT: x[:, 0] * x[:, 1], FAR: (x**2).mean(axis=1)}[
        kind.cut
    ]
    return found


def _of_table(table: Table, kind: Kind, config: CutsConfig, rng: np.random.Generator) -> Drawn:
    """The model is the best on average; the policy learnt on rows of their own what suits it."""
    order = rng.permutation(len(table))
    learnt, own, others = np.split(order, (config.scored, config.scored + kind.rows))
    x, quality = np.asarray(table.features), np.asarray(table.quality, np.float64)
    model = int(quality[learnt].mean(axis=0).argmax())
    gain = quality[:, model] - np.delete(quality, model, axis=1).mean(axis=1)
    score = x @ _ridge(x[learnt], gain[learnt])
    below = score < np.quantile(score[learnt], config.share)
    log = _logged(table.rows(own), below[own], model, int(rng.integers(1 << 31)))
    return Drawn(log, x[others], quality[others], below[others], model)


def _ridge(x: np.ndarray, label: np.ndarray) -> Float[np.ndarray, " d"]:
    """Slopes of a ridge regression of the strength of the features' mean variance."""
    away = x - x.mean(axis=0)
    square = away.T @ away
    strength = np.trace(square) / len(square) * np.eye(len(square))
    slopes: np.ndarray = np.linalg.solve(square + strength, away.T @ (label - label.mean()))
    return slopes


def _logged(table: Table, below: np.ndarray, model: int, seed: int) -> Log:
    """Every row by one of the models that may be asked of it, each as likely."""

    def evenly(rows: Table, key: jax.Array) -> np.ndarray:
        may = np.ones(np.shape(rows.quality))
        may[below, model] = 0
        return may / may.sum(axis=1, keepdims=True)

    return simulate_log(table, evenly, key=jax.random.key(seed), record=False)[0]


def measured(kind: Kind, config: CutsConfig, seed: int, table: Table | None) -> dict[str, Any]:
    """One log's router at cost weight 0: its page, the truth, and where it trusts the model."""
    own = drawn(kind, config, seed, table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        router = fit(own.log, config=FitConfig(cost_weights=(0.0,), seed=seed))
    page = evaluation_of(plain(router.report["evaluation"]))
    (line,) = page.of("router")
    choice = router.choices(own.features, cost_weights=(0.0,))[0]
    trusted = _trusted(router, own)
    rows = np.arange(len(choice))
    return {
        "kind": kind._asdict(),
        "seed": seed,
        "trusted_below": rounded(trusted[own.below].mean()),
        "trusted_above": rounded(trusted[~own.below].mean()),
        "mean": rounded(line.quality.mean),
        "low": rounded(line.quality.low),
        "high": rounded(line.quality.high),
        "truth": rounded(own.quality[rows, choice].mean()),
        "best_single": rounded(own.quality.mean(axis=0).max()),
    }


def _trusted(router: Router, own: Drawn) -> Bool[np.ndarray, " n"]:
    """Whether the router may choose the model, on each of the other queries."""
    propensities = router.arrays.propensities
    assert propensities is not None
    x = jnp.asarray(router.arrays.scaling(own.features))
    known = np.asarray(supported(jax.tree.map(jnp.asarray, propensities), x))
    return known[:, router.models.index(own.log.models[own.model])]


def logs(table: Table | None, config: CutsConfig) -> Iterator[dict[str, Any]]:
    """Every log, one seed after the other."""
    for seed in range(config.seed, config.seed + config.logs):
        for kind in config.kinds:
            yield measured(kind, config, seed, table)


def cuts_table(results: dict[str, Any]) -> str:
    """Markdown: a line for every kind of log."""
    head = [
        "the policy cuts",
        "numbers",
        "rows",
        "models",
        "trusted below",
        "trusted above",
        "page − truth",
        "most",
        "covered",
        "truth − best single",
    ]
    lines = []
    for kind in dict.fromkeys(Kind(**each["kind"]) for each in results["logs"]):
        own = [each for each in results["logs"] if Kind(**each["kind"]) == kind]
        off = np.array([each["mean"] - each["truth"] for each in own])
        covered = [each["low"] <= each["truth"] <= each["high"] for each in own]
        lead = [each["truth"] - each["best_single"] for each in own]
        lines.append(
            [
                kind.cut,
                str(kind.width or ""),
                f"{kind.rows:,}",
                str(kind.models or ""),
                f"{np.mean([each['trusted_below'] for each in own]):.0%}",
                f"{np.mean([each['trusted_above'] for each in own]):.0%}",
                f"{off.mean():+.3f}",
                f"{off.max():+.3f}",
                f"{sum(covered)} of {len(own)}",
                f"{np.mean(lead):+.3f}",
            ]
        )
    return markdown(head, lines)


def main(arguments: Sequence[str] = ()) -> int:
    """Measure every kind and write cuts.json; returns the exit code."""
    given = list(arguments or sys.argv[1:])
    if len(given) != 2:
        print("usage: python -m experiments.ope_coverage.cuts TABLE EMBEDDINGS", file=sys.stderr)
        return 2
    config = CutsConfig()
    try:
        table = read(*given)
    except InputError as error:
        print(f"cuts: {error}", file=sys.stderr)
        return 2
    records = []
    for record in logs(table, config):
        records.append(record)
        print(json.dumps(record))
    write_text(CUTS, written(records, table.fingerprint, config))
    return 0


if __name__ == "__main__":
    sys.exit(main())
