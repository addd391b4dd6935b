"""The methods of the study, each as the arms it chooses for the test rows at every cost weight."""

from __future__ import annotations

import time
import warnings
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from experiments.log_size.data import Draw
from experiments.log_size.ridges import ridge_an_arm, two_level_ridge
from routerjax.baselines.policies import best_single
from routerjax.pipelines.fit_log import fit
from routerjax.pipelines.prepare import prepare
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates, Table
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig

BEST, BEST_FIT, BEST_DR, HINDSIGHT = (
    "best single, by means",
    "best single, of fit",
    "best single, by dr",
    "best single, in hindsight",
)
FIT, FORMER, RIDGE, TWO_LEVEL = "fit", "fit of 0.1.0", "ridge an arm", "two-level ridge"
FULL, ORACLE = "full feedback", "oracle"
ROUTERS = (FIT, FORMER, RIDGE, TWO_LEVEL, FULL)
"""Methods that choose by query."""
FROM_LOG = (FIT, FORMER, RIDGE, TWO_LEVEL, BEST_FIT, BEST_DR)
"""Methods from the log that are compared with `BEST`."""
OTHERS = (FULL, HINDSIGHT, ORACLE)
"""Those that know what no log tells."""
REGRESSIONS = {RIDGE: ridge_an_arm, TWO_LEVEL: two_level_ridge}

Choices = Int[np.ndarray, "w t"]


class Timed(NamedTuple):
    """Choices, the CPU seconds of the fit, and what it expected beforehand, by cost weight."""

    choices: Choices
    seconds: float
    expected: list[dict[str, Any]] = []


def values(choices: Choices, test: Table, cost_weights: tuple[float, ...]) -> list[float]:
    """[w] mean utility of the chosen models on the test rows, each at its cost weight."""
    rows = np.arange(len(test))
    quality, cost = (np.asarray(each, np.float64) for each in (test.quality, test.cost))
    return [
        float((quality[rows, arms] - weight * cost[rows, arms]).mean())
        for arms, weight in zip(choices, cost_weights, strict=True)
    ]


def arm_means(log: Log) -> Estimates:
    """[1, m] plain means of the rows that each model answered; −∞ for one that answered none."""
    count = log.arm_counts
    sums = [np.bincount(log.arms, each, len(count)) for each in (log.quality, log.cost)]
    quality, cost = (each / np.maximum(count, 1) for each in sums)
    return Estimates(quality=np.where(count > 0, quality, -np.inf)[None], cost=cost[None])


def single(outcomes: Estimates, cost_weights: tuple[float, ...], rows: int) -> Choices:
    """The one model of highest mean utility for all rows, at every cost weight."""
    arms = [best_single(outcomes, cost_weight=weight) for weight in cost_weights]
    return np.repeat(np.asarray(arms)[:, None], rows, axis=1)


def greedy(expected: Estimates, cost_weights: tuple[float, ...]) -> Choices:
    """The model of highest expected utility for every row."""
    quality, cost = (np.asarray(each, np.float64) for each in (expected.quality, expected.cost))
    return np.stack([(quality - weight * cost).argmax(axis=1) for weight in cost_weights])


class Fitted(NamedTuple):
    """A router by `fit`, and single models that the same fit tells of.

    Attributes:
      router: what it chooses.
      best: its best single model, `Router.best_single_at`.
      best_by_dr: the model of highest dr estimate on its page; None where it made no page.
    """

    router: Timed
    best: Choices
    best_by_dr: Choices | None


def fitted(
    draw: Draw, cost_weights: tuple[float, ...], *, seed: int, former: bool = False
) -> Fitted:
    """A router by `fit` with its defaults, or by the method of version 0.1.0."""
    config = FitConfig(cost_weights=cost_weights, seed=seed)
    if former:
        config = FitConfig(
            cost_weights=cost_weights,
            seed=seed,
            router=RouterConfig(architecture="interval"),
            nuisance=NuisanceConfig(outcomes="network"),
        )
    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        router = fit(draw.log, config=config, drop_unlogged=True)
    seconds = time.process_time() - begun
    page = router.report.get("evaluation")
    place, rows = np.array([draw.log.models.index(m) for m in router.models]), len(draw.test)
    chosen = router.choices(np.asarray(draw.test.features), cost_weights=cost_weights)
    best = [draw.log.models.index(router.best_single_at(weight)) for weight in cost_weights]
    return Fitted(
        Timed(place[chosen], seconds, router.report["expected"]),
        np.repeat(np.asarray(best)[:, None], rows, axis=1),
        None if page is None else single(_by_dr(page, draw.log.models), cost_weights, rows),
    )


def _by_dr(page: dict[str, Any], models: tuple[str, ...]) -> Estimates:
    """[1, m] dr estimates of single models on the page of a fit; −∞ where it has none."""
    quality, cost = np.full(len(models), -np.inf), np.zeros(len(models))
    for own in page["singles"]:
        if np.isfinite(own["quality"]["mean"]):
            place = models.index(own["model"])
            quality[place], cost[place] = own["quality"]["mean"], own["cost"]["mean"]
    return Estimates(quality=quality[None], cost=cost[None])


def full_feedback(draw: Draw, cost_weights: tuple[float, ...], *, seed: int) -> Timed:
    """A plug-in of the pooled outcome models of `fit`, of all cells of the log's rows."""
    begun = time.process_time()
    first, second = jax.random.split(jax.random.key(seed))
    prepared = prepare(draw.table, FitConfig(seed=seed), nuisance_key=first, training_key=second)
    _, expected = prepared.predict(np.asarray(draw.test.features))
    chosen = greedy(expected, cost_weights)
    return Timed(chosen, time.process_time() - begun)
