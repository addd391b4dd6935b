"""Router architectures: log-probabilities of every arm at any cost weight of a range.

All start from a policy that needs no training, sharpness·u_λ / s_λ of the `start` (the outcome
model's predictions, or the arms' means), and differ in what training adds and in how the space
between the fitted cost weights is filled:

- plug-in: nothing; it stays at its start.
- shared, separate: a block of logits per fitted cost weight on one trunk, or a network each; in
  between, the two endpoints' probabilities are mixed.
- interval: the same endpoints, and a joint router trained in between (RM-Interval).
- interpolated: the same endpoints, their logits interpolated unaided.
- conditioned: one network with a normalised λ among its inputs.
- affine: logits A(x) − λ·B(x) with B ≥ 0, exact in λ.

An architecture is one class of this file: its stages of training, and its log-probabilities from
the parameters of one member. `ARCHITECTURES` lists them; the training loop, the artefact and the
tests ask no names.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from routerjax.errors import InputError
from routerjax.estimators.utility import Unit, bracket_of, scaled_utilities
from routerjax.models.heads import ConditionedHead, Head, outputs
from routerjax.models.joint import joint_logits
from routerjax.models.stages import Endpoints, Everywhere, Joint, Params, Stage
from routerjax.records.tables import Estimates


@dataclasses.dataclass(frozen=True)
class Architecture(abc.ABC):
    """What fixes the shapes and the form of a router; static under jit.

    Attributes:
      cost_weights: [w] cost weights at which it is fitted, rising.
      models: Number of models, m.
      widths: Hidden widths of the trunk.
      sharpness: logits per unit of the start's scaled utility.
      separate_trunks: one network per endpoint instead of a block on a shared trunk.
    """

    name: ClassVar[str]
    may_separate: ClassVar[bool] = False
    """Whether `separate_trunks` means anything to it."""

    cost_weights: tuple[float, ...]
    models: int
    widths: tuple[int, ...]
    sharpness: float
    separate_trunks: bool = False

    def __post_init__(self) -> None:
        if self.separate_trunks and not self.may_separate:
            able = " and ".join(name for name, each in ARCHITECTURES.items() if each.may_separate)
            raise InputError(
                f"separate trunks have no effect with architecture {self.name!r}; "
                f"they go with {able}"
            )

    @property
    @abc.abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """What is trained, one after the other."""

    @abc.abstractmethod
    def log_probabilities(
        self,
        params: Mapping[str, Params],
        x: Float[Array, "n d"],
        start: Estimates,
        unit: Unit,
        cost_weights: Float[Array, " k"],
    ) -> Float[Array, "n k m"]:
        """Log-probabilities of every arm at cost weights of the fitted range.

        Args:
          params: Parameters of one member, by the keys of the stages.
          x: [n, d] scaled embeddings.
          start: [n, m] or [1, m] quality and cost from which the router starts.
          unit: Unit of the utilities.
          cost_weights: [k].
        """

    def read_as(self, name: str) -> Architecture:
        """Another architecture of the same fields, for parameters that both understand."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return ARCHITECTURES[name](**fields)


class PlugIn(Architecture):
    """The start and nothing else: greedy on what the outcome models predict, at any cost weight."""

    name = "plug-in"

    @property
    def stages(self) -> tuple[Stage, ...]:
        return ()

    def log_probabilities(
        self,
        params: Mapping[str, Params],
        x: Float[Array, "n d"],
        start: Estimates,
        unit: Unit,
        cost_weights: Float[Array, " k"],
    ) -> Float[Array, "n k m"]:
        del params
        found = jax.nn.log_softmax(self.sharpness * scaled_utilities(start, cost_weights, unit))
        return jnp.broadcast_to(found, (x.shape[0], *found.shape[1:]))


class Shared(Architecture):
    """Endpoint routers on one trunk; in between, their probabilities are mixed."""

    name = "shared"

    @property
    def networks(self) -> int:
        """Networks a member has at its endpoints."""
        return len(self.cost_weights) if self.separate_trunks else 1

    @property
    def endpoints(self) -> Endpoints:
        """The stage at the fitted cost weights."""
        return Endpoints(self.cost_weights, self.models, self.widths, self.sharpness, self.networks)

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (self.endpoints,)

    def log_probabilities(
        self,
        params: Mapping[str, Params],
        x: Float[Array, "n d"],
        start: Estimates,
        unit: Unit,
        cost_weights: Float[Array, " k"],
    ) -> Float[Array, "n k m"]:
        ends = self.endpoints.all_logits(params["endpoints"], x, start, unit)
        lower, upper, share = bracket_of(cost_weights, self.cost_weights)
        ends, share = jax.nn.log_softmax(ends), share[None, :, None]
        shares = jnp.log(jnp.stack([1 - share, share]))  # a share of 0 is a term of −∞
        return jax.nn.logsumexp(jnp.stack([ends[:, lower], ends[:, upper]]) + shares, axis=0)


class Separate(Shared):
    """Endpoint routers of a network each; in between, their probabilities are mixed."""

    name = "separate"

    @property
    def networks(self) -> int:
        return len(self.cost_weights)


