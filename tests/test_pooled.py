"""Pooled outcome models and the router that stays at its start."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import routerjax as rj
from routerjax.estimators.folds import make_folds
from routerjax.models.heads import outputs
from routerjax.models.outcomes import predict
from routerjax.models.pooled import PooledFeatures, PooledHead
from routerjax.pipelines import pooled_features
from routerjax.pipelines.observed import Observed
from routerjax.pipelines.pooled import fit_pooled
from routerjax.pipelines.pooled_features import make_features
from routerjax.records.logs import Log
from routerjax.records.tables import Table
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig

HEAD = PooledHead(models=3, components=6, landmarks=12)
PLAIN = FitConfig(cost_weights=(0.0, 64.0, 256.0))


def _log(n=600, seed=0):
    """Quality depends on one column, differently by arm; costs are lognormal about 1, 2 and 4."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    truth = 0.5 + 0.2 * np.stack([np.tanh(x[:, 0]), 0 * x[:, 0], -np.tanh(x[:, 0])], axis=1)
    cost = np.array([1.0, 2.0, 4.0]) * np.exp(0.3 * x[:, 1])[:, None]
    arms = rng.integers(0, 3, n).astype(np.int32)
    drawn = rng.uniform(size=n) < truth[np.arange(n), arms]
    paid = cost[np.arange(n), arms] * np.exp(0.2 * rng.normal(size=n) - 0.02)
    log = Log(
        arms=arms,
        quality=drawn.astype(np.float64),
        cost=paid,
        models=("a", "b", "c"),
        embeddings=x,
        quality_range=(0.0, 1.0),
    )
    return log, truth, cost


def _folds(log, folds=3, seed=0):
    key = jax.random.key(seed)
    return make_folds(log.arms, folds=folds, held_out=0.15, key=key, groups=log.groups)


def _fitted(log, folds=None):
    folds = _folds(log) if folds is None else folds
    x = jnp.asarray(log.embeddings)
    return fit_pooled(HEAD, x, Observed.of(log), folds, quality_range=log.quality_range)[:2]


def test_features_of_the_same_rows_are_made_once(monkeypatch):
    x = np.random.default_rng(3).normal(size=(50, 6)).astype(np.float32)
    first, made = make_features(HEAD, x), pooled_features._made
    count = []
    monkeypatch.setattr(pooled_features, "_made", lambda *each: count.append(1) or made(*each))
    again = make_features(HEAD, x[::-1])
    assert not count and all(np.array_equal(first[name], again[name]) for name in first)
    with pytest.raises(ValueError, match="read-only"):
        again["centre"][0] = 1.0
    other = make_features(HEAD, x + 1)
    tasks = PooledHead(models=3, components=6, landmarks=12, tasks=8)
    for task in (None, np.arange(50) % 2, np.arange(50) % 3):
        make_features(tasks, x, task)
    assert len(count) == 4 and not np.array_equal(other["centre"], first["centre"])
    assert len(pooled_features._KEPT) == pooled_features.MOST_KEPT
    pooled_features.forget_features()
    make_features(tasks, x, np.arange(50) % 3)
    assert len(count) == 5


def test_the_smooth_features_are_those_of_the_kernel():
    """φ(x)·φ(z) = k(x, z) for landmarks, before their mean is taken away."""
    x = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
    made = make_features(HEAD, x)
    found = np.asarray(outputs(PooledFeatures(6, 12), {"params": made}, jnp.asarray(x)))
    smooth = found[:, 7:] + np.asarray(made["shift"])
    z = found[:, 1:7]
    square = ((z[:, None] - z[None]) ** 2).sum(axis=-1)
    np.testing.assert_allclose(smooth @ smooth.T, np.exp(-square / (2 * 0.5**2)), atol=2e-3)
    np.testing.assert_array_equal(found[:, 0], 1.0)
    np.testing.assert_allclose(found[:, 1:].mean(axis=0), 0.0, atol=1e-4)


def test_the_features_do_not_depend_on_the_order_of_the_rows():
    x = np.random.default_rng(1).normal(size=(300, 6)).astype(np.float32)
    one, other = (make_features(HEAD, rows) for rows in (x, x[::-1]))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_few_and_equal_rows_leave_unused_landmarks_at_zero():
    x = np.repeat(np.eye(2, 6, dtype=np.float32), 20, axis=0)
    found = np.asarray(
        outputs(PooledFeatures(6, 12), {"params": make_features(HEAD, x)}, jnp.asarray(x))
    )
    assert np.isfinite(found).all() and (found[:, 9:] == 0).all()


def test_no_row_meets_a_model_that_saw_its_outcome():
    log, _, _ = _log()
    folds = _folds(log)
    before, _ = _fitted(log, folds)
    own = folds.of_row == 0
    changed = np.where(own, 1.0 - log.quality, log.quality)
    after, _ = _fitted(dataclasses.replace(log, quality=changed), folds)
    # the variances and the mean of all rows move a little; the rows' own outcomes do not
    assert np.abs(after.quality[own] - before.quality[own]).max() < 0.15
    assert np.abs(after.quality[~own] - before.quality[~own]).max() > 0.15


