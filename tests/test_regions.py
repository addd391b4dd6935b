"""Kinds of queries of which a log's policy never asked a model, where no column tells the kind."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import routerjax as rj
from routerjax.artefacts.newcomer import with_newcomer, without_newcomers
from routerjax.estimators.regions import Regions, find_regions, in_regions, nearest
from routerjax.models.propensity import asked_there
from routerjax.records.logs import Log
from routerjax.training.config import FitConfig

MODELS, KINDS, WIDTH = 4, 24, 24
LEVEL = np.full(MODELS, 0.1 / MODELS)
UNASKED = (3, 7, 11)
"""Kinds of which model c was never asked."""


def queries(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """[n] kinds, and embeddings that lie about a centre each."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(5).normal(size=(KINDS, WIDTH))
    kind = rng.integers(0, KINDS, n)
    return kind, (centres[kind] + 0.3 * rng.normal(size=(n, WIDTH))).astype(np.float32)


def answers(kind: np.ndarray, seed: int) -> np.ndarray:
    """[n] arms: even shares, but of c none where it was never asked."""
    even = np.ones((len(kind), MODELS))
    even[:, 2] = ~np.isin(kind, UNASKED)
    chance = (even / even.sum(axis=1, keepdims=True)).cumsum(axis=1)
    draws = np.random.default_rng(seed + 1000).random((len(kind), 1))
    return (chance < draws).sum(axis=1).clip(0, MODELS - 1)


def found_in(x: np.ndarray, arms: np.ndarray, **more) -> Regions | None:
    could = np.ones((len(x), MODELS), bool)
    return find_regions(x, np.eye(MODELS)[arms], could, LEVEL, **more)


def test_a_query_is_of_the_nearest_centre():
    regions = Regions(np.float32([[0, 0], [4, 0]]), np.float32([[0, 1], [1, 0]]))
    x = np.float32([[1.9, 5], [2.1, -5], [-3, 0]])
    assert nearest(regions.centres, x).tolist() == [0, 1, 0]
    want = [[False, True], [True, False], [False, True]]
    assert in_regions(regions, x).tolist() == want
    assert np.asarray(jax.jit(in_regions)(regions, jnp.asarray(x))).tolist() == want


def test_kinds_that_a_model_was_never_asked_are_found():
    """Of twelve logs eleven or more, and no other model loses a kind in any."""
    held = []
    for seed in range(12):
        kind, x = queries(1600, seed)
        found = found_in(x, answers(kind, seed))
        if found is None:
            held.append(0.0)
            continue
        apart = in_regions(found, x)
        assert not apart[:, [0, 1, 3]].any()
        assert apart[~np.isin(kind, UNASKED), 2].mean() < 0.03
        held.append(apart[np.isin(kind, UNASKED), 2].mean())
    assert np.sum(np.array(held) > 0.6) >= 11


@pytest.mark.parametrize("share", [0.25, 0.1])
def test_a_model_that_is_asked_everywhere_keeps_its_support(share):
    """Five in a hundred logs at most lose a region, were c asked of just five times the level."""
    rng, lost = np.random.default_rng(0), 0
    for seed in range(40):
        _, x = queries(800, seed)
        chance = np.full(MODELS, (1 - share) / (MODELS - 1))
        chance[2] = share
        lost += found_in(x, rng.choice(MODELS, 800, p=chance)) is not None
    assert lost <= 4


def test_rows_of_one_user_count_as_one():
    kind, x = queries(1600, 1)
    arms = answers(kind, 1)
    assert found_in(x, arms) is not None
    assert found_in(np.repeat(x, 20, axis=0), np.repeat(arms, 20), together=20.0) is not None
    few = slice(0, 160)
    assert found_in(np.repeat(x[few], 20, axis=0), np.repeat(arms[few], 20), together=20.0) is None


