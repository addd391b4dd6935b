"""Which rows train a model, which stop it, which it predicts: folds, and splits of members."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.errors import InputError


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

    def own(self, outputs: Any, rows: slice = slice(None)) -> np.ndarray:
        """Each row's output by its own fold's model, of all or some: [k, n, ...] → [n, ...]."""
        of_row = self.of_row[rows]
        own: np.ndarray = np.asarray(outputs)[of_row, np.arange(len(of_row))]
        return own


def make_folds(arms: np.ndarray, *, folds: int, held_out: float, key: jax.Array) -> Folds:
    """Split rows into folds with every arm spread evenly over them.

    Args:
      arms: [n] arm that answered.
      folds: K.
      held_out: share of the rows outside a fold that is kept for early stopping.
      key: Random key of the two shuffles.
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


def member_splits(
    rows: int, *, members: int, held_out: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Training and held-out positions of each member, [b, ·]: other rows held out for each.

    Args:
      rows: n.
      members: b; their held-out rows overlap only where b·held_out exceeds 1.
      held_out: share of the rows.
      seed: Seed of the shuffle.

    Raises:
      InputError: a share outside (0, 1), or no members.
    """
    if not 0 < held_out < 1:
        raise InputError(f"validation share is {held_out:g}; it must lie between 0 and 1")
    if members < 1:
        raise InputError(f"members is {members}; at least 1 is needed")
    order = np.random.default_rng(seed).permutation(rows)
    count = min(max(1, round(held_out * rows)), rows - 1)
    turned = np.stack([np.roll(order, -member * count) for member in range(members)])
    return turned[:, count:], turned[:, :count]
