"""A logit of which a part is drawn at random: a router's edges, and what it draws beside them."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import approx_fprime

from routerjax.estimators.discriminants import discriminants
from routerjax.estimators.exploring import _fit, _Fitted, _loss, _Rows, explored_logit
from routerjax.estimators.logit import Logit, fit_logit, logit_odds, with_random

RANDOM = np.array([0.01, 0.02, 0.07])
"""Share of the queries for which each of three arms is drawn whatever they are."""


def _routed(seed, rows, *, steep=np.inf, width=6):
    """x, arms and their chances: the highest of three linear scores, or their softmax, by nine in
    ten, and `RANDOM` beside it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, width)).astype(np.float32)
    scores = x @ np.random.default_rng(100 + seed).normal(size=(width, 3))
    sharp = np.eye(3)[scores.argmax(axis=1)]
    if np.isfinite(steep):
        raised = np.exp(steep * scores)
        sharp = raised / raised.sum(axis=1, keepdims=True)
    chance = 0.9 * sharp + RANDOM
    arms = (chance.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, 2)
    return x, arms, chance


def _both(x, arms, could=None, groups=None):
    """The logit on discriminants, and the one beyond it."""
    could = np.ones((len(x), 3), bool) if could is None else could
    of_row = np.arange(len(x)) % 5
    found = discriminants(x, np.arange(3) == arms[:, None], could, of_row)
    plain = fit_logit(found, arms, could, of_row)
    groups = np.arange(len(x)) if groups is None else groups
    return plain, explored_logit(plain, x, arms, could, of_row, groups)


def _chances(logit, x):
    """By every fold."""
    return np.exp(logit_odds(logit, x))


def test_what_is_drawn_at_random_by_hand():
    """Odds of 0 and log 3 are ¼ and ¾; of 0.1 and 0.3 drawn at random 0.6·¼ + 0.1, 0.6·¾ + 0.3."""
    found = np.exp(with_random(np.array([0.0, np.log(3)]), np.array([0.1, 0.3])))
    np.testing.assert_allclose(found, [0.25, 0.75], rtol=1e-12)
    found = np.exp(with_random(np.array([5.0, 5.0]), np.array([0.1, 0.3])))
    np.testing.assert_allclose(found, [0.4, 0.6], rtol=1e-12)
    nothing = with_random(np.array([7.0, 7.0 + np.log(3)]), np.zeros(2))
    np.testing.assert_allclose(nothing, np.log([0.25, 0.75]), rtol=1e-12)
    far = with_random(np.array([0.0, -80.0, -100.0]), np.zeros(3))
    np.testing.assert_allclose(far, [0, -80, -100], atol=1e-12)
    whole = with_random(np.zeros(2), np.array([0.5, 0.5 + 1e-9]))
    np.testing.assert_allclose(np.exp(whole), [0.5, 0.5], atol=1e-5)


def test_the_loss_by_hand():
    """One row of two arms, p = (¼, ¾) and w_0 = ½, w = (¼, ¼): the first answered, with ⅜. The
    prior is ½ · log 4 for each w, and B² / 2τ² = 1/8 for a slope of 1 with τ = 2."""
    slopes = np.array([0.0, np.log(3), 1.0, 0.0])
    drawn = np.log([0.5, 0.5])
    rows = _Rows(np.zeros((1, 1)), np.array([0]), np.ones((1, 2), bool))
    value, _ = _loss(np.concatenate([slopes, drawn]), rows, 2.0)
    assert value == pytest.approx(-np.log(3 / 8) + np.log(4) + 1 / 8)
    alone = rows._replace(could=np.array([[True, False]]))  # nothing else could be asked
    value, _ = _loss(np.concatenate([slopes, drawn]), alone, 2.0)
    assert value == pytest.approx(np.log(4) + 1 / 8)


def test_the_gradient_is_that_of_the_loss():
    rng = np.random.default_rng(0)
    arms = rng.integers(0, 3, 20)
    could = (rng.random((20, 3)) < 0.7) | (np.arange(3) == arms[:, None])
    rows = _Rows(rng.normal(size=(20, 4)), arms, could)
    at = rng.normal(size=18)
    _, slope = _loss(at, rows, 1.5)
    numeric = approx_fprime(at, lambda each: _loss(each, rows, 1.5)[0], 1e-7)
    np.testing.assert_allclose(slope, numeric, rtol=1e-4, atol=1e-4)


