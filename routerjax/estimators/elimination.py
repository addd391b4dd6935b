"""The normal equations of the two-level regression, arms eliminated one by one.

Its coefficients are β and γ, which all arms share, and the β_m of the arms (hierarchical.py).
Given β and γ the arms are independent, so that they leave a system of twice the features' number
(Schur complement): of that and of each arm's own there is one Cholesky factor. All that is asked of
the regression, its means, variances and marginal likelihood, is told by these factors.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from routerjax.estimators.moments import Moments

FLAT = 100.0
"""Variance of the constant that all arms share, in units of the noise: hardly any shrinkage."""


class Sizes(NamedTuple):
    """How many features of each kind there are, after the constant: each has its own variances."""

    linear: int
    smooth: int
    tasks: int = 0


class Arms(NamedTuple):
    """What is known of the arms before the regression.

    Attributes:
      noise: [m] v, variance of each arm's noise over σ².
      level: [m] ℓ, how strong each arm is; mean 0, mean square 1.
    """

    noise: Float[Array | np.ndarray, " m"]
    level: Float[Array | np.ndarray, " m"]


def standard_deviations(
    log_ratios: Float[Array | np.ndarray, " 10"], sizes: Sizes
) -> tuple[Array, Array]:
    """[2D] of β and γ, which all arms share, and [D] of how they differ, in units of the noise.

    What strong and weak arms find differently hard has no constant: that is the arms' means.
    """
    arm, *rest = jnp.exp(jnp.asarray(log_ratios) / 2)

    def row(constant: Array | float, kinds: list[Array]) -> Array:
        each = zip((1, *sizes), (constant, *kinds), strict=True)
        return jnp.concatenate([jnp.full(width, value) for width, value in each])

    shared = (row(FLAT**0.5, rest[:3]), row(0.0, rest[6:]))
    return jnp.concatenate(shared), row(arm, rest[3:6])


def scaled(moments: Moments, arms: Arms) -> tuple[Array, Array]:
    """G_m / v_m [m, D, D] and Φ_mᵀ y / v_m [m, D, 1]."""
    gram, cross = jnp.asarray(moments.gram), jnp.asarray(moments.cross)
    return gram / arms.noise[:, None, None], (cross / arms.noise[:, None])[..., None]


def of_arms(
    level: Float[Array | np.ndarray, " m"], both: Float[Array | np.ndarray, " E"]
) -> Float[Array, "m D"]:
    """β + ℓ_m γ of every arm, of (β, γ)."""
    beta, gamma = jnp.split(jnp.asarray(both), 2)
    found: Array = beta[None] + jnp.asarray(level)[:, None] * gamma[None]
    return found


class Factors(NamedTuple):
    """The normal equations, arms eliminated: of B_m = L_m L_mᵀ and S = L Lᵀ, with q sides; E = 2D.

    Attributes:
      inverse: [m, D, D] L_m⁻¹.
      left: [m, D, D] L_m⁻¹ Λ^½ G_m.
      right: [m, D, q] L_m⁻¹ Λ^½ of the sides.
      common_inverse: [E, E] L⁻¹.
      common: [E, q] L⁻¹ of what all arms leave of the sides for β and γ.
      level: [m] of the arms.
      volume: Σ log|B_m| + log|S|.
    """

    inverse: Float[Array, "m D D"]
    left: Float[Array, "m D D"]
    right: Float[Array, "m D q"]
    common_inverse: Float[Array, "E E"]
    common: Float[Array, "E q"]
    level: Float[Array, " m"]
    volume: Float[Array, ""]


def eliminated(
    gram: Array, sides: Array, level: Array | np.ndarray, shared: Array, own: Array
) -> Factors:
    """Eliminate the arms one by one, then solve for what they share.

    What an arm leaves, A_m of the Gram matrix, tells of β + ℓ_m γ alone, and so
    S = I + diag(shared)^½ Σ_m [[1, ℓ_m], [ℓ_m, ℓ_m²]] ⊗ A_m diag(shared)^½.

    No deviation `own` is 0: what is left of an arm is L⁻¹ (B − I) Λ^−½, with no product.

    The factorisations of the arms follow each other: batches of them that XLA starts side by side
    on a CPU may wait for each other's threads for ever.
    """
    width = len(own)
    blocks = jnp.eye(width)[None] + own[None, :, None] * gram * own[None, None]
    factor, inverse = jax.lax.map(_factors, blocks)
    volume = 2 * jnp.sum(jnp.log(jnp.diagonal(factor, axis1=1, axis2=2)))
    left = (factor.swapaxes(1, 2) - inverse) / own[None, None]  # L⁻¹ (B − I) = Lᵀ − L⁻¹
    right = inverse @ (own[None, :, None] * sides)
    across = left.swapaxes(1, 2)
    matrix, rest = gram - across @ left, sides - across @ right
    level = jnp.asarray(level)
    powers = jnp.stack([jnp.ones_like(level), level, level**2])
    once, by_level, twice = jnp.tensordot(powers, matrix, axes=1)
    information = jnp.block([[once, by_level], [by_level, twice]])
    rests = jnp.concatenate([*jnp.tensordot(powers[:2], rest, axes=1)])
    common_factor, common_inverse = _factors(
        jnp.eye(2 * width) + shared[:, None] * information * shared[None]
    )
    volume += 2 * jnp.sum(jnp.log(jnp.diag(common_factor)))
    common = common_inverse @ (shared[:, None] * rests)
    return Factors(inverse, left, right, common_inverse, common, level, volume)


def _factors(matrix: Float[Array, "D D"]) -> tuple[Float[Array, "D D"], Float[Array, "D D"]]:
    """L and L⁻¹ of A = L Lᵀ."""
    factor = jnp.linalg.cholesky(matrix)
    inverse = jax.scipy.linalg.solve_triangular(factor, jnp.eye(len(matrix)), lower=True)
    return factor, inverse


def means_of(found: Factors, shared: Array) -> tuple[Float[Array, " E"], Float[Array, "m D"]]:
    """Posterior means of the coefficients over their prior's deviations, of the first side."""
    both = found.common_inverse.T @ found.common[:, 0]
    rest = found.right[..., :1] - found.left @ of_arms(found.level, shared * both)[..., None]
    return both, (found.inverse.swapaxes(1, 2) @ rest)[..., 0]


def explained(found: Factors) -> Float[Array, " q"]:
    """[q] sᵀ C s over σ² of every side s: what Φᵀy explains of Σ y², if s is that."""
    return jnp.sum(found.right**2, axis=(0, 1)) + jnp.sum(found.common**2, axis=0)


def residual(found: Factors, whole: Array) -> tuple[Array, Array]:
    """q, the residual sum of squares over the noise's variance, and whether it was clipped."""
    rest, least = whole - explained(found)[0], 1e-6 * whole + 1e-30
    return jnp.maximum(rest, least), rest < least
