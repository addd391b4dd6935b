"""What held-out gold makes of several predictors: by hand, by a plain loop, and at the ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.estimators.mixture import exponential_shares, mixture, shrunken_steps

SIGNS = np.array([1.0, -1.0, 1.0, -1.0])
EVEN = np.full(4, 0.25)


def slope_and_t(residual, direction):
    """By simple regression with an intercept."""
    d, e = direction - direction.mean(), residual - residual.mean()
    slope = (d @ e) / (d @ d)
    left = e - slope * d
    return slope, slope / np.sqrt(left @ left / (len(d) - 2) / (d @ d))


def by_loop(label, predictions, caution):
    """The mixture as its docstrings tell it, in NumPy."""
    n, count = len(label), len(predictions)
    least = caution * np.sqrt(2 * np.log(n))
    if slope_and_t(label, predictions[0])[1] > least:
        held = np.eye(count)[0]
        for place in range(1, count):
            direction = np.eye(count)[place] - held
            slope, t = slope_and_t(label - held @ predictions, direction @ predictions)
            held = held + np.clip(slope * max(1 - least**2 / t**2, 0), 0, 1) * direction
        return held
    errors = np.mean((label - predictions) ** 2, axis=1)
    shares = np.exp(-n * (errors - errors.min()) / (4 * errors.min()))
    return shares / shares.sum()


def test_exponential_shares_by_hand():
    """Errors 1 and ¼ on four rows: exp(−4 · ¾ / (4 · ¼)) = e⁻³ to 1."""
    predictions = np.stack([0 * SIGNS, 0.5 * SIGNS])
    found = exponential_shares(jnp.asarray(SIGNS), jnp.asarray(predictions), jnp.asarray(EVEN))
    np.testing.assert_allclose(found, [np.exp(-3) / (1 + np.exp(-3)), 1 / (1 + np.exp(-3))], 1e-5)


def test_a_step_by_hand():
    """From 0 towards d on six rows: slope ½, t = 4, h = 2: ½ · (1 − 4/16) = ⅜ of it is taken."""
    d = np.array([1.0, -1.0, 1.0, -1.0, 0.0, 0.0])
    noise = np.array([1.0, 1.0, -1.0, -1.0, 0.0, 0.0]) / 8  # Σ = ¹⁄₁₆, over 4, over Σd² = 4: ¹⁄₂₅₆
    label, share = 0.5 * d + noise, np.full(6, 1 / 6)
    slope, t = slope_and_t(label, d)
    np.testing.assert_allclose([slope, t], [0.5, 8.0], rtol=1e-12)
    label = 0.5 * d + 2 * noise  # twice the noise, half the t
    found = shrunken_steps(jnp.asarray(label), jnp.stack([0 * d, d]), jnp.asarray(share), 2.0)
    np.testing.assert_allclose(found, [5 / 8, 3 / 8], rtol=1e-5)
    label = 0.5 * d + 8 * noise  # t = 1: no step
    found = shrunken_steps(jnp.asarray(label), jnp.stack([0 * d, d]), jnp.asarray(share), 2.0)
    np.testing.assert_array_equal(found, [1, 0])


@pytest.mark.parametrize("caution", [0.0, 0.1, 0.5, 1.0, 3.0])
def test_mixture_against_a_plain_loop(caution):
    rng = np.random.default_rng(3)
    proven = []
    for _ in range(30):
        label = rng.normal(size=40)
        predictions = np.stack(
            [rng.uniform() * label + 0.5 * rng.normal(size=40) for _ in range(4)]
        )
        # 20 rows of no share and other labels change nothing
        more = np.concatenate([predictions, rng.normal(size=(4, 20))], axis=1)
        share = np.r_[np.full(40, 1 / 40), np.zeros(20)]
        found = mixture(
            jnp.asarray(np.r_[label, np.full(20, 9.0)]),
            jnp.asarray(more),
            jnp.asarray(share),
            caution=caution,
        )
        np.testing.assert_allclose(found, by_loop(label, predictions, caution), atol=1e-4)
        assert (found >= 0).all() and abs(float(found.sum()) - 1) < 1e-5
        proven.append(slope_and_t(label, predictions[0])[1] > caution * np.sqrt(2 * np.log(40)))
    assert any(proven) and (caution < 0.5 or not all(proven))


def test_candidates_that_cannot_be_told_apart():
    label = jnp.asarray(np.random.default_rng(0).normal(size=50))
    share = jnp.full(50, 0.02)
    same = jnp.tile(0.5 * label, (4, 1))
    np.testing.assert_array_equal(mixture(label, same, share), [1, 0, 0, 0])  # proven, and kept
    np.testing.assert_allclose(mixture(label, -same, share), [0.25] * 4)
    flat = jnp.zeros((4, 50))
    np.testing.assert_allclose(mixture(label, flat, share), [0.25] * 4)
    np.testing.assert_allclose(mixture(label, flat, share, caution=0.0), [0.25] * 4)


def test_caution_is_one_unless_told_otherwise():
    """A first candidate whose slope is between one and two times what chance reaches."""
    rng = np.random.default_rng(3)
    label, share = rng.normal(size=60), np.full(60, 1 / 60)
    predictions = np.stack([0.5 * label + 0.45 * rng.normal(size=60), rng.normal(size=60)])
    predictions[0] *= 1.7
    _, t = slope_and_t(label, predictions[0])
    assert 1 < t / np.sqrt(2 * np.log(60)) < 10
    found = mixture(*map(jnp.asarray, (label, predictions, share)))
    np.testing.assert_allclose(found, by_loop(label, predictions, 1.0), atol=1e-4)


def test_the_unit_of_the_labels_does_not_matter():
    rng = np.random.default_rng(5)
    label, share = rng.normal(size=60), np.full(60, 1 / 60)
    predictions = 0.5 * label + rng.normal(size=(3, 60))
    for caution in (0.2, 5.0):
        one, other = (
            mixture(*map(jnp.asarray, (u * label, u * predictions, share)), caution=caution)
            for u in (1.0, 1e-3)
        )
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_without_gold_all_are_mixed_alike():
    label, predictions = jnp.asarray(SIGNS), jnp.stack([jnp.asarray(SIGNS), jnp.zeros(4)])
    np.testing.assert_array_equal(mixture(label, predictions, jnp.zeros(4)), [0.5, 0.5])


def test_a_predictor_that_never_errs_is_taken_alone():
    predictions = jnp.stack([jnp.zeros(4), jnp.asarray(SIGNS)])
    found = exponential_shares(jnp.asarray(SIGNS), predictions, jnp.asarray(EVEN))
    np.testing.assert_array_equal(found, [0.0, 1.0])
    # nor is it left, since nothing remains to explain
    found = shrunken_steps(jnp.asarray(SIGNS), predictions[::-1], jnp.asarray(EVEN), 0.0)
    np.testing.assert_array_equal(found, [1.0, 0.0])


def test_labels_that_rank_against_the_gold_lose_their_say():
    rng = np.random.default_rng(1)
    label = rng.normal(size=200)
    predictions = np.stack([-0.5 * label, -0.2 * label, 0.1 * label, 0.5 * label])
    found = mixture(jnp.asarray(label), jnp.asarray(predictions), jnp.full(200, 1 / 200))
    assert float(found[3]) > 0.99


def test_mapped_over_runs_it_is_what_it_is_alone():
    rng = np.random.default_rng(2)
    label, predictions = rng.normal(size=(5, 30)), rng.normal(size=(5, 4, 30))
    share = np.full((5, 30), 1 / 30)
    mapped = jax.vmap(mixture)(*map(jnp.asarray, (label, predictions, share)))
    alone = [mixture(*map(jnp.asarray, one)) for one in zip(label, predictions, share, strict=True)]
    np.testing.assert_allclose(mapped, jnp.stack(alone), atol=1e-6)


@pytest.mark.slow
def test_a_mixture_of_what_nobody_can_tell_apart_is_worth_more_than_a_choice():
    """Two equally good predictors with noise of their own: half of each errs least."""
    rng = np.random.default_rng(4)
    gains = []
    for _ in range(200):
        truth = 0.2 * rng.normal(size=4_100)
        predictions = truth + 0.3 * rng.normal(size=(2, 4_100))
        label = truth[:100] + rng.normal(size=100)
        shares = exponential_shares(
            jnp.asarray(label), jnp.asarray(predictions[:, :100]), jnp.full(100, 0.01)
        )
        errors = np.mean((predictions[:, 100:] - truth[100:]) ** 2, axis=1)
        mixed = np.mean((np.asarray(shares) @ predictions[:, 100:] - truth[100:]) ** 2)
        gains.append(errors.min() - mixed)
    assert np.mean(gains) > 3 * np.std(gains) / np.sqrt(200)
