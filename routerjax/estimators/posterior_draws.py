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

from routerjax.estimators.hierarchical import FLAT, Posterior, Sizes, coefficients


def draw_coefficients(
    posterior: Posterior, sizes: Sizes, *, draws: int, seed: int
) -> Float[np.ndarray, "s D m"]:
    """Draws of β + β_m from the posterior of all rows.

    Args:
      posterior: of all rows.
      sizes: of the features.
      draws: s.
      seed: of the draws.
    """
    rng, spread = np.random.default_rng(seed), posterior.variance**0.5
    shared, own = _standard_deviations(posterior.log_ratios, sizes)
    gram = np.asarray(posterior.moments.gram, np.float64)
    models, width = gram.shape[:2]
    values, vectors = np.linalg.eigh(gram)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None]  # [m, D, D], root·rootᵀ = gram
    noise = np.sqrt(np.asarray(posterior.noise, np.float64))[:, None]
    ratios, variances = (
        jnp.asarray(each, jnp.float32) for each in (posterior.log_ratios, posterior.noise)
    )
    found = np.empty((draws, width, models))
    for draw in range(draws):
        common = shared * rng.standard_normal(width)
        prior = spread * (common + own * rng.standard_normal((models, width)))  # [m, D]
        missed = spread * noise * np.einsum("mde,me->md", root, rng.standard_normal(prior.shape))
        cross = np.einsum("mde,me->md", gram, prior) + missed
        left = np.asarray(posterior.moments.cross, np.float64) - cross
        moments = posterior.moments._replace(cross=jnp.asarray(left, jnp.float32))
        fitted = np.asarray(_coefficients(ratios, moments, variances, sizes), np.float64)
        found[draw] = prior.T + fitted
    return found


_coefficients = jax.jit(coefficients, static_argnames="sizes")


def _standard_deviations(
    log_ratios: Float[np.ndarray, " 5"], sizes: Sizes
) -> tuple[Float[np.ndarray, " D"], Float[np.ndarray, " D"]]:
    """[D] of what arms share and of how they differ, in units of the noise."""
    arm, linear, smooth, own_linear, own_smooth = np.exp(np.asarray(log_ratios, np.float64) / 2)
    widths = (1, sizes.linear, sizes.smooth)
    return (
        np.repeat([FLAT**0.5, linear, smooth], widths),
        np.repeat([arm, own_linear, own_smooth], widths),
    )
