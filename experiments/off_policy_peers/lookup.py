"""Regressions that have been fitted elsewhere, as scikit-learn's interface wants them.

The last column of the features is the position of the row, by which its prediction is looked up:
so everybody works with the same cross-fitted outcomes and the same propensities.
"""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin


class KnownOutcomes(RegressorMixin, BaseEstimator):
    """Outcomes of one arm: that of the rows which it is fitted on.

    Args:
      predicted: [n, m] outcomes.
      arms: [n] arms that answered.
    """

    def __init__(self, predicted: np.ndarray, arms: np.ndarray):
        self.predicted = predicted
        self.arms = arms

    def fit(self, x: np.ndarray, y: np.ndarray) -> KnownOutcomes:
        """Take note of the arm; the outcomes are there already."""
        self.arm_ = self.arms[int(x[0, -1])]
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """[q] outcomes of the arm for rows [q, ·]."""
        found: np.ndarray = self.predicted[x[:, -1].astype(int), self.arm_]
        return found


class KnownByTreatment(RegressorMixin, BaseEstimator):
    """Outcomes of any arm, whose indicators but the first stand behind the position.

    Args:
      predicted: [n, m] outcomes.
    """

    def __init__(self, predicted: np.ndarray):
        self.predicted = predicted

    def fit(self, x: np.ndarray, y: np.ndarray) -> KnownByTreatment:
        """The outcomes are there already."""
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """[q] outcomes for rows [q, · + 1 + m − 1]."""
        others = self.predicted.shape[1] - 1
        indicators = x[:, -others:]
        arms = np.where(indicators.any(axis=1), indicators.argmax(axis=1) + 1, 0)
        found: np.ndarray = self.predicted[x[:, -others - 1].astype(int), arms]
        return found


class KnownPropensities(ClassifierMixin, BaseEstimator):
    """Propensities of every arm.

    Args:
      propensities: [n, m].
    """

    def __init__(self, propensities: np.ndarray):
        self.propensities = propensities

    def fit(self, x: np.ndarray, y: np.ndarray) -> KnownPropensities:
        """The propensities are there already."""
        self.classes_ = np.arange(self.propensities.shape[1])
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """[q, m] for rows [q, ·]."""
        found: np.ndarray = self.propensities[x[:, -1].astype(int)]
        return found

    def predict(self, x: np.ndarray) -> np.ndarray:
        """[q] the likeliest arm, for scores that nobody reads."""
        found: np.ndarray = self.predict_proba(x).argmax(axis=1)
        return found
