"""The upper envelope of utility lines: by hand, and against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from routerjax.estimators.envelope import envelopes, upper_envelope


def test_three_models_by_hand():
    """0.9 − 0.05λ = 0.8 − 0.01λ at 2.5; 0.8 − 0.01λ = 0.5 at 30."""
    found = upper_envelope(np.array([0.5, 0.9, 0.8]), np.array([0.0, 0.05, 0.01]))
    assert found.arms == (1, 2, 0)
    np.testing.assert_allclose(found.breaks, [2.5, 30.0])


def test_a_line_below_the_others_has_no_piece():
    """The middle model is best nowhere: at 10, where the others cross, it is worth 0.45 − 0.1."""
    found = upper_envelope(np.array([0.9, 0.45, 0.5]), np.array([0.05, 0.02, 0.01]))
    assert found.arms == (0, 2)
    np.testing.assert_allclose(found.breaks, [10.0])


def test_rows_are_told_of_their_available_arms():
    """Without the last model 0.9 − 0.05λ = 0.5 at 8."""
    quality, cost = np.tile([0.5, 0.9, 0.8], (2, 1)), np.tile([0.0, 0.05, 0.01], (2, 1))
    available = np.array([[True, True, False], [False, False, True]])
    first, second = envelopes(quality, cost, low=1, high=20, available=available)
    assert first.arms == (1, 0) and second == ((2,), ())
    np.testing.assert_allclose(first.breaks, [8.0])
    every = upper_envelope(quality[0], cost[0], low=1, high=20)
    assert envelopes(quality, cost, low=1, high=20) == [every, every]


@pytest.mark.parametrize(
    ("low", "high", "arms", "breaks"),
    [
        (0, 20, (1, 2), (2.5,)),
        (3, 20, (2,), ()),
        (2.6, 29, (2,), ()),
        (40, 50, (0,), ()),
    ],
)
def test_a_range_cuts_pieces_off(low, high, arms, breaks):
    quality, cost = np.array([0.5, 0.9, 0.8]), np.array([0.0, 0.05, 0.01])
    found = upper_envelope(quality, cost, low=low, high=high)
    assert found.arms == arms
    np.testing.assert_allclose(found.breaks, breaks)


@pytest.mark.parametrize(
    ("low", "high", "arms"), [(0, 0.5, (0,)), (0.5, 2, (1,)), (0.5, 0.5, (1,)), (1, 1, (1,))]
)
def test_a_piece_that_only_touches_the_range_is_left_out(low, high, arms):
    """Breaks at 0.5 and 2; of a single cost weight, the arm that is best from there on."""
    quality, cost = np.array([0.875, 0.75, 0.25]), np.array([0.5, 0.25, 0.0])
    assert upper_envelope(quality, cost, low=low, high=high) == (arms, ())


def test_a_line_through_the_crossing_of_two_others_has_no_piece():
    """All three are worth 0.5 at λ = 0.5."""
    found = upper_envelope(np.array([1.0, 0.75, 0.5]), np.array([1.0, 0.5, 0.0]))
    assert found == ((0, 2), (0.5,))


def test_equal_models_and_a_single_one():
    assert upper_envelope(np.full(3, 0.5), np.full(3, 0.1)) == ((0,), ())
    assert upper_envelope(np.array([0.2]), np.array([0.1])) == ((0,), ())
    assert upper_envelope(np.array([0.4, 0.7]), np.array([0.1, 0.1])) == ((1,), ())
    assert upper_envelope(np.array([0.7, 0.7]), np.array([0.2, 0.1])) == ((1,), ())  # from λ = 0 on


def test_against_brute_force():
    """On rounded values, so that lines are parallel, equal and crossing in one point."""
    rng = np.random.default_rng(0)
    grid = np.linspace(0, 60, 601) + 0.037
    for _ in range(300):
        m = rng.integers(1, 9)
        quality, cost = rng.integers(0, 6, m) / 5, rng.integers(0, 5, m) / 50
        arms, breaks = upper_envelope(quality, cost)
        best = np.max(quality - grid[:, None] * cost, axis=1)
        piece = np.searchsorted(breaks, grid)
        chosen = np.asarray(arms)[piece]
        np.testing.assert_allclose(quality[chosen] - grid * cost[chosen], best, atol=1e-12)
        assert list(breaks) == sorted(breaks) and len(set(arms)) == len(arms) == len(breaks) + 1
        assert all(np.diff(cost[list(arms)]) < 0)


def test_as_many_pieces_as_models():
    """Tangents of a parabola: every model has its piece, and each break lies between two."""
    slope = np.arange(50.0)
    arms, breaks = upper_envelope(slope**2 / -2 + 50 * slope, slope)
    assert arms == tuple(range(49, -1, -1))
    np.testing.assert_allclose(breaks, np.arange(49) + 1.5)
