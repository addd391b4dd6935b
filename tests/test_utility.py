"""Cost weights: the unit of utilities, the grid and where a weight lies in it, by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.estimators.utility import (
    Unit,
    along,
    between,
    bracket_of,
    check_range,
    inside,
    scaled_utilities,
)
from routerjax.records.tables import Estimates

GRID = (1.0, 3.0, 11.0)


def test_the_unit_is_affine_in_the_cost_weight():
    np.testing.assert_allclose(Unit(2.0, 0.5).at(np.array([0.0, 4.0, 6.0])), [2.0, 4.0, 5.0])


def test_scaled_utilities_by_hand():
    cells = Estimates(
        quality=jnp.array([[1.0, 0.5], [0.0, 2.0]]), cost=jnp.array([[0.5, 0.0], [1.0, 0.25]])
    )
    # λ = 0: s = 2; λ = 4: s = 4, utilities (1 − 2, 0.5), (−4, 2 − 1)
    found = scaled_utilities(cells, jnp.array([0.0, 4.0]), Unit(2.0, 0.5))
    assert found.shape == (2, 2, 2)
    np.testing.assert_allclose(found[:, 0], [[0.5, 0.25], [0.0, 1.0]])
    np.testing.assert_allclose(found[:, 1], [[-0.25, 0.125], [-1.0, 0.25]])


@pytest.mark.parametrize(
    ("cost_weight", "lower", "upper", "share"),
    [
        (1.0, 0, 1, 0.0),
        (1.5, 0, 1, 0.25),
        (3.0, 0, 1, 1.0),  # a grid point is the end of the one below
        (5.0, 1, 2, 0.25),
        (11.0, 1, 2, 1.0),
        (13.0, 1, 2, 1.25),  # beyond the grid: the nearest stretch goes on
        (0.5, 0, 1, -0.25),
    ],
)
def test_where_a_cost_weight_lies(cost_weight, lower, upper, share):
    found = bracket_of(jnp.array([cost_weight]), GRID)
    assert [float(part[0]) for part in found] == [lower, upper, share]


def test_a_grid_of_one_point_has_no_width():
    found = bracket_of(jnp.array([2.0, 5.0, 7.0]), (5.0,))
    np.testing.assert_array_equal(np.stack(found), np.zeros((3, 3)))
    assert between((5.0,), 3) == () and inside((5.0,), jnp.zeros(0)).shape == (0,)
    np.testing.assert_array_equal(along((5.0,), jnp.array([0.0])), [5.0])


def test_a_grid_that_holds_a_point_twice_divides_by_no_zero():
    found = bracket_of(jnp.array([3.0, 3.5]), (3.0, 3.0, 4.0))
    assert np.isfinite(found.share).all() and float(found.share[1]) == 0.5

    def share(cost_weight):
        return bracket_of(cost_weight[None], (5.0,)).share[0]

    assert jax.grad(share)(jnp.float32(5.0)) == 0.0


def test_inside_along_and_between_by_hand():
    np.testing.assert_allclose(inside(GRID, jnp.array([0.25, 0.5])), [1.5, 7.0])
    places = jnp.array([0.0, 0.5, 1.0, 1.25, 2.0])
    np.testing.assert_allclose(along(GRID, places), [1.0, 2.0, 3.0, 5.0, 11.0])
    assert between(GRID) == (2.0, 7.0)
    assert between(GRID, 3) == (1.5, 2.0, 2.5, 5.0, 7.0, 9.0)


def test_a_weight_outside_the_grid_is_refused():
    for cost_weight in (1.0, 3.0, 11.0):
        check_range(cost_weight, GRID)
    for cost_weight in (0.99, 11.01, float("nan")):
        with pytest.raises(InputError, match="outside the fitted range 1 to 11"):
            check_range(cost_weight, GRID)
