"""Rows that a log holds twice: a retry, or an export that was joined with itself."""

from __future__ import annotations

import warnings

import numpy as np

from routerjax.errors import DataWarning
from routerjax.records.groups import repeated
from routerjax.records.logs import Log


def said_once(log: Log) -> Log:
    """The log without rows that say again what an earlier row said, and a warning of how many.

    Another one says how many carry the answer of a nearby query, whether they are left out, or
    kept as a group since their ids tell them apart.
    """
    again = repeated(log)
    if again.any():
        warnings.warn(
            f"{log.source}: {again.sum()} of {len(log)} rows repeat an earlier one in query, "
            "model, score and cost, and are left out: what was logged twice weighs once",
            DataWarning,
            stacklevel=4,
        )
    nearby = len(np.unique(log.queries)) - len(np.unique(log.origins))
    if nearby:
        warnings.warn(
            f"{log.source}: {nearby} rows carry the same model, score and cost to the last digit "
            "as a nearby row: they are taken for one answer logged again",
            DataWarning,
            stacklevel=4,
        )
    return log.rows(~again) if again.any() else log
