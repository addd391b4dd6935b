"""Outcome predictions in a second or two: ridge on principal components, arm by arm, cross-fitted.

They serve where a log is looked at before anything is fitted to it.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool

from routerjax.estimators.components import fit_components
from routerjax.estimators.folds import Folds
from routerjax.estimators.ridge import fit_ridge
from routerjax.pipelines.observed import Observed, arm_means
from routerjax.records.logs import Log
from routerjax.records.on_disk import read
from routerjax.records.tables import Estimates

COMPONENTS = 20
PRIOR_ROWS = 5.0
"""Rows by which an arm's mean correction is drawn to that of all arms."""


def quick_outcomes(
    log: Log, folds: Folds, *, gold: Bool[np.ndarray, " n"] | None = None
) -> Estimates:
    """[n, m] quality and cost of every arm, by ridges that never saw the row's fold.

    Where scores come from mixed sources the ridges learn from all of them, and what gold rows
    differ by, on average and by arm, is added.

    Args:
      log: n rows with embeddings.
      folds: of the rows.
      gold: [n] True where a score is gold; None where all are.
    """
    models = len(log.models)
    embeddings = jnp.asarray(read(log.features))
    width = min(COMPONENTS, embeddings.shape[1])
    x = fit_components(embeddings, jnp.ones(len(log)), components=width)(embeddings)
    outcomes = jnp.stack([jnp.asarray(log.quality), jnp.asarray(log.cost)])
    found = _ridges(
        x, outcomes, jnp.asarray(log.arms), jnp.asarray(folds.of_row), models, _k(folds)
    )
    quality, cost = (np.asarray(each, np.float64) for each in found)
    if gold is not None:
        quality = quality + _correction(log, folds, quality, gold)[folds.of_row]
    return Estimates(quality=quality, cost=np.maximum(cost, 0.0))


def _k(folds: Folds) -> int:
    return int(folds.train.shape[0])


@functools.partial(jax.jit, static_argnames=("models", "folds"))
def _ridges(x, outcomes, arms, of_row, models: int, folds: int):
    """[2, n, m] predictions of each row by the ridges of the other folds."""

    scale = jnp.maximum(jnp.max(jnp.abs(outcomes), axis=1), 1e-12)

    def one(place):
        fold, arm, outcome = place // (2 * models), place // 2 % models, place % 2
        outside = of_row != fold
        own = outside & (arms == arm)
        weights = jnp.where(jnp.any(own), own, outside).astype(x.dtype)
        found = fit_ridge(x, outcomes[outcome] / scale[outcome], weights)(x) * scale[outcome]
        return jnp.where(outside, 0.0, found)

    every = jax.lax.map(one, jnp.arange(2 * models * folds))
    return jnp.sum(every.reshape(folds, models, 2, -1), axis=0).transpose(1, 2, 0)


def _correction(log: Log, folds: Folds, quality: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """[k, m] mean of gold minus predicted quality, of each arm outside each fold."""
    arms = np.asarray(log.arms)
    observed = Observed(arms[gold, None], quality[gold, :1], quality[gold, :1])
    difference = np.asarray(log.quality, np.float64) - quality[np.arange(len(log)), arms]
    own = folds._replace(of_row=folds.of_row[gold])
    models = len(log.models)
    return arm_means(difference[gold, None], observed, own, models, prior_rows=PRIOR_ROWS)
