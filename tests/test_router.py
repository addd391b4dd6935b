"""The router's folder: bits that survive, and every way in which a folder can be wrong."""

from __future__ import annotations

import dataclasses
import errno
import json
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import routerjax as rj
from routerjax.errors import InputError
from routerjax.support.provenance import plain
from routerjax.training import checkpoint

QUERIES = np.random.default_rng(1).normal(size=(9, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def saved(router, tmp_path_factory) -> Path:
    """The router's folder, not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "run"
    router.save(folder)
    return folder


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(saved, tmp_path / "run"))


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
    assert manifest["format"] == 4
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


def test_prompts_for_a_router_of_ready_made_embeddings(router):
    with pytest.raises(InputError, match="cannot encode prompts; give it embeddings of 16 numbers"):
        rj.route(router, ["What is 2 + 2?"], cost_weight=0)


# --- folders that are wrong ---


def refused(folder: Path, message: str) -> None:
    with pytest.raises(InputError) as caught:
        rj.Router.load(folder)
    assert re.search(message, str(caught.value)), str(caught.value)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_no_such_folder(tmp_path):
    refused(tmp_path / "nothing", "no such folder, where a fitted router was expected")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "no such folder")


def test_a_folder_without_manifest(copy):
    (copy / "router.json").unlink()
    refused(copy, r"not a router that `routerjax fit` finished \(router.json is missing\)")


@pytest.mark.parametrize("content", ["", "{", '{"format": 1', "\x00\x01"])
def test_a_corrupt_manifest(copy, content):
    (copy / "router.json").write_text(content)
    refused(copy, "router.json is damaged")


def test_a_router_of_version_0_1_0_loads_and_routes_as_it_did(router, tmp_path):
    """It told shapes in fields of their own, called an advantage a gain, and had no support."""
    arrays = router.arrays._replace(propensities=None, seen=None)
    plainer = dataclasses.replace(router, arrays=arrays, seen=0)
    plainer.save(tmp_path / "old")
    manifest = json.loads((tmp_path / "old" / "router.json").read_text())
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


def test_a_truncated_manifest(copy):
    text = (copy / "router.json").read_text()
    (copy / "router.json").write_text(text[: len(text) // 2])
    refused(copy, "router.json is damaged")


NETWORKS = {"nuisance": {"outcomes": "network", "folds": 2, "widths": [8]}}


@pytest.mark.parametrize("content", ["[]", "{}", "3", '{"format": 5}', '{"format": "1"}'])
def test_a_manifest_of_another_format(copy, content):
    (copy / "router.json").write_text(content)
    refused(copy, "router.json is not of format 1 or 2 or 3 or 4, which this version reads")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": None}, "router.json is damaged"),
        ({"sha256": {}}, "the saved arrays are missing or damaged"),
        ({"colour": "red"}, "router.json is damaged or was written by another version"),
        ({"dimensions": 9}, "arrays are missing or damaged|arrays have other shapes"),
        ({"models": ["a", "b"]}, "arrays are missing or damaged|arrays have other shapes"),
        (
            {"config": {"router": {"architecture": "interval", "widths": [16]}, **NETWORKS}},
            "arrays have other shapes",
        ),
        (
            {"config": {"router": {"architecture": "interval", "widths": [8, 8]}, **NETWORKS}},
            "missing or damaged|other shapes",
        ),
        (
            {"config": {"router": {"architecture": "interval", "members": 3}, **NETWORKS}},
            "arrays have other shapes",
        ),
        ({"config": {"router": {"colour": "red"}}}, "was written by another version"),
        ({"config": [1]}, "router.json is damaged or was written by another version"),
        ({"dimensions": "eight"}, "router.json is damaged or was written by another version"),
    ],
)
def test_a_manifest_that_does_not_fit_the_arrays(copy, changes, message):
    manifest = json.loads((copy / "router.json").read_text())
    (copy / "router.json").write_text(json.dumps({**manifest, **changes}))
    refused(copy, message)


def test_a_manifest_with_a_field_missing(copy):
    manifest = json.loads((copy / "router.json").read_text())
    del manifest["config"]
    (copy / "router.json").write_text(json.dumps(manifest))
    refused(copy, "router.json is damaged or was written by another version")


def test_parameters_missing(copy):
    shutil.rmtree(copy / "parameters")
    refused(copy, "the saved arrays are missing or damaged")


def parameter_files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "parameters").rglob("*") if path.is_file())


def test_any_parameter_file_missing(copy):
    files = parameter_files(copy)
    assert len(files) > 3
    for path in files:
        content = path.read_bytes()
        path.unlink()
        refused(copy, "the saved arrays are missing or damaged")
        path.write_bytes(content)
    assert rj.Router.load(copy).models == ("a", "b", "c")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_any_parameter_file_truncated(copy, share):
    for path in parameter_files(copy):
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        if content:
            refused(copy, "the saved arrays are missing or damaged")
        path.write_bytes(content)


def test_any_byte_flipped(copy):
    for path in parameter_files(copy):
        content = path.read_bytes()
        for place in {0, len(content) // 3, len(content) // 2, len(content) - 1} if content else ():
            flipped = bytearray(content)
            flipped[place] ^= 0x01
            path.write_bytes(flipped)
            refused(copy, "the saved arrays are missing or damaged")
        path.write_bytes(content)


def test_orbax_alone_refuses_a_folder_that_is_none(copy, router):
    with pytest.raises(InputError, match="the saved arrays are missing or damaged"):
        checkpoint.load_arrays(copy / "nothing", router.arrays)


# --- saving ---


def test_saving_over_something(router, saved, tmp_path):
    target = tmp_path / "run"
    router.save(target)
    with pytest.raises(InputError, match="exists already; choose another or add --overwrite"):
        router.save(target)
    (target / "mark").write_text("of the old one")
    router.save(target, overwrite=True)
    assert not (target / "mark").exists() and [p.name for p in tmp_path.iterdir()] == ["run"]
    assert leaves(rj.Router.load(target)) == leaves(router)

    diary = tmp_path / "diary"
    diary.mkdir()
    (diary / "entry").write_text("dear diary")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="not a folder that routerjax wrote"):
            router.save(diary, overwrite=overwrite)
    assert (diary / "entry").read_text() == "dear diary"


def test_saving_into_an_empty_folder_and_into_new_ones(router, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    router.save(tmp_path / "empty")
    router.save(tmp_path / "new" / "deep" / "run")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    router.save(".")
    for name in ("empty", "new/deep/run", "here"):
        assert rj.Router.load(tmp_path / name).models == ("a", "b", "c")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "here", "new"]


def test_saving_below_a_file(router, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"cannot be written \(.*file is not a folder\)"):
        router.save(tmp_path / "file" / "run")


@pytest.mark.parametrize("older", [False, True])
def test_a_save_that_fails_half_way_leaves_nothing(router, tmp_path, monkeypatch, older):
    target = tmp_path / "run"
    if older:
        router.save(target)

    def fail(arrays):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "digest", fail)  # the arrays are on disk by then
        with pytest.raises(KeyboardInterrupt):
            router.save(target, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == (["run"] if older else [])
    if older:
        assert leaves(rj.Router.load(target)) == leaves(router)


def test_a_full_disk_is_told_in_one_sentence(router, tmp_path, capfd, caplog):
    """No file may grow beyond 100 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        with pytest.raises(InputError) as refused:
            router.save(tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(refused.value) == f"{tmp_path / 'run'}: cannot be written (File too large)"
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "") and not caplog.records


def test_a_disk_that_fills_up_after_the_arrays(router, tmp_path, monkeypatch):
    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)  # the manifest comes last
    with pytest.raises(InputError, match=r"run: cannot be written \(No space left on device\)"):
        router.save(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_save_leaves_is_no_router_and_no_obstacle(router, saved, tmp_path):
    half = tmp_path / ".run.k1ll3d"
    half.mkdir()
    shutil.copytree(saved / "parameters", half / "parameters")
    refused(half, "not a router that `routerjax fit` finished")
    router.save(tmp_path / "run")
    assert leaves(rj.Router.load(tmp_path / "run")) == leaves(router)
