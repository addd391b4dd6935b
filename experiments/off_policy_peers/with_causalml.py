"""The same logs in causalml's hands. Importing this needs the package `causalml`."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from causalml.inference.meta import BaseDRRegressor
from causalml.optimize import PolicyLearner
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression

from experiments.off_policy_peers.effects import (
    EFFECT,
    ELASTIC,
    LEAD,
    NORMAL,
    Estimate,
    Estimator,
    Rows,
)
from experiments.off_policy_peers.lookup import KnownByTreatment, KnownOutcomes

logging.getLogger("causalml").setLevel(logging.WARNING)


def estimators(models: int) -> dict[str, Estimator]:
    """By the nuisances of ours, by regressions of its own, and with two models a policy's lead."""
    found: dict[str, Estimator] = {
        "causalml, our nuisances": same,
        "causalml, its own regressions": regressions,
        ELASTIC: own,
    }
    if models == 2:
        found["causalml, policy scores"] = policy
    return found


def same(rows: Rows) -> dict[str, Estimate]:
    """`BaseDRRegressor` with our outcomes, our propensities, and means for its effects.

    It compares a model with the baseline on the rows that one of the two answered, and so its
    propensity is that of the model given that it is one of the two.
    """
    known = KnownOutcomes(rows.predicted, np.asarray(rows.log.arms))
    learner = BaseDRRegressor(
        control_outcome_learner=known,
        treatment_outcome_learner=known,
        treatment_effect_learner=DummyRegressor(),
        control_name=0,
    )
    position = np.arange(len(rows.log), dtype=np.float64)[:, None]
    return {EFFECT: _effect(learner, rows, position, _chances(rows))}


def regressions(rows: Rows) -> dict[str, Estimate]:
    """The same class with linear regressions of its own, and the recorded propensities."""
    learner = BaseDRRegressor(learner=LinearRegression(), control_name=0)
    return {EFFECT: _effect(learner, rows, rows.x, _chances(rows))}


def own(rows: Rows) -> dict[str, Estimate]:
    """The same with propensities by its default: a calibrated elastic net."""
    learner = BaseDRRegressor(learner=LinearRegression(), control_name=0)
    return {EFFECT: _effect(learner, rows, rows.x, None)}


def _chances(rows: Rows) -> dict[int, np.ndarray]:
    """[n] propensity of every model but the baseline, given that it is one of the two."""
    base, every = rows.propensities[:, 0], range(1, rows.propensities.shape[1])
    return {arm: rows.propensities[:, arm] / (rows.propensities[:, arm] + base) for arm in every}


def _effect(learner: Any, rows: Rows, x: np.ndarray, chances: Any) -> Estimate:
    mean, low, high = learner.estimate_ate(
        x, np.asarray(rows.log.arms), np.asarray(rows.log.quality, np.float64), p=chances, seed=0
    )
    reach = float(high[0] - low[0]) / 2
    return Estimate(float(mean[0]), reach / NORMAL, reach)


def policy(rows: Rows) -> dict[str, Estimate]:
    """The scores from which `PolicyLearner` learns, averaged over the policy's choices.

    It has no value of a policy; the scores, which it keeps to itself, are what one would be.
    """
    arms, quality = np.asarray(rows.log.arms), np.asarray(rows.log.quality, np.float64)
    learner = PolicyLearner(outcome_learner=KnownByTreatment(rows.predicted), n_fold=2)
    position = np.arange(len(arms), dtype=np.float64)[:, None]
    learner.fit(position, arms, quality, p=rows.propensities[:, 1])
    scores = learner._dr_score
    return {
        EFFECT: Estimate(float(scores.mean())),
        LEAD: Estimate(float((scores * (rows.choice == 1)).mean())),
    }
