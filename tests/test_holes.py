"""Boxes of queries of which an arm was never asked."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom

import routerjax as rj
from routerjax.artefacts.newcomer import _with_no_box, with_newcomer, without_newcomers
from routerjax.estimators.chance import log_chance
from routerjax.estimators.holes import Holes, find_holes, in_holes, views
from routerjax.models.heads import Scaling
from routerjax.models.propensity import asked_there
from routerjax.pipelines.nuisance import propensities_of
from routerjax.training.config import FitConfig


def drawn(rng, chance):
    """[n] arms of known propensities [n, m]."""
    arms = (chance.cumsum(axis=1) < rng.random((len(chance), 1))).sum(axis=1)
    return np.minimum(arms, chance.shape[1] - 1)


def found_in(x, arms, models, **more):
    """The holes of a log in which every arm could be asked of every query."""
    could = more.pop("could", np.ones((len(x), models), bool))
    level = np.full(models, 0.1 / models)
    return find_holes(x.astype(np.float32), np.eye(models)[arms], could, level, **more)


def never_asked(rng, x, below, models):
    """Arms of a policy that asks all alike, but the last one nowhere below."""
    chance = np.ones((len(x), models))
    chance[below, -1] = 0
    return drawn(rng, chance / chance.sum(axis=1, keepdims=True))


REGIONS = {
    "a half": lambda x: x[:, 0] < 0,
    "a tenth": lambda x: x[:, 3] > 1.28,
    "a corner": lambda x: (x[:, 0] < 0) & (x[:, 1] > -0.5),
    "an interval": lambda x: np.abs(x[:, 2]) < 0.67,
    "a product of two numbers": lambda x: x[:, 0] * x[:, 1] < 0,
    "far out": lambda x: (x**2).mean(axis=1) > 1,
    "close by": lambda x: (x**2).mean(axis=1) < 1,
}


def test_a_box_by_hand():
    """1,000 queries at 0.001, 0.002, … and two arms by turns, but the second never up to 0.3."""
    x = np.arange(1, 1001, dtype=np.float32)[:, None] / 1000
    arms = np.where(x[:, 0] <= 0.3, 0, np.arange(1000) % 2)
    found = found_in(x, arms, 2)
    column, sign, edge = (np.asarray(each) for each in found)
    assert column.shape == (2, 1, 2) and (edge[0, 0, 0], sign[1, 0, 0]) == (-np.inf, 1)
    assert column[1, 0, 0] in (0, 1)  # a positive number and its square rise together
    bound = edge[1, 0, 0] if column[1, 0, 0] == 0 else np.sqrt(edge[1, 0, 0])
    assert bound == pytest.approx(0.302) and edge[1, 0, 1] == np.inf
    inside = in_holes(found, np.float32([[0.2], [0.3], [0.302], [0.9]]))
    assert inside.tolist() == [[False, True], [False, True], [False, False], [False, False]]


def test_views_by_hand():
    assert views(np.float32([[1, 3], [0, 2]])).tolist() == [[1, 3, 5], [0, 2, 2]]


def test_a_box_holds_what_is_within_both_sides():
    """Of arm 0 the interval 1 < x₁ < 2, of arm 1 all with x₀ < 0."""
    holes = Holes(
        column=np.array([[[1, 1]], [[0, 0]]], np.int32),
        sign=np.array([[[1, -1]], [[1, 1]]], np.float32),
        edge=np.array([[[2, -1]], [[0, np.inf]]], np.float32),
    )
    x = np.float32([[0, 1.5], [-1, 1.5], [-1, 2], [0, 1]])
    want = [[True, False], [True, True], [False, True], [False, False]]
    assert in_holes(holes, x).tolist() == want
    assert np.asarray(jax.jit(in_holes)(holes, jnp.asarray(x))).tolist() == want
    wider = in_holes(_with_no_box(holes), jnp.asarray(x))
    assert np.asarray(wider).tolist() == [[*each, False] for each in want]


def test_the_chance_of_few_answers():
    hits, rows = np.array([0.0, 3.0, 12.0, 0.0]), np.array([40.0, 500.0, 90.5, 1e6])
    found = log_chance(hits, rows, 0.05)
    np.testing.assert_allclose(found[:3], binom.logcdf(hits[:3], rows[:3] // 1, 0.05), rtol=1e-10)
    assert found[3] == pytest.approx(1e6 * np.log(0.95))  # beyond double precision


@pytest.mark.parametrize("kind", REGIONS)
@pytest.mark.parametrize("models", [3, 8])
def test_a_region_that_was_never_asked_is_found(kind, models):
    for seed in range(3):
        rng = np.random.default_rng([seed, models])
        x = rng.normal(size=(3000, 8))
        below = REGIONS[kind](x)
        found = found_in(x, never_asked(rng, x, below, models), models)
        inside = in_holes(found, x.astype(np.float32))
        assert inside[below, -1].mean() > 0.9
        assert inside[~below, -1].mean() < 0.06
        assert not inside[:, :-1].any()


def test_one_of_many_arms_in_a_short_log():
    """Twelve arms and 1,200 rows: fifty answers are missing, among 257 views."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(1200, 256))
        below = x[:, 7] < 0
        inside = in_holes(found_in(x, never_asked(rng, x, below, 12), 12), x.astype(np.float32))
        assert inside[below, -1].mean() > 0.95 and inside[~below, -1].mean() < 0.12


