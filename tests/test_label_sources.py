"""Folds, cross-fitting, and the propensity of gold."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from labelled_rows import KEY, ONES, fixed, small_rows, weighted_mean

from routerjax.estimators.cross_fit import (
    assign_folds,
    cross_fit,
    cross_fit_twice,
    estimate_propensity,
    own_fold,
    source_overlap,
)
from routerjax.estimators.ridge import ridge


def test_folds_spread_gold_and_keep_groups_together():
    rng = np.random.default_rng(5)
    groups = rng.integers(0, 120, size=300)
    gold = (groups < 23)[np.arange(300)]
    fold = np.asarray(assign_folds(jnp.asarray(gold), key=KEY, groups=jnp.asarray(groups)))
    for group in np.unique(groups):
        assert len(set(fold[groups == group])) == 1
    per_fold = [len(set(groups[gold & (fold == k)])) for k in range(5)]
    assert max(per_fold) - min(per_fold) <= 1


def test_cross_fitting_against_a_loop():
    rows, _ = fixed()
    found = cross_fit(ridge, rows, ONES, key=KEY)
    for k in range(5):
        kept = jnp.asarray(rows.fold != k, jnp.float32)
        mine = np.asarray(rows.fold) == k
        expected = np.asarray(ridge(rows.x, rows.label, kept, rows.x))[mine]
        np.testing.assert_allclose(np.asarray(found)[mine], expected, atol=1e-5)


def test_cross_fitting_twice_against_a_loop():
    rows, _ = fixed()
    found = np.asarray(cross_fit_twice(ridge, rows, ONES, key=KEY))
    fold = np.asarray(rows.fold)
    for k in range(5):
        for j in range(5):
            kept = jnp.asarray((fold != k) & (fold != j), jnp.float32)
            expected = np.asarray(ridge(rows.x, rows.label, kept, rows.x))[fold == j]
            np.testing.assert_allclose(found[k, fold == j], expected, atol=1e-5)


def test_gold_rows_are_dealt_first():
    """Of 23 in five folds the first three get one more, however many others there are."""
    gold = np.arange(300) % 13 == 0
    gold[gold.nonzero()[0][23:]] = False
    for seed in range(3):
        fold = np.asarray(assign_folds(jnp.asarray(gold), key=jax.random.key(seed)))
        assert np.bincount(fold[gold]).tolist() == [5, 5, 5, 4, 4]
        assert np.bincount(fold).tolist() == [60] * 5
    assert not np.array_equal(fold, assign_folds(jnp.asarray(gold), key=KEY))
    three = assign_folds(jnp.asarray(gold), key=KEY, folds=3)
    assert np.bincount(np.asarray(three)[gold]).tolist() == [8, 8, 7]


def test_three_folds_weights_and_another_label_against_a_loop():
    rows, weights = small_rows()
    fold, other = np.asarray(rows.fold), np.arange(12.0)
    for label, given in ((np.asarray(rows.label), None), (other, jnp.asarray(other, jnp.float32))):
        once, twice = np.empty(12), np.empty((3, 12))
        for i in range(12):
            once[i] = np.average(label, weights=weights * (fold != fold[i]))
            for k in range(3):
                kept = (fold != fold[i]) & (fold != k)
                twice[k, i] = np.average(label, weights=weights * kept)
        settings = {"key": KEY, "folds": 3, "label": given}
        found = cross_fit(weighted_mean, rows, jnp.asarray(weights), **settings)
        np.testing.assert_allclose(found, once, rtol=1e-4, atol=1e-5)
        found = cross_fit_twice(weighted_mean, rows, jnp.asarray(weights), **settings)
        np.testing.assert_allclose(found, twice, rtol=1e-4, atol=1e-5)


def test_every_fit_draws_for_itself():
    """Of a regression that only draws: one draw a fold, and one a pair of folds."""

    def drawn(x, label, weights, queries, *, key):
        return jnp.full(queries.shape[0], jax.random.uniform(key))

    rows, weights = small_rows()
    once = np.asarray(cross_fit(drawn, rows, weights, key=KEY, folds=3))
    assert len({*once}) == 3 and {*once[:3]} == {*once}
    twice = np.asarray(cross_fit_twice(drawn, rows, weights, key=KEY, folds=3))[:, :3]
    assert len({*twice.ravel()}) == 6
    np.testing.assert_array_equal(twice, twice.T)  # one model serves both folds of a pair


def test_estimated_propensities_have_as_many_folds_as_the_rows_and_a_floor_of_their_own():
    rows, _ = small_rows()
    surest = rows._replace(x=jnp.where(rows.gold, 10.0, -10.0)[:, None])
    found = estimate_propensity(surest, jnp.ones(12), folds=3)
    expected = np.tile(np.where(rows.gold, 0.995, 0.005), (3, 1))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_estimated_propensity_is_out_of_fold_and_floored():
    rows, _ = fixed(assignment="dependent", n=600)
    w = np.ones(600, np.float32)
    estimated = np.asarray(estimate_propensity(rows, w))
    found = np.asarray(own_fold(estimated, rows.fold))
    assert np.corrcoef(found, rows.propensity)[0, 1] > 0.8
    assert estimated.min() >= 0.005 and estimated.shape == (5, 600)
    row = 7
    k = int(rows.fold[row])
    flipped = rows._replace(gold=rows.gold.at[row].set(~rows.gold[row]))
    again = np.asarray(estimate_propensity(flipped, w))
    own = np.asarray(rows.fold) == k
    # whatever is learnt without the row's fold, and its fold's rows, never met its source
    np.testing.assert_array_equal(estimated[k], again[k])
    np.testing.assert_array_equal(estimated[:, own], again[:, own])
    others = np.arange(5) != k
    assert (estimated[others][:, ~own] != again[others][:, ~own]).any(axis=1).all()


def test_an_estimated_propensity_stays_the_floor_away_from_0_and_from_1():
    rows, _ = fixed(assignment="dependent", n=600)
    free = np.asarray(estimate_propensity(rows, np.ones(600, np.float32), floor=0.0))
    assert free.min() < 0.4 and free.max() > 0.6  # it would go beyond
    kept = estimate_propensity(rows, np.ones(600, np.float32), floor=0.4)
    np.testing.assert_allclose(kept, np.clip(free, 0.4, 0.6), atol=1e-6)


def test_overlap_by_hand():
    gold = np.array([True, False, False, False])
    report = source_overlap(gold, np.array([0.25, 0.5, 0.2, 0.999]), known=True)
    assert report.arm_rows == (3, 1) and report.models == ("preference", "gold")
    assert report.smallest_propensity == pytest.approx(0.001)
    assert report.share_clipped == 0.25 and report.source == "known"
    w = np.array([2.0, 1.25, 200.0])
    assert report.effective_sample_size[0] == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert report.effective_sample_size[1] == pytest.approx(1.0)
    assert report.rows == 4 and report.floor == 0.005


def test_overlap_at_the_floor_and_without_a_gold_row():
    """A row whose own source has just the floor's probability counts as clipped."""
    gold = np.array([False, False, False, False])
    report = source_overlap(gold, np.array([0.5, 0.75, 0.9, 0.0]), known=False, floor=0.25)
    # own probabilities 0.5, 0.25, 0.1, 1: weights 2, 4, 4 (not 10), 1
    assert report.effective_sample_size == (pytest.approx(11**2 / 37), 0.0)
    assert report.arm_rows == (4, 0) and report.source == "estimated"
    assert report.share_clipped == 0.5 and report.floor == 0.25
    assert report.smallest_propensity == pytest.approx(0.1)
