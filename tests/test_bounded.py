"""The least value of a few bounded numbers."""

from __future__ import annotations

import numpy as np
import pytest

from routerjax.estimators.bounded import least

HESSIAN = np.array([[4.0, 1.0], [1.0, 3.0]])


def quadratic(centre, calls=None):
    """½ (x − centre)ᵀ H (x − centre)."""

    def value_and_slope(x):
        if calls is not None:
            calls.append(x.copy())
        away = x - centre
        return float(away @ HESSIAN @ away) / 2, HESSIAN @ away

    return value_and_slope


def test_inside_the_bounds_it_is_where_the_slope_is_0():
    found = least(quadratic([1.0, -2.0]), np.zeros(2), np.full(2, -9.0), np.full(2, 9.0), enough=0)
    np.testing.assert_allclose(found, [1.0, -2.0], atol=1e-6)


def test_a_bound_holds_and_the_rest_is_least_beside_it():
    """With x₀ held at 0, 3 (x₁ + 2) + (0 − 1) = 0."""
    found = least(
        quadratic([1.0, -2.0]), np.full(2, -1.0), np.full(2, -9.0), np.r_[0.0, 9.0], enough=0
    )
    np.testing.assert_allclose(found, [0.0, -2 + 1 / 3], atol=1e-6)


def test_a_start_outside_the_bounds_is_brought_inside_and_no_call_leaves_them():
    calls: list[np.ndarray] = []
    low, high = np.array([-1.0, -1.0]), np.array([0.5, 2.0])
    least(quadratic([3.0, 1.0], calls), np.array([5.0, 5.0]), low, high, enough=1e-9)
    assert all((low <= each).all() and (each <= high).all() for each in calls)


def test_a_curved_valley():
    """Rosenbrock's: (1 − x)² + 100 (y − x²)², least at (1, 1)."""

    def value_and_slope(at):
        x, y = at
        slope = [-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)]
        return (1 - x) ** 2 + 100 * (y - x * x) ** 2, np.array(slope)

    found = least(
        value_and_slope, np.array([-1.2, 1.0]), np.full(2, -5.0), np.full(2, 5.0), enough=1e-15
    )
    np.testing.assert_allclose(found, [1.0, 1.0], atol=1e-4)


@pytest.mark.parametrize("noise", [1e-6, 1e-4])
def test_a_value_that_rounding_blurs_ends_it(noise):
    """As in single precision: no step that promises less than `enough` is tried for ever."""
    calls: list[np.ndarray] = []
    exact = quadratic([0.3, 0.2], calls)

    def blurred(x):
        value, slope = exact(x)
        return np.round((100 + value) / noise) * noise, slope

    found = least(blurred, np.ones(2), np.full(2, -2.0), np.full(2, 2.0), enough=1e-7)
    np.testing.assert_allclose(found, [0.3, 0.2], atol=0.02)
    assert len(calls) < 30
