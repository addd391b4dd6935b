"""Many devices, by pmap. No other file knows pmap.

Devices share out the runs of a sweep, the rows of every batch, or both on a grid:

    runs  each device trains its own runs on all rows; nothing is exchanged, and every run is
          what it is on one device: bit by bit unless the compiler sums in another order,
          as it does with more host devices than cores
    rows  each device takes its part of every batch; sums of gradients and counts of rows are
          exchanged each step, so that a step is that of the whole batch
    both  as many groups of devices as divide the runs, and within a group the rows

pmap, because it asks nothing of an objective and runs on every JAX since 0.10; moving to
shard_map would touch this file alone (`_pmap`, and `Share`, whose part it is to say what is
summed over devices).

Where JAX runs in several processes (processes.py), each holds its own share of the rows, and
all their devices share every batch.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, PyTree, Shaped

from routerjax.errors import InputError
from routerjax.training import sweep
from routerjax.training.run import Data, Recipe, Tree, Whole
from routerjax.training.sweep import Engine

PARALLEL = ("runs", "rows", "both")

AXIS = "devices"


@dataclasses.dataclass(frozen=True)
class Devices:
    """Which devices train, and what they share out.

    Attributes:
      count: How many of the devices that JAX finds; None takes all of them.
      parallel: "runs", "rows" or "both".

    Raises:
      InputError: the way to share is unknown, or there is fewer than one device.
    """

    count: int | None = None
    parallel: str = "runs"

    def __post_init__(self) -> None:
        if self.parallel not in PARALLEL:
            known = ", ".join(PARALLEL)
            raise InputError(f"nothing parallel is called {self.parallel!r}; known are {known}")
        if self.count is not None and self.count < 1:
            raise InputError(f"{self.count} devices asked for; at least 1 is needed")

    def grid(self, runs: int) -> tuple[int, int]:
        """(groups of devices that share out the runs, devices that share the rows in each).

        Raises:
          InputError: more devices are asked for than JAX finds.
        """
        found = jax.local_device_count()
        count = found if self.count is None else self.count
        if jax.process_count() > 1 and (count, self.parallel) != (found, "rows"):
            problem = f"{count} devices share out {self.parallel}; with more than one process"
            raise InputError(f"{problem} all devices must share out rows")
        if count > found:
            kind = jax.default_backend()
            raise InputError(f"{count} devices asked for; JAX finds {found} ({kind})")
        if self.parallel == "rows":
            return 1, count
        if self.parallel == "runs":
            return min(count, runs), 1
        groups = max(g for g in range(1, min(count, runs) + 1) if count % g == 0)
        return groups, count // groups


@dataclasses.dataclass(frozen=True)
class Share(Whole):
    """A device that has its part of the rows of every batch; static under jit.

    Attributes:
      groups: groups of devices, each with its own runs.
      parts: devices of a group, or of a process where there are several.
      processes: each with its own rows.
    """

    groups: int = 1
    parts: int = 1

    def shuffle_key(self, key: PRNGKeyArray) -> PRNGKeyArray:
        process = jax.lax.axis_index(AXIS) // self.parts
        return jax.random.fold_in(key, process) if self.processes > 1 else key

    def step_key(self, key: PRNGKeyArray) -> PRNGKeyArray:
        return jax.random.fold_in(key, jax.lax.axis_index(AXIS) % (self.parts * self.processes))

    def part(self, index: Int[Array, "*s b"]) -> Int[Array, "*s p"]:
        width = math.ceil(index.shape[-1] / self.parts)
        missing = [(0, 0)] * (index.ndim - 1) + [(0, width * self.parts - index.shape[-1])]
        index = jnp.pad(index, missing, constant_values=-1)
        own = jax.lax.axis_index(AXIS) % self.parts
        return jax.lax.dynamic_slice_in_dim(index, own * width, width, axis=-1)

    def total(self, tree: Tree) -> Tree:
        summed: Tree = jax.lax.psum(tree, AXIS, axis_index_groups=self._members())
        return summed

    def joined(self, values: Shaped[Array, " p"]) -> Shaped[Array, " h"]:
        groups = self._members()
        return jnp.asarray(jax.lax.all_gather(values, AXIS, axis_index_groups=groups, tiled=True))

    def _members(self) -> list[list[int]] | None:
        if self.groups == 1:
            return None
        return np.arange(self.groups * self.parts).reshape(self.groups, self.parts).tolist()


def on_devices(
    recipe: Recipe, side_by_side: bool, rows: Data, devices: Devices, runs: int, at_once: int
) -> Engine:
    """Blocks of runs on many devices.

    Args:
      recipe: what the runs have in common.
      side_by_side: whether the runs of a device are vmapped.
      rows: Rows of all runs, of which every device keeps a copy; None where jobs bring their own.
      devices: how many, and what they share out.
      runs: r.
      at_once: runs that a device can hold.

    Raises:
      InputError: more devices than JAX finds, or a batch that the processes cannot share.
    """
    groups, parts = devices.grid(runs)
    processes = jax.process_count()
    if recipe.schedule.batch_size % processes:
        problem = f"batches of {recipe.schedule.batch_size} rows for {processes} processes"
        raise InputError(f"{problem}; the batch size must be a multiple of their number")
    if parts * processes > 1:
        share = Share(groups=groups, parts=parts, processes=processes)
        recipe = dataclasses.replace(recipe, share=share)
    each = min(math.ceil(runs / groups), at_once)
    # NumPy arrays stand on no device yet: pmap takes none that insists on one
    if rows is not None:
        rows = _copies(jax.tree.map(np.asarray, rows), np.zeros(groups * parts))

    def place(tree: PyTree) -> PyTree:
        def spread(leaf: Shaped[Array | np.ndarray, "b ..."]) -> Shaped[np.ndarray, "d e ..."]:
            grid = np.asarray(leaf).reshape(groups, -1, *leaf.shape[1:])
            return np.repeat(grid, parts, axis=0)

        return _own(jax.tree.map(spread, tree))

    def fetch(tree: PyTree) -> PyTree:
        def joined(leaf: Shaped[Array | np.ndarray, "d e ..."]) -> Shaped[np.ndarray, "b ..."]:
            local = _local(leaf)[: groups * parts : parts]
            return local.reshape(-1, *leaf.shape[2:])

        return jax.tree.map(joined, tree)

    # each call is waited for: on a CPU's devices, calls in flight can starve one another's sums
    wait = jax.block_until_ready
    start = functools.partial(_start, recipe, side_by_side, rows)
    return Engine(
        size=groups * each,
        place=place,
        start=lambda *own: wait(start(*own)),
        advance=lambda *own: wait(_advance(recipe, side_by_side, rows, *own)),
        fetch=fetch,
        shapes=functools.partial(jax.eval_shape, start),
        shared=parts * processes,
        groups=groups,
        side_by_side=side_by_side,
    )


def _local(leaf: Shaped[Array | np.ndarray, "all ..."]) -> Shaped[np.ndarray, "local ..."]:
    """What this process's devices hold of an array, [local devices, ...]."""
    if isinstance(leaf, np.ndarray):
        return leaf
    return np.concatenate([np.asarray(shard.data) for shard in leaf.addressable_shards])


_pmap = functools.partial(jax.pmap, axis_name=AXIS)  # one name, one mesh: nothing is moved
_start = _pmap(sweep.start, static_broadcasted_argnums=(0, 1))
_advance = _pmap(sweep.advance, static_broadcasted_argnums=(0, 1), donate_argnums=3)
_copies = _pmap(lambda tree, device: tree, in_axes=(None, 0))
_own = _pmap(lambda tree: tree)
