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
from routerjax.support.compilation import padded, quickly_compiled

FLAT = 100.0
"""Variance of the constant that all arms share, in units of the noise: hardly any shrinkage."""
PRIOR_MEAN = (-2.4, -2.4, -2.6, -4.0, -4.0)
PRIOR_SPREAD = 0.7
"""Mean and spread of the logarithms of the variances in units of the noise: of the arms' means,
what they share (linear, smooth), and how they differ (linear, smooth)."""
BOUND = 6.0
"""How far from the prior's mean the logarithm of a variance may go."""


SUMS = 16
"""Weighted sums whose variance is asked for are filled up to a multiple of it."""


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
    noise: Float[np.ndarray, " m"]
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
    noise = np.asarray(noise_of(every), np.float32)
    total, mean = _single(every), np.asarray(prior_mean)
    outside = _single(jax.tree.map(lambda all_, own: all_[None] - np.asarray(own), every, by_fold))
    on_device: Moments = jax.tree.map(jnp.asarray, total)

    def value(log_ratios: np.ndarray) -> tuple[float, np.ndarray]:
        found = _value_and_slope(np.asarray(log_ratios, np.float32), on_device, noise, sizes)
        own, slope = (np.asarray(each, np.float64) for each in found)
        away = (log_ratios - mean) / PRIOR_SPREAD
        return float(own + away @ away / 2), slope + away / PRIOR_SPREAD

    bounds = [(each - BOUND, each + BOUND) for each in mean]
    options = {"maxiter": 50, "ftol": 1e-7}
    best = minimize(value, mean, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    sets = jax.tree.map(lambda all_, own: np.concatenate([all_[None], own]), total, outside)
    found = _solved(np.asarray(best, np.float32), sets, noise, sizes)
    means, rest = (np.asarray(each) for each in found)
    variance = float(rest[0]) / max(float(every.rows.sum()), 1.0)
    return Posterior(means[1:], means[0], np.asarray(best), variance, noise, total, outside)


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
    ratios = np.asarray(posterior.log_ratios, np.float32)
    count = -(-len(weights) // SUMS) * SUMS
    asked = padded(np.asarray(weights, np.float32), count)
    moments = posterior.moments if fold is None else _at(posterior.outside_moments, fold)
    found = np.asarray(_variances(ratios, moments, posterior.noise, asked, sizes), np.float64)
    return posterior.variance * found[: len(weights)]


def coefficients(
    log_ratios: Float[Array, " 5"], moments: Moments, noise: Float[Array, " m"], sizes: Sizes
) -> Float[Array, "D m"]:
    """Posterior means of β + β_m, [D, m]; arguments as of `value_and_slope`."""
    return _solution(log_ratios, moments, noise, sizes)[0]


def _solution(
    log_ratios: Array, moments: Moments, noise: Array, sizes: Sizes
) -> tuple[Float[Array, "D m"], Float[Array, ""]]:
    """Posterior means, and the residual sum of squares over the noise's variance."""
    shared, own = _standard_deviations(log_ratios, sizes)
    gram, cross = _scaled(moments, noise)
    found = _factors(gram, cross[..., None], shared, own)
    beta, each = _means(found, shared)
    rest, _ = _residual(found, jnp.sum(moments.square / noise))
    return (shared * beta)[:, None] + (own[None] * each).T, rest


def value_and_slope(
    log_ratios: Float[Array, " 5"], moments: Moments, noise: Float[Array, " m"], sizes: Sizes
) -> tuple[Float[Array, ""], Float[Array, " 5"]]:
    """Minus the log marginal likelihood of the labels, but for a constant, and its gradient.

    With B_m = I + Λ^½ G_m Λ^½ / v_m, Λ = diag(own), and S the same for what is left of all arms
    and shared: f = ½ (Σ log|B_m| + log|S| + n·log q), q the residual sum of squares over the
    noise's variance; the noise is profiled, its best value is q / n. Of the logarithm of a variance
    P that the coefficients b_d share, with posterior variances σ² C_dd,

        ∂f = ½ (Σ_d (1 − C_dd / P) − (n / q) Σ_d b_d² / P)

    Args:
      log_ratios: [5] logarithms of the variances in units of the noise.
      moments: of the rows.
      noise: [m] v, variance of each arm's noise over σ².
      sizes: of the features.

    Reference: MacKay (1992), Bayesian Interpolation, for the gradient.
    """
    shared, own = _standard_deviations(log_ratios, sizes)
    gram, cross = _scaled(moments, noise)
    found = _factors(gram, cross[..., None], shared, own)
    whole = jnp.sum(moments.square / noise)
    rest, clipped = _residual(found, whole)
    rows = jnp.sum(moments.rows)
    beta, each = _means(found, shared)
    spread = shared[:, None] * found.common_inverse.T

    def told(arm: tuple[Array, Array]) -> Array:
        inverse, left = arm
        through = inverse.T @ (left @ spread)
        return 1 - jnp.sum(inverse**2, axis=0) - jnp.sum(through**2, axis=1)

    fixed = jnp.where(clipped, 0.0, rows / rest)
    common = 1 - jnp.sum(found.common_inverse**2, axis=0) - fixed * beta**2
    apart = jax.lax.map(told, (found.inverse, found.left)) - fixed * each**2
    edges = (1, 1 + sizes.linear)
    _, linear, smooth = (jnp.sum(part) for part in jnp.split(common, edges))
    arm, own_linear, own_smooth = (jnp.sum(part) for part in jnp.split(apart, edges, axis=1))
    slope = jnp.stack([arm, linear, smooth, own_linear, own_smooth]) / 2
    return (found.volume + rows * jnp.log(rest)) / 2, slope


_value_and_slope = quickly_compiled(value_and_slope, static=("sizes",))


@functools.partial(quickly_compiled, static=("sizes",))
def _solved(
    log_ratios: Float[Array, " 5"], sets: Moments, noise: Float[Array, " m"], sizes: Sizes
) -> tuple[Float[Array, "s D m"], Float[Array, " s"]]:
    """Posterior means and residual sums of squares of several sets of moments, leading axis s."""

    def one(moments: Moments) -> tuple[Array, Array]:
        return _solution(log_ratios, moments, noise, sizes)

    solved: tuple[Array, Array] = jax.lax.map(one, sets)
    return solved


@functools.partial(quickly_compiled, static=("sizes",))
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
    found = _factors(gram, jnp.moveaxis(weights, 0, -1), shared, own)
    explained: Float[Array, " q"] = _explained(found)
    return explained


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


class _Factors(NamedTuple):
    """The normal equations, arms eliminated: of B_m = L_m L_mᵀ and S = L Lᵀ, with q sides.

    Attributes:
      inverse: [m, D, D] L_m⁻¹.
      left: [m, D, D] L_m⁻¹ Λ^½ G_m.
      right: [m, D, q] L_m⁻¹ Λ^½ of the sides.
      common_inverse: [D, D] L⁻¹.
      common: [D, q] L⁻¹ of what all arms leave of the sides for β.
      volume: Σ log|B_m| + log|S|.
    """

    inverse: Float[Array, "m D D"]
    left: Float[Array, "m D D"]
    right: Float[Array, "m D q"]
    common_inverse: Float[Array, "D D"]
    common: Float[Array, "D q"]
    volume: Float[Array, ""]


def _factors(gram: Array, sides: Array, shared: Array, own: Array) -> _Factors:
    """Eliminate the arms one by one, then solve for what they share.

    The arms follow each other: batches of factorisations that XLA starts side by side on a CPU
    may wait for each other's threads for ever.
    """
    width = len(own)

    def arm(moments: tuple[Array, Array]) -> tuple[Array, Array, Array, Array]:
        gram, sides = moments
        inverse, volume = _inverse(jnp.eye(width) + own[:, None] * gram * own[None])
        return inverse, inverse @ (own[:, None] * gram), inverse @ (own[:, None] * sides), volume

    inverse, left, right, volumes = jax.lax.map(arm, (gram, sides))
    information = jnp.sum(gram, axis=0) - jnp.einsum("akd,ake->de", left, left)
    left_over = jnp.sum(sides, axis=0) - jnp.einsum("akd,akq->dq", left, right)
    whole = jnp.eye(width) + shared[:, None] * information * shared[None]
    common_inverse, volume = _inverse(whole)
    common = common_inverse @ (shared[:, None] * left_over)
    return _Factors(inverse, left, right, common_inverse, common, jnp.sum(volumes) + volume)


def _inverse(matrix: Float[Array, "D D"]) -> tuple[Float[Array, "D D"], Float[Array, ""]]:
    """L⁻¹ and log|A| of A = L Lᵀ."""
    factor = jnp.linalg.cholesky(matrix)
    inverse = jax.scipy.linalg.solve_triangular(factor, jnp.eye(len(matrix)), lower=True)
    return inverse, 2 * jnp.sum(jnp.log(jnp.diag(factor)))


def _means(found: _Factors, shared: Array) -> tuple[Float[Array, " D"], Float[Array, "m D"]]:
    """Posterior means of the coefficients over their prior's deviations, of the first side."""
    beta = found.common_inverse.T @ found.common[:, 0]

    def arm(own: tuple[Array, Array, Array]) -> Array:
        inverse, left, right = own
        return inverse.T @ (right[:, 0] - left @ (shared * beta))

    return beta, jax.lax.map(arm, (found.inverse, found.left, found.right))


def _explained(found: _Factors) -> Float[Array, " q"]:
    return jnp.sum(found.right**2, axis=(0, 1)) + jnp.sum(found.common**2, axis=0)


def _residual(found: _Factors, whole: Array) -> tuple[Array, Array]:
    """q, the residual sum of squares over the noise's variance, and whether it was clipped."""
    rest, least = whole - _explained(found)[0], 1e-6 * whole + 1e-30
    return jnp.maximum(rest, least), rest < least


def _single(moments: Moments) -> Moments:
    """In single precision, for the device."""
    found: Moments = jax.tree.map(lambda each: np.asarray(each, np.float32), moments)
    return found


def _at(moments: Moments, fold: int) -> Moments:
    found: Moments = jax.tree.map(lambda each: each[fold], moments)
    return found
