"""Propensities of a log: of the model that answered, and of every model, with its support."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.estimators.folds import Folds
from routerjax.estimators.support import (
    PRIOR_HITS,
    PRIOR_HITS_EXPLORED,
    explored,
    support_level,
    support_threshold,
)
from routerjax.estimators.trees import TreeRows, grow
from routerjax.models.outcomes import on_rows, over_blocks
from routerjax.models.propensity import PropensityModel, propensities_by_fold, supported_rows
from routerjax.records.on_disk import Stored, read
from routerjax.records.tables import Log

MOST_ROWS = 2048
"""Rows of a fold's training part on which its trees are grown."""


ROUNDING = 1e-4
"""A recorded propensity that is the level, but for rounding, is support."""


class Propensities(NamedTuple):
    """With what probabilities the log's policy chose.

    Attributes:
      answered: [n] of the arm that answered: as recorded, estimated where nothing is.
      every: [n, m] of every arm, recorded or out-of-fold.
      supported: [n, m] True where the log's policy asked the arm often enough of such queries.
      model: for queries that the log does not hold.
      recorded: share of the rows whose propensity was recorded.
    """

    answered: Float[np.ndarray, " n"]
    every: Float[np.ndarray, "n m"]
    supported: Bool[np.ndarray, "n m"]
    model: PropensityModel
    recorded: float


def fit_propensities(
    log: Log, x: np.ndarray | Stored, folds: Folds, *, support: float
) -> Propensities:
    """Fit the log's policy, out of fold, and find where it supports which arm.

    Args:
      log: n rows, m models.
      x: [n, d] scaled embeddings.
      folds: Folds of the rows; row i's propensities are by trees that never saw row i.
      support: share of an even share, 1/m, from which an arm is supported; 0 switches it off.
    """
    arms, models = np.asarray(log.arms), len(log.models)
    pairs = zip(folds.train[:, :MOST_ROWS], folds.held_out[:, :MOST_ROWS], strict=True)
    parts = [TreeRows(*_picked(x, arms, train), *_picked(x, arms, apart)) for train, apart in pairs]
    model = PropensityModel(grow(parts, models=models), threshold=np.zeros(models, np.float32))
    estimated = _out_of_fold(model, x, folds)
    recorded = log.logged_propensities
    level = support_level(models, support=support, arms=arms, recorded=recorded)
    small = explored(models, support=support, arms=arms, recorded=recorded)
    hits = np.eye(models)[arms]
    every = estimated
    if log.propensities is not None and log.propensities.ndim == 2:
        known = np.isfinite(log.propensities).all(axis=1, keepdims=True)
        hits = np.where(known, log.propensities, hits)
        every = np.where(known, log.propensities, estimated)
    threshold = np.array(
        [
            support_threshold(
                estimated[:, arm],
                hits[:, arm],
                level=level[arm],
                models=models,
                prior_hits=PRIOR_HITS_EXPLORED if small[arm] else PRIOR_HITS,
            )
            for arm in range(models)
        ]
    )
    support_of = supported_rows(estimated, threshold)
    if every is not estimated:
        support_of = np.where(known, supported_rows(every, level * (1 - ROUNDING)), support_of)
    answered, share = _answered(recorded, estimated[np.arange(len(arms)), arms])
    return Propensities(
        answered=answered,
        every=every,
        supported=support_of,
        model=model._replace(threshold=threshold.astype(np.float32)),
        recorded=share,
    )


def applied(model: PropensityModel, log: Log, x: np.ndarray | Stored) -> Propensities:
    """Propensities of rows that the model never saw; recorded ones of the arm that answered.

    Args:
      model: of another log of the same policy.
      log: n rows.
      x: [n, d] scaled embeddings.
    """

    def block(rows: np.ndarray, place: slice) -> np.ndarray:
        del place
        return on_rows(_by_fold, model, rows).mean(axis=0)

    every = over_blocks(block, x)
    answered, share = _answered(
        log.logged_propensities, every[np.arange(len(log)), np.asarray(log.arms)]
    )
    supported = supported_rows(every, np.asarray(model.threshold))
    return Propensities(answered, every, supported, model, share)


def _answered(
    recorded: np.ndarray | None, estimated: np.ndarray
) -> tuple[Float[np.ndarray, " n"], float]:
    """Recorded propensities, estimated where there are none, and the share of the recorded."""
    if recorded is None:
        return estimated, 0.0
    known = np.isfinite(recorded)
    return np.where(known, recorded, estimated), float(known.mean())


def _picked(
    x: np.ndarray | Stored, arms: np.ndarray, index: np.ndarray
) -> tuple[Float[np.ndarray, "r d"], Int[np.ndarray, " r"]]:
    """Features [r, d] and arms [r] of rows [r], −1 for no row."""
    return np.asarray(read(x[index])), np.where(index >= 0, arms[index], -1)


def _out_of_fold(model: PropensityModel, x: np.ndarray | Stored, folds: Folds) -> np.ndarray:
    """[n, m] propensities of each row by its own fold's trees."""

    def block(rows: np.ndarray, place: slice) -> np.ndarray:
        return folds.own(on_rows(_by_fold, model, rows), place)

    return over_blocks(block, x)


_by_fold = jax.jit(propensities_by_fold)
