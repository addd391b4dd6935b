"""What an encoder is, once it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Encoder(NamedTuple):
    """From prompts to vectors.

    Attributes:
      embed: n strings to [n, d] floats of any length; `unit` makes unit vectors of them.
      beyond: n strings to n counts of tokens that `embed` leaves out, because it reads a prompt
        up to a limit; None where there is no limit, or nobody can tell.
      chunk: prompts between two steps of the progress bar, and what is kept at a time.
    """

    embed: Callable[[list[str]], np.ndarray]
    beyond: Callable[[list[str]], list[int]] | None = None
    chunk: int = 1024


def unit(values: np.ndarray) -> np.ndarray:
    """[n, d] float32 rows x/|x|; a row of zeros stays."""
    values = np.asarray(values, np.float32)
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(norms > 0, norms, 1)
