"""The meta-router's predictor of gains and its decisions.

For m models it knows the gain of each over the reference and sends a query to the model of
largest gain less price; for a pair that is the paper's rule, the primary when
ψ(x) > λ (C_primary − C_alternative).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from routerjax.estimators.components import Components
from routerjax.estimators.ridge import Linear


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GainRouter:
    """Predicted gains as an affine function of the components of an embedding.

    Attributes:
      components: Principal components of the embeddings.
      gain: ψ, a `Linear` with a leading axis a over the models but the reference.
      costs: [a + 1] dollars per query, the reference first.
    """

    components: Components
    gain: Linear
    costs: Array

    def gains(self, embeddings: Float[Array, "n d"]) -> Float[Array, "n a"]:
        """Predicted gain ψ(x, m) of every model over the reference, [n, a]."""
        x = self.components(jnp.asarray(embeddings))
        return x @ self.gain.coefficients.T + self.gain.intercept[None]

    def route(
        self, embeddings: Float[Array, "n d"], cost_weight: Array | float
    ) -> Int[Array, " n"]:
        """Model of largest ψ(x, m) − λ (C_m − C_0), 0 being the reference, [n]."""
        return decide(self.gains(embeddings), self.costs, cost_weight)


def decide(
    gains: Float[Array, "n a"], costs: Float[Array, " m"], cost_weight: Array | float
) -> Int[Array, " n"]:
    """Send each query to the model of largest gain less price; the reference wins a tie.

    argmax_m ψ(x, m) − λ (C_m − C_0) with ψ(x, 0) = 0: for a pair, the primary when
    ψ(x) > λ (C_primary − C_alternative).

    Args:
      gains: [n, a] over the reference, in quality.
      costs: [a + 1] dollars per query, the reference first.
      cost_weight: λ, quality per dollar.

    Reference: Meta-Router (arXiv 2509.25535), the decision rule.

    >>> decide(jnp.array([[0.3], [0.1]]), jnp.array([0.0, 0.02]), 10.0).tolist()
    [1, 0]
    """
    net = gains - jnp.atleast_2d(cost_weight * (costs[1:] - costs[0]))
    return jnp.argmax(jnp.concatenate([jnp.zeros_like(net[:, :1]), net], axis=1), axis=1)
