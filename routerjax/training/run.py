"""One training run, as pure functions: where it starts, an epoch, a chunk of epochs.

An `Objective` says what is minimised on a batch and what is scored on held-out rows. Nothing
here knows how many runs there are (sweep.py), on how many devices (parallel.py), or when to
look up from the work (fit.py).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

from routerjax.errors import InputError

Params = Any
Rows = Any
Run = Any

OPTIMIZERS = ("adamw", "sgd")
NEIGHBOURS = 256
"""Rows in a row of the file that an epoch visits together, where it does not visit all."""


class Objective(Protocol):
    """What a network is trained on. Hashable, since it is static under jit."""

    def loss(self, params: Params, run: Run, batch: Rows, key: jax.Array) -> jax.Array:
        """Per-row loss, [b]; `key` is the step's own, for an objective that draws."""

    def score(self, params: Params, run: Run, rows: Rows) -> jax.Array:
        """Score of every held-out row, [h]; a higher mean is better."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How long and in what steps to train; static under jit.

    Attributes:
      batch_size: rows per step.
      max_epochs: epochs at most.
      patience: epochs without a better held-out score before a run stops.
      chunk: epochs per compiled call; progress and interruption happen between chunks.
      caution: an epoch replaces the starting point only if its mean held-out score is higher
        by more than this many standard errors of the paired difference. Where scores are
        noisy, the best of many epochs is partly luck, and the start deserves the doubt.
      optimizer: "adamw" or "sgd".
      epoch_rows: training rows an epoch visits at most, others each time, and held-out rows it
        is scored on at most, always the same; a million rows are not needed before the
        held-out score is worth a look. What an epoch visits are runs of neighbouring rows
        (`NEIGHBOURS`), so that it can be read from a file without reading all of it.
    """

    batch_size: int = 256
    max_epochs: int = 100
    patience: int = 10
    chunk: int = 10
    caution: float = 0.0
    optimizer: str = "adamw"
    epoch_rows: int = 1 << 16


class Member(NamedTuple):
    """All of a run that training does not change; a leading axis r over runs.

    Attributes:
      run: handed to the objective.
      learning_rate, weight_decay: of the optimiser; the decay acts on kernels only.
      train, held_out: positions in the rows; a negative one stands for no row.
      real: False for a run that only fills a place and is never trained.
      rows: this epoch's rows, where runs do not share what fits in memory (streaming.py).
    """

    run: Run
    learning_rate: jax.Array
    weight_decay: jax.Array
    train: jax.Array
    held_out: jax.Array
    real: jax.Array
    rows: Rows = None


class State(NamedTuple):
    """All of a run that training changes; a leading axis r over runs. `key` is a key's data."""

    params: Params
    optimizer: optax.OptState
    key: jax.Array
    epoch: jax.Array
    start_scores: jax.Array
    best_params: Params
    best_score: jax.Array
    best_epoch: jax.Array


@dataclasses.dataclass(frozen=True)
class Whole:
    """A device that has every row of a batch to itself; static under jit.

    `parallel.Share` is its counterpart where several devices split the rows.
    """

    processes: int = 1

    def shuffle_key(self, key: jax.Array) -> jax.Array:
        """The key with which this device's rows are shuffled."""
        return key

    def step_key(self, key: jax.Array) -> jax.Array:
        """The key of a step's draws on this device."""
        return key

    def part(self, index: jax.Array) -> jax.Array:
        """This device's part of row positions, [..., b] → [..., b / parts]."""
        return index

    def total(self, tree: Any) -> Any:
        """Sum over the devices that share the rows."""
        return tree

    def joined(self, values: jax.Array) -> jax.Array:
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


def start(recipe: Recipe, params: Params, key: jax.Array, member: Member, rows: Rows) -> State:
    """The state before the first epoch, the starting point scored.

    `rows` are those that all runs share; None where each has its own.
    """
    rows = member.rows if rows is None else rows
    scores, held_out = _scores(recipe, params, member, rows)
    zero = jnp.zeros((), jnp.int32)
    optimizer = _optimizer(recipe.schedule, member).init(params)
    score = jnp.mean(scores, where=held_out)
    return State(params, optimizer, key, zero, scores, params, score, zero)