@pytest.mark.parametrize(
    "shares", [(0.25,) * 4, (0.6, 0.3, 0.06, 0.04), (0.97, 0.03), (0.05,) * 20]
)
def test_a_policy_that_ignores_the_query_has_none(shares):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, models = rng.normal(size=(1000, 24)), len(shares)
        assert found_in(x, drawn(rng, np.tile(shares, (1000, 1))), models) is None


def test_a_region_of_small_but_enough_propensity_is_none():
    """Half of an even share there, five times the level of support."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(3000, 8))
        chance = np.where(x[:, :1] < 0, [[11 / 24, 11 / 24, 1 / 12]], [[0.25, 0.25, 0.5]])
        assert found_in(x, drawn(rng, chance), 3) is None


def test_rows_on_which_an_arm_could_not_be_asked_say_nothing_of_it():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 4))
    below = x[:, 0] < 0
    could = np.ones((1500, 3), bool)
    arms = never_asked(rng, x, below, 3)
    assert found_in(x, arms, 3) is not None
    could[below, -1] = False
    assert found_in(x, arms, 3, could=could) is None


def test_rows_of_a_group_count_as_one():
    """Thirty users, each of whom lies together and keeps an arm: boxes without it are chance."""
    missed = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        user = np.arange(30).repeat(50)
        x = rng.normal(size=(30, 4))[user] + 0.1 * rng.normal(size=(1500, 4))
        arms = rng.integers(0, 3, 30)[user]
        missed += found_in(x, arms, 3) is not None
        assert found_in(x, arms, 3, together=50.0) is None
    assert missed == 5


def test_support_zero_switches_them_off():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4)).astype(np.float32)
    arms = never_asked(rng, x, x[:, 0] < 0, 3)
    assert find_holes(x, np.eye(3)[arms], np.ones((500, 3), bool), np.zeros(3)) is None


def test_an_arm_that_always_answers_has_none_at_any_support():
    x = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    hits = np.tile([1.0, 0.0], (300, 1))
    for level in (0.05, 0.5, 1.0):
        assert find_holes(x, hits, np.ones((300, 2), bool), np.full(2, level)) is None


@pytest.fixture(scope="module")
def product_log():
    """The last model is right where two numbers differ in sign, and is asked nowhere else."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 6)).astype(np.float32)
    below = x[:, 0] * x[:, 1] < 0
    arms = never_asked(rng, x, below, 3)
    chance = np.where(arms == 2, np.where(below, 0.05, 0.95), 0.6)
    score = (rng.random(1200) < chance).astype(float)
    cost = np.full(1200, 1e-3)
    return rj.Log.from_arrays(arms, score, cost, models="abc", embeddings=x), below


@pytest.fixture(scope="module")
def product_router(product_log):
    return rj.fit(product_log[0], config=FitConfig(cost_weights=(0.0,)))


def test_propensities_keep_the_model_out_of_its_holes(product_log):
    log, below = product_log
    found = propensities_of(log, Scaling.of(log.features), key=jax.random.key(0))
    assert found.model.holes is not None
    assert found.supported[below, 2].mean() < 0.1 and found.supported[~below, 2].mean() > 0.9
    assert found.supported[:, :2].all()


def test_the_router_does_not_choose_it_there(product_router):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 6)).astype(np.float32)
    below = x[:, 0] * x[:, 1] < 0
    choice = product_router.choices(x, cost_weights=(0.0,))[0]
    assert (choice[below] == 2).mean() < 0.1 < 0.6 < (choice[~below] == 2).mean()
    assert product_router.holes >= 2


def test_it_is_saved_with_its_holes_and_routes_alike(product_router, tmp_path):
    product_router.save(tmp_path / "run")
    again = rj.load(tmp_path / "run")
    assert again.holes == product_router.holes
    x = np.random.default_rng(2).normal(size=(300, 6)).astype(np.float32)
    own, other = (each.choices(x, cost_weights=(0.0,)) for each in (product_router, again))
    assert (own == other).all()


def test_the_same_holes_in_jax_and_in_numpy(product_router):
    model, x = product_router.arrays.propensities, np.random.default_rng(3).normal(size=(300, 6))
    scaled = np.asarray(product_router.arrays.scaling(x.astype(np.float32)))
    in_jax = jax.jit(asked_there)(jax.tree.map(jnp.asarray, model), jnp.asarray(scaled))
    assert (np.asarray(asked_there(model, scaled)) == np.asarray(in_jax)).mean() > 0.999


def test_a_newcomer_has_none(product_router):
    wider = with_newcomer(product_router, "d", like="a")
    assert np.asarray(wider.arrays.propensities.holes.edge)[-1, :, 0].tolist() == [-np.inf] * (
        wider.holes
    )
    back = without_newcomers(wider, ["d"])
    assert np.asarray(back.arrays.propensities.holes.edge).shape[0] == 3


@pytest.mark.parametrize("count", [-1, 5, True])
def test_a_manifest_of_impossible_holes_is_refused(product_router, count):
    with pytest.raises(rj.errors.InputError, match="holes"):
        dataclasses.replace(product_router, holes=count).check()
