"""Rows on which not every arm could be chosen, for surrogates that know nothing of it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

BELOW = 1e4
"""By how much the logit of such an arm lies below the least of the others."""
WORSE = 1e-3
"""By how much its utility does, so that it is never among the best, not even in a tie."""


def masked(
    logits: Float[Array, "*batch m"],
    utilities: Float[Array, "*batch m"],
    available: Bool[Array, "*batch m"],
) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch m"]]:
    """Logits and utilities in which an arm that could not be chosen is last; it has no gradient.

    f_m = min_A f − 10⁴ and ũ_m = min_A ũ − 10⁻³ where m is not in A, the arms available. The
    softmax of such an arm is 0 and every pair with it is in the right order, so that a surrogate of
    softmaxes or pairs is that of the arms in A alone (up to 10⁻³ where it takes the range of ũ, and
    up to a constant where it takes their mean). All numbers are finite, and so are gradients.

    Args:
      logits: [..., m] real scores.
      utilities: [..., m] utilities of about unit spread.
      available: [..., m], at least one True in each row.
    """

    def least(values: Float[Array, "*batch m"]) -> Float[Array, "*batch 1"]:
        lowest = jnp.min(jnp.where(available, values, jnp.inf), axis=-1, keepdims=True)
        return jax.lax.stop_gradient(lowest)

    return (
        jnp.where(available, logits, least(logits) - BELOW),
        jnp.where(available, utilities, least(utilities) - WORSE),
    )