def test_a_router_s_edges_are_found_and_what_it_draws_at_random():
    for seed in range(3):
        x, arms, chance = _routed(seed, 6000)
        plain, found = _both(x[:3000], arms[:3000])
        others, chance = x[3000:], chance[3000:]
        off, before = (np.abs(_chances(own, others) - chance).mean() for own in (found, plain))
        assert off < 0.03 and before > 3 * off
        np.testing.assert_allclose(found.random.mean(axis=0), RANDOM, atol=0.015)


def test_a_soft_policy_keeps_the_logit_on_discriminants():
    for seed in range(5):
        x, arms, _ = _routed(seed, 1500, steep=0.3)
        assert _both(x, arms)[1] is None


def test_the_rows_of_a_fold_have_no_part_in_its_edges():
    x, arms, _ = _routed(0, 800)
    of_row, could = np.arange(800) % 5, np.ones((800, 3), bool)
    plain, found = _both(x, arms)
    other = np.where((of_row == 2) & (np.arange(800) < 200), (arms + 1) % 3, arms)
    again = explored_logit(plain, x, other, could, of_row, np.arange(800))
    np.testing.assert_allclose(again.coefficients[2], found.coefficients[2], rtol=1e-4)
    assert not np.allclose(again.coefficients[3], found.coefficients[3], rtol=1e-2)


def test_the_highest_score_is_among_the_arms_that_could_be_asked():
    """The third arm is away on every other row; π ∝ 0.9 · 1{highest there} + w of those there."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(6000, 6)).astype(np.float32)
    could = np.ones((6000, 3), bool)
    could[::2, 2] = False
    scores = np.where(could, x @ np.random.default_rng(100).normal(size=(6, 3)), -np.inf)
    chance = (0.9 * np.eye(3)[scores.argmax(axis=1)] + RANDOM) * could
    chance /= chance.sum(axis=1, keepdims=True)
    arms = (chance.cumsum(axis=1) < rng.random((6000, 1))).sum(axis=1).clip(0, 2)
    found = _both(x[:4000], arms[:4000], could[:4000])[1]
    np.testing.assert_allclose(found.random.mean(axis=0), RANDOM, atol=0.02)
    others = np.exp(logit_odds(found, x[4000:], could[4000:])) * could[4000:]
    others /= others.sum(axis=2, keepdims=True)
    assert np.abs(others - chance[4000:]).mean() < 0.03
    compiled = np.exp(logit_odds(found, jnp.asarray(x[4000:]), could[4000:])) * could[4000:]
    np.testing.assert_allclose(
        compiled / compiled.sum(axis=2, keepdims=True), others, rtol=1e-3, atol=1e-5
    )


def test_a_policy_that_ignores_the_query_is_not_sharp_where_few_could_be_asked():
    """Two of five arms are there on every row, and asked alike."""
    rng = np.random.default_rng(0)
    could = np.zeros((2000, 5), bool)
    np.put_along_axis(could, rng.random((2000, 5)).argsort(axis=1)[:, :2], True, axis=1)
    arms = np.where(could, rng.random((2000, 5)), -1).argmax(axis=1)
    x = rng.normal(size=(2000, 6))
    of_row = np.arange(2000) % 5
    flat = Logit(rng.normal(size=(5, 6, 5)) / 10, np.zeros((5, 5)), np.zeros((5, 5)))
    assert explored_logit(flat, x, arms, could, of_row, np.arange(2000)) is None


def test_groups_count_once():
    x, arms, _ = _routed(0, 300)
    assert _both(x, arms)[1] is not None
    assert _both(x, arms, groups=np.zeros(300, int))[1] is None


def test_a_search_that_begins_at_the_truth_stays_there():
    x, arms, _ = _routed(0, 20_000, steep=3.0)
    slopes = 3.0 * np.random.default_rng(100).normal(size=(6, 3))
    start = _Fitted(np.concatenate([np.zeros((1, 3)), slopes]), np.log(RANDOM / 0.9))
    found = _fit(_Rows(x.astype(float), arms, np.ones((20_000, 3), bool)), start, 100.0)
    apart = found.slopes[1:, 1:] - found.slopes[1:, :1]
    np.testing.assert_allclose(apart, slopes[:, 1:] - slopes[:, :1], rtol=0.15, atol=0.3)
    np.testing.assert_allclose(found.shares[1], RANDOM, atol=0.01)


def test_a_logit_of_no_numbers_is_left_alone():
    nothing = Logit(np.zeros((5, 2, 3)), np.zeros((5, 3)), np.zeros((5, 3)))
    x, arms = np.ones((50, 2), np.float32), np.arange(50) % 3
    could = np.ones((50, 3), bool)
    assert explored_logit(nothing, x, arms, could, np.arange(50) % 5, np.arange(50)) is None