def stopped(schedule: Schedule, state: State, member: Member) -> jax.Array:
    """Whether the run has had its epochs, or its patience has run out."""
    idle = state.epoch - state.best_epoch >= schedule.patience
    return idle | (state.epoch >= schedule.max_epochs) | ~member.real


def advance(recipe: Recipe, state: State, member: Member, rows: Rows) -> tuple[State, jax.Array]:
    """A chunk of epochs, none once the run has stopped; also whether it wants more."""
    rows = member.rows if rows is None else rows

    def body(state, _):
        done = stopped(recipe.schedule, state, member)
        train = functools.partial(_epoch, recipe, member, rows)
        return jax.lax.cond(done, lambda state: state, train, state), None

    state, _ = jax.lax.scan(body, state, length=recipe.schedule.chunk)
    return state, ~stopped(recipe.schedule, state, member)


def _epoch(recipe: Recipe, member: Member, rows: Rows, state: State) -> State:
    objective, schedule, share = recipe.objective, recipe.schedule, recipe.share
    key, shuffle = jax.random.split(jax.random.wrap_key_data(state.key))
    size = schedule.batch_size // share.processes
    own, most = share.shuffle_key(shuffle), schedule.epoch_rows // share.processes
    batches = share.part(_batches(own, visited(own, member.train, most), size))
    optimizer = _optimizer(schedule, member)

    def loss(params, index, count, step):
        own = share.step_key(jax.random.fold_in(key, step))
        losses = objective.loss(params, member.run, _take(rows, index), own)
        return jnp.sum(losses * (index >= 0)) / count

    def step(carry, batch):
        (params, opt), (index, step) = carry, batch
        count = share.total(jnp.sum(index >= 0, dtype=jnp.float32))
        slope = share.total(jax.grad(loss)(params, index, count, step))
        updates, opt = optimizer.update(slope, opt, params)
        return (optax.apply_updates(params, updates), opt), None

    carry = (state.params, state.optimizer)
    (params, opt), _ = jax.lax.scan(step, carry, (batches, jnp.arange(len(batches))))
    scores, held_out = _scores(recipe, params, member, rows)
    score, gain = jnp.mean(scores, where=held_out), scores - state.start_scores
    error = jnp.std(gain, where=held_out) / jnp.sqrt(jnp.sum(held_out))
    enough = jnp.mean(gain, where=held_out) > schedule.caution * error
    better = (score > state.best_score) & enough
    epoch = state.epoch + 1
    keep = lambda new, old: jnp.where(better, new, old)  # noqa: E731
    return State(
        params,
        opt,
        jax.random.key_data(key),
        epoch,
        state.start_scores,
        jax.tree.map(keep, params, state.best_params),
        keep(score, state.best_score),
        keep(epoch, state.best_epoch),
    )


def _optimizer(schedule: Schedule, member: Member) -> optax.GradientTransformation:
    rate, decay = member.learning_rate, member.weight_decay
    kernels = lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)  # noqa: E731
    if schedule.optimizer == "sgd":
        return optax.chain(optax.add_decayed_weights(decay, kernels), optax.sgd(rate))
    return optax.adamw(rate, weight_decay=decay, mask=kernels)


def _scores(recipe: Recipe, params: Params, member: Member, rows: Rows):
    """Scores of all held-out rows [h], and which of them stand for a row [h]."""
    index = recipe.share.part(member.held_out)
    scores = recipe.objective.score(params, member.run, _take(rows, index))
    return recipe.share.joined(scores), recipe.share.joined(index >= 0)


def _take(rows: Rows, index: jax.Array) -> Rows:
    return jax.tree.map(lambda leaf: leaf[jnp.maximum(index, 0)], rows)


def visited(key: jax.Array, train: jax.Array, most: int) -> jax.Array:
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
    places = first + chosen[:, None] * long + jnp.arange(long)
    return train[places.ravel() % count]


def _batches(key: jax.Array, train: jax.Array, size: int) -> jax.Array:
    """Shuffle the row positions into batches [steps, size]; the last is filled up with −1."""
    count = -(-train.shape[0] // size)
    none = jnp.full(count * size - train.shape[0], -1, train.dtype)
    return jnp.concatenate([jax.random.permutation(key, train), none]).reshape(count, size)
