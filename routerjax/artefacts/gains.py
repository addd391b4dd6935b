"""A router of gains between two models that can be saved, loaded and called."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from routerjax.artefacts import values
from routerjax.artefacts.base import Saved, listed
from routerjax.errors import InputError
from routerjax.estimators.components import Components
from routerjax.estimators.ridge import Linear
from routerjax.models.gain_router import GainRouter, decide

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class SavedGains(Saved):
    """What `routerjax fit --gains` writes: a `GainRouter` of a pair, and how it came about.

    Attributes:
      models: the alternative, which is the reference, and the primary.
      costs: their costs, US dollars per query.
      encoder: name of the text encoder, None where the labels came with features.
      dimensions: d of the embeddings.
      components: principal components that the gain is affine in.
      report: rows, ω, bias, overlap and decision curve.
      provenance: configuration, seed, versions, commit, data fingerprint.
      arrays: parameters.
      prompt_form: as of `Router`.
    """

    kind: ClassVar[str] = "gains"

    models: tuple[str, str]
    costs: tuple[float, float]
    encoder: str | None
    dimensions: int
    components: int
    report: dict[str, Any]
    provenance: dict[str, Any]
    arrays: GainRouter
    prompt_form: str = "last-user"

    def __repr__(self) -> str:
        (alternative, primary), (low, high) = self.models, self.costs
        return (
            f"SavedGains of {primary} ({high:g} dollars a query) over {alternative} ({low:g})\n"
            f"  {self.dimensions}-wide embeddings{f' by {self.encoder}' if self.encoder else ''}, "
            f"{self.components} components"
        )

    def route(
        self, queries: Sequence[str] | Float[np.ndarray, "n d"], *, cost_weight: float
    ) -> GainRoutes:
        """The primary where its expected gain exceeds λ (C_primary − C_alternative).

        Args:
          queries: n prompts, or embeddings [n, d].
          cost_weight: λ, quality given up per dollar, 0 or more.

        Raises:
          InputError: λ that is negative or not finite, or queries that do not fit.
        """
        check_cost_weight(cost_weight)
        gains = self.arrays.gains(jnp.asarray(self.embed(queries)))
        bad = ~np.isfinite(np.asarray(gains)).all(axis=1)
        if bad.any():
            problem = "the router makes no number of this embedding"
            raise InputError(problem, row=int(bad.argmax()))
        arms = np.asarray(decide(gains, jnp.asarray(self.costs), cost_weight))
        return GainRoutes(
            models=tuple(self.models[arm] for arm in arms),
            gain=np.asarray(gains)[:, 0],
            cost=np.asarray(self.costs)[arms],
        )

    def check(self) -> None:
        """Raise InputError where a field, of a manifest, is what it cannot be."""
        values.check_names("models", self.models, count=2)
        values.check_numbers("costs", self.costs, counts=(2,))
        values.check_text("encoder", self.encoder, optional=True)
        values.check_among("prompt form", (self.prompt_form,), values.PROMPT_FORMS, count=1)
        values.check_whole("dimensions", self.dimensions)
        values.check_whole("components", self.components, least=0)
        for name in ("report", "provenance"):
            values.check_object(name, getattr(self, name))

    def template(self) -> GainRouter:
        """The shapes of `arrays`."""

        def shape(*sizes: int) -> Any:
            return jax.ShapeDtypeStruct(sizes, jnp.float32)

        d, c = self.dimensions, self.components
        return GainRouter(
            components=Components(centre=shape(d), directions=shape(d, c)),
            gain=Linear(coefficients=shape(1, c), intercept=shape(1)),
            costs=shape(2),
        )


class GainRoutes(NamedTuple):
    """Where n queries go.

    Attributes:
      models: [n] names.
      gain: [n] expected gain in quality of the primary over the alternative.
      cost: [n] of the chosen model, dollars.
    """

    models: tuple[str, ...]
    gain: Float[np.ndarray, " n"]
    cost: Float[np.ndarray, " n"]

    def __repr__(self) -> str:
        sent = [f"{count:,} to {model}" for model, count in Counter(self.models).most_common()]
        return f"GainRoutes({len(self.models):,} queries: {listed(sent)})"

    def to_frame(self) -> pandas.DataFrame:
        """One row a query: model, gain, cost."""
        import pandas

        return pandas.DataFrame({"model": self.models, "gain": self.gain, "cost": self.cost})


def check_cost_weight(cost_weight: float) -> None:
    """Raise InputError unless λ is finite and 0 or more."""
    if not (math.isfinite(cost_weight) and cost_weight >= 0):
        raise InputError(f"cost weight is {cost_weight:g}; it must be finite, 0 or more")
