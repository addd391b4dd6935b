"""A policy that cuts a sum of many numbers of the query: discriminants, cuts and their support."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import routerjax as rj
from routerjax.artefacts.newcomer import _joined
from routerjax.estimators import discriminants as module
from routerjax.estimators.cuts import Cut, _loss, fit_cut
from routerjax.estimators.discriminants import STRENGTHS, discriminants
from routerjax.estimators.support import edge_of_cut, support_threshold
from routerjax.models.heads import Scaling
from routerjax.models.propensity import (
    Cuts,
    asked_there,
    supported,
    supported_rows,
    with_support,
)
from routerjax.pipelines.nuisance import propensities_of
from routerjax.records.on_disk import Stored
from routerjax.training.config import FitConfig


def asked_of(rng, n, models):
    """Random arms of n rows, in three folds."""
    arms, of_row = rng.integers(0, models, n), np.arange(n) % 3
    return np.arange(models) == arms[:, None], of_row


def cosine(one, other):
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


# --- discriminants ---


def test_a_discriminant_by_hand():
    """One column −1, −1, 1, 1 and arms 0, 0, 0, 1, in both folds: a hardly shrunk slope of ¼."""
    x = np.tile(np.float32([[-1], [-1], [1], [1]]), (10, 1))
    asked = np.arange(2) == np.tile([0, 0, 0, 1], 10)[:, None]
    of_row = np.repeat([0, 1], 20)
    found = discriminants(x, asked, np.ones_like(asked), of_row)
    want = 0.25 / (1 + STRENGTHS[0])
    np.testing.assert_allclose(found.directions, [[[-want, want]]] * 2, rtol=1e-6)
    np.testing.assert_allclose(found.scores, x * [[-want, want]], rtol=1e-6)


def test_scores_are_those_of_fits_without_the_fold():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 4)) @ rng.normal(size=(4, 4)) + 3.0
    asked, of_row = asked_of(rng, 90, 3)
    could = rng.random((90, 3)) < 0.8
    could[:5] = False  # pinned rows say nothing
    asked &= could

    def refitted(strength):
        scores, left = np.empty((90, 3)), np.empty((90, 3))
        for fold in range(3):
            rows = (of_row != fold) & could.any(axis=1)
            share = asked[rows].sum(axis=0) / could[rows].sum(axis=0)
            residual = (asked - share) * could
            away = x - x[rows].mean(axis=0)
            ridge = np.cov(x[rows].T, ddof=0)
            ridge = ridge + strength * np.trace(ridge) / 4 * np.eye(4)
            slope = np.linalg.solve(ridge, away[rows].T @ residual[rows] / rows.sum())
            own = of_row == fold
            scores[own], left[own] = away[own] @ slope, residual[own]
        return scores, (((left - scores) * could) ** 2).sum()

    best = min((refitted(strength) for strength in STRENGTHS), key=lambda each: each[1])
    found = discriminants(x, asked, could, of_row)
    np.testing.assert_allclose(found.scores, best[0], rtol=1e-4, atol=1e-6)


def test_a_rows_score_tells_nothing_where_there_is_nothing_to_tell():
    """Even where an arm's rows come in groups that one fold holds: their own rows are not seen."""
    gaps = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(60), 5)
        x = rng.normal(size=(60, 20))[groups] + 0.1 * rng.normal(size=(300, 20))
        asked = np.arange(3) == rng.integers(0, 3, 60)[groups][:, None]
        found = discriminants(x, asked, np.ones_like(asked), groups % 5)
        scores = found.scores / found.scores.std()
        gaps.append(scores[asked].mean() - scores[~asked].mean())
    assert abs(np.mean(gaps)) < 4 * np.std(gaps) / np.sqrt(60)


def test_blocks_files_and_columns(monkeypatch, tmp_path):
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(200, 6)) * [1, 3, 1, 2, 1, 4]).astype(np.float32)
    asked, of_row = asked_of(rng, 200, 2)
    could = np.ones_like(asked)
    whole = discriminants(x, asked, could, of_row)
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr(module, "BLOCK", 64)
    stored = Stored(np.load(tmp_path / "x.npy", mmap_mode="r"))
    np.testing.assert_allclose(
        discriminants(stored, asked, could, of_row).scores, whole.scores, rtol=1e-5, atol=1e-7
    )
    monkeypatch.setattr(module, "MOST_COLUMNS", 3)
    few = discriminants(x, asked, could, of_row)
    assert (few.directions[0] != 0).any(axis=1).tolist() == [False, True, False, True, False, True]
    picked = discriminants(x[:, [1, 3, 5]], asked, could, of_row)
    np.testing.assert_allclose(few.scores, picked.scores, rtol=1e-6)


