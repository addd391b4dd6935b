"""The label bias: values by hand, leaks, unbiasedness and consistency over seeds."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest
from labelled_rows import KEY, ONES, fixed, made_rows, small_rows, weighted_mean

from routerjax.estimators.bias import (
    dr_learner,
    dr_pseudo_outcome,
    learn_bias,
    r_learner,
    r_pseudo_outcome,
)
from routerjax.estimators.cross_fit import estimate_propensity, own_fold
from routerjax.estimators.ridge import ridge

LEARNERS = {"r": r_learner, "dr": dr_learner}


def test_pseudo_outcomes_by_hand():
    value, weight = r_pseudo_outcome(*map(jnp.array, (0.2, False, 0.5, 0.2)))
    assert float(value) == pytest.approx(1.5)  # (0.2 − 0.5) / (0 − 0.2)
    assert float(weight) == pytest.approx(0.04)
    # 0.75 − 0.5 + (0 − 0.2) / 0.16 · (0.9 − 0.5) = 0.25 − 0.5
    assert float(dr_pseudo_outcome(*map(jnp.array, (0.9, False, 0.5, 0.75, 0.2)))) == pytest.approx(
        -0.25
    )
    # 0.75 − 0.5 + (1 − 0.2) / 0.16 · (0.9 − 0.75) = 0.25 + 0.75
    assert float(dr_pseudo_outcome(*map(jnp.array, (0.9, True, 0.5, 0.75, 0.2)))) == pytest.approx(
        1.0
    )


def test_dr_with_zero_outcomes_is_the_inverse_propensity_contrast():
    label, e = jnp.array([0.4, -0.3]), jnp.array([0.1, 0.6])
    gold = jnp.array([True, False])
    found = jax.vmap(dr_pseudo_outcome)(label, gold, jnp.zeros(2), jnp.zeros(2), e)
    np.testing.assert_allclose(found, [0.4 / 0.1, 0.3 / 0.4], rtol=1e-6)


def test_r_loss_equals_the_weighted_regression():
    rows, _ = fixed()
    outcome, tau = 0.3 * rows.x[:, 0], rows.x[:, 1]
    value, weight = r_pseudo_outcome(rows.label, rows.gold, outcome, rows.propensity)
    direct = (rows.label - outcome - (rows.gold - rows.propensity) * tau) ** 2
    np.testing.assert_allclose(weight * (value - tau) ** 2, direct, rtol=1e-3, atol=1e-5)


def test_gradients_against_finite_differences():
    dr = jax.jit(functools.partial(dr_pseudo_outcome, jnp.float32(0.3), jnp.array(True)))
    jax.test_util.check_grads(dr, (0.2, 0.4, 0.3), order=1, modes="rev", atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
def test_a_poisoned_row_never_meets_what_saw_it(learner):
    rows, _ = fixed()

    def learn(rows):
        return learn_bias(rows, ONES, learner=learner, regress=ridge, key=KEY)

    clean = np.asarray(learn(rows))
    for row in (int(jnp.argmax(rows.gold)), int(jnp.argmin(rows.gold))):
        k = int(rows.fold[row])
        poisoned = np.asarray(learn(rows._replace(label=rows.label.at[row].set(1e3))))
        np.testing.assert_array_equal(clean[k], poisoned[k])  # nor does any row of its fold
        others = np.arange(5) != k
        assert (np.abs(clean - poisoned)[others].max(axis=1) > 0.1).all()


def loop_means(label, weights, fold, part):
    """[k, i]: weighted mean label of those rows of `part` in neither fold k nor the fold of i."""
    found = np.empty((3, 12))
    for k in range(3):
        for i in range(12):
            kept = part & (fold != k) & (fold != fold[i])
            found[k, i] = np.average(label[kept], weights=weights[kept])
    return found


@pytest.mark.parametrize("name", LEARNERS)
def test_learners_against_a_loop_with_means_for_regressions(name):
    """Rows of unequal weight in three folds: which rows each nuisance is fitted on, and how."""
    rows, weights = small_rows()
    label, gold, e, fold = (
        np.asarray(getattr(rows, name)) for name in ("label", "gold", "propensity", "fold")
    )
    if name == "r":
        outcome = loop_means(label, weights, fold, np.full(12, True))
        value, weight = (label - outcome) / (gold - e), np.tile(weights * (gold - e) ** 2, (3, 1))
    else:
        zero, one = (loop_means(label, weights, fold, part) for part in (~gold, gold))
        own = np.where(gold, one, zero)
        value = one - zero + (gold - e) / (e * (1 - e)) * (label - own)
        weight = np.tile(weights, (3, 1))
    settings = {"regress": weighted_mean, "key": KEY, "folds": 3}
    found = LEARNERS[name](rows, jnp.asarray(weights), **settings)
    np.testing.assert_allclose(found[0], value, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], weight, rtol=1e-5)
    outside = weight * (fold != np.arange(3)[:, None])
    bias = np.sum(outside * value, axis=1) / np.sum(outside, axis=1)
    learnt = learn_bias(rows, jnp.asarray(weights), learner=LEARNERS[name], **settings)
    np.testing.assert_allclose(learnt, np.tile(bias[:, None], 12), rtol=1e-4)


@pytest.mark.slow
def test_eager_jit_and_vmap_agree():
    rows, _ = fixed()
    learn = functools.partial(learn_bias, learner=dr_learner, regress=ridge, key=KEY)
    w = jnp.asarray(ONES)
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), (rows, w))
    np.testing.assert_allclose(learn(rows, w), jax.vmap(learn)(*batch)[1], atol=1e-4)
    compiled = ridge(rows.x, rows.label, w, rows.x)
    with jax.disable_jit():
        np.testing.assert_allclose(ridge(rows.x, rows.label, w, rows.x), compiled, atol=1e-5)


@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
def test_the_bias_is_kept_within_the_limit(learner):
    rows, _ = fixed()
    learn = functools.partial(learn_bias, rows, ONES, learner=learner, regress=ridge, key=KEY)
    free = np.asarray(learn())
    assert free.min() < -0.1 and free.max() > 0.1  # it would go beyond
    limited = learn(limit=jnp.float32(0.1))
    np.testing.assert_allclose(limited, np.clip(free, -0.1, 0.1), atol=1e-5)
    assert np.all(np.isfinite(free))


def test_a_bias_that_a_learner_returns_itself_is_kept_within_the_limit_too():
    rows, _ = fixed()
    slope = jnp.linspace(-1.0, 1.0, 300)

    def told(rows, weights, *, regress, key, folds):
        return jnp.stack([slope, 2 * slope]), None

    learn = functools.partial(learn_bias, rows, ONES, learner=told, regress=ridge, key=KEY, folds=2)
    free = np.stack([np.linspace(-1, 1, 300), np.linspace(-2, 2, 300)])
    np.testing.assert_allclose(learn(), free, atol=1e-6)
    np.testing.assert_allclose(learn(limit=0.5), np.clip(free, -0.5, 0.5), atol=1e-6)


# ------------------------------------------------------------------ statistics over seeds


def over_seeds(one, seeds):
    """Values of `one` over seeds, [s], in one compiled program."""
    keys = jax.random.split(jax.random.key(7), seeds)
    return np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys))(keys), np.float64)


def within_four_errors(values, truth=0.0):
    assert abs(values.mean() - truth) < 4 * values.std(ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
def test_a_constant_bias_is_estimated_without_bias(learner):
    def one(key):
        rows, data = made_rows(key, bias="constant", share=0.1)
        bias = learn_bias(rows, ONES, learner=learner, regress=ridge, key=key)
        return jnp.mean(own_fold(bias, rows.fold))

    within_four_errors(over_seeds(one, 100), 0.6)


@pytest.mark.parametrize("wrong", ["outcomes", "propensity"])
def test_dr_is_right_when_either_nuisance_is_wrong(wrong):
    """Mean pseudo-outcome less mean τ over seeds, with one nuisance grossly wrong."""

    def one(key):
        rows, data = made_rows(key, assignment="dependent", share=0.3, n=500)
        outcomes = data.psi - data.tau, data.psi
        propensity = rows.propensity
        if wrong == "outcomes":
            outcomes = outcomes[0] + 1.0, 0 * outcomes[1]
        else:
            propensity = jnp.full_like(propensity, 0.15)
        value = dr_pseudo_outcome(rows.label, rows.gold, *outcomes, propensity)
        return jnp.mean(value - data.tau)

    within_four_errors(over_seeds(one, 200))


def test_dr_is_wrong_when_both_are():
    def one(key):
        rows, data = made_rows(key, assignment="dependent", share=0.3, n=500)
        value = dr_pseudo_outcome(
            rows.label, rows.gold, data.psi + 1.0, 0 * data.psi, jnp.array(0.15)
        )
        return jnp.mean(value - data.tau)

    values = over_seeds(one, 50)
    assert abs(values.mean()) > 10 * values.std(ddof=1) / np.sqrt(50)


@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
def test_a_smooth_bias_is_learnt(learner):
    rows, data = fixed(bias="flips", share=0.2, n=2000)
    bias = learn_bias(rows, jnp.ones(2000), learner=learner, regress=ridge, key=KEY)
    estimate = np.asarray(own_fold(bias, rows.fold))
    error = np.mean((estimate - data.tau) ** 2) / np.var(data.tau)
    assert error < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
def test_error_falls_with_gold_also_when_the_propensity_is_estimated(learner):
    def error(key, share):
        rows, data = made_rows(key, assignment="dependent", bias="flips", share=share, n=2000)
        w = jnp.ones(2000)
        rows = rows._replace(propensity=estimate_propensity(rows, w))
        bias = learn_bias(rows, w, learner=learner, regress=ridge, key=key)
        return jnp.mean((own_fold(bias, rows.fold) - data.tau) ** 2)

    few, many = (over_seeds(functools.partial(error, share=s), 40) for s in (0.02, 0.2))
    assert many.mean() < 0.5 * few.mean()
