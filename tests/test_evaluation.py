"""Metrics, intervals and off-policy values: hand-worked, and coverage against known truth."""

import doctest

import numpy as np
import pytest

from routerjax.evaluation import intervals
from routerjax.evaluation.intervals import mean_interval, student_quantile
from routerjax.evaluation.metrics import (
    collapse,
    expected,
    gap_recovered,
    label_error,
    outcome,
    paired_difference,
    shares,
)
from routerjax.evaluation.ope import effective_sample_size, value
from routerjax.records.tables import Estimates, Log

CELLS = Estimates(
    quality=np.array([[1.0, 0.5], [0.2, 0.4]]), cost=np.array([[0.010, 0.001], [0.010, 0.001]])
)


def test_docstring_examples():
    assert doctest.testmod(intervals).failed == 0


def test_outcome_by_hand():
    # utilities at λ = 20: (0.8, 0.48), (0.0, 0.38)
    got = outcome(np.array([0, 0]), CELLS, cost_weight=20.0)
    np.testing.assert_allclose(got.utility, [0.8, 0.0], atol=1e-12)
    np.testing.assert_allclose(got.regret, [0.0, 0.38], atol=1e-12)
    np.testing.assert_allclose(got.quality, [1.0, 0.2])
    np.testing.assert_allclose(got.cost, [0.01, 0.01])


def test_outcome_of_probabilities_is_the_expectation():
    mixed = outcome(np.array([[0.25, 0.75], [1.0, 0.0]]), CELLS, cost_weight=20.0)
    np.testing.assert_allclose(mixed.utility, [0.25 * 0.8 + 0.75 * 0.48, 0.0], atol=1e-12)
    np.testing.assert_allclose(expected(CELLS.quality, np.array([1, 0])), [0.5, 0.2])


def test_a_better_and_cheaper_choice_never_scores_lower():
    rng = np.random.default_rng(0)
    worse = Estimates(quality=rng.random((50, 4)), cost=rng.random((50, 4)))
    better = Estimates(
        quality=worse.quality + rng.random((50, 4)), cost=worse.cost * rng.random((50, 4))
    )
    arms = rng.integers(4, size=50)
    for weight in (0.0, 1.0, 100.0):
        assert np.all(
            outcome(arms, better, cost_weight=weight).utility
            >= outcome(arms, worse, cost_weight=weight).utility
        )
        # and of two choices on the same outcomes, the one of more utility has less regret
        other = rng.integers(4, size=50)
        mine, theirs = (outcome(each, worse, cost_weight=weight) for each in (arms, other))
        np.testing.assert_allclose(mine.utility - theirs.utility, theirs.regret - mine.regret)


def test_gap_recovered():
    assert gap_recovered(0.7, floor=0.6, ceiling=0.8) == pytest.approx(0.5)


def test_paired_difference_by_hand():
    # differences 1, 3, 2: mean 2, s = 1, standard error 1/√3, t with 2 degrees 4.30265
    got = paired_difference(np.array([2.0, 5.0, 4.0]), np.array([1.0, 2.0, 2.0]))
    assert got.mean == pytest.approx(2.0) and got.n == 3
    assert got.low == pytest.approx(2 - 4.302653 / np.sqrt(3), rel=1e-4)


def test_paired_difference_takes_the_seeds_that_both_have():
    got = paired_difference(np.array([2.0, np.nan, 4.0]), np.array([1.0, 2.0, 1.0]))
    assert (got.mean, got.n) == (2.0, 2)
    never = paired_difference(np.array([np.inf, 1.0]), np.array([np.inf, 2.0]))
    assert np.isnan(never.mean) and np.isnan(never.low)
    assert paired_difference(np.array([np.nan]), np.array([1.0])).n == 0


def test_shares_by_hand():
    np.testing.assert_allclose(shares(np.array([0, 2, 2, 2]), 3), [0.25, 0, 0.75])
    mixed = np.array([[0.5, 0.5], [1.0, 0.0]])
    np.testing.assert_allclose(shares(mixed, 2), [0.75, 0.25])


