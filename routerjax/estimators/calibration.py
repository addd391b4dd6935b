"""Are propensities what they say? Two things that only right ones do.

Each model's inverse propensities average to one, and no guess from the query foretells the model
that answered better than they do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from routerjax.estimators.support import weighted_quantile

SMALL = 0.1
"""Share of the queries that have a propensity so small or smaller."""


class Calibration(NamedTuple):
    """The mean of 1{t = m} / π(t | x) of every model, which is 1 where propensities are right.

    Attributes:
      mean: [m] over the rows where the model could be asked.
      standard_error: [m] of it, clustered by group, and at least that of right propensities where
        the mean is above 1.
      due: [m] answers that a mean below 1 lacks, groups counting once: (1 − mean)·n·p, p a small
        propensity.
    """

    mean: Float[np.ndarray, " m"]
    standard_error: Float[np.ndarray, " m"]
    due: Float[np.ndarray, " m"]

    @property
    def errors_off(self) -> Float[np.ndarray, " m"]:
        """How many standard errors the mean is from 1, [m]; 0 where the error is not known.

        Above 1 it is (mean − 1)/e, below log(mean)·mean/e: a model that is rarely asked has a few
        rows of large weight, and where they happen to be missing, mean and error are both too
        small. And below it is no more than what a Poisson number of `due` answers is 0 by: of a
        model that is asked of most queries with a probability of 0.01 none may have answered.
        """
        from scipy.special import ndtri

        known = (self.standard_error > 0) & (self.mean > 0)
        error = np.where(known, self.standard_error, 1.0)
        mean = np.where(known, self.mean, 1.0)
        found = np.where(mean > 1, mean - 1, np.log(mean) * mean) / error
        by_chance = np.maximum(-ndtri(np.exp(-self.due)), 0.0)
        return np.where(mean > 1, found, np.maximum(found, -by_chance))


def calibration(
    arms: Int[np.ndarray, " n"],
    propensities: Float[np.ndarray, " n"],
    *,
    models: int,
    available: np.ndarray | None = None,
    groups: Int[np.ndarray, " n"] | None = None,
) -> Calibration:
    """Test propensities: E[1{t = m} / π(m | x)] = 1 for every model that could be asked everywhere.

    A mean above 1 says that propensities are too small; its error is at least that of right
    propensities, Σ (1 − π)/π over the rows, which Σ 1{t = m} (1 − π)/π² estimates: where a model
    that is all but certain happened to answer every row, these scatter not at all. One below
    says that they are too large, or that the model could not be asked on some rows, or hardly ever
    was. What is due of answers is by the 10 % quantile of the propensities of all models over all
    queries, an answer standing for 1/π of them.

    Args:
      arms: [n] model that answered.
      propensities: [n] of it, above 0.
      models: m.
      available: [n, m] True where the model could be asked; None if that is not known.
      groups: [n] numbers of what is independent; None where every row is.
    """
    groups = np.arange(len(arms)) if groups is None else np.asarray(groups)
    asked = np.ones((len(arms), models), bool) if available is None else available
    means, errors, due = np.zeros(models), np.zeros(models), np.zeros(models)
    known = np.asarray(propensities, float)[np.isfinite(propensities)]
    small = weighted_quantile(known, 1 / known, SMALL) if len(known) else 1.0
    for arm in range(models):
        rows = asked[:, arm]
        if not rows.any():
            continue
        values = np.where(arms[rows] == arm, 1.0 / np.asarray(propensities, float)[rows], 0.0)
        means[arm], errors[arm], count = _clustered(values, groups[rows])
        if means[arm] > 1:  # rows that nearly all have the model scatter less than they might
            own = values[values > 0]
            errors[arm] = max(errors[arm], np.sqrt((own * (own - 1)).sum()) / len(values))
        due[arm] = max(1 - means[arm], 0.0) * count * small
    return Calibration(means, errors, due)


def _clustered(
    values: Float[np.ndarray, " n"], groups: Int[np.ndarray, " n"]
) -> tuple[float, float, int]:
    """Mean, its standard error clustered by group (0 where there is one), and number of groups."""
    mean = values.mean()
    own = np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(own, weights=values - mean)
    count = len(sums)
    error = np.sqrt(count / (count - 1) * (sums**2).sum()) / len(values) if count > 1 else 0.0
    return float(mean), float(error), count


class LikelihoodGain(NamedTuple):
    """By how much recorded propensities foretell better which model answers, once half estimated.

    Attributes:
      mean: log of the half estimated over the recorded propensity per row, in nats; right ones have
        at most 0 in expectation.
      errors: how many standard errors, clustered by group, that is above 0.
      total: of all rows, in nats, where rows of a group count as one.
    """

    mean: float
    errors: float
    total: float


def likelihood_gain(
    recorded: Float[np.ndarray, " n"],
    estimated: Float[np.ndarray, " n"],
    *,
    groups: Int[np.ndarray, " n"] | None = None,
) -> LikelihoodGain:
    """Test recorded propensities against estimates that never saw the rows they are tested on.

    E[log (π + π̂)/2 − log π] = −KL(π ‖ (π + π̂)/2) ≤ 0 for the π by which the model was drawn,
    whatever π̂ is (Gibbs' inequality), also where π knew of more than the query. And E[π̂/π] ≤ 1, so
    that the total exceeds log(1/a) with probability a at most where rows are independent: no heavy
    tail misleads it. The half of π keeps a π̂ that is rough from hiding that π is wrong.

    Args:
      recorded: [n] propensity of the model that answered, above 0.
      estimated: [n] of the same model by other rows.
      groups: [n] numbers of what is independent; None where every row is.

    >>> likelihood_gain(np.full(4, 0.5), np.array([0.5, 0.5, 0.9, 0.9])).mean.__round__(3)
    0.168
    """
    recorded, estimated = (np.asarray(each, np.float64) for each in (recorded, estimated))
    gains = np.log((recorded + estimated) / (2 * recorded))
    mean, error, count = _clustered(gains, np.arange(len(gains)) if groups is None else groups)
    return LikelihoodGain(mean, mean / error if error > 0 else 0.0, mean * count)
