"""Cross-fitted nuisances of a log: propensities, and quality and cost of every arm.

Row i's nuisances never saw row i. Each fold trains on the other folds, less a share of them
on which it stops early, and starts from those rows' arm means (zero output kernels), so that
a small or featureless log yields the arm means and nothing worse.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.estimators.counterfactual import DEFAULT_FLOOR, Overlap, overlap
from routerjax.estimators.folds import Folds, make_folds
from routerjax.models.heads import Head, Scaling, initial, outputs
from routerjax.models.outcomes import (
    CostLikelihood,
    OutcomeModel,
    PropensityLikelihood,
    QualityLikelihood,
    over_blocks,
    predict_folds,
)
from routerjax.pipelines.observed import Observed, arm_means, calibrated_costs
from routerjax.records.tables import Estimates, Log, Table
from routerjax.training.execution import Execution
from routerjax.training.fit import Objective, Schedule, fit
from routerjax.training.stacking import concatenated, offset


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


class _Task(NamedTuple):
    """What the models of one record share."""

    record: Log | Table
    rows: dict[str, Any]
    observed: Observed
    folds: Folds


def _task(record: Log | Table, scaling: Scaling, key: jax.Array, config: NuisanceConfig) -> _Task:
    observed = Observed.of(record)
    rows = {
        "x": scaling(record.features),
        "arm": jnp.asarray(observed.arms),
        "quality": jnp.asarray(observed.quality),
        "cost": jnp.asarray(observed.cost),
    }
    strata = observed.arms[:, 0]  # a log's arms are spread over the folds; a table has one stratum
    folds = make_folds(strata, folds=config.folds, held_out=config.held_out, key=key)
    return _Task(record, rows, observed, folds)


class _Sweep(NamedTuple):
    """Records whose models are trained together: the folds of all on one axis of runs."""

    tasks: list[_Task]
    rows: dict[str, Any]
    head: Head
    config: NuisanceConfig
    execution: Execution


def _sweep(records, scalings, keys, config, execution) -> _Sweep:
    tasks = [_task(*each, config) for each in zip(records, scalings, keys, strict=True)]
    head = outcome_head(len(records[0].models), config)
    return _Sweep(tasks, concatenated([task.rows for task in tasks]), head, config, execution)


def _fit_folds(
    sweep: _Sweep,
    name: str,
    objective: Objective,
    starts: Sequence[np.ndarray],
    runs: Sequence[Any],
    keys: Sequence[jax.Array],
) -> list[Any]:
    """Per record the parameters of one head per fold [k], from the intercepts `starts` [k, m]."""
    folds, dimensions = sweep.config.folds, sweep.rows["x"].shape[1]
    counts = [len(task.record) for task in sweep.tasks]
    initials = [
        initial(sweep.head, dimensions, key, jnp.asarray(start, jnp.float32))
        for key, start in zip(keys, starts, strict=True)
    ]
    own = [jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.arange(folds)) for key in keys]
    params = fit(
        objective,
        concatenated(initials),
        rows=sweep.rows,
        train_index=offset([task.folds.train for task in sweep.tasks], counts),
        held_out_index=offset([task.folds.held_out for task in sweep.tasks], counts),
        run=concatenated(runs),
        learning_rate=sweep.config.learning_rate,
        weight_decay=sweep.config.weight_decay,
        key=jnp.concatenate(own),
        schedule=sweep.config.schedule,
        **sweep.execution.of(name),
    ).params
    part = lambda first: jax.tree.map(lambda leaf: leaf[first : first + folds], params)  # noqa: E731
    return [part(first) for first in range(0, folds * len(sweep.tasks), folds)]


def fit_outcomes(
    record: Log | Table,
    scaling: Scaling,
    *,
    key: jax.Array,
    config: NuisanceConfig = NuisanceConfig(),
    execution: Execution = Execution(),
) -> tuple[Estimates, OutcomeModel]:
    """Fit the quality and cost models of a log, or of a complete table.

    Args:
      record: n rows with embeddings.
      scaling: of the embeddings.
      key: for folds, starting values and shuffling.
      config: folds, trunk, optimiser.
      execution: progress, devices, checkpoints.

    Returns:
      Out-of-fold predictions [n, m], and the models of the folds.
    """
    (fitted,) = fit_all_outcomes(
        [record], [scaling], keys=[key], config=config, execution=execution
    )
    return fitted


def fit_all_outcomes(
    records: Sequence[Log | Table],
    scalings: Sequence[Scaling],
    *,
    keys: Sequence[jax.Array],
    config: NuisanceConfig = NuisanceConfig(),
    execution: Execution = Execution(),
) -> list[tuple[Estimates, OutcomeModel]]:
    """`fit_outcomes` for records of equal shapes, as one sweep; each as it would be alone."""
    pairs = [jax.random.split(key) for key in keys]
    sweep = _sweep(records, scalings, [pair[0] for pair in pairs], config, execution)
    return _fit_outcomes(sweep, [pair[1] for pair in pairs])


def _fit_outcomes(sweep: _Sweep, keys: Sequence[jax.Array]) -> list[tuple[Estimates, OutcomeModel]]:
    pairs, tasks = [jax.random.split(key) for key in keys], sweep.tasks
    starts = [_quality_start(task) for task in tasks]
    units = [
        arm_means(
            task.observed.cost.astype(np.float64),
            task.observed,
            task.folds,
            len(task.record.models),
            prior_rows=0.0,
        )
        for task in tasks
    ]
    unit_costs = [jnp.asarray(unit, jnp.float32) for unit in units]
    none = [jnp.zeros(len(unit)) for unit in units]
    zeros = [np.zeros_like(start) for start in starts]
    head = sweep.head
    quality = _fit_folds(
        sweep, "quality", QualityLikelihood(head), starts, none, [pair[0] for pair in pairs]
    )
    cost = _fit_folds(
        sweep, "cost", CostLikelihood(head), zeros, unit_costs, [pair[1] for pair in pairs]
    )
    return [
        _calibrated_model(head, task, unit, own_quality, own_cost)
        for task, unit, own_quality, own_cost in zip(tasks, units, quality, cost, strict=True)
    ]


def _quality_start(task: _Task) -> np.ndarray:
    """[k, m] logits of the arms' mean quality outside each fold."""
    models = len(task.record.models)
    means = arm_means(task.observed.quality, task.observed, task.folds, models, prior_rows=2.0)
    means = np.clip(means, 1e-3, 0.999)
    return np.log(means) - np.log1p(-means)


