"""Rows of a group that are missed together count once: weights by a loop, and what a fit says."""

import jax
import numpy as np
import pytest

from routerjax.estimators.elimination import Sizes
from routerjax.estimators.folds import make_folds
from routerjax.estimators.hierarchical import variance_of
from routerjax.estimators.moments import moments_of
from routerjax.estimators.shared_noise import alone, row_weights
from routerjax.models.outcomes import predict
from routerjax.models.pooled import PooledHead
from routerjax.pipelines.observed import Observed
from routerjax.pipelines.pooled import fit_pooled
from routerjax.pipelines.pooled_features import feature_sums

HEAD = PooledHead(models=3, components=8, landmarks=8)


def _by_a_loop(residuals, arms, groups, models):
    n = len(arms)
    products, pairs = {"same": 0.0, "other": 0.0}, {"same": 0, "other": 0}
    for i in range(n):
        for j in range(n):
            if i != j and groups[i] == groups[j]:
                kind = "same" if arms[i] == arms[j] else "other"
                products[kind] += residuals[i] * residuals[j]
                pairs[kind] += 1
    spread = sum(each**2 for each in residuals) / n
    rho = {
        kind: min(max(products[kind] / max(pairs[kind], 1) / spread, 0.0), 1.0) for kind in pairs
    }
    rho["other"] = min(rho["same"], rho["other"])
    weights = []
    for i in range(n):
        same = sum(groups[j] == groups[i] and arms[j] == arms[i] for j in range(n))
        others = sum(groups[j] == groups[i] and arms[j] != arms[i] for j in range(n))
        effect = 1 + (same - 1) * rho["same"] - others * rho["other"] / (models - 1)
        weights.append(1 / max(1.0, effect))
    return weights


@pytest.mark.parametrize("generous", [0.0, 1.0])
def test_weights_by_a_loop(generous):
    rng = np.random.default_rng(0)
    groups, arms = np.repeat(np.arange(9), 5), rng.integers(0, 3, 45)
    missed = rng.normal(size=45) + generous * rng.normal(size=9)[groups]
    missed += rng.normal(size=(9, 3))[groups, arms]
    found = row_weights(missed[:, None], arms[:, None], groups, models=3)
    np.testing.assert_allclose(found[:, 0], _by_a_loop(missed, arms, groups, 3), rtol=1e-12)
    assert 0.2 <= found.min() < 0.9


def test_rows_that_say_the_same_weigh_once_and_alone_ones_one():
    missed, arms = np.array([1.0, 1, 1, 1, -2, 2]), np.array([0, 0, 0, 0, 1, 0])
    groups = np.array([0, 0, 0, 0, 0, 1])
    # the four of arm 0 have products 1 over a mean square of 2; arm 1 falls short of them
    found = row_weights(missed[:, None], arms[:, None], groups, models=2)
    np.testing.assert_allclose(found[:, 0], [1 / 2.5] * 4 + [1, 1])
    assert not alone(arms[:, None], groups)
    assert alone(np.array([[0], [1], [0]]), np.array([0, 0, 1]))
    assert alone(np.array([[0, 1], [0, 1]]), np.array([0, 1]))


def test_moments_of_weighed_rows_are_those_of_repeated_ones():
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(12, 3)), rng.normal(size=(1, 12))
    arms, fold, times = rng.integers(0, 2, 12), np.arange(12) % 2, rng.integers(1, 4, 12)
    again = np.repeat(np.arange(12), times)
    (weighed,) = moments_of(
        features, labels, arms, fold, folds=2, models=2, weights=times.astype(float)
    )
    (repeated,) = moments_of(
        features[again], labels[:, again], arms[again], fold[again], folds=2, models=2
    )
    for own, expected in zip(weighed, repeated, strict=True):
        np.testing.assert_allclose(own, expected, atol=1e-12)


def test_groups_of_one_row_change_no_bit():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(600, 8)).astype(np.float32)
    arms = rng.integers(0, 3, 600)
    observed = Observed(arms[:, None], rng.random((600, 1)), rng.uniform(1, 2, (600, 1)))
    folds = make_folds(arms, folds=5, held_out=0.2, key=jax.random.key(0))
    plain, grouped = (
        fit_pooled(HEAD, x, observed, folds, quality_range=(0.0, 1.0), groups=groups)
        for groups in (None, np.arange(600))
    )
    jax.tree.map(np.testing.assert_array_equal, plain, grouped)


def _rows(seed: int, *, kind: str):
    """Three coins of one chance: 120 queries asked five times, whose answers repeat themselves; or
    40 users of 15 turns who keep their model and are generous or not."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(120), 5) if kind == "repeats" else np.repeat(np.arange(40), 15)
    if kind == "repeats":
        x, arms = rng.normal(size=(120, 8))[group], rng.integers(0, 3, 600)
        quality = rng.random((120, 3))[group, arms] < 0.5
    else:
        x = np.sqrt(0.5) * (rng.normal(size=(40, 8))[group] + rng.normal(size=(600, 8)))
        arms = rng.integers(0, 3, 40)[group]
        quality = rng.random(600) < np.clip(rng.normal(0.5, 0.25, 40), 0.02, 0.98)[group]
    cost = rng.uniform(0.8, 1.2, (600, 1))
    return (
        x.astype(np.float32),
        Observed(arms[:, None], quality[:, None].astype(float), cost),
        group,
    )


@pytest.mark.parametrize("kind", ["repeats", "sessions"])
def test_repeats_and_sessions_expect_little_where_no_arm_is_better(kind):
    """Counted row by row, repeats expect 0.26 (11 standard deviations), sessions 0.03 (1.7)."""
    away = []
    for seed in range(4):
        x, observed, groups = _rows(seed, kind=kind)
        arms, key = observed.arms[:, 0], jax.random.key(seed)
        folds = make_folds(arms, folds=5, held_out=0.2, key=key, groups=groups)
        found = fit_pooled(HEAD, x, observed, folds, quality_range=(0.0, 1.0), groups=groups)
        quality = np.asarray(predict(HEAD, found.model, x).quality)
        best = np.full((1, 600), quality.mean(axis=0).argmax())
        chosen = quality.argmax(axis=1)[None]
        advantage = quality.max(axis=1).mean() - quality.mean(axis=0).max()
        sums = feature_sums(HEAD, found.model, x, chosen, best) / 600
        deviation = np.sqrt(variance_of(found.posterior, sums, Sizes(8, 8))[0])
        assert advantage < 0.06
        away.append(advantage / max(deviation, 1e-9))
    assert np.mean(away) < 1.5
