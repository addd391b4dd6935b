"""Rows that stay on disk: every run gets the few that its next epoch visits.

An epoch visits stretches of neighbouring rows (`run.visited`), which depend on the run's key
alone. They are read beforehand, with the rows the epoch is scored on, and the epoch runs on
them as it would on all rows: the result is the same, bit by bit.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.training.run import Member, Recipe, Rows, Schedule, State, stopped, visited
from routerjax.training.sweep import Engine


def of_one_epoch(recipe: Recipe) -> Recipe:
    """The recipe of the engine within: it looks up after every epoch."""
    return dataclasses.replace(recipe, schedule=dataclasses.replace(recipe.schedule, chunk=1))


def engine(within: Engine, schedule: Schedule, rows: Rows) -> Engine:
    """An engine whose runs get their rows an epoch at a time.

    Args:
      within: built with `of_one_epoch` and no rows.
      schedule: of the training.
      rows: of all runs, some of them `Stored`.
    """

    def start(params: Any, keys: jax.Array, members: Member) -> State:
        own = within.fetch(members)
        nothing = np.full((within.size, 1), -1, np.int32)
        return within.start(params, keys, within.place(_with_rows(rows, own, nothing, own.real)))

    def advance(state: State, members: Member) -> tuple[State, jax.Array]:
        own, going = within.fetch(members), within.place(np.zeros(within.size, bool))
        for _ in range(schedule.chunk):
            seen = jax.tree.map(within.fetch, _seen(state))
            running = ~np.asarray(stopped(schedule, seen, own))
            if not running.any():
                break
            train = np.asarray(_visited(schedule, seen.key, own.train))
            epoch = within.place(_with_rows(rows, own, train, running))
            state, going = within.advance(state, epoch)
        return state, going

    def shapes(params: Any, keys: jax.Array, members: Member) -> State:
        *runs, held_out = members.held_out.shape
        epoch = lambda leaf: jax.ShapeDtypeStruct((*runs, held_out, *leaf.shape[1:]), leaf.dtype)  # noqa: E731
        return within.shapes(params, keys, members._replace(rows=jax.tree.map(epoch, rows)))

    return within._replace(start=start, advance=advance, shapes=shapes)


def _seen(state: State) -> State:
    """What of a run's state decides which rows it visits next; the rest stays on the device."""
    return state._replace(params=None, optimizer=None, start_scores=None, best_params=None)  # type: ignore[arg-type]


def _with_rows(rows: Rows, members: Member, visits: np.ndarray, wanted: np.ndarray) -> Member:
    """Members with the rows they visit and are scored on; zeros for runs not wanted."""
    positions = np.concatenate([visits, members.held_out], axis=1)
    places = np.where(positions < 0, -1, np.arange(positions.shape[1], dtype=np.int32))
    own = jax.tree.map(functools.partial(_read, np.maximum(positions, 0), wanted), rows)
    cut = visits.shape[1]
    train, held_out = jnp.asarray(places[:, :cut]), jnp.asarray(places[:, cut:])
    return members._replace(train=train, held_out=held_out, rows=own)


def _read(positions: np.ndarray, wanted: np.ndarray, leaf: Any) -> np.ndarray:
    """Rows at positions [r, k], zeros for runs not wanted: [r, k, ...]."""
    out = np.zeros((*positions.shape, *leaf.shape[1:]), leaf.dtype)
    for run in np.flatnonzero(wanted):
        out[run] = np.asarray(leaf[positions[run]])
    return out


@functools.partial(jax.jit, static_argnums=0)
def _visited(schedule: Schedule, keys: jax.Array, train: jax.Array) -> jax.Array:
    """Row positions [r, k] of every run's next epoch; keys are their data."""
    processes = jax.process_count()

    def one(key, train):
        _, shuffle = jax.random.split(jax.random.wrap_key_data(key))
        own = jax.random.fold_in(shuffle, jax.process_index()) if processes > 1 else shuffle
        return visited(own, train, schedule.epoch_rows // processes)

    return jax.vmap(one)(keys, jnp.asarray(train))
