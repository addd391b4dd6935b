"""Linen modules: the trunk and the heads for routing, outcomes and propensities.

Every head is a pure function of immutable parameters: `head.init(key, x)`, `head.apply`.
Output kernels start at zero and output biases where the caller says, so that a head starts
at its intercepts (arm means, best single model) and training can only add to them.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import overload

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from routerjax.estimators.components import leading_components
from routerjax.records.on_disk import Stored, blocks


class Trunk(nn.Module):
    """Embed a query: Dense and GELU per width, [..., d] → [..., widths[-1]]."""

    widths: tuple[int, ...] = (128,)

    @nn.compact
    def __call__(self, x: Float[Array, "*n d"]) -> Float[Array, "*n h"]:
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
    def __call__(self, x: Float[Array, "*n d"]) -> Float[Array, "*_"]:
        hidden = Trunk(self.widths)(x)
        flat = nn.Dense(int(np.prod(self.outputs)), kernel_init=nn.initializers.zeros, name="out")(
            hidden
        )
        return flat.reshape(*x.shape[:-1], *self.outputs)


class ConditionedHead(nn.Module):
    """One network of the query and of numbers that describe a cost weight.

    [..., d] and [k, f] → [..., k, models]. The first layer is linear in both, so that the query
    goes through it once for all k cost weights.
    """

    models: int
    widths: tuple[int, ...] = (128,)

    @nn.compact
    def __call__(
        self, x: Float[Array, "*n d"], position: Float[Array, "k f"]
    ) -> Float[Array, "*n k {self.models}"]:
        first, *others = self.widths
        hidden = nn.Dense(first, name="query")(x)[..., None, :]
        moved = nn.Dense(first, use_bias=False, name="position")(position)
        hidden = nn.gelu(hidden + moved.reshape(*(1,) * (x.ndim - 1), *moved.shape))
        hidden = Trunk(tuple(others), name="trunk")(hidden)
        return nn.Dense(self.models, kernel_init=nn.initializers.zeros, name="out")(hidden)


class JointHead(nn.Module):
    """What a joint router adds to the interpolation of two endpoint routers.

    From the endpoints' logits, [..., k, m] each, the share α [k] of the upper endpoint and the
    bracket as an indicator [k, w − 1]: a term for every arm, [..., k, m], and the logarithms
    of two factors [k] by which the endpoints' logits are brought to one scale. All are 0 at
    the start.
    """

    widths: tuple[int, ...] = (32,)

    @nn.compact
    def __call__(
        self,
        lower: Float[Array, "*n k m"],
        upper: Float[Array, "*n k m"],
        share: Float[Array, " k"],
        bracket: Float[Array, "k w"],
    ) -> tuple[Float[Array, "*n k m"], Float[Array, " k"], Float[Array, " k"]]:
        centred = [z - jnp.mean(z, axis=-1, keepdims=True) for z in (lower, upper)]
        where = jnp.concatenate([bracket, bracket * share[:, None]], axis=-1)
        where = jnp.broadcast_to(where, (*lower.shape[:-1], where.shape[-1]))
        hidden = Trunk(self.widths, name="trunk")(jnp.concatenate([*centred, where], axis=-1))
        zeros = nn.initializers.zeros
        term = nn.Dense(lower.shape[-1], kernel_init=zeros, name="out")(hidden)
        factors = self.param("factors", zeros, (bracket.shape[-1], 2))
        low, high = jnp.moveaxis(bracket @ factors, -1, 0)
        return term, low, high


def outputs(head: nn.Module, params: PyTree, *inputs: Float[Array, "*_"]) -> PyTree:
    """A head's outputs; for a `Head` and x [..., d] they are [..., *head.outputs]."""
    return head.apply(params, *inputs)


