"""A model drawn from the very probabilities that are written down."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from routerjax.errors import InputError

ROUNDING = 1e-9
"""How far probabilities in double precision may be from 1 together."""


def drawn(
    probabilities: Float[np.ndarray, "*n m"], uniform: Float[np.ndarray, "*n"] | float
) -> Int[np.ndarray, "*n"]:
    """The model at which the running sum of the probabilities passes a uniform number.

    A model is drawn with its probability, up to rounding in the sixteenth digit, and never where
    that is 0.

    Args:
      probabilities: [..., m], each 0 or more, together 1.
      uniform: [...] numbers in [0, 1).

    Raises:
      InputError: probabilities below 0 or not a number, or whose sum is not 1.

    >>> drawn(np.array([0.5, 0.0, 0.5]), np.array([0.2, 0.5, 0.999])).tolist()
    [0, 2, 2]
    """
    own = np.asarray(probabilities, np.float64)
    running = np.cumsum(own, axis=-1)
    total = running[..., -1:]
    if not ((own >= 0).all() and (abs(total - 1) <= ROUNDING).all()):
        raise InputError("probabilities must be 0 or more and sum to 1")
    place = np.asarray(uniform, np.float64)[..., None] * total
    passed = (running > place) & (own > 0)
    return np.asarray(passed.argmax(axis=-1))
