"""One training run, as pure functions: where it starts, an epoch, a chunk of epochs.

An `Objective` says what is minimised on a batch and what is scored on held-out rows. Nothing
here knows how many runs there are (sweep.py), on how many devices (parallel.py), or when to
look up from the work (fit.py).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree, Shaped, UInt32

from routerjax.errors import InputError
from routerjax.training.batches import batch_at, rows_at, shuffled, visited
from routerjax.training.config import Schedule

Params: TypeAlias = PyTree
Data: TypeAlias = PyTree
Context: TypeAlias = PyTree

Tree = TypeVar("Tree")

OPTIMIZERS = ("adamw", "sgd")


@runtime_checkable
class Objective(Protocol):
    """What a network is trained on. Hashable, since it is static under jit."""

    def loss(
        self, params: Params, context: Context, batch: Data, key: PRNGKeyArray
    ) -> Float[Array, " b"]:
        """Per-row loss, [b]; `key` is the step's own, for an objective that draws."""

    def score(self, params: Params, context: Context, rows: Data) -> Float[Array, " h"]:
        """Score of every held-out row, [h]; a higher mean is better."""


class Job(NamedTuple):
    """All of a run that training does not change; a leading axis r over runs.

    Attributes:
      context: handed to the objective.
      learning_rate, weight_decay: Settings of the optimiser; the decay acts on kernels only.
      train, held_out: positions in the rows; a negative one stands for no row.
      real: False for a run that only fills a place and is never trained.
      rows: this epoch's rows, where runs do not share what fits in memory (streaming.py).
    """

    context: Context
    learning_rate: Float[Array, "*r"]
    weight_decay: Float[Array, "*r"]
    train: Int[Array, "*r n"]
    held_out: Int[Array, "*r h"]
    real: Bool[Array | np.ndarray, "*r"]
    rows: Data = None


class State(NamedTuple):
    """All of a run that training changes; a leading axis r over runs. `key` is a key's data.

    Scores are means over the rows that choose the epoch; `margin` is the best epoch's on the
    others (`_margin`).
    """

    params: Params
    optimizer: PyTree
    key: UInt32[Array, "*r k"]
    epoch: Int[Array, "*r"]
    start_scores: Float[Array, "*r h"]
    start_score: Float[Array, "*r"]
    best_params: Params
    best_score: Float[Array, "*r"]
    best_epoch: Int[Array, "*r"]
    margin: Float[Array, "*r"]


