"""Queries that are equal but for noise of their embedding: the same text, embedded twice."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Num

from routerjax.records.on_disk import Stored, blocks, read

CLOSE = (2e-2, 2e-3, 2e-4)
"""Standard deviations by which embeddings of one query differ at most in every column; the first
that parts them from other queries counts."""
APART = 3.0  # times as far, within which other queries hardly are
SELDOM = 0.2  # such neighbours, of the pairs that are close
CELL = 4.0  # times as far, the sides of cells within which rows are compared
SHIFTS = (0.0, 1 / 3, 2 / 3)  # of a cell, by which the grid is moved
FEWEST_COLUMNS = 3
DIRECTIONS = 5
SAMPLE = 5000  # rows that tell how near other queries are, and how long a row is
FAR = 1000.0  # times the median length of a row that is not all 0
COMPARED = 1 << 12  # pairs at a time
ROUNDING = 2e-7
"""Of its mean, by which a column varies at most that is constant in single precision."""


def alike(
    embeddings: Num[np.ndarray, "n d"] | Stored, equal: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """[n] numbers of queries, the same where embeddings are equal up to noise.

    An encoder gives a text the same numbers up to rounding, which depends on what else was in its
    batch, and a quantised one up to more. Rows a and b are one query if

    max_j |x_aj − x_bj| / s_j ≤ c, s_j the standard deviation of column j,

    with the largest c of `CLOSE` at which repeats stand apart: hardly any other rows are within
    `APART`·c of each other. Of embeddings that lie densely, as a few numbers of a query do, no c
    is such, and only `equal` counts; so it does of fewer than three columns. Rows are compared
    that fall into one cell of a grid along random directions.

    Args:
      embeddings: n rows, in memory or on disk.
      equal: [n] the same where rows are equal bit by bit.

    >>> x = np.random.default_rng(0).normal(size=(5, 4))
    >>> alike(np.concatenate([x, x + 1e-4]), np.arange(10)).tolist()
    [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    """
    if embeddings.shape[1] < FEWEST_COLUMNS or len(equal) < 2:
        return equal
    if not isinstance(embeddings, Stored):
        embeddings = np.asarray(embeddings)
    _, first, numbers = np.unique(equal, return_index=True, return_inverse=True)
    places, per_spread = projected(embeddings)
    places = places[first]
    for close in CLOSE:
        cells = [_cells(np.floor(places / (CELL * close) + shift)) for shift in SHIFTS]
        orders = [np.lexsort((places[:, 0], cell)) for cell in cells]
        near, nearby = 0, 0
        for cell, order in zip(cells, orders, strict=True):
            far = compared(embeddings, first[_partners(cell[order], order)], per_spread)
            near += int((far <= close).sum())
            nearby += int(((far > close) & (far <= APART * close)).sum())
        if nearby <= SELDOM * near:
            pairs = _neighbours(cells, orders)
            far = compared(embeddings, first[pairs], per_spread)
            return joined(pairs[:, far <= close], len(first))[numbers]
        if not near:
            break
    return numbers


def projected(
    embeddings: Num[np.ndarray, "n d"] | Stored,
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, " d"]]:
    """[n, k] rows along random directions, in standard deviations of what is projected; and one
    over the standard deviation of every column, 0 where it is constant. Rows `FAR` out have no part
    in what a standard deviation is."""
    some = _squares(np.asarray(read(embeddings[_spaced(len(embeddings))])))
    most = FAR**2 * np.median(some[some > 0]) if some.any() else np.inf

    def usual(block: np.ndarray) -> np.ndarray:
        near = _squares(block) <= most
        return block if near.all() else block[near]

    count = sum(len(usual(block)) for block in blocks(embeddings))
    mean = sum(usual(each).sum(axis=0, dtype=np.float64) for each in blocks(embeddings)) / count
    centre = np.asarray(mean, np.float32)

    def away(block: np.ndarray) -> np.ndarray:
        return np.asarray(block, np.float32) - centre

    squares = sum(np.square(away(usual(each))).sum(axis=0) for each in blocks(embeddings))
    spread = np.sqrt(np.asarray(squares, np.float64) / count)
    varies = spread > 1e-12 + ROUNDING * np.abs(mean)
    scale = np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0)
    directions = np.random.default_rng(0).normal(size=(len(spread), DIRECTIONS))
    directions *= scale[:, None] / np.sqrt(max(int(varies.sum()), 1))
    single = directions.astype(np.float32)
    places = np.concatenate([away(block) @ single for block in blocks(embeddings)])
    return places, scale.astype(np.float32)


def _squares(rows: np.ndarray) -> Float[np.ndarray, " b"]:
    """Squared lengths."""
    found: np.ndarray = np.einsum("nd,nd->n", rows, rows, dtype=np.float64)
    return found


def _spaced(rows: int) -> slice:
    """Some thousand rows, evenly spaced."""
    return slice(None, None, max(1, rows // SAMPLE))


def _cells(places: Float[np.ndarray, "u k"]) -> Int[np.ndarray, " u"]:
    """[u] numbers that are equal where rows are, and hardly ever elsewhere."""
    factors = np.random.default_rng(1).integers(1, 2**62, places.shape[1]) * 2 + 1
    found: np.ndarray = (places.astype(np.int64) * factors).sum(axis=1)
    return found


def _partners(cell: Int[np.ndarray, " u"], order: Int[np.ndarray, " u"]) -> np.ndarray:
    """[2, s] some rows and another one of their cell, taken at random; cells are in order."""
    starts = np.flatnonzero(np.concatenate([[True], cell[1:] != cell[:-1]]))
    sizes = np.diff(np.concatenate([starts, [len(cell)]]))
    which = np.repeat(np.arange(len(starts)), sizes)
    some = np.flatnonzero(sizes[which] > 1)
    some = some[:: max(1, len(some) // SAMPLE)]
    size, start = sizes[which[some]], starts[which[some]]
    step = np.random.default_rng(2).integers(1, np.maximum(size, 2))
    other = start + (some - start + step) % size
    return np.stack([order[some], order[other]])


def _neighbours(
    cells: list[Int[np.ndarray, " u"]], orders: list[Int[np.ndarray, " u"]]
) -> np.ndarray:
    """[2, p] rows of one cell that are next to each other, or but one."""
    keys = []
    for cell, order in zip(cells, orders, strict=True):
        for step in (1, 2):
            one, other = order[:-step], order[step:]
            same = cell[one] == cell[other]
            low, high = np.minimum(one, other)[same], np.maximum(one, other)[same]
            keys.append(low * len(cell) + high)
    found = np.unique(np.concatenate(keys))
    return np.stack([found // len(cells[0]), found % len(cells[0])])


def compared(
    embeddings: Num[np.ndarray, "n d"] | Stored,
    pairs: np.ndarray,
    per_spread: np.ndarray,
    order: float = np.inf,
) -> Float[np.ndarray, " p"]:
    """[p] difference of two rows [2, p] in standard deviations: the largest one over columns, or
    another norm."""
    found = np.empty(pairs.shape[1], np.float32)
    for at in range(0, len(found), COMPARED):
        one, other = (np.asarray(embeddings[rows]) for rows in pairs[:, at : at + COMPARED])
        found[at : at + COMPARED] = np.linalg.norm((one - other) * per_spread, order, axis=1)
    return found


def joined(pairs: np.ndarray, count: int) -> Int[np.ndarray, " u"]:
    """[u] numbers that are equal where rows are joined by pairs [2, p]."""
    if not pairs.shape[1]:
        return np.arange(count)
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = coo_matrix((np.ones(pairs.shape[1], np.int8), tuple(pairs)), shape=(count, count))
    found: np.ndarray = connected_components(edges, directed=False)[1]
    return found
