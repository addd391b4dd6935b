"""Two-level regression in closed form: what arms share, and how each differs, shrunk by the data.

    y_i = φ(x_i)·(β + β_t) + ε_i,   β ~ N(0, σ² diag(shared)),  β_t ~ N(0, σ² diag(own)),
    ε_i ~ N(0, σ² v_t)

φ holds a constant, linear features and features of a Gaussian kernel, so that the model is a
Gaussian process of six variance components: the noise σ², the arms' means, a common difficulty
(linear and smooth) and the arms' deviations from it (linear and smooth). Most of what a query
tells of an outcome is common to all arms, and cannot route; the deviations can, and one strength
for all arms is what a few dozen rows an arm can tell. The variances are those of highest marginal
likelihood times a prior. Given β the arms are independent, so that they are eliminated one by one
(Schur complement): the cost is one factorisation per arm, whatever the number of rows.

All of it is a function of the rows' moments, arm by arm. The moments of all rows but a fold's are
a difference, so that cross-fitting costs a few more factorisations and no pass over the rows.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from routerjax.estimators.moments import Moments, noise_of

FLAT = 100.0
"""Variance of the constant that all arms share, in units of the noise: hardly any shrinkage."""
PRIOR_MEAN = (-2.4, -2.4, -2.6, -4.0, -4.0)
PRIOR_SPREAD = 0.7
"""Mean and spread of the logarithms of the variances in units of the noise: of the arms' means,
what they share (linear, smooth), and how they differ (linear, smooth)."""
BOUND = 6.0
"""How far from the prior's mean the logarithm of a variance may go."""


class Sizes(NamedTuple):
    """How many features are linear and how many are smooth, after the constant."""

    linear: int
    smooth: int


class Posterior(NamedTuple):
    """The fitted regression.

    Attributes:
      outside: [k, D, m] coefficients β + β_m from the rows outside each fold.
      every: [D, m] from all rows.
      log_ratios: [5] logarithms of the variances, in units of the noise.
      variance: σ², of the noise.
      noise: [m] v, variance of each arm's noise over σ².
      moments: of all rows.
      outside_moments: of the rows outside each fold, leading axis k.
    """

    outside: Float[np.ndarray, "k D m"]
    every: Float[np.ndarray, "D m"]
    log_ratios: Float[np.ndarray, " 5"]
    variance: float
    noise: Float[Array, " m"]
    moments: Moments
    outside_moments: Moments


