"""Which rows an epoch visits, how it shuffles them into batches, and the rows of a batch."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

NEIGHBOURS = 256
"""Rows in a row of the file that an epoch visits together, where it does not visit all."""


def visited(key: PRNGKeyArray, train: Int[Array, " n"], most: int) -> Int[Array, " k"]:
    """The row positions an epoch visits, at most so many: all, or random stretches of them.

    Stretches are `NEIGHBOURS` long, cut from a random position on; which of them are visited is
    drawn without replacement. Every row has the same chance, but for a remainder shorter than
    a stretch that the cut leaves over.
    """
    count = train.shape[0]
    if count <= most:
        return train
    long = min(NEIGHBOURS, most)
    cut, draw = jax.random.split(jax.random.fold_in(key, 0))
    first = jax.random.randint(cut, (), 0, count)
    chosen = jax.random.choice(draw, count // long, (most // long,), replace=False)
    places = first + chosen[:, None] * long + jnp.arange(long)[None]
    return train[places.ravel() % count]


def shuffled(key: PRNGKeyArray, train: Int[Array, " n"], size: int) -> Int[Array, "steps {size}"]:
    """Shuffle the row positions into batches [steps, size]; the last is filled up with −1."""
    count = -(-train.shape[0] // size)
    none = jnp.full(count * size - train.shape[0], -1, train.dtype)
    return jnp.concatenate([jax.random.permutation(key, train), none]).reshape(count, size)


def rows_at(rows: PyTree, index: Int[Array, " b"]) -> PyTree:
    """Rows at positions [b]; some row in a place that holds none, −1."""
    return jax.tree.map(lambda leaf: leaf[jnp.maximum(index, 0)], rows)


def batch_at(rows: PyTree, index: Int[Array, " b"]) -> PyTree:
    """Rows at positions [b]; where rows carry a "weight", it is 0 in a place that holds no row."""
    taken = rows_at(rows, index)
    if isinstance(taken, dict) and "weight" in taken:
        return {**taken, "weight": jnp.where(index < 0, 0, taken["weight"])}
    return taken
