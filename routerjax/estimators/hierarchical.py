"""Two-level regression in closed form: what arms share, and how each differs, shrunk by the data.

    y_i = φ(x_i)·(β + ℓ_t γ + β_t) + ε_i,   (β, γ) ~ N(0, σ² diag(shared)),
    β_t ~ N(above_t, σ² diag(own)),   ε_i ~ N(0, σ² v_t)

φ holds a constant, linear features, features of a Gaussian kernel and probabilities of tasks, so
that the model is a Gaussian process of eleven variance components: the noise σ², the arms' means,
and three each, one a kind of feature, of a common difficulty, of the arms' own deviations, and of
what strong and weak arms find differently hard (ℓ_t is the arm's level, its mean outcome,
standardised).
Most of what a query tells of an outcome is common to all arms, and cannot route; the rest can.
That a query is easy for all, for the strong alone or for none is learnt from every arm's rows at
once; of the own deviations, one strength for all arms is what a few dozen rows an arm can tell.
The variances are those of highest marginal likelihood times a prior. Given β and γ the arms are
independent, so that they are eliminated one by one (Schur complement): the cost is one
factorisation per arm and one of twice the width, whatever the number of rows.

All of it is a function of the rows' moments, arm by arm. The moments of all rows but a fold's are
a difference, so that cross-fitting costs a few more factorisations and no pass over the rows.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from routerjax.estimators.arm_means import prior_means, uneven
from routerjax.estimators.elimination import (
    Arms,
    Sizes,
    eliminated,
    explained,
    means_of,
    of_arms,
    residual,
    scaled,
    standard_deviations,
)
from routerjax.estimators.moments import Moments, level_of, noise_of, shifted
from routerjax.support.compilation import padded, quickly_compiled

PRIOR_MEAN = (-2.4, -2.4, -2.6, -2.4, -4.0, -4.0, -4.4, -4.7, -4.7, -5.1)
PRIOR_SPREAD = 0.7
"""Mean and spread of the logarithms of the variances in units of the noise: of the arms' means,
what they share (linear, smooth, tasks), how they differ (the same), and how strong arms differ from
weak ones (the same)."""
BOUND = 6.0
"""How far from the prior's mean the logarithm of a variance may go."""
SUMS = 16
"""Weighted sums whose variance is computed at once; fewer are filled up to as many."""


class Posterior(NamedTuple):
    """The fitted regression.

    Attributes:
      outside: [k, D, m] coefficients β + ℓ_m γ + β_m from the rows outside each fold.
      every: [D, m] from all rows.
      log_ratios: [10] logarithms of the variances, in units of the noise.
      variance: σ², of the noise.
      arms: their noise and level, from all rows.
      outside_arms: the same from the rows outside each fold, leading axis k.
      moments: of all rows, labels less what their arm's mean is drawn to.
      outside_moments: of the rows outside each fold, leading axis k.
      above: [m] what the arms' means are drawn to by all rows; the coefficients hold it.
    """

    outside: Float[np.ndarray, "k D m"]
    every: Float[np.ndarray, "D m"]
    log_ratios: Float[np.ndarray, " 10"]
    variance: float
    arms: Arms
    outside_arms: Arms
    moments: Moments
    outside_moments: Moments
    above: Float[np.ndarray, " m"]


