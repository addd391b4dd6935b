"""Where queries go: what routing returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.artefacts.base import listed
from routerjax.records.tables import Estimates

if TYPE_CHECKING:
    import pandas


class Routes(NamedTuple):
    """Where n queries go at one cost weight.

    Attributes:
      models: [n] names.
      arms: [n] their positions.
      probabilities: [n, m] of the router's softmax.
      quality: [n] expected quality of the chosen model, in the log's unit.
      cost: [n] its expected cost, dollars.
      cost_weight: λ, quality given up per dollar.
      candidates: m names, in the order of the arms.
      fell_back: [n] True where the router would have chosen another model, which the log it was
        fitted on does not support for such a query.
    """

    models: tuple[str, ...]
    arms: Int[np.ndarray, " n"]
    probabilities: Float[np.ndarray, "n m"]
    quality: Float[np.ndarray, " n"]
    cost: Float[np.ndarray, " n"]
    cost_weight: float
    candidates: tuple[str, ...]
    fell_back: Bool[np.ndarray, " n"]

    def __repr__(self) -> str:
        counts = np.bincount(self.arms, minlength=len(self.candidates))
        sent = [f"{counts[arm]:,} to {self.candidates[arm]}" for arm in np.flatnonzero(counts)]
        queries = f"{len(self.models):,} queries at cost weight {self.cost_weight:g}"
        return f"Routes({queries}: {listed(sent)})"

    def to_frame(self) -> pandas.DataFrame:
        """One row a query: cost_weight, model, quality, cost, fell_back, and ``probability:MODEL``
        of each."""
        import pandas

        columns: dict[str, Any] = {
            "cost_weight": np.full(len(self.models), self.cost_weight),
            "model": self.models,
            "quality": self.quality,
            "cost": self.cost,
            "fell_back": self.fell_back,
        }
        for arm, model in enumerate(self.candidates):
            columns[f"probability:{model}"] = self.probabilities[:, arm]
        return pandas.DataFrame(columns)


def routes_of(
    models: tuple[str, ...],
    probabilities: Float[np.ndarray, "n m"],
    fell_back: Bool[np.ndarray, " n"],
    expected: Estimates,
    *,
    cost_weight: float,
) -> Routes:
    """Every query to its most probable model, with what is expected of that one.

    Args:
      models: m names.
      probabilities: [n, m] of the router's softmax.
      fell_back: [n] as of `Routes`.
      expected: [n, m] quality and cost.
      cost_weight: λ, quality given up per dollar.
    """
    arms = probabilities.argmax(axis=1)
    rows = np.arange(len(arms))
    return Routes(
        models=tuple(models[arm] for arm in arms),
        arms=arms,
        probabilities=probabilities,
        quality=expected.quality[rows, arms],
        cost=expected.cost[rows, arms],
        cost_weight=cost_weight,
        candidates=models,
        fell_back=fell_back,
    )
