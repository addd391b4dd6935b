"""Many runs at once: seeds, cost weights, learning rates, folds along one axis r.

On a CPU one network fills the machine, and runs go one after another (`lax.map`): bit by bit
what each would be alone, and a stopped run costs nothing. An accelerator is filled by many
small networks side by side (`vmap`): equal up to the order of sums; those that have stopped
leave between chunks (compaction.py). Either way no more runs are held at once than a memory
budget allows.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree, UInt32

from routerjax.errors import InputError
from routerjax.records.on_disk import stored
from routerjax.support import mapping
from routerjax.training import run
from routerjax.training.config import Schedule
from routerjax.training.run import Data, Job, Params, Recipe, State, Tree

MODES = ("auto", "map", "vmap")


@dataclasses.dataclass(frozen=True)
class Sweep:
    """How runs share a device.

    Attributes:
      mode: "map", one after another; "vmap", side by side; "auto", the first on a CPU and the
        second elsewhere.
      memory: bytes the runs may take on a device, rows not counted; None is half of what the
        device has. Runs beyond it wait for the next block.

    Raises:
      InputError: a mode there is not, or a budget that is not positive.
    """

    mode: str = "auto"
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(f"no sweep mode {self.mode!r}; known are {', '.join(MODES)}")
        if self.memory is not None and self.memory <= 0:
            raise InputError(f"the memory budget is {self.memory} bytes; it must be positive")

    @property
    def side_by_side(self) -> bool:
        """Whether runs are vmapped on JAX's default backend."""
        return self.mode == "vmap" or (self.mode == "auto" and mapping.side_by_side())


class Engine(NamedTuple):
    """Where and how a block of runs is trained, with the rows in place.

    Attributes:
      size: runs in a block; a smaller one may be placed, of a multiple of `groups` runs.
      place: pytree with a leading axis of runs → as the other functions want it.
      start: (params, keys, jobs) → State.
      advance: (state, jobs) → State a chunk of epochs on, and which runs want more.
      fetch: back from how `place` put it.
      shapes: Shapes of what `start` returns.
      shared: devices that share the rows of a batch.
      groups: of devices, that share out the runs.
      side_by_side: whether the runs of a device take their steps together.
    """

    size: int
    place: Callable[[PyTree], PyTree]
    start: Callable[[Params, UInt32[Array | np.ndarray, "*_"], Job], State]
    advance: Callable[[State, Job], tuple[State, Bool[Array, "*_"]]]
    fetch: Callable[[PyTree], PyTree]
    shapes: Callable[[Params, UInt32[Array | np.ndarray, "*_"], Job], State]
    shared: int = 1
    groups: int = 1
    side_by_side: bool = False


def on_one_device(recipe: Recipe, side_by_side: bool, rows: Data, size: int) -> Engine:
    """Blocks of runs on one device."""
    rows = jax.tree.map(jnp.asarray, rows)
    begin = functools.partial(_start, recipe, side_by_side, rows)
    return Engine(
        size=size,
        place=lambda tree: tree,
        start=begin,
        advance=functools.partial(_advance, recipe, side_by_side, rows),
        fetch=lambda tree: tree,
        shapes=functools.partial(jax.eval_shape, begin),
        side_by_side=side_by_side,
    )


def start(
    recipe: Recipe,
    side_by_side: bool,
    rows: Data,
    params: Params,
    keys: UInt32[Array, "r k"],
    jobs: Job,
) -> State:
    """`run.start` of every run."""

    def one(each: tuple[Params, UInt32[Array, " k"], Job]) -> State:
        return run.start(recipe, each[0], each[1], each[2], rows)

    state: State = _over_runs(one, side_by_side)((params, keys, jobs))
    return state


def advance(
    recipe: Recipe, side_by_side: bool, rows: Data, state: State, jobs: Job
) -> tuple[State, Bool[Array, " r"]]:
    """`run.advance` of every run; also which of them want more, [r]."""

    def one(each: tuple[State, Job]) -> tuple[State, Bool[Array, ""]]:
        return run.advance(recipe, each[0], each[1], rows)

    moved: tuple[State, Bool[Array, " r"]] = _over_runs(one, side_by_side)((state, jobs))
    return moved


def _over_runs(one: Callable[[Any], Any], side_by_side: bool) -> Callable[[Any], Any]:
    return jax.vmap(one) if side_by_side else functools.partial(jax.lax.map, one)


_start = jax.jit(start, static_argnums=(0, 1))
_advance = jax.jit(advance, static_argnums=(0, 1), donate_argnums=3)


def runs_at_once(sweep: Sweep, schedule: Schedule, params: Params, jobs: Job, rows: Data) -> int:
    """Number of runs that the memory budget holds on one device, at least one.

    A run keeps its parameters, their best, and two moments; while it trains, a gradient, an
    update and the next parameters, and twice the rows of a batch or of the held-out set. Side by
    side all of it counts r times, one after another only what is kept. Where rows stay on disk a
    run holds an epoch's rows as well; one after another, it is trained to its end before the
    next needs any.
    """
    count = len(jobs.real)
    params_bytes, member_bytes = _bytes(params) // count, _bytes(jobs) // count
    row = sum(_bytes(leaf) // leaf.shape[0] for leaf in jax.tree.leaves(rows))
    held_out, train = jobs.held_out.shape[1], jobs.train.shape[1]
    taken = max(schedule.batch_size, held_out) * row
    kept = 4 * params_bytes + member_bytes
    if stored(rows):
        if not sweep.side_by_side:
            return 1
        kept += (min(train, schedule.epoch_rows) + held_out) * row
    working = 3 * params_bytes + 2 * taken
    memory = _half_of_memory() if sweep.memory is None else sweep.memory
    if sweep.side_by_side:
        return max(1, memory // (kept + working))
    return max(1, (memory - working) // kept)


def _bytes(tree: PyTree) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _half_of_memory() -> int:
    memory = mapping.device_memory() or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return memory // 2


def blocks(count: int, size: int) -> list[Int[np.ndarray, " b"]]:
    """Positions of `count` runs in as few blocks as hold `size` each, of nearly equal length."""
    return np.array_split(np.arange(count), -(-count // size))


def filled(tree: Tree, size: int) -> Tree:
    """The leading axis filled up to `size` by starting over."""

    def fill(leaf: Any) -> Any:
        return leaf if len(leaf) == size else np.asarray(leaf)[np.arange(size) % len(leaf)]

    full: Tree = jax.tree.map(fill, tree)
    return full
