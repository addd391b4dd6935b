"""The comparison: nuisances of all seeds, then a sweep per surrogate, target and start."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from experiments.surrogates.config import FULL, SurrogatesConfig
from routerjax.baselines.policies import best_single, greedy
from routerjax.data.synthetic.logging_policies import simulate_log
from routerjax.data.synthetic.simulation import logging_policy
from routerjax.data.synthetic.table import EmbeddedTable, embedded_table
from routerjax.estimators.folds import member_splits
from routerjax.evaluation.metrics import Choice, Outcome, label_error, outcome
from routerjax.pipelines.prepare import Prepared, prepare_all
from routerjax.records.on_disk import Stored
from routerjax.records.tables import Estimates, Log, Table
from routerjax.training.execution import Execution
from routerjax.training.routing import Problem, train_routers

START, ORACLE, LOG = "start", "oracle", "log"


class Drawn(NamedTuple):
    """One repetition before anything is fitted.

    Attributes:
      seed: its number.
      full, log: the training rows with all their cells, and with the logged one alone.
      truth, evaluated_by: true means of the training and of the test rows.
      test: embeddings of the test rows.
    """

    seed: int
    full: Table
    log: Log
    truth: Estimates
    evaluated_by: Estimates
    test: np.ndarray

    def key(self, purpose: int) -> jax.Array:
        """A key of the seed's own for every purpose."""
        return jax.random.fold_in(jax.random.key(self.seed), purpose)


class Target(NamedTuple):
    """What one seed's routers are trained on, and what is known of its test rows.

    Attributes:
      problem: of the training.
      x: [n_test, d] scaled embeddings of test rows.
      predicted: [n_test, m] outcome predictions for them.
      evaluated_by: [n_test, m] their true means.
      labels: [w, 2] label error and optimism of the training rows, by cost weight.
    """

    problem: Problem
    x: np.ndarray | Stored
    predicted: Estimates
    evaluated_by: Estimates
    labels: np.ndarray


Targets = dict[str, list[Target]]
"""By estimator, one per seed."""


class Found(NamedTuple):
    """What one method reached with one target from one start, over seeds and cost weights.

    Attributes:
      method: a surrogate, "start" or "oracle".
      estimator, start: of the target and the router.
      means: "utility", "regret", "quality", "cost" → [s, w] means over test rows.
      epochs: [s] epoch kept; 0 is the start.
    """

    method: str
    estimator: str
    start: str
    means: dict[str, np.ndarray]
    epochs: np.ndarray

    @property
    def overall(self) -> np.ndarray:
        """[s] utility, mean over the cost weights."""
        return self.means["utility"].mean(axis=1)


def study(
    config: SurrogatesConfig, *, execution: Execution
) -> tuple[list[Found], Targets, EmbeddedTable]:
    """Run the whole comparison, one sweep after another.

    Args:
      config: checked.
      execution: progress, devices, checkpoints.
    """
    source = embedded_table(0, queries=config.queries, dimensions=config.dimensions)
    drawn = [_drawn(source, config, seed) for seed in range(config.seeds)]
    targets: Targets = {}
    for name in _sources(config):
        targets |= _targets(drawn, config, name, execution.within(name))
    found = []
    for estimator in config.estimators:
        for start in config.starts:
            own, part = targets[estimator], execution.within(f"{estimator}, {start}")
            found.append(_untrained(own, config, estimator, start))
            found += [
                _trained(own, config, estimator, start, surrogate, part.within(surrogate))
                for surrogate in config.surrogates
            ]
            found.append(_oracle(own, config, estimator, start))
    return found, targets, source


def steps(config: SurrogatesConfig) -> int:
    """Over how many steps `study` reports: nuisances of each source, and routers."""
    routers = len(config.estimators) * len(config.starts) * len(config.surrogates)
    return len(_sources(config)) + routers


def _drawn(source: EmbeddedTable, config: SurrogatesConfig, seed: int) -> Drawn:
    order = np.random.default_rng(seed).permutation(len(source))
    tests = round(config.test_share * len(order))
    test, train = order[:tests], order[tests:]
    full, truth = source.table.rows(train), source.true_estimates
    policy = logging_policy(config.logging, full, strength=config.strength)
    log, _ = simulate_log(full, policy, key=jax.random.fold_in(jax.random.key(seed), 0))
    features = source.table.rows(test).features
    return Drawn(seed, full, log, truth[train], truth[test], features)


