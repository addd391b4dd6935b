"""The integrative objective: values by hand, identities, and ω chosen on held-out gold."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest
from labelled_rows import KEY, ONES, fixed

from routerjax.bias import dr_learner, learn_bias
from routerjax.integrative import (
    Candidate,
    choose,
    corrected_label,
    held_out_predictions,
    integrative_loss,
    target,
)
from routerjax.ridge import Linear, fit_ridge, ridge


def test_integrative_loss_and_correction_by_hand():
    assert float(corrected_label(0.5, jnp.array(True), 9.0)) == 0.5
    assert float(corrected_label(0.5, jnp.array(False), -0.2)) == pytest.approx(0.3)
    assert float(integrative_loss(0.1, 0.5, jnp.array(True), 9.0, 0.3)) == pytest.approx(0.16)
    assert float(integrative_loss(0.1, 0.5, jnp.array(False), -0.2, 0.3)) == pytest.approx(0.012)


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
    np.testing.assert_array_equal(ridge(rows.x, goal.label, goal.weights, rows.x), only)


def test_no_bias_and_omega_one_is_pooling_exactly():
    rows, _ = fixed()
    w = ONES
    goal = target(
        rows, w, jnp.zeros((5, 300)), regress=ridge, key=KEY, candidates=(Candidate(1.0),)
    )
    pooled = ridge(rows.x, rows.label, w, rows.x)
    np.testing.assert_array_equal(ridge(rows.x, goal.label, goal.weights, rows.x), pooled)


def test_no_spread_corrects_by_the_mean():
    rows, _ = fixed()
    bias = jnp.broadcast_to(rows.x[:, 0], (5, 300))
    goal = target(rows, ONES, bias, regress=ridge, key=KEY, candidates=(Candidate(1.0, 0.0),))
    expected = np.where(rows.gold, rows.label, rows.label + np.mean(rows.x[:, 0]))
    np.testing.assert_allclose(goal.label, expected, atol=1e-5)


def slope_and_t(label, now, then):
    """Slope of label − now on then − now, and its t-value, by simple regression."""
    d, e = then - now - np.mean(then - now), label - now - np.mean(label - now)
    slope = (d @ e) / (d @ d)
    left = e - slope * d
    return slope, slope / np.sqrt(left @ left / (len(d) - 2) / (d @ d))


@pytest.mark.parametrize("caution", [0.0, 0.5, 1.0, 3.0])
def test_steps_are_taken_by_slope_and_t(caution):
    rng = np.random.default_rng(3)
    chosen = set()
    for _ in range(30):
        label = rng.normal(size=40)
        candidates = [0.4 * rng.uniform() * label + 0.5 * rng.normal(size=40) for _ in range(4)]
        held = 0
        for place in range(1, 4):
            slope, t = slope_and_t(label, candidates[held], candidates[place])
            if slope > 0.5 and t > caution * np.sqrt(2 * np.log(40)):
                held = place
        # 20 rows of no share and other labels change nothing
        more = np.concatenate([np.stack(candidates), rng.normal(size=(4, 20))], axis=1)
        share = np.r_[np.full(40, 1 / 40), np.zeros(20)]
        found = choose(
            jnp.asarray(np.r_[label, np.full(20, 9.0)]), jnp.asarray(more), jnp.asarray(share),
            caution=caution,
        )  # fmt: skip
        assert int(found) == held
        chosen.add(held)
    assert len(chosen) > (1 if caution < 3 else 0)


def test_a_step_of_slope_above_one_half_errs_less():
    rng = np.random.default_rng(4)
    for _ in range(20):
        label, now, then = rng.normal(size=(3, 30))
        slope, _ = slope_and_t(label, now, then)
        fewer = np.var(label - then) < np.var(label - now)
        assert fewer == (slope > 0.5)


def test_omega_is_chosen_on_held_out_gold():
    rows, data = fixed(bias="none")
    opposite = jnp.broadcast_to(-2 * data.psi, (5, 300))  # labels that say the opposite
    predictions = held_out_predictions(rows, ONES, opposite, regress=ridge, key=KEY)
    gold = np.asarray(rows.gold)
    errors = np.mean((np.asarray(rows.label) - np.asarray(predictions))[:, gold] ** 2, axis=1)
    goal = target(rows, ONES, opposite, regress=ridge, key=KEY)
    np.testing.assert_allclose(goal.errors, errors, rtol=1e-3)
    # no bias: the order that the cheap labels give is kept, corrected by the mean alone
    assert (float(goal.omega), float(goal.spread)) == (1.0, 0.0)
    wrong, data = fixed(bias="flips")
    right = jnp.broadcast_to(data.tau, (5, 300))
    kept = target(wrong, ONES, right, regress=ridge, key=KEY)
    assert (float(kept.omega), float(kept.spread)) == (1.0, 1.0)
    # labels that rank against the gold, and a correction that makes it worse: gold alone
    alone = target(wrong, ONES, -right, regress=ridge, key=KEY)
    assert float(alone.omega) == 0.0


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