class Interpolated(Shared):
    """Endpoint routers, whose logits are interpolated unaided."""

    name = "interpolated"
    may_separate = True

    def log_probabilities(
        self,
        params: Mapping[str, Params],
        x: Float[Array, "n d"],
        start: Estimates,
        unit: Unit,
        cost_weights: Float[Array, " k"],
    ) -> Float[Array, "n k m"]:
        ends = self.endpoints.all_logits(params["endpoints"], x, start, unit)
        lower, upper, share = bracket_of(cost_weights, self.cost_weights)
        share = share[None, :, None]
        return jax.nn.log_softmax((1 - share) * ends[:, lower] + share * ends[:, upper])


class Interval(Shared):
    """Endpoint routers and a joint router in between (RM-Interval)."""

    name = "interval"
    may_separate = True

    @property
    def stages(self) -> tuple[Stage, ...]:
        if len(self.cost_weights) == 1:
            return (self.endpoints,)
        return (self.endpoints, Joint(self.cost_weights, self.models, self.endpoints))

    def log_probabilities(
        self,
        params: Mapping[str, Params],
        x: Float[Array, "n d"],
        start: Estimates,
        unit: Unit,
        cost_weights: Float[Array, " k"],
    ) -> Float[Array, "n k m"]:
        if len(self.cost_weights) == 1:
            return super().log_probabilities(params, x, start, unit, cost_weights)
        ends = self.endpoints.all_logits(params["endpoints"], x, start, unit)
        return jax.nn.log_softmax(
            joint_logits(params["between"], ends, self.cost_weights, unit, cost_weights)
        )


class _Everywhere(Architecture):
    """One network for all cost weights."""

    @property
    @abc.abstractmethod
    def stages(self) -> tuple[Everywhere]: ...

    def log_probabilities(
        self,
        params: Mapping[str, Params],
        x: Float[Array, "n d"],
        start: Estimates,
        unit: Unit,
        cost_weights: Float[Array, " k"],
    ) -> Float[Array, "n k m"]:
        (stage,) = self.stages
        own = params[stage.key]
        return jax.nn.log_softmax(stage.logits(own, {"unit": unit}, x, start, cost_weights))


class Conditioned(_Everywhere):
    """One network with a normalised λ among its inputs."""

    name = "conditioned"

    @property
    def stages(self) -> tuple[Everywhere]:
        head = ConditionedHead(self.models, self.widths)
        return (Everywhere(self.cost_weights, head, conditioned_logits, self.sharpness),)


class Affine(_Everywhere):
    """Logits affine in λ up to their scale, so that every comparison of arms is exact in λ."""

    name = "affine"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sharpness > 0:
            problem = f"start sharpness is {self.sharpness:g}; an affine router needs one above 0"
            raise InputError(f"{problem}, since its costs are multiples of the start's")

    @property
    def stages(self) -> tuple[Everywhere]:
        head = Head(outputs=(2, self.models), widths=self.widths)
        return (Everywhere(self.cost_weights, head, affine_logits, self.sharpness),)


def conditioned_logits(
    stage: Everywhere,
    params: Params,
    x: Float[Array, "n d"],
    start: Estimates,
    unit: Unit,
    cost_weights: Float[Array, " k"],
) -> Float[Array, "n k m"]:
    """sharpness·u_λ / s_λ + f(x, p), p = λ·mean_cost / s_λ brought to [−1, 1] on the range."""
    position = normalised(cost_weights, stage.cost_weights, unit)[:, None]
    trained = outputs(stage.head, params, x, position)
    return stage.sharpness * scaled_utilities(start, cost_weights, unit) + trained


def affine_logits(
    stage: Everywhere,
    params: Params,
    x: Float[Array, "n d"],
    start: Estimates,
    unit: Unit,
    cost_weights: Float[Array, " k"],
) -> Float[Array, "n k m"]:
    """(A(x) − λ·B(x)) / s_λ with A = sharpness·q + width·a(x) and B = sharpness·c·e^{b(x)} ≥ 0.

    q and c are the start's; division by s_λ > 0 leaves every comparison of arms affine in λ.
    """
    lift, rate = jnp.moveaxis(outputs(stage.head, params, x), -2, 0)
    quality = start.quality + unit.quality_width * lift / stage.sharpness
    cost = jnp.maximum(start.cost, 0) * jnp.exp(jnp.clip(rate, -8, 8))
    moved = Estimates(quality=quality, cost=cost)
    return stage.sharpness * scaled_utilities(moved, cost_weights, unit)


def normalised(
    cost_weights: Float[Array, " k"], fitted: tuple[float, ...], unit: Unit
) -> Float[Array, " k"]:
    """Cost's share λ·mean_cost / s_λ of the unit, brought to [−1, 1] over the fitted range."""

    def cost_share(cost_weights: Any) -> Any:
        return cost_weights * unit.mean_cost / unit.at(cost_weights)

    low, high = cost_share(fitted[0]), cost_share(fitted[-1])
    return 2 * (cost_share(cost_weights) - low) / jnp.maximum(high - low, 1e-12) - 1


ARCHITECTURES: dict[str, type[Architecture]] = {
    each.name: each
    for each in (PlugIn, Interval, Shared, Separate, Interpolated, Conditioned, Affine)
}


def architecture_named(name: str) -> type[Architecture]:
    """An architecture by its name.

    Raises:
      InputError: there is none of this name.
    """
    if name not in ARCHITECTURES:
        raise InputError(f"no architecture {name!r}; known are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]
