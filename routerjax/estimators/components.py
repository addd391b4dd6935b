"""Principal components of embeddings, fitted on training rows only."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from routerjax.errors import InputError
from routerjax.support.compilation import full_precision


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Components:
    """An affine map x ↦ (x − centre)·directions to the leading components, mean square 1.

    Attributes:
      centre: [d].
      directions: [d, c], orthogonal columns of one common length.
    """

    centre: Array
    directions: Array

    @full_precision
    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, "n c"]:
        return (x - self.centre[None]) @ self.directions


@full_precision
@functools.partial(jax.jit, static_argnames="components")
def fit_components(
    x: Float[Array, "n d"], weights: Float[Array, " n"], *, components: int | None
) -> Components:
    """Fit the leading principal components of weighted rows.

    The components keep their relative variances (no whitening); all are divided by one number
    so that their mean square is 1 on the rows of positive weight.

    Args:
      x: [n, d] embeddings.
      weights: [n]; rows of weight 0 have no part in the fit.
      components: c; None keeps the columns as they are, centred and scaled.

    Raises:
      InputError: components outside 1 … d.
    """
    width = x.shape[1]
    if components is not None and not 1 <= components <= width:
        raise InputError(f"components is {components}, but the embeddings have {width} columns")
    share = weights / jnp.maximum(jnp.sum(weights), 1e-30)
    centre = share @ x
    xc = x - centre[None]
    if components is None:
        variances, directions = share @ xc**2, jnp.eye(width, dtype=x.dtype)
    else:
        values, vectors = jnp.linalg.eigh((xc * share[:, None]).T @ xc)
        variances, directions = values[-components:], vectors[:, -components:][:, ::-1]
    return Components(centre, directions / jnp.sqrt(jnp.maximum(jnp.mean(variances), 1e-12)))
