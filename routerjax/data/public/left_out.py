"""Rows of public tables that cannot be used."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from routerjax.errors import DataWarning, InputError


def without_prompt(prompts: Sequence[str | None], source: str) -> np.ndarray:
    """The rows that have a prompt; those that have none are counted in a `DataWarning`.

    Raises:
      InputError: none has.
    """
    kept = np.flatnonzero([bool(prompt and prompt.strip()) for prompt in prompts])
    if not len(kept):
        raise InputError("no row has a prompt", source=source)
    if len(kept) < len(prompts):
        left_out = f"left out {len(prompts) - len(kept)} of {len(prompts)} rows without a prompt"
        warnings.warn(f"{source}: {left_out}", DataWarning, stacklevel=3)
    return kept
