"""Boosted oblivious trees: which arm answers a query, where rules with thresholds decide it.

Production logs are written by rules: prompts longer than this go there, this tenant never goes
elsewhere. A network smooths such an edge over; a tree finds it. In an oblivious tree all nodes
of a level ask the same question, so that a tree is a table and a query's leaf a few bits.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

ROUNDS = 50
DEPTH = 2
NEVER = -1e9
"""Log odds of an arm that could not be chosen: their softmax is 0, and no number is infinite."""


class Trees(NamedTuple):
    """A boosted multinomial model of m arms, t trees of depth l.

    Attributes:
      start: [m] log share of each arm.
      feature: [t, l] column that each level asks of.
      edge: [t, l] the bit of a level is whether the column lies above this.
      leaves: [t, 2^l, m] log odds that a leaf adds.
    """

    start: Float[Array | np.ndarray, "*k m"]
    feature: Int[Array | np.ndarray, "*k t l"]
    edge: Float[Array | np.ndarray, "*k t l"]
    leaves: Float[Array | np.ndarray, "*k t leaves m"]


def log_odds(trees: Trees, x: Float[Array, "n d"]) -> Float[Array, "n m"]:
    """Logits of the arms at queries x; their softmax is the propensity π(m | x)."""
    bits = x[:, trees.feature] > trees.edge[None]  # [n, t, l]
    leaf = jnp.sum(bits * 2 ** jnp.arange(bits.shape[-1])[None, None], axis=-1)
    leaves = jnp.asarray(trees.leaves)
    added = jax.vmap(lambda own: leaves[jnp.arange(own.shape[0]), own].sum(axis=0))(leaf)
    return jnp.asarray(trees.start)[None] + added
