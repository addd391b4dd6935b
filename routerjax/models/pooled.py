"""The outcome head that pools arms: fixed features of a query and one linear output per arm."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class PooledHead(nn.Module):
    """[..., d] → [..., m]: [1, z, k(z, Z)·H − c]·W with z = (x − centre)·directions.

    Linear features z are the leading principal components of the embeddings; smooth ones are
    those of a Gaussian kernel k at landmarks Z, H = k(Z, Z)^(−½), c their mean. Nothing here is
    trained by gradients: the features come from the embeddings alone and W [D, m] from
    `routerjax.estimators.hierarchical`.
    """

    models: int
    components: int
    landmarks: int

    @nn.compact
    def __call__(self, x: Float[Array, "*n d"]) -> Float[Array, "*n m"]:
        features = PooledFeatures(self.components, self.landmarks, name="features")(x)
        width = 1 + self.components + self.landmarks
        shape = (width, self.models)
        coefficients = self.param("coefficients", nn.initializers.zeros, shape)
        return _product(features, jnp.asarray(coefficients))


class PooledFeatures(nn.Module):
    """[..., d] → [..., D]: a constant, `components` linear and `landmarks` smooth features."""

    components: int
    landmarks: int

    @nn.compact
    def __call__(self, x: Float[Array, "*n d"]) -> Float[Array, "*n D"]:
        def given(name: str, *shape: int) -> Array:
            return jnp.asarray(self.param(name, nn.initializers.zeros, shape))

        def row(values: Array) -> Array:
            return values.reshape(*(1,) * (x.ndim - 1), -1)

        away = x - row(given("centre", x.shape[-1]))
        z = _product(away, given("directions", x.shape[-1], self.components))
        points = given("points", self.landmarks, self.components)
        both = row(jnp.sum(points**2, axis=-1)) + jnp.sum(z**2, axis=-1, keepdims=True)
        square = jnp.maximum(both - 2 * _product(z, points.T), 0.0)
        width = jnp.maximum(given("width"), 1e-6)
        near = jnp.exp(-square / (2 * width**2))
        smooth = _product(near, given("half", self.landmarks, self.landmarks))
        centred = smooth - row(given("shift", self.landmarks))
        return jnp.concatenate([jnp.ones_like(z[..., :1]), z, centred], axis=-1)


def _product(a: Array, b: Array) -> Array:
    """a·b in full single precision: regressions are solved in the features, and chosen by them."""
    return jnp.matmul(a, b, precision="highest")
