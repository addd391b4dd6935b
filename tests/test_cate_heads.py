"""Linen heads for the label bias: objectives by hand, draws, and what each style learns."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.data.synthetic.gains import draw_sources, synthetic_gains
from routerjax.errors import InputError
from routerjax.estimators.cross_fit import LabelledRows, assign_folds
from routerjax.models.heads import Head, initial
from routerjax.pipelines.cate_heads import (
    STYLES,
    HeadConfig,
    OwnSource,
    SquaredError,
    _systematic,
    cate_head,
    heads,
)
from routerjax.training.config import Schedule

KEY = jax.random.key(0)
CONFIG = HeadConfig(widths=(16,), draws=1024)


@functools.cache
def made_rows(n=1500, dimensions=5):
    keys = jax.random.split(KEY, 3)
    data = synthetic_gains(keys[0], rows=n, bias="flips", dimensions=dimensions)
    gold, propensity = draw_sources(data.log_odds, gold_share=0.3, key=keys[1])
    label = jnp.where(gold, data.gold_label, data.preference_label)
    return LabelledRows(
        data.embeddings, label, gold, propensity, assign_folds(gold, key=keys[2])
    ), data


def test_objectives_by_hand():
    head = Head(outputs=(2,), widths=())
    params = jax.tree.map(lambda leaf: leaf[0], initial(head, 3, KEY, jnp.array([[0.25, 1.0]])))
    batch = {
        "x": jnp.zeros((2, 3)),
        "label": jnp.array([1.0, 1.0]),
        "gold": jnp.array([True, False]),
        "weight": jnp.array([2.0, 4.0]),
    }
    own = OwnSource(head)
    np.testing.assert_allclose(own.loss(params, None, batch, None), [0.0, 4 * 0.75**2], atol=1e-6)
    # −4 · 0.5625 / ((2 + 4) / 2)
    np.testing.assert_allclose(own.score(params, None, batch), [0.0, -0.75], atol=1e-6)
    first = SquaredError(head).loss(params, None, batch, None)
    np.testing.assert_allclose(first, [2 * 0.75**2, 4 * 0.75**2], rtol=1e-6)


def test_systematic_draws_are_shares_rounded():
    weights = jnp.array([0.0, 3.0, 1.0, 0.0, 4.0, 0.0])
    for offset in (0.0, 0.3, 0.999):
        counts = np.bincount(_systematic(weights, 20, jnp.float32(offset)), minlength=6)
        assert counts[[0, 3, 5]].sum() == 0 and counts.sum() == 20
        assert np.all(np.abs(counts - 20 * np.asarray(weights) / 8) < 1)


@pytest.mark.slow
def test_rows_of_no_weight_have_no_say():
    rows, _ = made_rows()
    weights = rows.gold.astype(jnp.float32)
    fit = jax.jit(lambda label: heads(rows.x, label, weights, rows.x, key=KEY, config=CONFIG))
    poisoned = jnp.where(rows.gold, rows.label, 1e6)
    np.testing.assert_array_equal(fit(rows.label), fit(poisoned))


def test_untrained_heads_give_the_weighted_mean():
    rows, _ = made_rows()
    weights = jnp.where(rows.gold, 1.0, 0.5)
    still = dataclasses.replace(CONFIG, schedule=Schedule(max_epochs=0, chunk=1))
    fit = jax.jit(functools.partial(heads, config=still))
    found = fit(rows.x, rows.label, weights, rows.x, key=KEY)
    expected = np.average(np.asarray(rows.label, np.float64), weights=np.asarray(weights))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_every_style_learns_a_bias_that_flips(style):
    rows, data = made_rows()
    weights = jnp.ones(1500)
    estimate = jax.jit(lambda key: cate_head(style, rows, weights, rows.x, key=key, config=CONFIG))
    bias = np.asarray(estimate(KEY))
    assert np.corrcoef(bias, data.tau)[0, 1] > 0.8
    np.testing.assert_array_equal(bias, estimate(KEY))  # the key is all the chance there is


def test_an_unknown_style():
    rows, _ = made_rows()
    with pytest.raises(InputError, match="known are t, s, r, dr"):
        cate_head("x", rows, jnp.ones(1500), rows.x, key=KEY)
