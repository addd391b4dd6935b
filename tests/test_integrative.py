"""The integrative objective: values by hand, identities, and ω chosen on held-out gold."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest
from labelled_rows import KEY, ONES, fixed, small_rows, weighted_mean

from routerjax.estimators.bias import dr_learner, learn_bias
from routerjax.estimators.integrative import (
    Candidate,
    corrected_label,
    held_out_predictions,
    integrative_loss,
    target,
)
from routerjax.estimators.mixture import mixture
from routerjax.estimators.ridge import Linear, fit_ridge, ridge


def test_integrative_loss_and_correction_by_hand():
    assert float(corrected_label(jnp.array(0.5), jnp.array(True), jnp.array(9.0))) == 0.5
    assert float(
        corrected_label(jnp.array(0.5), jnp.array(False), jnp.array(-0.2))
    ) == pytest.approx(0.3)
    assert float(integrative_loss(*map(jnp.array, (0.1, 0.5, True, 9.0, 0.3)))) == pytest.approx(
        0.16
    )
    assert float(integrative_loss(*map(jnp.array, (0.1, 0.5, False, -0.2, 0.3)))) == pytest.approx(
        0.012
    )


def test_gradients_against_finite_differences():
    def loss(prediction, bias, omega):
        gold = jnp.array([True, False, False])
        label = jnp.array([0.5, -0.2, 0.1])
        return jnp.sum(integrative_loss(prediction, label, gold, bias, omega))

    point = (jnp.array([0.1, 0.3, -0.4]), jnp.array([0.2, -0.1, 0.6]), jnp.float32(0.7))
    jax.test_util.check_grads(jax.jit(loss), point, order=1, modes="rev", atol=1e-2, rtol=1e-2)


def test_closed_form_minimises_the_integrative_loss():
    rows, _ = fixed()
    bias, omega = 0.1 * rows.x[:, 0], 0.3
    weights = jnp.where(rows.gold, 1.0, omega)
    label = corrected_label(rows.label, rows.gold, bias)
    fitted = fit_ridge(rows.x, label, weights, strengths=(1e-6,))

    def loss(beta, intercept):
        prediction = Linear(beta, intercept)(rows.x)
        return jnp.mean(integrative_loss(prediction, rows.label, rows.gold, bias, omega))

    slopes = jax.jit(jax.grad(loss, argnums=(0, 1)))(fitted.coefficients, fitted.intercept)
    np.testing.assert_allclose(slopes[0], 0, atol=1e-4)
    np.testing.assert_allclose(slopes[1], 0, atol=1e-4)


def test_omega_zero_is_gold_only_exactly():
    rows, _ = fixed()
    w = ONES
    bias = jnp.broadcast_to(rows.x[:, 0], (5, 300))
    goal = target(rows, w, bias, regress=ridge, key=KEY, candidates=(Candidate(0.0),))
    only = ridge(rows.x, rows.label, rows.gold.astype(jnp.float32), rows.x)
    np.testing.assert_array_equal(goal.predict(rows.x, rows.x, regress=ridge, key=KEY), only)


def test_no_bias_and_omega_one_is_pooling_exactly():
    rows, _ = fixed()
    w = ONES
    goal = target(
        rows, w, jnp.zeros((5, 300)), regress=ridge, key=KEY, candidates=(Candidate(1.0),)
    )
    pooled = ridge(rows.x, rows.label, jnp.asarray(w), rows.x)
    np.testing.assert_array_equal(goal.predict(rows.x, rows.x, regress=ridge, key=KEY), pooled)


def test_no_spread_corrects_by_the_mean():
    rows, _ = fixed()
    bias = jnp.broadcast_to(rows.x[:, 0], (5, 300))
    goal = target(rows, ONES, bias, regress=ridge, key=KEY, candidates=(Candidate(1.0, 0.0),))
    expected = np.where(rows.gold, rows.label, rows.label + np.mean(rows.x[:, 0]))
    np.testing.assert_allclose(goal.label[0], expected, atol=1e-5)


@pytest.mark.slow
def test_held_out_gold_settles_how_much_the_cheap_labels_count():
    rows, data = fixed(bias="none")
    opposite = jnp.broadcast_to(-2 * data.psi, (5, 300))  # labels that say the opposite
    predictions = held_out_predictions(rows, ONES, opposite, regress=ridge, key=KEY)
    gold = np.asarray(rows.gold)
    errors = np.mean((np.asarray(rows.label) - np.asarray(predictions))[:, gold] ** 2, axis=1)
    goal = target(rows, ONES, opposite, regress=ridge, key=KEY)
    np.testing.assert_allclose(goal.errors, errors, rtol=1e-3)
    share = jnp.asarray(gold / gold.sum(), jnp.float32)
    np.testing.assert_allclose(goal.mixture, mixture(rows.label, predictions, share), atol=1e-5)
    # no bias: the order that the cheap labels give is kept, corrected by the mean alone
    assert float(goal.mixture[0]) > 0.9
    wrong, data = fixed(bias="flips")
    right = jnp.broadcast_to(data.tau, (5, 300))
    kept = target(wrong, ONES, right, regress=ridge, key=KEY)
    assert float(kept.mixture[1]) > 0.5 > 0.01 > float(kept.mixture[0])
    # labels that rank against the gold, and a correction that makes it worse: gold alone
    alone = target(wrong, ONES, -right, regress=ridge, key=KEY)
    assert float(alone.mixture[3]) > 0.9 and float(alone.omega) < 0.1


def test_the_predictor_is_the_mixture_of_the_candidates_regressions():
    rows, data = fixed()
    bias = jnp.broadcast_to(data.tau, (5, 300))
    goal = target(rows, ONES, bias, regress=ridge, key=KEY)
    expected = sum(
        float(share) * np.asarray(ridge(rows.x, label, weights, rows.x[:9]))
        for share, label, weights in zip(goal.mixture, goal.label, goal.weights, strict=True)
    )
    found = goal.predict(rows.x, rows.x[:9], regress=ridge, key=KEY)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(goal.omega, goal.mixture @ jnp.array([1.0, 1.0, 0.1, 0.0]))
    np.testing.assert_allclose(goal.weights[2], np.where(rows.gold, 1.0, 0.1), rtol=1e-6)


def test_held_out_predictions_against_a_loop():
    rows, _ = fixed()
    bias = jnp.stack([(k + 1) * 0.1 * rows.x[:, 0] for k in range(5)])
    candidates = (Candidate(1.0, 0.5), Candidate(0.0), Candidate(1.0), Candidate(0.3))
    found = np.asarray(
        held_out_predictions(rows, ONES, bias, regress=ridge, key=KEY, candidates=candidates)
    )
    fold, gold = np.asarray(rows.fold), np.asarray(rows.gold)
    for place, (omega, spread) in enumerate(candidates):
        for k in range(5):
            mean = np.mean(bias[k])
            correction = mean + spread * (np.asarray(bias[k]) - mean)
            label = np.where(gold, rows.label, rows.label + correction)
            weights = np.where(gold, 1.0, omega) * (fold != k)
            expected = ridge(rows.x, jnp.asarray(label), jnp.asarray(weights), rows.x)
            own = fold == k
            np.testing.assert_allclose(found[place, own], np.asarray(expected)[own], atol=1e-4)


def test_target_of_weighted_rows_against_a_loop():
    """Three folds, means for regressions: what each stage weighs, corrects and leaves out."""
    rows, weights = small_rows()
    label, gold, fold = (np.asarray(part) for part in (rows.label, rows.gold, rows.fold))
    bias = np.random.default_rng(12).normal(size=(3, 12)) + 2.0
    means = bias @ weights / weights.sum()
    candidates = (Candidate(1.0, 0.5), Candidate(0.25), Candidate(1.0, 0.0))
    predictions, labels, each = (np.empty((3, 12)) for _ in range(3))
    for c, (omega, spread) in enumerate(candidates):
        each[c] = weights * np.where(gold, 1.0, omega)
        for i, k in enumerate(fold):
            correction = means.mean() + spread * (bias[k, i] - means[k])
            labels[c, i] = label[i] if gold[i] else label[i] + correction
            own = np.where(gold, label, label + means[k] + spread * (bias[k] - means[k]))
            predictions[c, i] = np.average(own, weights=each[c] * (fold != k))
    share = weights * gold / np.sum(weights[gold])

    def found(weights):
        settings = {"regress": weighted_mean, "folds": 3, "candidates": candidates, "caution": 0.0}
        return target(
            rows, jnp.asarray(weights), jnp.asarray(bias, jnp.float32), key=KEY, **settings
        )

    goal = found(weights)
    np.testing.assert_allclose(goal.label, labels, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(goal.weights, each, rtol=1e-5)
    np.testing.assert_allclose(goal.errors, (label - predictions) ** 2 @ share, rtol=1e-4)
    light = found(weights / 1000)  # only ratios of weights matter
    np.testing.assert_allclose(light.label, labels, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(light.errors, goal.errors, rtol=1e-4)
    # a run that only fills a place among others has no weight at all
    assert all(np.isfinite(part).all() for part in found(0 * weights))
    known = rows.label, jnp.asarray(predictions, jnp.float32), jnp.asarray(share, jnp.float32)
    shares = np.asarray(goal.mixture)
    np.testing.assert_allclose(shares, mixture(*known, caution=0.0), atol=1e-4)
    assert np.abs(shares - mixture(*known)).max() > 0.1  # the caution is the one asked for
    np.testing.assert_allclose(goal.omega, shares @ [1.0, 0.25, 1.0], rtol=1e-5)
    np.testing.assert_allclose(goal.spread, shares @ [0.5, 1.0, 0.0], rtol=1e-5)


def test_held_out_predictions_see_no_label_of_their_fold():
    rows, _ = fixed()
    row = int(jnp.argmax(rows.gold))
    k = int(rows.fold[row])

    def predictions(rows):
        bias = learn_bias(rows, ONES, learner=dr_learner, regress=ridge, key=KEY)
        return np.asarray(held_out_predictions(rows, ONES, bias, regress=ridge, key=KEY))

    clean, other = predictions(rows), predictions(rows._replace(label=rows.label.at[row].set(50.0)))
    same_fold = np.asarray(rows.fold) == k
    np.testing.assert_array_equal(clean[:, same_fold], other[:, same_fold])
