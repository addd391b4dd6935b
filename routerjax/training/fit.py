"""The one training loop: many runs until their held-out scores stop rising.

Runs share the rows and differ in their row indices, starting parameters and `Run` values
(learning rate, weight decay, whatever the objective reads), so that the folds of a cross-fit,
the cost weights of a grid and the seeds of a study are all the same axis r. What a run is
stands in run.py, how many are trained at once in sweep.py and parallel.py, what stopped runs
leave to the others in compaction.py, what survives a crash in checkpoint.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, PyTree, Shaped, UInt32

from routerjax.records.on_disk import stored
from routerjax.training import parallel, streaming
from routerjax.training import sweep as sweeping
from routerjax.training.checkpoint import Checkpoints, Journal, Position, opened
from routerjax.training.compaction import Block, compacted, everyone, taken
from routerjax.training.config import Schedule
from routerjax.training.parallel import Devices
from routerjax.training.processes import checksum, of_all, own_share
from routerjax.training.run import (
    Context,
    Data,
    Job,
    Objective,
    Params,
    Recipe,
    State,
    kept,
    stopped,
)
from routerjax.training.sweep import Engine, Sweep

OnProgress = Callable[[str, int, int], None]
"""Called with (what is trained, epochs done, epochs at most); what has no epochs counts as one."""


class Fitted(NamedTuple):
    """The best epoch of every run.

    Attributes:
      params: parameters with a leading axis r.
      score: [r] best held-out score.
      epoch: [r] epoch it was reached in; 0 is before the first step.
      epochs: [r] epochs trained.
    """

    params: Params
    score: Float[Array, " r"]
    epoch: Int[Array, " r"]
    epochs: Int[Array, " r"]


def fit(
    objective: Objective,
    params: Params,
    *,
    rows: Data,
    train_index: Int[Array | np.ndarray, "r n"],
    held_out_index: Int[Array | np.ndarray, "r h"],
    context: Context,
    learning_rate: Float[Array, " r"] | float,
    weight_decay: Float[Array, " r"] | float,
    key: PRNGKeyArray | Key[Array, " r"],
    schedule: Schedule,
    on_progress: Callable[[int, int], None] | None = None,
    sweep: Sweep = Sweep(),
    devices: Devices | None = None,
    checkpoint: Checkpoints | None = None,
) -> Fitted:
    """Train every run until its held-out score stops rising.

    Args:
      objective: loss and score, static.
      params: starting parameters, leading axis r.
      rows: pytree of arrays with a leading axis n, shared by all runs; where one is `Stored`,
        an epoch's rows are read when their turn comes.
      train_index: [r, n_train] positions in `rows`; a negative one stands for no row.
      held_out_index: [r, n_held_out] positions in `rows`, disjoint from the former.
      context: pytree with a leading axis r, handed to the objective.
      learning_rate, weight_decay: [r]; the decay is decoupled and acts on kernels only.
      key: one key, folded into one per run; or [r] keys, one each.
      schedule: batch size, epochs and patience.
      on_progress: called with (epochs done, epochs at most) after each chunk of epochs.
      sweep: runs one after another or side by side, and the memory they may take.
      devices: how many, and what they share out; None is JAX's default device.
      checkpoint: where to leave the state every so many epochs, and to take it up again.

    Returns:
      Fitted, with the parameters of each run's best epoch, the starting point included.

    Raises:
      InputError: devices there are not, or checkpoints of other settings or data, or none can
        be written.
    """
    count = train_index.shape[0]
    jobs = Job(
        context,
        jnp.broadcast_to(learning_rate, count),
        jnp.broadcast_to(weight_decay, count),
        _in_file_order(train_index, schedule),
        jnp.asarray(held_out_index)[:, : schedule.epoch_rows],
        jnp.ones(count, bool),
    )

    def own_key(number: Int[Array, ""]) -> PRNGKeyArray:
        return jax.random.fold_in(key, number)

    keys = jax.random.key_data(key if key.ndim else jax.vmap(own_key)(jnp.arange(count)))
    if devices is not None:
        jobs, rows = own_share(params, keys, jobs, rows)
    at_once = sweeping.runs_at_once(sweep, schedule, params, jobs, rows)
    recipe = Recipe(objective, schedule)
    engine = _engine(recipe, sweep.side_by_side, rows, devices, count, at_once)
    blocks = sweeping.blocks(count, engine.size)
    if checkpoint is not None:
        known = _settings(recipe, params, keys, jobs, rows)
        layout = {"side_by_side": sweep.side_by_side, "devices_per_batch": engine.shared}
        checkpoint = checkpoint.stage(".", **layout, blocks=len(blocks), **known)
    if len(blocks) == 1:
        return _train(engine, schedule, (params, keys, jobs), on_progress, checkpoint)
    done = []
    for number, block in enumerate(blocks):
        own = jax.tree.map(lambda leaf: np.asarray(leaf)[block], (params, keys, jobs))  # noqa: B023
        report = _later(on_progress, number, len(blocks))
        stage = checkpoint and checkpoint.stage(f"block-{number}")
        done.append(jax.tree.map(np.asarray, _train(engine, schedule, own, report, stage)))
    fitted: Fitted = jax.tree.map(lambda *parts: jnp.asarray(np.concatenate(parts)), *done)
    return fitted


def _engine(
    recipe: Recipe, side_by_side: bool, rows: Data, devices: Devices | None, runs: int, at_once: int
) -> Engine:
    """One device or many, with all rows in place or each epoch's own."""
    on_disk = stored(rows)
    shared = None if on_disk else rows
    within = streaming.of_one_epoch(recipe) if on_disk else recipe
    if devices is None:
        engine = sweeping.on_one_device(within, side_by_side, shared, min(runs, at_once))
    else:
        at_once = min(of_all(at_once))
        engine = parallel.on_devices(within, side_by_side, shared, devices, runs, at_once)
    return streaming.from_disk(engine, recipe.schedule, rows) if on_disk else engine


