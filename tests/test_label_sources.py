"""Folds, cross-fitting, and the propensity of gold."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from labelled_rows import KEY, ONES, fixed

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
