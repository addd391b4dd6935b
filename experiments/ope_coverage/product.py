"""The same with the product's own nuisances, networks and trees, in place of closed forms.

`python -m experiments.ope_coverage.product` draws a hundred logs of each kind, fits the nuisances
of `routerjax fit` to each, and writes product.json beside this file: some minutes of one core.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.ope_coverage.cell import Kind, covered, rounded, worth
from experiments.ope_coverage.world import MAIN, POWERS, Draws, World, draw
from routerjax.evaluation.ope import policy_scores, policy_weights
from routerjax.models.heads import Scaling
from routerjax.pipelines.nuisance import fit_all_nuisances
from routerjax.records.logs import Log
from routerjax.reports.tables import markdown
from routerjax.support.atomic import write_text
from routerjax.support.provenance import dumps, provenance

PRODUCT = Path(__file__).with_name("product.json")
KINDS = (
    Kind(500, 2, "biased", "independent"),
    Kind(2_000, 2, "biased", "independent"),
    Kind(2_000, 11, "biased", "independent"),
)
ESTIMATORS = ("ips", "snips", "dr", "sndr")
LOGS = 100
BATCH = 10


def measure_product(kind: Kind, *, logs: int = LOGS, seed: int = 0) -> dict[str, Any]:
    """Coverage of some estimators on independent rows, with estimated propensities.

    Args:
      kind: of the logs.
      logs: how many.
      seed: of the draws and of the networks.
    """
    world = World(kind.models)
    draws = draw(
        world,
        np.random.default_rng([seed, kind.rows, kind.models]),
        logs=logs,
        rows=kind.rows,
        logging=kind.logging,
        dependence=kind.dependence,
    )
    found: dict[str, list] = {name: [] for name in ESTIMATORS}
    means = []
    for log, nuisances in _fitted(draws, kind, seed):
        choice = world.choice(log.features[:, 0], POWERS[MAIN])
        propensities = nuisances.propensities.every
        for name, intervals in found.items():
            scores = policy_scores(choice, log, nuisances.predicted, propensities, estimator=name)
            intervals.append(scores.interval(MAIN))
        means.append(policy_weights(choice, log, propensities).mean())
    truth = worth(world.truth(POWERS[MAIN]), MAIN)
    return {
        **kind._asdict(),
        "logs": logs,
        "mean_weight_deviation": rounded(np.std(means, ddof=1)),
        "estimators": {name: covered(intervals, truth) for name, intervals in found.items()},
    }


def _fitted(draws: Draws, kind: Kind, seed: int) -> Iterator[tuple[Log, Any]]:
    """The logs with the nuisances of the product, several logs a sweep."""
    logs = [
        Log.from_arrays(
            draws.arms[i],
            draws.quality[i],
            draws.cost[i],
            models=tuple(map(str, range(kind.models))),
            embeddings=draws.features[i, :, 1:].astype(np.float32),
        )
        for i in range(len(draws.arms))
    ]
    keys = jax.random.split(jax.random.key(seed), len(logs))
    for first in range(0, len(logs), BATCH):
        own = logs[first : first + BATCH]
        scalings = [Scaling.of(log.features) for log in own]
        fitted = fit_all_nuisances(own, scalings, keys=list(keys[first : first + BATCH]))
        yield from zip(own, fitted, strict=True)


def product_table(results: dict[str, Any]) -> str:
    """Markdown: coverage by kind, and how far the mean weight is from 1."""
    head = ["rows, models", *(f"`{name}`" for name in ESTIMATORS), "deviation of the mean weight"]
    lines = [
        [
            f"{cell['rows']:,}, {cell['models']}",
            *(f"{cell['estimators'][name]['coverage']:.2f}" for name in ESTIMATORS),
            f"{cell['mean_weight_deviation']:.3f}",
        ]
        for cell in results["cells"]
    ]
    return markdown(head, lines)


def main() -> int:
    """Measure every kind and write product.json; returns the exit code."""
    cells = []
    for kind in KINDS:
        cells.append(measure_product(kind))
        print(json.dumps(cells[-1]), flush=True)
    head = provenance(config={"kinds": KINDS, "logs": LOGS}, seed=0, data="drawn by the study")
    write_text(PRODUCT, dumps({"provenance": head, "cells": cells}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
