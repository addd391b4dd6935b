"""Grid policies whose networks are constants, so that every probability is known by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.heads import Head, initial
from routerjax.policy import GridPolicy, check_range, interval_of
from routerjax.records import Estimates

GRID = (0.0, 10.0, 30.0)
# [members, cost weights, arms]: their means are 0.3, 0.5, 0.8 for the first arm
SHARES = np.array(
    [[[0.2, 0.8], [0.6, 0.4], [0.9, 0.1]], [[0.4, 0.6], [0.4, 0.6], [0.7, 0.3]]], np.float32
)
X = jnp.arange(15.0).reshape(5, 3)
NOTHING = Estimates(quality=np.zeros((5, 2), np.float32), cost=np.zeros((5, 2), np.float32))


def policy(architecture: str) -> GridPolicy:
    """Networks whose output kernels are zero: their softmax is SHARES whatever the query."""
    outputs, networks = ((3, 2), 2) if architecture == "shared" else ((1, 2), 6)
    head = Head(outputs=outputs, widths=(4,))
    intercepts = jnp.log(SHARES).reshape(networks, *outputs)
    return GridPolicy(
        head=head,
        params=initial(head, 3, jax.random.key(0), intercepts),
        cost_weights=GRID,
        members=2,
        scale=(1.0, 2.0, 4.0),
        gain=3.0,
        constant=None,
    )


@pytest.mark.parametrize("architecture", ["shared", "separate"])
@pytest.mark.parametrize(
    ("cost_weight", "first"),
    [(0.0, 0.3), (10.0, 0.5), (30.0, 0.8), (2.5, 0.35), (25.0, 0.725)],
    # between grid points: 0.75·0.3 + 0.25·0.5 = 0.35; 0.25·0.5 + 0.75·0.8 = 0.725
)
def test_probabilities_by_hand(architecture, cost_weight, first):
    got = policy(architecture).probabilities(X, NOTHING, cost_weight=cost_weight)
    assert got.shape == (5, 2)
    np.testing.assert_allclose(got, np.tile([first, 1 - first], (5, 1)), rtol=1e-5)


@pytest.mark.parametrize("architecture", ["shared", "separate"])
def test_members_alone(architecture):
    for index in range(2):
        got = policy(architecture).member(index).at_grid(X, NOTHING)
        np.testing.assert_allclose(got, np.repeat(SHARES[index][:, None], 5, axis=1), rtol=1e-5)
    assert policy(architecture).at_grid(X, NOTHING).shape == (3, 5, 2)


def test_a_network_that_looks_at_the_query():
    """One linear layer: softmax of x·W + b by a loop in NumPy."""
    head = Head(outputs=(1, 2), widths=())
    kernel = np.array([[1.0, -1.0], [0.5, 0.0], [0.0, 2.0]], np.float32)
    bias = np.array([0.1, -0.2], np.float32)
    params = {"params": {"out": {"kernel": jnp.asarray(kernel[None]), "bias": bias[None]}}}
    x = np.array([[0.5, -1.0, 0.25], [0.0, 0.0, 0.0]], np.float32)
    policy = GridPolicy(
        head=head, params=params, cost_weights=(7.0,), members=1, scale=(1.0,), gain=1.0,
        constant=None,
    )  # fmt: skip
    got = policy.probabilities(jnp.asarray(x), NOTHING[:2], cost_weight=7.0)
    for row in range(2):
        logits = [sum(x[row, i] * kernel[i, j] for i in range(3)) + bias[j] for j in range(2)]
        weights = np.exp(logits)
        np.testing.assert_allclose(got[row], weights / weights.sum(), rtol=1e-5)


@pytest.mark.parametrize(
    ("cost_weight", "place"), [(0.0, 0.0), (5.0, 0.5), (10.0, 1.0), (20.0, 1.5), (30.0, 2.0)]
)
def test_interval_holds_its_cost_weight(cost_weight, place):
    """`place` counts grid points from the first."""
    lower, upper, share = interval_of(cost_weight, GRID)
    assert 0 <= share <= 1 and upper - lower == (1 if cost_weight else 0)
    assert lower + share == place


def test_a_grid_of_one():
    assert interval_of(5.0, (5.0,)) == (0, 0, 0.0)


@pytest.mark.parametrize("cost_weight", [-1e-9, 30.001, float("nan"), float("inf")])
def test_cost_weights_outside_the_grid(cost_weight):
    with pytest.raises(InputError, match="outside the fitted range 0 to 30; fit again"):
        check_range(cost_weight, GRID)
    with pytest.raises(InputError, match="outside the fitted range"):
        policy("shared").probabilities(X, NOTHING, cost_weight=cost_weight)


@pytest.mark.parametrize("start", ["plug-in", "best-single"])
def test_the_start_is_the_utilities_of_what_is_predicted(start):
    """Networks that add nothing: softmax of gain·(q − λ·c)/scale, by a loop."""
    quality = np.array([[0.9, 0.2], [0.3, 0.8]], np.float32)
    cost = np.array([[0.05, 0.01], [0.02, 0.03]], np.float32)
    predicted = Estimates(quality=quality, cost=cost)
    constant = Estimates(quality=np.array([0.5, 0.25]), cost=np.array([0.04, 0.01]))
    head = Head(outputs=(3, 2), widths=(4,))
    policy = GridPolicy(
        head=head,
        params=initial(head, 3, jax.random.key(0), jnp.zeros((1, 3, 2))),
        cost_weights=GRID,
        members=1,
        scale=(1.0, 2.0, 4.0),
        gain=3.0,
        constant=None if start == "plug-in" else constant,
    )
    got = policy.at_grid(X[:2], predicted)
    for place, (weight, scale) in enumerate(zip(GRID, (1.0, 2.0, 4.0), strict=True)):
        for row in range(2):
            q, c = (quality[row], cost[row]) if start == "plug-in" else ([0.5, 0.25], [0.04, 0.01])
            odds = [np.exp(3 * (q[arm] - weight * c[arm]) / scale) for arm in range(2)]
            np.testing.assert_allclose(got[place, row], np.array(odds) / sum(odds), rtol=1e-5)