@dataclasses.dataclass(frozen=True)
class Whole:
    """A device that has every row of a batch to itself; static under jit.

    `parallel.Share` is its counterpart where several devices split the rows.
    """

    processes: int = 1

    def shuffle_key(self, key: PRNGKeyArray) -> PRNGKeyArray:
        """The key with which this device's rows are shuffled."""
        return key

    def step_key(self, key: PRNGKeyArray) -> PRNGKeyArray:
        """The key of a step's draws on this device."""
        return key

    def part(self, index: Int[Array, "*s b"]) -> Int[Array, "*s p"]:
        """This device's part of row positions, [..., b] → [..., b / parts]."""
        return index

    def total(self, tree: Tree) -> Tree:
        """Sum over the devices that share the rows."""
        return tree

    def joined(self, values: Shaped[Array, " p"]) -> Shaped[Array, " h"]:
        """The devices' parts put together again, [h / parts] → [h]."""
        return values


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What all runs have in common; static under jit.

    Raises:
      InputError: an optimiser there is not.
    """

    objective: Objective
    schedule: Schedule
    share: Whole = Whole()

    def __post_init__(self) -> None:
        if self.schedule.optimizer not in OPTIMIZERS:
            known = ", ".join(OPTIMIZERS)
            raise InputError(f"no optimizer {self.schedule.optimizer!r}; known are {known}")


def start(recipe: Recipe, params: Params, key: UInt32[Array, " k"], job: Job, rows: Data) -> State:
    """The state before the first epoch, the starting point scored.

    `rows` are those that all runs share; None where each has its own.
    """
    rows = job.rows if rows is None else rows
    scores, held_out = _scores(recipe, params, job, rows)
    zero = jnp.zeros((), jnp.int32)
    optimizer = _optimizer(recipe.schedule, job).init(params)
    score = jnp.mean(scores, where=_choosing(recipe.schedule, held_out))
    nothing = jnp.zeros_like(score)
    return State(params, optimizer, key, zero, scores, score, params, score, zero, nothing)


def kept(schedule: Schedule, state: State, start: Params) -> tuple[Params, Array, Array]:
    """Parameters, score and number of each run's best epoch, or its start if that is not proven.

    Args:
      schedule: its caution.
      state: leading axis r.
      start: the starting parameters, leading axis r.
    """
    proven = (state.margin > 0) | (schedule.caution == 0)

    def chosen(best: Array | np.ndarray, first: Array | np.ndarray) -> Array:
        own = jnp.reshape(proven, (-1, *(1,) * (jnp.ndim(best) - 1)))
        return jnp.where(own, best, first)

    params = jax.tree.map(chosen, state.best_params, start)
    score = chosen(state.best_score, state.start_score)
    return params, score, chosen(state.best_epoch, jnp.zeros_like(state.best_epoch))


def stopped(schedule: Schedule, state: State, job: Job) -> Bool[Array | np.ndarray, "*r"]:
    """Whether the run has had its epochs, or its patience has run out."""
    idle = state.epoch - state.best_epoch >= schedule.patience
    return idle | (state.epoch >= schedule.max_epochs) | ~job.real


def advance(recipe: Recipe, state: State, job: Job, rows: Data) -> tuple[State, Bool[Array, ""]]:
    """A chunk of epochs, none once the run has stopped; also whether it wants more."""
    rows = job.rows if rows is None else rows

    def body(state: State, _: None) -> tuple[State, None]:
        done = stopped(recipe.schedule, state, job)
        train = functools.partial(_epoch, recipe, job, rows)
        return jax.lax.cond(done, lambda state: state, train, state), None

    state, _ = jax.lax.scan(body, state, length=recipe.schedule.chunk)
    return state, jnp.logical_not(stopped(recipe.schedule, state, job))


def _epoch(recipe: Recipe, job: Job, rows: Data, state: State) -> State:
    from optax import apply_updates

    objective, schedule, share = recipe.objective, recipe.schedule, recipe.share
    key, shuffle = jax.random.split(jax.random.wrap_key_data(state.key))
    size = schedule.batch_size // share.processes
    own, most = share.shuffle_key(shuffle), schedule.epoch_rows // share.processes
    batches = share.part(shuffled(own, visited(own, job.train, most), size))
    optimizer = _optimizer(schedule, job)

    def loss(
        params: Params, index: Int[Array, " b"], count: Float[Array, ""], step: Int[Array, ""]
    ) -> Float[Array, ""]:
        own = share.step_key(jax.random.fold_in(key, step))
        losses = objective.loss(params, job.context, batch_at(rows, index), own)
        return jnp.sum(losses * (index >= 0)) / count

    def step(
        carry: tuple[Params, PyTree], batch: tuple[Int[Array, " b"], Int[Array, ""]]
    ) -> tuple[tuple[Params, PyTree], None]:
        (params, opt), (index, step) = carry, batch
        count = share.total(jnp.sum(index >= 0, dtype=jnp.float32))
        slope = share.total(jax.grad(loss)(params, index, count, step))
        updates, opt = optimizer.update(slope, opt, params)
        return (apply_updates(params, updates), opt), None

    carry = (state.params, state.optimizer)
    (params, opt), _ = jax.lax.scan(step, carry, (batches, jnp.arange(len(batches))))
    scores, held_out = _scores(recipe, params, job, rows)
    choosing = _choosing(schedule, held_out)
    score = jnp.mean(scores, where=choosing)
    margin = _margin(schedule, scores - state.start_scores, held_out & ~choosing)
    better, epoch = score > state.best_score, state.epoch + 1

    def keep(new: Shaped[Array, "*p"], old: Shaped[Array, "*p"]) -> Shaped[Array, "*p"]:
        return jnp.where(better, new, old)

    return State(
        params,
        opt,
        jax.random.key_data(key),
        epoch,
        state.start_scores,
        state.start_score,
        jax.tree.map(keep, params, state.best_params),
        keep(score, state.best_score),
        keep(epoch, state.best_epoch),
        keep(margin, state.margin),
    )


def _choosing(schedule: Schedule, held_out: Bool[Array, " h"]) -> Bool[Array, " h"]:
    """The held-out rows that choose the epoch: all, or, under caution, the first half of them.

    The other half is asked once, of the epoch chosen: the best of many epochs is partly luck, and
    rows that chose it cannot say how much. Rows of a group stand together, so that halves share
    one group at most.
    """
    if schedule.caution == 0:
        return held_out
    place = jnp.cumsum(held_out)
    return held_out & (2 * place <= place[-1] + 1)


def _margin(
    schedule: Schedule, improvement: Float[Array, " h"], asked: Bool[Array, " h"]
) -> Float[Array, ""]:
    """Mean rise over the start on the rows asked, less `caution` standard errors of it."""
    if schedule.caution == 0:
        return jnp.zeros(())
    error = jnp.std(improvement, where=asked) / jnp.sqrt(jnp.sum(asked))
    return jnp.mean(improvement, where=asked) - schedule.caution * error


def _optimizer(schedule: Schedule, job: Job) -> Any:
    import optax  # where nothing is trained it is not needed

    rate, decay = job.learning_rate, job.weight_decay

    def kernels(params: Params) -> PyTree[bool]:
        return jax.tree.map(lambda leaf: leaf.ndim > 1, params)

    if schedule.optimizer == "sgd":
        return optax.chain(optax.add_decayed_weights(decay, kernels), optax.sgd(rate))
    return optax.adamw(rate, weight_decay=decay, mask=kernels)


def _scores(
    recipe: Recipe, params: Params, job: Job, rows: Data
) -> tuple[Float[Array, " h"], Bool[Array, " h"]]:
    """Scores of all held-out rows [h], and which of them stand for a row [h]."""
    index = recipe.share.part(job.held_out)
    scores = recipe.objective.score(params, job.context, rows_at(rows, index))
    return recipe.share.joined(scores), recipe.share.joined(index >= 0)
