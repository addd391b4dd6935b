"""What a stage of a router is trained on: a surrogate on the utilities at the stage's cost weights.

`context` holds "unit" (a `Unit` of scalars), what the stage gives its own networks, and the
parameters of earlier stages. Utilities are formed here, a batch at a time, so that no [n, w, m]
array of a whole log exists. Held-out rows score the argmax policy by the selection estimates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from routerjax.estimators.utility import scaled_utilities
from routerjax.losses.masking import masked
from routerjax.losses.surrogates import Surrogate
from routerjax.models.stages import Context, Params, Stage


@dataclasses.dataclass(frozen=True)
class RouterObjective:
    """Mean surrogate over the cost weights that a step of a stage draws.

    Attributes:
      stage: what is trained, and at which cost weights.
      surrogate: loss of one row, (logits [m], utilities [m]) → scalar.
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
        return jnp.mean(jax.vmap(jax.vmap(self.surrogate))(logits, utilities), axis=-1)

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
        return self.stage.logits(params, context, batch["x"], batch["start"], cost_weights)
