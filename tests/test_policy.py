"""Policies whose networks are constants, so that every probability is known by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.estimators.utility import Unit, between, bracket_of, check_range, inside
from routerjax.models.architectures import ARCHITECTURES
from routerjax.models.heads import Head, initial
from routerjax.models.policy import Policy
from routerjax.records.tables import Estimates

GRID = (0.0, 10.0, 30.0)
# [members, cost weights, arms]: their means are 0.3, 0.5, 0.8 for the first arm
SHARES = np.array(
    [[[0.2, 0.8], [0.6, 0.4], [0.9, 0.1]], [[0.4, 0.6], [0.4, 0.6], [0.7, 0.3]]], np.float32
)
X = jnp.arange(15.0).reshape(5, 3)
NOTHING = Estimates(quality=np.zeros((5, 2), np.float32), cost=np.zeros((5, 2), np.float32))
UNIT = Unit(1.0, 0.1)  # 1, 2 and 4 at the grid's cost weights


def policy(name: str, *, intercepts=SHARES, constant=None, sharpness=3.0) -> Policy:
    """Networks whose output kernels are zero: their softmax is SHARES whatever the query."""
    architecture = ARCHITECTURES[name](GRID, models=2, widths=(4,), sharpness=sharpness)
    members, networks = len(intercepts), architecture.networks
    head = architecture.endpoints.head
    logits = jnp.log(intercepts).reshape(members * networks, *head.outputs)
    params = initial(head, 3, jax.random.key(0), logits)
    params = jax.tree.map(lambda leaf: leaf.reshape(members, networks, *leaf.shape[1:]), params)
    return Policy(architecture, {"endpoints": params}, UNIT, constant)


@pytest.mark.parametrize("name", ["shared", "separate"])
def test_probabilities_by_hand(name):
    """Between grid points: 0.75·0.3 + 0.25·0.5 = 0.35; 0.25·0.5 + 0.75·0.8 = 0.725."""
    expected = {0.0: 0.3, 10.0: 0.5, 30.0: 0.8, 2.5: 0.35, 25.0: 0.725}
    got = policy(name).at(X, NOTHING, cost_weights=list(expected))
    assert got.shape == (5, 5, 2)
    for row, first in zip(got, expected.values(), strict=True):
        np.testing.assert_allclose(row, np.tile([first, 1 - first], (5, 1)), rtol=1e-5)


@pytest.mark.parametrize("name", ["shared", "separate", "interpolated"])
def test_members_alone(name):
    for index in range(2):
        got = policy(name).member(index).at(X, NOTHING, cost_weights=GRID)
        np.testing.assert_allclose(got, np.repeat(SHARES[index][:, None], 5, axis=1), rtol=1e-5)


def test_interpolated_logits_by_hand():
    """Halfway from odds 1 : 4 to odds 3 : 2 the log-odds are the mean: odds sqrt(1/4 · 3/2)."""
    got = policy("interpolated", intercepts=SHARES[:1]).at(X, NOTHING, cost_weights=[5.0])
    odds = np.sqrt(0.25 * 1.5)
    np.testing.assert_allclose(got[0, :, 0], odds / (1 + odds), rtol=1e-5)


def test_a_network_that_looks_at_the_query():
    """One linear layer: softmax of x·W + b by a loop in NumPy."""
    head = Head(outputs=(1, 2), widths=())
    kernel = np.array([[1.0, -1.0], [0.5, 0.0], [0.0, 2.0]], np.float32)
    bias = np.array([0.1, -0.2], np.float32)
    params = {
        "params": {"out": {"kernel": jnp.asarray(kernel[None, None]), "bias": bias[None, None]}}
    }
    x = np.array([[0.5, -1.0, 0.25], [0.0, 0.0, 0.0]], np.float32)
    architecture = ARCHITECTURES["shared"]((7.0,), models=2, widths=(), sharpness=1.0)
    assert architecture.endpoints.head == head
    got = Policy(architecture, {"endpoints": params}, UNIT, None).at(
        jnp.asarray(x), NOTHING[:2], cost_weights=[7.0]
    )
    for row in range(2):
        logits = [sum(x[row, i] * kernel[i, j] for i in range(3)) + bias[j] for j in range(2)]
        weights = np.exp(logits)
        np.testing.assert_allclose(got[0, row], weights / weights.sum(), rtol=1e-5)


def test_intervals_hold_their_cost_weights():
    """`place` counts grid points from the first; a grid point ends the interval below it."""
    weights = jnp.array([0.0, 5.0, 10.0, 20.0, 30.0])
    lower, upper, share = bracket_of(weights, GRID)
    np.testing.assert_allclose(lower + share, [0.0, 0.5, 1.0, 1.5, 2.0])
    np.testing.assert_array_equal(upper - lower, 1)
    np.testing.assert_array_equal(lower, [0, 0, 0, 1, 1])


def test_a_grid_of_one():
    assert [int(part[0]) for part in bracket_of(jnp.array([5.0]), (5.0,))] == [0, 0, 0]
    assert between((5.0,), 3) == () and inside((5.0,), jnp.zeros(0)).shape == (0,)


def test_cost_weights_inside_the_intervals():
    assert between(GRID) == (5.0, 20.0)
    assert between(GRID, 3) == (2.5, 5.0, 7.5, 15.0, 20.0, 25.0)
    np.testing.assert_allclose(inside(GRID, jnp.array([0.1, 0.75])), [1.0, 25.0])


@pytest.mark.parametrize("cost_weight", [-1e-9, 30.001, float("nan"), float("inf")])
def test_cost_weights_outside_the_grid(cost_weight):
    with pytest.raises(InputError, match="outside the fitted range 0 to 30; fit again"):
        check_range(cost_weight, GRID)
    with pytest.raises(InputError, match="outside the fitted range"):
        policy("shared").at(X, NOTHING, cost_weights=[5.0, cost_weight])


def test_ends_of_a_range_that_float32_moves():
    """0.1 and 0.7 lie off their float32 neighbours; both ends are inside the range."""
    architecture = ARCHITECTURES["shared"]((0.1, 0.7), models=2, widths=(), sharpness=1.0)
    head = architecture.endpoints.head
    params = initial(head, 3, jax.random.key(0), jnp.log(SHARES[:1, :2]))
    params = jax.tree.map(lambda leaf: leaf[:, None], params)
    got = Policy(architecture, {"endpoints": params}, UNIT, None).at(
        X, NOTHING, cost_weights=[0.1, 0.7]
    )
    np.testing.assert_allclose(got[:, 0], SHARES[0, :2], rtol=1e-5)


@pytest.mark.parametrize("start", ["plug-in", "best-single"])
def test_the_start_is_the_utilities_of_what_is_predicted(start):
    """Networks that add nothing: softmax of sharpness·(q − λ·c)/s_λ, by a loop."""
    quality = np.array([[0.9, 0.2], [0.3, 0.8]], np.float32)
    cost = np.array([[0.05, 0.01], [0.02, 0.03]], np.float32)
    predicted = Estimates(quality=quality, cost=cost)
    constant = Estimates(quality=np.array([0.5, 0.25]), cost=np.array([0.04, 0.01]))
    even = np.full((1, 3, 2), 0.5, np.float32)
    own = policy("shared", intercepts=even, constant=None if start == "plug-in" else constant)
    got = own.at(X[:2], predicted, cost_weights=GRID)
    for place, (weight, scale) in enumerate(zip(GRID, (1.0, 2.0, 4.0), strict=True)):
        for row in range(2):
            q, c = (quality[row], cost[row]) if start == "plug-in" else ([0.5, 0.25], [0.04, 0.01])
            odds = [np.exp(3 * (q[arm] - weight * c[arm]) / scale) for arm in range(2)]
            np.testing.assert_allclose(got[place, row], np.array(odds) / sum(odds), rtol=1e-5)
