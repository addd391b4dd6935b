"""Stages of a router's training: which networks, at which cost weights, and what their logits are.

An architecture (`architectures.py`) is a sequence of stages. A stage says everything the training
loop must know of it, and the loop knows nothing else: how many networks a member has, where their
parameters start, the cost weights a step draws, the cost weights held-out rows are scored at, and
the logits. A stage sees the parameters of one network.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from routerjax.estimators.utility import Unit, along, between, inside, scaled_utilities
from routerjax.models.heads import ConditionedHead, Head, JointHead, initial, outputs
from routerjax.models.joint import joint_logits
from routerjax.records.tables import Estimates

MOST = 8
"""A step draws a cost weight from each of at most this many brackets."""

Params = Any
Context = Mapping[str, Any]


@runtime_checkable
class Stage(Protocol):
    """One stage of training; hashable, since it is static under jit.

    Attributes:
      key: Name of its parameters among those of the architecture.
      name: Name of the stage in progress displays and checkpoints.
      networks: axes of the networks of one member: (k,) for k of them, () for a single one.
      carries_over: whether its start is the result of an earlier stage, which deserves more
        caution than a start from nothing (`RouterConfig.joint_caution`).
    """

    key: ClassVar[str]
    name: ClassVar[str]
    carries_over: ClassVar[bool]

    @property
    def networks(self) -> tuple[int, ...]: ...

    def initial(self, dimensions: int, members: int, key: PRNGKeyArray) -> Params:
        """Starting parameters of every network, one leading axis members × networks."""

    def context(self) -> Context:
        """What the networks of one member do not share; leaves with the axes `networks` first."""

    def drawn(self, context: Context, key: PRNGKeyArray) -> Float[Array, " k"]:
        """Cost weights of one step."""

    def scored(self, context: Context) -> Float[Array, " k"]:
        """Cost weights at which held-out rows are scored."""

    def logits(
        self,
        params: Params,
        context: Context,
        x: Float[Array, "n d"],
        start: Estimates,
        cost_weights: Float[Array, " k"],
    ) -> Float[Array, "n k m"]:
        """Logits of every arm at cost weights; `context` also holds "unit" and earlier stages, and
        "prepared", [n, ...], where that was made of these rows before (`Preparing`)."""


@runtime_checkable
class Preparing(Stage, Protocol):
    """A stage that makes something of its rows which its training does not change."""

    def prepared(self, context: Context, x: Float[Array, "n d"], start: Estimates) -> Array:
        """[n, ...] of rows; `context` also holds "unit" and earlier stages."""


@dataclasses.dataclass(frozen=True)
class Endpoints:
    """Routers at the fitted cost weights, z_k = sharpness·u_{λ_k} / s_{λ_k} + head_k(x).

    Attributes:
      cost_weights: [w] fitted cost weights, rising.
      models: m.
      widths: Hidden widths of the trunk.
      sharpness: logits per unit of the start's scaled utility.
      count: networks; each has an equal share of the cost weights as blocks on its trunk.
    """

    key: ClassVar[str] = "endpoints"
    name: ClassVar[str] = "endpoints"
    carries_over: ClassVar[bool] = False

    cost_weights: tuple[float, ...]
    models: int
    widths: tuple[int, ...]
    sharpness: float
    count: int

    @property
    def networks(self) -> tuple[int, ...]:
        return (self.count,)

    @property
    def head(self) -> Head:
        """Of one network: a block of arm logits for each of its cost weights."""
        return Head(outputs=(len(self.cost_weights) // self.count, self.models), widths=self.widths)

    def initial(self, dimensions: int, members: int, key: PRNGKeyArray) -> Params:
        zero = jnp.zeros((members * self.count, *self.head.outputs))
        return initial(self.head, dimensions, key, zero)

    def context(self) -> Context:
        own = jnp.asarray(self.cost_weights, jnp.float32).reshape(self.count, -1)
        return {"cost_weights": own}

    def drawn(self, context: Context, key: PRNGKeyArray) -> Float[Array, " k"]:
        del key
        return context["cost_weights"]

    def scored(self, context: Context) -> Float[Array, " k"]:
        return context["cost_weights"]

    def logits(
        self,
        params: Params,
        context: Context,
        x: Float[Array, "n d"],
        start: Estimates,
        cost_weights: Float[Array, " k"],
    ) -> Float[Array, "n k m"]:
        from_start = scaled_utilities(start, cost_weights, context["unit"])
        return outputs(self.head, params, x) + self.sharpness * from_start

    def all_logits(
        self, params: Params, x: Float[Array, "n d"], start: Estimates, unit: Unit
    ) -> Float[Array, "n w m"]:
        """Logits at every fitted cost weight, of all networks of a member together."""
        network = functools.partial(outputs, self.head)
        trained = jax.vmap(lambda params: network(params, x), out_axes=1)(params)  # [n, ·, w', m]
        trained = trained.reshape(len(x), len(self.cost_weights), self.models)
        fitted = jnp.asarray(self.cost_weights, jnp.float32)
        return self.sharpness * scaled_utilities(start, fitted, unit) + trained


class _Drawing:
    """Stages trained at cost weights drawn inside the brackets, one of each bracket a step.

    Of more than `MOST` brackets a step draws from `MOST` equal stretches of the range, so that
    many fitted cost weights cost no more than a few; scores then take every so many of theirs.
    """

    cost_weights: tuple[float, ...]
    at_fitted: ClassVar[bool]
    """Whether the stage is also trained and scored at the fitted cost weights themselves."""

    @property
    def networks(self) -> tuple[int, ...]:
        return ()

    def context(self) -> Context:
        return {}

    def drawn(self, context: Context, key: PRNGKeyArray) -> Float[Array, " k"]:
        del context
        brackets = len(self.cost_weights) - 1
        draws = jax.random.uniform(key, (min(brackets, MOST),))
        if brackets <= MOST:
            return self._with_fitted(inside(self.cost_weights, draws))
        return along(self.cost_weights, (jnp.arange(MOST) + draws) * brackets / MOST)

    def scored(self, context: Context) -> Float[Array, " k"]:
        del context
        quarters = jnp.asarray(between(self.cost_weights, 3), jnp.float32)
        every = -(-(len(self.cost_weights) - 1) // MOST) or 1
        return self._with_fitted(quarters)[::every]

    def _with_fitted(self, cost_weights: Float[Array, " q"]) -> Float[Array, " k"]:
        if not self.at_fitted:
            return cost_weights
        return jnp.concatenate([jnp.asarray(self.cost_weights, jnp.float32), cost_weights])


@dataclasses.dataclass(frozen=True)
class Joint(_Drawing):
    """The joint router between the endpoint routers, which stay as they are (`joint_logits`)."""

    key: ClassVar[str] = "between"
    name: ClassVar[str] = "joint"
    carries_over: ClassVar[bool] = True
    at_fitted: ClassVar[bool] = False

    cost_weights: tuple[float, ...]
    models: int
    endpoints: Endpoints

    def initial(self, dimensions: int, members: int, key: PRNGKeyArray) -> Params:
        del dimensions
        logits, brackets = jnp.zeros((1, self.models)), len(self.cost_weights) - 1

        def one(key: PRNGKeyArray) -> Params:
            return JointHead().init(key, logits, logits, jnp.zeros(1), jnp.zeros((1, brackets)))

        return jax.vmap(one)(_keys(key, members))

    def logits(
        self,
        params: Params,
        context: Context,
        x: Float[Array, "n d"],
        start: Estimates,
        cost_weights: Float[Array, " k"],
    ) -> Float[Array, "n k m"]:
        ends = context["prepared"] if "prepared" in context else self.prepared(context, x, start)
        return joint_logits(params, ends, self.cost_weights, context["unit"], cost_weights)

    def prepared(
        self, context: Context, x: Float[Array, "n d"], start: Estimates
    ) -> Float[Array, "n w m"]:
        """Logits of the endpoint routers, which stay as they are."""
        return self.endpoints.all_logits(context[self.endpoints.key], x, start, context["unit"])


@dataclasses.dataclass(frozen=True)
class Everywhere(_Drawing):
    """One network for all cost weights, trained at the fitted ones and between them.

    Attributes:
      cost_weights: [w] fitted cost weights, rising.
      head: Head of the network.
      form: (head, params, x, start, unit, cost_weights [k], fitted cost weights) → logits
        [n, k, m]; a module's function, so that equal stages stay equal.
      sharpness: logits per unit of the start's scaled utility.
    """

    key: ClassVar[str] = "between"
    name: ClassVar[str] = "router"
    carries_over: ClassVar[bool] = False
    at_fitted: ClassVar[bool] = True

    cost_weights: tuple[float, ...]
    head: Head | ConditionedHead
    form: Any
    sharpness: float

    def initial(self, dimensions: int, members: int, key: PRNGKeyArray) -> Params:
        extra = () if isinstance(self.head, Head) else (jnp.zeros((1, 1)),)

        def one(key: PRNGKeyArray) -> Params:
            return self.head.init(key, jnp.zeros(dimensions), *extra)

        return jax.vmap(one)(_keys(key, members))

    def logits(
        self,
        params: Params,
        context: Context,
        x: Float[Array, "n d"],
        start: Estimates,
        cost_weights: Float[Array, " k"],
    ) -> Float[Array, "n k m"]:
        logits: Array = self.form(self, params, x, start, context["unit"], cost_weights)
        return logits


def _keys(key: PRNGKeyArray, members: int) -> Key[Array, " b"]:
    return jax.random.split(jax.random.fold_in(key, 1), members)