def test_features_that_do_not_vary_have_no_direction():
    asked, of_row = asked_of(np.random.default_rng(2), 30, 2)
    found = discriminants(np.ones((30, 4)), asked, np.ones_like(asked), of_row)
    assert not found.directions.any() and not found.scores.any()


# --- cuts ---


def test_the_gradient_of_a_cuts_loss_by_finite_differences():
    rng = np.random.default_rng(3)
    x, asked = rng.normal(size=(40, 3)), rng.random(40) < 0.3
    at, step = rng.normal(size=5), 1e-6
    value, gradient = _loss(at, x, asked, 0.2)
    slopes = at[:3]
    chance = 1 / (1 + np.exp(-at[4])) / (1 + np.exp(-x @ slopes - at[3]))
    by_hand = -np.log(np.where(asked, chance, 1 - chance)).mean() + 0.1 * slopes @ slopes
    assert value == pytest.approx(by_hand)
    for place in range(5):
        moved = step * (np.arange(5) == place)
        rise = _loss(at + moved, x, asked, 0.2)[0] - _loss(at - moved, x, asked, 0.2)[0]
        assert gradient[place] == pytest.approx(rise / (2 * step), rel=1e-5, abs=1e-8)


def test_a_cut_is_found_where_a_discriminant_is_off():
    """Beyond the cut the arm answers a third of the queries; the truth is the direction drawn."""
    by_ridge, by_cut = [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, direction = rng.normal(size=(1500, 16)), rng.normal(size=16)
        inside = x @ direction > 0.3 * np.linalg.norm(direction)
        asked = inside & (rng.random(1500) < 1 / 3)
        of_row = np.arange(1500) % 5
        both = np.stack([asked, ~asked], axis=1)
        starts = discriminants(x, both, np.ones_like(both), of_row).directions[:, :, 0]
        cut = fit_cut(x, asked, of_row, starts)
        np.testing.assert_allclose(np.linalg.norm(cut.directions, axis=1), 1)
        assert ((cut.distances(x) > 0) == inside).mean() > 0.85
        by_ridge.append([cosine(each, direction) for each in starts])
        by_cut.append([cosine(each, direction) for each in cut.directions])
    assert np.arccos(by_cut).mean() < 0.75 * np.arccos(by_ridge).mean()


def test_a_fold_with_every_row_keeps_its_start():
    rng = np.random.default_rng(4)
    x, starts = rng.normal(size=(50, 3)), rng.normal(size=(2, 3))
    cut = fit_cut(x, rng.random(50) < 0.5, np.zeros(50, int), starts)
    np.testing.assert_allclose(cut.directions[0], starts[0] / np.linalg.norm(starts[0]))
    assert cut.offsets[0] == 0 and np.isfinite(cut.directions).all()


def test_an_edge_by_hand():
    """No hits up to 0.3, then two in five, from 0.6 on every row: above, the mean is 0.7."""
    scores = np.concatenate(
        [np.linspace(0.1, 0.3, 10), np.linspace(0.4, 0.5, 10), np.linspace(0.6, 0.7, 10)]
    )
    hits = np.concatenate([np.zeros(10), np.tile([1.0, 0, 0, 1, 0], 2), np.ones(10)])
    told = dict(level=0.05, models=2)
    assert support_threshold(scores, hits, **told) == pytest.approx(0.4)
    assert edge_of_cut(scores, hits, **told) == pytest.approx(0.6)  # 0.4 is below 0.9 · 0.7
    assert edge_of_cut(scores, hits, **told, error=0.05) == pytest.approx(0.5)
    assert edge_of_cut(scores, np.ones(30), **told) == -np.inf
    assert edge_of_cut(scores, np.zeros(30), **told) == np.inf


def test_the_error_of_a_distance_by_hand():
    """Two folds of directions 1 and −1 in one dimension: distances ±x, √(½ · 2 · mean x²)."""
    cut = Cut(np.array([[1.0], [-1.0]]), np.zeros(2))
    assert cut.standard_error(np.array([[1.0], [3.0]])) == pytest.approx(np.sqrt(5))


# --- support ---


def cut_log(seed, *, n=1500, wide=8, models=3, fails=False):
    """The last arm is never asked below the middle of a random direction; else all are, alike.

    Returns the log, and of its rows and n others features and whether they lie below. Where the
    arm `fails` it is right above the cut and wrong below.
    """
    rng = np.random.default_rng(seed)
    x, direction = rng.normal(size=(2 * n, wide)).astype(np.float32), rng.normal(size=wide)
    below = x @ direction < 0
    arms = np.where(below, rng.integers(0, models - 1, 2 * n), rng.integers(0, models, 2 * n))
    chance = np.full((2 * n, models), 0.6)
    if fails:
        chance[:, -1] = np.where(below, 0.05, 0.95)
    right = rng.random(2 * n) < chance[np.arange(2 * n), arms]
    names = [f"m{i}" for i in range(models)]
    log = rj.Log.from_arrays(arms[:n], right[:n], np.full(n, 1e-3), models=names, embeddings=x[:n])
    return log, x, below, chance


@pytest.mark.parametrize("wide, models", [(8, 3), pytest.param(16, 5, marks=pytest.mark.slow)])
def test_a_model_never_asked_below_a_sum_of_many_numbers(wide, models):
    log, x, below, _ = cut_log(0, wide=wide, models=models)
    scaling = Scaling.of(log.features)
    found = propensities_of(log, scaling, key=jax.random.key(0))
    new = supported(found.model, jnp.asarray(scaling(x[1500:])))
    for own, under in ((found.supported, below[:1500]), (np.asarray(new), below[1500:])):
        assert own[under, -1].mean() < 0.1
        assert own[~under, -1].mean() > 0.75
        assert own[:, :-1].mean() > 0.97


def test_a_model_never_asked_below_a_sum_though_it_is_one_of_many():
    """Twelve models, 1,200 rows: some fifty answers, too few for rows that lack them; most logs."""
    kept = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(1200, 8))
        below = x @ rng.normal(size=8) < 0
        chance = np.ones((1200, 12))
        chance[below, -1] = 0
        chance /= chance.sum(axis=1, keepdims=True)
        own = support_of(chance, x, rng).supported
        assert own[:, :-1].mean() > 0.99
        kept.append((own[below, -1].mean(), own[~below, -1].mean()))
    below, above = np.median(kept, axis=0)
    assert below < 0.1 and above > 0.4


