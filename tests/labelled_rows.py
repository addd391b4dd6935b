"""Rows with gold and preference labels from the generator, for tests of what learns from them."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.data.synthetic.gains import draw_sources, synthetic_gains
from routerjax.estimators.cross_fit import LabelledRows, assign_folds

KEY = jax.random.key(0)
ONES = np.ones(300, np.float32)


def made_rows(key=KEY, *, n=300, bias="smooth", share=0.3, assignment="random", dimensions=5):
    """LabelledRows with folds and true propensities, and the data they came from."""
    keys = jax.random.split(key, 3)
    data = synthetic_gains(keys[0], rows=n, bias=bias, dimensions=dimensions, assignment=assignment)
    gold, propensity = draw_sources(data.log_odds, gold_share=share, key=keys[1])
    label = jnp.where(gold, data.gold_label, data.preference_label)
    fold = assign_folds(gold, key=keys[2])
    return LabelledRows(data.embeddings, label, gold, propensity, fold), data


@functools.cache
def fixed(**arguments):
    """`made_rows` of the fixed key, made once."""
    return jax.jit(functools.partial(made_rows, **arguments))(KEY)


def small_rows():
    """Twelve rows in three folds, each with gold and preference labels, and weights for them.

    No two propensities, biases or weights agree, so that none can stand in for another.
    """
    rng = np.random.default_rng(11)
    places = np.arange(12)
    x, label = rng.normal(size=(12, 2)), rng.normal(size=12)
    propensity, weights = rng.uniform(0.2, 0.8, size=12), rng.uniform(0.5, 2.0, size=12)
    parts = (np.float32(x), np.float32(label), places % 2 == 0, np.float32(propensity), places % 3)
    return LabelledRows(*map(jnp.asarray, parts)), np.float32(weights)


def weighted_mean(x, label, weights, queries, *, key):
    """The simplest of regressions, the weighted mean of the labels for every query."""
    return jnp.full(queries.shape[0], weights @ label / jnp.maximum(jnp.sum(weights), 1e-30))