def _calibrated_model(
    head: Head, task: _Task, unit: np.ndarray, quality: Any, cost: Any
) -> tuple[Estimates, OutcomeModel]:
    """Out-of-fold predictions, and the model whose costs sum to what the rows cost."""
    model = OutcomeModel(
        quality=quality,
        cost=cost,
        unit_cost=jnp.asarray(unit, jnp.float32),
        quality_range=jnp.asarray(task.record.quality_range, jnp.float32),
    )
    ratios = model._replace(unit_cost=jnp.ones_like(model.unit_cost))

    def block(x, place):
        by_fold = jax.tree.map(np.asarray, predict_folds(head, ratios, x))
        arms = task.observed.arms[None, place]
        observed = np.take_along_axis(by_fold.cost, arms, axis=2).swapaxes(0, 1)
        return jax.tree.map(lambda each: task.folds.own(each, place), by_fold), observed

    own, observed = over_blocks(block, task.rows["x"])
    calibrated = calibrated_costs(unit, observed.swapaxes(0, 1), task.observed, task.folds)
    unit_cost = np.asarray(calibrated, np.float32)
    cost = unit_cost[task.folds.of_row] * own.cost
    own = Estimates(quality=own.quality, cost=cost)
    return own, model._replace(unit_cost=jnp.asarray(unit_cost))


