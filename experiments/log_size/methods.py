"""The methods of the study, each as the arms it chooses for the test rows at every cost weight."""

from __future__ import annotations

import functools
import time
import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from experiments.log_size.data import Draw
from routerjax.artefacts.router import Router
from routerjax.baselines.policies import best_single
from routerjax.estimators.components import fit_components
from routerjax.estimators.ridge import fit_ridge
from routerjax.pipelines.fit_log import fit
from routerjax.pipelines.prepare import prepare
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates, Table
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig

BEST, BEST_FIT, HINDSIGHT = (
    "best single, by means",
    "best single, of fit",
    "best single, in hindsight",
)
FIT, FORMER, RIDGE = "fit", "fit of 0.1.0", "ridge an arm"
FULL, ORACLE = "full feedback", "oracle"
FROM_LOG = (FIT, FORMER, RIDGE, BEST_FIT)
"""Methods from the log that are compared with `BEST`."""
OTHERS = (FULL, HINDSIGHT, ORACLE)
"""Those that know what no log tells."""
COMPONENTS = 48
"""Principal components of the ridges, as many as the pooled models are linear in."""

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


def fitted(
    draw: Draw, cost_weights: tuple[float, ...], *, seed: int, former: bool = False
) -> tuple[Timed, Choices]:
    """A router by `fit` with its defaults, or by the method of version 0.1.0.

    Returns:
      What it chooses, and the best single model that the same fit picks.
    """
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
    place = np.array([draw.log.models.index(model) for model in router.models])
    chosen = router.choices(np.asarray(draw.test.features), cost_weights=cost_weights)
    told = router.report["expected"]
    return Timed(place[chosen], seconds, told), _best_of(router, draw, cost_weights)


def _best_of(router: Router, draw: Draw, cost_weights: tuple[float, ...]) -> Choices:
    best = [draw.log.models.index(router.best_single_at(weight)) for weight in cost_weights]
    return np.repeat(np.asarray(best)[:, None], len(draw.test), axis=1)


def ridges(draw: Draw, cost_weights: tuple[float, ...]) -> Timed:
    """A plug-in of ridge regressions of quality and of cost, every model by its own rows alone."""
    begun = time.process_time()
    log = draw.log.without_unlogged()
    embeddings = jnp.asarray(log.features)
    width = min(COMPONENTS, *embeddings.shape)
    components = fit_components(embeddings, jnp.ones(len(log)), components=width)
    x, queries = components(embeddings), components(jnp.asarray(draw.test.features))
    outcomes = jnp.stack([jnp.asarray(log.quality), jnp.asarray(log.cost)])
    quality, cost = np.asarray(
        _ridges(x, outcomes, jnp.asarray(log.arms), queries, len(log.models))
    )
    chosen = greedy(Estimates(quality=quality.T, cost=cost.T), cost_weights)
    place = np.array([draw.log.models.index(model) for model in log.models])
    return Timed(place[chosen], time.process_time() - begun)


@functools.partial(jax.jit, static_argnames="models")
def _ridges(
    x: Float[jax.Array, "n c"],
    outcomes: Float[jax.Array, "2 n"],
    arms: Int[jax.Array, " n"],
    queries: Float[jax.Array, "t c"],
    models: int,
) -> Float[jax.Array, "2 m t"]:
    scale = jnp.maximum(jnp.max(jnp.abs(outcomes), axis=1), 1e-12)

    def one(place: jax.Array) -> jax.Array:
        outcome, arm = place // models, place % models
        weights = (arms == arm).astype(x.dtype)
        found = fit_ridge(x, outcomes[outcome] / scale[outcome], weights)(queries)
        predicted: jax.Array = found * scale[outcome]
        return predicted

    return jax.lax.map(one, jnp.arange(2 * models)).reshape(2, models, -1)


def full_feedback(draw: Draw, cost_weights: tuple[float, ...], *, seed: int) -> Timed:
    """A plug-in of the pooled outcome models of `fit`, of all cells of the log's rows."""
    begun = time.process_time()
    first, second = jax.random.split(jax.random.key(seed))
    prepared = prepare(draw.table, FitConfig(seed=seed), nuisance_key=first, training_key=second)
    _, expected = prepared.predict(np.asarray(draw.test.features))
    chosen = greedy(expected, cost_weights)
    return Timed(chosen, time.process_time() - begun)
