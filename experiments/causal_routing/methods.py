"""The methods of the table: each gives its choices at every cost weight, seed by seed."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from experiments.causal_routing.config import ABLATIONS, StudyConfig
from experiments.causal_routing.repetition import Repetition
from routerjax.baselines.dr_forest import dr_forest
from routerjax.baselines.knn import knn_full_feedback, knn_outcomes
from routerjax.baselines.naive import cheapest, ips_means, plain_means
from routerjax.baselines.policies import best_single, greedy, random_choice
from routerjax.evaluation.metrics import Choice
from routerjax.models.policy import Policy
from routerjax.records.tables import Estimates
from routerjax.training.execution import Execution
from routerjax.training.routing import train_routers

NAMES = {"classification_bound": "rm-classification", "softmax_regret": "rm-softmax"}
FULL = "full-feedback"

Choices = list[Choice]
"""At every cost weight."""

Each = Callable[[Repetition], Choices]


def methods(
    repetitions: Sequence[Repetition], *, execution: Execution
) -> Iterator[tuple[str, list[Choices]]]:
    """Every method wanted, with its choices for each repetition; those without training first."""
    config = repetitions[0].config
    for name, choose in {**_without_training(), **_plug_ins()}.items():
        if wanted(name, config):
            with execution.step(name):
                chosen = [choose(each) for each in repetitions]
            yield name, chosen
    for surrogate in config.surrogates:
        for estimator in (*config.estimators, FULL):
            yield from _surrogate(repetitions, surrogate, estimator, execution)
    for estimator in ("dr", FULL):
        yield from _ablations(repetitions, estimator, execution)


def wanted(name: str, config: StudyConfig) -> bool:
    """Whether the study is to run a method; what others are compared with always runs."""
    always = ("best-single-log", "oracle", "rm-softmax-full-feedback")
    return not config.methods or name in always or name.startswith(config.methods)


def is_reference(name: str) -> bool:
    """Whether a method knows what a log does not hold."""
    return name in ("oracle", "best-single-hindsight") or name.endswith(FULL)


def _without_training() -> dict[str, Each]:
    return {
        "random": lambda own: [random_choice(len(own.test), len(own.log.models))] * _count(own),
        "logging-policy": lambda own: [own.logging_policy] * _count(own),
        "cheapest": lambda own: (
            [np.full(len(own.test), cheapest(own.estimates("dr")))] * _count(own)
        ),
        "greedy": lambda own: _single(own, plain_means(own.log)),
        "ips-greedy": lambda own: _single(
            own, ips_means(own.log, own.nuisances.propensities.answered, floor=own.config.floor)
        ),
        "best-single-log": lambda own: _single(own, own.estimates("dr")),
        "best-single-hindsight": lambda own: _single(own, own.evaluated_by),
        "oracle": lambda own: _greedy(own, own.evaluated_by),
    }


def _plug_ins() -> dict[str, Each]:
    forest = {"dr-forest": _forest} if has_baselines() else {}
    return {
        **forest,
        "knn-plug-in": lambda own: _greedy(own, knn_outcomes(own.log, own.test)),
        "regression-plug-in": lambda own: _greedy(own, own.predicted),
        f"knn-plug-in-{FULL}": lambda own: _greedy(own, knn_full_feedback(own.full, own.test)),
        f"regression-plug-in-{FULL}": lambda own: _greedy(own, own.full_predicted),
    }


def _forest(own: Repetition) -> Choices:
    """The doubly robust forest: predict dr utilities, then choose."""
    found = dr_forest(np.asarray(own.x), own.estimates("dr"), np.asarray(own.x_test), seed=own.seed)
    return _greedy(own, found)


def _count(own: Repetition) -> int:
    return len(own.cost_weights)


def _greedy(own: Repetition, outcomes: Estimates) -> Choices:
    return [greedy(outcomes, cost_weight=each) for each in own.cost_weights]


def _single(own: Repetition, outcomes: Estimates) -> Choices:
    """The one arm of highest mean utility, for every test row."""
    arms = [best_single(outcomes, cost_weight=each) for each in own.cost_weights]
    return [np.full(len(own.test), arm) for arm in arms]


def _surrogate(
    repetitions: Sequence[Repetition], surrogate: str, estimator: str, execution: Execution
) -> Iterator[tuple[str, list[Choices]]]:
    """A surrogate's routers at the grid; with softmax regret the joint router on top of them.

    rm-softmax, rm-interpolated and rm-interval share the endpoint routers of one training.
    """
    config = repetitions[0].config
    names = {"shared": f"{NAMES.get(surrogate, surrogate)}-{estimator}"}
    if surrogate == "softmax_regret":
        names |= {a: f"rm-{a}-{estimator}" for a in ("interpolated", "interval")}
    names = {architecture: n for architecture, n in names.items() if wanted(n, config)}
    if not names:
        return
    trained = "interval" if "interval" in names else "shared"
    label = names.get("interval", next(iter(names.values())))
    policies = _train(
        repetitions, estimator, label, execution, surrogate=surrogate, architecture=trained
    )
    for architecture, name in names.items():
        yield (
            name,
            [
                _routed(own, _read_as(policy, architecture), estimator)
                for own, policy in zip(repetitions, policies, strict=True)
            ],
        )


def _ablations(
    repetitions: Sequence[Repetition], estimator: str, execution: Execution
) -> Iterator[tuple[str, list[Choices]]]:
    """Other ways to serve every λ, and routers trained at the λ of the evaluation themselves."""
    config = repetitions[0].config
    for architecture in ABLATIONS:
        name = f"rm-{architecture}-{estimator}"
        if architecture == "affine" and config.router.start == "random":
            continue  # its costs are multiples of those of a start
        if wanted(name, config):
            policies = _train(
                repetitions,
                estimator,
                name,
                execution,
                surrogate="softmax_regret",
                architecture=architecture,
            )
            yield name, _all_routed(repetitions, policies, estimator)
    name = f"rm-trained-there-{estimator}"
    if config.between and wanted(name, config):
        policies = _train(
            repetitions,
            estimator,
            name,
            execution,
            surrogate="softmax_regret",
            architecture="shared",
            cost_weights=repetitions[0].cost_weights,
        )
        yield name, _all_routed(repetitions, policies, estimator)


def _train(
    repetitions: Sequence[Repetition],
    estimator: str,
    label: str,
    execution: Execution,
    *,
    surrogate: str,
    architecture: str,
    cost_weights: Sequence[float] | None = None,
) -> list[Policy]:
    """One router per repetition, all in one sweep."""
    config = repetitions[0].config
    separate = config.router.separate_trunks
    if separate and architecture == "shared":
        architecture, separate = "separate", False
    router = dataclasses.replace(
        config.router,
        surrogate=surrogate,
        architecture=architecture,
        separate_trunks=separate and architecture in ("interval", "interpolated"),
    )
    trained = train_routers(
        [own.problem(estimator) for own in repetitions],
        cost_weights=cost_weights or config.cost_weights,
        quality_width=repetitions[0].full.quality_width,
        config=router,
        execution=execution.within(label),
    )
    return [each.policy for each in trained]


def _read_as(policy: Policy, architecture: str) -> Policy:
    """The endpoint routers of a policy, with the space between them filled in another way."""
    own = policy.architecture
    if architecture == "shared" and (own.separate_trunks or own.name == "separate"):
        own, architecture = dataclasses.replace(own, separate_trunks=False), "separate"
    if architecture == own.name:
        return policy
    other = own.read_as(architecture)
    return policy._replace(
        architecture=other, params={stage.key: policy.params[stage.key] for stage in other.stages}
    )


def _all_routed(
    repetitions: Sequence[Repetition], policies: Sequence[Policy], estimator: str
) -> list[Choices]:
    pairs = zip(repetitions, policies, strict=True)
    return [_routed(own, policy, estimator) for own, policy in pairs]


def _routed(own: Repetition, policy: Policy, estimator: str) -> Choices:
    """A policy's choices on the test rows."""
    predicted = own.full_predicted if estimator == FULL else own.predicted
    return list(policy.at(own.x_test, predicted, cost_weights=own.cost_weights).argmax(axis=-1))


def has_baselines() -> bool:
    """Whether the extra ``baselines`` is installed."""
    return importlib.util.find_spec("sklearn") is not None
