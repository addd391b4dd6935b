"""Rows that hold the answers of several models in a list, of which a log reads one alone."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from routerjax.data.columns import paths
from routerjax.data.columns.arrays import quoted
from routerjax.data.inspection.roles import Guess

FIRST, SECOND = "[0]", "[1]"
MANY = 0.1  # share of rows from which several answers are what the file holds


def several_answers(table: pa.Table, roles: Mapping[str, Guess]) -> str | None:
    """What is lacking of a file whose rows hold several models with a quality each, in a list.

    The first answer of a row may be its best one: rows of these alone would be no log.
    """
    if not {"model", "quality"} <= roles.keys():
        return None
    model, quality = (roles[role].field.path for role in ("model", "quality"))
    entries = model.partition(FIRST)[0]
    if entries == model or not quality.startswith(entries + FIRST):
        return None
    second = paths.column(table, model.replace(FIRST, SECOND, 1))
    share = 0.0 if second is None else 1 - second.null_count / max(len(second), 1)
    if share < MANY:
        return None
    return (
        f"one answer a row: {quoted(entries)} holds those of several models in {share:.0%} of the "
        "rows; write a row for each, with its model, quality and cost"
    )
