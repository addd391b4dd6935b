"""Baselines picked from a log alone: means per arm, and forests on dr estimates."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from routerjax.baselines.dr_forest import dr_forest
from routerjax.baselines.naive import cheapest, ips_means, plain_means
from routerjax.baselines.policies import best_single, greedy
from routerjax.errors import InputError
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates

LOG = Log.from_arrays(
    arms=[0, 0, 1, 1, 1, 2],
    quality=[1.0, 0.0, 1.0, 0.5, 0.0, 0.25],
    cost=[0.04, 0.02, 0.01, 0.01, 0.04, 0.005],
    models=("dear", "fair", "cheap"),
)
PROPENSITIES = np.array([0.5, 0.1, 0.8, 0.4, 0.2, 0.001])


def test_plain_means_by_hand():
    means = plain_means(LOG)
    np.testing.assert_allclose(means.quality, [[0.5, 0.5, 0.25]], rtol=1e-6)
    np.testing.assert_allclose(means.cost, [[0.03, 0.02, 0.005]], rtol=1e-6)
    # λ = 0: a tie, the first; λ = 10: 0.2, 0.3, 0.2; λ = 100: −2.5, −1.5, −0.25
    assert [best_single(means, cost_weight=weight) for weight in (0, 10, 100)] == [0, 1, 2]
    assert greedy(means, cost_weight=10).tolist() == [1]
    assert cheapest(means) == 2


def test_ips_means_by_hand():
    means = ips_means(LOG, PROPENSITIES, floor=0.01)
    # weights: 2, 10; 1.25, 2.5, 5; 100
    quality = [2 / 12, (1.25 + 1.25) / 8.75, 0.25]
    cost = [(0.08 + 0.2) / 12, (0.0125 + 0.025 + 0.2) / 8.75, 0.005]
    np.testing.assert_allclose(means.quality, [quality], rtol=1e-6)
    np.testing.assert_allclose(means.cost, [cost], rtol=1e-6)
    assert best_single(means, cost_weight=0) == 1


def test_ips_means_undo_the_selection_that_biases_plain_means():
    """An arm that is asked easy queries nine times in ten looks good until it is weighed."""
    easy = np.repeat([True, False], 500)
    arms = np.where(np.arange(1000) % 10 == 0, easy, ~easy).astype(int)  # 0 gets the easy ones
    propensities = np.where(np.arange(1000) % 10 == 0, 0.1, 0.9)
    quality = np.where(easy, 0.9, 0.1) + 0.1 * arms  # arm 1 is better on every query
    log = Log.from_arrays(arms, quality, np.full(1000, 0.01), models="ab")
    np.testing.assert_allclose(plain_means(log).quality, [[0.82, 0.28]], rtol=1e-5)
    np.testing.assert_allclose(ips_means(log, propensities).quality, [[0.5, 0.6]], rtol=1e-5)


def test_equal_propensities_change_nothing():
    plain, weighed = plain_means(LOG), ips_means(LOG, np.full(6, 1 / 3))
    np.testing.assert_allclose(weighed.quality, plain.quality, rtol=1e-12)
    np.testing.assert_allclose(weighed.cost, plain.cost, rtol=1e-12)


def test_an_arm_that_never_answered_is_never_picked():
    log = Log.from_arrays([1, 1], [0.0, 0.0], [0.01, 0.03], models="abc")
    for means in (plain_means(log), ips_means(log, np.array([0.5, 0.5]))):
        assert means.quality.tolist() == [[-np.inf, 0.0, -np.inf]]
        np.testing.assert_allclose(means.cost, [[0.02] * 3], rtol=1e-6)
        assert [best_single(means, cost_weight=weight) for weight in (0, 1e6)] == [1, 1]


def test_cheapest_by_hand():
    cost = np.array([[0.1, 0.0, 0.3], [0.1, 0.3, 0.0]])  # means 0.1, 0.15, 0.15
    assert cheapest(Estimates(quality=np.zeros((2, 3)), cost=cost)) == 0


# Forests


def world(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, and quality and cost: arm 0 is right where the first number is positive."""
    x = np.random.default_rng(n).normal(size=(n, 4)).astype(np.float32)
    right = x[:, 0] > 0
    quality = np.stack([0.2 + 0.6 * right, 0.8 - 0.6 * right, np.full(n, 0.5)], axis=1)
    cost = np.stack([0.02 + 0.01 * right, np.full(n, 0.02), np.zeros(n)], axis=1)
    return x, quality, cost


def test_a_forest_finds_the_better_arm_at_every_cost_weight():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    x, quality, cost = world(1500)
    arms = rng.integers(3, size=1500)
    own = np.eye(3)[arms]
    # dr estimates of a log of uniform arms, outcome model constant: right on average, and noisy
    noisy = Estimates(
        quality=0.5 + own * 3 * (quality + 0.1 * rng.normal(size=(1500, 3)) - 0.5),
        cost=0.015 + own * 3 * (cost - 0.015),
    )
    queries, expected_quality, expected_cost = world(400)
    predicted = dr_forest(x, noisy, queries, seed=1, trees=60)
    assert predicted.quality.shape == predicted.cost.shape == (400, 3)
    assert predicted.quality.dtype == np.float32
    assert np.abs(predicted.cost - expected_cost).mean() < 0.006
    assert np.abs(predicted.quality - expected_quality).mean() < 0.12
    clear = np.abs(queries[:, 0]) > 0.5
    best = np.where(queries[:, 0] > 0, 0, 1)
    assert (greedy(predicted, cost_weight=0.0) == best)[clear].mean() > 0.95
    # λ = 100: 0.8 − 3 or 0.8 − 2 against 0.5
    assert (greedy(predicted, cost_weight=100.0) == 2).all()


def test_a_forest_of_one_leaf_predicts_the_means_and_of_deep_ones_repeats_itself():
    pytest.importorskip("sklearn")
    x, quality, cost = world(50)
    flat = dr_forest(x, Estimates(quality=quality, cost=cost), x[:2], seed=0, smallest_leaf=50)
    np.testing.assert_allclose(flat.quality[0], flat.quality[1], rtol=1e-6)
    assert np.abs(flat.quality[0] - quality.mean(axis=0)).max() < 0.05  # bootstrap samples
    first, again, threaded = (
        dr_forest(x, Estimates(quality=quality, cost=cost), x, seed=3, trees=20, jobs=jobs)
        for jobs in (None, None, 2)
    )
    for other in (again, threaded):
        np.testing.assert_array_equal(first.quality, other.quality)
        np.testing.assert_array_equal(first.cost, other.cost)
    another = dr_forest(x, Estimates(quality=quality, cost=cost), x, seed=4, trees=20)
    assert (first.quality != another.quality).any()


def test_forests_without_scikit_learn(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    x, quality, cost = world(5)
    with pytest.raises(InputError) as caught:
        dr_forest(x, Estimates(quality=quality, cost=cost), x, seed=0)
    assert str(caught.value) == "forests need scikit-learn: pip install 'routerjax[baselines]'"
