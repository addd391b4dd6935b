"""The identities in double precision, where rounding leaves no room: to 1e-12."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.estimators.counterfactual import ESTIMATORS, doubly_robust
from routerjax.estimators.envelope import upper_envelope
from routerjax.estimators.integrative import corrected_label
from routerjax.estimators.ridge import fit_ridge
from routerjax.estimators.utility import bracket_of
from routerjax.losses import SURROGATES
from routerjax.losses.known import OF_A_ROW

EXACT = {"rtol": 0.0, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    n, m = 50, 5
    return {
        "predicted": jnp.asarray(rng.random((n, m))),
        "arms": jnp.asarray(rng.integers(0, m, n)),
        "observed": jnp.asarray(rng.random(n)),
        "weights": jnp.asarray(1 / rng.uniform(0.01, 1, n)),
        "logits": jnp.asarray(rng.normal(size=(n, m))),
        "utilities": jnp.asarray(rng.normal(size=(n, m))),
    }


def estimates(name, rows, *, predicted=None, weights=None):
    parts = ESTIMATORS[name]
    predicted = rows["predicted"] if predicted is None else predicted
    weights = rows["weights"] if weights is None else weights
    baseline, used = parts.baseline(predicted), parts.weights(weights)
    return jax.vmap(doubly_robust)(baseline, rows["arms"], rows["observed"], used)


def test_dr_without_a_model_is_ips_and_without_weights_direct(rows):
    assert rows["predicted"].dtype == jnp.float64
    nothing = jnp.zeros_like(rows["predicted"])
    ips = estimates("ips", rows)
    np.testing.assert_allclose(estimates("dr", rows, predicted=nothing), ips, **EXACT)
    no_weight = jnp.zeros_like(rows["weights"])
    direct = estimates("direct", rows)
    np.testing.assert_allclose(estimates("dr", rows, weights=no_weight), direct, **EXACT)


def test_dr_with_a_perfect_model_is_the_model(rows):
    exact = {**rows, "observed": rows["predicted"][jnp.arange(50), rows["arms"]]}
    np.testing.assert_allclose(estimates("dr", exact), rows["predicted"], **EXACT)


def test_utility_is_affine_between_two_cost_weights():
    rng = np.random.default_rng(1)
    quality, cost = rng.random((20, 4)), rng.random((20, 4))
    fitted = (0.0, 10.0, 100.0)
    for cost_weight in (0.0, 3.0, 10.0, 55.0, 100.0):
        found = bracket_of(jnp.asarray(cost_weight), fitted)
        low, high = (quality - fitted[int(end)] * cost for end in (found.lower, found.upper))
        alpha = float(found.share)
        between = (1 - alpha) * low + alpha * high
        np.testing.assert_allclose(between, quality - cost_weight * cost, **EXACT)


def test_the_envelope_is_the_largest_utility_everywhere():
    rng = np.random.default_rng(2)
    quality, cost = rng.random(6), rng.random(6)
    found = upper_envelope(quality, cost, low=0.0, high=5.0)
    for cost_weight in np.linspace(0, 5, 101):
        arm = found.arms[int(np.sum(np.asarray(found.breaks) < cost_weight))]
        utility = quality - cost_weight * cost
        np.testing.assert_allclose(utility[arm], utility.max(), **EXACT)


@pytest.mark.parametrize("name", OF_A_ROW)
def test_a_surrogate_knows_no_order_of_arms_and_no_constant_in_the_logits(name, rows):
    loss = jax.vmap(SURROGATES[name])
    plain = loss(rows["logits"], rows["utilities"])
    turned = jnp.asarray([3, 0, 4, 1, 2])
    moved = loss(rows["logits"][:, turned], rows["utilities"][:, turned])
    np.testing.assert_allclose(moved, plain, rtol=1e-12, atol=1e-12)


def test_softmax_regret_is_linear_in_the_utilities_up_to_their_largest(rows):
    loss = jax.vmap(SURROGATES["softmax_regret"])
    for shift, scale in ((3.0, 1.0), (0.0, 2.0)):
        moved = loss(rows["logits"], shift + scale * rows["utilities"])
        plain = loss(rows["logits"], rows["utilities"])
        np.testing.assert_allclose(moved, scale * plain, rtol=1e-12, atol=1e-12)


def test_ridge_leaves_residuals_orthogonal_to_a_constant():
    rng = np.random.default_rng(3)
    x, label, weights = (
        jnp.asarray(v) for v in (rng.normal(size=(40, 3)), rng.random(40), rng.random(40))
    )
    residual = label - fit_ridge(x, label, weights)(x)
    np.testing.assert_allclose(jnp.sum(weights * residual), 0.0, rtol=0, atol=1e-11)


def test_a_corrected_label_is_the_gold_one_where_there_is_one():
    label, gold, bias = jnp.arange(4.0), jnp.asarray([True, False, True, False]), jnp.full(4, 0.5)
    np.testing.assert_allclose(corrected_label(label, gold, bias), [0, 1.5, 2, 3.5], **EXACT)
