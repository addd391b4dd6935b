"""The study's nuisances, cross-fitted for many logs at once: ridge and multinomial logistic.

They are closed forms, so that thousands of logs can be had; the product has networks and trees.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

FOLDS = 5
HALVES = 2
PENALTY = 1.0
NEWTON_STEPS = 8
FOLD_STEPS = 3


def folds_of(groups: np.ndarray, folds: int = FOLDS) -> np.ndarray:
    """[n] fold of each row; groups stay together."""
    return groups % folds


@functools.partial(jax.jit, static_argnames=("models", "count"))
def outcomes(
    features: Array,
    arms: Array,
    observed: Array,
    folds: Array,
    *,
    models: int,
    count: int = FOLDS,
) -> Array:
    """Predict an outcome of every arm by ridge regressions that never saw the row's fold.

    One regression an arm, towards the mean of all the other folds' rows; an arm that they never
    asked gets that mean.

    Args:
      features: [r, n, d], arms and observed [r, n], folds [n].
      models: m.
      count: number of folds.

    Returns:
      [r, n, m].
    """
    one = functools.partial(_ridge, folds=folds, models=models, fold_count=count)
    return jax.vmap(one)(features, arms, observed)


def _ridge(x: Array, arms: Array, y: Array, *, folds: Array, models: int, fold_count: int) -> Array:
    place = folds * models + arms

    def without(values: Array) -> Array:
        """Sums over the rows of an arm outside each fold, [k, m, ...]."""
        shape = (fold_count, models, *values.shape[1:])
        sums = jax.ops.segment_sum(values, place, fold_count * models).reshape(shape)
        return sums.sum(axis=0, keepdims=True) - sums

    mean = without(y).sum(axis=1) / without(jnp.ones_like(y)).sum(axis=1)
    inner = without(x[:, :, None] * x[:, None, :]) + PENALTY * jnp.eye(x.shape[1])[None, None]
    cross = without(x * y[:, None]) - without(x) * mean[:, None, None]
    slopes = jnp.linalg.solve(inner, cross[..., None])[..., 0]
    return mean[folds][:, None] + jnp.einsum("nd,nmd->nm", x, slopes[folds])


@functools.partial(jax.jit, static_argnames=("models",))
def propensities(features: Array, arms: Array, folds: Array, *, models: int) -> Array:
    """Estimate every arm's propensity by a logistic model that never saw the row's fold.

    Newton's steps on all rows, then a few more without each fold.

    Args:
      features: [r, n, d], arms [r, n], folds [n].
      models: m.

    Returns:
      [r, n, m].
    """
    return jax.vmap(functools.partial(_logistic, folds=folds, models=models))(features, arms)


def _logistic(x: Array, arms: Array, *, folds: Array, models: int) -> Array:
    asked = jax.nn.one_hot(arms, models, dtype=x.dtype)

    def newton(slopes: Array, kept: Array, steps: int) -> Array:
        def step(_: int, slopes: Array) -> Array:
            chance = jax.nn.softmax(x @ slopes.T)
            spread = (chance[:, :, None] * x[:, None, :]).reshape(len(x), -1)
            pulls = jnp.einsum("n,nm,nd->md", kept, asked - chance, x) - PENALTY * slopes
            same = jnp.einsum("n,nm,nd,ne->mde", kept, chance, x, x)
            eye = jnp.eye(models)[:, None, :, None]
            size = slopes.size
            bend = (same[:, :, None, :] * eye).reshape(size, size)
            bend = bend - (spread * kept[:, None]).T @ spread + PENALTY * jnp.eye(size)
            return slopes + jnp.linalg.solve(bend, pulls.ravel()).reshape(slopes.shape)

        return jax.lax.fori_loop(0, steps, step, slopes)

    start = jnp.zeros((models, x.shape[1]), x.dtype)
    whole = newton(start, jnp.ones_like(x[:, 0]), NEWTON_STEPS)

    def one(fold: Array) -> Array:
        slopes = newton(whole, (folds != fold).astype(x.dtype), FOLD_STEPS)
        return jax.nn.softmax(x @ slopes.T)

    each = jax.lax.map(one, jnp.arange(FOLDS))
    return each[folds, jnp.arange(len(x))]
