"""What the estimation of propensities does to the error of ips, where their model is known.

Weights from propensities that were fitted to the log are balanced by it: some of the luck of the
log cancels. To first order the error of the value is that of its scores less their regression on
the score functions of the propensity model, here ψ = (1{t = m} − π̂_m)·x of a multinomial logistic
model (Newey, McFadden, 1994, theorem 6.1; Hirano, Imbens, Ridder, 2003). The product's propensities
come from trees that stop early, which have no such ψ, or from a logit; it is only the study that
can do this.
"""

from __future__ import annotations

import numpy as np


def accounted_for(
    scores: np.ndarray,
    features: np.ndarray,
    arms: np.ndarray,
    propensities: np.ndarray,
    groups: np.ndarray | None,
) -> np.ndarray:
    """Scores less their regression on ψ: the same mean, the spread of a value with estimated π̂.

    Where there are no more groups than columns of ψ, the scores are returned as they are.

    Args:
      scores: [n] of ips.
      features: [n, d] x, the intercept among them.
      arms: [n].
      propensities: [n, m] estimated.
      groups: [n], or None; residuals are widened by √(G / (G − columns)).
    """
    models = propensities.shape[1]
    apart = (np.eye(models)[arms] - propensities)[:, 1:]
    columns = (apart[:, :, None] * features[:, None, :]).reshape(len(scores), -1)
    columns = columns - columns.mean(axis=0)
    count = len(scores) if groups is None else int(groups.max()) + 1
    if count <= columns.shape[1] + 1:
        return scores
    mean = scores.mean()
    slopes = np.linalg.pinv(columns.T @ columns) @ (columns.T @ (scores - mean))
    left = scores - mean - columns @ slopes
    return mean + left * np.sqrt(count / (count - columns.shape[1]))
