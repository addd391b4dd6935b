"""Embeddings that are hardly of a query: one row that outweighs all others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from routerjax.data.checks.finding import Finding
from routerjax.records.logs import Log
from routerjax.records.on_disk import blocks
from routerjax.records.tables import Table

OUTLYING = 1000.0
"""Times the median length from which an embedding is taken for a mistake."""
FEW = 20
"""Of fewer rows no length is ordinary."""


def embedding_findings(record: Log | Table) -> Iterator[Finding]:
    """Embeddings a thousand times as long as the median one.

    Embeddings are divided by their spread before anything is learnt from them, and one such row is
    the spread: all other queries look alike beside it.
    """
    if record.embeddings is None or len(record) < FEW:
        return
    lengths = np.concatenate(
        [np.sqrt(np.einsum("nd,nd->n", rows, rows)) for rows in _blocks(record.embeddings)]
    )
    median = float(np.median(lengths))
    over = lengths >= OUTLYING * median
    count = int(over.sum())
    if not (median > 0 and count):
        return
    rows = "the embedding of one row is" if count == 1 else f"the embeddings of {count} rows are"
    yield Finding(
        name="outlying-embedding",
        column="embedding",
        problem=f"{rows} more than {OUTLYING:g} times as long as the median one, up to "
        f"{lengths.max() / median:.2g} times",
        right="encode the prompt again, or leave the row out: beside it all others look alike",
        share=count / len(record),
        row=int(lengths.argmax()),
    )


def _blocks(embeddings: object) -> Iterator[np.ndarray]:
    return (np.asarray(rows, np.float64) for rows in blocks(embeddings, 1 << 12))
