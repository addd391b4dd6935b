"""Policies that need no training of their own: best single model, plug-in, oracle, random."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.records.tables import Estimates


def greedy(
    outcomes: Estimates, *, cost_weight: float, available: Bool[np.ndarray, "n m"] | None = None
) -> np.ndarray:
    """Arm of highest utility of every query, argmax_m q(x, m) − λ·c(x, m), [n].

    On predicted outcomes this is the plug-in policy (predict, then choose); on known outcomes
    it is the oracle. Where `available` says which arms there are, it is the best of these.
    """
    utilities = np.asarray(outcomes.utilities(cost_weight))
    if available is not None:
        utilities = np.where(available, utilities, -np.inf)
    return utilities.argmax(axis=1)


def best_single(outcomes: Estimates, *, cost_weight: float) -> int:
    """The one arm of highest mean utility: picked from a log if given dr estimates, in
    hindsight if given the cells it will be judged on."""
    return int(_mean_utilities(outcomes, cost_weight).argmax())


def best_single_of(
    outcomes: Estimates, *, cost_weight: float, available: Bool[np.ndarray, "n m"]
) -> np.ndarray:
    """The best single arm wherever it is available, elsewhere the next best that is, [n].

    Args:
      outcomes: [n, m] or [1, m], by whose means arms are ranked.
      cost_weight: λ.
      available: True where the arm can be chosen.
    """
    return first_available(_mean_utilities(outcomes, cost_weight), available)


def first_available(
    utilities: Float[np.ndarray, " m"], available: Bool[np.ndarray, "n m"]
) -> Int[np.ndarray, " n"]:
    """Of every row the available arm of highest mean utility; of equals the first."""
    return np.where(available, utilities[None], -np.inf).argmax(axis=1)


def random_choice(
    rows: int, models: int, *, available: Bool[np.ndarray, "n m"] | None = None
) -> np.ndarray:
    """Every arm with probability 1 / M, [n, m], M the number of those available."""
    if available is None:
        return np.full((rows, models), 1.0 / models)
    return available / available.sum(axis=1, keepdims=True)


def _mean_utilities(outcomes: Estimates, cost_weight: float) -> Float[np.ndarray, " m"]:
    """Over the queries on which an arm's outcome is known; of none it is 0."""
    utilities = np.asarray(outcomes.utilities(cost_weight), np.float64)
    known = ~np.isnan(utilities)
    sums = np.where(known, utilities, 0.0).sum(axis=0)
    means: np.ndarray = sums / np.maximum(known.sum(axis=0), 1)
    return means
