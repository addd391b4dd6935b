"""A policy tree by EconML. Importing this needs the package `econml`."""

from __future__ import annotations

import numpy as np
from econml.policy import DRPolicyTree
from sklearn.linear_model import LogisticRegression, Ridge

from routerjax.records.logs import Log

FOLDS, DEPTH, LEAF = 5, 3, 20


class Tree:
    """`DRPolicyTree` fitted on a log, with the nuisances that its effects have elsewhere here.

    Args:
      x: [n, d] features.
      log: n rows.
    """

    def __init__(self, x: np.ndarray, log: Log):
        learner = DRPolicyTree(
            model_regression=Ridge(),
            model_propensity=LogisticRegression(max_iter=1_000),
            categories=list(range(len(log.models))),
            cv=FOLDS,
            max_depth=DEPTH,
            min_samples_leaf=LEAF,
            random_state=0,
        )
        self._learner = learner.fit(np.asarray(log.quality, np.float64), np.asarray(log.arms), X=x)

    def choice(self, x: np.ndarray) -> np.ndarray:
        """[q] its arms."""
        found: np.ndarray = np.asarray(self._learner.predict(x)).astype(int).ravel()
        return found

    def lead(self, x: np.ndarray) -> float:
        """What it predicts its choices to gain over arm 0, on average."""
        gains = np.asarray(self._learner.predict_value(x))
        every = np.concatenate([np.zeros((len(x), 1)), gains], axis=1)
        return float(every[np.arange(len(x)), self.choice(x)].mean())
