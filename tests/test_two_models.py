"""Routers between two models: RouteLLM's metrics and our area, by hand and by what must hold."""

import doctest
from functools import partial

import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.evaluation import two_models
from routerjax.evaluation.two_models import (
    TwoModels,
    area_over_calls,
    average_gap_recovered,
    call_curve,
    calls_for_gap,
    performance_gap_recovered,
)

MODELS = TwoModels(weak=0.5, strong=0.9)
COIN = np.array([0.5]), np.array([0.7])
"""A coin between the two models, asked at one cost weight."""


def test_docstring_examples():
    assert doctest.testmod(two_models).failed == 0


def test_gap_recovered_by_hand():
    assert performance_gap_recovered(0.7, MODELS) == pytest.approx(0.5)
    assert np.isnan(performance_gap_recovered(0.7, TwoModels(0.9, 0.9)))


def test_average_gap_and_calls_by_hand():
    # PGR 0, 0.75, 1 and, from the strong model alone, 1 at shares 0, 0.2, 0.6, 1
    points = np.array([0.6, 0.2, 0.0]), np.array([0.9, 0.8, 0.5])
    # 0.2·0.375 + 0.4·0.875 + 0.4·1
    assert average_gap_recovered(*points, MODELS) == pytest.approx(0.825)
    # half the gap is two thirds of the way from 0 to 0.2; 0.8 is a fifth of it from 0.2 to 0.6
    assert calls_for_gap(*points, MODELS, share=0.5) == pytest.approx(0.2 * 2 / 3)
    assert calls_for_gap(*points, MODELS, share=0.8) == pytest.approx(0.2 + 0.4 * 0.2)
    assert calls_for_gap(*points, MODELS, share=0.0) == 0.0
    assert calls_for_gap(*points, MODELS, share=1.0) == pytest.approx(0.6)


def test_the_first_crossing_counts_where_the_curve_falls_again():
    # PGR 0, 1, 0.5, 1 at shares 0, 0.2, 0.6, 1
    points = np.array([0.2, 0.6]), np.array([0.9, 0.7])
    assert calls_for_gap(*points, MODELS, share=0.75) == pytest.approx(0.15)
    # 0.2·0.5 + 0.4·0.75 + 0.4·0.75
    assert average_gap_recovered(*points, MODELS) == pytest.approx(0.7)


def test_points_of_equal_share_count_as_their_mean():
    # PGR 0, (0.5 + 1)/2, 1 at shares 0, 0.5, 1
    points = np.array([0.5, 0.5]), np.array([0.7, 0.9])
    assert average_gap_recovered(*points, MODELS) == pytest.approx(0.5 * 0.375 + 0.5 * 0.875)


@pytest.mark.parametrize("shares", [[0.5], [0.0, 1.0], [0.9, 0.2], [1.0, 0.7, 0.3, 0.0]])
def test_choosing_at_random_recovers_half_wherever_it_is_asked(shares):
    calls = np.array(shares)
    quality = 0.5 + 0.4 * calls
    assert average_gap_recovered(calls, quality, MODELS) == pytest.approx(0.5)
    for share in (0.2, 0.5, 0.8):
        assert calls_for_gap(calls, quality, MODELS, share=share) == pytest.approx(share)


def test_random_choices_of_a_table_recover_half():
    """Arms drawn for 200,000 queries at three shares; four standard errors of the mean."""
    rng = np.random.default_rng(0)
    quality = rng.random((200_000, 2)) < [0.5, 0.9]
    models = TwoModels(*quality.mean(axis=0))
    calls, reached = [], []
    for share in (0.25, 0.5, 0.75):
        arms = (rng.random(len(quality)) < share).astype(int)
        calls.append(arms.mean())
        reached.append(quality[np.arange(len(quality)), arms].mean())
    got = average_gap_recovered(np.array(calls), np.array(reached), models)
    assert got == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(len(quality)) / 0.4)


