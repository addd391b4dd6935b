"""Logging policies: how a table's queries would have been answered one model at a time.

A logging policy is a function (table, key) → propensities [n, m]; `simulate_log` draws the
arms and keeps the drawn cells, so that any table becomes a log whose propensities are known.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from routerjax.errors import InputError
from routerjax.records.logs import Log
from routerjax.records.tables import Table

LoggingPolicy = Callable[[Table, jax.Array], np.ndarray]


def uniform(table: Table, key: jax.Array) -> np.ndarray:
    """Every arm with the same probability, [n, m]."""
    del key
    return np.full(table.quality.shape, 1.0 / len(table.models))


def epsilon_greedy(deployed: np.ndarray, *, epsilon: float = 0.1) -> LoggingPolicy:
    """Follow a deployed router, and any arm uniformly with probability ε.

    π(m | x) = (1 − ε)·1{m = f(x)} + ε / M.

    Args:
      deployed: [n] arm the deployed router gives to each row of the table.
      epsilon: Share of the queries whose arm is drawn uniformly, in (0, 1].
    """
    _check_share("epsilon", epsilon)

    def policy(table: Table, key: jax.Array) -> np.ndarray:
        del key
        greedy = np.eye(len(table.models))[deployed]
        return (1 - epsilon) * greedy + epsilon / len(table.models)

    return policy


def noisy_softmax(
    *,
    strength: float = 3.0,
    noise: float = 0.5,
    cost_weight: float = 0.0,
    floor: float = 0.02,
) -> LoggingPolicy:
    """Softmax of a previous router's noisy estimates of the utilities.

    π(m | x) = (1 − M·floor)·softmax(strength·z)_m + floor, where z is the utility
    E[q | task, m] − λ·E[c | task, m], plus Gaussian noise of `noise` standard deviations drawn
    per query and arm, standardised over the table. The estimates are means per task, so that
    the policy sees what a previous router could have learnt and never the outcome itself.

    Args:
      strength: how sharply the policy prefers; 0 is uniform, negative prefers the worse.
      noise: standard deviations of the estimates' noise.
      cost_weight: λ; 0 is biased to quality, a large one to cheapness.
      floor: smallest propensity, below 1 / M.
    """
    if floor < 0:
        raise InputError(f"logging floor is {floor:g}; it must be 0 or more")

    def policy(table: Table, key: jax.Array) -> np.ndarray:
        utility = _task_means(table.quality, table) - cost_weight * _task_means(table.cost, table)
        score = _standardised(utility)
        score = score + noise * np.asarray(jax.random.normal(key, score.shape))
        return _floored(_softmax(strength * score), floor)

    return policy


def confounded(hidden: np.ndarray, *, strength: float = 2.0, floor: float = 0.02) -> LoggingPolicy:
    """A policy that acts on something the log does not hold.

    π(m | x, h) = (1 − M·floor)·softmax(strength·h·z_m)_m + floor, with z the models' mean
    quality, standardised, and h the hidden number: rows with h > 0 go to the better models.
    The propensities are true given h, which no log holds: simulate with `record=False`.

    Args:
      hidden: [n], for instance what users see of a query and its embedding does not tell.
      strength: how much h moves the choice.
      floor: smallest propensity, below 1 / M.
    """

    def policy(table: Table, key: jax.Array) -> np.ndarray:
        del key
        rank = _standardised(np.nanmean(table.quality, axis=0))
        return _floored(_softmax(strength * hidden[:, None] * rank[None, :]), floor)

    return policy


def simulate_log(
    table: Table, policy: LoggingPolicy, *, key: jax.Array, record: bool = True
) -> tuple[Log, np.ndarray]:
    """Draw one arm per row of a table and keep only that arm's quality and cost.

    Where a cell is missing or its arm not available, the arm cannot be drawn and the row's
    propensities are renormalised over the others.

    Args:
      table: full feedback.
      policy: gives the propensities.
      key: Random key of the policy's noise and of the draw.
      record: whether the log holds the propensities [n, m].

    Returns:
      The log, and the propensities [n, m] from which it was drawn, float64.

    Raises:
      InputError: a row in which every cell is missing, or a policy that gives anything but
        probabilities.
    """
    noise, draw = jax.random.split(key)
    known = np.isfinite(table.quality) & np.isfinite(table.cost)
    if table.available is not None:
        known &= np.asarray(table.available)
    if not known.any(axis=1).all():
        row = int((~known.any(axis=1)).argmax())
        raise InputError("every model is missing here", source=table.source, row=row)
    propensities = np.where(known, policy(table, noise), 0.0)
    total = propensities.sum(axis=1, keepdims=True)
    if not (np.isfinite(propensities).all() and (propensities >= 0).all() and (total > 0).all()):
        raise InputError("the logging policy must give probabilities, [n, m]", source=table.source)
    propensities = propensities / total
    uniform_draw = np.asarray(jax.random.uniform(draw, (len(table), 1)), np.float64)
    arms = (propensities.cumsum(axis=1) > uniform_draw).argmax(axis=1).astype(np.int32)
    rows = np.arange(len(table))
    log = Log(
        arms=arms,
        quality=np.asarray(table.quality)[rows, arms],
        cost=np.asarray(table.cost)[rows, arms],
        models=table.models,
        propensities=propensities.astype(np.float32) if record else None,
        embeddings=table.embeddings,
        prompts=table.prompts,
        task=table.task,
        split=table.split,
        group=table.group,
        quality_range=table.quality_range,
        encoder=table.encoder,
        source=f"log drawn from {table.source}",
        available=table.available,
        time=table.time,
    )
    return log, propensities


def _task_means(values: np.ndarray, table: Table) -> np.ndarray:
    """[n, m] mean of the row's task; the table's mean where it names no tasks."""
    tasks = np.asarray(table.task if table.task is not None else ("",) * len(table))
    means = np.empty(values.shape)
    for task in np.unique(tasks):
        means[tasks == task] = np.nanmean(values[tasks == task], axis=0)
    return means


def _standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / max(float(values.std()), 1e-12)


def _softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _floored(propensities: np.ndarray, floor: float) -> np.ndarray:
    models = propensities.shape[1]
    if floor * models >= 1:
        raise InputError(f"logging floor is {floor:g}; for {models} models it must be below 1/M")
    return (1 - models * floor) * propensities + floor


def _check_share(name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise InputError(f"{name} is {value:g}; it must lie above 0 and be at most 1")
