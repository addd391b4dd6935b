"""How much a row of a group tells of its arm, beside the other rows of the group.

Answers of one arm to one query, or to one user, are in part missed together by what was predicted
of them. k rows whose noise has correlation ρ tell as much of an arm as k/(1 + (k − 1)ρ) independent
ones. What the group's rows of other arms share with them as well, a user who is generous to all,
cancels where arms are compared, and so

    w_i = 1 / max(1, 1 + (k_i − 1)·ρ_same − (K_i − k_i)·ρ_other / (m − 1))

with K_i rows in the group of row i, of which k_i, its own among them, have its arm. Where arms were
drawn row by row a generous user costs nothing; where a user keeps an arm, k = K, nothing cancels.
Rows that are the only ones of their arm and group weigh 1. How the queries of one user differ
counts no more than how users do, which is a little too careful.

Reference: Kish (1965), Survey Sampling, for the design effect; Moulton (1986), Random Group Effects
and the Precision of Regression Estimates, for what it takes beside the noise: arms that are shared.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def row_weights(
    residuals: Float[np.ndarray, "n a"],
    arms: Int[np.ndarray, "n a"],
    groups: Int[np.ndarray, " n"],
    *,
    models: int,
) -> Float[np.ndarray, "n a"]:
    """[n, a] weights w of rows in the moments of a regression.

    A correlation is the mean product of the residuals of two rows of a group, of the same arm or
    of different ones, over their mean square; below 0 it is 0, and ρ_other is at most ρ_same.

    Args:
      residuals: [n, a] outcome minus prediction by models that never saw the row's group.
      arms: [n, a] the arms that are known of each row: one of a log, all of a table.
      groups: [n] numbers 0, 1, ….
      models: m.

    >>> missed, arms = np.array([[1.0], [1.0], [-1.0]]), np.zeros((3, 1), int)
    >>> row_weights(missed, arms, np.array([0, 0, 1]), models=2).ravel().tolist()
    [0.5, 0.5, 1.0]
    """
    values, cell = np.asarray(residuals, np.float64).ravel(), _cells(arms, groups)
    group = np.repeat(groups, arms.shape[1])
    own, whole = np.bincount(cell)[cell], np.bincount(group)[group]
    spread = float(np.mean(values**2))
    in_cell, in_group = _products(values, cell), _products(values, group)
    same = _correlation(in_cell, float((own - 1).sum()), spread)
    other = _correlation(in_group - in_cell, float((whole - own).sum()), spread)
    cancels = (whole - own) * min(same, other) / max(models - 1, 1)
    weights: np.ndarray = 1 / np.maximum(1.0, 1 + (own - 1) * same - cancels)
    return weights.reshape(arms.shape)


def alone(arms: Int[np.ndarray, "n a"], groups: Int[np.ndarray, " n"]) -> bool:
    """Whether every row is the only one of its arm in its group."""
    return bool(np.bincount(_cells(arms, groups)).max(initial=0) <= 1)


def _cells(arms: Int[np.ndarray, "n a"], groups: Int[np.ndarray, " n"]) -> Int[np.ndarray, " c"]:
    """Numbers 0, 1, … that are equal where group and arm are, arm by arm of row by row."""
    each = np.asarray(groups, np.int64)[:, None] * (int(np.max(arms, initial=0)) + 1) + arms
    return np.unique(each, return_inverse=True)[1].reshape(-1)


def _products(values: np.ndarray, unit: np.ndarray) -> float:
    """Σ r_i r_j over ordered pairs of two rows of a unit."""
    return float((np.bincount(unit, values) ** 2).sum() - (values**2).sum())


def _correlation(products: float, pairs: float, spread: float) -> float:
    return 0.0 if pairs == 0 or spread == 0 else min(max(products / pairs / spread, 0.0), 1.0)
