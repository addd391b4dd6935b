"""The cost–quality curve: by hand, never above its own mixtures, monotone in what is better."""

import doctest
from itertools import product

import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.evaluation import curves
from routerjax.evaluation.curves import (
    Span,
    area,
    checked_points,
    cost_to_reach,
    curve,
    isotonic,
    peak,
    quality_at,
    span,
)
from routerjax.records.tables import Estimates

WITHIN = Span(low=1.0, high=5.0, floor=0.2)


def random_pair(rng):
    """A router's points, and those of one that is nowhere worse and nowhere dearer."""
    size = rng.integers(1, 9)
    cost, quality = rng.uniform(1, 5, size), rng.random(size)
    if rng.random() < 0.5:  # as a router ought to be
        cost, quality = np.sort(cost)[::-1], np.sort(quality)[::-1]
    if rng.random() < 0.3:  # ties
        cost, quality = np.round(cost), np.round(quality, 1)
    some = rng.random(size) < 0.5
    cheaper = np.where(some, cost, 1 + (cost - 1) * rng.random(size))
    better = np.where(rng.random(size) < 0.5, quality, quality + rng.random(size))
    return (cost, quality), (cheaper, better), Span(1.0, 5.0, rng.random())


def test_docstring_examples():
    assert doctest.testmod(curves).failed == 0


def test_span_by_hand():
    outcomes = Estimates(
        quality=np.array([[0.2, 0.6, 1.0], [0.5, 0.1, 0.9]]),
        cost=np.array([[1.0, 2.0, 4.0], [3.0, 1.0, 6.0]]),
    )
    assert span(outcomes) == Span(low=1.0, high=5.0, floor=pytest.approx((0.2 + 0.1) / 2))
    alike = Estimates(quality=np.array([[0.2, 0.6]]), cost=np.zeros((1, 2)))
    assert span(alike) == Span(0.0, 0.0, pytest.approx(0.4))


def test_curve_in_order_goes_through_its_points():
    got = curve(np.array([4.0, 2.0]), np.array([0.8, 0.6]), WITHIN)
    np.testing.assert_allclose(got.cost, [1, 2, 4])
    np.testing.assert_allclose(got.quality, [0.2, 0.6, 0.8])
    # between: a mixture; beyond the dearest: as it is
    np.testing.assert_allclose(
        quality_at(got, np.array([1.0, 1.5, 2.0, 3.0, 4.0, 5.0])), [0.2, 0.4, 0.6, 0.7, 0.8, 0.8]
    )
    narrow = curve(np.array([1.5, 1.25]), np.array([0.8, 0.6]), WITHIN)
    np.testing.assert_allclose(quality_at(narrow, np.array([1.125, 1.375])), [0.4, 0.7])
    # below the cheapest policy there is no less, and beyond the dearest point no more
    np.testing.assert_allclose(quality_at(got, np.array([0.5, 99.0])), [0.2, 0.8])
    # (2 − 1)·0.4 + (4 − 2)·0.7 + (5 − 4)·0.8 = 2.6, over a width of 4
    assert area(got, WITHIN) == pytest.approx(2.6 / 4)


def test_points_out_of_order_are_averaged_not_chosen():
    # along the chain, quality 0.2, 0.7, 0.5, 0.9: the middle two swap, so both become 0.6
    got = curve(np.array([4.0, 3.0, 2.0]), np.array([0.9, 0.5, 0.7]), WITHIN)
    np.testing.assert_allclose(got.quality, [0.2, 0.6, 0.6, 0.9])
    np.testing.assert_allclose(got.cost, [1, 2, 3, 4])
    # cost 2, 3 swapped instead: both become 2.5, and the better of the two is had from there on
    got = curve(np.array([4.0, 2.0, 3.0]), np.array([0.9, 0.7, 0.5]), WITHIN)
    np.testing.assert_allclose(got.cost, [1, 2.5, 2.5, 4])
    np.testing.assert_allclose(quality_at(got, np.array([2.49, 2.5])), [0.498, 0.7], atol=1e-9)


def test_a_router_below_the_cheapest_policy_is_pooled_with_it():
    got = curve(np.array([3.0]), np.array([0.0]), WITHIN)
    np.testing.assert_allclose(got.quality, [0.1, 0.1])
    assert area(got, WITHIN) == pytest.approx(0.1)


def test_peak_is_at_the_smallest_cost_weight():
    assert peak(np.array([0.7, 0.9, 0.1])) == 0.7


def test_cost_to_reach_by_hand():
    got = curve(np.array([4.0, 2.0]), np.array([0.8, 0.6]), WITHIN)
    assert cost_to_reach(got, 0.7) == pytest.approx(3.0)
    assert cost_to_reach(got, 0.6) == pytest.approx(2.0)
    assert cost_to_reach(got, 0.1) == 1.0
    assert cost_to_reach(got, 0.8 + 1e-12) == pytest.approx(4.0)
    assert cost_to_reach(got, 0.81) == np.inf


