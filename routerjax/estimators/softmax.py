"""Softmax of NumPy's arrays, for what is fitted or asked outside compiled programs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def softmax(odds: Float[np.ndarray, "*b m"]) -> Float[np.ndarray, "*b m"]:
    """exp(o_m) / Σ exp(o_m') over the last axis, in the precision of the odds.

    >>> softmax(np.log(np.array([1.0, 3.0]))).tolist()
    [0.25, 0.75]
    """
    raised = np.exp(odds - np.maximum.reduce(odds, axis=-1, keepdims=True))
    found: np.ndarray = raised / np.add.reduce(raised, axis=-1, keepdims=True)
    return found
