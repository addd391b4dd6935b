"""Folds for cross-fitting: which rows train a model, which stop it, which it predicts."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Folds(NamedTuple):
    """Row positions of a K-fold split.

    Attributes:
      of_row: [n] fold of each row.
      train, held_out: [k, ·] rows outside fold k, on which its models train and stop.
    """

    of_row: np.ndarray
    train: jax.Array
    held_out: jax.Array

    def outside(self) -> list[np.ndarray]:
        """Per fold the mask [n] of the rows outside it."""
        return [self.of_row != k for k in range(self.train.shape[0])]

    def own(self, outputs: Any) -> np.ndarray:
        """Each row's output by its own fold's model: [k, n, ...] → [n, ...]."""
        return np.asarray(outputs)[self.of_row, np.arange(len(self.of_row))]


def make_folds(arms: np.ndarray, *, folds: int, held_out: float, key: jax.Array) -> Folds:
    """Split rows into folds with every arm spread evenly over them.

    Args:
      arms: [n] arm that answered.
      folds: K.
      held_out: share of the rows outside a fold that is kept for early stopping.
      key: for the two shuffles.
    """
    deal, shuffle = jax.random.split(key)
    order = np.asarray(jax.random.permutation(deal, len(arms)))
    order = order[np.argsort(arms[order], kind="stable")]
    of_row = np.empty(len(arms), np.int32)
    of_row[order] = np.arange(len(arms)) % folds

    order = np.asarray(jax.random.permutation(shuffle, len(arms)))
    others = [order[of_row[order] != k] for k in range(folds)]
    size = min(len(rows) for rows in others)  # they differ by a row; equal shapes compile once
    stop = max(1, round(held_out * size))
    train = np.stack([rows[stop:size] for rows in others])
    return Folds(of_row, jnp.asarray(train), jnp.asarray(np.stack([o[:stop] for o in others])))
