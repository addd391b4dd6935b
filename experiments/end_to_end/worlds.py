"""Logs of the embedded world with its arms, noise and costs varied; and logs of tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.end_to_end.config import EndToEndConfig, Setting
from experiments.log_size.data import Draw, draw, order_of
from routerjax.data.synthetic.table import COST_SPREAD, EmbeddedTable, embedded_table
from routerjax.records.tables import Table

FIRST_SEED = 1_400
"""Of the embedded worlds, one after another; no other study draws theirs."""
ARMS_SEED = 14
FEW_ARMS = ("mistralai/mistral-7b-chat", "gpt-3.5-turbo-1106", "gpt-4-1106-preview")
"""Cheap, middling and dear."""


class Means(NamedTuple):
    """What every arm is worth on every query on average.

    Attributes:
      quality: [n, m], in [0, 1].
      cost: [n, m] dollars.
    """

    quality: Float[np.ndarray, "n m"]
    cost: Float[np.ndarray, "n m"]


def embedded(setting: Setting, config: EndToEndConfig, *, seed: int) -> Draw:
    """A log of a world of the seed's own, and test rows whose cells are true means.

    Queries, embeddings and scores are all the seed's; the arms are the same in every world.
    """
    rows = setting.rows + config.test_rows
    world = embedded_table(FIRST_SEED + seed, queries=rows, dimensions=setting.dimensions)
    models, means = arms_of(world, setting.arms)
    means = means._replace(cost=spread_out(means.cost, setting.spread))
    answers = realised(means, noise=setting.noise, seed=FIRST_SEED + seed)
    span = (min(0.0, 1 - setting.noise), max(1.0, setting.noise))

    def table_of(cells: Means) -> Table:
        return Table.from_arrays(
            *cells,
            models=models,
            embeddings=world.table.embeddings,
            task=world.table.task,
            quality_range=span,
            warn=False,
        )

    table, truth = table_of(answers), table_of(means)
    made = _drawn(table, setting, seed)
    return of_logged_arms(made._replace(test=truth.rows(order_of(rows, seed)[setting.rows :])))


def of_table(table: Table, setting: Setting, *, seed: int) -> Draw:
    """A log of a table, and all other rows to test on."""
    return of_logged_arms(_drawn(table, setting, seed))


def _drawn(table: Table, setting: Setting, seed: int) -> Draw:
    recorded = setting.propensities == "recorded"
    made = draw(table, logging=setting.logging, rows=setting.rows, seed=seed, recorded=recorded)
    return made._replace(log=made.log.replace(task=None))  # propensities are those of the query


def of_logged_arms(made: Draw) -> Draw:
    """The draw without arms that answered no logged query: no method can know of them."""
    log = made.log.without_unlogged()
    if log.models == made.log.models:
        return made
    return Draw(log, made.table.with_models(log.models), made.test.with_models(log.models))


def arms_of(world: EmbeddedTable, arms: int) -> tuple[tuple[str, ...], Means]:
    """So many arms: three of the eleven, the eleven, or others like them beside.

    A further arm is one of the eleven plus half of what two others differ by, in log-odds of its
    quality and in log cost, so that it has difficulty's slope as they have, and skills of its own.
    """
    names = world.table.models
    if arms < len(names):
        kept = [names.index(name) for name in FEW_ARMS[:arms]]
        picked = tuple(names[place] for place in kept)
        return picked, Means(world.true_quality[:, kept], world.true_cost[:, kept])
    rng = np.random.default_rng(ARMS_SEED)
    mixed = [rng.choice(len(names), size=3, replace=False) for _ in range(arms - len(names))]
    logits = np.log(world.true_quality) - np.log1p(-world.true_quality)
    quality = [1 / (1 + np.exp(-_moved(logits, *own))) for own in mixed]
    cost = [np.exp(_moved(np.log(world.true_cost), *own)) for own in mixed]
    means = Means(
        np.column_stack([world.true_quality, *quality]), np.column_stack([world.true_cost, *cost])
    )
    return (*names, *(f"further-{place}" for place in range(len(mixed)))), means


def _moved(values: Float[np.ndarray, "n m"], base: int, ahead: int, behind: int) -> np.ndarray:
    moved: np.ndarray = values[:, base] + (values[:, ahead] - values[:, behind]) / 2
    return moved


def spread_out(cost: Float[np.ndarray, "n m"], power: float) -> Float[np.ndarray, "n m"]:
    """Costs whose ratios to their geometric mean, query by query, are taken to a power."""
    logs = np.log(cost)
    middle = logs.mean(axis=1, keepdims=True)
    spread: np.ndarray = np.exp(middle + power * (logs - middle))
    return spread


def realised(means: Means, *, noise: float, seed: int) -> Means:
    """One answer of every arm: μ + noise·(B − μ), B ~ Bernoulli(μ); cost lognormal of mean c.

    The mean of a score is μ whatever the noise, whose multiple 1 makes scores 0 or 1.
    """
    rng = np.random.default_rng([seed, ARMS_SEED])
    right = rng.random(means.quality.shape) < means.quality
    normal = rng.standard_normal(means.cost.shape)
    return Means(
        means.quality + noise * (right - means.quality),
        means.cost * np.exp(COST_SPREAD * normal - COST_SPREAD**2 / 2),
    )
