"""Router architectures: logits of every arm for a query at any cost weight of a range.

All start from a policy that needs no training, gain·u_λ / s_λ of the `start` (the outcome
model's predictions, or the arms' means), and differ in what training adds and in how the space
between the grid's cost weights is filled:

- shared, separate: a block of logits per grid weight on one trunk, or a network each; in
  between, the two endpoints' probabilities are mixed.
- interval: the same endpoints, and a joint router trained in between (RM-Interval).
- interpolated: the same endpoints, their logits interpolated unaided.
- conditioned: one network with a normalised λ among its inputs.
- affine: logits A(x) − λ·B(x) with B ≥ 0, exact in λ.

A function here sees the parameters of one member.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from routerjax.estimators.utility import Unit, interval_of, scaled_utilities
from routerjax.models.heads import ConditionedHead, Head, JointHead, outputs
from routerjax.records.tables import Estimates

ARCHITECTURES = ("interval", "shared", "separate", "interpolated", "conditioned", "affine")
WITH_ENDPOINTS = ("interval", "shared", "separate", "interpolated")

Params = Any


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What fixes the shapes and the form of a router; static under jit.

    Attributes:
      name: one of `ARCHITECTURES`.
      grid: [w] cost weights it is trained for, rising.
      models: m.
      widths: of the trunk.
      gain: logits per unit of the start's scaled utility.
      separate_trunks: one network per endpoint instead of a block on a shared trunk.
    """

    name: str
    grid: tuple[float, ...]
    models: int
    widths: tuple[int, ...]
    gain: float
    separate_trunks: bool = False

    @property
    def has_endpoints(self) -> bool:
        """Whether a stage of training fits a router at every grid weight."""
        return self.name in WITH_ENDPOINTS

    @property
    def trained_between(self) -> bool:
        """Whether a stage of training draws cost weights inside the intervals."""
        return not self.has_endpoints or (self.name == "interval" and len(self.grid) > 1)

    @property
    def networks(self) -> int:
        """Networks a member has at its endpoints."""
        return len(self.grid) if self.separate_trunks or self.name == "separate" else 1

    @property
    def endpoint_head(self) -> Head:
        """Of one network: a block of arm logits for each of its grid weights."""
        return Head(outputs=(len(self.grid) // self.networks, self.models), widths=self.widths)

    @property
    def between_head(self) -> Head | ConditionedHead | JointHead:
        """Of the stage that is trained between grid weights."""
        if self.name == "affine":
            return Head(outputs=(2, self.models), widths=self.widths)
        if self.name == "conditioned":
            return ConditionedHead(self.models, self.widths)
        return JointHead()


def initial_between(architecture: Architecture, dimensions: int, key: jax.Array) -> Params:
    """Starting parameters of the stage between grid weights: the router stays where it starts."""
    head, points = architecture.between_head, len(architecture.grid)
    if isinstance(head, JointHead):
        logits = jnp.zeros((1, architecture.models))
        return head.init(key, logits, logits, jnp.zeros(1), jnp.zeros((1, points - 1)))
    inputs = () if isinstance(head, Head) else (jnp.zeros((1, 1)),)
    return head.init(key, jnp.zeros(dimensions), *inputs)


def endpoint_logits(
    architecture: Architecture, params: Params, x: jax.Array, start: Estimates, unit: Unit
) -> jax.Array:
    """Logits [n, w, m] of the endpoint routers, z_k = gain·u_{λ_k} / s_{λ_k} + head_k(x).

    Args:
      params: of the networks, leading axis `architecture.networks`.
      x: [n, d] scaled embeddings.
      start: [n, m] or [1, m] quality and cost.
      unit: of the utilities.
    """
    head = architecture.endpoint_head
    trained = jax.vmap(lambda params: outputs(head, params, x), out_axes=1)(params)  # [n, ·, w', m]
    trained = trained.reshape(len(x), len(architecture.grid), architecture.models)
    grid = jnp.asarray(architecture.grid, jnp.float32)
    return architecture.gain * scaled_utilities(start, grid, unit) + trained


def log_probabilities(
    architecture: Architecture,
    params: Params,
    x: jax.Array,
    start: Estimates,
    unit: Unit,
    cost_weights: jax.Array,
) -> jax.Array:
    """Log-probabilities [n, k, m] of every arm at cost weights [k] of the grid's range.

    Args:
      params: {"endpoints": ..., "between": ...}, as far as the architecture has them.
      x: [n, d] scaled embeddings.
      start: [n, m] or [1, m] quality and cost from which the router starts.
      unit: of the utilities.
    """
    if not architecture.has_endpoints:
        logits = logits_between(architecture, params["between"], x, start, unit, cost_weights)
        return jax.nn.log_softmax(logits)
    ends = endpoint_logits(architecture, params["endpoints"], x, start, unit)
    if architecture.trained_between:
        return jax.nn.log_softmax(
            joint_logits(architecture, params["between"], ends, unit, cost_weights)
        )
    lower, upper, share = interval_of(cost_weights, architecture.grid)
    share = share[:, None]
    if architecture.name == "interpolated":
        return jax.nn.log_softmax((1 - share) * ends[:, lower] + share * ends[:, upper])
    ends = jax.nn.log_softmax(ends)
    shares = jnp.log(jnp.stack([1 - share, share]))  # a share of 0 is a term of −∞
    return jax.nn.logsumexp(jnp.stack([ends[:, lower], ends[:, upper]]) + shares[:, None], axis=0)


def joint_logits(
    architecture: Architecture,
    params: Params,
    ends: jax.Array,
    unit: Unit,
    cost_weights: jax.Array,
) -> jax.Array:
    """Logits [n, k, m] of the joint router from the endpoint routers' logits `ends` [n, w, m].

    z_λ = [(1 − α)·s_k·e^{α·a}·z_k + α·s_{k+1}·e^{(1−α)·b}·z_{k+1}] / s_λ + 4α(1 − α)·g(z_k,
    z_{k+1}, α, k), with trained a, b per interval and a trained network g. Utility is affine in λ,
    s_λ·ũ_λ = (1 − α)·s_k·ũ_k + α·s_{k+1}·ũ_{k+1}, so that with a = b = g = 0 the start is
    carried over exactly. At α = 0 and 1 it is the endpoint router, whatever was trained.

    Reference: Causal LLM Routing (arXiv 2505.16037), the interval-conditioned joint router; the
    form is ours.
    """
    lower, upper, share = interval_of(cost_weights, architecture.grid)
    interval = jax.nn.one_hot(lower, len(architecture.grid) - 1)
    low, high = ends[:, lower], ends[:, upper]
    head = architecture.between_head
    term, low_log, high_log = outputs(head, params, low, high, share, interval)
    grid = jnp.asarray(architecture.grid, jnp.float32)
    scale = unit.at(cost_weights)
    low_share = (1 - share) * unit.at(grid[lower]) / scale * jnp.exp(share * low_log)
    high_share = share * unit.at(grid[upper]) / scale * jnp.exp((1 - share) * high_log)
    hump = 4 * share * (1 - share)
    return low_share[:, None] * low + high_share[:, None] * high + hump[:, None] * term


def logits_between(
    architecture: Architecture,
    params: Params,
    x: jax.Array,
    start: Estimates,
    unit: Unit,
    cost_weights: jax.Array,
) -> jax.Array:
    """Logits [n, k, m] of the architectures without endpoints, trained at all cost weights.

    conditioned: gain·u_λ / s_λ + f(x, p), p = λ·mean_cost / s_λ brought to [−1, 1] on the grid.
    affine: (A(x) − λ·B(x)) / s_λ with A = gain·q + width·a(x) and B = gain·c·e^{b(x)} ≥ 0, where
    q and c are the start's; division by s_λ > 0 leaves every comparison affine in λ.
    """
    head = architecture.between_head
    if architecture.name == "conditioned":
        place = normalised(cost_weights, architecture.grid, unit)[:, None]
        trained = outputs(head, params, x, place)
        return architecture.gain * scaled_utilities(start, cost_weights, unit) + trained
    lift, rate = jnp.moveaxis(outputs(head, params, x), -2, 0)
    quality = start.quality + unit.quality_width * lift / architecture.gain
    cost = jnp.maximum(start.cost, 0) * jnp.exp(jnp.clip(rate, -8, 8))
    moved = Estimates(quality=quality, cost=cost)
    return architecture.gain * scaled_utilities(moved, cost_weights, unit)


def normalised(cost_weights: jax.Array, grid: tuple[float, ...], unit: Unit) -> jax.Array:
    """Cost's share λ·mean_cost / s_λ of the unit, brought to [−1, 1] over the grid."""

    def cost_share(weights):
        return weights * unit.mean_cost / unit.at(weights)

    low, high = cost_share(grid[0]), cost_share(grid[-1])
    return 2 * (cost_share(cost_weights) - low) / jnp.maximum(high - low, 1e-12) - 1
