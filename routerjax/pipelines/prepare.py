"""From records to what a router is trained on: folds, nuisances, estimates, member splits.

`prepare` is the one way from a log or a table to a `Problem`. A log is prepared with propensities
and outcome models, cross-fitted; a table, whose cells are all known, with outcome models alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from routerjax.estimators.counterfactual import Estimator, Transform
from routerjax.estimators.folds import member_splits
from routerjax.models.heads import Scaling
from routerjax.models.outcomes import OutcomeHead, OutcomeModel, predict, tasks_of
from routerjax.pipelines.nuisance import Nuisances, fit_all_nuisances
from routerjax.pipelines.outcomes import fit_all_outcomes
from routerjax.records.logs import Log
from routerjax.records.on_disk import Stored
from routerjax.records.tables import Estimates, Table
from routerjax.records.validation import VALIDATION_NAMES
from routerjax.training.architecture import outcome_head_of
from routerjax.training.asked import Logged
from routerjax.training.config import FitConfig
from routerjax.training.execution import Execution
from routerjax.training.routing import Problem

Splits = tuple[np.ndarray, np.ndarray]
"""[b, ·] rows to train each member on, and rows that choose its epoch."""


class Prepared(NamedTuple):
    """A log or a complete table with all that training a router on it needs.

    Attributes:
      record: n rows with embeddings.
      config: how they were prepared.
      scaling: Scaling of the embeddings.
      x: [n, d] scaled embeddings.
      predicted: [n, m] quality and cost, by models that never saw the row.
      model: outcome models of the folds.
      nuisances: Those of a log; None for a table, which has nothing to estimate.
      train, held_out: [b, ·] rows that train each member, and rows that choose its epoch.
      key: Random key of starting values, shuffling and drawing.
    """

    record: Log | Table
    config: FitConfig
    scaling: Scaling
    x: np.ndarray | Stored
    predicted: Estimates
    model: OutcomeModel
    nuisances: Nuisances | None
    train: np.ndarray
    held_out: np.ndarray
    key: jax.Array

    def __repr__(self) -> str:
        fitted = "outcome models" if self.nuisances is None else "outcome and propensity models"
        return (
            f"Prepared {self.record!r}\n"
            f"  {fitted} of {self.config.nuisance.folds} folds, members: {len(self.train)}"
        )

    def estimates(self, estimator: str | Estimator | Transform) -> Estimates:
        """[n, m] counterfactual estimates of a log's rows; a table's cells as they are."""
        if isinstance(self.record, Table):
            return self.record.estimates
        assert self.nuisances is not None
        return self.nuisances.estimates(self.record, estimator)

    def problem(self, estimator: str | Estimator | Transform) -> Problem:
        """What a router is trained on: these estimates, with dr estimates for the selection."""
        return Problem(
            x=self.x,
            target=self.estimates(estimator),
            selection=self.estimates("dr"),
            predicted=self.predicted,
            train=self.train,
            held_out=self.held_out,
            key=self.key,
            available=self.record.available,
            logged=self._logged,
        )

    @property
    def _logged(self) -> Logged | None:
        """A log's own answers, with the propensities that its estimates are made with."""
        if self.nuisances is None or isinstance(self.record, Table):
            return None
        return Logged(
            arm=np.asarray(self.record.arms, np.int32),
            quality=np.asarray(self.record.quality, np.float32),
            cost=np.asarray(self.record.cost, np.float32),
            propensity=self.nuisances.clipped.astype(np.float32),
        )

    @property
    def head(self) -> OutcomeHead:
        """The head whose parameters the outcome models hold."""
        models, dimensions = len(self.record.models), self.x.shape[1]
        tasks = tasks_of(self.model)
        return outcome_head_of(self.config.nuisance, models, dimensions, tasks=tasks)

    def predict(self, embeddings: np.ndarray | Stored) -> tuple[np.ndarray | Stored, Estimates]:
        """Scaled embeddings of other queries, and their expected outcomes, [n, m]."""
        x = self.scaling(embeddings)
        return x, predict(self.head, self.model, x)