def test_collapse_by_hand():
    assert collapse(np.array([1.0, 0.0]), np.array([0.4, 0.6])) == pytest.approx(0.4)
    assert collapse(np.array([0.5, 0.5]), np.array([0.4, 0.6])) == pytest.approx(-0.1)


def test_label_error_by_hand():
    noisy = Estimates(
        quality=np.array([[1.5, 0.5], [0.2, 0.9], [0.3, 0.6]]), cost=CELLS.cost[[0] * 3]
    )
    known = Estimates(quality=np.array([[1.0, 0.5], [0.8, 0.4], [0.7, 0.7]]), cost=np.zeros((3, 2)))
    # labels 0, 1, 1 at λ = 0: right, wrong, and right because of a tie
    got = label_error(noisy, known, cost_weight=0.0)
    assert got.label_error == pytest.approx(1 / 3)
    # promised 1.5, 0.9, 0.6 and true 1.0, 0.4, 0.7
    assert got.optimism == pytest.approx((0.5 + 0.5 - 0.1) / 3)


def test_noise_makes_labels_optimistic():
    rng = np.random.default_rng(2)
    known = Estimates(quality=rng.random((2_000, 5)), cost=np.zeros((2_000, 5)))
    noisy = Estimates(quality=known.quality + rng.normal(0, 0.3, (2_000, 5)), cost=known.cost)
    assert label_error(known, known, cost_weight=1.0) == (0.0, 0.0)
    got = label_error(noisy, known, cost_weight=1.0)
    assert got.label_error > 0.3 and got.optimism > 0.1


def test_mean_interval_by_hand():
    got = mean_interval(np.array([1.0, 2.0, 3.0, 6.0]))
    # mean 3, s² = (4 + 1 + 0 + 9)/3, t quantile with 3 degrees of freedom 3.18245
    error = np.sqrt(14 / 3) / 2
    assert got.mean == 3.0 and got.n == 4
    assert got.standard_error == pytest.approx(error)
    assert got.high == pytest.approx(3 + 3.182446 * error, rel=1e-4)
    assert got.low == pytest.approx(3 - 3.182446 * error, rel=1e-4)


def test_two_scores_have_an_interval():
    # mean 2, s = √2, standard error 1, and Cauchy's quantile at 0.975 is tan(0.475 π)
    got = mean_interval(np.array([1.0, 3.0]))
    assert got[:2] == pytest.approx((2.0, 1.0)) and got.n == 2
    assert got.high - 2 == 2 - got.low == pytest.approx(np.tan(0.475 * np.pi))


def test_one_score_has_no_error():
    got = mean_interval(np.array([0.3]))
    assert got.mean == 0.3 and np.isnan(got.standard_error)


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [
        (1, np.tan(0.475 * np.pi)),  # Cauchy's: 12.7062
        (2, 0.95 * np.sqrt(2 / (0.975 * 0.1))),
        (4, 2.7764451),
        (9, 2.2621572),
        (10, 2.2281389),
        (10**9, 1.9599640),  # the normal quantile
    ],
)
def test_student_quantile(degrees, quantile):
    assert student_quantile(0.975, degrees) == pytest.approx(quantile, abs=1e-7)


def _logged(rng, n=500):
    x = rng.uniform(-1, 1, size=n)
    truth = np.stack([0.5 + 0.3 * x, 0.6 - 0.2 * x], axis=1)
    policy = 1 / (1 + np.exp(-np.stack([2 * x, -2 * x], axis=1)))
    arms = (rng.random(n) > policy[:, 0]).astype(int)
    log = Log(
        arms=arms,
        quality=(rng.random(n) < truth[np.arange(n), arms]).astype(np.float32),
        cost=np.full(n, 0.001, np.float32),
        models=("a", "b"),
    )
    return log, policy[np.arange(n), arms], np.full(n, 1)


