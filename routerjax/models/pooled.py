"""The outcome head that pools arms: fixed features of a query and one linear output per arm."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from routerjax.estimators.elimination import Sizes


class PooledHead(nn.Module):
    """[..., d] → [..., m]: [1, z, k(z, Z)·H − c, p(z) − p̄]·W, z = (x − centre)·directions.

    Linear features z are the leading principal components of the embeddings; smooth ones are
    those of a Gaussian kernel k at landmarks Z, H = k(Z, Z)^(−½), c their mean, and, where the log
    told tasks, the probability p of each, given the embedding, less its mean p̄. Nothing here is
    trained by gradients: the features come from embeddings and tasks alone
    (`routerjax.pipelines.pooled_features`) and W [D, m] from `routerjax.estimators.hierarchical`.
    """

    models: int
    components: int
    landmarks: int
    tasks: int = 0

    @property
    def sizes(self) -> Sizes:
        """How many features of each kind there are."""
        return Sizes(self.components, self.landmarks, self.tasks)

    @property
    def width(self) -> int:
        """D, of all features with the constant."""
        return 1 + sum(self.sizes)

    @property
    def of_query(self) -> PooledFeatures:
        """The features alone."""
        return PooledFeatures(self.components, self.landmarks, self.tasks, name="features")

    @nn.compact
    def __call__(self, x: Float[Array, "*n d"]) -> Float[Array, "*n m"]:
        features = self.of_query(x)
        shape = (self.width, self.models)
        coefficients = self.param("coefficients", nn.initializers.zeros, shape)
        return _product(features, jnp.asarray(coefficients))


class PooledFeatures(nn.Module):
    """[..., d] → [..., D]: a constant, `components` linear features, `landmarks` smooth ones and
    the probabilities of `tasks`."""

    components: int
    landmarks: int
    tasks: int = 0

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
        found = [jnp.ones_like(z[..., :1]), z, centred]
        if self.tasks:
            slopes = given("task_slopes", self.components, self.tasks)
            told = jax.nn.softmax(_product(z, slopes) + row(given("task_start", self.tasks)))
            found.append(told - row(given("task_shares", self.tasks)))
        return jnp.concatenate(found, axis=-1)


def _product(a: Array, b: Array) -> Array:
    """a·b in full single precision: regressions are solved in the features, and chosen by them."""
    return jnp.matmul(a, b, precision="highest")
