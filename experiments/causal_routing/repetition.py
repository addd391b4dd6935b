"""Repetitions of a setting: for every seed the split, the log, its nuisances and estimates."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.causal_routing.config import StudyConfig
from experiments.causal_routing.data import Source, policy_named
from routerjax.data.synthetic.logging_policies import simulate_log
from routerjax.estimators.counterfactual import estimate
from routerjax.estimators.folds import member_splits
from routerjax.estimators.utility import between
from routerjax.models.heads import Scaling
from routerjax.models.outcomes import OutcomeModel, predict
from routerjax.pipelines.fit_log import VALIDATION_NAMES
from routerjax.pipelines.nuisance import (
    Nuisances,
    fit_all_nuisances,
    fit_all_outcomes,
    outcome_head,
)
from routerjax.records.on_disk import read
from routerjax.records.tables import Estimates, Log, Table
from routerjax.training.execution import Execution
from routerjax.training.routing import Problem


class Setting(NamedTuple):
    """What a study varies beside the seed."""

    logging: str
    strength: float
    rows: int | None

    def __str__(self) -> str:
        rows = "" if self.rows is None else f", {self.rows} rows"
        return f"{self.logging} {self.strength:g}{rows}"


@dataclasses.dataclass(frozen=True, eq=False)
class Repetition:
    """What the methods of one seed share.

    Attributes:
      config: of the study; setting: what it varies.
      seed, key: of the repetition.
      log, full: the logged rows, and all their cells.
      truth: [n, m] outcomes of the logged rows by which policies are judged elsewhere.
      test: embeddings of the test rows.
      judged_by: outcomes of the test rows.
      logging_policy: [n_test, m] its probabilities on the test rows.
      scaling: of the embeddings.
      nuisances: of the log.
      full_outcomes: out-of-fold predictions and outcome models on full feedback.
      train, held_out: [b, ·] positions in the log of each member.
    """

    config: StudyConfig
    setting: Setting
    seed: int
    key: jax.Array
    log: Log
    full: Table
    truth: Estimates
    test: np.ndarray
    judged_by: Estimates
    logging_policy: np.ndarray
    scaling: Scaling
    nuisances: Nuisances
    full_outcomes: tuple[Estimates, OutcomeModel]
    train: np.ndarray
    held_out: np.ndarray

    @functools.cached_property
    def cost_weights(self) -> tuple[float, ...]:
        """All λ that are judged: the grid, and those between its points."""
        grid = self.config.cost_weights
        return tuple(sorted({*map(float, grid), *between(grid, self.config.between)}))

    @functools.cached_property
    def x(self) -> jax.Array:
        """Scaled embeddings of the logged rows."""
        return jnp.asarray(read(self.scaling(self.log.features)))

    @functools.cached_property
    def x_test(self) -> jax.Array:
        """Scaled embeddings of the test rows."""
        return self.scaling(self.test)

    @functools.cached_property
    def predicted(self) -> Estimates:
        """Outcomes of the test rows as the log's models predict them."""
        return self._predicted(self.nuisances.model)

    @functools.cached_property
    def full_predicted(self) -> Estimates:
        """The same by the models of full feedback."""
        return self._predicted(self.full_outcomes[1])

    def _predicted(self, model: OutcomeModel) -> Estimates:
        head = outcome_head(len(self.log.models), self.config.nuisance)
        return predict(head, model, self.x_test)

    def estimates(self, estimator: str) -> Estimates:
        """[n, m] counterfactual estimates of the log; the cells where it is "full-feedback"."""
        if estimator == "full-feedback":
            return self.full.estimates
        nuisances, floor = self.nuisances, self.config.floor
        return estimate(
            self.log, nuisances.predicted, nuisances.propensities, estimator=estimator, floor=floor
        )

    def problem(self, estimator: str) -> Problem:
        """What a router is trained on: estimates of the log, or full feedback."""
        full = estimator == "full-feedback"
        return Problem(
            x=self.x,
            target=self.estimates(estimator),
            judge=self.estimates("full-feedback" if full else "dr"),
            predicted=self.full_outcomes[0] if full else self.nuisances.predicted,
            train=self.train,
            held_out=self.held_out,
            key=self.key,
        )