def support_of(chance, x, rng, **columns):
    """What is found of a log drawn with known propensities."""
    drawn = (chance.cumsum(axis=1) < rng.random((len(x), 1))).sum(axis=1)
    arms = np.minimum(drawn, chance.shape[1] - 1)
    names, cost = [f"m{i}" for i in range(chance.shape[1])], np.full(len(x), 1e-3)
    log = rj.Log.from_arrays(
        arms, rng.random(len(x)), cost, models=names, embeddings=x.astype(np.float32), **columns
    )
    return propensities_of(log, Scaling.of(log.features), key=jax.random.key(0))


@pytest.mark.parametrize(
    "shares", [(0.25,) * 4, (0.6, 0.3, 0.06, 0.04), (0.92, 0.08), (0.05,) * 20]
)
def test_a_policy_that_ignores_the_query_has_no_cuts(shares):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        found = support_of(np.tile(shares, (1500, 1)), rng.normal(size=(1500, 16)), rng)
        assert found.model.cuts is None and found.supported.mean() > 0.99


@pytest.mark.parametrize(("slope", "most"), [(1, 0.12), (2, 0.12), (4, 0.15)])
def test_a_soft_policy_keeps_its_support(slope, most):
    """A softmax of sums of all numbers: where a model is asked, it stays supported, but for queries
    near a steep edge, of which nobody can be sure on which side they lie."""
    lost = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(2000, 16))
        logits = slope * x @ rng.normal(size=(16, 3)) / 4
        chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        enough = chance > 0.1 / 3
        lost.append((enough & ~support_of(chance, x, rng).supported).sum() / enough.sum())
    assert np.mean(lost) < most