def _in_file_order(train: Int[Array | np.ndarray, "r n"], schedule: Schedule) -> Int[Array, "r n"]:
    """Training positions [r, n_train]: an epoch that does not visit all reads neighbours."""
    order = jnp.sort(train, axis=1) if train.shape[1] > schedule.epoch_rows else train
    return jnp.asarray(order)


def _train(
    engine: Engine,
    schedule: Schedule,
    given: tuple[Params, UInt32[Array | np.ndarray, "r k"], Job],
    on_progress: Callable[[int, int], None] | None,
    checkpoint: Checkpoints | None,
) -> Fitted:
    """Train one block of runs, (params, keys, jobs)."""
    count = len(given[2].real)
    params, keys, jobs = sweeping.filled(given, engine.size)
    jobs = jobs._replace(real=np.arange(engine.size) < count)
    placed = engine.place((params, keys, jobs))
    with opened(checkpoint) if checkpoint else contextlib.nullcontext() as journal:
        block, left = _begun(engine, schedule, placed, count, journal)
        running = schedule.max_epochs > 0 and not (left and left.finished)
        if on_progress is not None and left is not None:
            on_progress(left.epoch if running else schedule.max_epochs, schedule.max_epochs)
        while running:
            state, going = engine.advance(block.state, block.jobs)
            block = block._replace(state=state)
            # where one chunk is all, nothing is asked of the device: the caller may trace this
            running = schedule.chunk < schedule.max_epochs and bool(engine.fetch(going).any())
            if journal:
                epoch = int(engine.fetch(state.epoch).max())
                if journal.due(epoch) or not running:
                    journal.write(everyone(engine, block), epoch=epoch, finished=not running)
            if on_progress is not None:
                done = int(engine.fetch(state.epoch).max()) if running else schedule.max_epochs
                on_progress(done, schedule.max_epochs)
            if running:
                block = compacted(engine, block, np.asarray(engine.fetch(going)))
    nothing: Any = None
    told = everyone(engine, block)._replace(params=nothing, optimizer=nothing, start_scores=nothing)
    best = Fitted(*kept(schedule, told, taken(params, slice(count))), told.epoch)
    fitted: Fitted = jax.tree.map(jnp.asarray, best)
    return fitted


def _begun(
    engine: Engine,
    schedule: Schedule,
    placed: tuple[Params, UInt32[Array | np.ndarray, "r k"], Job],
    count: int,
    journal: Journal | None,
) -> tuple[Block, Position | None]:
    """The first `count` of the runs in place at their start, or where a checkpoint left them."""
    every = np.arange(count)
    template = _blank(engine.shapes(*placed)) if journal else None
    left = journal.resume(taken(engine.fetch(template), slice(count))) if journal else None
    if left is None:
        return Block(every, engine.start(*placed), placed[2]), None
    state = engine.place(sweeping.filled(left.state, engine.size))
    block = Block(every, state, placed[2])
    jobs = taken(engine.fetch(placed[2]), slice(count))
    going = ~np.asarray(stopped(schedule, left.state, jobs))
    return compacted(engine, block, going), left


def _blank(shapes: PyTree) -> PyTree[Shaped[np.ndarray, "*_"]]:
    """Zeros of these shapes, which take no memory."""
    return jax.tree.map(lambda s: np.broadcast_to(np.zeros((), s.dtype), s.shape), shapes)


def _settings(
    recipe: Recipe, params: Params, keys: UInt32[Array, "r k"], jobs: Job, rows: Data
) -> dict[str, Any]:
    """What a result depends on, by name, for whoever resumes a training."""
    schedule = dataclasses.asdict(recipe.schedule)
    del schedule["chunk"]  # how often one looks up changes nothing
    indexes = (jobs.train, jobs.held_out)
    return {
        "objective": re.sub(r" at 0x[0-9a-f]+", "", repr(recipe.objective)),
        "schedule": schedule,
        "state": ", ".join(State._fields),
        "runs": len(jobs.real),
        "learning_rate": np.unique(jobs.learning_rate),
        "weight_decay": np.unique(jobs.weight_decay),
        "data": of_all(checksum((rows, indexes))),
        "start": checksum((params, keys, jobs.context)),
    }


def _later(
    on_progress: Callable[[int, int], None] | None, number: int, blocks: int
) -> Callable[[int, int], None] | None:
    """Progress of a block among others, as progress of all."""
    if on_progress is None:
        return None
    return lambda done, most: on_progress(number * most + done, blocks * most)