def test_isotonic_is_the_min_max_of_means():
    rng = np.random.default_rng(0)
    for _ in range(200):
        values = np.round(rng.random(rng.integers(1, 8)), 1)
        size = range(len(values))
        by_formula = [
            max(min(values[i : j + 1].mean() for j in size[k:]) for i in size[: k + 1])
            for k in size
        ]
        np.testing.assert_allclose(isotonic(values), by_formula, atol=1e-12)
        assert isotonic(values).sum() == pytest.approx(values.sum())


def test_a_better_and_cheaper_router_never_scores_lower():
    """On 3,000 random pairs of routers, whatever their points' order."""
    rng = np.random.default_rng(1)
    budgets = np.linspace(1, 5, 41) + 1e-7  # not on a step, where rounding decides
    for _ in range(3_000):
        worse, better, within = random_pair(rng)
        low, high = (curve(*points, within) for points in (worse, better))
        assert np.all(quality_at(high, budgets) >= quality_at(low, budgets) - 1e-9)
        assert area(high, within) >= area(low, within) - 1e-12
        assert peak(better[1]) >= peak(worse[1])
        for target in rng.random(3):
            assert cost_to_reach(high, target) <= cost_to_reach(low, target) + 1e-9


def test_joining_the_points_as_they_are_would_fail_that():
    """The counterexample that the pooling is for: cheaper at one λ, and less area."""

    def joined(cost):  # trapezoids through (cost, quality) in the order of λ, then level
        quality = [0.9, 0.3, 0.6]  # along the chain, the middle one low by chance
        return np.trapezoid(quality, cost) + (5 - cost[-1]) * quality[-1]

    assert joined([1, 2, 4]) < joined([1, 3, 4])
    costs = np.array([4.0, 2.0]), np.array([4.0, 3.0])
    within = Span(1.0, 5.0, 0.9)
    cheap, dear = (area(curve(cost, np.array([0.6, 0.3]), within), within) for cost in costs)
    assert cheap >= dear


def test_the_curve_is_never_above_what_its_points_can_mix():
    rng = np.random.default_rng(2)
    budgets = np.linspace(1, 5, 21)
    for _ in range(500):
        (cost, quality), _, within = random_pair(rng)
        points = [(within.low, within.floor), *zip(cost, quality, strict=True)]
        reached = np.zeros(len(budgets))
        for (cheap, one), (dear, other) in product(points, repeat=2):
            if cheap <= dear:
                share = np.clip((budgets - cheap) / max(dear - cheap, 1e-12), 0, 1)
                mixed = np.maximum(one, one + share * (other - one))
                reached = np.where(budgets >= cheap, np.maximum(reached, mixed), reached)
        assert np.all(quality_at(curve(cost, quality, within), budgets) <= reached + 1e-9)


def test_noise_on_test_rows_is_not_picked():
    """On a level router noise adds nothing to the area; to a running maximum it would."""
    rng = np.random.default_rng(3)
    cost, within = np.linspace(5, 1.5, 8), Span(1.0, 5.0, 0.4)
    level = area(curve(cost, np.full(8, 0.7), within), within)
    pooled, chosen = [], []
    for _ in range(400):
        noisy = 0.7 + 0.01 * rng.normal(size=8)
        maximum = np.maximum.accumulate(noisy[::-1])[::-1]
        pooled.append(area(curve(cost, noisy, within), within) - level)
        chosen.append(area(curve(cost, maximum, within), within) - level)
    assert abs(np.mean(pooled)) < 0.1 * 0.01
    assert np.mean(chosen) > 0.5 * 0.01


def test_area_does_not_depend_on_the_unit_of_cost():
    rng = np.random.default_rng(4)
    cost, quality = rng.uniform(1, 5, 6), rng.random(6)
    scaled = Span(1e-3, 5e-3, 0.2)
    assert area(curve(cost / 1000, quality, scaled), scaled) == pytest.approx(
        area(curve(cost, quality, WITHIN), WITHIN)
    )


def test_where_every_model_costs_the_same_the_area_is_the_quality():
    within = Span(2.0, 2.0, 0.4)
    assert area(curve(np.array([2.0, 2.0]), np.array([0.8, 0.6]), within), within) == 0.8


def test_points_are_two_arrays_of_one_length():
    first, second = checked_points([1, 2], [0.5, 0.25], names=("cost", "quality"))
    assert first.tolist() == [1.0, 2.0] and second.tolist() == [0.5, 0.25]
    for one, other in (([1.0], [1.0, 2.0]), ([], []), ([[1.0]], [[1.0]])):
        with pytest.raises(InputError, match="cost and quality: .*one length, 1 or more, not"):
            checked_points(np.array(one), np.array(other), names=("cost", "quality"))
    for one, other in (([1.0, np.nan], [1.0, 2.0]), ([1.0, 2.0], [np.inf, 1.0])):
        with pytest.raises(InputError, match="every point must be finite"):
            checked_points(np.array(one), np.array(other), names=("cost", "quality"))
