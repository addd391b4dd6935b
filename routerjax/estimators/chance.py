"""Are an arm's few answers to some queries chance, where it is asked often enough?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

ALONE = 0.05
"""Chance, of all sets of queries and arms together, that one is found where an arm was asked
enough."""
ENOUGH = 5.0
"""Times the level of support at which an arm must be asked for that to hold."""
TINY = 1e-6
"""What c is less than 1 by, at least."""


def enough_share(
    rows: Float[np.ndarray, " m"], hits: Float[np.ndarray, " m"], level: Float[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """Share c of the queries that an arm must be asked of: min(5 · level, its share of all).

    Args:
      rows: [m] on which the arm could be asked.
      hits: [m] of them that it answered.
      level: [m] propensity from which it has support.
    """
    shares = hits / np.maximum(rows, 1)
    found: np.ndarray = np.minimum(np.minimum(ENOUGH * level, shares), 1 - TINY)
    return found


def log_chance(
    hits: Float[np.ndarray, " t"], rows: Float[np.ndarray, " t"], share: float
) -> Float[np.ndarray, " t"]:
    """log P(Binomial(rows, share) ≤ hits), where that underflows as if there were no hits."""
    from scipy.special import bdtr

    chance = bdtr(np.ceil(hits), rows.astype(np.int64), share)
    with np.errstate(divide="ignore"):
        found: np.ndarray = np.where(chance > 0, np.log(chance), rows * np.log1p(-share))
    return found
