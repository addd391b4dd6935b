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
from experiments.causal_routing.published_nuisances import published_nuisances
from routerjax.data.synthetic.logging_policies import simulate_log
from routerjax.estimators.folds import member_splits
from routerjax.estimators.utility import between
from routerjax.pipelines.nuisance import Nuisances
from routerjax.pipelines.prepare import Prepared, prepare_all
from routerjax.records.logs import Log
from routerjax.records.on_disk import read
from routerjax.records.tables import Estimates, Table
from routerjax.records.validation import VALIDATION_NAMES
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
      seed: of the repetition.
      on_log: the logged rows with their nuisances.
      on_table: the same rows with all their cells, and outcome models of full feedback.
      truth: [n, m] outcomes of the logged rows by which policies are evaluated elsewhere.
      test: embeddings of the test rows.
      evaluated_by: outcomes of the test rows.
      logging_policy: [n_test, m] its probabilities on the test rows.
      published: [n_test, m] outcomes of the test rows by the paper's models, where they are wanted.
    """

    config: StudyConfig
    setting: Setting
    seed: int
    on_log: Prepared
    on_table: Prepared
    truth: Estimates
    test: np.ndarray
    evaluated_by: Estimates
    logging_policy: np.ndarray
    published: Estimates | None = None

    @property
    def log(self) -> Log:
        """The logged rows."""
        assert isinstance(self.on_log.record, Log)
        return self.on_log.record

    @property
    def full(self) -> Table:
        """The logged rows with all their cells."""
        assert isinstance(self.on_table.record, Table)
        return self.on_table.record

    @property
    def nuisances(self) -> Nuisances:
        """Of the log."""
        assert self.on_log.nuisances is not None
        return self.on_log.nuisances

    @functools.cached_property
    def cost_weights(self) -> tuple[float, ...]:
        """All λ at which methods are evaluated: those they are fitted at, and some in between."""
        fitted = self.config.cost_weights
        return tuple(sorted({*map(float, fitted), *between(fitted, self.config.between)}))

    @functools.cached_property
    def x(self) -> jax.Array:
        """Scaled embeddings of the logged rows."""
        return jnp.asarray(read(self.on_log.x))

    @functools.cached_property
    def x_test(self) -> jax.Array:
        """Scaled embeddings of the test rows."""
        return jnp.asarray(self.on_log.scaling(self.test))

    @functools.cached_property
    def predicted(self) -> Estimates:
        """Outcomes of the test rows as the log's models predict them."""
        if self.published is not None:
            return self.published
        return self.on_log.predict(self.test)[1]

    @functools.cached_property
    def full_predicted(self) -> Estimates:
        """The same by the models of full feedback."""
        return self.on_table.predict(self.test)[1]

    def prepared(self, estimator: str) -> Prepared:
        """The rows as an estimator sees them: all their cells where it is "full-feedback"."""
        return self.on_table if estimator == "full-feedback" else self.on_log

    def estimates(self, estimator: str) -> Estimates:
        """[n, m] counterfactual estimates of the log; the cells where it is "full-feedback"."""
        return self.prepared(estimator).estimates(estimator)

    def problem(self, estimator: str) -> Problem:
        """What a router is trained on: estimates of the log, or full feedback."""
        return self.prepared(estimator).problem(estimator)._replace(x=self.x)


class _Drawn(NamedTuple):
    key: jax.Array
    log: Log
    full: Table
    truth: Estimates
    test: np.ndarray
    evaluated_by: Estimates
    logging_policy: np.ndarray


def repetitions(
    source: Source, config: StudyConfig, setting: Setting, *, execution: Execution
) -> list[Repetition]:
    """Every seed's repetition; the nuisances of all seeds are one sweep."""
    drawn = [_draw(source, config, setting, seed) for seed in config.every_seed]
    keys = [jax.random.split(jax.random.fold_in(each.key, 1)) for each in drawn]
    splits = [
        _members(each.full, config, setting, seed)
        for seed, each in zip(config.every_seed, drawn, strict=True)
    ]
    training_keys = [each.key for each in drawn]
    on_log = prepare_all(
        [each.log for each in drawn],
        config.fit,
        nuisance_keys=[pair[0] for pair in keys],
        training_keys=training_keys,
        splits=splits,
        execution=execution,
    )
    on_table = prepare_all(
        [each.full for each in drawn],
        config.fit,
        nuisance_keys=[pair[1] for pair in keys],
        training_keys=training_keys,
        splits=splits,
        execution=execution.within("full feedback"),
    )
    made = [
        Repetition(
            config=config,
            setting=setting,
            seed=seed,
            on_log=log,
            on_table=table,
            truth=each.truth,
            test=each.test,
            evaluated_by=each.evaluated_by,
            logging_policy=each.logging_policy,
        )
        for seed, each, log, table in zip(config.every_seed, drawn, on_log, on_table, strict=True)
    ]
    return [_as_published(each) for each in made] if config.published_nuisances else made


def _as_published(own: Repetition) -> Repetition:
    """The repetition with the paper's nuisances in the place of ours."""
    found = published_nuisances(
        own.on_log,
        np.asarray(own.x_test),
        folds=own.config.published_folds,
        seed=own.seed,
    )
    return dataclasses.replace(own, on_log=found.prepared, published=found.queries)


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
    log = log.replace(task=None)  # propensities are those of the query, as in the paper
    return _Drawn(
        key=keys[2],
        log=log,
        full=full,
        truth=source.evaluated_by[logged],
        test=tested.features,
        evaluated_by=source.evaluated_by[test],
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
    """Whether every seed is evaluated on the table's own test split."""
    return config.test_share is None and table.split is not None and "test" in table.split


def overlaps(repetitions: Sequence[Repetition]) -> list[dict]:
    """The overlap report of every seed, as records."""
    return [
        {"record": "overlap", "seed": each.seed, **dataclasses.asdict(each.nuisances.overlap)}
        for each in repetitions
    ]
