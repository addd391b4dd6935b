"""Propensities of a log: of the model that answered, and of every model, with its support."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from routerjax.estimators.folds import Folds
from routerjax.estimators.support import support_level, support_threshold
from routerjax.estimators.trees import Trees, grow
from routerjax.models.outcomes import over_blocks
from routerjax.models.propensity import PropensityModel, propensities_by_fold, with_support
from routerjax.records.on_disk import Stored, read
from routerjax.records.tables import Log

MOST_ROWS = 2048
"""Rows of a fold's training part on which its trees are grown."""


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


def fit_propensities(log: Log, x: Array | Stored, folds: Folds, *, support: float) -> Propensities:
    """Fit the log's policy, out of fold, and find where it supports which arm.

    Args:
      log: n rows, m models.
      x: [n, d] scaled embeddings.
      folds: Folds of the rows; row i's propensities are by trees that never saw row i.
      support: share of an even share, 1/m, from which an arm is supported; 0 switches it off.
    """
    arms, models = np.asarray(log.arms), len(log.models)
    train, held_out = (np.asarray(each)[:, :MOST_ROWS] for each in (folds.train, folds.held_out))
    grown = _grow_folds(*_picked(x, arms, train), *_picked(x, arms, held_out), models=models)
    model = PropensityModel(trees=grown, threshold=jnp.zeros(models))
    estimated = _out_of_fold(model, x, folds)
    recorded = log.logged_propensities
    level = support_level(models, support=support, arms=arms, recorded=recorded)
    hits = np.eye(models)[arms]
    every = estimated
    if log.propensities is not None and log.propensities.ndim == 2:
        known = np.isfinite(log.propensities).all(axis=1, keepdims=True)
        hits = np.where(known, log.propensities, hits)
        every = np.where(known, log.propensities, estimated)
    threshold = np.array(
        [
            support_threshold(estimated[:, arm], hits[:, arm], level=level[arm], models=models)
            for arm in range(models)
        ]
    )
    support_of = np.asarray(with_support(jnp.asarray(estimated), jnp.asarray(threshold)))
    if every is not estimated:
        by_record = with_support(jnp.asarray(every), jnp.asarray(level))
        support_of = np.where(known, np.asarray(by_record), support_of)
    answered, share = _answered(recorded, estimated[np.arange(len(arms)), arms])
    return Propensities(
        answered=answered,
        every=every,
        supported=support_of,
        model=model._replace(threshold=jnp.asarray(threshold, jnp.float32)),
        recorded=share,
    )


def applied(model: PropensityModel, log: Log, x: Array | Stored) -> Propensities:
    """Propensities of rows that the model never saw; recorded ones of the arm that answered.

    Args:
      model: of another log of the same policy.
      log: n rows.
      x: [n, d] scaled embeddings.
    """
    by_fold = jax.jit(propensities_by_fold)

    def block(rows: Array, place: slice) -> np.ndarray:
        del place
        return np.asarray(by_fold(model, rows)).mean(axis=0)

    every = over_blocks(block, x)
    answered, share = _answered(
        log.logged_propensities, every[np.arange(len(log)), np.asarray(log.arms)]
    )
    supported = with_support(jnp.asarray(every), jnp.asarray(model.threshold))
    return Propensities(answered, every, np.asarray(supported), model, share)


def _answered(
    recorded: np.ndarray | None, estimated: np.ndarray
) -> tuple[Float[np.ndarray, " n"], float]:
    """Recorded propensities, estimated where there are none, and the share of the recorded."""
    if recorded is None:
        return estimated, 0.0
    known = np.isfinite(recorded)
    return np.where(known, recorded, estimated), float(known.mean())


def _picked(x: Array | Stored, arms: np.ndarray, index: np.ndarray) -> tuple[Array, Array]:
    """Features [k, r, d] and arms [k, r] of rows [k, r], −1 for no row."""
    rows = jnp.asarray(read(x[index.reshape(-1)])).reshape(*index.shape, x.shape[1])
    return rows, jnp.asarray(np.where(index >= 0, arms[index], -1))


@functools.partial(jax.jit, static_argnames="models")
def _grow_folds(
    x: Float[Array, "k t d"],
    arms: Int[Array, "k t"],
    held_out: Float[Array, "k h d"],
    held_out_arms: Int[Array, "k h"],
    *,
    models: int,
) -> Trees:
    def one(fold: tuple[Array, Array, Array, Array]) -> Trees:
        return grow(*fold, models=models)

    return jax.lax.map(one, (x, arms, held_out, held_out_arms))


def _out_of_fold(model: PropensityModel, x: Array | Stored, folds: Folds) -> np.ndarray:
    """[n, m] propensities of each row by its own fold's trees."""
    by_fold = jax.jit(propensities_by_fold)

    def block(rows: Array, place: slice) -> np.ndarray:
        return folds.own(by_fold(model, rows), place)

    return over_blocks(block, x)
