"""What a team writes in an afternoon: greedy on ridge regressions, with and without pooling."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from experiments.log_size.data import Draw
from routerjax.baselines.policies import greedy
from routerjax.estimators.components import fit_components
from routerjax.estimators.ridge import SMALLEST_REMAINDER, STRENGTHS, fit_ridge
from routerjax.records.tables import Estimates
from routerjax.support.compilation import full_precision

COMPONENTS = 48
"""Principal components of the ridges, as many as the pooled models are linear in."""

Regression = Callable[[Array, Array, Array, Array, int], Array]
"""Features [n, c], an outcome [n], arms [n], features of queries [t, c], m ↦ expected [m, t]."""


class Plugged(NamedTuple):
    """A plug-in's arms [w, t] for the test rows, and the CPU seconds of its fit."""

    choices: Int[np.ndarray, "w t"]
    seconds: float


def plug_in(draw: Draw, cost_weights: tuple[float, ...], regression: Regression) -> Plugged:
    """The arm of highest expected utility, quality and cost each by the same regression.

    Args:
      draw: whose log is fitted, on the principal components of its embeddings.
      cost_weights: λ.
      regression: `ridge_an_arm` or `two_level_ridge`.
    """
    begun = time.process_time()
    log = draw.log.without_unlogged()
    embeddings, arms = jnp.asarray(log.features), jnp.asarray(log.arms)
    width = min(COMPONENTS, *embeddings.shape)
    components = fit_components(embeddings, jnp.ones(len(log)), components=width)
    x, queries = components(embeddings), components(jnp.asarray(draw.test.features))
    quality, cost = (
        np.asarray(_scaled(regression, x, jnp.asarray(each), arms, queries, len(log.models)))
        for each in (log.quality, log.cost)
    )
    expected = Estimates(quality=quality.T, cost=cost.T)
    chosen = [greedy(expected, cost_weight=weight) for weight in cost_weights]
    place = np.array([draw.log.models.index(model) for model in log.models])
    return Plugged(place[np.stack(chosen)], time.process_time() - begun)


def _scaled(regression: Regression, x, outcome: Array, arms, queries, models: int) -> Array:
    """The regression of an outcome whose largest magnitude is 1: costs may be tiny."""
    scale = jnp.maximum(jnp.max(jnp.abs(outcome)), 1e-12)
    return regression(x, outcome / scale, arms, queries, models) * scale


@functools.partial(jax.jit, static_argnames="models")
def ridge_an_arm(
    x: Float[Array, "n c"],
    outcome: Float[Array, " n"],
    arms: Int[Array, " n"],
    queries: Float[Array, "t c"],
    models: int,
) -> Float[Array, "m t"]:
    """Every arm's outcome by a ridge of its own rows, its strength by leave-one-out."""

    def one(arm: Array) -> Array:
        found: Array = fit_ridge(x, outcome, (arms == arm).astype(x.dtype))(queries)
        return found

    expected: Array = jax.lax.map(one, jnp.arange(models))
    return expected


@full_precision
@functools.partial(jax.jit, static_argnames="models")
def two_level_ridge(
    x: Float[Array, "n c"],
    outcome: Float[Array, " n"],
    arms: Int[Array, " n"],
    queries: Float[Array, "t c"],
    models: int,
) -> Float[Array, "m t"]:
    """Arm means, one ridge for what the arms have in common, and deviations shrunk alike.

    y ≈ ȳ_t + f(x) + d_t(x): f a ridge of y − ȳ_t on all rows, its strength by leave-one-out; d_m a
    ridge of the rest on arm m's own rows, with free intercept, that minimises

        Σ_i (r_i − b − x_i·β)² + α·(n/M)·v·|β|²,

    v the mean variance of the columns of x. One α for all M arms, ∞ included, has the least sum of
    squared left-out residuals over all rows.
    """
    means = jax.ops.segment_sum(outcome, arms, models) / jnp.bincount(arms, length=models)
    left = outcome - means[arms]
    common = fit_ridge(x, left, jnp.ones_like(left))
    left = left - common(x)
    unit = x.shape[0] / models * jnp.mean(jnp.var(x, axis=0))

    def deviation(arm: Array) -> tuple[Array, Array]:
        """Squared left-out residuals [s] and what the queries are expected to deviate by [s, t]."""
        own = (arms == arm).astype(x.dtype)
        count = jnp.sum(own)
        centre, mean = own @ x / count, own @ left / count
        xc, rc = (x - centre[None]) * own[:, None], (left - mean) * own
        values, vectors = jnp.linalg.eigh(xc.T @ xc)
        shrunk = 1 / (jnp.maximum(values, 0.0)[None] + unit * jnp.asarray(STRENGTHS)[:, None])
        rotated = xc @ vectors
        betas = shrunk * (rotated.T @ rc)[None]
        leverage = (own / count)[None] + shrunk @ (rotated**2).T
        missed = (rc[None] - betas @ rotated.T) / jnp.maximum(1 - leverage, SMALLEST_REMAINDER)
        return jnp.sum(missed**2, axis=1), mean + betas @ vectors.T @ (queries - centre[None]).T

    errors, deviations = jax.lax.map(deviation, jnp.arange(models))
    chosen = deviations[:, jnp.argmin(jnp.sum(errors, axis=0))]
    expected: Array = means[:, None] + common(queries)[None] + chosen
    return expected
