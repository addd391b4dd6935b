"""Linear discriminants of the arms: on which side of a policy's cut does a query lie?

A learned router cuts a sum of many numbers of the embedding. No single number tells on which side
a query lies, and a tree, which asks of one number at a time, hardly sees such a cut; a sum of all
of them, weighted by how the arm's queries differ from the others, does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.records.on_disk import Stored, read

STRENGTHS = (1e-2, 0.1, 1.0, 10.0)
"""Ridge strengths tried, in units of the features' mean variance."""
MOST_COLUMNS = 512
"""Columns of wider features that a direction is a sum of: those that vary most."""
MOST_ROWS = 16_384
"""Rows that moments are taken of, evenly spaced, where there are more."""
BLOCK = 8_192


class Discriminants(NamedTuple):
    """Directions, one for every arm, and where the rows lie along them.

    Attributes:
      directions: [k, d, m] of every fold.
      offsets: [k, m] of every fold, what the mean of the rows outside it has along them.
      scores: [n, m] of every row along its own fold's direction, which never saw it, less that.
    """

    directions: Float[np.ndarray, "k d m"]
    offsets: Float[np.ndarray, "k m"]
    scores: Float[np.ndarray, "n m"]

    def scores_of(self, x: Float[np.ndarray, "r d"]) -> Float[np.ndarray, "r m"]:
        """Of rows that no fold holds, along the mean of the folds' directions."""
        along = x @ self.directions.mean(axis=0) - self.offsets.mean(axis=0)
        found: np.ndarray = along.astype(np.float32)
        return found


class _Moments(NamedTuple):
    """Sums over the rows of a fold: of rows, x, xxᵀ, what was asked, what could be, x by both."""

    rows: np.ndarray
    x: np.ndarray
    square: np.ndarray
    asked: np.ndarray
    could: np.ndarray
    x_asked: np.ndarray
    x_could: np.ndarray


def discriminants(
    x: Float[np.ndarray, "n d"] | Stored,
    asked: Bool[np.ndarray, "n m"],
    could: Bool[np.ndarray, "n m"],
    of_row: Int[np.ndarray, " n"],
) -> Discriminants:
    """Fit a discriminant of every arm outside each fold, and score the fold's rows by it.

    With S the covariance of x over the rows outside fold k, v the mean of its diagonal and
    r_m = 1{m was asked} − s_m, s_m the share of m among the rows where it could be asked, the
    direction of arm m is (S + α·v·I)⁻¹ · mean(x·r_m): ridge regression of "m was asked" on x where
    every arm can be asked everywhere, and for two arms Fisher's discriminant. A row where m could
    not be asked adds nothing to the mean, r_m = 0, but counts in S, which is that of all arms. One
    α serves all arms and folds, that of the least Σ (r_m − score)² over rows scored out of fold.

    Args:
      x: [n, d] features; of more than `MOST_COLUMNS` columns those of the largest variance.
      asked: [n, m] True where the arm answered.
      could: [n, m] True where the policy could have chosen it; a row without any is left out.
      of_row: [n] fold of each row, 0 to K − 1.

    Reference: Hastie, Tibshirani, Friedman, Elements of Statistical Learning, section 4.3 and
    exercise 4.2, for discriminants as regressions.
    """
    columns = _columns(x)
    folds = [
        _moments(x, asked, could, np.flatnonzero(of_row == k), columns)
        for k in range(int(of_row.max()) + 1)
    ]
    total = _Moments(*(np.sum(each, axis=0) for each in zip(*folds, strict=True)))
    outside = [_Moments(*(a - b for a, b in zip(total, own, strict=True))) for own in folds]
    fitted = [[_direction(own, strength) for strength in STRENGTHS] for own in outside]
    scores = np.empty((len(STRENGTHS), *asked.shape), np.float32)
    missed = np.zeros(len(STRENGTHS))
    for rows, block in _blocks(x, np.arange(len(of_row)), columns):
        for k, own in enumerate(outside):
            inside = of_row[rows] == k
            places = rows[inside]
            away = block[inside] - own.x[None] / max(own.rows, 1)
            left = (asked[places] - _shares(own)[None]) * could[places]
            for place, direction in enumerate(fitted[k]):
                found = away @ direction
                scores[place, places] = found
                missed[place] += (((left - found) * could[places]) ** 2).sum()
    best = int(missed.argmin())
    directions = np.zeros((len(folds), x.shape[1], asked.shape[1]))
    directions[:, columns] = [own[best] for own in fitted]
    pairs = zip(outside, fitted, strict=True)
    offsets = np.stack([own.x / max(own.rows, 1) @ each[best] for own, each in pairs])
    return Discriminants(directions, offsets, scores[best])


def _columns(x: np.ndarray | Stored) -> Int[np.ndarray, " c"]:
    """The columns that a direction is a sum of, in order."""
    if x.shape[1] <= MOST_COLUMNS:
        return np.arange(x.shape[1])
    spread = np.asarray(read(x[_spaced(np.arange(len(x)), BLOCK)])).var(axis=0)
    return np.sort(np.argsort(-spread, kind="stable")[:MOST_COLUMNS])


def _spaced(rows: Int[np.ndarray, " n"], most: int) -> Int[np.ndarray, " r"]:
    """The rows, or so many of them, evenly spaced."""
    return rows[:: max(1, -(-len(rows) // most))]


def _blocks(
    x: np.ndarray | Stored, rows: np.ndarray, columns: np.ndarray
) -> Iterator[tuple[np.ndarray, Float[np.ndarray, "b c"]]]:
    """Positions of rows, a block at a time, and their columns in double precision."""
    for first in range(0, len(rows), BLOCK):
        own = rows[first : first + BLOCK]
        yield own, np.asarray(read(x[own]))[:, columns].astype(np.float64)


def _moments(
    x: np.ndarray | Stored,
    asked: np.ndarray,
    could: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
) -> _Moments:
    """The sums over the rows of a fold on which the policy could choose."""
    models, count = asked.shape[1], len(columns)
    shapes = ((), (count,), (count, count), (models,), (models,), (count, models), (count, models))
    sums = [np.zeros(shape) for shape in shapes]
    rows = rows[could[rows].any(axis=1)]
    for own, block in _blocks(x, _spaced(rows, MOST_ROWS), columns):
        hits, chances = asked[own].astype(np.float64), could[own].astype(np.float64)
        parts = (
            np.float64(len(own)),
            block.sum(axis=0),
            block.T @ block,
            (hits * chances).sum(axis=0),
            chances.sum(axis=0),
            block.T @ (hits * chances),
            block.T @ chances,
        )
        sums = [before + part for before, part in zip(sums, parts, strict=True)]
    return _Moments(*sums)


def _shares(own: _Moments) -> Float[np.ndarray, " m"]:
    """s_m; 0 of an arm that could nowhere be asked."""
    shares: np.ndarray = own.asked / np.maximum(own.could, 1)
    return shares


def _direction(own: _Moments, strength: float) -> Float[np.ndarray, "c m"]:
    """Of every arm, by moments of the rows outside its fold; 0 where they do not vary."""
    from scipy.linalg import cho_factor, cho_solve

    rows = np.maximum(own.rows, 1)
    centre = own.x / rows
    covariance = own.square / rows - centre[:, None] * centre[None]
    scale = np.trace(covariance) / len(covariance)
    if not scale > 0:
        return np.zeros_like(own.x_asked)
    covariance[np.diag_indices_from(covariance)] += strength * scale
    found: np.ndarray = cho_solve(
        cho_factor(covariance), (own.x_asked - own.x_could * _shares(own)[None]) / rows
    )
    return found
