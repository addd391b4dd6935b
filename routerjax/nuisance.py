"""Cross-fitted nuisances of a log: propensities, and quality and cost of every arm.

Row i's nuisances never saw row i. Each fold trains on the other folds, less a share of them
on which it stops early, and starts from those rows' arm means (zero output kernels), so that
a small or featureless log yields the arm means and nothing worse.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.counterfactual import DEFAULT_FLOOR, Overlap, overlap
from routerjax.heads import Head, Scaling, initial, outputs
from routerjax.outcomes import (
    CostLikelihood,
    OutcomeModel,
    PropensityLikelihood,
    QualityLikelihood,
    predict_folds,
)
from routerjax.records import Estimates, Log
from routerjax.training.fit import Objective, OnProgress, Schedule, fit


@dataclasses.dataclass(frozen=True)
class NuisanceConfig:
    """How nuisances are fitted.

    Attributes:
      folds: K of the cross-fitting.
      held_out: share of a fold's training rows on which it stops early.
      widths: trunk of the quality, cost and propensity heads; () is a linear model.
      learning_rate, weight_decay: of AdamW.
      schedule: batch size, epochs, patience. With max_epochs = 0 the outcome models stay at
        the arm means, wrong wherever the log's policy looked at the query: the deliberately
        misspecified model of the stress tests.
    """

    folds: int = 5
    held_out: float = 0.15
    widths: tuple[int, ...] = (128,)
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    schedule: Schedule = Schedule(batch_size=256, max_epochs=60, patience=5, chunk=5)


class Nuisances(NamedTuple):
    """What the rows of a log need before they can be learnt from or evaluated on.

    Attributes:
      predicted: [n, m] out-of-fold quality and cost.
      propensities: [n] probability of the arm that answered, recorded or out-of-fold.
      overlap: report on the propensities.
      model: outcome models of the folds.
    """

    predicted: Estimates
    propensities: np.ndarray
    overlap: Overlap
    model: OutcomeModel


class Folds(NamedTuple):
    """Row positions of a K-fold split.

    Attributes:
      of_row: [n] fold of each row.
      train, held_out: [k, ·] rows outside fold k, on which its models train and stop.
    """

    of_row: np.ndarray
    train: jax.Array
    held_out: jax.Array

    def outside(self) -> list[np.ndarray]:
        """Per fold the mask [n] of the rows outside it."""
        return [self.of_row != k for k in range(self.train.shape[0])]

    def own(self, outputs: Any) -> np.ndarray:
        """Each row's output by its own fold's model: [k, n, ...] → [n, ...]."""
        return np.asarray(outputs)[self.of_row, np.arange(len(self.of_row))]


def make_folds(arms: np.ndarray, *, folds: int, held_out: float, key: jax.Array) -> Folds:
    """Split rows into folds with every arm spread evenly over them.

    Args:
      arms: [n] arm that answered.
      folds: K.
      held_out: share of the rows outside a fold that is kept for early stopping.
      key: for the two shuffles.
    """
    deal, shuffle = jax.random.split(key)
    order = np.asarray(jax.random.permutation(deal, len(arms)))
    order = order[np.argsort(arms[order], kind="stable")]
    of_row = np.empty(len(arms), np.int32)
    of_row[order] = np.arange(len(arms)) % folds

    order = np.asarray(jax.random.permutation(shuffle, len(arms)))
    others = [order[of_row[order] != k] for k in range(folds)]
    size = min(len(rows) for rows in others)  # they differ by a row; equal shapes compile once
    stop = max(1, round(held_out * size))
    train = np.stack([rows[stop:size] for rows in others])
    return Folds(of_row, jnp.asarray(train), jnp.asarray(np.stack([o[:stop] for o in others])))


def _arm_means(values: np.ndarray, log: Log, folds: Folds, *, prior_rows: float) -> np.ndarray:
    """[k, m] mean of each arm outside each fold, drawn to the mean of all by `prior_rows`."""

    def means(rows):
        count = np.bincount(log.arms[rows], minlength=len(log.models))
        total = np.bincount(log.arms[rows], weights=values[rows], minlength=len(log.models))
        prior = np.where(count == 0, 1.0, prior_rows)
        return (total + prior * values[rows].mean()) / (count + prior)

    return np.stack([means(rows) for rows in folds.outside()])


def _arm_shares(log: Log, folds: Folds) -> np.ndarray:
    """[k, m] share of the rows outside each fold that each arm answered, half a row added."""
    counts = [np.bincount(log.arms[o], minlength=len(log.models)) for o in folds.outside()]
    shares = np.stack(counts) + 0.5
    return shares / shares.sum(axis=1, keepdims=True)


class _Task(NamedTuple):
    """What the three models of a log share."""

    rows: dict[str, jax.Array]
    folds: Folds
    head: Head
    config: NuisanceConfig
    on_progress: OnProgress | None


def _fit_folds(
    task: _Task, name: str, objective: Objective, start: np.ndarray, run: Any, key: jax.Array
) -> Any:
    """Parameters of one head per fold [k], trained from the intercepts `start` [k, m]."""
    dimensions = task.rows["x"].shape[1]
    return fit(
        objective,
        initial(task.head, dimensions, key, jnp.asarray(start, jnp.float32)),
        rows=task.rows,
        train_index=task.folds.train,
        held_out_index=task.folds.held_out,
        run=run,
        learning_rate=task.config.learning_rate,
        weight_decay=task.config.weight_decay,
        key=key,
        schedule=task.config.schedule,
        on_progress=functools.partial(task.on_progress, name) if task.on_progress else None,
    ).params


def _fit_outcomes(task: _Task, log: Log, key: jax.Array) -> OutcomeModel:
    keys = jax.random.split(key)
    quality = np.clip(
        _arm_means(np.asarray(task.rows["quality"]), log, task.folds, prior_rows=2.0), 1e-3, 0.999
    )
    start = np.log(quality) - np.log1p(-quality)
    unit = _arm_means(np.asarray(log.cost, np.float64), log, task.folds, prior_rows=0.0)
    unit_cost = jnp.asarray(unit, jnp.float32)
    none = jnp.zeros(len(unit))
    return OutcomeModel(
        quality=_fit_folds(task, "quality", QualityLikelihood(task.head), start, none, keys[0]),
        cost=_fit_folds(
            task, "cost", CostLikelihood(task.head), np.zeros_like(start), unit_cost, keys[1]
        ),
        unit_cost=unit_cost,
        quality_range=jnp.asarray(log.quality_range, jnp.float32),
    )


def _calibrated(unit_cost: Any, cost: np.ndarray, log: Log, folds: Folds) -> np.ndarray:
    """Unit costs [k, m] with which each arm's predictions sum to what its own rows cost."""
    unit_cost = np.array(unit_cost, np.float64)
    for k, rows in enumerate(folds.outside()):
        arms = log.arms[rows]
        predicted = np.bincount(arms, cost[k, rows, arms], minlength=len(log.models))
        observed = np.bincount(arms, log.cost[rows], minlength=len(log.models))
        known = (predicted > 0) & (observed > 0)
        unit_cost[k, known] *= observed[known] / predicted[known]
    return unit_cost


