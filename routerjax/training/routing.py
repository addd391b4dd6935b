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
from routerjax.policy import GridPolicy, scaled_utilities
from routerjax.records import Estimates
from routerjax.training.fit import Fitted, OnProgress, Schedule, fit

ARCHITECTURES = ("shared", "separate")
STARTS = ("plug-in", "best-single")


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
      schedule: batch size, epochs, patience, caution.
      start: "plug-in", the policy that is greedy on the outcome model's predictions; or
        "best-single", the one arm of highest mean utility by the judge.
      start_gain: logits a router starts with per unit of (scaled) utility; 0 starts undecided.
    """

    members: int = 5
    surrogate: str = "softmax_regret"
    architecture: str = "shared"
    widths: tuple[int, ...] = (128,)
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    schedule: Schedule = Schedule(batch_size=256, max_epochs=100, patience=10, chunk=5, caution=1.0)
    start: str = "plug-in"
    start_gain: float = 10.0


@dataclasses.dataclass(frozen=True)
class RoutingObjective:
    """Mean surrogate over the cost weights of a run; scored by the argmax policy's dr utility.

    `run` holds `cost_weights` [w] and `scale` [w]; utilities (q − λ·c) / scale_λ are formed
    here, a batch at a time, so that no [n, w, m] array exists. The logits are those of
    `policy_logits`: what the head adds to the start.
    """

    head: Head
    surrogate: surrogates.Surrogate
    gain: float

    def loss(self, params, run, batch, key):
        logits = self._logits(params, run, batch)
        each_weight = jax.vmap(self.surrogate)
        losses = jax.vmap(each_weight)(
            logits, scaled_utilities(batch["target"], run["cost_weights"], run["scale"])
        )
        return jnp.mean(losses, axis=-1)

    def score(self, params, run, rows):
        arms = jnp.argmax(self._logits(params, run, rows), axis=-1)
        utilities = scaled_utilities(rows["judge"], run["cost_weights"], run["scale"])
        return jnp.mean(jnp.take_along_axis(utilities, arms[..., None], axis=-1)[..., 0], axis=-1)

    def _logits(self, params, run, batch):
        start = scaled_utilities(batch["start"], run["cost_weights"], run["scale"])
        return outputs(self.head, params, batch["x"]) + self.gain * start


def loss_scale(cost_weights: np.ndarray, *, quality_width: float, mean_cost: float) -> np.ndarray:
    """Fixed scale of each cost weight's utilities, quality width + λ·mean cost, [w]."""
    return quality_width + np.asarray(cost_weights, np.float64) * mean_cost


def train_router(
    embeddings: jax.Array,
    target: Estimates,
    judge: Estimates,
    predicted: Estimates,
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
      predicted: [n, m] outcome predictions made out of fold, from which the plug-in start is
        made.
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
    check_config(config)
    weights = np.asarray(cost_weights, np.float64)
    shared = config.architecture == "shared"
    shape = (1, len(weights)) if shared else (len(weights), 1)  # networks a member, outputs each
    members = len(train)
    loss_scales = loss_scale(
        weights, quality_width=quality_width, mean_cost=max(float(np.mean(judge.cost)), 0.0)
    )
    grid, scale = (
        np.tile(values.reshape(shape), (members, 1)) for values in (weights, loss_scales)
    )
    run = {"cost_weights": jnp.asarray(grid, jnp.float32), "scale": jnp.asarray(scale, jnp.float32)}
    head = Head(outputs=(shape[1], target.quality.shape[1]), widths=config.widths)
    gain = config.start_gain
    objective = RoutingObjective(head, surrogates.resolve(config.surrogate), gain)
    constant = None if config.start == "plug-in" else _means(judge)
    start = (
        predicted
        if constant is None
        else jax.tree.map(lambda mean: np.broadcast_to(mean, target.quality.shape), constant)
    )
    zero = jnp.zeros((len(grid), *head.outputs))
    each = lambda index: jnp.repeat(jnp.asarray(index), shape[0], axis=0)  # noqa: E731
    fitted = fit(
        objective,
        initial(head, embeddings.shape[1], key, zero),
        rows={
            "x": embeddings,
            "target": _on_device(target),
            "judge": _on_device(judge),
            "start": _on_device(start),
        },
        train_index=each(train),
        held_out_index=each(held_out),
        run=run,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        key=key,
        schedule=config.schedule,
        on_progress=functools.partial(on_progress, "router") if on_progress else None,
    )
    policy = GridPolicy(
        head=head,
        params=fitted.params,
        cost_weights=tuple(weights.tolist()),
        members=members,
        scale=tuple(loss_scales.tolist()),
        gain=gain,
        constant=constant,
    )
    return policy, fitted


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


def check_config(config: RouterConfig) -> None:
    """Raise InputError for an architecture, start or surrogate there is not."""
    if config.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise InputError(f"no architecture {config.architecture!r}; known are {known}")
    if config.start not in STARTS:
        raise InputError(f"no start {config.start!r}; known are {', '.join(STARTS)}")
    surrogates.resolve(config.surrogate)


def _on_device(estimates: Estimates) -> Estimates:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), estimates)


def _means(estimates: Estimates) -> Estimates:
    """[m] mean quality and cost of every arm."""
    return jax.tree.map(lambda values: np.mean(values, axis=0, dtype=np.float32), estimates)