class _Drawn(NamedTuple):
    key: jax.Array
    log: Log
    full: Table
    truth: Estimates
    test: np.ndarray
    judged_by: Estimates
    logging_policy: np.ndarray


def repetitions(
    source: Source, config: StudyConfig, setting: Setting, *, execution: Execution
) -> list[Repetition]:
    """Every seed's repetition; the nuisances of all seeds are one sweep."""
    drawn = [_draw(source, config, setting, seed) for seed in range(config.seeds)]
    logs, tables = [each.log for each in drawn], [each.full for each in drawn]
    scalings = [Scaling.of(log.features) for log in logs]
    keys = [jax.random.split(jax.random.fold_in(each.key, 1)) for each in drawn]
    nuisance = config.nuisance
    nuisances = fit_all_nuisances(
        logs,
        scalings,
        keys=[pair[0] for pair in keys],
        config=nuisance,
        floor=config.floor,
        execution=execution,
    )
    outcomes = fit_all_outcomes(
        tables,
        scalings,
        keys=[pair[1] for pair in keys],
        config=nuisance,
        execution=execution.within("full feedback"),
    )
    return [
        Repetition(
            config,
            setting,
            seed,
            *each,
            scaling,
            own,
            full_outcomes,
            *_members(each.full, config, setting, seed),
        )
        for seed, each, scaling, own, full_outcomes in zip(
            range(config.seeds), drawn, scalings, nuisances, outcomes, strict=True
        )
    ]


def _draw(source: Source, config: StudyConfig, setting: Setting, seed: int) -> _Drawn:
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 2505), 4)
    test, logged = _split(source.table, config, setting.rows, seed)
    strength = setting.strength
    policy, on_test = (
        policy_named(setting.logging, source, rows, strength=strength, key=keys[0])
        for rows in (logged, test)
    )
    full, tested = source.table.rows(logged), source.table.rows(test)
    log, _ = simulate_log(full, policy, key=keys[1], record=config.record_propensities)
    return _Drawn(
        key=keys[2],
        log=log,
        full=full,
        truth=source.judged_by[logged],
        test=tested.features,
        judged_by=source.judged_by[test],
        logging_policy=on_test(tested, keys[3]),
    )


def _split(
    table: Table, config: StudyConfig, rows: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of test and of logged rows, in an order of the seed's own."""
    order = np.random.default_rng(seed).permutation(len(table))
    if has_own_test(table, config):
        is_test = np.asarray(table.split)[order] == "test"
        test, others = order[is_test], order[~is_test]
    else:
        tests = round((config.test_share or 0.3) * len(order))
        test, others = order[:tests], order[tests:]
    return test, others[:rows]


def _members(
    full: Table, config: StudyConfig, setting: Setting, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that train each member, and rows that choose its epoch, [b, ·] each.

    The table's validation split chooses where it has one and all rows are logged; a number of
    rows drawn from it would hold another share of it for every seed.
    """
    members = config.router.members
    if full.split is not None and setting.rows is None:
        held_out = np.isin(np.asarray(full.split), VALIDATION_NAMES)
        if held_out.any() and not held_out.all():
            train, chosen = np.flatnonzero(~held_out), np.flatnonzero(held_out)
            return np.tile(train, (members, 1)), np.tile(chosen, (members, 1))
    return member_splits(len(full), members=members, held_out=config.validation, seed=seed)


def has_own_test(table: Table, config: StudyConfig) -> bool:
    """Whether every seed is judged on the table's own test split."""
    return config.test_share is None and table.split is not None and "test" in table.split


def overlaps(repetitions: Sequence[Repetition]) -> list[dict]:
    """The overlap report of every seed, as records."""
    return [
        {"record": "overlap", "seed": each.seed, **dataclasses.asdict(each.nuisances.overlap)}
        for each in repetitions
    ]