def _fit_propensities(task: _Task, log: Log, key: jax.Array) -> np.ndarray:
    """[n] out-of-fold probability of the arm that answered."""
    shares = _arm_shares(log, task.folds)
    objective = PropensityLikelihood(task.head)
    none = jnp.zeros(len(shares))
    params = _fit_folds(task, "propensity", objective, np.log(shares), none, key)
    logits = jax.lax.map(lambda params: outputs(task.head, params, task.rows["x"]), params)
    propensities = jax.nn.softmax(logits, axis=-1)
    return task.folds.own(propensities)[np.arange(len(log)), log.arms]


def _task(log: Log, scaling: Scaling, key, config: NuisanceConfig, on_progress) -> _Task:
    rows = {
        "x": scaling(log.features),
        "arm": jnp.asarray(log.arms),
        "quality": jnp.asarray((log.quality - log.quality_range[0]) / log.quality_width),
        "cost": jnp.asarray(log.cost),
    }
    folds = make_folds(log.arms, folds=config.folds, held_out=config.held_out, key=key)
    return _Task(rows, folds, outcome_head(len(log.models), config), config, on_progress)


def propensities_of(
    log: Log,
    scaling: Scaling,
    *,
    key: jax.Array,
    config: NuisanceConfig = NuisanceConfig(),
    on_progress: OnProgress | None = None,
) -> np.ndarray:
    """[n] probability of the arm that answered: as recorded, else cross-fitted."""
    if log.propensities is not None:
        return np.asarray(log.logged_propensities)
    keys = jax.random.split(key)
    return _fit_propensities(_task(log, scaling, keys[0], config, on_progress), log, keys[1])


def fit_nuisances(
    log: Log,
    scaling: Scaling,
    *,
    key: jax.Array,
    config: NuisanceConfig = NuisanceConfig(),
    floor: float = DEFAULT_FLOOR,
    on_progress: OnProgress | None = None,
) -> Nuisances:
    """Fit the quality, cost and, where the log recorded none, propensity models of a log.

    Args:
      log: n rows with embeddings.
      scaling: of the embeddings.
      key: for folds, starting values and shuffling.
      config: folds, trunk, optimiser.
      floor: where the overlap report counts propensities as clipped.
      on_progress: called with (model being fitted, epochs done, epochs at most).

    Returns:
      Nuisances, every prediction out of fold.
    """
    keys = jax.random.split(key, 3)
    task = _task(log, scaling, keys[0], config, on_progress)
    model = _fit_outcomes(task, log, keys[1])
    raw = np.asarray(predict_folds(task.head, model, task.rows["x"]).cost)
    unit_cost = jnp.asarray(_calibrated(model.unit_cost, raw, log, task.folds), jnp.float32)
    model = model._replace(unit_cost=unit_cost)
    predicted = jax.tree.map(task.folds.own, predict_folds(task.head, model, task.rows["x"]))

    propensities = log.logged_propensities
    if propensities is None:
        propensities = _fit_propensities(task, log, keys[2])
    report = overlap(log, propensities, floor=floor)
    return Nuisances(predicted, np.asarray(propensities), report, model)


def outcome_head(models: int, config: NuisanceConfig) -> Head:
    """The head whose parameters an `OutcomeModel` holds: one output per arm."""
    return Head(outputs=(models,), widths=config.widths)
