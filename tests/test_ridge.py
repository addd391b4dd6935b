"""Closed forms: ridge, kernel ridge, logistic regression and principal components."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from labelled_rows import ONES, fixed

from routerjax.errors import InputError
from routerjax.estimators.components import fit_components
from routerjax.estimators.ridge import (
    LOGISTIC_STRENGTHS,
    STRENGTHS,
    choose_landmarks,
    fit_logistic,
    fit_ridge,
    kernel_ridge,
    ridge,
)


def loop_ridge(x, y, w, strength):
    """β and intercept of Σ w (y − b − xβ)² / Σ w + strength·v·|β|², by the normal equations."""
    x, y, w = (np.asarray(part, np.float64) for part in (x, y, w))
    w = w / w.sum()
    centre = w @ x
    spread = (w @ (x - centre) ** 2).mean()
    columns = np.column_stack([x, np.ones(len(x))])
    penalty = np.diag([strength * spread] * x.shape[1] + [0.0])
    solution = np.linalg.solve(columns.T @ (w[:, None] * columns) + penalty, columns.T @ (w * y))
    return solution[:-1], solution[-1], spread


@pytest.mark.parametrize("strength", [1e-3, 0.1, 10.0])
def test_ridge_solves_the_normal_equations(strength):
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(40, 6)), rng.normal(size=40), rng.uniform(size=40)
    w[:5] = 0.0
    fitted = fit_ridge(jnp.asarray(x), jnp.asarray(y), jnp.asarray(w), strengths=(strength,))
    beta, intercept, _ = loop_ridge(x, y, w, strength)
    np.testing.assert_allclose(fitted.coefficients, beta, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(fitted.intercept, intercept, rtol=1e-3, atol=1e-5)


def test_ridge_picks_the_strength_that_leaving_rows_out_one_by_one_picks():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(25, 4))
    y = x[:, 0] + rng.normal(size=25)
    w = rng.uniform(0.5, 2.0, size=25)
    strengths = (0.01, 1.0, 100.0)
    scores = []
    for strength in strengths:
        spread = loop_ridge(x, y, w, strength)[2]
        total = 0.0
        for i in range(25):  # the penalty is that of all rows: Σ w · strength · v
            v = w.copy()
            v[i] = 0.0
            centre = (v / v.sum()) @ x
            own = ((v / v.sum()) @ (x - centre) ** 2).mean()
            beta, intercept, _ = loop_ridge(x, y, v, strength * spread * w.sum() / (own * v.sum()))
            total += w[i] * (y[i] - x[i] @ beta - intercept) ** 2
        scores.append(total)
    best = strengths[int(np.argmin(scores))]
    chosen = fit_ridge(*(jnp.asarray(part) for part in (x, y, w)), strengths=strengths)
    np.testing.assert_allclose(chosen.coefficients, loop_ridge(x, y, w, best)[0], rtol=1e-3)


def test_infinite_strength_is_the_weighted_mean():
    fitted = fit_ridge(
        jnp.array([[0.0], [1.0], [5.0]]),
        jnp.array([1.0, 3.0, 99.0]),
        jnp.array([3.0, 1.0, 0.0]),
        strengths=(np.inf,),
    )
    assert float(fitted.intercept) == pytest.approx(1.5)
    assert float(fitted.coefficients[0]) == 0.0


def test_a_constant_label_and_no_weight_at_all():
    x = jnp.arange(12.0).reshape(6, 2)
    np.testing.assert_allclose(ridge(x, jnp.full(6, 0.7), jnp.ones(6), x), 0.7, atol=1e-5)
    np.testing.assert_array_equal(ridge(x, jnp.ones(6), jnp.zeros(6), x), 0.0)
    same = jnp.ones((6, 2))  # features without spread
    assert np.isfinite(ridge(same, jnp.arange(6.0), jnp.ones(6), same)).all()


def test_only_ratios_of_weights_matter_and_zero_is_out():
    rows, _ = fixed()
    w = np.asarray(rows.gold, np.float32)
    beta = fit_ridge(rows.x, rows.label, w).coefficients
    np.testing.assert_allclose(beta, fit_ridge(rows.x, rows.label, 7 * w).coefficients, rtol=1e-3)
    poisoned = np.where(rows.gold, rows.label, np.float32(1e6))
    np.testing.assert_array_equal(beta, fit_ridge(rows.x, poisoned, w).coefficients)


@pytest.mark.parametrize("method", ["ridge", "logistic"])
def test_neither_the_unit_of_features_nor_that_of_weights_matters(method):
    rng = np.random.default_rng(8)
    x, w = rng.normal(size=(40, 3)), rng.uniform(0.5, 2.0, size=40)
    label = jnp.asarray((x[:, 0] + rng.normal(size=40) > 0).astype(np.float32))

    def predicted(x, w):
        return ridge(x, label, w, x) if method == "ridge" else fit_logistic(x, label, w)(x)

    features, weights = np.stack([x, x / 10, x, 10 * x]), np.stack([w, w, w / 1e3, 1e3 * w])
    found = jax.vmap(predicted)(jnp.asarray(features), jnp.asarray(weights))
    assert np.ptp(found[0]) > 0.2
    np.testing.assert_allclose(found, np.tile(found[0], (4, 1)), atol=5e-3)


def test_strengths_are_tried_from_weak_to_strong():
    for strengths in (STRENGTHS, LOGISTIC_STRENGTHS):
        assert strengths[0] > 0 and all(np.diff(strengths) > 0)
    assert np.isinf(STRENGTHS[-1])  # the mean alone


def test_ridge_survives_large_offsets_in_float32():
    rows, _ = fixed()
    near = ridge(rows.x, rows.label, jnp.asarray(ONES), rows.x)
    far = ridge(rows.x + 100.0, rows.label + 100.0, jnp.asarray(ONES), rows.x + 100.0) - 100.0
    np.testing.assert_allclose(near, far, atol=2e-3)


def test_kernel_ridge_with_every_row_a_landmark_is_kernel_ridge():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    key = jax.random.key(3)
    w = jnp.ones(30)
    points = choose_landmarks(jnp.asarray(x), w, landmarks=30, bandwidth=1.0, key=key)
    features = np.asarray(points(jnp.asarray(x)), np.float64)
    width2 = ((x - x.mean(axis=0)) ** 2).sum(axis=1).mean()
    kernel = np.exp(-((x[:, None] - x[None]) ** 2).sum(axis=2) / (2 * width2))
    np.testing.assert_allclose(features @ features.T, kernel, atol=2e-3)
    found = kernel_ridge(jnp.asarray(x), jnp.asarray(y), w, jnp.asarray(x), key=key, landmarks=30)
    best = np.inf
    for strength in STRENGTHS[:-1]:  # dual form, intercept free, strength by leave-one-out
        penalty = strength * features.var(axis=0).mean() * 30
        centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None] + kernel.mean()
        hat = centred @ np.linalg.inv(centred + penalty * np.eye(30)) + 1 / 30
        error = np.mean(((y - hat @ y) / (1 - np.diag(hat))) ** 2)
        if error < best:
            best, expected = error, hat @ y
    np.testing.assert_allclose(found, expected, atol=2e-2)


def test_landmarks_are_rows_of_positive_weight_and_so_is_their_spread():
    """Rows 2 and 2.5 count, whose distance from their mean is ¼; rows 50 do not."""
    x = jnp.array([2.0, 50.0, 2.5, 50.0, 2.0, 50.0, 2.5, 50.0])[:, None]
    w = jnp.array([0.5, 0.0] * 4)
    for seed in range(5):
        key = jax.random.key(seed)
        found = choose_landmarks(x, w, landmarks=4, bandwidth=3.0, key=key)
        assert sorted(found.points[:, 0].tolist()) == [2.0, 2.0, 2.5, 2.5]
        assert float(found.width) == pytest.approx(0.75, rel=1e-6)
    more = choose_landmarks(x, w, landmarks=99, bandwidth=3.0, key=key)
    assert more.points.shape == (8, 1)  # all there are
    single = choose_landmarks(x, w.at[1:].set(0.0), landmarks=4, bandwidth=3.0, key=key)
    assert float(single.width) < 1e-4 and 2.0 in single.points[:, 0]


def test_logistic_matches_its_own_optimality_condition():
    rows, _ = fixed(assignment="dependent", n=2000)
    x, gold = np.asarray(rows.x, np.float64), np.asarray(rows.gold, np.float64)
    fitted = fit_logistic(rows.x, gold, np.ones(2000), strengths=(1e-3,))
    beta, intercept = (np.asarray(part, np.float64) for part in jax.tree.leaves(fitted))
    p = 1 / (1 + np.exp(-x @ beta - intercept))
    slope = (x - x.mean(axis=0)).T @ (p - gold) / 2000
    np.testing.assert_allclose(slope + 1e-3 * x.var(axis=0).mean() / 4 * beta, 0, atol=1e-5)
    assert np.mean(p - gold) == pytest.approx(0, abs=1e-5)
    assert np.corrcoef(p, rows.propensity)[0, 1] > 0.9


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_logistic_of_labels_that_are_all_alike_is_finite_and_sure(label):
    rng = np.random.default_rng(5)
    x = jnp.asarray(rng.normal(size=(30, 3)), jnp.float32)
    logit = np.asarray(fit_logistic(x, jnp.full(30, label), jnp.ones(30))(x))
    assert np.isfinite(logit).all()
    assert np.all(np.sign(logit) == 2 * label - 1) and np.all(np.abs(logit) > 4)


def test_kernel_ridge_without_a_row_to_learn_from_is_zero():
    x = jnp.asarray(np.random.default_rng(6).normal(size=(6, 2)), jnp.float32)
    key = jax.random.key(0)
    found = kernel_ridge(x, jnp.ones(6), jnp.zeros(6), x, key=key, landmarks=3)
    np.testing.assert_array_equal(found, 0.0)


def test_components_are_those_of_the_weighted_rows():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(50, 4)) * [3.0, 1.0, 0.5, 0.1]
    w = np.r_[np.ones(40), np.zeros(10)]
    made = fit_components(jnp.asarray(x), jnp.asarray(w), components=2)
    scores = np.asarray(made(jnp.asarray(x[:40])), np.float64)
    values = np.linalg.eigvalsh(np.cov(x[:40].T, bias=True))[::-1][:2]
    np.testing.assert_allclose(scores.var(axis=0), values / values.mean(), rtol=1e-3)
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-4)
    for wrong in (0, 5):
        with pytest.raises(InputError, match=f"components is {wrong}"):
            fit_components(jnp.asarray(x), jnp.asarray(w), components=wrong)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.centre = 0


@pytest.mark.parametrize("unit", [1e-3, 1.0])
@pytest.mark.parametrize("count", [1, 3, 4])
def test_components_are_turned_to_the_leading_axes_whatever_the_unit(count, unit):
    """Columns of variance 16, 9, 4, 1 that do not vary together, in another order."""
    signs = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]] * 2)
    signs[4:] *= -1  # Hadamard's matrix and its negative: each column has mean 0
    scale, order = np.array([2.0, 4.0, 1.0, 3.0]), [1, 3, 0, 2]
    x = unit * (signs * scale + 5.0)
    made = fit_components(jnp.asarray(x), 0.01 * jnp.ones(8), components=count)
    mean = np.mean(np.sort(scale)[::-1][:count] ** 2)
    expected = signs[:, order[:count]] * scale[order[:count]] / np.sqrt(mean)
    np.testing.assert_allclose(np.abs(made(jnp.asarray(x))), np.abs(expected), atol=1e-3)
    np.testing.assert_allclose(made.centre, unit * 5.0, rtol=1e-5)


def test_without_components_the_columns_are_centred_and_scaled_alone():
    x = np.array([[1.0, 10.0], [5.0, 10.0], [7.0, 40.0]])
    made = fit_components(jnp.asarray(x), jnp.array([3.0, 1.0, 0.0]), components=None)
    # centre (2, 10); variances (3·1 + 9)/4 = 3 and 0, their mean 1.5
    expected = (x - [2.0, 10.0]) / np.sqrt(1.5)
    np.testing.assert_allclose(made(jnp.asarray(x)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [None, 2])
def test_components_of_nothing_are_finite(count):
    same = jnp.ones((4, 3))
    for w in (jnp.zeros(4), jnp.ones(4)):
        assert np.isfinite(fit_components(same, w, components=count)(same)).all()
