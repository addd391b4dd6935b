"""Rows that stay on disk: every run gets the few that its next epoch visits.

An epoch visits stretches of neighbouring rows (`batches.visited`), which depend on the run's key
alone. They are read beforehand, with the rows the epoch is scored on, and the epoch runs on
them as it would on all rows: the result is the same, bit by bit.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree, Shaped, UInt32

from routerjax.training.batches import visited
from routerjax.training.config import Schedule
from routerjax.training.run import Data, Job, Params, Recipe, State, stopped
from routerjax.training.sweep import Engine


def of_one_epoch(recipe: Recipe) -> Recipe:
    """The recipe of the engine within: it looks up after every epoch."""
    return dataclasses.replace(recipe, schedule=dataclasses.replace(recipe.schedule, chunk=1))


def from_disk(within: Engine, schedule: Schedule, rows: Data) -> Engine:
    """An engine whose runs get their rows an epoch at a time.

    Args:
      within: built with `of_one_epoch` and no rows.
      schedule: of the training.
      rows: of all runs, some of them `Stored`.
    """

    read = functools.partial(_read_all, rows)
    held_out = _Last(read)

    @_Last
    def epoch_of(own: Job, visits: Int[np.ndarray, "r k"], running: Bool[np.ndarray, " r"]) -> Job:
        kept = held_out(np.asarray(own.held_out), np.asarray(own.real))
        return within.place(_with_rows(own, visits, read(visits, running), kept))

    def start(params: Params, keys: UInt32[Array | np.ndarray, "*_"], jobs: Job) -> State:
        own = within.fetch(jobs)
        nothing = np.full((within.size, 1), -1, np.int32)
        return within.start(params, keys, epoch_of(own, nothing, own.real))

    def advance(state: State, jobs: Job) -> tuple[State, Bool[Array, "*_"]]:
        own = within.fetch(jobs)
        going = within.place(np.zeros(len(own.real), bool))
        for _ in range(schedule.chunk):
            seen = jax.tree.map(within.fetch, _seen(state))
            running = ~np.asarray(stopped(schedule, seen, own))
            if not running.any():
                break
            visits = np.asarray(_visited(schedule, seen.key, own.train))
            state, going = within.advance(state, epoch_of(own, visits, running))
        return state, going

    def shapes(params: Params, keys: UInt32[Array | np.ndarray, "*_"], jobs: Job) -> State:
        *runs, held_out = jobs.held_out.shape

        def epoch(leaf: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct((*runs, held_out, *leaf.shape[1:]), leaf.dtype)

        return within.shapes(params, keys, jobs._replace(rows=jax.tree.map(epoch, rows)))

    return within._replace(start=start, advance=advance, shapes=shapes)


def _seen(state: State) -> State:
    """What of a run's state decides which rows it visits next; the rest stays on the device."""
    nothing: Any = None
    return state._replace(
        params=nothing, optimizer=nothing, start_scores=nothing, best_params=nothing
    )


class _Last:
    """A call that remembers its last result, and gives it again for equal arguments."""

    def __init__(self, call: Callable[..., Any]):
        self._call, self._result = call, None
        self._arguments: list[np.ndarray] | None = None

    def __call__(self, *arguments: Any) -> Any:
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(arguments)]
        known = self._arguments
        if known is None or not all(map(np.array_equal, known, leaves)):
            self._result = None  # room for the next
            self._arguments, self._result = leaves, self._call(*arguments)
        return self._result


def _with_rows(jobs: Job, visits: Int[np.ndarray, "r k"], visited: Data, held_out: Data) -> Job:
    """Jobs with the rows they visit and those they are scored on, and where these are."""
    positions = np.concatenate([visits, jobs.held_out], axis=1)
    places = np.where(positions < 0, -1, np.arange(positions.shape[1], dtype=np.int32))

    def joined(*parts: Shaped[np.ndarray, "r _ ..."]) -> Shaped[np.ndarray, "r _ ..."]:
        return np.concatenate(parts, axis=1)

    cut = visits.shape[1]
    train, held = jnp.asarray(places[:, :cut]), jnp.asarray(places[:, cut:])
    return jobs._replace(train=train, held_out=held, rows=jax.tree.map(joined, visited, held_out))


def _read_all(
    rows: Data, positions: Int[np.ndarray, "r k"], wanted: Bool[np.ndarray, " r"]
) -> PyTree[Shaped[np.ndarray, "r k ..."]]:
    """Rows at positions [r, k], zeros for runs not wanted: leaves [r, k, ...]."""

    def read(leaf: Any) -> Shaped[np.ndarray, "r k ..."]:
        if len(wanted) == 1 and wanted[0]:
            return np.asarray(leaf[np.maximum(positions[0], 0)])[None]
        out = np.zeros((*positions.shape, *leaf.shape[1:]), leaf.dtype)
        for run in np.flatnonzero(wanted):
            out[run] = np.asarray(leaf[np.maximum(positions[run], 0)])
        return out

    return jax.tree.map(read, rows)


@functools.partial(jax.jit, static_argnums=0)
def _visited(
    schedule: Schedule,
    keys: UInt32[Array | np.ndarray, "r w"],
    train: Int[Array | np.ndarray, "r n"],
) -> Int[Array, "r k"]:
    """Row positions [r, k] of every run's next epoch; keys are their data."""
    processes = jax.process_count()

    def one(key: UInt32[Array, " w"], train: Int[Array, " n"]) -> Int[Array, " k"]:
        _, shuffle = jax.random.split(jax.random.wrap_key_data(key))
        own = jax.random.fold_in(shuffle, jax.process_index()) if processes > 1 else shuffle
        return visited(own, train, schedule.epoch_rows // processes)

    positions: Int[Array, "r k"] = jax.vmap(one)(jnp.asarray(keys), jnp.asarray(train))
    return positions