def test_few_or_equal_rows_have_no_regions():
    kind, x = queries(100, 2)
    assert found_in(x, answers(kind, 2)) is None
    assert found_in(np.zeros_like(x), answers(kind, 2)) is None
    assert found_in(np.zeros((400, 3), np.float32), np.arange(400) % MODELS) is None
    nothing = np.zeros((400, MODELS)), np.ones((400, MODELS), bool), np.zeros(MODELS)
    assert find_regions(queries(400, 3)[1], *nothing) is None


def test_rows_that_keep_time_with_the_log_are_no_matter():
    """Kinds of even numbers in even rows, of odd numbers, c's among them, in odd ones."""
    kind = np.random.default_rng(4).integers(0, KINDS // 2, 5000) * 2 + np.arange(5000) % 2
    centres = np.random.default_rng(5).normal(size=(KINDS, WIDTH))
    noise = np.random.default_rng(6).normal(size=(5000, WIDTH))
    x = (centres[kind] + 0.3 * noise).astype(np.float32)
    apart = in_regions(found_in(x, answers(kind, 4)), x)
    assert apart[np.isin(kind, UNASKED), 2].mean() > 0.9


def test_there_are_no_more_regions_than_embeddings():
    centres = np.random.default_rng(5).normal(size=(KINDS, WIDTH)).astype(np.float32)
    kind = np.random.default_rng(7).integers(0, KINDS, 3000)
    found = found_in(centres[kind], answers(kind, 7))
    assert len(found.centres) == len(found.apart) <= KINDS
    apart = in_regions(found, centres[kind])[:, 2]
    np.testing.assert_array_equal(apart, np.isin(kind, UNASKED))


@pytest.fixture(scope="module")
def fitted():
    """c is the best model by .3 where it was asked, and the worst by .4 where it was not."""
    kind, x = queries(2400, 8)
    arms = answers(kind, 8)
    quality = np.where(arms == 2, np.where(np.isin(kind, UNASKED), 0.1, 0.9), 0.55)
    log = Log(
        arms=arms.astype(np.int32),
        quality=(np.random.default_rng(0).random(len(kind)) < quality).astype(float),
        cost=np.full(len(kind), 1e-3),
        models=("a", "b", "c", "d"),
        embeddings=x,
        quality_range=(0.0, 1.0),
    )
    return rj.fit(log, config=FitConfig(cost_weights=(0.0, 10.0)))


def test_a_router_goes_elsewhere(fitted):
    kind, x = queries(2000, 9)
    chosen = fitted.choices(x, cost_weights=[0.0])[0]
    unasked = np.isin(kind, UNASKED)
    assert fitted.regions
    assert (chosen[~unasked] == 2).mean() > 0.95 and (chosen[unasked] == 2).mean() < 0.1


def test_it_is_saved_with_its_regions_and_routes_alike(fitted, tmp_path):
    fitted.save(tmp_path / "run")
    again = rj.load(tmp_path / "run")
    _, x = queries(300, 10)
    assert again.regions == fitted.regions
    for cost_weight in (0.0, 10.0):
        np.testing.assert_array_equal(
            again.choices(x, cost_weights=[cost_weight]),
            fitted.choices(x, cost_weights=[cost_weight]),
        )
    with pytest.raises(rj.InputError, match="regions"):
        dataclasses.replace(fitted, regions=65).check()


def test_a_model_added_later_is_apart_nowhere(fitted):
    wider = with_newcomer(fitted, "e", like="a")
    _, x = queries(50, 11)
    model = wider.arrays.propensities
    scaled = np.asarray(wider.arrays.scaling(x))
    inside = asked_there(model._replace(cuts=None, holes=None), scaled)
    assert inside.shape == (50, 5) and inside[:, 4].all()
    back = without_newcomers(wider, ["e"])
    np.testing.assert_array_equal(
        np.asarray(back.arrays.propensities.regions.apart),
        np.asarray(fitted.arrays.propensities.regions.apart),
    )
