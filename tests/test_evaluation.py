"""Metrics, intervals and bands: hand-worked, and coverage against known truth."""

import doctest

import numpy as np
import pytest

from routerjax.evaluation import intervals
from routerjax.evaluation.intervals import (
    Interval,
    degrees_of_freedom,
    mean_interval,
    simultaneous_band,
    student_quantile,
    within,
)
from routerjax.evaluation.metrics import (
    collapse,
    expected,
    gap_recovered,
    label_error,
    outcome,
    paired_difference,
    shares,
)
from routerjax.records.tables import Estimates

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
    # half of all: the upper quartile of t with 2 degrees is √(2/3)
    half = paired_difference(np.array([2.0, 5.0, 4.0]), np.array([1.0, 2.0, 2.0]), confidence=0.5)
    assert half.high == pytest.approx(2 + np.sqrt(2 / 3) / np.sqrt(3), rel=1e-6)


def test_paired_difference_takes_the_seeds_that_both_have():
    got = paired_difference(np.array([2.0, np.nan, 4.0]), np.array([1.0, 2.0, 1.0]))
    assert (got.mean, got.n) == (2.0, 2)
    never = paired_difference(np.array([np.inf, 1.0]), np.array([np.inf, 2.0]))
    assert np.isnan(never.mean) and np.isnan(never.low)
    for scores, base in (([np.inf, 1.0], [0.0, 2.0]), ([0.0, 2.0], [np.inf, 1.0])):
        assert np.isnan(paired_difference(np.array(scores), np.array(base)).mean)
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


def test_a_clustered_interval_by_hand():
    # mean 3; sums of deviations by group −2 − 1 = −3, 0 + 3 = 3; two groups, four rows
    got = mean_interval(np.array([1.0, 2.0, 3.0, 6.0]), groups=np.array([0, 0, 1, 1]))
    error = np.sqrt(2 / 1 * (9 + 9)) / 4
    assert (got.mean, got.n) == (3.0, 2)
    assert got.standard_error == pytest.approx(error)
    assert got.high - 3 == pytest.approx(np.tan(0.475 * np.pi) * error)  # Student's of one degree
    # groups of unequal size: −2 alone, −1 + 0 + 3 = 2
    uneven = mean_interval(np.array([1.0, 2.0, 3.0, 6.0]), groups=np.array([1, 0, 0, 0]))
    assert uneven.standard_error == pytest.approx(np.sqrt(2 * (4 + 4)) / 4)


def test_groups_of_one_are_no_groups():
    scores = np.random.default_rng(1).normal(size=(4, 40))
    order = np.random.default_rng(2).permutation(40)
    assert mean_interval(scores[0], groups=order) == pytest.approx(mean_interval(scores[0]))
    with_groups, without = simultaneous_band(scores, groups=order), simultaneous_band(scores)
    np.testing.assert_allclose(with_groups.high, without.high)
    assert with_groups.n == without.n == 40


def test_every_row_twice_tells_no_more_than_once():
    scores, rows = np.random.default_rng(3).normal(size=(2, 30)), np.tile(np.arange(30), 2)
    once, twice = mean_interval(scores[0]), mean_interval(scores[0][rows], groups=rows)
    assert twice == pytest.approx(once) and twice.n == 30
    assert mean_interval(scores[0][rows]).standard_error < 0.75 * once.standard_error
    band, same = simultaneous_band(scores), simultaneous_band(scores[:, rows], groups=rows)
    np.testing.assert_allclose(same.low, band.low)


def test_one_group_has_no_interval():
    one = np.zeros(5, int)
    assert np.isnan(mean_interval(np.arange(5.0), groups=one).high)
    band = simultaneous_band(np.arange(10.0).reshape(2, 5), groups=one)
    assert np.isnan(band.low).all() and band.mean.tolist() == [2.0, 7.0] and band.n == 1


def test_the_band_of_one_curve_is_students_interval():
    scores = np.random.default_rng(4).normal(size=12)
    one, copies = simultaneous_band(scores[None]), simultaneous_band(np.stack([scores, 2 * scores]))
    # 20,000 draws of a quantile whose density is 0.0525 · 2: ± 0.016
    assert one.critical == pytest.approx(student_quantile(0.975, 11), abs=0.06)
    assert copies.critical == pytest.approx(student_quantile(0.975, 11), abs=0.06)
    by_itself = mean_interval(scores)
    assert one.mean[0] == by_itself.mean
    assert one.standard_error[0] == pytest.approx(by_itself.standard_error)
    np.testing.assert_allclose(one.low, one.mean - one.critical * one.standard_error)


