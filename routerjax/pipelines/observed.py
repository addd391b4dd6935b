"""The outcomes a record holds, arm by arm: means outside a fold, costs brought to their sums."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from routerjax.estimators.folds import Folds
from routerjax.records.logs import Log
from routerjax.records.tables import Table


class Observed(NamedTuple):
    """The outcomes a record holds: of one arm a row for a log (k = 1), of all for a table (k = m).

    Attributes:
      arms: [n, k] int.
      quality: [n, k] scaled to [0, 1].
      cost: [n, k] dollars.
    """

    arms: np.ndarray
    quality: np.ndarray
    cost: np.ndarray

    @classmethod
    def of(cls, record: Log | Table) -> Observed:
        quality = (np.asarray(record.quality) - record.quality_range[0]) / record.quality_width
        if isinstance(record, Log):
            return cls(record.arms[:, None], quality[:, None], record.cost[:, None])
        arms = np.broadcast_to(np.arange(len(record.models), dtype=np.int32), quality.shape)
        return cls(arms, quality, np.asarray(record.cost))

    def by_arm(self, values: np.ndarray, rows: np.ndarray, models: int) -> np.ndarray:
        """[m] sum of `values` [n, k] over `rows`, arm by arm."""
        return np.bincount(self.arms[rows].ravel(), values[rows].ravel(), minlength=models)


def arm_means(
    values: np.ndarray, observed: Observed, folds: Folds, models: int, *, prior_rows: float
) -> np.ndarray:
    """[k, m] mean of each arm outside each fold, drawn to the mean of all by `prior_rows`."""

    def means(rows):
        count = observed.by_arm(np.ones(values.shape), rows, models)
        prior = np.where(count == 0, 1.0, prior_rows)
        total = observed.by_arm(values, rows, models)
        return (total + prior * values[rows].mean()) / (count + prior)

    return np.stack([means(rows) for rows in folds.outside()])


def calibrated_costs(
    unit_cost: np.ndarray, ratios: np.ndarray, observed: Observed, folds: Folds
) -> np.ndarray:
    """Unit costs [k, m] with which each arm's predictions sum to what its own rows cost.

    Args:
      unit_cost: [k, m] before.
      ratios: [k, n, a] predicted cost over unit cost of the arms that were observed.
      observed, folds: of the rows.
    """
    models = unit_cost.shape[1]
    unit_cost = np.array(unit_cost, np.float64)
    for k, rows in enumerate(folds.outside()):
        predicted = unit_cost[k] * observed.by_arm(ratios[k], rows, models)
        actual = observed.by_arm(observed.cost, rows, models)
        known = (predicted > 0) & (actual > 0)
        unit_cost[k, known] *= actual[known] / predicted[known]
    return unit_cost
