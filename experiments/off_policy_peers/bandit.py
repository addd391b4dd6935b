"""The Open Bandit logs: a policy's value from the other policy's log, by every estimator.

Both logs record what their policy did and met, so that the value of either policy is known from
its own log and can be set beside what the other log says of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.off_policy_peers.peers import module
from routerjax.errors import InputError
from routerjax.estimators.defaults import FLOOR
from routerjax.estimators.folds import make_folds
from routerjax.evaluation.intervals import Interval
from routerjax.evaluation.off_policy import OFF_POLICY, OffPolicy
from routerjax.evaluation.ope import (
    Scores,
    effective_sample_size,
    logged_scores,
    policy_scores,
    policy_weights,
)
from routerjax.pipelines.quick_outcomes import quick_outcomes
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates

FOLDS = 5
FLOORS = (FLOOR, 0.0)

Record = dict[str, Any]


class Given(NamedTuple):
    """A policy and a log that it did not write.

    Attributes:
      policy: [n, m] probabilities.
      log: n rows.
      predicted: [n, m] cross-fitted outcomes.
      propensities: [n] recorded probability of the arm that answered, float64.
      floor: propensities below it are taken as it.
    """

    policy: np.ndarray
    log: Log
    predicted: Estimates
    propensities: np.ndarray
    floor: float

    def scores(self, estimator: str | OffPolicy) -> Scores:
        """Of the policy by an estimator."""
        return policy_scores(
            self.policy,
            self.log,
            self.predicted,
            self.propensities,
            estimator=estimator,
            floor=self.floor,
        )

    @property
    def weights(self) -> np.ndarray:
        """[n] importance weights."""
        return policy_weights(self.policy, self.log, self.propensities, floor=self.floor)


def measure(uniform: Log, thompson: Log, *, seed: int) -> Record:
    """The uniform policy on Thompson's log, and Thompson's shares of the arms on the uniform one.

    Thompson's probabilities are recorded of the arm that it drew alone, and so its own policy
    cannot be evaluated on rows that it did not write. What stands for it is how often it drew
    each arm, whatever the query.

    Raises:
      InputError: the logs are not of the same arms, or one has no propensities.
    """
    for log in (uniform, thompson):
        if log.propensities is None:
            problem = "no propensities; the study needs those that the log's policy had"
            raise InputError(problem, source=log.source)
    if set(uniform.models) != set(thompson.models):
        problem = f"its {len(thompson.models)} arms are not those of {uniform.source}"
        raise InputError(problem, source=thompson.source)
    thompson, arms = thompson.with_models(uniform.models), len(uniform.models)
    even, drawn = np.full(arms, 1 / arms), thompson.arm_counts / len(thompson)
    return {
        "uniform on thompson": direction(even, thompson, uniform, seed=seed),
        "thompson's shares on uniform": direction(drawn, uniform, thompson, seed=seed),
    }


def direction(shares: np.ndarray, log: Log, own: Log, *, seed: int) -> Record:
    """A policy that draws arms by fixed shares, on a log; and its value on its own log.

    Args:
      shares: [m] of the policy.
      log: on which it is evaluated.
      own: which it wrote.
      seed: of the folds.
    """
    known = logged_scores(own).interval(0.0)
    recorded = np.asarray(log.logged_propensities, np.float64)
    policy, predicted = np.tile(shares, (len(log), 1)), outcomes(log, seed=seed)
    every = [Given(policy, log, predicted, recorded, floor) for floor in FLOORS]
    return {
        "rows": len(log),
        "arms": len(log.models),
        "clicks": int(log.quality.sum()),
        "fewest rows of an arm": int(log.arm_counts.min()),
        "lowest propensity": float(recorded.min()),
        "own": {"rows": len(own), "clicks": int(own.quality.sum()), **known._asdict()},
        "on the log": logged_scores(log).interval(0.0)._asdict(),
        "floors": [at_floor(given, known, seed=seed) for given in every],
    }


def outcomes(log: Log, *, seed: int) -> Estimates:
    """Cross-fitted ridge regressions on principal components, an arm at a time."""
    key = jax.random.key(seed)
    return quick_outcomes(log, make_folds(log.arms, folds=FOLDS, held_out=0.1, key=key))


def at_floor(given: Given, known: Interval, *, seed: int) -> Record:
    """What the weights are with a floor, and a record of every estimator."""
    weights = given.weights
    return {
        "floor": given.floor,
        "raised": float((given.propensities < given.floor).mean()),
        "effective": effective_sample_size(
            given.policy, given.log, given.propensities, floor=given.floor
        ),
        "mean weight": float(weights.mean()),
        "largest weight": float(weights.max()),
        "estimators": {name: one(name, given, known, seed=seed) for name in OFF_POLICY},
    }


def one(name: str, given: Given, known: Interval, *, seed: int) -> Record:
    """An estimator's interval, how far it is from the policy's own log, and its peer's word."""
    parameter, scores = chosen(name, given)
    found = scores.interval(0.0)
    apart = found.mean - known.mean
    return {
        **found._asdict(),
        "parameter": parameter,
        "z": apart / float(np.hypot(found.standard_error, known.standard_error)),
        "peer": _peer(name, given, parameter, seed=seed),
    }


def chosen(name: str, given: Given) -> tuple[float | None, Scores]:
    """The parameter that an estimator chose, None where it has none; and its scores."""
    estimator, scores = OFF_POLICY[name], given.scores(name)
    for parameter in tried(estimator, given.weights):
        if np.array_equal(given.scores(fixed(estimator, parameter)).quality, scores.quality):
            return parameter, scores
    return None, scores


def tried(estimator: OffPolicy, weights: np.ndarray) -> list[float]:
    """Values of the parameter that an estimator tries; none where it has none."""
    return [] if estimator.parameters is None else estimator.parameters(weights).tolist()


def fixed(estimator: OffPolicy, parameter: float) -> OffPolicy:
    """An estimator whose parameter is given."""

    def transform(weights: np.ndarray) -> np.ndarray:
        return estimator.weights(weights, parameter)

    return estimator._replace(weights=transform, parameters=None)


def _peer(name: str, given: Given, parameter: float | None, *, seed: int) -> Record | None:
    obp = module("experiments.off_policy_peers.with_obp", "sb-obp")
    if obp is None:
        return None
    values: list[float | None] = [*tried(OFF_POLICY[name], given.weights)] or [None]
    apart = [
        abs(obp.value(name, given, each) - given.scores(_at(name, each)).quality.mean())
        for each in values
    ]
    return {
        "mean": obp.value(name, given, parameter),
        **obp.interval(name, given, parameter, seed=seed),
        "compared": len(values),
        "largest difference": float(max(apart)),
        **obp.tuned(name, given, [each for each in values if each is not None]),
    }


def _at(name: str, parameter: float | None) -> str | OffPolicy:
    return name if parameter is None else fixed(OFF_POLICY[name], parameter)
