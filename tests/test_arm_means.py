"""Arms that today's policy asks more often: how far their means are drawn apart for it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import routerjax.estimators.hierarchical as hierarchical
from routerjax.estimators.arm_means import prior_means
from routerjax.estimators.elimination import Sizes
from routerjax.estimators.hierarchical import fit_hierarchical
from routerjax.estimators.moments import Moments, moments_of, shifted
from routerjax.estimators.posterior_draws import draw_coefficients
from routerjax.pipelines.outcomes import _preferred


def told(counts, means, variance):
    """Moments of arms with these means, all of one variance within."""
    counts, means = np.asarray(counts, float), np.asarray(means, float)
    square = counts * (means**2 + variance * (counts - 1).clip(0) / np.maximum(counts, 1))
    return Moments(counts[:, None, None], (counts * means)[:, None], square, counts)


def alone(moments):
    """`prior_means` where there is no feature but the constant."""
    return prior_means(moments, np.zeros((1, len(moments.rows))))


def test_means_on_a_line_by_hand():
    """Six arms exactly on a line in log n: τ² is 0, and the slope's error that of s²/n alone."""
    counts, variance = np.array([8, 16, 32, 64, 128, 256]), 0.04
    z = np.log(counts) - np.log(counts).mean()
    weight = counts / variance
    spread = (weight * (z - (weight @ z) / weight.sum()) ** 2).sum()
    kept = 1 - 2 * 2 / (spread * 0.1**2)  # c = 4 / (4 − 2)
    found = alone(told(counts, 0.6 + 0.1 * z, variance))
    np.testing.assert_allclose(found, kept * 0.1 * z, rtol=1e-6)
    falling = alone(told(counts, 0.6 - 0.1 * z, variance))
    np.testing.assert_allclose(falling, -found, rtol=1e-6)


@pytest.mark.parametrize(
    ("counts", "means"),
    [
        ([50] * 8, np.linspace(0.2, 0.8, 8)),  # as many rows each: nothing to go by
        ([1000 / 3] * 11, np.linspace(0.2, 0.8, 11)),  # whose logarithms are not 0 to the bit
        ([700, *[699] * 10], np.linspace(0.2, 0.8, 11)),  # a cell is missing
        ([40, 50, 60, 70, 79], np.linspace(0.2, 0.8, 5)),  # less than twice
        ([5, 20, 80, 320], [0.2, 0.4, 0.6, 0.8]),  # four arms
        ([5, 20, 80, 320, 0], [0.2, 0.4, 0.6, 0.8, 0.0]),  # four that were asked
        ([5, 20, 80, 320, 9], [0.5] * 5),  # all alike
    ],
)
def test_nothing_where_there_is_nothing_to_tell(counts, means):
    assert not alone(told(counts, means, 0.04)).any()


def test_an_arm_that_was_never_asked_is_drawn_no_higher_than_one_asked_seldom():
    counts = np.array([8, 16, 32, 64, 128, 256, 0])
    z = np.log(counts[:-1]) - np.log(counts[:-1]).mean()
    for slope in (0.1, -0.1):
        found = alone(told(counts, np.r_[0.6 + slope * z, 0.0], 0.04))
        assert found[-1] == min(0.0, found[0]) and found[:-1].all()


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
        above = alone(told(counts, means, 0.2))
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
        assert np.mean(leaning) < 1.15 * np.mean(plain)
        assert np.mean(chance) < 0.2  # where 2 c·a² < b² by luck


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
    found = fit_hierarchical(own, sizes, by_asking=True)
    assert np.ptp(found.above) > 0.5
    levels = hierarchical.level_of
    monkeypatch.setattr(
        hierarchical, "level_of", lambda moments: levels(shifted(moments, -found.above))
    )
    plain = fit_hierarchical(shifted(own, found.above), sizes)
    np.testing.assert_allclose(found.log_ratios, plain.log_ratios, rtol=1e-4)
    want = np.array(plain.every)
    want[0] += found.above
    np.testing.assert_allclose(found.every, want, atol=1e-4)


def test_prior_means_of_a_fold_know_no_label_of_it():
    features, labels, arms, of_row = rows(3)
    changed = labels + (of_row == 1) * (arms == 0) * 1.0
    found = []
    for each in (labels, changed):
        (own,) = moments_of(features, each[None], arms, of_row, folds=3, models=6)
        ratios = fit_hierarchical(own, Sizes(2, 3), by_asking=True)
        found.append(ratios.outside[1][0])
    # what is left is by the ten variances
    assert np.abs(found[1] - found[0]).max() < 0.05
    assert not fit_hierarchical(own, Sizes(2, 3)).above.any()


@pytest.mark.parametrize("lean", [1.0, -1.0])
def test_easy_queries_make_no_model_better(lean):
    """Equal models; the more an arm is asked, the easier (or harder) are its queries."""
    by_means, found = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        features = np.concatenate([np.ones((1200, 1)), rng.normal(size=(1200, 5))], axis=1)
        base = np.log(np.geomspace(1, 60, 8))
        z = base - base.mean()
        chance = np.exp(base + lean * features[:, 1:2] * z / 2)
        chance /= chance.sum(axis=1, keepdims=True)
        arms = (chance.cumsum(axis=1) > rng.random((1200, 1))).argmax(axis=1)
        truth = 0.04 * rng.normal(size=8)
        labels = truth[arms] + 0.2 * features[:, 1] + 0.25 * rng.normal(size=1200)
        labels -= labels.mean()
        (own,) = moments_of(features, labels[None], arms, np.arange(1200) % 3, folds=3, models=8)
        every = Moments(*(np.asarray(each).sum(axis=0) for each in own))
        by_means.append(np.ptp(prior_means(every, np.zeros((6, 8)))))
        found.append(np.ptp(fit_hierarchical(own, Sizes(2, 3), by_asking=True).above))
    assert np.mean(found) < 0.25 * np.mean(by_means)


def test_draws_from_the_posterior_lie_about_its_means():
    features, labels, arms, of_row = rows(2)
    (own,) = moments_of(features, labels[None], arms, of_row, folds=3, models=6)
    found = fit_hierarchical(own, Sizes(2, 3), by_asking=True)
    assert found.above.any()
    drawn = draw_coefficients(found, Sizes(2, 3), draws=200, seed=0)
    error = drawn.std(axis=0) / np.sqrt(200)
    assert (np.abs(drawn.mean(axis=0) - found.every) < 5 * error + 1e-4).all()


def test_only_a_log_whose_models_could_always_be_asked_tells_what_its_policy_prefers(world):
    assert _preferred(world.log) and not _preferred(world.table)
    could = np.ones((len(world.log), 3), bool)
    assert not _preferred(dataclasses.replace(world.log, available=could))
