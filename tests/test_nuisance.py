"""Nuisances: no row meets a model that saw it, arm means as the floor, truth where known."""

import dataclasses

import jax
import numpy as np
import pytest

from routerjax.estimators.folds import make_folds
from routerjax.models.heads import Scaling
from routerjax.models.outcomes import outcome_head, predict
from routerjax.pipelines.nuisance import fit_all_nuisances, propensities_of
from routerjax.pipelines.outcomes import fit_all_outcomes
from routerjax.records.logs import Log
from routerjax.records.tables import Table
from routerjax.training.config import NuisanceConfig, Schedule

SMALL = NuisanceConfig(
    outcomes="network",
    folds=3,
    widths=(16,),
    learning_rate=5e-3,
    schedule=Schedule(batch_size=64, max_epochs=20),
)


def _log(n=900, seed=0, *, biased=False, propensities=False):
    """Three arms; quality and cost depend on the first two coordinates."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    truth = 1 / (1 + np.exp(-np.stack([2 * x[:, 0], 0 * x[:, 0], -2 * x[:, 0]], axis=1)))
    scores = np.stack([x[:, 1], 0 * x[:, 1], -x[:, 1]], axis=1) if biased else np.zeros((n, 3))
    policy = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    arms = (policy.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    mean_cost = np.array([1e-4, 1e-3, 1e-2]) * np.exp(0.5 * x[:, [1]])
    cost = mean_cost * rng.lognormal(-0.02, 0.2, size=(n, 3))
    log = Log.from_arrays(
        arms,
        rng.random(n) < truth[np.arange(n), arms],
        cost[np.arange(n), arms],
        models="abc",
        embeddings=x,
        propensities=policy if propensities else None,
    )
    return log, truth, mean_cost, policy


def _fit(log, config=SMALL):
    scaling, key = Scaling.of(log.features), jax.random.key(0)
    (nuisances,) = fit_all_nuisances([log], [scaling], keys=[key], config=config)
    return nuisances


def test_folds_spread_arms_and_never_overlap():
    arms = np.repeat([0, 1, 2], [50, 30, 7])
    folds = make_folds(arms, folds=5, held_out=0.2, key=jax.random.key(0))
    for fold in range(5):
        rows = {*folds.train[fold].tolist(), *folds.held_out[fold].tolist()}
        assert len(rows) == folds.train.shape[1] + folds.held_out.shape[1]
        assert not rows & set(np.flatnonzero(folds.of_row == fold))
        counts = np.bincount(arms[folds.of_row == fold], minlength=3)
        assert np.all(np.abs(counts - np.array([10, 6, 1.4])) <= 1)
    assert folds.outside()[0].sum() == 87 - (folds.of_row == 0).sum()


@pytest.mark.slow
def test_a_row_never_meets_a_model_that_saw_it():
    """Changing a row's outcome leaves the row's own predictions as they were, bit for bit."""
    log, *_ = _log()
    before = _fit(log)
    quality, cost = np.array(log.quality), np.array(log.cost)
    row = 17
    quality[row], cost[row] = 1 - quality[row], 50 * cost[row]
    after = _fit(log.replace(quality=quality, cost=cost))
    np.testing.assert_array_equal(before.predicted.quality[row], after.predicted.quality[row])
    np.testing.assert_array_equal(before.predicted.cost[row], after.predicted.cost[row])
    assert not np.array_equal(before.predicted.quality, after.predicted.quality)


@pytest.mark.slow
def test_better_than_arm_means_where_there_is_something_to_learn():
    log, truth, mean_cost, _ = _log(biased=True)
    got = _fit(log)
    means = np.array([log.quality[log.arms == arm].mean() for arm in range(3)])
    error = ((got.predicted.quality - truth) ** 2).mean()
    assert error < 0.35 * ((means - truth) ** 2).mean()
    ratio = np.log(got.predicted.cost / mean_cost)
    assert np.sqrt((ratio**2).mean()) < 0.3  # against 0.5 for the arm means


def test_arm_means_where_there_is_nothing_to_learn():
    rng = np.random.default_rng(3)
    log, *_ = _log()
    log = log.replace(quality=(rng.random(900) < 0.7).astype(np.float32))
    got = _fit(log)
    error = np.sqrt(((got.predicted.quality - 0.7) ** 2).mean())
    assert error < 2 * np.sqrt(0.7 * 0.3 / 200)  # twice the standard error of an arm's mean


def test_bounded_positive_and_calibrated():
    log, *_ = _log()
    got = _fit(log)
    assert got.predicted.quality.min() > 0 and got.predicted.quality.max() < 1
    assert got.predicted.cost.min() > 0
    # each fold's predictions sum, arm by arm, to what the rows it was fitted on cost
    folds = make_folds(
        log.arms, folds=3, held_out=0.15, key=jax.random.split(jax.random.key(0), 3)[0]
    )
    x = Scaling.of(log.features)(log.features)
    from routerjax.models.outcomes import predict_folds

    by_fold = predict_folds(outcome_head(3, SMALL.widths), got.model, x)
    for fold, rows in enumerate(folds.outside()):
        for arm in range(3):
            own = rows & (log.arms == arm)
            predicted = np.asarray(by_fold.cost)[fold, own, arm].sum()
            assert predicted == pytest.approx(log.cost[own].sum(), rel=1e-3)


def test_no_epochs_are_the_arm_means():
    config = dataclasses.replace(SMALL, schedule=Schedule(max_epochs=0))
    log, *_ = _log()
    got = _fit(log, config)
    folds = make_folds(
        log.arms, folds=3, held_out=0.15, key=jax.random.split(jax.random.key(0), 3)[0]
    )
    for rows in folds.outside():
        own = np.flatnonzero(~rows)
        for arm in range(3):
            known = rows & (log.arms == arm)
            cost = log.cost[known].mean()
            np.testing.assert_allclose(got.predicted.cost[own, arm], cost, rtol=1e-4)
            # two rows of the overall mean are added to an arm's own
            total, count = log.quality[known].sum(), known.sum()
            quality = (total + 2 * log.quality[rows].mean()) / (count + 2)
            np.testing.assert_allclose(got.predicted.quality[own, arm], quality, rtol=1e-4)


def test_propensities_recorded_are_taken_as_recorded():
    log, _, _, policy = _log(biased=True, propensities=True)
    got = _fit(log)
    np.testing.assert_array_equal(
        got.propensities.answered, policy[np.arange(900), log.arms].astype(np.float32)
    )
    assert got.overlap.source == "recorded"


def test_propensities_estimated_follow_the_policy():
    log, _, _, policy = _log(biased=True)
    got = propensities_of(log, Scaling.of(log.features), key=jax.random.key(0), config=SMALL)
    known = policy[np.arange(900), log.arms]
    assert np.abs(got.answered - known).mean() < 0.5 * np.abs(known - known.mean()).mean()


def test_propensities_of_a_uniform_log_are_nearly_constant():
    """But for shares of 900 rows; in a log of ten or so chance looks like a rule of the policy."""
    away = []
    for seed in range(5):
        got = _fit(_log(seed=seed)[0])
        assert got.overlap.source == "estimated"
        away.append(np.abs(got.propensities.answered - 1 / 3).mean())
    assert np.median(away) < 0.03 and max(away) < 0.08


def test_predict_averages_the_folds():
    log, truth, *_ = _log()
    got = _fit(log)
    x = Scaling.of(log.features)(log.features)
    both = predict(outcome_head(3, SMALL.widths), got.model, x)
    assert both.quality.shape == both.cost.shape == (900, 3)
    assert ((both.quality - truth) ** 2).mean() < 0.03


def test_quality_range_only_rescales():
    log, *_ = _log()
    wide = log.replace(quality=10 * log.quality - 5, quality_range=(-5.0, 5.0))
    one, ten = _fit(log), _fit(wide)
    np.testing.assert_allclose(10 * one.predicted.quality - 5, ten.predicted.quality, atol=1e-4)


def test_an_arm_with_a_single_row_and_free_arms():
    log, *_ = _log()
    arms, cost = np.where(np.arange(900) < 450, 0, 1), np.array(log.cost)
    arms[5] = 2
    cost[arms == 0] = 0.0
    got = _fit(log.replace(arms=arms, cost=cost))
    for leaf in jax.tree.leaves(got.predicted):
        assert np.isfinite(leaf).all()
    np.testing.assert_array_equal(got.predicted.cost[:, 0], 0.0)


@pytest.mark.slow
def test_outcomes_of_a_table_use_every_cell():
    """Full feedback fits the same models on all arms of a row: closer to the truth than a log."""
    log, truth, mean_cost, _ = _log()
    rng = np.random.default_rng(9)
    table = Table.from_arrays(
        rng.random((900, 3)) < truth, mean_cost, models="abc", embeddings=log.features
    )
    scaling, key = Scaling.of(log.features), jax.random.key(0)
    ((whole, model, _),) = fit_all_outcomes([table], [scaling], keys=[key], config=SMALL)
    ((part, _, _),) = fit_all_outcomes([log], [scaling], keys=[key], config=SMALL)
    assert ((whole.quality - truth) ** 2).mean() < 0.7 * ((part.quality - truth) ** 2).mean()
    assert model.unit_cost.shape == (3, 3)
    np.testing.assert_allclose(whole.cost.mean(axis=0), mean_cost.mean(axis=0), rtol=0.02)
