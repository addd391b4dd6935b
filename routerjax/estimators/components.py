"""Principal components of embeddings, fitted on training rows only."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from routerjax.errors import InputError
from routerjax.records.on_disk import Stored, blocks
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
    if components is not None:
        check_components(components, x.shape[1])
    share = weights / jnp.maximum(jnp.sum(weights), 1e-30)
    centre = share @ x
    xc = x - centre[None]
    if components is None:
        variances, directions = share @ xc**2, jnp.eye(x.shape[1], dtype=x.dtype)
    else:
        values, vectors = jnp.linalg.eigh((xc * share[:, None]).T @ xc)
        variances, directions = values[-components:], vectors[:, -components:][:, ::-1]
    return Components(centre, directions / jnp.sqrt(jnp.maximum(jnp.mean(variances), 1e-12)))


def leading_components(
    x: Float[np.ndarray, "n d"] | Stored, components: int
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d c"], float]:
    """Centre [d], orthonormal directions [d, c] and mean variance of the leading components.

    They come from sums in double precision over blocks of rows, so that rows may be on disk. Of
    each direction the entry of largest size is positive: the sign is no matter of the machine.

    Args:
      x: [n, d] embeddings.
      components: c.

    Raises:
      InputError: components outside 1 … d.
    """
    from scipy.linalg import eigh

    width = x.shape[1]
    check_components(components, width)
    total, square = np.zeros(width), np.zeros((width, width))
    for block in blocks(x):
        rows = np.asarray(block, np.float64)
        total += rows.sum(axis=0)
    centre = total / len(x)
    for block in blocks(x):
        away = np.asarray(block, np.float64) - centre
        square += away.T @ away
    values, vectors = eigh(square / len(x), subset_by_index=[width - components, width - 1])
    vectors = vectors[:, ::-1]
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.where(vectors[largest, np.arange(components)] < 0, -1.0, 1.0)
    directions = np.asarray(vectors * signs, np.float32)
    return np.asarray(centre, np.float32), directions, float(values.mean())


def check_components(components: int, width: int) -> None:
    """Raise InputError unless there are as many components among `width` columns."""
    if not 1 <= components <= width:
        raise InputError(f"components is {components}, but the embeddings have {width} columns")
