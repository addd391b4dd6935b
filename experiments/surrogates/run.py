"""The comparison: nuisances of all seeds, then a sweep per surrogate, target and start."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.surrogates.config import FULL, SurrogatesConfig, width_of
from experiments.surrogates.source import Drawn, Source, draw, load, of_size
from routerjax.baselines.policies import best_single, greedy
from routerjax.estimators.folds import member_splits
from routerjax.evaluation.metrics import Choice, Outcome, label_error, outcome
from routerjax.pipelines.prepare import Prepared, prepare_all
from routerjax.records.on_disk import Stored
from routerjax.records.tables import Estimates
from routerjax.training.execution import Execution
from routerjax.training.routing import Problem, train_routers

START, ORACLE, LOG = "start", "oracle", "log"


class Target(NamedTuple):
    """What one seed's routers are trained on, and what is known of its test rows.

    Attributes:
      problem: of the training.
      x: [n_test, d] scaled embeddings of test rows.
      predicted: [n_test, m] outcome predictions for them.
      evaluated_by: [n_test, m] their true means, or what stands for them.
      labels: [w, 2] label error and optimism of the training rows, by cost weight; None of a log.
    """

    problem: Problem
    x: np.ndarray | Stored
    predicted: Estimates
    evaluated_by: Estimates
    labels: np.ndarray | None


Targets = dict[tuple[int, str], list[Target]]
"""By training rows (0 for all) and estimator, one per seed."""


class Found(NamedTuple):
    """What one method reached with one target from one start, over seeds and cost weights.

    Attributes:
      method: a surrogate, "start" or "oracle".
      estimator, start: of the target and the router.
      means: "utility", "regret", "quality", "cost" → [s, w] means over test rows.
      epochs: [s] epoch kept; 0 is the start.
      rows: it was trained on; 0 for all.
      settings: Of its surrogate: name → [s] the value that each seed's held-out rows chose.
    """

    method: str
    estimator: str
    start: str
    means: dict[str, np.ndarray]
    epochs: np.ndarray
    rows: int = 0
    settings: dict[str, list[float]] = {}

    @property
    def group(self) -> tuple[int, str, str]:
        """Training rows, target and start: within them methods are compared."""
        return self.rows, self.estimator, self.start

    @property
    def overall(self) -> np.ndarray:
        """[s] utility, mean over the cost weights."""
        return self.means["utility"].mean(axis=1)


def study(config: SurrogatesConfig, *, execution: Execution) -> tuple[list[Found], Targets, Source]:
    """Run the whole comparison, one sweep after another.

    Args:
      config: checked.
      execution: progress, devices, checkpoints.
    """
    source = load(config)
    whole = draw(source, config)
    tests = _evaluated_by(whole, config, execution)
    targets: Targets = {}
    for rows in config.rows or (0,):
        drawn = of_size(whole, rows)
        for name in _sources(config):
            part = execution.within(_step(rows, name))
            targets |= {
                (rows, estimator): own
                for estimator, own in _targets(drawn, tests, config, name, part).items()
            }
    found = []
    for rows, estimator, start in config.groups:
        own, part = targets[rows, estimator], execution.within(_step(rows, estimator, start))
        made = [_untrained(own, config, estimator, start)]
        for surrogate in config.compared(estimator):
            each = part.within(surrogate)
            made.append(_trained(own, config, estimator, start, surrogate, each))
        if source.truth is not None:
            made.append(_oracle(own, config, estimator, start))
        found += [one._replace(rows=rows) for one in made]
    return found, targets, source


def steps(config: SurrogatesConfig) -> int:
    """Over how many steps `study` reports: nuisances of each source, and routers."""
    routers = sum(len(config.compared(estimator)) for _, estimator, _ in config.groups)
    sizes = len(config.rows or (0,))
    return (config.log is not None) + sizes * len(_sources(config)) + routers


def _step(rows: int, *parts: str) -> str:
    return ", ".join(([f"{rows} rows"] if rows else []) + list(parts))


def _evaluated_by(
    drawn: Sequence[Drawn], config: SurrogatesConfig, execution: Execution
) -> list[Estimates]:
    """What every seed's test rows are evaluated by: their truth, or dr estimates of a log."""
    known = [one.evaluated_by for one in drawn if one.evaluated_by is not None]
    if known:
        return known
    logs = [one.tests for one in drawn]
    prepared = prepare_all(
        logs,
        config.fit,
        nuisance_keys=[one.key(4) for one in drawn],
        training_keys=[one.key(3) for one in drawn],
        execution=execution.within("test rows"),
    )
    return [each.estimates("dr") for each in prepared]


def _sources(config: SurrogatesConfig) -> list[str]:
    """Which of full feedback and the log the estimators need."""
    of_log = [name for name in config.targets if name != FULL]
    return [FULL] * (FULL in config.targets) + [LOG] * bool(of_log)


def _targets(
    drawn: Sequence[Drawn],
    tests: Sequence[Estimates],
    config: SurrogatesConfig,
    source: str,
    execution: Execution,
) -> dict[str, list[Target]]:
    """Prepare what the estimators of a source need, for all seeds in one sweep."""
    full = source == FULL
    prepared = prepare_all(
        [one.full if full and one.full is not None else one.log for one in drawn],
        config.fit,
        nuisance_keys=[one.key(1 if full else 2) for one in drawn],
        training_keys=[one.key(3) for one in drawn],
        splits=[_members(one, config) for one in drawn],
        execution=execution,
    )
    wanted = [FULL] if full else [name for name in config.targets if name != FULL]
    each = list(zip(drawn, prepared, tests, strict=True))
    return {name: [_target(*one, config, name) for one in each] for name in wanted}


def _members(one: Drawn, config: SurrogatesConfig) -> tuple[np.ndarray, np.ndarray]:
    return member_splits(
        len(one.log),
        members=config.router.members,
        held_out=config.validation,
        seed=one.seed,
        groups=one.log.groups,
    )


def _target(
    one: Drawn, prepared: Prepared, tests: Estimates, config: SurrogatesConfig, estimator: str
) -> Target:
    problem = prepared.problem(estimator)
    x, predicted = prepared.predict(one.tests.features)
    if one.truth is None:
        return Target(problem, x, predicted, tests, None)
    errors = [label_error(problem.target, one.truth, cost_weight=w) for w in config.cost_weights]
    return Target(problem, x, predicted, tests, np.array(errors))


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
        quality_width=width_of(config.quality_range),
        config=dataclasses.replace(config.router, surrogate=surrogate, start=start),
        execution=execution,
    )
    choices = [
        router.policy.at(target.x, target.predicted, cost_weights=config.cost_weights).argmax(-1)
        for router, target in zip(routers, targets, strict=True)
    ]
    epochs = np.array([max(router.epochs["endpoints"]) for router in routers])
    kept = [router.settings.get("endpoints", {}) for router in routers]
    settings = {name: [own[name][0] for own in kept] for name in kept[0]}
    means = _means(choices, targets, config)
    return Found(surrogate, estimator, start, means, epochs, settings=settings)


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
