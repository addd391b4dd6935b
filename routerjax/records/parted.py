"""Groups that a record's own splits part: the same user or query on both sides of a border.

Rows of one group depend on each other. Where some are learnt from and others are evaluated on, the
evaluation is of what was learnt by heart.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from routerjax.records.groups import query_digests
from routerjax.records.rows import Rows
from routerjax.records.validation import VALIDATION_NAMES

LEARNT = ("train", *VALIDATION_NAMES)
"""Splits that a fit looks at: it learns from the first and chooses by the others."""


def parted(record: Rows, *, of: tuple[str, ...], learnt: tuple[str, ...]) -> Bool[np.ndarray, " n"]:
    """[n] True for rows of some splits whose group or query has rows in others.

    Args:
      record: n rows; without splits none is parted.
      of: names of the splits whose rows are asked.
      learnt: names of the splits that they must have nothing in common with.
    """
    nothing = np.zeros(len(record), bool)
    if record.split is None:
        return nothing
    split = np.asarray(record.split)
    asked, others = np.isin(split, of), np.isin(split, learnt)
    if not (asked.any() and others.any()):
        return nothing
    queries = query_digests(record)
    both = np.isin(record.groups, record.groups[others]) | np.isin(queries, queries[others])
    return asked & both


def example(record: Rows, rows: Bool[np.ndarray, " n"]) -> str:
    """What the first of some parted rows shares with others, for a message."""
    first = int(rows.argmax())
    if record.group is not None and record.group[first]:
        return f"group {record.group[first][:40]!r}"
    if record.prompts is not None:
        return f"the query {record.prompts[first][:40]!r}"
    return f"that of row {first}"
