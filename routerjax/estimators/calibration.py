"""Are propensities what they say? Each model's inverse propensities must average to one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Calibration(NamedTuple):
    """The mean of 1{t = m} / π(t | x) of every model, which is 1 where propensities are right.

    Attributes:
      mean: [m] over the rows where the model could be asked.
      standard_error: [m] of it, clustered by group.
    """

    mean: Float[np.ndarray, " m"]
    standard_error: Float[np.ndarray, " m"]

    @property
    def errors_off(self) -> Float[np.ndarray, " m"]:
        """How many standard errors the mean is from 1, [m]; 0 where the error is not known.

        Above 1 it is (mean − 1)/e, below log(mean)·mean/e: a model that is rarely asked has a few
        rows of large weight, and where they happen to be missing, mean and error are both too
        small.
        """
        known = (self.standard_error > 0) & (self.mean > 0)
        error = np.where(known, self.standard_error, 1.0)
        mean = np.where(known, self.mean, 1.0)
        return np.where(mean > 1, mean - 1, np.log(mean) * mean) / error


def calibration(
    arms: Int[np.ndarray, " n"],
    propensities: Float[np.ndarray, " n"],
    *,
    models: int,
    available: np.ndarray | None = None,
    groups: Int[np.ndarray, " n"] | None = None,
) -> Calibration:
    """Test propensities: E[1{t = m} / π(m | x)] = 1 for every model that could be asked everywhere.

    A mean above 1 says that propensities are too small. One below says that they are too large,
    or that the model could not be asked on some rows, or hardly ever was.

    Args:
      arms: [n] model that answered.
      propensities: [n] of it, above 0.
      models: m.
      available: [n, m] True where the model could be asked; None if that is not known.
      groups: [n] numbers of what is independent; None where every row is.
    """
    groups = np.arange(len(arms)) if groups is None else np.asarray(groups)
    asked = np.ones((len(arms), models), bool) if available is None else available
    means, errors = np.zeros(models), np.zeros(models)
    for arm in range(models):
        rows = asked[:, arm]
        if not rows.any():
            continue
        values = np.where(arms[rows] == arm, 1.0 / np.asarray(propensities, float)[rows], 0.0)
        means[arm] = values.mean()
        own = np.unique(groups[rows], return_inverse=True)[1]
        sums = np.bincount(own, weights=values - means[arm])
        count = len(sums)
        if count > 1:
            errors[arm] = np.sqrt(count / (count - 1) * (sums**2).sum()) / len(values)
    return Calibration(means, errors)
