"""Two-level regression: the dense Gaussian process it stands for, folds, and what it shrinks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.estimators import hierarchical
from routerjax.estimators.elimination import FLAT, Arms, Sizes
from routerjax.estimators.hierarchical import PRIOR_MEAN, fit_hierarchical, variance_of
from routerjax.estimators.moments import (
    Moments,
    level_of,
    moments_of,
    moments_of_table,
    noise_of,
)

coefficients, value_and_slope = (
    jax.jit(function, static_argnames="sizes")
    for function in (hierarchical.coefficients, hierarchical.value_and_slope)
)

SIZES = Sizes(linear=2, smooth=2, tasks=1)
OF_SIZE = {"sizes": SIZES}
LOG_RATIOS = np.array([-1.0, -0.5, -0.7, 0.3, -1.5, -2.0, -0.6, -1.2, -0.9, -1.6])
NOISE = np.array([0.8, 1.0, 1.2])
LEVEL = np.array([-1.2, 0.2, 1.0])
ARMS = Arms(jnp.asarray(NOISE), jnp.asarray(LEVEL))


def _rows(n=60, arms=3, seed=0):
    rng = np.random.default_rng(seed)
    features = np.concatenate([np.ones((n, 1)), rng.normal(size=(n, 5))], axis=1)
    arm = rng.integers(0, arms, n)
    label = rng.normal(size=n) + arm
    return features, label - label.mean(), arm, rng.integers(0, 2, n)


def _whole(features, label, arm, arms=3) -> Moments:
    one = np.zeros(len(label), np.int64)
    (moments,) = moments_of(features, label[None], arm, one, folds=1, models=arms)
    return jax.tree.map(lambda each: jnp.asarray(each[0], jnp.float32), moments)


def test_moments_of_a_table_are_those_of_its_arms_one_by_one():
    features, _, _, of_row = _rows()
    labels = np.random.default_rng(1).normal(size=(2, 60, 3))
    found = moments_of_table(features, labels, of_row, folds=2)
    for label, own in zip(labels, found, strict=True):
        parts = [
            moments_of(features, label[None, :, arm], np.full(60, arm), of_row, folds=2, models=3)
            for arm in range(3)
        ]
        want = jax.tree.map(lambda *each: sum(each), *(part[0] for part in parts))
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other), own, want)


def _dense(features, arm, log_ratios, noise=NOISE, level=LEVEL):
    """Prior variances of the features (shared, by level, own), and the covariance over σ²."""
    mean, *rest = np.exp(log_ratios)
    same, differ, by_level = (np.repeat(each, SIZES) for each in np.reshape(rest, (3, 3)))
    shared, graded, own = np.r_[FLAT, same], np.r_[0.0, by_level], np.r_[mean, differ]
    alike, both = arm[:, None] == arm[None], np.outer(level[arm], level[arm])
    covariance = features * shared @ features.T + features * own @ features.T * alike
    covariance += features * graded @ features.T * both
    return shared, graded, own, covariance + np.diag(noise[arm])


def test_the_moments_are_sums_over_rows():
    features, label, arm, fold = _rows(n=20)
    quality, cost = moments_of(features, np.stack([label, 2 * label]), arm, fold, folds=2, models=3)
    for k in range(2):
        for m in range(3):
            gram, cross, square, rows = np.zeros((6, 6)), np.zeros(6), 0.0, 0
            for i in range(20):
                if fold[i] == k and arm[i] == m:
                    gram += np.outer(features[i], features[i])
                    cross += features[i] * label[i]
                    square, rows = square + label[i] ** 2, rows + 1
            np.testing.assert_allclose(quality.gram[k, m], gram, atol=1e-12)
            np.testing.assert_allclose(quality.cross[k, m], cross, atol=1e-12)
            np.testing.assert_allclose(cost.cross[k, m], 2 * cross, atol=1e-12)
            assert quality.square[k, m] == pytest.approx(square)
            assert cost.square[k, m] == pytest.approx(4 * square)
            assert quality.rows[k, m] == rows


def test_the_coefficients_are_the_mean_of_the_dense_gaussian_process():
    features, label, arm, _ = _rows()
    found = coefficients(jnp.asarray(LOG_RATIOS), _whole(features, label, arm), ARMS, **OF_SIZE)
    shared, graded, own, covariance = _dense(features, arm, LOG_RATIOS)
    weights = np.linalg.solve(covariance, label)
    for m in range(3):
        expected = shared * (features.T @ weights)
        expected += LEVEL[m] * graded * (features.T @ (LEVEL[arm] * weights))
        expected += own * (features[arm == m].T @ weights[arm == m])
        np.testing.assert_allclose(found[:, m], expected, atol=2e-5)


def test_the_marginal_likelihood_is_the_dense_one_but_for_a_constant():
    features, label, arm, _ = _rows()
    moments, constant = _whole(features, label, arm), np.log(NOISE)[arm].sum() / 2
    for moved in (0.0, 0.5, -1.0):
        covariance = _dense(features, arm, LOG_RATIOS + moved)[-1]
        quadratic = label @ np.linalg.solve(covariance, label)
        dense = np.linalg.slogdet(covariance)[1] / 2 + len(label) * np.log(quadratic) / 2
        at = jnp.asarray(LOG_RATIOS + moved)
        found, _ = value_and_slope(at, moments, ARMS, **OF_SIZE)
        assert float(found) == pytest.approx(dense - constant, abs=1e-3)


def test_its_slope_is_that_of_finite_differences():
    features, label, arm, _ = _rows()
    with jax.enable_x64(True):
        moments = jax.tree.map(
            lambda each: jnp.asarray(each, jnp.float64), _whole(features, label, arm)
        )

        def value(at):
            return float(value_and_slope(jnp.asarray(at), moments, arms, **OF_SIZE)[0])

        arms = Arms(jnp.asarray(NOISE), jnp.asarray(LEVEL))
        slope = value_and_slope(jnp.asarray(LOG_RATIOS), moments, arms, **OF_SIZE)[1]
        for j, moved in enumerate(1e-4 * np.eye(10)):
            expected = (value(LOG_RATIOS + moved) - value(LOG_RATIOS - moved)) / 2e-4
            assert float(slope[j]) == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_the_coefficients_outside_a_fold_are_those_of_a_fit_without_its_rows():
    features, label, arm, fold = _rows(n=200)
    (by_fold,) = moments_of(features, label[None], arm, fold, folds=2, models=3)
    found = fit_hierarchical(by_fold, SIZES)
    for k in range(2):
        rest = _whole(features[fold != k], label[fold != k], arm[fold != k])
        arms = Arms(*(jnp.asarray(each(rest), jnp.float32) for each in (noise_of, level_of)))
        ratios = jnp.asarray(found.log_ratios, jnp.float32)
        expected = coefficients(ratios, rest, arms, **OF_SIZE)
        np.testing.assert_allclose(found.outside[k], expected, atol=1e-4)


def test_the_variance_of_a_weighted_sum_is_that_of_the_dense_posterior():
    """σ² wᵀ (P⁻¹ + ΨᵀV⁻¹Ψ)⁻¹ w over the coefficients (β, β_1, β_2, β_3, γ but for its constant)."""
    features, label, arm, fold = _rows(n=200)
    (by_fold,) = moments_of(features, label[None], arm, fold, folds=2, models=3)
    found = fit_hierarchical(by_fold, SIZES)
    shared, graded, own, _ = _dense(features, arm, np.asarray(found.log_ratios, np.float64))
    prior = np.diag(1 / np.r_[shared, own, own, own, graded[1:]])
    weights = np.random.default_rng(1).normal(size=(2, 3, 6))
    other = Arms(*(each[1] for each in found.outside_arms))
    for outside, rows, arms in ((None, fold >= 0, found.arms), (1, fold != 1, other)):
        noise, level = (np.asarray(each, np.float64) for each in arms)
        stacked = np.zeros((rows.sum(), 29))
        stacked[:, :6] = features[rows]
        for i, (phi, m) in enumerate(zip(features[rows], arm[rows], strict=True)):
            stacked[i, 6 * (m + 1) : 6 * (m + 2)] = phi
            stacked[i, 24:] = level[m] * phi[1:]
        inverse = np.linalg.inv(prior + stacked.T @ (stacked / noise[arm[rows], None]))
        by_level = np.einsum("qmd,m->qd", weights, level)[:, 1:]
        every = np.concatenate([weights.sum(axis=1), weights.reshape(2, 18), by_level], axis=1)
        expected = found.variance * np.einsum("qd,de,qe->q", every, inverse, every)
        got = variance_of(found, weights, SIZES, fold=outside)
        np.testing.assert_allclose(got, expected, rtol=2e-3)


def test_the_noise_is_the_residual_of_the_dense_gaussian_process():
    features, label, arm, fold = _rows(n=200)
    (by_fold,) = moments_of(features, label[None], arm, fold, folds=2, models=3)
    found = fit_hierarchical(by_fold, SIZES)
    noise, level = (np.asarray(each, np.float64) for each in found.arms)
    *_, covariance = _dense(features, arm, np.asarray(found.log_ratios, np.float64), noise, level)
    expected = label @ np.linalg.solve(covariance, label) / 200
    assert found.variance == pytest.approx(expected, rel=1e-3)


def test_an_arm_that_is_nearly_always_right_has_less_noise():
    label = np.r_[np.tile([1.0, -1.0], 50), np.tile([0.1, -0.1], 50)]
    arm = np.repeat([0, 1], 100)
    found = noise_of(_whole(np.ones((200, 1)), label, arm, arms=2), prior_rows=0.0)
    np.testing.assert_allclose(found, np.array([1.0, 0.01]) * 2 / 1.01, rtol=1e-5)


def test_the_level_is_the_standardised_mean_drawn_to_that_of_all():
    """Means 0, 1, 2 of 10, 10, 20 rows, 1.25 of all; drawn to it by 10 rows: .625, 1.125, 1.75."""
    arm = np.repeat([0, 1, 2], [10, 10, 20])
    moments = _whole(np.ones((40, 1)), arm.astype(float), arm)
    away = np.array([0.625, 1.125, 1.75]) - 3.5 / 3
    np.testing.assert_allclose(level_of(moments), away / np.sqrt((away**2).mean()), rtol=1e-6)
    alike = _whole(np.ones((40, 1)), np.ones(40), arm)
    np.testing.assert_array_equal(level_of(alike), np.zeros(3))


def test_what_weak_arms_alone_find_hard_is_learnt_from_all_of_them():
    """Twelve arms of 60 rows: slopes in proportion to level, against those without levels."""
    rng = np.random.default_rng(3)
    features = np.concatenate([np.ones((720, 1)), 0.4 * rng.normal(size=(720, 5))], axis=1)
    arm, strength = np.arange(720) % 12, np.linspace(-1, 1, 12)
    label = strength[arm] * (1 + 0.5 * features[:, 1:].sum(axis=1)) + rng.normal(size=720)
    (by_fold,) = moments_of(features, label[None], arm, arm % 2, folds=2, models=12)
    found = fit_hierarchical(by_fold, SIZES)
    whole = jax.tree.map(lambda each: jnp.asarray(each.sum(axis=0), jnp.float32), by_fold)
    without = Arms(found.arms.noise, jnp.zeros(12))
    alone = coefficients(jnp.asarray(found.log_ratios, jnp.float32), whole, without, SIZES)
    truth = 0.5 * np.tile(strength, (5, 1))
    error, other = (np.mean((np.asarray(each)[1:] - truth) ** 2) for each in (found.every, alone))
    assert error < 0.6 * other


def test_each_kind_of_feature_is_shrunk_by_what_it_tells():
    """Three arms differ by the last feature alone, and are alike along the other four."""
    rng = np.random.default_rng(5)
    features = np.concatenate([np.ones((900, 1)), 0.4 * rng.normal(size=(900, 5))], axis=1)
    arm, fold, size = rng.integers(0, 3, 900), rng.integers(0, 3, 900), np.array([-2.0, 0.0, 2.0])
    label = size[arm] * features[:, 5] + 0.5 * rng.normal(size=900)
    (by_fold,) = moments_of(features, label[None], arm, fold, folds=3, models=3)
    found = fit_hierarchical(by_fold, SIZES)
    prior, fitted = (np.reshape(each[1:], (3, 3)) for each in (PRIOR_MEAN, found.log_ratios))
    assert fitted[1, 2] > prior[1, 2] + 2  # by how much arms differ from task to task
    assert (fitted[1, :2] < prior[1, :2]).all() and (fitted[0] < prior[0]).all()
    np.testing.assert_allclose(found.every[5], size, atol=0.2)
    assert np.abs(found.every[1:5]).max() < 0.1


def test_nothing_but_common_difficulty_leaves_the_arms_alike():
    """Deviations that are not there are shrunk; a common slope is found."""
    rng = np.random.default_rng(0)
    features = np.concatenate([np.ones((900, 1)), 0.4 * rng.normal(size=(900, 5))], axis=1)
    arm, fold = rng.integers(0, 3, 900), rng.integers(0, 3, 900)
    label = 1.0 * features[:, 1] + 0.3 * rng.normal(size=900)
    (by_fold,) = moments_of(features, label[None], arm, fold, folds=3, models=3)
    found = fit_hierarchical(by_fold, SIZES).every
    assert np.abs(found[1] - 1.0).max() < 0.1
    assert np.ptp(found, axis=1).max() < 0.1


def test_deviations_that_are_there_are_found():
    rng = np.random.default_rng(1)
    features = np.concatenate([np.ones((1800, 1)), 0.4 * rng.normal(size=(1800, 5))], axis=1)
    arm, fold = rng.integers(0, 3, 1800), rng.integers(0, 3, 1800)
    slope = np.array([-1.0, 0.0, 1.0])
    label = slope[arm] * features[:, 2] + 0.3 * rng.normal(size=1800)
    (by_fold,) = moments_of(features, label[None], arm, fold, folds=3, models=3)
    found = fit_hierarchical(by_fold, SIZES).every
    np.testing.assert_allclose(found[2], slope, atol=0.12)


def test_an_arm_without_rows_is_what_the_arms_share():
    features, label, _, fold = _rows(n=120)
    arm = np.random.default_rng(2).integers(0, 2, 120)
    (by_fold,) = moments_of(features, label[None], arm, fold, folds=2, models=3)
    ratios = jnp.asarray(LOG_RATIOS, jnp.float32)
    every = jax.tree.map(lambda each: jnp.asarray(each.sum(axis=0), jnp.float32), by_fold)
    found = np.asarray(coefficients(ratios, every, Arms(jnp.ones(3), jnp.zeros(3)), SIZES))
    assert np.isfinite(found).all() and np.isfinite(fit_hierarchical(by_fold, SIZES).every).all()
    between = (found[:, :2].min(axis=1) - 1e-3, found[:, :2].max(axis=1) + 1e-3)
    assert (found[0, 2] > between[0][0]) and (found[0, 2] < between[1][0])
