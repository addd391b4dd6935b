"""Outcomes that are missing more often of some models than of others.

Decisions are drawn from the propensities that are written down. Of the decisions that have an
outcome this holds only if outcomes are missing as often whichever model was drawn. Where a model
was down for a while, or its answers invite less feedback, the decisions that are left are as if
drawn from

    π̃_m ∝ π_m·ρ_m,  ρ_m = P(an outcome is known, given that m was drawn),

if what makes outcomes missing depends on the model, and on nothing else that tells models apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.special import chdtrc

CHANCE = 1e-3
"""How seldom shares that are equal would differ as much by chance, where they are told apart."""
PRIOR = 16.0
"""Decisions of a model that weigh as much as the share of all models."""


def shares_known(
    arms: Int[np.ndarray, " n"], known: Int[np.ndarray, " n"], models: int
) -> Float[np.ndarray, " m"] | None:
    """ρ of every model; None where the shares differ no more than by chance.

    The test is Pearson's χ² of models × (known, not), over the models that were drawn. With n_m
    decisions for a model, of which h_m have an outcome, and ρ those of all,
    ρ̂_m = (h_m + k·ρ)/(n_m + k), k = `PRIOR`.

    Args:
      arms: [n] models that were drawn.
      known: [n] 1 where the decision has an outcome, else 0.
      models: m.

    >>> shares_known(np.repeat([0, 1], 50), np.r_[[1] * 60, [0] * 40], 2).round(2).tolist()
    [0.9, 0.3]
    """
    drawn = np.bincount(arms, minlength=models)
    hits = np.bincount(arms, weights=known, minlength=models)
    mean = hits.sum() / max(drawn.sum(), 1)
    if not 0 < mean < 1:
        return None
    own = drawn > 0
    statistic = ((hits - drawn * mean)[own] ** 2 / (drawn[own] * mean * (1 - mean))).sum()
    if chdtrc(max(own.sum() - 1, 1), statistic) >= CHANCE:
        return None
    return np.asarray((hits + PRIOR * mean) / (drawn + PRIOR))


def of_known(
    propensities: Float[np.ndarray, "n m"], shares: Float[np.ndarray, " m"]
) -> Float[np.ndarray, "n m"]:
    """π̃ [n, m] of rows with a known outcome, from the propensities that they were drawn from.

    >>> of_known(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0.9, 0.3])).tolist()
    [[0.75, 0.25], [1.0, 0.0]]
    """
    found = propensities * shares
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def said_of(shares: Float[np.ndarray, " m"], models: Sequence[str]) -> str:
    """The sentence that says so."""
    least, most = int(shares.argmin()), int(shares.argmax())
    return (
        f"outcomes are known of {shares[most]:.0%} of the decisions for {models[most]} and of "
        f"{shares[least]:.0%} of those for {models[least]}: propensities are taken to be those of "
        "decisions with an outcome"
    )
