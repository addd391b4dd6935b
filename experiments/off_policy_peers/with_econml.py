"""The same logs in EconML's hands. Importing this needs the package `econml`."""

from __future__ import annotations

from typing import Any

import numpy as np
from econml.dr import LinearDRLearner
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from experiments.off_policy_peers.effects import EFFECT, LEAD, NORMAL, Estimate, Estimator, Rows
from experiments.off_policy_peers.lookup import KnownByTreatment, KnownPropensities


def estimators(models: int) -> dict[str, Estimator]:
    """By the nuisances of ours, by a regression of its own, and by nuisances of its own."""
    del models
    return {
        "EconML, our nuisances": same,
        "EconML, its own regression": regression,
        "EconML, its own": own,
    }


def same(rows: Rows) -> dict[str, Estimate]:
    """`LinearDRLearner` with our cross-fitted outcomes and the recorded propensities."""
    position = np.arange(len(rows.log), dtype=np.float64)[:, None]
    outcomes, propensities = KnownByTreatment(rows.predicted), KnownPropensities(rows.propensities)
    return _both(rows, position, outcomes, propensities)


def regression(rows: Rows) -> dict[str, Estimate]:
    """The same class with a ridge, fitted in our folds, and the recorded propensities."""
    position = np.arange(len(rows.log), dtype=np.float64)[:, None]
    without = FunctionTransformer(np.delete, kw_args={"obj": rows.x.shape[1], "axis": 1})
    propensities = KnownPropensities(rows.propensities)
    w = np.concatenate([rows.x, position], axis=1)
    return _both(rows, w, make_pipeline(without, Ridge()), propensities)


def own(rows: Rows) -> dict[str, Estimate]:
    """The same class with a ridge and a logistic regression, fitted in our folds."""
    return _both(rows, rows.x, Ridge(), LogisticRegression(max_iter=1_000))


def _both(rows: Rows, w: np.ndarray, outcomes: Any, propensities: Any) -> dict[str, Estimate]:
    """The average effect, and the lead as the mean effect of the policy's arm in its own cell.

    With an indicator for the arm that the policy chooses as the only features X of the effect,
    the effect of arm m in the cell of arm c is the mean of the doubly robust differences there.
    """

    def fitted(x: np.ndarray | None, *, intercept: bool) -> LinearDRLearner:
        learner = LinearDRLearner(
            model_regression=outcomes,
            model_propensity=propensities,
            cv=rows.splits,
            categories=list(range(len(rows.log.models))),
            min_propensity=1e-12,
            fit_cate_intercept=intercept,
        )
        quality = np.asarray(rows.log.quality, np.float64)
        return learner.fit(quality, np.asarray(rows.log.arms), X=x, W=w)

    effect = fitted(None, intercept=True).ate_inference(T0=0, T1=1)
    error = float(np.squeeze(effect.stderr_mean))
    mean = float(np.squeeze(effect.mean_point))
    cells = np.eye(len(rows.log.models))
    lead = _lead(fitted(cells[rows.choice], intercept=False), cells, rows.choice)
    return {EFFECT: Estimate(mean, error, NORMAL * error), LEAD: lead}


def _lead(learner: LinearDRLearner, cells: np.ndarray, choice: np.ndarray) -> Estimate:
    """Σ_c share_c·(effect of arm c in its cell), with the cells' errors, their shares held fixed.

    It infers effects against one arm at a time, and so the sum over cells is made here.
    """
    mean, variance = 0.0, 0.0
    for arm in range(1, len(cells)):
        share = float((choice == arm).mean())
        found = learner.effect_inference(X=cells[[arm]], T0=0, T1=arm)
        mean += share * float(np.squeeze(found.point_estimate))
        variance += (share * float(np.squeeze(found.stderr))) ** 2
    error = float(np.sqrt(variance))
    return Estimate(mean, error, NORMAL * error)