def prepare(
    record: Log | Table,
    config: FitConfig,
    *,
    nuisance_key: jax.Array,
    training_key: jax.Array,
    splits: Splits | None = None,
    execution: Execution = Execution(),
) -> Prepared:
    """Prepare a log or a complete table: folds, nuisances, member splits.

    Args:
      record: n rows with embeddings.
      config: folds and heads of the nuisances, floor, members, validation share.
      nuisance_key: for folds and the nuisances' trainings.
      training_key: for the router's training.
      splits: instead of those that `own_splits` makes.
      execution: progress, devices, checkpoints.

    Returns:
      `Prepared`, whose `problem(estimator)` is what `train_router` takes.

    Raises:
      InputError: a validation share or a number of members that cannot be.
    """
    (prepared,) = prepare_all(
        [record],
        config,
        nuisance_keys=[nuisance_key],
        training_keys=[training_key],
        splits=None if splits is None else [splits],
        execution=execution,
    )
    return prepared


def prepare_all(
    records: Sequence[Log | Table],
    config: FitConfig,
    *,
    nuisance_keys: Sequence[jax.Array],
    training_keys: Sequence[jax.Array],
    splits: Sequence[Splits] | None = None,
    execution: Execution = Execution(),
) -> list[Prepared]:
    """Prepare several logs, or several complete tables, of equal shapes as one sweep.

    Args:
      records: Records of n rows each, with embeddings; all are logs, or all are tables.
      config: folds and heads of the nuisances, floor, members, validation share.
      nuisance_keys: one a record, for folds and the nuisances' trainings.
      training_keys: one a record, for the router's training.
      splits: one a record, instead of those that `own_splits` makes.
      execution: progress, devices, checkpoints.

    Returns:
      One `Prepared` a record, each as it would be alone.

    Raises:
      InputError: a validation share or a number of members that cannot be.
    """
    scalings = [Scaling.of(record.features, components=config.components) for record in records]
    if splits is None:
        splits = [own_splits(record, config) for record in records]
    if isinstance(records[0], Table):
        fitted = _outcomes(records, scalings, nuisance_keys, config, execution)
    else:
        fitted = _nuisances(records, scalings, nuisance_keys, config, execution)
    return [
        Prepared(record, config, scaling, scaling(record.features), *own, *split, key)
        for record, scaling, own, split, key in zip(
            records, scalings, fitted, splits, training_keys, strict=True
        )
    ]


_Fitted = tuple[Estimates, OutcomeModel, Nuisances | None]


def _outcomes(tables, scalings, keys, config: FitConfig, execution: Execution) -> list[_Fitted]:
    fitted = fit_all_outcomes(
        tables, scalings, keys=keys, config=config.nuisance, execution=execution
    )
    return [(own.predicted, own.model, None) for own in fitted]


def _nuisances(logs, scalings, keys, config: FitConfig, execution: Execution) -> list[_Fitted]:
    fitted = fit_all_nuisances(
        logs,
        scalings,
        keys=keys,
        config=config.nuisance,
        floor=config.floor,
        support=config.support,
        execution=execution,
    )
    models = [own.model for own in fitted if own.model is not None]  # those fitted here have one
    return [(own.predicted, model, own) for own, model in zip(fitted, models, strict=True)]


def own_splits(record: Log | Table, config: FitConfig) -> Splits:
    """The record's validation split for every member, or a random share of the rows for each."""
    members = config.router.members
    if record.split is not None and len(set(record.split) & {"train", *VALIDATION_NAMES}) > 1:
        held_out = np.isin(np.asarray(record.split), VALIDATION_NAMES)
        if held_out.any() and not held_out.all():
            shuffled = np.random.default_rng(config.seed).permutation(len(record))
            rows = (shuffled[~held_out[shuffled]], shuffled[held_out[shuffled]])
            return np.tile(rows[0], (members, 1)), np.tile(rows[1], (members, 1))
    return member_splits(
        len(record),
        members=members,
        held_out=config.validation,
        seed=config.seed,
        groups=record.groups,
    )