def test_a_band_of_unrelated_curves_is_wider_and_one_that_is_level_has_no_width():
    rows = np.random.default_rng(5).normal(size=(10, 2_000))
    scores = np.concatenate([rows, np.ones((1, 2_000))])
    band = simultaneous_band(scores)
    # ten independent normals: the quantile at 0.95^(1/10) of |Z| is 2.7995
    assert band.critical == pytest.approx(2.7995, abs=0.06)
    assert band.low[-1] == band.high[-1] == 1.0
    level = simultaneous_band(np.ones((2, 6)))
    assert level.low.tolist() == level.high.tolist() == [1.0, 1.0]


def test_bands_hold_at_once_as_often_as_they_say():
    """300 draws of five curves of 60 groups of three: 95 % within 4 binomial standard errors."""
    rng, groups = np.random.default_rng(6), np.repeat(np.arange(60), 3)
    slope = np.linspace(0, 1, 5)[:, None]
    band_holds, intervals_hold, draws = 0, 0, 300
    for _ in range(draws):
        level, tilt = rng.normal(size=(2, 60))[:, groups] + 0.5 * rng.normal(size=(2, 180))
        scores = level + slope * tilt
        band = simultaneous_band(scores, groups=groups, draws=4_000)
        band_holds += bool(np.all((band.low <= 0) & (band.high >= 0)))
        each = [mean_interval(row, groups=groups) for row in scores]
        intervals_hold += all(one.low <= 0 <= one.high for one in each)
    assert abs(band_holds / draws - 0.95) < 4 * np.sqrt(0.95 * 0.05 / draws)
    assert intervals_hold < band_holds


def test_degrees_of_freedom_count_the_groups_that_carry_the_mean():
    # 8 sums of −1 and 2 of 4: squares 8 + 32 = 40, fourth powers 8 + 512: κ = 10 · 520 / 1600
    sums = np.array([-1.0] * 8 + [4.0] * 2)
    assert degrees_of_freedom(sums) == pytest.approx(20 / (3.25 - 1))
    assert degrees_of_freedom(np.zeros(4)) == degrees_of_freedom(np.array([1.0, -1, 1, -1])) == 3
    one_of_many = np.array([-1.0] * 999 + [999.0])
    assert degrees_of_freedom(one_of_many) == pytest.approx(2.0, rel=0.01)
    normal = np.random.default_rng(7).normal(size=1_000)
    assert 800 < degrees_of_freedom(normal) < 1_000


def test_heavy_tails_widen_intervals_and_bands():
    scores = np.array([0.0] * 8 + [5.0] * 2)  # deviations −1 and 4, as above
    plain, wide = mean_interval(scores), mean_interval(scores, heavy_tails=True)
    assert wide[:2] == plain[:2] and wide.n == 10
    reach = student_quantile(0.975, 20 / 2.25) * plain.standard_error
    assert (wide.low, wide.high) == pytest.approx((1 - reach, 1 + reach))
    paired = np.repeat(np.arange(5), 2)
    by_pairs = mean_interval(scores, groups=paired, heavy_tails=True)
    # sums −2, −2, −2, −2, 8: squares 80, fourth powers 4160, κ = 5 · 4160 / 6400: 4.4, at most 4
    assert by_pairs.high - 1 == pytest.approx(student_quantile(0.975, 4) * by_pairs.standard_error)
    both = np.stack([np.tile([1.0, -1.0], 5), scores])
    assert simultaneous_band(both).critical < simultaneous_band(both, heavy_tails=True).critical
    alone = simultaneous_band(scores[None], heavy_tails=True)
    assert alone.critical == pytest.approx(student_quantile(0.975, 20 / 2.25), abs=0.06)


def test_an_interval_ends_where_its_mean_can_lie():
    own = Interval(0.97, 0.02, 0.93, 1.01, 40)
    assert within(own, 0.0, 1.0) == Interval(0.97, 0.02, 0.93, 1.0, 40)
    assert within(own, 0.95, np.inf) == Interval(0.97, 0.02, 0.95, 1.01, 40)
    assert within(own, 0.0, 0.9) == own  # an impossible estimate stays one
    unknown = Interval(*(np.nan,) * 4, 0)
    assert within(unknown, 0.0, 1.0) is unknown
