"""Stabilised weights: rows of a model as they would be, had the query alone decided.

Where a policy chose by more than the query shows, a regression of outcomes on the query learns of
each model from the rows that it was chosen for: better ones than its queries account for, or worse.
With the propensities e(m | x) given the query and e(m | x, g) given what else it chose by,

    w_i = e(t_i | x_i) / e(t_i | x_i, g_i)

brings them back, since among the rows of model m at x the weighted share of g is P(g | x):
P(g | x, m) · e(m | x) / e(m | x, g) = P(g | x). Where the rest tells nothing w is 1.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

MOST = 3.0
"""Weights are at most this, and at least its inverse: a row that counts for many is known badly."""


def stabilised_weights(
    given_query: Float[np.ndarray, " n"],
    given_both: Float[np.ndarray, " n"],
    arms: Int[np.ndarray, " n"],
    *,
    models: int,
) -> Float[np.ndarray, " n"]:
    """[n] weights of rows in a regression of their arm's outcomes on the query.

    They are clipped, and those of an arm are scaled to sum to its effective number of rows,
    (Σw)² / Σw², so that a regression that takes their sum for a number of rows is as unsure as it
    should be.

    Args:
      given_query: [n] propensity of the arm that answered, given the query.
      given_both: [n] given the query and what else the policy chose by.
      arms: [n] arm that answered.
      models: m.

    Reference: Robins, Hernán and Brumback (2000), Marginal Structural Models and Causal Inference
    in Epidemiology; Kish (1965), Survey Sampling, for the effective number.

    >>> both, arms = np.array([0.5, 0.5, 0.25, 0.5]), np.array([0, 0, 0, 1])
    >>> stabilised_weights(np.full(4, 0.5), both, arms, models=2).round(3)
    array([0.667, 0.667, 1.333, 1.   ])
    """
    ratio = np.asarray(given_query, np.float64) / np.maximum(given_both, 1e-12)
    weights = np.clip(ratio, 1 / MOST, MOST)
    total, square = (np.bincount(arms, each, models) for each in (weights, weights**2))
    found: np.ndarray = weights * (total / np.where(square > 0, square, 1.0))[arms]
    return found