def _fit_propensities(sweep: _Sweep, keys: Sequence[jax.Array]) -> list[np.ndarray]:
    """Per log [n] out-of-fold probability of the arm that answered."""
    starts = [np.log(_arm_shares(task)) for task in sweep.tasks]
    none = [jnp.zeros(len(start)) for start in starts]
    objective = PropensityLikelihood(sweep.head)
    fitted = _fit_folds(sweep, "propensity", objective, starts, none, keys)

    def predicted(task: _Task, params: Any) -> np.ndarray:
        def block(x, place):
            logits = jax.lax.map(lambda params: outputs(sweep.head, params, x), params)
            return task.folds.own(jax.nn.softmax(logits, axis=-1), place)

        propensities = over_blocks(block, task.rows["x"])
        return propensities[np.arange(len(task.record)), task.observed.arms[:, 0]]

    return [predicted(*each) for each in zip(sweep.tasks, fitted, strict=True)]


def _arm_shares(task: _Task) -> np.ndarray:
    """[k, m] share of every arm among the rows outside each fold, none of them 0."""
    ones, models = np.ones((len(task.record), 1)), len(task.record.models)
    counts = [task.observed.by_arm(ones, rows, models) + 0.5 for rows in task.folds.outside()]
    return np.stack(counts) / np.sum(counts, axis=1, keepdims=True)


def propensities_of(
    log: Log,
    scaling: Scaling,
    *,
    key: jax.Array,
    config: NuisanceConfig = NuisanceConfig(),
    execution: Execution = Execution(),
) -> np.ndarray:
    """[n] probability of the arm that answered: as recorded, else cross-fitted."""
    if log.propensities is not None:
        return np.asarray(log.logged_propensities)
    keys = jax.random.split(key)
    (propensities,) = _fit_propensities(
        _sweep([log], [scaling], [keys[0]], config, execution), [keys[1]]
    )
    return propensities


def fit_nuisances(
    log: Log,
    scaling: Scaling,
    *,
    key: jax.Array,
    config: NuisanceConfig = NuisanceConfig(),
    floor: float = DEFAULT_FLOOR,
    execution: Execution = Execution(),
) -> Nuisances:
    """Fit the quality, cost and, where the log recorded none, propensity models of a log.

    Args:
      log: n rows with embeddings.
      scaling: of the embeddings.
      key: for folds, starting values and shuffling.
      config: folds, trunk, optimiser.
      floor: where the overlap report counts propensities as clipped.
      execution: progress, devices, checkpoints.

    Returns:
      Nuisances, every prediction out of fold.
    """
    (nuisances,) = fit_all_nuisances(
        [log], [scaling], keys=[key], config=config, floor=floor, execution=execution
    )
    return nuisances


def fit_all_nuisances(
    logs: Sequence[Log],
    scalings: Sequence[Scaling],
    *,
    keys: Sequence[jax.Array],
    config: NuisanceConfig = NuisanceConfig(),
    floor: float = DEFAULT_FLOOR,
    execution: Execution = Execution(),
) -> list[Nuisances]:
    """`fit_nuisances` for logs of equal shapes, as one sweep; each as it would be alone.

    Propensities are taken as recorded if every log has them, and estimated otherwise.
    """
    triples = [jax.random.split(key, 3) for key in keys]
    sweep = _sweep(logs, scalings, [triple[0] for triple in triples], config, execution)
    outcomes = _fit_outcomes(sweep, [triple[1] for triple in triples])
    known = [log.logged_propensities for log in logs]
    recorded = [np.asarray(own) for own in known if own is not None]
    if len(recorded) < len(logs):
        recorded = _fit_propensities(sweep, [triple[2] for triple in triples])
    return [
        Nuisances(predicted, own, overlap(log, own, floor=floor), model)
        for (predicted, model), own, log in zip(outcomes, recorded, logs, strict=True)
    ]


def outcome_head(models: int, config: NuisanceConfig) -> Head:
    """The head whose parameters an `OutcomeModel` holds: one output per arm."""
    return Head(outputs=(models,), widths=config.widths)
