"""Cross-fitted outcome models of logs and tables: quality and cost of every arm for every row.

Row i's models never saw row i. Pooled ones are closed forms of the other folds' rows; what they
share with row i are their features, which no outcome touches, and the variances and means of all
rows (`estimators/hierarchical`).
A network of a fold trains on the other folds, less a share of them on which it stops early, and
starts from those rows' arm means (zero output kernels), so that a small or featureless log yields
the arm means and nothing worse.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from routerjax.errors import InputError
from routerjax.estimators.folds import Folds, few_groups, make_folds
from routerjax.estimators.task_logit import places_for, told_tasks
from routerjax.models.heads import Scaling, initial
from routerjax.models.outcomes import (
    CostLikelihood,
    FittedOutcomes,
    OutcomeHead,
    OutcomeModel,
    QualityLikelihood,
    on_rows,
    over_blocks,
    predict_folds,
)
from routerjax.models.pooled import PooledHead
from routerjax.pipelines.observed import Observed, arm_means, calibrated_costs
from routerjax.pipelines.pooled import fit_pooled
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates, Table
from routerjax.training.architecture import outcome_head_of
from routerjax.training.config import NuisanceConfig
from routerjax.training.execution import Execution
from routerjax.training.fit import fit
from routerjax.training.run import Objective
from routerjax.training.stacking import concatenated, offset


class Task(NamedTuple):
    """What the models of one record share.

    Attributes:
      record: n rows with embeddings.
      rows: what networks train on: scaled embeddings `x`, `arm`, `quality` and `cost`.
      observed: the outcomes that are known.
      folds: of the rows.
      weights: [n] by which rows count in pooled models; None for 1. Networks count every row as 1.
    """

    record: Log | Table
    rows: dict[str, Any]
    observed: Observed
    folds: Folds
    weights: Float[np.ndarray, " n"] | None = None


def task_of(record: Log | Table, scaling: Scaling, key: jax.Array, config: NuisanceConfig) -> Task:
    """A record's scaled rows with their outcomes, in the folds of a key.

    Raises:
      InputError: fewer groups than folds.
    """
    observed = Observed.of(record)
    rows = {
        "x": scaling(record.features),
        "arm": observed.arms,
        "quality": observed.quality,
        "cost": observed.cost,
    }
    if (count := int(record.groups.max(initial=-1)) + 1) < config.folds:
        raise InputError(few_groups(count, config.folds), source=record.source)
    strata = observed.arms[:, 0]  # a log's arms are spread over the folds; a table has one stratum
    folds = make_folds(
        strata, folds=config.folds, held_out=config.held_out, key=key, groups=record.groups
    )
    return Task(record, rows, observed, folds)


class Joined(NamedTuple):
    """Records that are fitted as one, the folds of all on one axis of runs."""

    tasks: list[Task]
    head: OutcomeHead
    config: NuisanceConfig
    execution: Execution


def join(
    records: Sequence[Log | Table],
    scalings: Sequence[Scaling],
    keys: Sequence[jax.Array],
    config: NuisanceConfig,
    execution: Execution,
) -> Joined:
    """Records of equal shapes, each in the folds of its key, to be fitted as one."""
    tasks = [task_of(*each, config) for each in zip(records, scalings, keys, strict=True)]
    dimensions = tasks[0].rows["x"].shape[1]
    most = max(len(told_tasks(record.task, most=config.tasks)) for record in records)
    head = outcome_head_of(config, len(records[0].models), dimensions, tasks=places_for(most))
    return Joined(tasks, head, config, execution)


def _places(record: Log | Table, config: NuisanceConfig) -> Int[np.ndarray, " n"] | None:
    """[n] place of each row's task among those told apart, −1 for none of them."""
    names = told_tasks(record.task, most=config.tasks)
    if record.task is None or not names:
        return None
    place = {name: own for own, name in enumerate(names)}
    return np.fromiter((place.get(own, -1) for own in record.task), np.int64, len(record))


def _fit_folds(
    joined: Joined,
    rows: dict[str, Any],
    name: str,
    objective: Objective,
    starts: Sequence[np.ndarray],
    runs: Sequence[Any],
    keys: Sequence[jax.Array],
) -> list[Any]:
    """Per record the parameters of one head per fold [k], from the intercepts `starts` [k, m].

    `rows` are those of all records, joined.
    """
    folds, dimensions = joined.config.folds, rows["x"].shape[1]
    counts = [len(task.record) for task in joined.tasks]
    initials = [
        initial(joined.head, dimensions, key, jnp.asarray(start, jnp.float32))
        for key, start in zip(keys, starts, strict=True)
    ]
    own = [jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.arange(folds)) for key in keys]
    params = fit(
        objective,
        concatenated(initials),
        rows=rows,
        train_index=offset([task.folds.train for task in joined.tasks], counts),
        held_out_index=offset([task.folds.held_out for task in joined.tasks], counts),
        context=concatenated(runs),
        learning_rate=joined.config.learning_rate,
        weight_decay=joined.config.weight_decay,
        key=jnp.concatenate(own),
        schedule=joined.config.schedule,
        **joined.execution.of(name),
    ).params

    def part(first: int) -> Any:
        return jax.tree.map(lambda leaf: leaf[first : first + folds], params)

    return [part(first) for first in range(0, folds * len(joined.tasks), folds)]


