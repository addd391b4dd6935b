"""Probabilities over models: the best one, Thompson sampling over draws, a floor, fixed shares.

Each function takes one query [m] or many [..., m] and returns probabilities of the same shape,
which sum to 1. None of them draws anything: what is drawn, is drawn from these numbers
(`routerjax.exploration.drawing`), so that the propensity that a log records is exact.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from routerjax.errors import InputError


def best_of(
    utility: Float[np.ndarray, "*n m"], allowed: Bool[np.ndarray, "*n m"]
) -> Float[np.ndarray, "*n m"]:
    """All probability on the allowed model of highest utility, the first of equals.

    Args:
      utility: [..., m] u = q − λ·c.
      allowed: [..., m] which models may be chosen.

    Raises:
      InputError: a query for which no model is allowed.
    """
    _check_some(allowed)
    best = np.where(allowed, utility, -np.inf).argmax(axis=-1)
    return np.asarray(np.arange(utility.shape[-1]) == best[..., None], np.float64)


def share_of_best(
    utilities: Float[np.ndarray, "s *n m"], allowed: Bool[np.ndarray, "*n m"]
) -> Float[np.ndarray, "*n m"]:
    """Thompson sampling over s draws of the utilities, by going through all of them.

    p_m = (1/s) Σ_s 1{m is best in draw s}, models that are equally good sharing a draw. Thompson
    sampling takes one draw at random and the best model in it; with s draws that are fixed
    beforehand its probability of a model is this share, exactly.

    Args:
      utilities: [s, ..., m] by every member of a router, or every draw from its posterior.
      allowed: [..., m] which models may be chosen.

    Raises:
      InputError: no draws, or a query for which no model is allowed.

    Reference: Thompson (1933), On the Likelihood that One Unknown Probability Exceeds Another;
    Russo et al. (2018), A Tutorial on Thompson Sampling.

    >>> share_of_best(np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6], [0.5, 0.5]]), np.ones(2, bool))
    array([0.375, 0.625])
    """
    if not len(utilities):
        raise InputError("Thompson sampling needs at least one draw of the utilities")
    _check_some(allowed)
    masked = np.where(allowed[None], utilities, -np.inf)
    ties = masked == masked.max(axis=-1, keepdims=True)
    return np.asarray((ties / ties.sum(axis=-1, keepdims=True)).mean(axis=0), np.float64)


def with_floor(
    probabilities: Float[np.ndarray, "*n m"],
    explorable: Bool[np.ndarray, "*n m"],
    *,
    rate: float,
) -> Float[np.ndarray, "*n m"]:
    """A policy with a share ε of its queries spread evenly over the models that may be explored.

    p'_m = (1 − ε)·p_m + ε·1{m may be explored} / (number of those). Each of k such models then has
    a probability of ε/k or more, and importance weights are at most k/ε.

    Args:
      probabilities: [..., m] of the policy.
      explorable: [..., m] which models may be explored; where none may, the policy stays as it is.
      rate: ε in [0, 1].

    Raises:
      InputError: a rate outside [0, 1].

    >>> with_floor(np.array([1.0, 0.0, 0.0]), np.array([True, True, False]), rate=0.1)
    array([0.95, 0.05, 0.  ])
    """
    if not 0 <= rate <= 1:
        raise InputError(f"the rate of exploration is {rate:g}; it must lie between 0 and 1")
    count = explorable.sum(axis=-1, keepdims=True)
    even = explorable / np.maximum(count, 1)
    share = np.where(count > 0, rate, 0.0)
    return np.asarray((1 - share) * probabilities + share * even, np.float64)


def with_shares(
    probabilities: Float[np.ndarray, "*n m"], shares: Float[np.ndarray, "*n m"]
) -> Float[np.ndarray, "*n m"]:
    """A policy that gives fixed shares of its queries to some models: p'_m = (1 − Σ s)·p_m + s_m.

    Args:
      probabilities: [..., m] of the policy.
      shares: [..., m] s, 0 for models that get none.

    Raises:
      InputError: shares below 0 or together above 1.

    >>> with_shares(np.array([0.8, 0.2, 0.0]), np.array([0.0, 0.0, 0.5]))
    array([0.4, 0.1, 0.5])
    """
    total = shares.sum(axis=-1, keepdims=True)
    if not ((shares >= 0).all() and (total <= 1).all()):
        raise InputError("shares of models must be 0 or more and at most 1 together")
    return np.asarray((1 - total) * probabilities + shares, np.float64)


def _check_some(allowed: Bool[np.ndarray, "*n m"]) -> None:
    if not allowed.any(axis=-1).all():
        raise InputError("no model is left for a query: every one is ruled out or not available")
