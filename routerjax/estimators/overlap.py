"""How well a log covers its arms."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from routerjax.estimators.counterfactual import importance_weights
from routerjax.estimators.defaults import FLOOR
from routerjax.records.tables import Log


@dataclasses.dataclass(frozen=True)
class Overlap:
    """How well a log covers its arms.

    Attributes:
      rows: n.
      models: m names.
      arm_rows: rows that each model answered.
      effective_sample_size: per arm, (Σ w)² / Σ w² over its rows, w = 1 / max(π, floor).
      smallest_propensity: before clipping.
      floor: where propensities are clipped from below.
      share_clipped: share of rows whose propensity lay below the floor.
      source: "recorded" or "estimated" propensities.
    """

    rows: int
    models: tuple[str, ...]
    arm_rows: tuple[int, ...]
    effective_sample_size: tuple[float, ...]
    smallest_propensity: float
    floor: float
    share_clipped: float
    source: str

    @property
    def weakest(self) -> tuple[str, float]:
        """The model with the smallest effective sample size, and that size."""
        arm = int(np.argmin(self.effective_sample_size))
        return self.models[arm], self.effective_sample_size[arm]


def overlap(
    log: Log,
    propensities: Float[np.ndarray, " n"],
    *,
    floor: float = FLOOR,
) -> Overlap:
    """Report smallest propensity, share clipped and effective sample size per arm of a log.

    Args:
      log: n rows.
      propensities: [n] probability of the arm that answered, recorded or estimated.
      floor: the clipping floor the estimates will use.
    """
    values = np.asarray(propensities)
    weights = importance_weights(values, floor=floor)
    total = np.bincount(log.arms, weights=weights, minlength=len(log.models))
    squares = np.bincount(log.arms, weights=weights**2, minlength=len(log.models))
    return Overlap(
        rows=len(log),
        models=log.models,
        arm_rows=tuple(int(count) for count in log.arm_counts),
        effective_sample_size=tuple((total**2 / np.maximum(squares, 1e-30)).tolist()),
        smallest_propensity=float(values.min()),
        floor=floor,
        share_clipped=float(np.mean(values < floor)),
        source="estimated" if log.propensities is None else "recorded",
    )
