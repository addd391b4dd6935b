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
