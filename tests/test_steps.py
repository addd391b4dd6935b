"""Steps: cuts that few answers show as a slope, told from preferences by the slope's width."""

import numpy as np
import pytest
from scipy.special import expit

from routerjax.estimators.cuts import STEEPNESS, along, slope_along
from routerjax.estimators.steps import MOST_ERROR, deviations, edge_of_step


def asked_along(width, *, ceiling=0.2, middle=0.3, rows=40_000, seed=0):
    """Distances of a normal, and whether the arm answered there."""
    rng = np.random.default_rng(seed)
    distances = rng.normal(size=rows)
    chance = ceiling * expit(STEEPNESS * (distances - middle) / width)
    return distances, rng.random(rows) < chance


def test_deviations_by_hand():
    """Scores 0 to 3 have mean 1.5 and variance 1.25; two rows of mean 2.5 are 1 above."""
    scores, asked = np.arange(4.0), np.array([False, False, True, True])
    assert deviations(scores, asked) == pytest.approx(1 / np.sqrt(1.25 / 2))
    assert deviations(scores, asked, together=4.0) == pytest.approx(1 / np.sqrt(1.25 * 2))
    assert deviations(scores, ~asked) == pytest.approx(-1 / np.sqrt(1.25 / 2))
    assert deviations(np.ones(4), asked) == deviations(scores, asked & ~asked) == 0
    assert deviations(scores[:0], asked[:0]) == 0


def test_directions_of_any_length_give_distances():
    cut = along(np.array([[3.0, 4.0], [0.0, 2.0]]))
    np.testing.assert_allclose(cut.distances(np.array([[5.0, 10.0]])), [[11.0], [10.0]])


@pytest.mark.parametrize("width", [0.3, 0.8])
def test_the_slope_is_found(width):
    slope = slope_along(*asked_along(width))
    assert slope.middle == pytest.approx(0.3, abs=0.1)
    assert slope.width == pytest.approx(width, rel=0.15)


def test_what_does_not_rise_has_no_slope():
    distances, asked = asked_along(0.3)
    assert slope_along(-distances, asked).width == np.inf


def test_a_slope_as_wide_as_the_error_of_the_direction_is_a_step():
    """The edge lies where the rate is 0.8 of the ceiling: 1.7 (s − 0.3) / 0.4 = log 4."""
    distances, asked = asked_along(0.4, rows=400_000)
    assert edge_of_step(distances, asked, error=0.4) == pytest.approx(
        0.3 + 0.4 * np.log(4) / 1.7, abs=0.05
    )
    assert edge_of_step(distances, asked, error=0.1) == -np.inf  # a preference


def test_no_step_is_told_by_a_direction_that_is_hardly_known():
    distances, asked = asked_along(0.4)
    assert edge_of_step(distances, asked, error=1.01 * MOST_ERROR * distances.std()) == -np.inf
    assert edge_of_step(distances, asked, error=0.0) == -np.inf


def test_no_step_is_told_where_the_arm_was_asked_below():
    """A tenth of the answers stand for exploration: the slope ends above nought."""
    distances, asked = asked_along(0.2)
    also = np.random.default_rng(1).random(len(distances)) < 0.06
    assert np.isfinite(edge_of_step(distances, asked, error=0.2))
    assert edge_of_step(distances, asked | also, error=0.2) == -np.inf


def test_no_step_is_told_by_a_handful_of_answers():
    distances, asked = asked_along(0.3, rows=40_000)
    few = asked & (np.cumsum(asked) <= 4)
    assert edge_of_step(distances, few, error=0.3) == -np.inf
