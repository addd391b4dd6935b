"""Between `datasets` and Arrow: its rows as one table, its errors as one line."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1 << 14
"""Rows of one Arrow batch."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """`datasets` says nothing inside: its errors reach the user as one sentence of ours."""
    import datasets  # noqa: F401  sets its own level where it is first imported

    logger = logging.getLogger("datasets")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def gather(rows: Any) -> pa.Table:
    """The whole of a `datasets` data set, streamed or not, as one table."""
    import pyarrow as pa

    batches = list(rows.with_format("arrow").iter(batch_size=BATCH))
    return pa.concat_tables(batches) if batches else pa.table({})


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without its end stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(". ")