def fit_all_outcomes(
    records: Sequence[Log | Table],
    scalings: Sequence[Scaling],
    *,
    keys: Sequence[jax.Array],
    config: NuisanceConfig = NuisanceConfig(),
    execution: Execution = Execution(),
) -> list[FittedOutcomes]:
    """Fit the quality and cost models of logs, or of complete tables, as one sweep.

    Args:
      records: of equal shapes, n rows each, with embeddings.
      scalings: of their embeddings.
      keys: one a record, for folds, starting values and shuffling.
      config: folds, trunk, optimiser.
      execution: progress, devices, checkpoints.

    Returns:
      Out-of-fold predictions [n, m] and the models of the folds of each, as it would be alone.
    """
    pairs = [jax.random.split(key) for key in keys]
    joined = join(records, scalings, [pair[0] for pair in pairs], config, execution)
    return fit_joined(joined, [pair[1] for pair in pairs])


def fit_joined(joined: Joined, keys: Sequence[jax.Array]) -> list[FittedOutcomes]:
    """Out-of-fold predictions and outcome models of each record, from a key of networks each."""
    if isinstance(joined.head, PooledHead):
        return [
            fit_pooled(
                joined.head,
                task.rows["x"],
                task.observed,
                task.folds,
                quality_range=task.record.quality_range,
                groups=task.record.groups,
                by_asking=_preferred(task.record),
                weights=task.weights,
                task=_places(task.record, joined.config),
            )
            for task in joined.tasks
        ]
    pairs, tasks = [jax.random.split(key) for key in keys], joined.tasks
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
    head, rows = joined.head, concatenated([task.rows for task in tasks])
    quality = _fit_folds(
        joined, rows, "quality", QualityLikelihood(head), starts, none, [pair[0] for pair in pairs]
    )
    cost = _fit_folds(
        joined, rows, "cost", CostLikelihood(head), zeros, unit_costs, [pair[1] for pair in pairs]
    )
    return [
        _calibrated_model(head, task, unit, own_quality, own_cost)
        for task, unit, own_quality, own_cost in zip(tasks, units, quality, cost, strict=True)
    ]


def _preferred(record: Log | Table) -> bool:
    """Whether today's policy chose how many rows a model has: each could always be asked."""
    return isinstance(record, Log) and record.available is None and record.pinned is None


def _quality_start(task: Task) -> np.ndarray:
    """[k, m] logits of the arms' mean quality outside each fold."""
    models = len(task.record.models)
    means = arm_means(task.observed.quality, task.observed, task.folds, models, prior_rows=2.0)
    means = np.clip(means, 1e-3, 0.999)
    return np.log(means) - np.log1p(-means)


def _calibrated_model(
    head: OutcomeHead, task: Task, unit: np.ndarray, quality: Any, cost: Any
) -> FittedOutcomes:
    """Out-of-fold predictions, and the model whose costs sum to what the rows cost."""
    model = OutcomeModel(
        quality=quality,
        cost=cost,
        unit_cost=jnp.asarray(unit, jnp.float32),
        quality_range=jnp.asarray(task.record.quality_range, jnp.float32),
    )
    ratios = model._replace(unit_cost=jnp.ones_like(model.unit_cost))

    def block(x, place):
        by_fold = on_rows(functools.partial(predict_folds, head), ratios, x)
        arms = task.observed.arms[None, place]
        observed = np.take_along_axis(by_fold.cost, arms, axis=2).swapaxes(0, 1)
        return jax.tree.map(lambda each: task.folds.own(each, place), by_fold), observed

    own, observed = over_blocks(block, task.rows["x"])
    calibrated = calibrated_costs(unit, observed.swapaxes(0, 1), task.observed, task.folds)
    unit_cost = np.asarray(calibrated, np.float32)
    cost = unit_cost[task.folds.of_row] * own.cost
    own = Estimates(quality=own.quality, cost=cost)
    return FittedOutcomes(own, model._replace(unit_cost=jnp.asarray(unit_cost)))
