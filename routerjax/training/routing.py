"""Train a router: a surrogate of regret on (estimated) utilities, for a grid of cost weights."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from routerjax import surrogates
from routerjax.errors import InputError
from routerjax.heads import Head, initial, outputs
from routerjax.policy import GridPolicy
from routerjax.records import Estimates
from routerjax.training.fit import Fitted, OnProgress, Schedule, fit

ARCHITECTURES = ("shared", "separate")


@dataclasses.dataclass(frozen=True)
class RouterConfig:
    """How a router is trained.

    Attributes:
      members: networks whose probabilities are averaged, each with other rows held out to
        choose its epoch: one noisy choice of an epoch weighs less.
      surrogate: "softmax_regret", "classification_bound" or "file.py:function".
      architecture: "shared", one trunk with an output block per cost weight; or "separate",
        one network per cost weight.
      widths: trunk.
      learning_rate, weight_decay: of AdamW.
      schedule: batch size, epochs, patience.
      start_gain: logits a router starts with per unit of (scaled) mean utility, so that it
        starts as the best single model of its training rows; 0 starts undecided.
    """

    members: int = 5
    surrogate: str = "softmax_regret"
    architecture: str = "shared"
    widths: tuple[int, ...] = (128,)
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    schedule: Schedule = Schedule(batch_size=256, max_epochs=100, patience=10, chunk=5)
    start_gain: float = 10.0


@dataclasses.dataclass(frozen=True)
class RoutingObjective:
    """Mean surrogate over the cost weights of a run; scored by the argmax policy's dr utility.

    `run` holds `cost_weights` [w] and `scale` [w]; utilities (q − λ·c) / scale_λ are formed
    here, a batch at a time, so that no [n, w, m] array exists.
    """

    head: Head
    surrogate: surrogates.Surrogate

    def loss(self, params, run, batch):
        logits = outputs(self.head, params, batch["x"])
        each_weight = jax.vmap(self.surrogate)
        losses = jax.vmap(each_weight)(logits, _utilities(batch["target"], run))
        return jnp.mean(losses, axis=-1)

    def score(self, params, run, rows):
        arms = jnp.argmax(outputs(self.head, params, rows["x"]), axis=-1)
        utilities = _utilities(rows["judge"], run)
        return jnp.mean(jnp.take_along_axis(utilities, arms[..., None], axis=-1))


def _utilities(estimates: Estimates, run: dict[str, jax.Array]) -> jax.Array:
    """Scaled utilities [b, w, m] of estimates [b, m]."""
    weights, scale = run["cost_weights"][:, None], run["scale"][:, None]
    return (estimates.quality[:, None] - weights * estimates.cost[:, None]) / scale


def loss_scale(cost_weights: np.ndarray, *, quality_width: float, mean_cost: float) -> np.ndarray:
    """Fixed scale of each cost weight's utilities, quality width + λ·mean cost, [w]."""
    return quality_width + np.asarray(cost_weights, np.float64) * mean_cost


def train_router(
    embeddings: jax.Array,
    target: Estimates,
    judge: Estimates,
    *,
    train: np.ndarray,
    held_out: np.ndarray,
    cost_weights: Sequence[float],
    quality_width: float,
    key: jax.Array,
    config: RouterConfig = RouterConfig(),
    on_progress: OnProgress | None = None,
) -> tuple[GridPolicy, Fitted]:
    """Train a router on estimates for a grid of cost weights.

    Args:
      embeddings: [n, d] scaled embeddings.
      target: [n, m] estimates the surrogate is trained on.
      judge: [n, m] estimates by which held-out rows choose the epoch: dr estimates of a log,
        or the cells of a table.
      train, held_out: [b, ·] row positions of each member, disjoint within a member.
      cost_weights: grid of λ, w of them, quality per dollar.
      quality_width: width of the quality range.
      key: for starting values and shuffling.
      config: surrogate, architecture, optimiser.
      on_progress: called with ("router", epochs done, epochs at most).

    Returns:
      The policy, and what training reports of its runs: b of them with outputs [w, m] when
      shared, b·w with outputs [1, m] when separate.
    """
    _check(config)
    weights = np.asarray(cost_weights, np.float64)
    shared = config.architecture == "shared"
    shape = (1, len(weights)) if shared else (len(weights), 1)  # networks a member, outputs each
    members = len(train)
    scale = loss_scale(
        weights, quality_width=quality_width, mean_cost=max(float(np.mean(judge.cost)), 0.0)
    )
    grid, scale = (np.tile(values.reshape(shape), (members, 1)) for values in (weights, scale))
    start = _start(judge, grid, scale, config.start_gain)
    run = {"cost_weights": jnp.asarray(grid, jnp.float32), "scale": jnp.asarray(scale, jnp.float32)}
    head = Head(outputs=(shape[1], target.quality.shape[1]), widths=config.widths)
    objective = RoutingObjective(head, surrogates.resolve(config.surrogate))
    each = lambda index: jnp.repeat(jnp.asarray(index), shape[0], axis=0)  # noqa: E731
    fitted = fit(
        objective,
        initial(head, embeddings.shape[1], key, jnp.asarray(start, jnp.float32)),
        rows={"x": embeddings, "target": _on_device(target), "judge": _on_device(judge)},
        train_index=each(train),
        held_out_index=each(held_out),
        run=run,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        key=key,
        schedule=config.schedule,
        on_progress=functools.partial(on_progress, "router") if on_progress else None,
    )
    return GridPolicy(head, fitted.params, tuple(weights.tolist()), members), fitted


def member_splits(
    rows: int, *, members: int, held_out: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Training and held-out positions of each member, [b, ·]: other rows held out for each.

    Args:
      rows: n.
      members: b; their held-out rows overlap only where b·held_out exceeds 1.
      held_out: share of the rows.
      seed: of the shuffle.

    Raises:
      InputError: a share outside (0, 1), or no members.
    """
    if not 0 < held_out < 1:
        raise InputError(f"validation share is {held_out:g}; it must lie between 0 and 1")
    if members < 1:
        raise InputError(f"members is {members}; at least 1 is needed")
    order = np.random.default_rng(seed).permutation(rows)
    count = min(max(1, round(held_out * rows)), rows - 1)
    turned = np.stack([np.roll(order, -member * count) for member in range(members)])
    return turned[:, count:], turned[:, :count]


def _check(config: RouterConfig) -> None:
    if config.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise InputError(f"no architecture {config.architecture!r}; known are {known}")


def _on_device(estimates: Estimates) -> Estimates:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), estimates)


def _start(
    judge: Estimates, cost_weights: np.ndarray, scale: np.ndarray, gain: float
) -> np.ndarray:
    """Logits [r, w, m] of the best single model: gain × mean scaled utility below the best."""
    quality, cost = np.mean(judge.quality, axis=0), np.mean(judge.cost, axis=0)
    utilities = (quality - cost_weights[..., None] * cost) / scale[..., None]
    return gain * (utilities - utilities.max(axis=-1, keepdims=True))
