"""How well a log covers its arms."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from routerjax.estimators.calibration import calibration
from routerjax.estimators.counterfactual import importance_weights
from routerjax.estimators.defaults import FLOOR
from routerjax.records.logs import Log


@dataclasses.dataclass(frozen=True)
class Overlap:
    """How well a log covers its arms.

    Attributes:
      rows: n.
      models: m names.
      arm_rows: rows that each model answered.
      effective_sample_size: per arm, (Σ w)² / Σ w² over the groups of its rows, w the sum of
        1 / max(π, floor) over a group.
      smallest_propensity: before clipping.
      floor: where propensities are clipped from below.
      share_clipped: share of rows whose propensity lay below the floor.
      source: "recorded" or "estimated" propensities, or "recorded in part".
      groups: number of what is independent.
      unsupported: per arm the share of queries of which the log's policy would hardly have asked
        it; empty where that was not asked.
      calibration: per arm the mean of 1{t = m} / π over the queries on which it could be asked
        or has support, 1 where propensities are right.
      errors_off: per arm how many standard errors that is from 1.
      available: per arm the share of queries on which it could be chosen; empty where each could
        on all.
      pinned: rows whose model a user chose.
    """

    rows: int
    models: tuple[str, ...]
    arm_rows: tuple[int, ...]
    effective_sample_size: tuple[float, ...]
    smallest_propensity: float
    floor: float
    share_clipped: float
    source: str
    groups: int = 0
    unsupported: tuple[float, ...] = ()
    calibration: tuple[float, ...] = ()
    errors_off: tuple[float, ...] = ()
    available: tuple[float, ...] = ()
    pinned: int = 0

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
    supported: Bool[np.ndarray, "n m"] | None = None,
) -> Overlap:
    """Report how well a log covers its arms, and whether its propensities can be right.

    Args:
      log: n rows.
      propensities: [n] probability of the arm that answered, recorded or estimated.
      floor: the clipping floor the estimates will use.
      supported: [n, m] True where the log's policy asked the arm often enough; None if unknown.
    """
    values, models = np.asarray(propensities), len(log.models)
    sums = np.zeros((models, int(log.groups.max()) + 1))
    np.add.at(sums, (log.arms, log.groups), importance_weights(values, floor=floor))
    total, squares = sums.sum(axis=1), (sums**2).sum(axis=1)
    recorded, available = log.propensities, supported
    if recorded is not None and recorded.ndim == 2:
        asked = ~(np.asarray(recorded) == 0)
        available = asked if supported is None else asked & supported
    could = None if log.available is None else np.asarray(log.available)
    chosen = None if log.pinned is None else ~np.asarray(log.pinned)
    if could is not None:
        available = could if available is None else available & could
    if chosen is not None:
        every = np.ones((len(log), models), bool) if available is None else available
        available = every & chosen[:, None]
    checked = calibration(
        np.asarray(log.arms),
        values,
        models=models,
        available=available,
        groups=log.groups,
    )
    return Overlap(
        rows=len(log),
        models=log.models,
        arm_rows=tuple(int(count) for count in log.arm_counts),
        effective_sample_size=tuple((total**2 / np.maximum(squares, 1e-30)).tolist()),
        smallest_propensity=float(values.min()),
        floor=floor,
        share_clipped=float(np.mean(values < floor)),
        source=_source(log.logged_propensities),
        groups=sums.shape[1],
        unsupported=() if supported is None else tuple(_lacking(supported, could).tolist()),
        calibration=tuple(checked.mean.tolist()),
        errors_off=tuple(checked.errors_off.tolist()),
        available=() if could is None else tuple(could.mean(axis=0).tolist()),
        pinned=0 if chosen is None else int((~chosen).sum()),
    )


def _lacking(supported: np.ndarray, available: np.ndarray | None) -> Float[np.ndarray, " m"]:
    """[m] share of the queries, on which the model was available, without support."""
    could = np.ones_like(supported) if available is None else available
    share: np.ndarray = (could & ~supported).sum(axis=0) / np.maximum(could.sum(axis=0), 1)
    return share


def _source(recorded: np.ndarray | None) -> str:
    if recorded is None or not np.isfinite(recorded).any():
        return "estimated"
    return "recorded" if np.isfinite(recorded).all() else "recorded in part"
