"""Counterfactual estimates: identities, hand-worked values, bias against known truth."""

import dataclasses
import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.estimators import counterfactual
from routerjax.estimators.counterfactual import doubly_robust, estimate, importance_weights
from routerjax.estimators.defaults import floor_of
from routerjax.estimators.overlap import overlap
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates


@pytest.fixture
def log():
    return Log.from_arrays(
        np.array([0, 1, 1]), np.array([1.0, 0.5, 0.0]), np.array([0.1, 0.2, 0.3]), models="ab"
    )


PREDICTED = Estimates(
    quality=np.array([[0.6, 0.4], [0.2, 0.7], [0.5, 0.5]], np.float32),
    cost=np.array([[0.1, 0.3], [0.2, 0.2], [0.1, 0.1]], np.float32),
)
PROPENSITIES = np.array([0.5, 0.25, 0.8])


def test_docstring_examples():
    assert doctest.testmod(counterfactual).failed == 0


def test_dr_by_hand(log):
    got = estimate(log, PREDICTED, PROPENSITIES, estimator="dr")
    # row 0: 0.6 + (1.0 − 0.6)/0.5; row 1: 0.7 + (0.5 − 0.7)/0.25; row 2: 0.5 + (0 − 0.5)/0.8
    np.testing.assert_allclose(got.quality, [[1.4, 0.4], [0.2, -0.1], [0.5, -0.125]], atol=1e-6)
    # row 0: 0.1 + 0; row 1: 0.2 + 0; row 2: 0.1 + 0.2/0.8
    np.testing.assert_allclose(got.cost, [[0.1, 0.3], [0.2, 0.2], [0.1, 0.35]], atol=1e-6)


def test_ips_by_hand(log):
    got = estimate(log, PREDICTED, PROPENSITIES, estimator="ips")
    np.testing.assert_allclose(got.quality, [[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]], atol=1e-6)
    np.testing.assert_allclose(got.cost, [[0.2, 0.0], [0.0, 0.8], [0.0, 0.375]], atol=1e-6)


def test_floor_clips_from_below(log):
    got = estimate(log, PREDICTED, PROPENSITIES, estimator="ips", floor=0.4)
    np.testing.assert_allclose(got.quality[1], [0.0, 0.5 / 0.4], atol=1e-6)


def test_propensities_are_floored_at_one_in_a_hundred_unless_told_otherwise(log):
    rare = np.array([0.001, 0.02, 0.5])
    np.testing.assert_allclose(importance_weights(rare), [100, 50, 2])
    np.testing.assert_allclose(importance_weights(rare, floor=0.1), [10, 10, 2])
    np.testing.assert_allclose(importance_weights(rare, floor=0.0), [1000, 50, 2])
    got = estimate(log, PREDICTED, rare, estimator="ips")
    np.testing.assert_allclose(got.quality[0], [100.0, 0.0], rtol=1e-6)
    report = overlap(log, rare)
    assert (report.floor, report.share_clipped) == (0.01, pytest.approx(1 / 3))
    assert report.effective_sample_size[1] == pytest.approx(52**2 / (50**2 + 2**2))


def test_direct_is_the_prediction(log):
    got = estimate(log, PREDICTED, PROPENSITIES, estimator="direct")
    np.testing.assert_array_equal(got.quality, PREDICTED.quality)
    np.testing.assert_array_equal(got.cost, PREDICTED.cost)