def fit_hierarchical(
    by_fold: Moments,
    sizes: Sizes,
    *,
    prior_mean: tuple[float, ...] = PRIOR_MEAN,
    by_asking: bool = False,
) -> Posterior:
    """Fit the two-level regression, out of every fold and to all rows.

    The variances come from all rows; they are ten numbers that a fold's rows can hardly move.

    Args:
      by_fold: of labels whose mean is near 0, leading axis k.
      sizes: of the features.
      prior_mean: of the logarithms of the variances.
      by_asking: whether the arms' means are drawn to what the numbers of their rows tell
        (`prior_means`, of the rows outside each fold for that fold), and not to that of all.
    """
    from scipy.optimize import minimize

    every = jax.tree.map(lambda each: np.asarray(each).sum(axis=0), by_fold)
    sets = jax.tree.map(
        lambda all_, own: np.concatenate([all_[None], all_[None] - np.asarray(own)]), every, by_fold
    )
    mean, above = np.asarray(prior_mean), np.zeros(sets.rows.shape)
    if by_asking and uneven(every):
        plain, _ = _solved(np.asarray(mean, np.float32), _single(sets), _arms(sets, above), sizes)
        parts = [prior_means(_at(sets, i), own) for i, own in enumerate(np.asarray(plain))]
        above = np.stack(parts)
        sets = shifted(sets, above)
    arms, single = _arms(sets, above), _single(sets)
    on_device: Moments = jax.device_put(_at(single, 0))
    arms_of_all: Arms = _at(arms, 0)

    def value(log_ratios: np.ndarray) -> tuple[float, np.ndarray]:
        found = _value_and_slope(np.asarray(log_ratios, np.float32), on_device, arms_of_all, sizes)
        own, slope = (np.asarray(each, np.float64) for each in found)
        away = (log_ratios - mean) / PRIOR_SPREAD
        return float(own + away @ away / 2), slope + away / PRIOR_SPREAD

    bounds = [(each - BOUND, each + BOUND) for each in mean]
    # Slopes of ½ in all of them leave less than half a nat where the value bends as its prior alone
    # does; and closer than 1e-6 of it is rounding in single precision, as are long line searches.
    options = {"maxiter": 50, "ftol": 1e-6, "gtol": 0.5, "maxls": 5}
    best = minimize(value, mean, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    found = _solved(np.asarray(best, np.float32), single, arms, sizes)
    means, rest = (np.array(each) for each in found)
    means[:, 0] += above
    variance = float(rest[0]) / max(float(every.rows.sum()), 1.0)
    outside, outside_arms = (jax.tree.map(lambda each: each[1:], each) for each in (single, arms))
    return Posterior(
        outside=means[1:],
        every=means[0],
        log_ratios=np.asarray(best),
        variance=variance,
        arms=arms_of_all,
        outside_arms=outside_arms,
        moments=_at(single, 0),
        outside_moments=outside,
        above=above[0],
    )


def variance_of(
    posterior: Posterior,
    weights: Float[np.ndarray, "q m D"],
    sizes: Sizes,
    *,
    fold: int | None = None,
) -> Float[np.ndarray, " q"]:
    """Posterior variance of sums of the coefficients, Σ_m w_mᵀ (β + ℓ_m γ + β_m), q of them.

    σ² wᵀ C w, σ² C the covariance of all coefficients, by the factors that give their means: it is
    what Φᵀy would explain, were it w.

    Args:
      posterior: of all rows and outside the folds.
      weights: [q, m, D] w.
      sizes: of the features.
      fold: a fold, for the posterior of the rows outside it; None for that of all rows.
    """
    ratios = np.asarray(posterior.log_ratios, np.float32)
    told = (posterior.moments, posterior.arms)
    if fold is not None:
        told = _at((posterior.outside_moments, posterior.outside_arms), fold)
    found = [
        np.asarray(_variances(ratios, *told, padded(each, SUMS), sizes), np.float64)[: len(each)]
        for each in np.split(np.asarray(weights, np.float32), range(SUMS, len(weights), SUMS))
    ]
    return posterior.variance * np.concatenate(found)


def mean_features(posterior: Posterior, *, fold: int | None = None) -> Float[np.ndarray, " D"]:
    """[D] mean of φ over the rows, as they count, of all of them or of those outside a fold."""
    told = posterior.moments if fold is None else _at(posterior.outside_moments, fold)
    of_arm: np.ndarray = np.asarray(told.gram, np.float64)[:, 0]  # φ's first column is of ones
    found: np.ndarray = of_arm.sum(axis=0) / max(float(np.asarray(told.rows).sum()), 1e-9)
    return found


def coefficients(
    log_ratios: Float[Array, " 10"], moments: Moments, arms: Arms, sizes: Sizes
) -> Float[Array, "D m"]:
    """Posterior means of β + ℓ_m γ + β_m, [D, m]; arguments as of `value_and_slope`."""
    return _solution(log_ratios, moments, arms, sizes)[0]


def _solution(
    log_ratios: Array, moments: Moments, arms: Arms, sizes: Sizes
) -> tuple[Float[Array, "D m"], Float[Array, ""]]:
    """Posterior means, and the residual sum of squares over the noise's variance."""
    shared, own = standard_deviations(log_ratios, sizes)
    found = eliminated(*scaled(moments, arms), arms.level, shared, own)
    common, each = means_of(found, shared)
    rest, _ = residual(found, jnp.sum(moments.square / arms.noise))
    return (of_arms(arms.level, shared * common) + own[None] * each).T, rest


def value_and_slope(
    log_ratios: Float[Array, " 10"], moments: Moments, arms: Arms, sizes: Sizes
) -> tuple[Float[Array, ""], Float[Array, " 10"]]:
    """Minus the log marginal likelihood of the labels, but for a constant, and its gradient.

    With B_m = I + Λ^½ G_m Λ^½ / v_m, Λ = diag(own), and S the same for what is left of all arms
    and shared: f = ½ (Σ log|B_m| + log|S| + n·log q), q the residual sum of squares over the
    noise's variance; the noise is profiled, its best value is q / n. Of the logarithm of a variance
    P that the coefficients b_d share, with posterior variances σ² C_dd,

        ∂f = ½ (Σ_d (1 − C_dd / P) − (n / q) Σ_d b_d² / P)

    Args:
      log_ratios: [10] logarithms of the variances in units of the noise.
      moments: of the rows.
      arms: their noise and level.
      sizes: of the features.

    Reference: MacKay (1992), Bayesian Interpolation, for the gradient.
    """
    shared, own = standard_deviations(log_ratios, sizes)
    found = eliminated(*scaled(moments, arms), arms.level, shared, own)
    rest, clipped = residual(found, jnp.sum(moments.square / arms.noise))
    rows = jnp.sum(moments.rows)
    common, each = means_of(found, shared)
    spread = found.common_inverse * shared[None]
    covariance = spread.T @ spread  # [2D, 2D] of (β, γ)

    of_both = _of_both(covariance, arms.level)
    through = found.inverse.swapaxes(1, 2) @ found.left
    told = 1 - jnp.sum(found.inverse**2, axis=1) - jnp.sum(through @ of_both * through, axis=2)

    fixed = jnp.where(clipped, 0.0, rows / rest)
    together = 1 - jnp.sum(found.common_inverse**2, axis=0) - fixed * common**2
    apart = told - fixed * each**2
    edges = (1, 1 + sizes.linear, 1 + sizes.linear + sizes.smooth)
    parts = [*together.reshape(2, -1), jnp.sum(apart, axis=0)]
    (_, *same), (_, *by_level), (mean, *differ) = (
        [jnp.sum(piece) for piece in jnp.split(part, edges)] for part in parts
    )
    slope = jnp.stack([mean, *same, *differ, *by_level]) / 2
    return (found.volume + rows * jnp.log(rest)) / 2, slope


def _of_both(covariance: Float[Array, "E E"], level: Array | np.ndarray) -> Float[Array, "m D D"]:
    """Covariance of β + ℓ_m γ of every arm, by that of (β, γ)."""
    width, level = len(covariance) // 2, jnp.asarray(level)
    beta, gamma = covariance[:width], covariance[width:]
    powers = jnp.stack([jnp.ones_like(level), level, level**2], axis=1)
    parts = jnp.stack([beta[:, :width], beta[:, width:] + gamma[:, :width], gamma[:, width:]])
    found: Array = jnp.tensordot(powers, parts, axes=1)
    return found


_value_and_slope = quickly_compiled(value_and_slope, static=("sizes",))


@functools.partial(quickly_compiled, static=("sizes",))
def _solved(
    log_ratios: Float[Array, " 10"], sets: Moments, arms: Arms, sizes: Sizes
) -> tuple[Float[Array, "s D m"], Float[Array, " s"]]:
    """Posterior means and residual sums of squares of several sets of rows, leading axis s."""

    def one(own: tuple[Moments, Arms]) -> tuple[Array, Array]:
        return _solution(log_ratios, *own, sizes)

    solved: tuple[Array, Array] = jax.lax.map(one, (sets, arms))
    return solved


@functools.partial(quickly_compiled, static=("sizes",))
def _variances(
    log_ratios: Float[Array, " 10"],
    moments: Moments,
    arms: Arms,
    weights: Float[Array, "q m D"],
    sizes: Sizes,
) -> Float[Array, " q"]:
    """The quadratic form of the posterior covariance, over σ²."""
    shared, own = standard_deviations(log_ratios, sizes)
    gram, _ = scaled(moments, arms)
    found = eliminated(gram, jnp.moveaxis(weights, 0, -1), arms.level, shared, own)
    return explained(found)


def _single(moments: Moments) -> Moments:
    """In single precision, for the device."""
    found: Moments = jax.tree.map(lambda each: np.asarray(each, np.float32), moments)
    return found


def _arms(sets: Moments, above: Float[np.ndarray, "s m"]) -> Arms:
    """Noise and level of the arms by each set, of labels lessened by this; for the device."""
    parts = [
        (noise_of(_at(sets, i)), level_of(shifted(_at(sets, i), -own)))
        for i, own in enumerate(above)
    ]
    return Arms(*(np.stack(each).astype(np.float32) for each in zip(*parts, strict=True)))


def _at(leaves: Any, fold: int) -> Any:
    """A pytree's leaves at a fold, their leading axis."""
    return jax.tree.map(lambda each: each[fold], leaves)
