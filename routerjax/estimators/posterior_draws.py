"""Draws from the posterior of the two-level regression, by the factors that give its means.

A draw of all coefficients from the prior, and of labels that they would give, is fitted as the
real labels are: what the fit misses of the draw has the posterior's covariance. So

    W = W₀ + Ŵ(y − y₀),   W₀ from the prior, y₀ = φᵀ W₀ + ε₀,

with Ŵ the posterior mean as a linear function of the labels, is a draw from the posterior. Of the
labels only Φᵀy is needed, and of the drawn noise only Φᵀε₀ ~ N(0, σ² v ΦᵀΦ).

Reference: Matheron's rule; Hoffman, Ribak (1991), Constrained Realizations of Gaussian Fields;
Wilson et al. (2020), Efficiently Sampling Functions from Gaussian Process Posteriors.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from routerjax.estimators.elimination import Sizes, of_arms, standard_deviations
from routerjax.estimators.hierarchical import Posterior, coefficients


def draw_coefficients(
    posterior: Posterior, sizes: Sizes, *, draws: int, seed: int
) -> Float[np.ndarray, "s D m"]:
    """Draws of β + ℓ_m γ + β_m from the posterior of all rows.

    Args:
      posterior: of all rows.
      sizes: of the features.
      draws: s.
      seed: of the draws.
    """
    rng, spread = np.random.default_rng(seed), posterior.variance**0.5
    shared, own = (
        np.asarray(each, np.float64) for each in standard_deviations(posterior.log_ratios, sizes)
    )
    level = np.asarray(posterior.arms.level, np.float64)
    gram = np.asarray(posterior.moments.gram, np.float64)
    models, width = gram.shape[:2]
    values, vectors = np.linalg.eigh(gram)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None]  # [m, D, D], root·rootᵀ = gram
    noise = np.sqrt(np.asarray(posterior.arms.noise, np.float64))[:, None]
    ratios = jnp.asarray(posterior.log_ratios, jnp.float32)
    found = np.empty((draws, width, models))
    for draw in range(draws):
        common = np.asarray(of_arms(level, shared * rng.standard_normal(2 * width)))
        prior = spread * (common + own * rng.standard_normal((models, width)))  # [m, D]
        missed = spread * noise * np.einsum("mde,me->md", root, rng.standard_normal(prior.shape))
        cross = np.einsum("mde,me->md", gram, prior) + missed
        left = np.asarray(posterior.moments.cross, np.float64) - cross
        moments = posterior.moments._replace(cross=jnp.asarray(left, jnp.float32))
        fitted = np.asarray(_coefficients(ratios, moments, posterior.arms, sizes), np.float64)
        found[draw] = prior.T + fitted
    found[:, 0] += posterior.above
    return found


_coefficients = jax.jit(coefficients, static_argnames="sizes")