def test_identities():
    """dr with a zero model is ips; dr with zero weight is direct."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        model, arm = jnp.asarray(rng.normal(size=4)), jnp.asarray(rng.integers(4))
        observed, weight = jnp.asarray(rng.normal()), jnp.asarray(1 / rng.uniform(0.05, 1))
        ips = np.zeros(4)
        ips[int(arm)] = weight * observed
        np.testing.assert_allclose(doubly_robust(0 * model, arm, observed, weight), ips, rtol=1e-6)
        np.testing.assert_allclose(doubly_robust(model, arm, observed, 0 * weight), model)


def test_rows_may_be_mapped_and_compiled():
    rng = np.random.default_rng(1)
    model, arms = jnp.asarray(rng.normal(size=(6, 3))), jnp.asarray(rng.integers(3, size=6))
    observed, weights = jnp.asarray(rng.normal(size=6)), jnp.asarray(rng.uniform(1, 9, size=6))
    mapped = jax.jit(jax.vmap(doubly_robust))(model, arms, observed, weights)
    rows = [doubly_robust(*row) for row in zip(model, arms, observed, weights, strict=True)]
    np.testing.assert_allclose(mapped, np.stack(rows), rtol=1e-6)


@pytest.mark.parametrize(
    ("estimator", "model_right", "propensity_right", "unbiased"),
    [
        ("dr", True, True, True),
        ("dr", True, False, True),
        ("dr", False, True, True),
        ("dr", False, False, False),
        ("ips", True, True, True),
        ("ips", True, False, False),
        ("direct", True, False, True),
        ("direct", False, True, False),
    ],
)
def test_bias_against_truth(estimator, model_right, propensity_right, unbiased):
    """Mean estimate per arm over 200 logs: within 4 Monte-Carlo standard errors, or far off."""
    rng = np.random.default_rng(7)
    n, logs = 400, 200
    x = rng.uniform(-1, 1, size=n)
    truth = np.stack([0.5 + 0.3 * x, 0.6 - 0.2 * x, 0.3 + 0 * x], axis=1)
    policy = np.exp(np.stack([1.5 * x, 0 * x, -1.0 * x], axis=1))
    policy /= policy.sum(axis=1, keepdims=True)
    model = truth if model_right else np.full((n, 3), 0.2)
    predicted = Estimates(quality=model.astype(np.float32), cost=np.zeros((n, 3), np.float32))
    means = []
    for _ in range(logs):
        arms = (policy.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
        quality = (rng.random(n) < truth[np.arange(n), arms]).astype(np.float32)
        log = Log(arms=arms, quality=quality, cost=np.ones(n, np.float32), models=("a", "b", "c"))
        known = policy[np.arange(n), arms] if propensity_right else np.full(n, 0.6)
        got = estimate(log, predicted, known, estimator=estimator, floor=1e-3)
        means.append(np.asarray(got.quality).mean(axis=0))
    error = np.std(means, axis=0, ddof=1) / np.sqrt(logs)
    off = np.abs(np.mean(means, axis=0) - truth.mean(axis=0))
    assert np.all(off < 4 * error + 1e-5) if unbiased else np.any(off > 10 * error + 1e-3)


def test_overlap_by_hand(log):
    report = overlap(log, PROPENSITIES, floor=0.3)
    # weights 2, 1/0.3, 1.25: arm b has (3.3333 + 1.25)² / (3.3333² + 1.25²)
    assert report.effective_sample_size == pytest.approx((1.0, 4.583333**2 / 12.673611), rel=1e-5)
    assert report.arm_rows == (1, 2)
    assert report.smallest_propensity == 0.25
    assert report.share_clipped == pytest.approx(1 / 3)
    assert report.source == "estimated"
    assert report.weakest == ("a", pytest.approx(1.0))


def test_overlap_of_an_arm_that_never_answered():
    log = Log.from_arrays(np.array([0, 2]), np.ones(2), np.ones(2), models="abc")
    log = log.replace(propensities=np.array([0.3, 0.5]))
    report = overlap(log, np.array([0.3, 0.5]), floor=0.3)
    assert report.effective_sample_size == (1.0, 0.0, 1.0)
    assert report.weakest == ("b", 0.0)
    assert report.arm_rows == (1, 0, 1) and report.rows == 2
    assert report.share_clipped == 0.0  # one at the floor is not below it
    assert report.source == "recorded"
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.rows = 3


def test_unknown_estimator(log):
    with pytest.raises(InputError, match="direct, ips, dr"):
        estimate(log, PREDICTED, PROPENSITIES, estimator="DR")


@pytest.mark.parametrize(
    ("given", "models", "recorded", "floor"),
    [
        (None, 2, 0.0, 0.01),
        (None, 10, 0.0, 0.01),
        (None, 40, 0.0, 0.0025),  # a tenth of 1/40
        (None, 2, 0.5, 0.01),
        (None, 40, 1.0, 0.0),  # recorded, and known however small
        (0.05, 40, 1.0, 0.05),
        (0.0, 2, 0.0, 0.0),
    ],
)
def test_the_floor_is_that_of_what_is_known(given, models, recorded, floor):
    assert floor_of(given, models=models, recorded=recorded) == pytest.approx(floor)
