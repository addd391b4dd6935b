"""Stabilised weights: by hand, what they bring back, and rows that they leave alone."""

import numpy as np
import pytest

from routerjax.estimators.stabilised import MOST, stabilised_weights


def test_by_hand():
    """Ratios 1, 2, ½ of a model: Σw = 3.5 and Σw² = 5.25, so that each counts 2/3 of its own."""
    arms = np.tile([0, 0, 0, 1, 1], 20)
    both = np.tile([0.5, 0.25, 1.0, 0.5, 0.5], 20)
    found = stabilised_weights(np.full(100, 0.5), both, arms, models=3)
    np.testing.assert_allclose(found, [2 / 3, 4 / 3, 1 / 3, 1, 1] * 20)


def test_an_arm_of_few_rows_keeps_them_as_they_are():
    """39 rows of ratios 1, 2, ½ are worth 30.3, and 36 of them 28: fewer than 30."""
    for count, first in ((39, 2 / 3), (36, 1.0)):
        both = np.tile([0.5, 0.25, 1.0], count // 3)
        found = stabilised_weights(np.full(count, 0.5), both, np.zeros(count, int), models=1)
        assert found[0] == pytest.approx(first)


def test_where_the_rest_tells_nothing_every_row_is_one():
    chance = np.random.default_rng(0).uniform(0.1, 0.9, 50)
    found = stabilised_weights(chance, chance, np.arange(50) % 4, models=4)
    np.testing.assert_array_equal(found, np.ones(50))


def test_an_arms_weights_sum_to_its_effective_rows_and_are_bounded():
    rng = np.random.default_rng(1)
    arms, one, both = rng.integers(0, 3, 300), rng.uniform(0, 1, 300), rng.uniform(0, 1, 300)
    found = stabilised_weights(one, both, arms, models=3)
    for arm in range(3):
        own = found[arms == arm]
        assert own.sum() == pytest.approx(own.sum() ** 2 / (own**2).sum())
        assert own.sum() < len(own) and own.max() / own.min() <= MOST**2 + 1e-9


def test_impossible_propensities_make_no_weight_infinite():
    half, arms = np.full(100, 0.5), np.zeros(100, int)
    found = stabilised_weights(half, np.tile([0.0, 1.0], 50), arms, models=1)
    assert np.isfinite(found).all()


def test_weighted_means_are_those_of_a_policy_that_the_query_alone_decides():
    """A model is asked in code with 0.6 and in chat with 0.3, where it earns 0.9 and 0.3."""
    means, plain = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        code = rng.random(500) < 0.5
        both = np.where(code, 0.6, 0.3)
        asked = rng.random(500) < both
        quality = (rng.random(500) < np.where(code, 0.9, 0.3)).astype(float)[asked]
        weights = stabilised_weights(
            np.full(asked.sum(), 0.45), both[asked], np.zeros(asked.sum(), int), models=1
        )
        means.append((weights * quality).sum() / weights.sum())
        plain.append(quality.mean())
    error = np.std(means) / np.sqrt(200)
    assert abs(np.mean(means) - 0.6) < 3 * error and error < 0.003
    assert np.mean(plain) == pytest.approx(0.7, abs=0.01)
