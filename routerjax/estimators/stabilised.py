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
LEAST_ROWS = 30.0
"""Effective rows that must be left of an arm, else its rows count as they are: what so few would
tell is little beside what is taken from them."""


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
    should be. An arm of which fewer than `LEAST_ROWS` would be left has weights of 1.

    Args:
      given_query: [n] propensity of the arm that answered, given the query.
      given_both: [n] given the query and what else the policy chose by.
      arms: [n] arm that answered.
      models: m.

    Reference: Robins, Hernán and Brumback (2000), Marginal Structural Models and Causal Inference
    in Epidemiology; Kish (1965), Survey Sampling, for the effective number.

    >>> both, arms = np.tile([0.5, 0.5, 0.25], 20), np.zeros(60, int)
    >>> stabilised_weights(np.full(60, 0.5), both, arms, models=1)[:3].round(3)
    array([0.667, 0.667, 1.333])
    """
    ratio = np.asarray(given_query, np.float64) / np.maximum(given_both, 1e-12)
    weights = np.clip(ratio, 1 / MOST, MOST)
    total, square = (np.bincount(arms, each, models) for each in (weights, weights**2))
    scale = total / np.where(square > 0, square, 1.0)
    enough = scale * total >= LEAST_ROWS
    found: np.ndarray = np.where(enough[arms], weights * scale[arms], 1.0)
    return found
