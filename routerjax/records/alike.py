"""Queries that are equal up to rounding: the same text, embedded twice."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Num

from routerjax.records.on_disk import Stored, blocks

CLOSE = 1e-4
"""Of a standard deviation, by which embeddings of one query differ at most in every direction."""
DIRECTIONS = 3
ROUNDING = 2e-7
"""Of its mean, by which a column varies at most that is constant in single precision."""


def alike(
    embeddings: Num[np.ndarray, "n d"] | Stored, equal: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """[n] numbers of queries, the same where embeddings are equal up to rounding.

    An encoder gives a text the same numbers up to rounding, which depends on what else was in its
    batch. Rows are compared by random directions of standardised columns, and two that fall into
    one cell of a grid, or of the same grid moved by one or two thirds of a cell, are one query. Of
    fewer columns than directions only `equal` counts: there, neighbours are no repeats.

    Args:
      embeddings: n rows, in memory or on disk.
      equal: [n] the same where rows are equal bit by bit.

    >>> x = np.random.default_rng(0).normal(size=(5, 4))
    >>> alike(np.concatenate([x, x + 1e-9]), np.arange(10)).tolist()
    [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    """
    if embeddings.shape[1] < DIRECTIONS or len(equal) < 2:
        return equal
    places = _projected(embeddings) / CLOSE
    shifts = (0.0, 1 / 3, 2 / 3)
    cells = [np.unique(equal, return_inverse=True)[1]]
    for shift in shifts:
        cells.append(_cells(np.floor(places + shift)))
    if all(int(each.max()) + 1 == len(equal) for each in cells):
        return np.arange(len(equal))
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows = np.tile(np.arange(len(equal)), len(cells))
    starts = np.cumsum([len(equal), *(int(each.max()) + 1 for each in cells)])
    columns = np.concatenate([each + start for each, start in zip(cells, starts, strict=False)])
    edges = coo_matrix(
        (np.ones(len(rows), np.int8), (rows, columns)), shape=(starts[-1], starts[-1])
    )
    found: np.ndarray = connected_components(edges, directed=False)[1][: len(equal)]
    return np.unique(found, return_inverse=True)[1]


def _projected(embeddings: Num[np.ndarray, "n d"] | Stored) -> Float[np.ndarray, "n k"]:
    """[n, k] rows along random directions, in standard deviations of what is projected."""
    count = len(embeddings)
    mean = sum(block.sum(axis=0, dtype=np.float64) for block in blocks(embeddings)) / count
    centre = np.asarray(mean, np.float32)

    def away(block: np.ndarray) -> np.ndarray:
        return np.asarray(block, np.float32) - centre

    squares = sum(np.square(away(block)).sum(axis=0) for block in blocks(embeddings))
    spread = np.sqrt(np.asarray(squares, np.float64) / count)
    varies = spread > 1e-12 + ROUNDING * np.abs(mean)
    scale = np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0)
    directions = np.random.default_rng(0).normal(size=(len(spread), DIRECTIONS))
    directions *= scale[:, None] / np.sqrt(max(int(varies.sum()), 1))
    single = directions.astype(np.float32)
    return np.concatenate([away(block) @ single for block in blocks(embeddings)])


def _cells(places: Float[np.ndarray, "n k"]) -> Int[np.ndarray, " n"]:
    """[n] numbers that are equal where rows are."""
    together = np.zeros(len(places), np.int64)
    for column in places.T:
        values, own = np.unique(column, return_inverse=True)
        together = np.unique(together * len(values) + own, return_inverse=True)[1]
    return together
