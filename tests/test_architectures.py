"""Architectures: exact at the grid, exact for their start, and what each promises between."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.estimators.envelope import upper_envelope
from routerjax.estimators.utility import Unit, scaled_utilities
from routerjax.models.architectures import ARCHITECTURES, normalised
from routerjax.models.joint import joint_logits
from routerjax.records.tables import Estimates

GRID = (0.0, 10.0, 50.0, 200.0)
UNIT = Unit(1.0, 0.02)
WEIGHTS = jnp.array([0.0, 3.0, 10.0, 33.0, 50.0, 180.0, 200.0])


def _start(n=40, m=3, seed=0) -> Estimates:
    rng = np.random.default_rng(seed)
    quality, cost = rng.random((n, m)), 0.02 * rng.random((n, m))
    return Estimates(quality=jnp.asarray(quality, jnp.float32), cost=jnp.asarray(cost, jnp.float32))


def _params(architecture, *, noise=0.0, seed=0):
    """Parameters of one member; with noise they are what training might have made of them."""
    key, params = jax.random.key(seed), {}
    for stage in architecture.stages:
        networks = stage.initial(5, 1, key)
        params[stage.key] = jax.tree.map(
            lambda leaf, axes=stage.networks: leaf.reshape(*axes, *leaf.shape[1:]), networks
        )
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.fold_in(key, 1), len(leaves))
    moved = [leaf + noise * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys)]  # noqa: B905
    return jax.tree.unflatten(tree, moved)


X = jax.random.normal(jax.random.key(3), (40, 5))


def _architecture(name, **changes):
    fields = {"cost_weights": GRID, "models": 3, "widths": (8,), "sharpness": 10.0, **changes}
    return ARCHITECTURES[name](**fields)


def _logits(architecture, params, start, cost_weights):
    """Of an architecture of one network for all cost weights."""
    (stage,) = architecture.stages
    return stage.logits(params["between"], {"unit": UNIT}, X, start, cost_weights)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_untrained_it_is_the_plug_in_policy_at_every_cost_weight(name):
    """If a stage is trained between the fitted ones; else at those, and no promise in between."""
    architecture, start = _architecture(name), _start()
    stages = architecture.stages
    trained_between = not stages or stages[-1].key == "between"
    weights = WEIGHTS if trained_between else jnp.asarray(GRID)
    got = architecture.log_probabilities(_params(architecture), X, start, UNIT, weights)
    expected = jax.nn.log_softmax(10.0 * scaled_utilities(start, weights, UNIT))
    np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize("separate_trunks", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_joint_router_is_the_endpoint_routers_at_the_grid_whatever_was_trained(separate_trunks):
    architecture = _architecture("interval", separate_trunks=separate_trunks)
    params, start = _params(architecture, noise=0.7), _start()
    ends = architecture.endpoints.all_logits(params["endpoints"], X, start, UNIT)
    joint = joint_logits(params["between"], ends, GRID, UNIT, jnp.asarray(GRID))
    np.testing.assert_allclose(joint, ends, rtol=1e-5, atol=1e-5)
    inner = joint_logits(params["between"], ends, GRID, UNIT, jnp.array([30.0]))
    untrained = _params(architecture)["between"]
    plain = joint_logits(untrained, ends, GRID, UNIT, jnp.array([30.0]))
    assert np.abs(np.asarray(inner - plain)).max() > 0.1  # and between it is what was trained


def test_the_joint_router_by_hand():
    """One row, two arms, a grid of two: every term written out."""
    fitted = (0.0, 100.0)
    architecture = _architecture("interval", cost_weights=fitted, models=2, sharpness=1.0)
    params = _params(architecture)["between"]
    params["params"]["factors"] = jnp.array([[0.4, -0.6]])
    params["params"]["out"]["bias"] = jnp.array([0.3, -0.1])  # its kernel is zero: g is the bias
    ends = jnp.array([[[1.0, 2.0], [-1.0, 0.5]]])
    got = joint_logits(params, ends, fitted, Unit(1.0, 0.02), jnp.array([25.0]))
    # α = 1/4; s = 1, 3 and 1.5; factors e^{0.4/4}, e^{−0.6·3/4}; hump 4·1/4·3/4
    low, high = 0.75 * 1 / 1.5 * np.exp(0.1), 0.25 * 3 / 1.5 * np.exp(-0.45)
    expected = [low * 1 + high * -1 + 0.75 * 0.3, low * 2 + high * 0.5 - 0.75 * 0.1]
    np.testing.assert_allclose(got[0, 0], expected, rtol=1e-5)


def test_separate_trunks_are_the_shared_arithmetic_with_networks_of_their_own():
    """Network k of w gives the logits of grid weight k and no other."""
    architecture = _architecture("separate")
    params = _params(architecture, noise=0.5)["endpoints"]
    ends = architecture.endpoints.all_logits(params, X, _start(), UNIT)
    changed = jax.tree.map(lambda leaf: leaf.at[2].add(0.3), params)
    again = architecture.endpoints.all_logits(changed, X, _start(), UNIT)
    differs = np.abs(np.asarray(ends - again)).max(axis=(0, 2)) > 0
    np.testing.assert_array_equal(differs, [False, False, True, False])


def test_affine_logits_are_lines_in_the_cost_weight_that_never_rise():
    architecture = _architecture("affine")
    params, start = _params(architecture, noise=1.0), _start()
    weights = jnp.linspace(0.0, 200.0, 9)
    logits = _logits(architecture, params, start, weights)
    lines = np.asarray(logits * UNIT.at(weights)[None, :, None], np.float64)
    bends = np.abs(np.diff(lines, n=2, axis=1)).max()
    assert bends < 1e-4 * np.abs(lines).max()
    assert np.diff(lines, axis=1).max() <= 1e-5
    for row in range(5):  # so the policy is an upper envelope of m lines
        quality, cost = lines[row, 0], (lines[row, 0] - lines[row, -1]) / 200.0
        arms, breaks = upper_envelope(quality, cost, high=200.0)
        expected = np.asarray(arms)[np.searchsorted(breaks, np.asarray(weights))]
        np.testing.assert_array_equal(lines[row].argmax(axis=1), expected)


def test_conditioned_on_a_normalised_cost_weight():
    """s = 1 + 0.02·λ: cost's share is 0 at 0, 4/5 at 200 and 1/2 at 50."""
    got = normalised(jnp.array([0.0, 50.0, 200.0]), GRID, UNIT)
    np.testing.assert_allclose(got, [-1.0, 2 * 0.5 / 0.8 - 1, 1.0], rtol=1e-6)
    architecture = _architecture("conditioned")
    params = _params(architecture, noise=0.5)
    logits = _logits(architecture, params, _start(), WEIGHTS)
    plain = 10.0 * scaled_utilities(_start(), WEIGHTS, UNIT)
    moved = np.asarray(logits - plain)
    assert np.abs(np.diff(moved, axis=1)).max() > 1e-3  # what it adds depends on λ


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_probabilities_sum_to_one_and_a_grid_of_one_works(name):
    for grid in (GRID, (7.0,)):
        architecture = dataclasses.replace(_architecture(name), cost_weights=grid)
        params = _params(architecture, noise=0.5)
        weights = WEIGHTS if len(grid) > 1 else jnp.array([7.0])
        got = np.exp(architecture.log_probabilities(params, X, _start(), UNIT, weights))
        assert got.shape == (40, len(weights), 3) and np.isfinite(got).all()
        np.testing.assert_allclose(got.sum(axis=-1), 1.0, rtol=1e-5)
