"""Do the intervals of a page hold where a judge scored most rows and gold scores are few?

`python -m experiments.ope_coverage.mixed` fits a router to one log of each kind and evaluates it on
five hundred others, whose scores are a judge's but for a share of gold ones. The judge is lenient
with the answers of every other model, so that its scores taken as they are rank models wrongly. It
writes mixed.json beside this file, in half an hour of one core.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from experiments.ope_coverage.cell import rounded
from experiments.ope_coverage.world import MAIN, World, draw
from routerjax.artefacts.router import Router
from routerjax.errors import DataWarning
from routerjax.pipelines.evaluate import evaluate
from routerjax.pipelines.fit_log import fit
from routerjax.records.logs import Log
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text
from routerjax.support.provenance import dumps, provenance
from routerjax.training.config import FitConfig

MIXED = Path(__file__).with_name("mixed.json")
RIGHT, STRICT, LENIENT = 0.9, 0.1, 0.5
"""How often the judge calls an answer right: one that is, a wrong one, and one of a model that it
is lenient with."""
BY_SOURCE, BESIDE, AS_THEY_ARE = "in place", "beside", "as they are"
"""Gold scores in place of the judge's (`--gold-column scored_by=gold`), in a column beside them
(`--gold-column gold_quality`), and all scores taken as they are."""
VALUES = ("router", "today", "advantage", "over_today")
GOLD, JUDGE = "gold", "judge"


class Kind(NamedTuple):
    """A kind of log: rows, models, and the share of the rows with a gold score."""

    rows: int
    models: int
    gold: float


@dataclasses.dataclass(frozen=True)
class MixedConfig:
    """The record of a run.

    Attributes:
      kinds: of the logs.
      logging: the policy that wrote them.
      logs: of every kind.
      fitted: rows of the log that a router is fitted to.
      others: queries on which the router's truth is the mean.
      seed: of the first log.
    """

    kinds: tuple[Kind, ...] = (Kind(500, 2, 0.2), Kind(2_000, 2, 0.1), Kind(2_000, 5, 0.1))
    logging: str = "biased"
    logs: int = 500
    fitted: int = 2_000
    others: int = 200_000
    seed: int = 0


def logs_of(
    world: World, config: MixedConfig, rng: np.random.Generator, kind: Kind, scores: str
) -> Log:
    """One log, its scores as said."""
    own = draw(world, rng, logs=1, rows=kind.rows, logging=config.logging, dependence="independent")
    arms, right = own.arms[0], own.quality[0]
    judge = judged(right, arms, rng)
    known = rng.random(kind.rows) < kind.gold
    more: dict[str, Any] = {"gold_quality": np.where(known, right, np.nan)}
    if scores != BESIDE:
        more = {"scored_by": np.where(known, GOLD, JUDGE).tolist()}
        judge = np.where(known, right, judge)
    return Log.from_arrays(
        arms,
        judge,
        own.cost[0],
        models=[f"model {place}" for place in range(kind.models)],
        embeddings=own.features[0, :, 1:].astype(np.float32),
        **more,
    )


def judged(
    right: Float[np.ndarray, " n"], arms: Int[np.ndarray, " n"], rng: np.random.Generator
) -> Float[np.ndarray, " n"]:
    """Scores of the judge."""
    lenient = np.where(arms % 2 == 0, STRICT, LENIENT)
    chance = np.where(right == 1, RIGHT, lenient)
    return (rng.random(len(right)) < chance).astype(np.float64)


def truths(world: World, router: Router, config: MixedConfig) -> dict[str, float]:
    """Utility of the router and of today's policy at `MAIN`, and the router's differences."""
    u, v = np.random.default_rng([config.seed, 1]).uniform(-1, 1, (2, config.others))
    queries = np.stack([u, v], axis=1).astype(np.float32)
    arms = router.choices(queries, cost_weights=(MAIN,))[0]
    single = router.models.index(router.best_single_at(MAIN))

    def utility(chosen: Int[np.ndarray, " q"]) -> float:
        cost = world.costs[chosen] * (1 + v / 2)
        return float((world.quality(u, v, chosen) - MAIN * cost).mean())

    quality, cost = world.today(config.logging)
    own, base, today = utility(arms), utility(np.full(len(u), single)), quality - MAIN * cost
    return {"router": own, "today": today, "advantage": own - base, "over_today": own - today}


def study(config: MixedConfig) -> Iterator[dict[str, Any]]:
    """One record a kind and way to take the scores: coverage and width of every value."""
    for kind in config.kinds:
        world = World(kind.models)
        place = [config.seed, kind.rows, kind.models]
        learnt = logs_of(
            world, config, np.random.default_rng(place), kind._replace(rows=config.fitted), BESIDE
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            router = fit(learnt, config=FitConfig(cost_weights=(0.0, MAIN), seed=config.seed))
            truth = truths(world, router, config)
            for scores in (BY_SOURCE, BESIDE, AS_THEY_ARE):
                rng = np.random.default_rng([*place, 1])
                logs = (logs_of(world, config, rng, kind, scores) for _ in range(config.logs))
                yield {
                    **kind._asdict(),
                    "scores": scores,
                    "logs": config.logs,
                    "values": measured(router, logs, truth, scores),
                }


def measured(
    router: Router, logs: Iterator[Log], truth: dict[str, float], scores: str
) -> dict[str, dict[str, float]]:
    """Coverage, mean error and mean half-width of every value over the logs."""
    found: dict[str, list[tuple[bool, float, float]]] = {name: [] for name in VALUES}
    for log in logs:
        gold = GOLD if scores == BY_SOURCE else None
        page = evaluate(router, log, cost_weights=(MAIN,), gold=gold)
        (line,), (today,) = page.of("router"), page.of("today")
        intervals = line.utility, today.utility, line.advantage, line.over_today
        for name, own in zip(VALUES, intervals, strict=True):
            assert own is not None
            held = own.low <= truth[name] <= own.high
            found[name].append((held, own.mean - truth[name], (own.high - own.low) / 2))
    names = ("coverage", "error", "half_width")
    return {
        name: {key: rounded(mean) for key, mean in zip(names, np.mean(own, axis=0), strict=True)}
        for name, own in found.items()
    }


def mixed_table(results: dict[str, Any]) -> str:
    """Markdown: coverage of every value by kind of log and of scores."""
    head = ["rows, models, gold", "scores", "router", "today", "over best single", "over today"]
    lines = []
    for cell in results["cells"]:
        kind = f"{cell['rows']:,}, {cell['models']}, {cell['gold']:.0%}"
        lines.append([kind, cell["scores"], *(_said(cell["values"][name]) for name in VALUES)])
    return markdown(head, lines)


def _said(own: dict[str, float]) -> str:
    return f"{own['coverage']:.3f} ({own['error']:+.3f}, ± {own['half_width']:.3f})"


def main(arguments: Sequence[str] = ()) -> int:
    """Measure every kind and write mixed.json; returns the exit code."""
    if list(arguments or sys.argv[1:]):
        print("usage: python -m experiments.ope_coverage.mixed", file=sys.stderr)
        return 2
    config, cells = MixedConfig(), []
    for cell in study(config):
        cells.append(cell)
        print(json.dumps(cell), flush=True)
    head = provenance(config=config, seed=config.seed, data="drawn by the study")
    write_text(MIXED, dumps({"provenance": head, "cells": cells}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
