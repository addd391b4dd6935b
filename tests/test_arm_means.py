"""Arms that today's policy asks more often: how far their means are drawn apart for it."""

from __future__ import annotations

import numpy as np
import pytest

import routerjax.estimators.hierarchical as hierarchical
from routerjax.estimators.arm_means import prior_means
from routerjax.estimators.elimination import Sizes
from routerjax.estimators.hierarchical import fit_hierarchical
from routerjax.estimators.moments import Moments, moments_of, shifted
from routerjax.estimators.posterior_draws import draw_coefficients


def told(counts, means, variance):
    """Moments of arms with these means, all of one variance within."""
    counts, means = np.asarray(counts, float), np.asarray(means, float)
    square = counts * (means**2 + variance * (counts - 1).clip(0) / np.maximum(counts, 1))
    return Moments(counts[:, None, None], (counts * means)[:, None], square, counts)


def test_means_on_a_line_by_hand():
    """Six arms exactly on a line in log n: τ² is 0, and the slope's error that of s²/n alone."""
    counts, variance = np.array([8, 16, 32, 64, 128, 256]), 0.04
    z = np.log(counts) - np.log(counts).mean()
    weight = counts / variance
    spread = (weight * (z - (weight @ z) / weight.sum()) ** 2).sum()
    kept = 1 - 2 / (spread * 0.1**2)  # c = 4 / (4 − 2)
    found = prior_means(told(counts, 0.6 + 0.1 * z, variance))
    np.testing.assert_allclose(found, kept * 0.1 * z, rtol=1e-6)
    falling = prior_means(told(counts, 0.6 - 0.1 * z, variance))
    np.testing.assert_allclose(falling, -found, rtol=1e-6)


@pytest.mark.parametrize(
    ("counts", "means"),
    [
        ([50] * 8, np.linspace(0.2, 0.8, 8)),  # as many rows each: nothing to go by
        ([1000 / 3] * 11, np.linspace(0.2, 0.8, 11)),  # whose logarithms are not 0 to the bit
        ([1000 / 3 + 1e-9, *[1000 / 3] * 10], np.linspace(0.2, 0.8, 11)),
        ([5, 20, 80, 320], [0.2, 0.4, 0.6, 0.8]),  # four arms
        ([5, 20, 80, 320, 0], [0.2, 0.4, 0.6, 0.8, 0.0]),  # four that were asked
        ([5, 20, 80, 320, 9], [0.5] * 5),  # all alike
    ],
)
def test_nothing_where_there_is_nothing_to_tell(counts, means):
    assert not prior_means(told(counts, means, 0.04)).any()


def test_an_arm_that_was_never_asked_is_drawn_nowhere():
    counts = np.array([8, 16, 32, 64, 128, 256, 0])
    z = np.log(counts[:-1]) - np.log(counts[:-1]).mean()
    found = prior_means(told(counts, np.r_[0.6 + 0.1 * z, 0.0], 0.04))
    assert found[-1] == 0 and found[:-1].all()


@pytest.mark.parametrize("slope", [0.15, 0.0, -0.15])
def test_drawn_there_means_are_nearer_to_the_truth_whichever_way_the_policy_leans(slope):
    """Against drawing to the mean of all with the true variances; 200 logs of 11 arms."""
    plain, leaning, chance = [], [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        counts = rng.permutation(np.geomspace(4, 300, 11).astype(int))
        z = np.log(counts) - np.log(counts).mean()
        truth = 0.6 + slope * z + 0.05 * rng.normal(size=11)
        error = 0.2 / counts
        means = truth + np.sqrt(error) * rng.normal(size=11)
        above = prior_means(told(counts, means, 0.2))
        for found, lean, between in (
            (plain, 0.0 * z, (slope * z).var() + 0.05**2),
            (leaning, above, 0.05**2),
        ):
            weight = 1 / (between + error)
            centre = (weight @ (means - lean)) / weight.sum()
            drawn = lean + centre + between / (between + error) * (means - lean - centre)
            found.append(((drawn - truth) ** 2).mean())
        chance.append(above.any())
    if slope:
        assert np.mean(leaning) < 0.75 * np.mean(plain)
    else:
        assert np.mean(leaning) < 1.25 * np.mean(plain)
        assert np.mean(chance) < 0.35  # where c·a² < b² by luck


def rows(seed, *, n=400, folds=3):
    """Features of a constant, two linear and three smooth, labels, arms asked unevenly."""
    rng = np.random.default_rng(seed)
    features = np.concatenate([np.ones((n, 1)), rng.normal(size=(n, 5))], axis=1)
    shares = np.geomspace(1, 40, 6) / np.geomspace(1, 40, 6).sum()
    arms = rng.choice(6, size=n, p=shares)
    labels = 0.3 * np.log(shares)[arms] + 0.2 * features[:, 1] + 0.3 * rng.normal(size=n)
    return features, labels - labels.mean(), arms, np.arange(n) % folds


def test_shifted_moments_are_those_of_shifted_labels():
    features, labels, arms, of_row = rows(0)
    above = np.linspace(-0.4, 0.5, 6)
    (own,) = moments_of(features, labels[None], arms, of_row, folds=3, models=6)
    less = (labels - above[arms])[None]
    (want,) = moments_of(features, less, arms, of_row, folds=3, models=6)
    for one, other in zip(shifted(own, above), want, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)


def test_the_regression_is_that_of_the_labels_less_the_prior_means(monkeypatch):
    """But for the arms' levels, which are those of the labels themselves."""
    features, labels, arms, of_row = rows(1)
    sizes = Sizes(2, 3)
    (own,) = moments_of(features, labels[None], arms, of_row, folds=3, models=6)
    every = Moments(*(np.asarray(each).sum(axis=0) for each in own))
    above = prior_means(every)
    assert np.ptp(above) > 0.5
    found = fit_hierarchical(own, sizes)
    np.testing.assert_array_equal(found.above, above)

    less = shifted(own, above)
    levels = hierarchical.level_of
    monkeypatch.setattr(hierarchical, "prior_means", lambda moments: np.zeros(6))
    monkeypatch.setattr(
        hierarchical, "level_of", lambda moments, **more: levels(shifted(moments, -above), **more)
    )
    plain = fit_hierarchical(less, sizes)
    np.testing.assert_allclose(found.log_ratios, plain.log_ratios, rtol=1e-4)
    for one, other in ((found.every, plain.every), (found.outside, plain.outside)):
        want = np.array(other)
        want[..., 0, :] += above
        np.testing.assert_allclose(one, want, atol=1e-4)


def test_draws_from_the_posterior_lie_about_its_means():
    features, labels, arms, of_row = rows(2)
    (own,) = moments_of(features, labels[None], arms, of_row, folds=3, models=6)
    found = fit_hierarchical(own, Sizes(2, 3))
    assert found.above.any()
    drawn = draw_coefficients(found, Sizes(2, 3), draws=200, seed=0)
    error = drawn.std(axis=0) / np.sqrt(200)
    assert (np.abs(drawn.mean(axis=0) - found.every) < 5 * error + 1e-4).all()