def test_value_by_hand():
    log = Log.from_arrays(
        np.array([0, 1]), np.array([1.0, 0.0]), np.array([0.01, 0.02]), models="ab"
    )
    predicted = Estimates(
        quality=np.array([[0.5, 0.5], [0.5, 0.5]], np.float32),
        cost=np.array([[0.01, 0.02], [0.01, 0.02]], np.float32),
    )
    got = value(np.array([0, 0]), log, predicted, np.array([0.5, 0.5]), cost_weight=10.0)
    # row 0 follows: 0.5 + (1 − 0.5)/0.5 = 1.5, less 0.1; row 1 does not: 0.5 less 0.1
    assert got.utility.mean == pytest.approx((1.4 + 0.4) / 2, rel=1e-5)
    assert got.quality.mean == pytest.approx(1.0, rel=1e-5)
    assert got.effective_sample_size == pytest.approx(1.0)
    neither = np.array([1, 0])
    assert effective_sample_size(neither, log, np.array([0.5, 0.5])) == 0.0


def test_a_floor_keeps_a_rare_arm_from_outweighing_the_rest():
    log = Log.from_arrays(
        np.array([0, 1]), np.array([1.0, 0.0]), np.array([0.01, 0.03]), models="ab"
    )
    predicted = Estimates(
        quality=np.full((2, 2), 0.5, np.float32), cost=np.full((2, 2), 0.02, np.float32)
    )
    propensities = np.array([0.125, 0.5])
    settings = {"cost_weight": 10.0, "floor": 0.25}
    got = value(np.array([0, 0]), log, predicted, propensities, **settings)
    # row 0 follows: quality 0.5 + 0.5 / 0.25, cost 0.02 − 0.01 / 0.25; row 1: 0.5 and 0.02
    assert got.quality.mean == pytest.approx((2.5 + 0.5) / 2)
    assert got.cost.mean == pytest.approx((-0.02 + 0.02) / 2, abs=1e-6)
    assert got.utility.mean == pytest.approx((2.7 + 0.3) / 2)
    # the default floor of 0.01 does not reach: 0.5 + 0.5 / 0.125
    free = value(np.array([0, 0]), log, predicted, propensities, cost_weight=10.0)
    assert free.quality.mean == pytest.approx((4.5 + 0.5) / 2)
    rare = value(np.array([0, 0]), log, predicted, propensities / 1000, cost_weight=10.0)
    assert rare.quality.mean == pytest.approx((0.5 + 0.5 / 0.01 + 0.5) / 2)


def test_effective_sample_size_by_hand():
    log = Log.from_arrays(np.array([0, 1]), np.ones(2), np.ones(2), models="ab")
    propensities = np.array([0.125, 0.5])
    mixed = np.array([[0.5, 0.5], [0.0, 1.0]])
    # 0.5 / 0.25 = 2 and 1 / 0.5 = 2: two rows that weigh alike
    assert effective_sample_size(mixed, log, propensities, floor=0.25) == pytest.approx(2.0)
    # without a floor that reaches 0.5 / 0.125 = 4 and 2: (4 + 2)² / (16 + 4)
    assert effective_sample_size(mixed, log, propensities) == pytest.approx(36 / 20)
    # at the default of 0.01: 0.5 / 0.01 = 50 and 2
    tiny = effective_sample_size(mixed, log, np.array([1e-5, 0.5]))
    assert tiny == pytest.approx(52**2 / (2500 + 4))
    ones = Estimates(quality=np.ones((2, 2)), cost=np.ones((2, 2)))
    got = value(mixed, log, ones, propensities, cost_weight=0.0, floor=0.25)
    assert got.effective_sample_size == pytest.approx(2.0)


@pytest.mark.slow
@pytest.mark.parametrize("model_right", [True, False])
def test_interval_covers_the_truth(model_right):
    """95 % intervals of dr values on 1,000 logs: coverage inside its binomial band."""
    rng = np.random.default_rng(11)
    covered, logs = 0, 1_000
    for _ in range(logs):
        log, propensities, arms = _logged(rng)
        quality = np.tile([0.5, 0.6], (500, 1)) if model_right else np.full((500, 2), 0.1)
        predicted = Estimates(
            quality=quality.astype(np.float32), cost=np.full((500, 2), 0.001, np.float32)
        )
        interval = value(arms, log, predicted, propensities, cost_weight=0.0).utility
        covered += interval.low <= 0.6 <= interval.high  # E[0.6 − 0.2·x] over x
    assert abs(covered / logs - 0.95) < 4 * np.sqrt(0.95 * 0.05 / logs)
