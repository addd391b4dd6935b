"""The one training loop: AdamW in a compiled scan of epochs, stopped early, many runs at once.

An `Objective` says what is minimised on a batch and what is scored on held-out rows; `fit`
trains one network per run. Runs share the rows and differ in their row indices, starting
parameters and `Run` values (learning rate, weight decay, whatever the objective reads), so
that the folds of a cross-fit, the cost weights of a grid and the seeds of a study are all
the same axis r.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax

Params = Any
Rows = Any
Run = Any

OnProgress = Callable[[str, int, int], None]
"""Called with (what is trained, epochs done, epochs at most)."""


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
    """

    batch_size: int = 256
    max_epochs: int = 100
    patience: int = 10
    chunk: int = 10
    caution: float = 0.0


class State(NamedTuple):
    """All of a run that training changes; a leading axis r over runs."""

    params: Params
    optimizer: optax.OptState
    key: jax.Array
    epoch: jax.Array
    start_scores: jax.Array
    best_params: Params
    best_score: jax.Array
    best_epoch: jax.Array


class Fitted(NamedTuple):
    """The best epoch of every run.

    Attributes:
      params: parameters with a leading axis r.
      score: [r] best held-out score.
      epoch: [r] epoch it was reached in; 0 is before the first step.
      epochs: [r] epochs trained.
    """

    params: Params
    score: jax.Array
    epoch: jax.Array
    epochs: jax.Array


def fit(
    objective: Objective,
    params: Params,
    *,
    rows: Rows,
    train_index: jax.Array,
    held_out_index: jax.Array,
    run: Run,
    learning_rate: jax.Array | float,
    weight_decay: jax.Array | float,
    key: jax.Array,
    schedule: Schedule,
    on_progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Train every run until its held-out score stops rising.

    Args:
      objective: loss and score, static.
      params: starting parameters, leading axis r.
      rows: pytree of arrays with a leading axis n, shared by all runs.
      train_index: [r, n_train] positions in `rows`.
      held_out_index: [r, n_held_out] positions in `rows`, disjoint from the former.
      run: pytree with a leading axis r, handed to the objective.
      learning_rate, weight_decay: [r]; the decay is decoupled and acts on kernels only.
      key: one key, folded into one per run; or [r] keys, one each.
      schedule: batch size, epochs and patience.
      on_progress: called with (epochs done, epochs at most) after each chunk of epochs.

    Returns:
      Fitted, with the parameters of each run's best epoch, the starting point included.
    """
    count = train_index.shape[0]
    hyper = (jnp.broadcast_to(learning_rate, count), jnp.broadcast_to(weight_decay, count))
    own = functools.partial(jax.random.fold_in, key)
    keys = key if key.ndim else jax.vmap(own)(jnp.arange(count))
    index = (train_index, held_out_index)
    state = _start(objective, params, keys, run, hyper, rows, index)
    running = schedule.max_epochs > 0
    while running:
        state, going = _chunk(objective, schedule, state, run, hyper, rows, index)
        # where one chunk is all, nothing is asked of the device, and the caller may trace this
        running = schedule.chunk < schedule.max_epochs and bool(going)
        if on_progress is not None:
            done = int(state.epoch.max()) if running else schedule.max_epochs
            on_progress(done, schedule.max_epochs)
    return Fitted(state.best_params, state.best_score, state.best_epoch, state.epoch)


def _optimizer(hyper: tuple[jax.Array, jax.Array]) -> optax.GradientTransformation:
    learning_rate, weight_decay = hyper
    kernels = lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)  # noqa: E731
    return optax.adamw(learning_rate, weight_decay=weight_decay, mask=kernels)


def _take(rows: Rows, index: jax.Array) -> Rows:
    return jax.tree.map(lambda leaf: leaf[index], rows)


@functools.partial(jax.jit, static_argnums=0)
def _start(objective, params, keys, run, hyper, rows, index) -> State:
    def one(member):
        params, key, run, hyper, (_, held_out) = member
        scores = objective.score(params, run, _take(rows, held_out))
        zero, optimizer = jnp.zeros((), jnp.int32), _optimizer(hyper).init(params)
        return State(params, optimizer, key, zero, scores, params, jnp.mean(scores), zero)

    return jax.lax.map(one, (params, keys, run, hyper, index))


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def _chunk(objective, schedule, state, run, hyper, rows, index):
    def stopped(state):
        idle = state.epoch - state.best_epoch >= schedule.patience
        return idle | (state.epoch >= schedule.max_epochs)

    def one(member):
        state, run, hyper, (train, held_out) = member
        step = functools.partial(_epoch, objective, schedule, run, hyper, rows, train, held_out)
        skip = lambda state: state  # noqa: E731
        body = lambda state, _: (jax.lax.cond(stopped(state), skip, step, state), None)  # noqa: E731
        return jax.lax.scan(body, state, length=schedule.chunk)[0]

    # lax.map, not vmap: on a CPU one network fills the machine, and a stopped run costs nothing
    state = jax.lax.map(one, (state, run, hyper, index))
    return state, ~jax.vmap(stopped)(state).all()


def _epoch(objective, schedule, run, hyper, rows, train, held_out, state: State) -> State:
    key, shuffle = jax.random.split(state.key)
    batches, mask = _batches(shuffle, train, schedule.batch_size)
    steps = jnp.arange(len(batches))
    optimizer = _optimizer(hyper)

    def loss(params, index, mask, step):
        own = jax.random.fold_in(key, step)
        losses = objective.loss(params, run, _take(rows, index), own)
        return jnp.sum(losses * mask) / jnp.sum(mask)

    def step(carry, batch):
        params, opt = carry
        updates, opt = optimizer.update(jax.grad(loss)(params, *batch), opt, params)
        return (optax.apply_updates(params, updates), opt), None

    (params, opt), _ = jax.lax.scan(step, (state.params, state.optimizer), (batches, mask, steps))
    scores = objective.score(params, run, _take(rows, held_out))
    score, gain = jnp.mean(scores), scores - state.start_scores
    error = jnp.std(gain) / jnp.sqrt(gain.shape[0])
    better = (score > state.best_score) & (jnp.mean(gain) > schedule.caution * error)
    epoch = state.epoch + 1
    keep = lambda new, old: jnp.where(better, new, old)  # noqa: E731
    return State(
        params, opt, key, epoch, state.start_scores,
        jax.tree.map(keep, params, state.best_params),
        keep(score, state.best_score),
        keep(epoch, state.best_epoch),
    )  # fmt: skip


def _batches(key: jax.Array, train: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Shuffle the row positions into batches; the last is padded with rows of weight 0."""
    count = -(-train.shape[0] // size)
    padding = count * size - train.shape[0]
    order = jnp.concatenate([jax.random.permutation(key, train), jnp.zeros(padding, train.dtype)])
    mask = (jnp.arange(count * size) < train.shape[0]).astype(jnp.float32)
    return order.reshape(count, size), mask.reshape(count, size)
