"""Linen modules: the trunk and the heads for routing, outcomes and propensities.

Every head is a pure function of immutable parameters: `head.init(key, x)`, `head.apply`.
Output kernels start at zero and output biases where the caller says, so that a head starts
at its intercepts (arm means, best single model) and training can only add to them.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


class Trunk(nn.Module):
    """Embed a query: Dense and GELU per width, [..., d] → [..., widths[-1]]."""

    widths: tuple[int, ...] = (128,)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.widths:
            x = nn.gelu(nn.Dense(width)(x))
        return x


class Head(nn.Module):
    """A trunk with linear outputs of shape `outputs`: [..., d] → [..., *outputs].

    ``outputs=(m,)`` is one output per arm (outcomes, propensities); ``outputs=(w, m)`` one
    row of arm logits per cost weight (router).
    """

    outputs: tuple[int, ...]
    widths: tuple[int, ...] = (128,)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        hidden = Trunk(self.widths)(x)
        flat = nn.Dense(int(np.prod(self.outputs)), kernel_init=nn.initializers.zeros, name="out")(
            hidden
        )
        return flat.reshape(*x.shape[:-1], *self.outputs)


def outputs(head: Head, params: Any, x: jax.Array) -> jax.Array:
    """A head's outputs for x [..., d], [..., *head.outputs]."""
    return cast(jax.Array, head.apply(params, x))


@functools.partial(jax.jit, static_argnums=(0, 1))
def initial(head: Head, dimensions: int, key: jax.Array, intercepts: jax.Array) -> Any:
    """Parameters of r heads, leading axis r, whose outputs start at `intercepts` [r, *outputs]."""

    def one(key, intercepts):
        params = head.init(key, jnp.zeros(dimensions))["params"]
        out = {**params["out"], "bias": jnp.ravel(intercepts)}
        return {"params": {**params, "out": out}}

    return jax.vmap(one)(jax.random.split(key, intercepts.shape[0]), intercepts)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scaling:
    """Centre embeddings and divide them by one number, their root mean square about the centre.

    Attributes:
      centre: [d].
      scale: scalar.
    """

    centre: jax.Array | np.ndarray
    scale: jax.Array | np.ndarray

    @classmethod
    def of(cls, embeddings: np.ndarray) -> Scaling:
        """The scaling under which `embeddings` [n, d] have mean 0 and mean square 1."""
        centre = np.mean(embeddings, axis=0, dtype=np.float64)
        square = np.mean(np.square(embeddings, dtype=np.float64), axis=0) - centre**2
        scale = np.sqrt(max(float(np.mean(square)), 1e-12))
        return cls(np.asarray(centre, np.float32), np.asarray(scale, np.float32))

    def __call__(self, embeddings: jax.Array | np.ndarray) -> jax.Array:
        return (jnp.asarray(embeddings, jnp.float32) - self.centre) / self.scale