@functools.partial(jax.jit, static_argnums=(0, 1))
def initial(
    head: Head, dimensions: int, key: PRNGKeyArray, intercepts: Float[Array, "r ..."]
) -> PyTree[Float[Array, "r ..."]]:
    """Parameters of r heads, leading axis r, whose outputs start at `intercepts` [r, *outputs]."""

    def one(key: PRNGKeyArray, intercepts: Float[Array, "*_"]) -> PyTree[Float[Array, "*_"]]:
        params = head.init(key, jnp.zeros(dimensions))["params"]
        out = {**params["out"], "bias": jnp.ravel(intercepts)}
        return {"params": {**params, "out": out}}

    return jax.vmap(one)(jax.random.split(key, intercepts.shape[0]), intercepts)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scaling:
    """Centre embeddings and divide them by one number, their root mean square about the centre.

    Where there are directions, what is divided are the leading principal components.

    Attributes:
      centre: [d].
      scale: scalar.
      directions: [d, c] orthonormal columns of the leading principal components; None keeps all d.
    """

    centre: PyTree  # an array, or what a map over trees puts in its place: a shape, say
    scale: PyTree
    directions: PyTree = None

    @classmethod
    def of(
        cls, embeddings: Float[np.ndarray, "n d"] | Stored, *, components: int | None = None
    ) -> Scaling:
        """The scaling under which `embeddings` [n, d] have mean 0 and mean square 1.

        Args:
          embeddings: the rows to fit on.
          components: c, of which the mean square is 1 then; None, or 0, keeps the d columns.

        Raises:
          InputError: more components than columns.
        """
        if components:
            centre, directions, variance = leading_components(embeddings, components)
            scale = np.sqrt(max(variance, 1e-12))
            return cls(centre, np.asarray(scale, np.float32), directions)
        count, doubles = len(embeddings), functools.partial(np.sum, axis=0, dtype=np.float64)
        centre = sum(doubles(block) for block in blocks(embeddings)) / count
        squares = (doubles(np.square(block, dtype=np.float64)) for block in blocks(embeddings))
        square = sum(squares) / count - centre**2
        scale = np.sqrt(max(float(np.mean(square)), 1e-12))
        return cls(np.asarray(centre, np.float32), np.asarray(scale, np.float32))

    @overload
    def __call__(self, embeddings: Stored) -> Stored: ...

    @overload
    def __call__(self, embeddings: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n _"]: ...

    @overload
    def __call__(self, embeddings: Float[Array, "n d"]) -> Float[Array, "n _"]: ...

    def __call__(
        self, embeddings: Float[Array | np.ndarray, "n d"] | Stored
    ) -> Float[Array | np.ndarray, "n _"] | Stored:
        if self.directions is not None:
            return self._components(embeddings)
        if isinstance(embeddings, Stored):
            return embeddings.scaled(np.asarray(self.centre), np.asarray(self.scale))
        if isinstance(embeddings, np.ndarray):  # nothing to compile
            away, first = np.empty(embeddings.shape, np.float32), 0
            for block in blocks(embeddings):
                own = away[first : first + len(block)]
                np.subtract(block.astype(np.float32, copy=False), np.asarray(self.centre), out=own)
                first += len(block)
            away *= np.float32(1) / np.asarray(self.scale)  # XLA's bits: it divides so
            return away
        return (jnp.asarray(embeddings, jnp.float32) - self.centre[None]) / self.scale

    def _components(
        self, embeddings: Float[Array | np.ndarray, "n d"] | Stored
    ) -> Float[Array | np.ndarray, "n c"]:
        """The components of embeddings; those of rows on disk are few enough for memory."""
        if isinstance(embeddings, Stored | np.ndarray):
            centre, directions = np.asarray(self.centre), np.asarray(self.directions)
            scale = np.asarray(self.scale)
            parts = [(block - centre) @ directions / scale for block in blocks(embeddings)]
            return np.concatenate(parts).astype(np.float32)
        away = jnp.asarray(embeddings, jnp.float32) - self.centre[None]
        own: Array = jnp.matmul(away, self.directions, precision=jax.lax.Precision.HIGHEST)
        return own / self.scale
