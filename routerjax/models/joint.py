"""The interval-conditioned joint router: from two endpoint routers to any cost weight between."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from routerjax.estimators.utility import Unit, bracket_of
from routerjax.models.heads import JointHead, outputs


def joint_logits(
    params: Any,
    ends: Float[Array, "n w m"],
    fitted: tuple[float, ...],
    unit: Unit,
    cost_weights: Float[Array, " k"],
) -> Float[Array, "n k m"]:
    """Logits of the joint router from the endpoint routers' logits.

    z_λ = [(1 − α)·s_k·e^{α·a}·z_k + α·s_{k+1}·e^{(1−α)·b}·z_{k+1}] / s_λ + 4α(1 − α)·g(z_k,
    z_{k+1}, α, k), with trained a, b per bracket and a trained network g. Utility is affine in λ,
    s_λ·ũ_λ = (1 − α)·s_k·ũ_k + α·s_{k+1}·ũ_{k+1}, so that with a = b = g = 0 the start is
    carried over exactly. At α = 0 and 1 it is the endpoint router, whatever was trained.

    Args:
      params: Parameters of a `JointHead`.
      ends: [n, w, m] logits of the endpoint routers.
      fitted: [w] their cost weights, rising.
      unit: Unit of the utilities.
      cost_weights: [k] within the fitted range.

    Returns:
      [n, k, m].

    Reference: Causal LLM Routing (arXiv 2505.16037), the interval-conditioned joint router; the
    form is ours.
    """
    lower, upper, share = bracket_of(cost_weights, fitted)
    bracket = jax.nn.one_hot(lower, len(fitted) - 1)
    low, high = ends[:, lower], ends[:, upper]
    term, low_log, high_log = outputs(JointHead(), params, low, high, share, bracket)
    at_fitted = jnp.asarray(fitted, jnp.float32)
    scale = unit.at(cost_weights)
    low_share = (1 - share) * unit.at(at_fitted[lower]) / scale * jnp.exp(share * low_log)
    high_share = share * unit.at(at_fitted[upper]) / scale * jnp.exp((1 - share) * high_log)
    low, high, term = (
        each[None, :, None] * logits
        for each, logits in ((low_share, low), (high_share, high), (4 * share * (1 - share), term))
    )
    return low + high + term