def test_it_finds_quality_and_cost():
    log, truth, cost = _log(n=3000)
    own, model = _fitted(log)
    new, new_truth, new_cost = _log(n=500, seed=9)
    found = predict(HEAD, model, jnp.asarray(new.embeddings))
    assert np.sqrt(np.mean((found.quality - new_truth) ** 2)) < 0.08
    assert np.sqrt(np.mean((own.quality - truth) ** 2)) < 0.09
    assert np.mean(np.abs(found.cost / new_cost - 1)) < 0.1
    assert np.mean(np.abs(own.cost / cost - 1)) < 0.1


def test_an_arms_costs_sum_to_what_its_rows_cost():
    log, _, _ = _log()
    _, model = _fitted(log)
    found = predict(HEAD, model, jnp.asarray(log.embeddings))
    for arm in range(3):
        rows = log.arms == arm
        assert found.cost[rows, arm].sum() == pytest.approx(log.cost[rows].sum(), rel=1e-4)


def test_models_that_cost_nothing_are_predicted_to():
    log, _, _ = _log()
    free = dataclasses.replace(log, cost=np.where(log.arms == 0, 0.0, log.cost))
    own, model = _fitted(free)
    found = predict(HEAD, model, jnp.asarray(free.embeddings))
    assert (own.cost[:, 0] == 0).all() and (found.cost[:, 0] == 0).all()
    assert (found.cost[:, 1:] > 0).all() and np.isfinite(own.cost).all()


def test_a_complete_table_is_every_arms_rows():
    log, truth, cost = _log(n=500)
    quality = (np.random.default_rng(3).uniform(size=truth.shape) < truth).astype(np.float64)
    table = Table(
        quality=quality,
        cost=cost,
        models=log.models,
        embeddings=log.embeddings,
        quality_range=(0.0, 1.0),
    )
    found, _, _ = fit_pooled(
        HEAD,
        jnp.asarray(table.embeddings),
        Observed.of(table),
        _folds(log),
        quality_range=(0.0, 1.0),
    )
    log_found, _ = _fitted(log)
    error, log_error = (
        np.sqrt(np.mean((each.quality - truth) ** 2)) for each in (found, log_found)
    )
    assert error < log_error < 0.2


@pytest.fixture(scope="module")
def plain(world) -> rj.Router:
    """Fitted on the world's log with the defaults."""
    return rj.fit(world.log, config=PLAIN)


def test_a_plain_router_is_greedy_on_what_it_expects(plain, world):
    x, weights = np.asarray(world.fresh.embeddings), (0.0, 30.0, 64.0, 256.0)
    expected = plain.expected(x)
    for cost_weight, chosen in zip(weights, plain.choices(x, cost_weights=weights), strict=True):
        utility = expected.quality - cost_weight * expected.cost
        best = utility[np.arange(len(x)), chosen]
        if plain.keeps_at(cost_weight) is not None:
            assert (chosen == plain.models.index(plain.best_single_at(cost_weight))).all()
            continue
        assert (utility.max(axis=1) - best).max() < 1e-5


def test_a_plain_router_saves_loads_and_says_what_it_is(plain, world, tmp_path):
    plain.save(tmp_path / "router")
    again, x = rj.load(tmp_path / "router"), np.asarray(world.fresh.embeddings)
    for weight in (0.0, 100.0):
        one, other = (each.route(x, cost_weight=weight) for each in (plain, again))
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
    assert "plug-in of pooled outcome models" in repr(again)
    assert plain.report["epochs"] == {}


def test_a_plain_router_does_not_depend_on_the_order_of_the_arms(world, plain):
    order = np.array([2, 0, 1])
    names = tuple(world.log.models[arm] for arm in order)
    place = np.argsort(order).astype(np.int32)
    moved = dataclasses.replace(world.log, models=names, arms=place[world.log.arms])
    other, x = rj.fit(moved, config=PLAIN), np.asarray(world.fresh.embeddings)
    np.testing.assert_allclose(
        other.expected(x).quality, plain.expected(x).quality[:, order], atol=2e-3
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (FitConfig(router=RouterConfig(surrogate="spo_plus")), "surrogate would have no effect"),
        (FitConfig(router=RouterConfig(members=3)), "members would have no effect"),
        (FitConfig(validation=0.3), "validation would have no effect"),
        (FitConfig(estimator="ips"), "estimator would have no effect: a plug-in router"),
        (FitConfig(nuisance=NuisanceConfig(widths=(8,))), "widths of the outcome models"),
        (FitConfig(nuisance=NuisanceConfig(outcomes="forest")), "no outcome model 'forest'"),
        (FitConfig(nuisance=NuisanceConfig(landmarks=0)), "components are 32 and landmarks 0"),
    ],
)
def test_settings_without_effect_are_refused(world, config, message):
    with pytest.raises(rj.InputError, match=message):
        rj.fit(world.log, config=config)
