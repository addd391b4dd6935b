"""One repetition of the study: split, log, nuisances, every method's choices, their outcomes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.causal_routing.config import StudyConfig
from experiments.causal_routing.data import Source, policy_named
from routerjax.baselines.knn import knn_outcomes
from routerjax.baselines.policies import best_single, greedy, random_choice
from routerjax.counterfactual import estimate
from routerjax.data.logging_policies import simulate_log
from routerjax.evaluation.metrics import Choice, outcome
from routerjax.heads import Scaling
from routerjax.nuisance import Nuisances, fit_nuisances, fit_outcomes, outcome_head
from routerjax.outcomes import OutcomeModel, predict
from routerjax.records import Estimates, Log, Table
from routerjax.training.routing import member_splits, train_router

NAMES = {"classification_bound": "rm-classification", "softmax_regret": "rm-softmax"}

OnStep = Callable[[str], None]


class Repetition(NamedTuple):
    """What the methods of one seed share.

    Attributes:
      config: of the study.
      key: of the seed.
      log, full: the logged rows, and all their cells.
      nuisances: of the log.
      scaling: of the embeddings.
      x, x_test: scaled embeddings of logged and of test rows.
      test_embeddings: unscaled.
      judged_by: outcomes of the test rows.
      propensities: [n_test, m] of the logging policy on the test rows.
      train, held_out: [b, ·] positions in the log of each member.
    """

    config: StudyConfig
    key: jax.Array
    log: Log
    full: Table
    nuisances: Nuisances
    scaling: Scaling
    x: jax.Array
    x_test: jax.Array
    test_embeddings: np.ndarray
    judged_by: Estimates
    propensities: np.ndarray
    train: np.ndarray
    held_out: np.ndarray


def repeat(
    source: Source, config: StudyConfig, *, logging: str, seed: int, on_step: OnStep
) -> tuple[list[dict[str, Any]], Repetition]:
    """Run every method on one log; one result per method and cost weight.

    Returns:
      Records {"method", "logging", "seed", "cost_weight", "utility", "regret", "quality",
      "cost"}, means over the test rows, and what the methods shared.
    """
    on_step(f"{logging} seed {seed}: nuisances")
    shared = _prepare(source, config, logging, seed)
    results = []
    for method, choices in _methods(shared, lambda what: on_step(f"{logging} seed {seed}: {what}")):
        for weight, choice in zip(config.cost_weights, choices, strict=True):
            got = outcome(choice, shared.judged_by, cost_weight=weight)
            means = {name: float(value.mean()) for name, value in got._asdict().items()}
            results.append(
                {"method": method, "logging": logging, "seed": seed, "cost_weight": weight} | means
            )
    return results, shared


def _prepare(source: Source, config: StudyConfig, logging: str, seed: int) -> Repetition:
    key = jax.random.fold_in(jax.random.key(seed), 2505)
    keys = jax.random.split(key, 5)
    order = np.random.default_rng(seed).permutation(len(source.table))
    tests = round(config.test_share * len(order))
    test, logged = order[:tests], order[tests:][: config.rows]
    policy = policy_named(logging, source, logged, strength=config.strength, key=keys[0])
    full = source.table.rows(logged)
    record = config.record_propensities
    log, _ = simulate_log(full, policy, key=keys[1], record=record)
    on_test = policy_named(logging, source, test, strength=config.strength, key=keys[0])
    tested = source.table.rows(test)
    scaling = Scaling.of(log.features)
    nuisances = fit_nuisances(log, scaling, key=keys[2], config=config.nuisance, floor=config.floor)
    train_rows, held_out = member_splits(
        len(log), members=config.router.members, held_out=config.validation, seed=seed
    )
    return Repetition(
        config=config,
        key=keys[3],
        log=log,
        full=full,
        nuisances=nuisances,
        scaling=scaling,
        x=scaling(log.features),
        x_test=scaling(tested.features),
        test_embeddings=tested.features,
        judged_by=source.judged_by[test],
        propensities=on_test(tested, keys[4]),
        train=train_rows,
        held_out=held_out,
    )


def _methods(shared: Repetition, on_step: OnStep) -> Iterator[tuple[str, list[Choice]]]:
    """Every method with its choice at each cost weight, cheap ones first."""
    weights, log, judged_by = shared.config.cost_weights, shared.log, shared.judged_by
    rows = len(judged_by.quality)
    dr = _estimates(shared, "dr")

    def single(outcomes: Estimates) -> list[Choice]:
        return [np.full(rows, best_single(outcomes, cost_weight=weight)) for weight in weights]

    def plug_in(outcomes: Estimates) -> list[Choice]:
        return [greedy(outcomes, cost_weight=weight) for weight in weights]

    yield "random", [random_choice(rows, len(log.models))] * len(weights)
    yield "logging-policy", [shared.propensities] * len(weights)
    yield "best-single-log", single(dr)
    yield "best-single-hindsight", single(judged_by)
    on_step("plug-ins")
    yield "knn-plug-in", plug_in(knn_outcomes(log, shared.test_embeddings))
    yield "regression-plug-in", plug_in(_predicted(shared, shared.nuisances.model))
    for surrogate in shared.config.surrogates:
        for estimator in shared.config.estimators:
            name = f"{NAMES.get(surrogate, surrogate)}-{estimator}"
            on_step(name)
            target, predicted = _estimates(shared, estimator), shared.nuisances.predicted
            model = shared.nuisances.model
            yield name, _routed(shared, target, dr, predicted, model, surrogate)
    cells = shared.full.estimates
    predicted, model = fit_outcomes(
        shared.full, shared.scaling, key=shared.key, config=shared.config.nuisance
    )
    yield "regression-plug-in-full-feedback", plug_in(_predicted(shared, model))
    for surrogate in shared.config.surrogates:
        name = f"{NAMES.get(surrogate, surrogate)}-full-feedback"
        on_step(name)
        yield name, _routed(shared, cells, cells, predicted, model, surrogate)
    yield "oracle", plug_in(judged_by)


def _estimates(shared: Repetition, estimator: str) -> Estimates:
    nuisances = shared.nuisances
    return estimate(
        shared.log,
        nuisances.predicted,
        nuisances.propensities,
        estimator=estimator,
        floor=shared.config.floor,
    )


def _predicted(shared: Repetition, model: OutcomeModel) -> Estimates:
    """An outcome model's predictions for the test rows."""
    head = outcome_head(len(shared.log.models), shared.config.nuisance)
    return predict(head, model, shared.x_test)


def _routed(
    shared: Repetition,
    target: Estimates,
    judge: Estimates,
    predicted: Estimates,
    model: OutcomeModel,
    surrogate: str,
) -> list[Choice]:
    """Choices on the test rows of a router trained on `target`, its epoch chosen by `judge`."""
    policy, _ = train_router(
        shared.x,
        target,
        judge,
        predicted,
        train=shared.train,
        held_out=shared.held_out,
        cost_weights=shared.config.cost_weights,
        quality_width=shared.full.quality_width,
        key=shared.key,
        config=dataclasses.replace(shared.config.router, surrogate=surrogate),
    )
    return list(policy.at_grid(shared.x_test, _predicted(shared, model)).argmax(axis=-1))
