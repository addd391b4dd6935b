"""Gradient-boosted trees through scikit-learn (extra ``baselines``), for parity with the papers."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from routerjax.baselines.forest import check_installed


def boosted(
    x: Float[Array, "n d"],
    label: Float[Array, " n"],
    weights: Float[Array, " n"],
    queries: Float[Array, "q d"],
    *,
    key: PRNGKeyArray,
    rounds: int = 100,
    rate: float = 0.1,
    leaves: int = 15,
) -> Float[Array, " q"]:
    """Predict `queries` by gradient-boosted regression trees, [q].

    They are scikit-learn's histogram trees, which stand for XGBoost's: the same method, other
    defaults.

    Args:
      x, label, weights: n rows; a weight of 0 takes a row out, others weigh its squares.
      queries: [q, d] rows to predict.
      key: seeds the trees.
      rounds, rate, leaves: Number of trees, share of each that is believed, leaves of each.

    Raises:
      InputError: scikit-learn is not installed.
    """
    check_installed()
    seed = jax.random.bits(key, dtype=jnp.uint32) >> 1
    fit = functools.partial(_on_host, rounds, rate, leaves)
    shape = jax.ShapeDtypeStruct((queries.shape[0],), jnp.float32)
    return jax.pure_callback(fit, shape, x, label, weights, queries, seed, vmap_method="sequential")


def _on_host(rounds, rate, leaves, x, label, weights, queries, seed) -> np.ndarray:
    from sklearn.ensemble import HistGradientBoostingRegressor

    x, label, weights, queries = (np.asarray(part) for part in (x, label, weights, queries))
    used = weights > 0
    if not used.any():
        return np.zeros(len(queries), np.float32)
    model = HistGradientBoostingRegressor(
        max_iter=rounds,
        learning_rate=rate,
        max_leaf_nodes=leaves,
        early_stopping=False,
        random_state=int(seed),
    )
    model.fit(x[used], label[used], sample_weight=weights[used])
    return model.predict(queries).astype(np.float32)
