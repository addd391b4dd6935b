"""What a stage makes of its rows before it is trained: once, instead of in every step.

The joint router is trained on the logits of endpoint routers that stay as they are. A run makes
them of its own rows, which are all that it is trained and scored on, and finds a row's by its
position among the rows of all runs.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Shaped

from routerjax.models.stages import Preparing, Stage
from routerjax.records.on_disk import stored

BLOCK = 1024
"""Rows at a time."""
MOST_BYTES = 1 << 29
"""Of what is made for all runs; beyond it each step makes its own."""


class Prepared(NamedTuple):
    """Of each run, a leading axis r.

    Attributes:
      values: [k, ...] of the run's k rows.
      place: [n] where a row's values are, by its position among all rows; 0 for other runs' rows.
    """

    values: Shaped[Array, "*r k ..."]
    place: Int[Array, "*r n"]

    def of(self, position: Int[Array, " b"]) -> Shaped[Array, "b ..."]:
        """The values of rows at positions, for one run."""
        return self.values[self.place[position]]


def prepared(
    stage: Stage,
    context: Mapping[str, Any],
    rows: Mapping[str, Any],
    train: Int[Array, "r t"],
    held_out: Int[Array, "r h"],
    *,
    epoch_rows: int,
    tries: int,
) -> Prepared | None:
    """What the runs of a stage make of their rows; None where each step had better do it.

    That is so where a stage makes nothing, rows stay on disk or are shared by several processes, an
    epoch does not visit all of them, or all runs together would take more than `MOST_BYTES`.

    Args:
      stage: that is trained.
      context: of the runs, leading axis r.
      rows: of all runs; "x" and "start" are used.
      train, held_out: positions in the rows; a negative one stands for no row.
      epoch_rows: that an epoch visits at most.
      tries: learning rates and settings, each of which keeps its own.
    """
    if not isinstance(stage, Preparing) or stored(rows) or jax.process_count() > 1:
        return None
    if train.shape[1] > epoch_rows:
        return None
    index = np.concatenate([np.asarray(train), np.asarray(held_out)[:, :epoch_rows]], axis=1)
    one = jax.tree.map(lambda leaf: leaf[0], dict(context))
    row = jax.eval_shape(
        stage.prepared, one, rows["x"][:1], jax.tree.map(lambda leaf: leaf[:1], rows["start"])
    )
    places = len(index) * len(rows["x"]) * 4
    if tries * (index.size * row.size * row.dtype.itemsize + places) > MOST_BYTES:
        return None
    return _prepared(stage, dict(context), rows["x"], rows["start"], jnp.asarray(index))


@functools.partial(jax.jit, static_argnums=0)
def _prepared(
    stage: Preparing, context: dict[str, Any], x: Array, start: Any, index: Int[Array, "r k"]
) -> Prepared:
    count = index.shape[1]
    size = min(BLOCK, count)

    def block(own: dict[str, Any], some: Int[Array, " b"]) -> Array:
        taken = jax.tree.map(lambda leaf: leaf[jnp.maximum(some, 0)], (x, start))
        return stage.prepared(own, *taken)

    def run(each: tuple[dict[str, Any], Int[Array, " k"]]) -> Prepared:
        own, some = each
        full = jnp.pad(some, (0, -count % size), constant_values=-1).reshape(-1, size)
        values = jax.lax.map(functools.partial(block, own), full)
        nowhere = jnp.where(some < 0, len(x), some)
        place = jnp.zeros(len(x), jnp.int32).at[nowhere].set(jnp.arange(count), mode="drop")
        return Prepared(values.reshape(-1, *values.shape[2:])[:count], place)

    found: Prepared = jax.lax.map(run, (context, index))
    return found
