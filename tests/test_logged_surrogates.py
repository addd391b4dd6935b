"""Surrogates that draw an arm or read the log, by hand and by plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from routerjax.losses import (
    barp,
    cost_sensitive_hinge,
    mrdr,
    perturbed_argmax,
    poem,
    policy_gradient,
    shrunk_dr,
    softmax_regret,
)

THIRD = jnp.log(jnp.array([1.0, 2.0]))  # probabilities 1/3 and 2/3


def test_policy_gradient_by_hand():
    # regrets (0, 2); log 2 − H(1/3, 2/3) = log 2 − (log 3 − 2/3 log 2) = 5/3 log 2 − log 3
    found = policy_gradient(THIRD, jnp.array([3.0, 1.0]), entropy=0.5)
    assert found == pytest.approx(4 / 3 + 0.5 * (5 / 3 * np.log(2) - np.log(3)), rel=1e-5)


def test_perturbed_argmax_of_two_arms_is_a_normal_probability():
    # P(f_1 + εZ_1 < f_2 + εZ_2) = Φ((f_2 − f_1) / (ε√2)), times the regret 2
    for noise in (0.5, 1.0, 3.0):
        found = perturbed_argmax(jnp.array([0.7, 0.2]), jnp.array([3.0, 1.0]), noise=noise)
        assert found == pytest.approx(2 * norm.cdf(-0.5 / (noise * np.sqrt(2))), rel=1e-5)


@pytest.mark.parametrize(("arms", "spread"), [(4, 1.0), (30, 0.0), (30, 3.0)])
def test_perturbed_argmax_of_many_arms_is_the_integral(arms, spread):
    """Over z, the noise of the arm that is largest: ∫ φ(z) Π_{j≠m} Φ(z + (f_m − f_j)/ε) dz."""
    rng = np.random.default_rng(arms)
    logits, utilities = spread * rng.normal(size=arms), rng.normal(size=arms)
    want = 0.0
    for m in range(arms):
        leads = (logits[m] - np.delete(logits, m)) / 0.5
        chance, _ = quad(lambda z, a=leads: norm.pdf(z) * np.prod(norm.cdf(z + a)), -9, 9)
        want += chance * (utilities.max() - utilities[m])
    row = (jnp.asarray(logits, jnp.float32), jnp.asarray(utilities, jnp.float32))
    assert perturbed_argmax(*row, noise=0.5) == pytest.approx(want, abs=3e-6)


def test_cost_sensitive_hinge_by_hand():
    # mean 1; centred (−1, 0, 1), margin 1/2: hinges (0, 0.5, 1.5); regrets (0, 1, 4)
    found = cost_sensitive_hinge(jnp.array([0.0, 1.0, 2.0]), jnp.array([4.0, 3.0, 0.0]))
    assert found == pytest.approx(0.5 + 6.0)


def test_barp_by_hand():
    """Utilities 3 and 1, their mean 2: −1·log 1/3 where the first arm is drawn, else log 2/3."""
    keys = jax.random.split(jax.random.key(0), 20)
    row = (THIRD, jnp.array([3.0, 1.0]))
    found, slopes = jax.vmap(lambda key: jax.value_and_grad(barp)(*row, key, entropy=0.0))(keys)
    drawn = [int(jax.random.categorical(key, THIRD)) for key in keys]
    assert set(drawn) == {0, 1}
    np.testing.assert_allclose(found, [(np.log(3), np.log(2 / 3))[arm] for arm in drawn], rtol=1e-5)
    # −(ũ_a − 2)·(1{m = a} − p_m)
    want = [((-2 / 3, 2 / 3), (-1 / 3, 1 / 3))[arm] for arm in drawn]
    np.testing.assert_allclose(slopes, want, rtol=1e-5)


@pytest.mark.slow
def test_the_mean_gradient_of_barp_is_that_of_the_policy_gradient():
    logits, utilities = jnp.array([0.3, -0.2, 0.1]), jnp.array([0.0, 1.0, 0.4])
    keys = jax.random.split(jax.random.key(0), 4_000)
    slopes = np.asarray(jax.jit(jax.vmap(jax.grad(barp), (None, None, 0)))(logits, utilities, keys))
    want = jax.grad(policy_gradient)(logits, utilities)
    error = slopes.std(axis=0) / np.sqrt(len(keys))
    assert np.all(np.abs(slopes.mean(axis=0) - want) < 4 * error)


def test_shrunk_dr_by_hand():
    # w = 4, g = 4·κ/(16 + κ) = 2 at κ = 16; utilities (0.5, 0.25 + 2·0.5); regrets (0.75, 0)
    log = (jnp.array([0.5, 0.25]), jnp.array(1), jnp.array(0.75), jnp.array(0.25))
    assert shrunk_dr(THIRD, *log, shrinkage=16.0) == pytest.approx(0.75 / 3, rel=1e-6)
    for shrinkage, weight in ((0.0, 0.0), (np.inf, 4.0)):
        utilities = jnp.array([0.5, 0.25 + weight * 0.5])
        found = shrunk_dr(THIRD, *log, shrinkage=shrinkage)
        assert found == pytest.approx(float(softmax_regret(THIRD, utilities)), rel=1e-6)


def log_of(rows=12, arms=3):
    rng = np.random.default_rng(1)
    logits, predicted = rng.normal(size=(2, rows, arms))
    arm = rng.integers(arms, size=rows)
    outcome, propensity = rng.normal(size=rows), rng.uniform(0.1, 0.9, size=rows)
    weight = (np.arange(rows) % 4 > 0).astype(float)
    return logits, predicted, arm, outcome, propensity, weight


def probabilities(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def test_poem_by_a_loop():
    logits, _, arm, outcome, propensity, weight = log_of()
    chance = probabilities(logits)
    ratios = [weight[i] * chance[i, arm[i]] / propensity[i] for i in range(12)]
    value = sum(r * u for r, u in zip(ratios, outcome, strict=True)) / sum(ratios)
    square = sum((r * (u - value)) ** 2 for r, u in zip(ratios, outcome, strict=True))
    want = -value + 0.7 * np.sqrt(square) / sum(ratios)
    with jax.enable_x64(True):
        found = poem(*map(jnp.asarray, (logits, arm, outcome, propensity, weight)), penalty=0.7)
    assert found == pytest.approx(want, rel=1e-9)


def refitted(logits, predicted, arm, outcome, propensity, weight, prior):
    """The line of weighted least squares of residuals on predictions, shrunk, by lstsq."""
    places = np.arange(len(arm))
    own = probabilities(logits)[places, arm]
    counts = weight * own**2 * (1 - propensity) / propensity**2
    expected = predicted[places, arm]
    centre = (counts * expected).sum() / counts.sum()
    root = np.sqrt(counts)
    design = np.stack([root, root * (expected - centre)], axis=1)
    line = np.linalg.lstsq(design, root * (outcome - expected), rcond=None)[0]
    effective = counts.sum() ** 2 / (counts**2).sum()
    level, tilt = line * effective / (effective + prior)
    return predicted + level + tilt * (predicted - centre)


def dr_loss(logits, model, arm, outcome, propensity, weight):
    chance, total = probabilities(logits), 0.0
    for i in range(len(arm)):
        left = outcome[i] - model[i, arm[i]]
        value = chance[i] @ model[i] + chance[i, arm[i]] / propensity[i] * left
        total -= weight[i] * value
    return total / weight.sum()


@pytest.mark.slow
def test_mrdr_and_its_gradient_by_a_loop_that_holds_the_refitted_model():
    log = log_of()
    model = refitted(*log, prior=10.0)
    with jax.enable_x64(True):
        loss, slope = jax.value_and_grad(mrdr)(*map(jnp.asarray, log))
    logits, _, *rest = log
    assert loss == pytest.approx(dr_loss(logits, model, *rest), rel=1e-9)
    for i, m in np.ndindex(logits.shape):
        step = np.zeros_like(logits)
        step[i, m] = 1e-6
        moved = dr_loss(logits + step, model, *rest) - dr_loss(logits - step, model, *rest)
        assert slope[i, m] == pytest.approx(moved / 2e-6, abs=1e-7)


def test_mrdr_of_a_large_prior_is_dr():
    logits, predicted, *rest = log_of()
    with jax.enable_x64(True):
        found = mrdr(*map(jnp.asarray, (logits, predicted, *rest)), prior=1e12)
    assert found == pytest.approx(dr_loss(logits, predicted, *rest), rel=1e-9)
