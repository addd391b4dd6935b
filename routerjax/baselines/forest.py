"""Random forests through scikit-learn (extra ``baselines``), for parity with the papers.

A forest is fitted on the host, called from the compiled program; it is slow beside the closed
forms and never needed by the library itself.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from routerjax.errors import InputError


def forest(
    x: Float[Array, "n d"],
    label: Float[Array, " n"],
    weights: Float[Array, " n"],
    queries: Float[Array, "q d"],
    *,
    key: PRNGKeyArray,
    trees: int = 100,
    depth: int = 20,
    smallest_leaf: int = 1,
) -> Float[Array, " q"]:
    """Predict `queries` by a random forest on the rows of positive weight, [q].

    The defaults are those of the Meta-Router authors' script: 100 trees, depth 20, √d features
    a split.

    Args:
      x, label, weights: n rows; a weight of 0 takes a row out, others weigh its squares.
      queries: [q, d] rows to predict.
      key: seeds the forest.
      trees, depth, smallest_leaf: Size of the forest, and of a tree and a leaf of it.

    Raises:
      InputError: scikit-learn is not installed.
    """
    check_installed()
    seed = jax.random.bits(key, dtype=jnp.uint32) >> 1
    fit = functools.partial(_on_host, trees, depth, smallest_leaf)
    shape = jax.ShapeDtypeStruct((queries.shape[0],), jnp.float32)
    return jax.pure_callback(fit, shape, x, label, weights, queries, seed, vmap_method="sequential")


def check_installed() -> None:
    """Raise InputError where scikit-learn is not installed."""
    if importlib.util.find_spec("sklearn") is None:
        raise InputError("forests need scikit-learn: pip install 'routerjax[baselines]'")


def regressor(
    trees: int, depth: int | None, smallest_leaf: int, seed: int, jobs: int | None = None
) -> Any:
    """An unfitted forest that tries √d features a split."""
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(
        n_estimators=trees,
        max_depth=depth,
        min_samples_leaf=smallest_leaf,
        max_features="sqrt",
        random_state=seed,
        n_jobs=jobs,
    )


def _on_host(trees, depth, smallest_leaf, x, label, weights, queries, seed) -> np.ndarray:
    x, label, weights, queries = (np.asarray(part) for part in (x, label, weights, queries))
    used = weights > 0
    if not used.any():
        return np.zeros(len(queries), np.float32)
    model = regressor(trees, depth, smallest_leaf, int(seed))
    model.fit(x[used], label[used], weights[used])
    return model.predict(queries).astype(np.float32)