def test_the_oracle_of_few_calls_recovers_almost_all():
    # the strong model is better on a tenth of the queries, and the oracle finds them
    calls, quality = np.array([0.1]), np.array([0.9])
    # 0.1·0.5 + 0.9·1
    assert average_gap_recovered(calls, quality, MODELS) == pytest.approx(0.95)
    never = np.array([0.9]), np.array([0.5])  # all calls where they do not help
    assert average_gap_recovered(*never, MODELS) == pytest.approx(0.05)


def test_order_of_points_and_quality_scale_do_not_matter():
    rng = np.random.default_rng(1)
    calls, quality = rng.random(6), rng.uniform(0.4, 1.0, 6)
    order = rng.permutation(6)
    for metric in (average_gap_recovered, partial(calls_for_gap, share=0.6)):
        own = metric(calls, quality, MODELS)
        assert metric(calls[order], quality[order], MODELS) == pytest.approx(own)
        scaled = TwoModels(weak=3 + 10 * 0.5, strong=3 + 10 * 0.9)
        assert metric(calls, 3 + 10 * quality, scaled) == pytest.approx(own)


def test_without_a_gap_nothing_is_said():
    models = TwoModels(0.9, 0.5)
    assert np.isnan(average_gap_recovered(*COIN, models))
    assert np.isnan(calls_for_gap(*COIN, models, share=0.5))


@pytest.mark.parametrize(
    ("calls", "quality", "message"),
    [
        ([0.5], [0.7, 0.8], r"two arrays of one length, 1 or more, not \[1\] and \[2\]"),
        ([], [], "two arrays of one length, 1 or more"),
        ([0.5], [np.nan], "every point must be finite"),
        ([1.5], [0.7], r"a share of calls lies in \[0, 1\]"),
    ],
)
def test_points_that_cannot_be_are_refused(calls, quality, message):
    with pytest.raises(InputError, match=message):
        average_gap_recovered(np.array(calls), np.array(quality), MODELS)
    with pytest.raises(InputError, match=message):
        calls_for_gap(np.array(calls), np.array(quality), MODELS, share=0.5)


def test_a_share_of_the_gap_beyond_it_is_refused():
    with pytest.raises(InputError, match="50 does not"):
        calls_for_gap(*COIN, MODELS, share=50)


def test_our_area_holds_a_router_to_what_it_does():
    # shares 0, 0.2, 0.6: quality 0.5, 0.8, 0.9 and level from there
    got = call_curve(np.array([0.6, 0.2, 0.0]), np.array([0.9, 0.8, 0.5]), MODELS)
    # 0.2·0.65 + 0.4·0.85 + 0.4·0.9 = 0.83, and (0.83 − 0.5)/0.4
    assert area_over_calls(got, MODELS) == pytest.approx(0.33 / 0.4)
    # the coin: 0.5·0.6 + 0.5·0.7 = 0.65, where RouteLLM's curve goes on to the strong model
    assert area_over_calls(call_curve(*COIN, MODELS), MODELS) == pytest.approx(0.375)
    assert average_gap_recovered(*COIN, MODELS) == pytest.approx(0.5)


def test_fewer_calls_and_more_quality_never_lower_our_area():
    rng = np.random.default_rng(5)
    for _ in range(500):
        size = rng.integers(1, 7)
        calls, quality = rng.random(size), rng.uniform(0.4, 1, size)
        worse = call_curve(calls, quality, MODELS)
        better = call_curve(calls * rng.random(size), quality + 0.1 * rng.random(size), MODELS)
        assert area_over_calls(better, MODELS) >= area_over_calls(worse, MODELS) - 1e-12


def test_fewer_calls_can_lower_apgr_but_not_our_area():
    quality = np.array([1.0, 0.7])  # PGR 1.25 and 0.5, λ rising
    dear, cheap = np.array([0.2, 0.8]), np.array([0.2, 0.4])
    # 0.2·0.625 + 0.6·0.875 + 0.2·0.75, and 0.2·0.625 + 0.2·0.875 + 0.6·0.75
    assert average_gap_recovered(dear, quality, MODELS) == pytest.approx(0.8)
    assert average_gap_recovered(cheap, quality, MODELS) == pytest.approx(0.75)
    ours = [area_over_calls(call_curve(calls, quality, MODELS), MODELS) for calls in (dear, cheap)]
    assert ours[1] >= ours[0]
