"""k nearest neighbours: predict a query's outcomes from the logged queries nearest to it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.records.logs import Log
from routerjax.records.on_disk import read
from routerjax.records.tables import Estimates, Table

NEIGHBOURS = (5, 10, 20, 40, 80, 160)
BLOCK = 1024  # queries compared at a time: bounds the similarity matrix
MOST_CHOOSERS = 4096
"""Rows, evenly spaced, whose error chooses k."""


def knn_outcomes(log: Log, embeddings: np.ndarray) -> Estimates:
    """Predict quality and cost of every arm as means over the nearest rows of that arm.

    k is chosen among `NEIGHBOURS`, one for quality and one for cost, by the squared error on
    `MOST_CHOOSERS` of the log's rows, each predicted without its own group. An arm with fewer than
    k rows answers with all it has.

    Args:
      log: n rows with embeddings, every arm logged at least once.
      embeddings: [q, d] queries.

    Returns:
      Estimates [q, m].

    Reference: CARROT (arXiv 2502.03261), the kNN plug-in.
    """
    known = jnp.asarray(read(log.features))
    rows, mask = _rows_of_arms(log)
    outcomes = jnp.stack([jnp.asarray(log.quality), jnp.asarray(log.cost)], axis=1)
    groups = jnp.asarray(log.groups)
    own = _choosers(len(log))
    left_out = _means(known[own], known, outcomes, rows, mask, groups, own=log.groups[own])
    left_out = left_out[:, np.arange(len(own)), log.arms[own]]  # [k, c, 2]
    errors = np.nansum((left_out - np.asarray(outcomes)[own]) ** 2, axis=1)
    nobody = np.full(len(embeddings), -1)
    means = _means(jnp.asarray(read(embeddings)), known, outcomes, rows, mask, groups, own=nobody)
    quality, cost = (means[errors[:, j].argmin(), :, :, j] for j in range(2))
    return Estimates(quality=quality, cost=cost)


def knn_full_feedback(table: Table, embeddings: np.ndarray) -> Estimates:
    """The same from a complete table, in which all k nearest rows know every arm.

    Args:
      table: n rows with embeddings, no cell missing.
      embeddings: [q, d] queries.

    Returns:
      Estimates [q, m].
    """
    known, groups = jnp.asarray(read(table.features)), jnp.asarray(table.groups)
    outcomes = jnp.stack([jnp.asarray(table.quality), jnp.asarray(table.cost)], axis=-1)
    nobody = np.full(len(embeddings), -1)
    own = _choosers(len(table))
    left_out = _in_blocks(
        _joint_block, known[own], (known, outcomes, groups), own=table.groups[own]
    )
    errors = np.mean((left_out - np.asarray(outcomes)[own]) ** 2, axis=1)  # [k, m, 2]
    errors = np.mean(errors / np.maximum(np.var(np.asarray(outcomes), axis=0), 1e-30), axis=1)
    means = _in_blocks(
        _joint_block, jnp.asarray(read(embeddings)), (known, outcomes, groups), own=nobody
    )
    quality, cost = (means[errors[:, j].argmin(), :, :, j] for j in range(2))
    return Estimates(quality=quality, cost=cost)


def _choosers(rows: int) -> np.ndarray:
    """Positions of the rows that choose k."""
    return np.arange(rows)[:: -(-rows // MOST_CHOOSERS)]


def _rows_of_arms(log: Log) -> tuple[jax.Array, jax.Array]:
    """Rows of each arm, padded to the longest: positions [m, r] and which of them are real."""
    longest = -(-int(log.arm_counts.max()) // 256) * 256  # few shapes, few compilations
    rows = np.zeros((len(log.models), longest), np.int32)
    mask = np.zeros(rows.shape, bool)
    for arm in range(len(log.models)):
        own = np.flatnonzero(log.arms == arm)
        rows[arm, : len(own)] = own
        mask[arm, : len(own)] = True
    return jnp.asarray(rows), jnp.asarray(mask)


def _means(queries, known, outcomes, rows, mask, groups, *, own: np.ndarray) -> np.ndarray:
    """Mean outcomes over the k nearest rows of each arm, [k, q, m, 2]; group `own` is left out."""
    return _in_blocks(_block, queries, (known, outcomes, rows, mask, groups), own=own)


def _in_blocks(block, queries, known: tuple, *, own: np.ndarray) -> np.ndarray:
    """`block` of `BLOCK` queries at a time, joined along axis 1."""
    count = len(queries)
    padding = -count % BLOCK
    queries = jnp.concatenate([queries, jnp.zeros((padding, queries.shape[1]))])
    own = np.concatenate([own, np.full(padding, -1)])
    blocks = [
        block(queries[i : i + BLOCK], *known, jnp.asarray(own[i : i + BLOCK]))
        for i in range(0, count, BLOCK)
    ]
    return np.concatenate([np.asarray(block) for block in blocks], axis=1)[:, :count]


@jax.jit
def _block(queries, known, outcomes, rows, mask, groups, own):
    # minus half the squared distance, up to a constant per query
    similarity = queries @ known.T - jnp.sum(known**2, axis=1)[None] / 2
    most = min(max(NEIGHBOURS), rows.shape[1])

    def one_arm(arm):
        rows, mask = arm
        usable = mask[None] & (groups[rows][None] != own[:, None])
        nearest = jax.lax.top_k(jnp.where(usable, similarity[:, rows], -jnp.inf), most)[1]
        weight = jnp.take_along_axis(usable, nearest, axis=1)[..., None].astype(jnp.float32)
        total = jnp.cumsum(outcomes[rows[nearest]] * weight, axis=1)
        count = jnp.cumsum(weight, axis=1)
        return jnp.stack([(total / count)[:, min(k, most) - 1] for k in NEIGHBOURS])

    return jnp.moveaxis(jax.lax.map(one_arm, (rows, mask)), 0, 2)


@jax.jit
def _joint_block(queries, known, outcomes, groups, own):
    """Means over the k nearest rows, [k, q, m, 2], the rows the same for every arm."""
    similarity = queries @ known.T - jnp.sum(known**2, axis=1)[None] / 2
    usable = groups[None] != own[:, None]
    most = min(max(NEIGHBOURS), len(known) - 1)
    nearest = jax.lax.top_k(jnp.where(usable, similarity, -jnp.inf), most)[1]
    weight = jnp.take_along_axis(usable, nearest, axis=1)[..., None, None].astype(jnp.float32)
    total = jnp.cumsum(outcomes[nearest] * weight, axis=1)
    means = total / jnp.maximum(jnp.cumsum(weight, axis=1), 1.0)
    return jnp.stack([means[:, min(k, most) - 1] for k in NEIGHBOURS])