@pytest.mark.parametrize("explored", [0.05, 0.1])
def test_a_model_explored_below_a_cut_keeps_its_support(explored):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(3000, 16))
        below = (x @ rng.normal(size=16) < 0)[:, None]
        there = [(1 - explored) / 2] * 2 + [explored]
        found = support_of(np.where(below, [there], [[1 / 3] * 3]), x, rng)
        assert found.supported[below[:, 0], 2].mean() > 0.85


def test_sessions_that_keep_a_model_make_no_cut():
    """75 sessions of 20 queries that lie together, each with one model drawn evenly."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        session = np.repeat(np.arange(75), 20)
        x = rng.normal(size=(75, 16))[session] + 0.3 * rng.normal(size=(1500, 16))
        chance = np.eye(3)[rng.integers(0, 3, 75)][session]
        found = support_of(chance, x, rng, group=[f"s{i}" for i in session])
        assert found.model.cuts is None


def test_rows_of_a_cut_are_drawn_whatever_the_logs_order():
    """Each query is logged twice in a row, first by a shadow that always asks model 0."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 8)).astype(np.float32)
    below = x @ rng.normal(size=8) < 0
    policy = np.where(below, rng.integers(0, 2, 5000), rng.integers(0, 3, 5000))
    arms = np.stack([np.zeros(5000, int), policy], axis=1).ravel()
    x, below = x.repeat(2, axis=0), below.repeat(2)
    log = rj.Log.from_arrays(
        arms, rng.random(10000), np.full(10000, 1e-3), models="abc", embeddings=x
    )
    found = propensities_of(log, Scaling.of(x), key=jax.random.key(0))
    assert found.supported[below, 2].mean() < 0.1


def test_without_any_supported_arm_the_likeliest_is_one_inside_its_cut():
    chances, inside = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), np.array([[0, 1, 1], [0, 0, 0]])
    for find in (with_support, supported_rows):
        found = find(chances, np.full(3, 0.9), None, inside > 0)
        assert np.asarray(found).tolist() == [[False, True, False], [True, False, False]]
    available = np.array([[True, False, True]] * 2)
    shares = np.where(available, chances, 0.0)
    found = supported_rows(shares, np.full(3, 0.9), available, inside > 0)
    assert found.tolist() == [[False, False, True], [True, False, False]]


@pytest.fixture(scope="module")
def cut_router():
    log, x, below, chance = cut_log(1, fails=True)
    return rj.fit(log, config=FitConfig(cost_weights=(0.0,))), x[1500:], below[1500:], chance[1500:]


def test_a_router_of_such_a_log_is_worth_what_its_page_says(cut_router):
    router, x, below, chance = cut_router
    choice = router.choices(x, cost_weights=(0.0,))[0]
    worth = chance[np.arange(len(x)), choice].mean()
    (line,) = (own for own in router.report["evaluation"]["lines"] if own["method"] == "router")
    assert line["quality"]["low"] <= worth <= line["quality"]["high"]
    assert worth > 0.7  # the best single model has 0.6
    assert (choice[below] == 2).mean() < 0.12


def test_it_is_saved_with_its_cuts_and_routes_alike(cut_router, tmp_path):
    router, x, *_ = cut_router
    assert router.cuts and router.arrays.propensities.cuts.directions.shape == (8, 3)
    router.save(tmp_path / "router")
    again = rj.Router.load(tmp_path / "router")
    np.testing.assert_array_equal(
        again.choices(x, cost_weights=(0.0,)), router.choices(x, cost_weights=(0.0,))
    )


def test_the_same_cuts_in_jax_and_in_numpy(cut_router):
    router, x, *_ = cut_router
    model, scaled = router.arrays.propensities, np.asarray(router.arrays.scaling(x))
    in_jax = jax.jit(asked_there)(jax.tree.map(jnp.asarray, model), jnp.asarray(scaled))
    assert (asked_there(model, scaled) == np.asarray(in_jax)).mean() > 0.999
    assert asked_there(model._replace(cuts=None, holes=None, regions=None), scaled) is None
    own = model.cuts
    wider = Cuts(_joined(own.directions, np.zeros(8)), _joined(own.least, np.array(-np.inf)))
    assert np.asarray(asked_there(model._replace(cuts=wider, holes=None, regions=None), scaled))[
        :, -1
    ].all()


def test_a_manifest_whose_cuts_are_no_switch_is_refused(cut_router):
    with pytest.raises(rj.InputError, match="cuts"):
        dataclasses.replace(cut_router[0], cuts=3).check()