def fit_hierarchical(
    by_fold: Moments, sizes: Sizes, *, prior_mean: tuple[float, ...] = PRIOR_MEAN
) -> Posterior:
    """Fit the two-level regression, out of every fold and to all rows.

    The six variances come from all rows; they are numbers that a fold's rows can hardly move.

    Args:
      by_fold: of labels whose mean is near 0, leading axis k.
      sizes: of the features.
      prior_mean: of the logarithms of the variances.
    """
    from scipy.optimize import minimize

    every = jax.tree.map(lambda each: np.asarray(each).sum(axis=0), by_fold)
    noise = jnp.asarray(noise_of(every), jnp.float32)
    total, mean = _single(every), np.asarray(prior_mean)

    def value(log_ratios: np.ndarray) -> tuple[float, np.ndarray]:
        found = _value_and_slope(jnp.asarray(log_ratios, jnp.float32), total, noise, sizes)
        own, slope = (np.asarray(each, np.float64) for each in found)
        away = (log_ratios - mean) / PRIOR_SPREAD
        return float(own + away @ away / 2), slope + away / PRIOR_SPREAD

    bounds = [(each - BOUND, each + BOUND) for each in mean]
    options = {"maxiter": 50, "ftol": 1e-7}
    best = minimize(value, mean, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    ratios = jnp.asarray(best, jnp.float32)
    outside = _single(jax.tree.map(lambda all_, own: all_[None] - np.asarray(own), every, by_fold))
    folds = [
        np.asarray(coefficients(ratios, _at(outside, fold), noise, sizes))
        for fold in range(len(by_fold.rows))
    ]
    whole = np.asarray(coefficients(ratios, total, noise, sizes))
    variance = float(_residual(ratios, total, noise, sizes)) / max(float(every.rows.sum()), 1.0)
    return Posterior(np.stack(folds), whole, np.asarray(best), variance, noise, total, outside)


def variance_of(
    posterior: Posterior,
    weights: Float[np.ndarray, "q m D"],
    sizes: Sizes,
    *,
    fold: int | None = None,
) -> Float[np.ndarray, " q"]:
    """Posterior variance of weighted sums of the coefficients, Σ_m w_mᵀ (β + β_m), q of them.

    σ² wᵀ C w, σ² C the covariance of all coefficients, by the factors that give their means: it is
    what Φᵀy would explain, were it w.

    Args:
      posterior: of all rows and outside the folds.
      weights: [q, m, D] w.
      sizes: of the features.
      fold: a fold, for the posterior of the rows outside it; None for that of all rows.
    """
    ratios = jnp.asarray(posterior.log_ratios, jnp.float32)
    asked = jnp.asarray(weights, jnp.float32)
    moments = posterior.moments if fold is None else _at(posterior.outside_moments, fold)
    found = _variances(ratios, moments, posterior.noise, asked, sizes)
    return posterior.variance * np.asarray(found, np.float64)


@functools.partial(jax.jit, static_argnames="sizes")
def coefficients(
    log_ratios: Float[Array, " 5"], moments: Moments, noise: Float[Array, " m"], sizes: Sizes
) -> Float[Array, "D m"]:
    """Posterior means of β + β_m, [D, m]; arguments as of `minus_log_marginal`."""
    shared, own = _standard_deviations(log_ratios, sizes)
    gram, cross = _scaled(moments, noise)
    factor, left, right = _eliminated(gram, cross[..., None], own)
    lower, common = _common(gram, cross[..., None], left, right, shared)
    common = common[:, 0]
    beta: Array = shared * jax.scipy.linalg.solve_triangular(lower.T, common, lower=False)
    rest = own[None] * (cross - gram @ beta)

    def solved(pair: tuple[Array, Array]) -> Array:
        lower, rest = pair
        return jax.scipy.linalg.cho_solve((lower, True), rest)

    each = jax.lax.map(solved, (factor, rest))
    found: Float[Array, "D m"] = beta[:, None] + (own[None] * each).T
    return found


def minus_log_marginal(
    log_ratios: Float[Array, " 5"], moments: Moments, noise: Float[Array, " m"], sizes: Sizes
) -> Float[Array, ""]:
    """Minus the log marginal likelihood of the labels, but for a constant; the noise is profiled.

    With B_m = I + Λ^½ G_m Λ^½ / v_m, Λ = diag(own), and S the same for what is left of all arms
    and shared: ½ (Σ log|B_m| + log|S| + n·log q), q the residual sum of squares over the noise's
    variance, whose best value is q / n.

    Args:
      log_ratios: [5] logarithms of the variances in units of the noise.
      moments: of the rows.
      noise: [m] v, variance of each arm's noise over σ².
      sizes: of the features.
    """
    volume, rest = _volume_and_residual(log_ratios, moments, noise, sizes)
    return (volume + jnp.sum(moments.rows) * jnp.log(rest)) / 2


def _volume_and_residual(
    log_ratios: Array, moments: Moments, noise: Array, sizes: Sizes
) -> tuple[Array, Array]:
    """Σ log|B_m| + log|S|, and q, the residual sum of squares over the noise's variance."""
    shared, own = _standard_deviations(log_ratios, sizes)
    gram, cross = _scaled(moments, noise)
    factor, left, right = _eliminated(gram, cross[..., None], own)
    lower, common = _common(gram, cross[..., None], left, right, shared)
    diagonals = jnp.diagonal(factor, axis1=1, axis2=2)
    volume = 2 * jnp.sum(jnp.log(diagonals)) + 2 * jnp.sum(jnp.log(jnp.diag(lower)))
    whole = jnp.sum(moments.square / noise)
    explained = jnp.sum(right**2) + jnp.sum(common**2)
    return volume, jnp.maximum(whole - explained, 1e-6 * whole + 1e-30)


@functools.partial(jax.jit, static_argnames="sizes")
def _residual(log_ratios: Array, moments: Moments, noise: Array, sizes: Sizes) -> Array:
    return _volume_and_residual(log_ratios, moments, noise, sizes)[1]


@functools.partial(jax.jit, static_argnames="sizes")
def _variances(
    log_ratios: Float[Array, " 5"],
    moments: Moments,
    noise: Float[Array, " m"],
    weights: Float[Array, "q m D"],
    sizes: Sizes,
) -> Float[Array, " q"]:
    """The quadratic form of the posterior covariance, over σ²."""
    shared, own = _standard_deviations(log_ratios, sizes)
    gram, _ = _scaled(moments, noise)
    sides = jnp.moveaxis(weights, 0, -1)
    _, left, right = _eliminated(gram, sides, own)
    _, common = _common(gram, sides, left, right, shared)
    found: Float[Array, " q"] = jnp.sum(right**2, axis=(0, 1)) + jnp.sum(common**2, axis=0)
    return found


_value_and_slope = jax.jit(jax.value_and_grad(minus_log_marginal), static_argnames="sizes")


def _standard_deviations(log_ratios: Float[Array, " 5"], sizes: Sizes) -> tuple[Array, Array]:
    """[D] of what arms share and of how they differ, in units of the noise."""
    arm, linear, smooth, own_linear, own_smooth = jnp.exp(log_ratios / 2)
    widths = (1, sizes.linear, sizes.smooth)

    def row(*values: Array | float) -> Array:
        return jnp.concatenate(
            [jnp.full(width, value) for width, value in zip(widths, values, strict=True)]
        )

    return row(FLAT**0.5, linear, smooth), row(arm, own_linear, own_smooth)


def _scaled(moments: Moments, noise: Float[Array, " m"]) -> tuple[Array, Array]:
    """G_m / v_m and Φ_mᵀ y / v_m."""
    gram, cross = jnp.asarray(moments.gram), jnp.asarray(moments.cross)
    return gram / noise[:, None, None], cross / noise[:, None]


def _eliminated(gram: Array, sides: Array, own: Array) -> tuple[Array, Array, Array]:
    """L_m of B_m = L_m L_mᵀ [m, D, D], L⁻¹ Λ^½ G and L⁻¹ Λ^½ of the right-hand sides [m, D, q].

    The arms follow each other: batches of factorisations that XLA starts side by side on a CPU
    may wait for each other's threads for ever.
    """
    width = len(own)

    def arm(moments: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        gram, sides = moments
        factor = jnp.linalg.cholesky(jnp.eye(width) + own[:, None] * gram * own[None])
        every = own[:, None] * jnp.concatenate([gram, sides], axis=1)
        solved = jax.scipy.linalg.solve_triangular(factor, every, lower=True)
        return factor, solved[:, :width], solved[:, width:]

    found: tuple[Array, Array, Array] = jax.lax.map(arm, (gram, sides))
    return found


def _common(
    gram: Array, sides: Array, left: Array, right: Array, shared: Array
) -> tuple[Array, Array]:
    """L of S = L Lᵀ and L⁻¹ of the right-hand sides [D, q], of what all arms leave for β."""
    information = jnp.sum(gram, axis=0) - jnp.einsum("akd,ake->de", left, left)
    left_over = jnp.sum(sides, axis=0) - jnp.einsum("akd,akq->dq", left, right)
    whole = jnp.eye(len(shared)) + shared[:, None] * information * shared[None]
    lower = jnp.linalg.cholesky(whole)
    return lower, jax.scipy.linalg.solve_triangular(lower, shared[:, None] * left_over, lower=True)


def _single(moments: Moments) -> Moments:
    """In single precision, for the device."""
    found: Moments = jax.tree.map(lambda each: jnp.asarray(each, jnp.float32), moments)
    return found


def _at(moments: Moments, fold: int) -> Moments:
    found: Moments = jax.tree.map(lambda each: each[fold], moments)
    return found
