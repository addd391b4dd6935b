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
from routerjax.folds import Folds, make_folds
from routerjax.heads import Head, Scaling, initial, outputs
from routerjax.outcomes import (
    CostLikelihood,
    OutcomeModel,
    PropensityLikelihood,
    QualityLikelihood,
    predict_folds,
)
from routerjax.records import Estimates, Log, Table
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


class Observed(NamedTuple):
    """The outcomes a record holds: of one arm a row for a log (k = 1), of all for a table (k = m).

    Attributes:
      arms: [n, k] int.
      quality: [n, k] scaled to [0, 1].
      cost: [n, k] dollars.
    """

    arms: np.ndarray
    quality: np.ndarray
    cost: np.ndarray

    @classmethod
    def of(cls, record: Log | Table) -> Observed:
        quality = (np.asarray(record.quality) - record.quality_range[0]) / record.quality_width
        if isinstance(record, Log):
            return cls(record.arms[:, None], quality[:, None], record.cost[:, None])
        arms = np.broadcast_to(np.arange(len(record.models), dtype=np.int32), quality.shape)
        return cls(arms, quality, np.asarray(record.cost))

    def by_arm(self, values: np.ndarray, rows: np.ndarray, models: int) -> np.ndarray:
        """[m] sum of `values` [n, k] over `rows`, arm by arm."""
        return np.bincount(self.arms[rows].ravel(), values[rows].ravel(), minlength=models)


def _arm_means(
    values: np.ndarray, observed: Observed, folds: Folds, models: int, *, prior_rows: float
) -> np.ndarray:
    """[k, m] mean of each arm outside each fold, drawn to the mean of all by `prior_rows`."""

    def means(rows):
        count = observed.by_arm(np.ones(values.shape), rows, models)
        prior = np.where(count == 0, 1.0, prior_rows)
        total = observed.by_arm(values, rows, models)
        return (total + prior * values[rows].mean()) / (count + prior)

    return np.stack([means(rows) for rows in folds.outside()])


class _Task(NamedTuple):
    """What the models of a record share."""

    rows: dict[str, jax.Array]
    observed: Observed
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


def fit_outcomes(
    record: Log | Table,
    scaling: Scaling,
    *,
    key: jax.Array,
    config: NuisanceConfig = NuisanceConfig(),
    on_progress: OnProgress | None = None,
) -> tuple[Estimates, OutcomeModel]:
    """Fit the quality and cost models of a log, or of a complete table.

    Args:
      record: n rows with embeddings.
      scaling: of the embeddings.
      key: for folds, starting values and shuffling.
      config: folds, trunk, optimiser.
      on_progress: called with (model being fitted, epochs done, epochs at most).

    Returns:
      Out-of-fold predictions [n, m], and the models of the folds.
    """
    keys = jax.random.split(key)
    return _fit_outcomes(_task(record, scaling, keys[0], config, on_progress), record, keys[1])


def _fit_outcomes(
    task: _Task, record: Log | Table, key: jax.Array
) -> tuple[Estimates, OutcomeModel]:
    keys = jax.random.split(key)
    observed, folds, models = task.observed, task.folds, len(record.models)
    quality = _arm_means(observed.quality, observed, folds, models, prior_rows=2.0)
    quality = np.clip(quality, 1e-3, 0.999)
    start = np.log(quality) - np.log1p(-quality)
    unit = _arm_means(observed.cost.astype(np.float64), observed, folds, models, prior_rows=0.0)
    unit_cost, none = jnp.asarray(unit, jnp.float32), jnp.zeros(len(unit))
    zero = np.zeros_like(start)
    model = OutcomeModel(
        quality=_fit_folds(task, "quality", QualityLikelihood(task.head), start, none, keys[0]),
        cost=_fit_folds(task, "cost", CostLikelihood(task.head), zero, unit_cost, keys[1]),
        unit_cost=unit_cost,
        quality_range=jnp.asarray(record.quality_range, jnp.float32),
    )
    raw = np.asarray(predict_folds(task.head, model, task.rows["x"]).cost)
    calibrated = _calibrated(unit, raw, observed, folds)
    model = model._replace(unit_cost=jnp.asarray(calibrated, jnp.float32))
    by_fold = predict_folds(task.head, model, task.rows["x"])
    return jax.tree.map(folds.own, by_fold), model


def _calibrated(
    unit_cost: np.ndarray, cost: np.ndarray, observed: Observed, folds: Folds
) -> np.ndarray:
    """Unit costs [k, m] with which each arm's predictions sum to what its own rows cost."""
    models = unit_cost.shape[1]
    unit_cost = np.array(unit_cost, np.float64)
    for k, rows in enumerate(folds.outside()):
        own = np.take_along_axis(cost[k], observed.arms, axis=1)
        predicted = observed.by_arm(own, rows, models)
        actual = observed.by_arm(observed.cost, rows, models)
        known = (predicted > 0) & (actual > 0)
        unit_cost[k, known] *= actual[known] / predicted[known]
    return unit_cost


def _fit_propensities(task: _Task, log: Log, key: jax.Array) -> np.ndarray:
    """[n] out-of-fold probability of the arm that answered."""
    ones, models = np.ones((len(log), 1)), len(log.models)
    counts = [task.observed.by_arm(ones, rows, models) + 0.5 for rows in task.folds.outside()]
    shares = np.stack(counts) / np.sum(counts, axis=1, keepdims=True)
    objective = PropensityLikelihood(task.head)
    none = jnp.zeros(len(shares))
    params = _fit_folds(task, "propensity", objective, np.log(shares), none, key)
    logits = jax.lax.map(lambda params: outputs(task.head, params, task.rows["x"]), params)
    propensities = jax.nn.softmax(logits, axis=-1)
    return task.folds.own(propensities)[np.arange(len(log)), log.arms]


def _task(record: Log | Table, scaling: Scaling, key, config: NuisanceConfig, on_progress) -> _Task:
    observed = Observed.of(record)
    rows = {
        "x": scaling(record.features),
        "arm": jnp.asarray(observed.arms),
        "quality": jnp.asarray(observed.quality),
        "cost": jnp.asarray(observed.cost),
    }
    strata = observed.arms[:, 0]  # a log's arms are spread over the folds; a table has one stratum
    folds = make_folds(strata, folds=config.folds, held_out=config.held_out, key=key)
    head = outcome_head(len(record.models), config)
    return _Task(rows, observed, folds, head, config, on_progress)


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
    predicted, model = _fit_outcomes(task, log, keys[1])
    propensities = log.logged_propensities
    if propensities is None:
        propensities = _fit_propensities(task, log, keys[2])
    report = overlap(log, propensities, floor=floor)
    return Nuisances(predicted, np.asarray(propensities), report, model)


def outcome_head(models: int, config: NuisanceConfig) -> Head:
    """The head whose parameters an `OutcomeModel` holds: one output per arm."""
    return Head(outputs=(models,), widths=config.widths)
