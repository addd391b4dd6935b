"""What a regression needs of its rows, arm by arm: sums that add up over disjoint rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

PRIOR_ROWS = 10.0
"""Rows by which an arm's variance is drawn to that of all arms."""


class Moments(NamedTuple):
    """What rows tell, arm by arm; moments of disjoint rows add up.

    Attributes:
      gram: Σ φ φᵀ [*k, m, D, D].
      cross: Σ φ y [*k, m, D].
      square: Σ y² [*k, m].
      rows: number of rows, or the sum of their weights [*k, m].
    """

    gram: Float[Array | np.ndarray, "*k m D D"]
    cross: Float[Array | np.ndarray, "*k m D"]
    square: Float[Array | np.ndarray, "*k m"]
    rows: Float[Array | np.ndarray, "*k m"]


def moments_of(
    features: Float[np.ndarray, "n D"],
    labels: Float[np.ndarray, "l n"],
    arms: Int[np.ndarray, " n"],
    of_row: Int[np.ndarray, " n"],
    *,
    folds: int,
    models: int,
    weights: Float[np.ndarray, " n"] | None = None,
) -> tuple[Moments, ...]:
    """Moments of the rows of each fold, arm by arm, of l labels, in double precision.

    Args:
      features: [n, D] φ, the first column of ones.
      labels: [l, n] y.
      arms: [n] arm of each row.
      of_row: [n] its fold.
      folds: k.
      models: m.
      weights: [n] by which rows count, in every sum and in their number; None for 1.

    Returns:
      `Moments` with leading axis k for each label.
    """
    cells, width = folds * models, features.shape[1]
    gram, cross = np.zeros((cells, width, width)), np.zeros((len(labels), cells, width))
    cell = of_row * models + arms
    order = np.argsort(cell, kind="stable")
    edges = np.searchsorted(cell[order], np.arange(cells + 1))
    for place in np.flatnonzero(np.diff(edges)):
        rows = order[edges[place] : edges[place + 1]]
        own = features[rows].astype(np.float64)
        weighed = own if weights is None else own * weights[rows, None]
        gram[place] = weighed.T @ own
        cross[:, place] = labels[:, rows] @ weighed
    shape = (folds, models)
    squares = labels**2 if weights is None else labels**2 * weights
    count = np.bincount(cell, weights=weights, minlength=cells).astype(np.float64).reshape(shape)
    return tuple(
        Moments(
            gram.reshape(*shape, width, width),
            own.reshape(*shape, width),
            np.bincount(cell, weights=square, minlength=cells).reshape(shape),
            count,
        )
        for own, square in zip(cross, squares, strict=True)
    )


def moments_of_table(
    features: Float[np.ndarray, "n D"],
    labels: Float[np.ndarray, "l n m"],
    of_row: Int[np.ndarray, " n"],
    *,
    folds: int,
) -> tuple[Moments, ...]:
    """Moments of rows that every arm answered, as `moments_of` of each arm: Σ φ φᵀ is that of all.

    Args:
      features: [n, D] φ, the first column of ones.
      labels: [l, n, m] y.
      of_row: [n] fold of each row.
      folds: k.

    Returns:
      `Moments` with leading axis k for each label; their `gram` is a view that cannot be written.
    """
    (count, _, models), width = labels.shape, features.shape[1]
    gram, cross = np.zeros((folds, width, width)), np.zeros((count, folds, models, width))
    square, rows = np.zeros((count, folds, models)), np.zeros((folds, models))
    for fold in range(folds):
        own, place = of_row == fold, features[of_row == fold].astype(np.float64)
        gram[fold], rows[fold] = place.T @ place, own.sum()
        cross[:, fold] = labels[:, own].swapaxes(1, 2) @ place
        square[:, fold] = (labels[:, own] ** 2).sum(axis=1)
    every = np.broadcast_to(gram[:, None], (folds, models, width, width))
    return tuple(Moments(every, *each, rows) for each in zip(cross, square, strict=True))


def shifted(moments: Moments, above: Float[np.ndarray, "*k m"]) -> Moments:
    """Moments of the same rows, of labels less a number for each arm.

    Σ φ (y − a) = Σ φ y − a Σ φ and Σ (y − a)² = Σ y² − 2 a Σ y + a² n, the first feature being 1.
    """
    cross, square = np.asarray(moments.cross), np.asarray(moments.square)
    return moments._replace(
        cross=cross - above[..., None] * np.asarray(moments.gram)[..., 0],
        square=square - 2 * above * cross[..., 0] + above**2 * np.asarray(moments.rows),
    )


def noise_of(moments: Moments, *, prior_rows: float = PRIOR_ROWS) -> Float[np.ndarray, " m"]:
    """[m] variance of each arm's outcomes over the mean of all arms', drawn to it by some rows.

    An arm that is nearly always right has outcomes of little variance, and its rows weigh more.
    """
    count = np.maximum(np.asarray(moments.rows, np.float64), 1e-9)
    mean = np.asarray(moments.cross)[:, 0] / count
    spread = np.maximum(np.asarray(moments.square) - count * mean**2, 0.0)
    pooled = spread.sum() / max(count.sum(), 1.0)
    if pooled <= 0:
        return np.ones(len(count))
    variance = (spread + prior_rows * pooled) / (count + prior_rows)
    return np.asarray(variance / variance.mean())


def level_of(moments: Moments, *, prior_rows: float = PRIOR_ROWS) -> Float[np.ndarray, " m"]:
    """[m] how strong each arm is: its mean outcome, drawn to that of all rows, standardised.

    Mean 0 and mean square 1 over the arms; zeros where all arms are alike.
    """
    count, total = (np.asarray(each, np.float64) for each in (moments.rows, moments.cross[:, 0]))
    grand = total.sum() / max(count.sum(), 1.0)
    mean = (total + prior_rows * grand) / (count + prior_rows)
    away = mean - mean.mean()
    size = np.sqrt(np.mean(away**2))
    return away / size if size > 1e-9 * max(1.0, np.abs(mean).max()) else np.zeros(len(count))
