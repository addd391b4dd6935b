"""Stopped runs make room: a block side by side goes on with those alone that still train.

One after another a stopped run costs nothing. Side by side every run of a block takes its part in
every step, and the last to stop would make all of them pay. So between chunks a block that is at
least half idle becomes a block of half the size, or less; what stopped is put aside. Sizes are
halves of the first, so that few programs are compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree

from routerjax.training.run import Job, State, Tree
from routerjax.training.sweep import Engine

LEAST = 8
"""Runs of a device below which a smaller block would gain nothing."""


class Aside(NamedTuple):
    """Runs that have stopped: their positions among all [p], and how they ended."""

    runs: Int[np.ndarray, " p"]
    state: State


class Block(NamedTuple):
    """Runs in training.

    Attributes:
      runs: [b] their positions among all.
      state, jobs: theirs, where the engine placed them, filled up to a size it takes.
      aside: those that were in the block and have stopped.
    """

    runs: Int[np.ndarray, " b"]
    state: State
    jobs: Job
    aside: tuple[Aside, ...] = ()


def compacted(engine: Engine, block: Block, going: Bool[np.ndarray, " p"]) -> Block:
    """The block without those of its runs that have stopped, where that makes it smaller.

    The size depends on how many go on, and on nothing before, so that a training that is taken up
    again has the blocks of one that was never interrupted. `going` may hold more than the block's
    runs: what fills a place has always stopped.
    """
    if not engine.side_by_side or not going.any():
        return block
    jobs: Job = engine.fetch(block.jobs)
    more, left = np.flatnonzero(going), np.flatnonzero(~going[: len(block.runs)])
    size = size_for(len(more), engine)
    if size >= len(jobs.real):
        return block
    state = engine.fetch(block.state)
    order = np.resize(more, size)
    jobs = taken(jobs, order)._replace(real=np.arange(size) < len(more))
    aside = (*block.aside, Aside(block.runs[left], taken(state, left)))
    placed, jobs = engine.place((taken(state, order), jobs))
    return Block(block.runs[more], placed, jobs, aside)


def size_for(runs: int, engine: Engine) -> int:
    """The smallest of the engine's size, its half, its quarter, ... that holds so many runs."""
    each = engine.size // engine.groups
    while each > LEAST and engine.groups * -(-each // 2) >= runs:
        each = -(-each // 2)
    return engine.groups * each


def everyone(engine: Engine, block: Block) -> State:
    """The state of every run, in the runs' order."""
    present = taken(engine.fetch(block.state), slice(len(block.runs)))
    parts = (*block.aside, Aside(block.runs, present))
    if len(parts) == 1:
        return present
    order = np.argsort(np.concatenate([part.runs for part in parts]))
    states = [part.state for part in parts]
    joined: State = _compiled(_in_order, states)(states, order)
    return joined


def taken(tree: Tree, places: Int[np.ndarray, " p"] | slice) -> Tree:
    """The leading axis of every leaf at these places; a slice of all of it is the tree itself."""
    leaves = jax.tree.leaves(tree)
    if isinstance(places, slice) and all(len(leaf) == places.stop for leaf in leaves):
        return tree
    if isinstance(places, slice) and not _on_host(tree):
        places = np.arange(places.stop)
    found: Tree = _compiled(_at, tree)(tree, places)
    return found


def _at(tree: Tree, places: Int[Array | np.ndarray, " p"] | slice) -> Tree:
    found: Tree = jax.tree.map(lambda leaf: leaf[places], tree)
    return found


def _in_order(states: Sequence[State], order: Int[Array | np.ndarray, " r"]) -> State:
    def joined(*leaves: Array | np.ndarray) -> Array | np.ndarray:
        host = all(isinstance(leaf, np.ndarray) for leaf in leaves)
        return (np if host else jnp).concatenate(leaves)[order]

    found: State = jax.tree.map(joined, *states)
    return found


def _on_host(tree: PyTree) -> bool:
    return all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(tree))


def _compiled(function: Callable[..., Any], tree: PyTree) -> Callable[..., Any]:
    """As one program where the leaves are on a device, else as it is."""
    return function if _on_host(tree) else _PROGRAMS[function.__name__]


_PROGRAMS = {each.__name__: jax.jit(each) for each in (_at, _in_order)}
