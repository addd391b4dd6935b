"""What a stage of a router is trained on: a surrogate on the utilities at the stage's cost weights.

`context` holds "unit" (a `Unit` of scalars), what the stage gives its own networks, and the
parameters of earlier stages. Utilities are formed here, a batch at a time, so that no [n, w, m]
array of a whole log exists. Held-out rows score the argmax policy by the selection estimates.
What a surrogate asks for beside logits and utilities is taken from the batch here, and nothing
else is. "settings" in the context are values of its settings, "prepared" is what the stage made of
its rows beforehand (prepared.py), which are then found by their "position".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from routerjax.estimators.utility import scaled_utilities
from routerjax.losses.arguments import Surrogate, form_of, losses
from routerjax.losses.masking import masked
from routerjax.models.stages import Context, Params, Stage
from routerjax.records.tables import Estimates


@dataclasses.dataclass(frozen=True)
class RouterObjective:
    """Mean surrogate over the cost weights that a step of a stage draws.

    Attributes:
      stage: what is trained, and at which cost weights.
      surrogate: loss of one row, (logits [m], utilities [m]) → scalar, or of what else it names
        (`routerjax.losses.ARGUMENTS`); or of a batch, where it is marked so.
    """

    stage: Stage
    surrogate: Surrogate

    def loss(
        self, params: Params, context: Context, batch: Mapping[str, Any], key: PRNGKeyArray
    ) -> Float[Array, " b"]:
        """[b] surrogate of every row on its target estimates, mean over the cost weights."""
        cost_weights = self.stage.drawn(context, key)
        logits = self._logits(params, context, batch, cost_weights)
        utilities = scaled_utilities(batch["target"], cost_weights, context["unit"])
        if "available" in batch:
            logits, utilities = masked(logits, utilities, batch["available"][:, None])
        given = {"logits": logits, "utilities": utilities}
        for name in form_of(self.surrogate).asked:
            if name not in given:
                given[name] = _ASKED[name](_Step(batch, cost_weights, context, key))
        return jnp.mean(losses(self.surrogate, given, context.get("settings")), axis=-1)

    def score(
        self, params: Params, context: Context, rows: Mapping[str, Any]
    ) -> Float[Array, " h"]:
        """[h] utility of the argmax arm by the selection estimates, mean over the cost weights."""
        cost_weights = self.stage.scored(context)
        logits = self._logits(params, context, rows, cost_weights)
        if "available" in rows:
            logits = jnp.where(rows["available"][:, None], logits, -jnp.inf)
        arms = jnp.argmax(logits, axis=-1)[..., None]
        utilities = scaled_utilities(rows["selection"], cost_weights, context["unit"])
        return jnp.mean(jnp.take_along_axis(utilities, arms, axis=-1)[..., 0], axis=-1)

    def _logits(
        self,
        params: Params,
        context: Context,
        batch: Mapping[str, Any],
        cost_weights: Float[Array, " k"],
    ) -> Float[Array, "b k m"]:
        if "prepared" in context:
            context = {**context, "prepared": context["prepared"].of(batch["position"])}
        return self.stage.logits(params, context, batch["x"], batch["start"], cost_weights)


class _Step(NamedTuple):
    """What a step has from which an argument is made."""

    batch: Mapping[str, Any]
    cost_weights: Float[Array, " k"]
    context: Context
    key: PRNGKeyArray


def _outcome(step: _Step) -> Float[Array, "b k"]:
    logged = step.batch["logged"]
    own = Estimates(quality=logged.quality[:, None], cost=logged.cost[:, None])
    return scaled_utilities(own, step.cost_weights, step.context["unit"])[..., 0]


def _predicted(step: _Step) -> Float[Array, "b k m"]:
    return scaled_utilities(step.batch["predicted"], step.cost_weights, step.context["unit"])


def _keys(step: _Step) -> Key[Array, "b k"]:
    shape = (len(step.batch["x"]), len(step.cost_weights))
    return jax.random.split(jax.random.fold_in(step.key, 1), shape)


def _weight(step: _Step) -> Float[Array, " b"]:
    """1 or 0; all 1 where a device's part of a batch holds no row, whose loss counts nothing."""
    weight = step.batch["weight"]
    return jnp.where(jnp.any(weight > 0), weight, 1.0)


_ASKED: dict[str, Callable[[_Step], Array]] = {
    "quality": lambda step: step.batch["target"].quality,
    "cost": lambda step: step.batch["target"].cost,
    "predicted": _predicted,
    "cost_weight": lambda step: step.cost_weights,
    "unit": lambda step: step.context["unit"].at(step.cost_weights),
    "arm": lambda step: step.batch["logged"].arm,
    "outcome": _outcome,
    "propensity": lambda step: step.batch["logged"].propensity,
    "weight": _weight,
    "mask": lambda step: step.batch["mask"],
    "key": _keys,
}
"""How each argument of `routerjax.losses.ARGUMENTS` is made, shapes as said there."""
