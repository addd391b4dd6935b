"""Rows that a log holds twice: a retry, or an export that was joined with itself."""

from __future__ import annotations

import warnings

from routerjax.errors import DataWarning
from routerjax.records.groups import repeated
from routerjax.records.logs import Log


def said_once(log: Log) -> Log:
    """The log without rows that say again what an earlier row said, and a warning of how many."""
    again = repeated(log)
    if not again.any():
        return log
    warnings.warn(
        f"{log.source}: {again.sum()} of {len(log)} rows repeat an earlier one in query, model, "
        "score and cost, and are left out: what was logged twice weighs once",
        DataWarning,
        stacklevel=4,
    )
    return log.rows(~again)
