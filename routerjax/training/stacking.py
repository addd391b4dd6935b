"""Several problems of equal shapes as one: their rows joined, their runs on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Shaped

from routerjax.records.on_disk import Stored, read

Tree = TypeVar("Tree")


def concatenated(trees: Sequence[Tree]) -> Tree:
    """Pytrees joined along the leading axis of their leaves, on the device in 32 bits.

    What one tree alone holds as `Stored` stays on disk.
    """
    if len(trees) == 1:
        alone: Tree = jax.tree.map(_on_device, trees[0])
        return alone

    def joined(*leaves: Any) -> Shaped[Array, "n ..."]:
        return jnp.concatenate([_on_device(read(leaf)) for leaf in leaves])

    together: Tree = jax.tree.map(joined, *trees)
    return together


def _on_device(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array | Stored):
        return leaf
    return jnp.asarray(leaf, jnp.float32 if np.issubdtype(leaf.dtype, np.floating) else None)


def offset(
    indices: Sequence[Int[Array | np.ndarray, "b k"]], rows: Sequence[int]
) -> Int[Array, "r k"]:
    """Row positions [b, ·] of every problem as positions in the joined rows, [Σ b, ·].

    −1, no row, stays −1; shorter ones are filled up with it.
    """
    starts = np.concatenate([[0], np.cumsum(rows)[:-1]])
    longest = max(np.shape(own)[1] for own in indices)
    moved = []
    for own, start in zip(map(np.asarray, indices), starts, strict=True):
        there = np.where(own < 0, -1, own + start)
        filled = ((0, 0), (0, longest - own.shape[1]))
        moved.append(np.pad(there, filled, constant_values=-1))
    return jnp.asarray(np.concatenate(moved), jnp.int32)
