"""Regions of like queries in which a log's policy never asked an arm.

Queries come in kinds, and a policy may leave a model out of some of them. No column need tell the
kind: like queries lie together. Rows are parted by the nearest of some centres, which embeddings
alone decide, and of every region and arm it is asked whether the few answers are chance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from routerjax.estimators.cells import never_asked

COUNTS = (8, 12, 16, 24, 32, 48, 64)
"""Numbers of regions that are tried."""
LEAST_ROWS = 20
"""Rows a region must have on average for a number of them to be tried."""
ROWS_OF_CENTRES = 2048
"""Rows that decide the centres."""
CANDIDATES = 5
"""Rows that are drawn for every first centre; that which leaves the others nearest is taken."""
STEPS = 5
"""Times that centres are moved to the mean of the rows nearest to them."""


class Regions(NamedTuple):
    """A query lies in the region of the nearest centre.

    Attributes:
      centres: [g, d] on scaled embeddings.
      apart: [g, m] 1 where the arm was never asked, else 0.
    """

    centres: Float[Array | np.ndarray, "g d"]
    apart: Float[Array | np.ndarray, "g m"]


def in_regions(regions: Regions, x: Any) -> Any:
    """[n, m] True where a query x [n, d] lies in a region in which the arm was never asked; of JAX
    or NumPy, as x is."""
    xp = jnp if isinstance(x, jax.Array) else np
    return xp.asarray(regions.apart)[nearest(xp.asarray(regions.centres), x)] > 0


def nearest(centres: Any, x: Any) -> Any:
    """[n] place of the centre [g, d] at the least distance from each query [n, d]."""
    return ((centres**2).sum(axis=-1)[None] - 2 * x @ centres.T).argmin(axis=-1)


def find_regions(
    x: Float[np.ndarray, "n d"],
    hits: Float[np.ndarray, "n m"],
    could: Bool[np.ndarray, "n m"],
    level: Float[np.ndarray, " m"],
    *,
    together: float = 1.0,
) -> Regions | None:
    """Find regions where an arm has no support, by several numbers of them.

    Rows are parted into 8 to 64 regions (k-means), and in each number all sets of regions are
    tested at once (`estimators/cells`), at an equal part of α. Of the numbers that find any,
    that with the largest shortfall Σ level · N − h is taken. Regions of which an arm answered too
    much for that keep their support, such as one across the edge of what was never asked.

    Args:
      x, hits, could, level, together: as of `find_holes`.

    Returns:
      The regions; None where every arm was asked in all of them.

    Reference: Arthur and Vassilvitskii (2007), k-means++, for the first centres.
    """
    rows, answered = could.astype(np.float64), hits * could
    found: Regions | None = None
    most = 0.0
    rng = np.random.default_rng(0)
    drawn = rng.permutation(len(x))[:ROWS_OF_CENTRES]  # a step may keep time with the log
    some = np.asarray(x[drawn], np.float32)
    first = some[_apart(some, min(len(x) // LEAST_ROWS, max(COUNTS)), rng)]
    counts = [count for count in COUNTS if count <= len(first)]
    for count in counts:
        centres = _means(some, first[:count])
        place = nearest(centres, x)
        own, did = (_sums(each, place, count) for each in (rows, answered))
        apart = never_asked(own, did, level, together=together, tests=len(counts))
        short = float(((level * own - did) * apart).sum())
        if short > most:
            found, most = Regions(centres, apart.astype(np.float32)), short
    return found


def _apart(x: Float[np.ndarray, "r d"], count: int, rng: np.random.Generator) -> list[int]:
    """Rows far from each other, one after another, drawn by their squared distance from those
    before; fewer than `count` where not so many embeddings differ."""
    square = (x**2).sum(axis=1)
    chosen = [int(rng.integers(len(x)))] if count else []
    away = _squares(x, square, chosen).min(axis=0, initial=np.inf)
    while len(chosen) < count and away.max() > 0:
        below = np.cumsum(away, dtype=np.float64)
        drawn = np.searchsorted(below, rng.random(CANDIDATES) * below[-1])
        drawn = np.minimum(drawn, len(x) - 1)
        nearer = np.minimum(away, _squares(x, square, drawn))
        best = int(nearer.sum(axis=1).argmin())
        chosen.append(int(drawn[best]))
        away = nearer[best]
    return chosen


def _means(x: Float[np.ndarray, "r d"], first: Float[np.ndarray, "g d"]) -> np.ndarray:
    """[g, d] centres: from the first ones, each moved to the mean of the rows nearest to it.

    A centre that loses its last row stays where it is.
    """
    centres = np.asarray(first, np.float32)
    for _ in range(STEPS):
        place = nearest(centres, x)
        rows = np.bincount(place, minlength=len(centres))
        inside = (place == np.arange(len(centres))[:, None]).astype(np.float32)
        means = inside @ x / np.maximum(rows, 1)[:, None].astype(np.float32)
        centres = np.where(rows[:, None] > 0, means, centres)
    return centres


def _squares(
    x: Float[np.ndarray, "r d"], square: Float[np.ndarray, " r"], rows: Any
) -> Float[np.ndarray, "c r"]:
    """Squared distances of all rows from some of them, 0 of a row from itself."""
    found: np.ndarray = np.maximum(square - 2 * x[rows] @ x.T + square[rows][:, None], 0.0)
    found[np.arange(len(rows)), rows] = 0.0
    return found


def _sums(
    values: Float[np.ndarray, "n m"], place: Int[np.ndarray, " n"], count: int
) -> Float[np.ndarray, "g m"]:
    """Sums of the columns by region."""
    return np.stack([np.bincount(place, own, count) for own in values.T], axis=1)
