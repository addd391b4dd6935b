"""A router saved and loaded: the same bits, the same routes; and what it says of wrong queries."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from former_folders import write_format_4

import routerjax as rj
from routerjax.errors import InputError
from routerjax.support.provenance import plain

QUERIES = np.random.default_rng(1).normal(size=(9, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def saved(router, tmp_path_factory) -> Path:
    """The router's folder, not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "run"
    router.save(folder)
    return folder


def leaves(router: rj.Router) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(router.arrays)]


def test_round_trip_keeps_every_field_and_bit(router, saved):
    loaded = rj.Router.load(saved)
    assert leaves(loaded) == leaves(router)
    for name in ("models", "cost_weights", "encoder", "dimensions", "quality_range", "config"):
        assert getattr(loaded, name) == getattr(router, name), name
    assert loaded.best_single == router.best_single and loaded.report == plain(router.report)
    assert loaded.provenance == router.provenance
    assert loaded.models == ("a", "b", "c") and loaded.cost_weights == (0.0, 64.0, 256.0)


def test_a_fresh_process_routes_alike(router, saved, tmp_path, clean_environment):
    np.save(tmp_path / "queries.npy", QUERIES)
    script = f"""
import numpy as np, routerjax as rj
routes = rj.route(rj.Router.load({str(saved)!r}), np.load("queries.npy"), cost_weight=100)
np.savez("routes.npz", probabilities=routes.probabilities, quality=routes.quality, cost=routes.cost)
print(*routes.models)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=clean_environment,
        capture_output=True,
        text=True,
        check=True,
    )
    here = router.route(QUERIES, cost_weight=100.0)
    there = np.load(tmp_path / "routes.npz")
    assert done.stdout.split() == list(here.models)
    for name in ("probabilities", "quality", "cost"):
        np.testing.assert_array_equal(there[name], getattr(here, name))


def test_the_manifest_says_how_the_router_came_about(saved, world, router):
    manifest = json.loads((saved / "router.json").read_text())
    assert manifest["format"] == 5
    assert manifest["provenance"]["seed"] == 0
    assert manifest["provenance"]["data_fingerprint"] == world.log.fingerprint
    assert manifest["provenance"]["config"]["router"]["widths"] == [8]
    assert manifest["provenance"]["versions"]["jax"] == jax.__version__
    assert manifest["report"]["overlap"]["arm_rows"] == list(router.report["overlap"]["arm_rows"])


def test_routes_agree_with_probabilities_and_expectations(router):
    routes = router.route(QUERIES, cost_weight=64.0)
    expected = router.expected(QUERIES)
    assert routes.probabilities.shape == (9, 3)
    np.testing.assert_allclose(routes.probabilities.sum(axis=1), 1.0, rtol=1e-5)
    for row in range(9):
        arm = int(np.argmax(routes.probabilities[row]))
        assert routes.arms[row] == arm and routes.models[row] == "abc"[arm]
        assert routes.quality[row] == expected.quality[row, arm]
        assert routes.cost[row] == expected.cost[row, arm]
    assert ((expected.quality >= 0) & (expected.quality <= 1)).all() and (expected.cost > 0).all()


def test_one_query_is_routed_as_among_others(router):
    together = router.route(QUERIES, cost_weight=30.0)
    for row in range(len(QUERIES)):
        alone = rj.route(router, QUERIES[row : row + 1], cost_weight=30.0)
        assert alone.models == together.models[row : row + 1]
        np.testing.assert_allclose(alone.quality, together.quality[row], rtol=1e-5)


@pytest.mark.parametrize("cost_weight", [-1.0, 256.5, float("nan")])
def test_cost_weight_outside_the_range(router, cost_weight):
    with pytest.raises(InputError, match="is outside the fitted range 0 to 256; fit again with"):
        rj.route(router, QUERIES, cost_weight=cost_weight)


@pytest.mark.parametrize("shape", [(2, 15), (2, 17), (16,), (1, 2, 16)])
def test_embeddings_of_another_width(router, shape):
    wanted = f"have shape {shape}; this router takes rows of 16 numbers of the log's own kind"
    with pytest.raises(InputError, match=re.escape(wanted)):
        rj.route(router, np.zeros(shape), cost_weight=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embeddings_that_are_no_numbers(router, value):
    queries = QUERIES.copy()
    queries[4, 2] = value
    with pytest.raises(InputError, match="row 4: an embedding is not finite"):
        rj.route(router, queries, cost_weight=0)


def test_a_router_of_format_4_loads_and_routes_as_it_did(router, tmp_path):
    write_format_4(router, tmp_path / "old")
    loaded = rj.load(tmp_path / "old")
    assert isinstance(loaded, rj.Router) and leaves(loaded) == leaves(router)
    assert loaded.config == router.config
    loaded.save(tmp_path / "old", overwrite=True)
    assert len(list((tmp_path / "old").iterdir())) == 2, "what orbax wrote is gone"
    assert leaves(rj.Router.load(tmp_path / "old")) == leaves(router)


def test_no_queries_go_nowhere(router):
    routes = router.route(np.zeros((0, 16), np.float32), cost_weight=64.0)
    assert routes.models == () and routes.probabilities.shape == (0, 3)


@pytest.mark.parametrize("part", ["policy", "outcomes"])
def test_a_router_that_makes_no_number_of_a_query_chooses_no_model(router, part):
    spoilt = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), getattr(router.arrays, part))
    own = dataclasses.replace(router, arrays=router.arrays._replace(**{part: spoilt}))
    with pytest.raises(InputError, match="row 0: the router makes no number of this embedding"):
        own.route(QUERIES, cost_weight=64.0)


def test_embeddings_beyond_single_precision_and_of_no_numbers(router):
    queries = QUERIES.astype(np.float64)
    queries[3, 1] = 1e300
    with pytest.raises(InputError, match="row 3: an embedding is not finite"):
        router.route(queries, cost_weight=0)
    with pytest.raises(InputError, match="embeddings must be numbers"):
        router.route(np.full((2, 16), "x"), cost_weight=0)


def test_prompts_for_a_router_of_ready_made_embeddings(router):
    with pytest.raises(InputError, match="cannot encode prompts; give it embeddings of 16 numbers"):
        rj.route(router, ["What is 2 + 2?"], cost_weight=0)


def test_a_router_of_version_0_1_0_loads_and_routes_as_it_did(router, tmp_path):
    """It told shapes in fields of their own, called an advantage a gain, and had no support."""
    arrays = router.arrays._replace(propensities=None, seen=None)
    plainer = dataclasses.replace(router, arrays=arrays, seen=0)
    manifest = write_format_4(plainer, tmp_path / "old")
    config = manifest.pop("config")
    config["router"]["start_gain"] = config["router"].pop("start_sharpness")
    for name in ("support", "trust_propensities", "evaluation"):
        del config[name]
    manifest["provenance"]["config"] = config
    manifest["report"] = {"held_out": [{"cost_weight": 0.0, "gain": {"mean": 0.25}}]}
    for name in ("arm_quality", "arm_cost", "seen", "salt"):
        del manifest[name]
    old = {
        "format": 1,
        "policy_widths": [8],
        "outcome_widths": [8],
        "folds": 2,
        "members": 2,
        "architecture": "interval",
        "separate_trunks": False,
        "start": "plug-in",
        "gain": 1.0,
    }
    (tmp_path / "old" / "router.json").write_text(json.dumps({**manifest, **old}))
    loaded = rj.Router.load(tmp_path / "old")
    assert loaded.config == router.config
    assert loaded.report == {"held_out": [{"cost_weight": 0.0, "advantage": {"mean": 0.25}}]}
    here, there = (own.route(QUERIES, cost_weight=(0.0, 100.0)) for own in (plainer, loaded))
    for one, other in zip(here, there, strict=True):
        assert one.models == other.models and not other.fell_back.any()
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
    # it kept no means of the models: the best single model is that of the nearest cost weight
    assert [loaded.best_single_at(weight) for weight in (0.0, 30.0, 200.0)] == [
        router.best_single[at] for at in (0, 0, 2)
    ]
    assert not loaded.has_seen(
        rj.Table.from_arrays(QUALITY, COST, models="abc", embeddings=QUERIES)
    ).any()


QUALITY, COST = np.full((9, 3), 0.5), np.full((9, 3), 1e-3)


def test_the_best_single_model_between_fitted_cost_weights(router):
    """Means of quality 0.5, 0.75, 0.25 and of cost 1/256, 1/64, 0: b up to 64/3, then a to 64."""
    own = dataclasses.replace(
        router, arm_quality=(0.5, 0.75, 0.25), arm_cost=(1 / 256, 1 / 64, 0.0)
    )
    weights = (0.0, 21.0, 22.0, 63.0, 65.0, 256.0)
    assert [own.best_single_at(weight) for weight in weights] == ["b", "b", "a", "a", "c", "c"]
    assert router.best_single == tuple(map(router.best_single_at, router.cost_weights))


def test_the_queries_it_was_fitted_on_are_known_in_any_order(router, world, saved):
    loaded = rj.Router.load(saved)
    for own in (router, loaded):
        seen = own.has_seen(world.log)
        assert seen.sum() == 160 and not own.has_seen(world.fresh).any()
        order = np.random.default_rng(0).permutation(200)
        np.testing.assert_array_equal(own.has_seen(world.log.rows(order)), seen[order])
    wide = np.concatenate([world.log.features, world.log.features[:, :1]], axis=1)
    assert not router.has_seen(dataclasses.replace(world.log, embeddings=wide)).any()


def test_no_choice_where_the_log_has_no_support(router, world):
    """Thresholds above every propensity but b's: b is chosen for every query."""
    known = router.arrays.propensities
    assert known is not None
    only_b = known._replace(threshold=np.array([np.inf, 0.0, np.inf], np.float32))
    own = dataclasses.replace(router, arrays=router.arrays._replace(propensities=only_b))
    routes, before = (each.route(QUERIES, cost_weight=0.0) for each in (own, router))
    assert set(routes.models) == {"b"}
    np.testing.assert_array_equal(routes.fell_back, [model != "b" for model in before.models])
    np.testing.assert_allclose(routes.probabilities, np.tile([0.0, 1.0, 0.0], (9, 1)), atol=1e-6)


def test_several_cost_weights_at_once_are_each_alone(router):
    together = rj.route(router, QUERIES, cost_weight=[0, 100, 64])
    assert [routes.cost_weight for routes in together] == [0.0, 100.0, 64.0]
    for routes in together:
        alone = router.route(QUERIES, cost_weight=routes.cost_weight)
        assert routes.models == alone.models
        np.testing.assert_allclose(routes.probabilities, alone.probabilities, atol=1e-6)
    with pytest.raises(InputError, match="cost weight 300 is outside the fitted range"):
        router.route(QUERIES, cost_weight=[0, 300])