def _sources(config: SurrogatesConfig) -> list[str]:
    """Which of full feedback and the log the estimators need."""
    of_log = [name for name in config.estimators if name != FULL]
    return [FULL] * (FULL in config.estimators) + [LOG] * bool(of_log)


def _targets(
    drawn: Sequence[Drawn], config: SurrogatesConfig, source: str, execution: Execution
) -> Targets:
    """Prepare what the estimators of a source need, for all seeds in one sweep."""
    full = source == FULL
    prepared = prepare_all(
        [one.full if full else one.log for one in drawn],
        config.fit,
        nuisance_keys=[one.key(1 if full else 2) for one in drawn],
        training_keys=[one.key(3) for one in drawn],
        splits=[_members(one, config) for one in drawn],
        execution=execution,
    )
    wanted = [FULL] if full else [name for name in config.estimators if name != FULL]
    return {
        name: [_target(one, own, config, name) for one, own in zip(drawn, prepared, strict=True)]
        for name in wanted
    }


def _members(one: Drawn, config: SurrogatesConfig) -> tuple[np.ndarray, np.ndarray]:
    return member_splits(
        len(one.log), members=config.router.members, held_out=config.validation, seed=one.seed
    )


def _target(one: Drawn, prepared: Prepared, config: SurrogatesConfig, estimator: str) -> Target:
    problem = prepared.problem(estimator)
    x, predicted = prepared.predict(one.test)
    errors = [label_error(problem.target, one.truth, cost_weight=w) for w in config.cost_weights]
    return Target(problem, x, predicted, one.evaluated_by, np.array(errors))


def _trained(
    targets: Sequence[Target],
    config: SurrogatesConfig,
    estimator: str,
    start: str,
    surrogate: str,
    execution: Execution,
) -> Found:
    """Train one surrogate for all seeds and learning rates, and evaluate it on the test rows."""
    routers = train_routers(
        [target.problem for target in targets],
        cost_weights=config.cost_weights,
        quality_width=1.0,
        config=dataclasses.replace(config.router, surrogate=surrogate, start=start),
        execution=execution,
    )
    choices = [
        router.policy.at(target.x, target.predicted, cost_weights=config.cost_weights).argmax(-1)
        for router, target in zip(routers, targets, strict=True)
    ]
    epochs = np.array([max(router.epochs["endpoints"]) for router in routers])
    return Found(surrogate, estimator, start, _means(choices, targets, config), epochs)


def _untrained(
    targets: Sequence[Target], config: SurrogatesConfig, estimator: str, start: str
) -> Found:
    """The policy that the routers of a group start from."""

    def choices(target: Target) -> list[Choice]:
        if start == "plug-in":
            return [greedy(target.predicted, cost_weight=w) for w in config.cost_weights]
        selection = target.problem.selection
        singles = [
            best_single(selection, cost_weight=cost_weight) for cost_weight in config.cost_weights
        ]
        return [np.full(len(target.x), single) for single in singles]

    means = _means([choices(target) for target in targets], targets, config)
    return Found(START, estimator, start, means, np.zeros(len(targets), int))


def _oracle(
    targets: Sequence[Target], config: SurrogatesConfig, estimator: str, start: str
) -> Found:
    made = [[greedy(t.evaluated_by, cost_weight=w) for w in config.cost_weights] for t in targets]
    means = _means(made, targets, config)
    return Found(ORACLE, estimator, start, means, np.zeros(len(targets), int))


def _means(
    choices: Sequence[Sequence[Choice]], targets: Sequence[Target], config: SurrogatesConfig
) -> dict[str, np.ndarray]:
    """[s, w] means over test rows of every field of `Outcome`."""
    each = [
        [
            outcome(choice, target.evaluated_by, cost_weight=cost_weight)
            for choice, cost_weight in zip(own, config.cost_weights, strict=True)
        ]
        for own, target in zip(choices, targets, strict=True)
    ]
    return {
        name: np.array([[getattr(one, name).mean() for one in row] for row in each])
        for name in Outcome._fields
    }
