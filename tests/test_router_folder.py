"""Every way in which a router's folder can be wrong, and every way in which saving one can fail."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import resource
import shutil
import stat
from pathlib import Path

import jax
import numpy as np
import pytest
from former_folders import write_format_4
from small_router import WHOLE, names, pair, value_of

import routerjax as rj
from routerjax.errors import InputError
from routerjax.training import checkpoint


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


def rewrite(folder: Path, changes: dict) -> None:
    """Change a manifest and its sum: what damage cannot do, and a hand can."""
    manifest = json.loads((folder / "router.json").read_text()) | changes
    sums = manifest["sha256"]
    if isinstance(sums, dict):
        sums.pop("manifest", None)
        text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
        sums["manifest"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    (folder / "router.json").write_text(json.dumps(manifest))


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


def test_a_truncated_manifest(copy):
    text = (copy / "router.json").read_text()
    (copy / "router.json").write_text(text[: len(text) // 2])
    refused(copy, "router.json is damaged")


NETWORKS = {"nuisance": {"outcomes": "network", "folds": 2, "widths": [8]}}


@pytest.mark.parametrize("content", ["[]", "{}", "3", '{"format": 6}', '{"format": "1"}'])
def test_a_manifest_of_another_format(copy, content):
    (copy / "router.json").write_text(content)
    refused(copy, "router.json is not of format 1 or 2 or 3 or 4 or 5, which this version reads")


DEEP = '{"format": 5, "report": ' + "[" * 100_000


@pytest.mark.parametrize("content", [DEEP, '{"format": 5, "format": 5}', '{"format": NaN}'])
def test_a_manifest_that_is_hostile(copy, content):
    (copy / "router.json").write_text(content)
    refused(copy, "router.json is damaged")


@pytest.mark.parametrize(
    "changes", [{"models": ["a", "c", "b"]}, {"report": {}}, {"colour": "red"}, {"seen": 7}]
)
def test_a_manifest_that_was_changed(copy, changes):
    manifest = json.loads((copy / "router.json").read_text())
    (copy / "router.json").write_text(json.dumps({**manifest, **changes}))
    refused(copy, "router.json is not as it was written")


def test_a_manifest_laid_out_anew_is_the_same(copy, router):
    manifest = json.loads((copy / "router.json").read_text())
    (copy / "router.json").write_text(json.dumps(manifest, sort_keys=True))
    assert leaves(rj.Router.load(copy)) == leaves(router)


OTHER = "arrays have other shapes than declared, or are damaged"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": None}, "router.json is damaged"),
        ({"sha256": {}}, "the saved arrays do not match router.json"),
        ({"colour": "red"}, "router.json is damaged or was written by another version"),
        ({"parameters": "../run/parameters"}, "router.json names no file of parameters"),
        ({"parameters": None}, "router.json names no file of parameters"),
        ({"parameters": "parameters-0123456789abcdef.safetensors"}, "saved arrays are missing"),
        ({"dimensions": 9}, OTHER),
        ({"models": ["a", "b"]}, r"cannot be used \(best single models: .* each of"),
        ({"config": {"router": {"architecture": "interval", "widths": [16]}, **NETWORKS}}, OTHER),
        ({"config": {"router": {"architecture": "interval", "members": 3}, **NETWORKS}}, OTHER),
        ({"config": {"router": {"colour": "red"}}}, "was written by another version"),
        ({"config": {"router": {"members": "3"}}}, "was written by another version"),
        ({"config": {"router": {"widths": [8, None]}}}, "was written by another version"),
        ({"config": {"router": {"members": 0}}}, r"cannot be used \(members is 0; it must be"),
        ({"config": {"router": {"widths": [1] * 101}}}, "hidden layers is 101; it must be"),
        ({"config": {"router": {"architecture": "maze"}}}, "cannot be used .no architecture"),
        ({"config": [1]}, "router.json is damaged or was written by another version"),
        ({"dimensions": "eight"}, r"cannot be used \(dimensions is 'eight'; it must be a whole"),
        ({"dimensions": True}, "dimensions is True; it must be a whole number, 1 to 10000000"),
        ({"models": ["a", "b", "a"]}, "models: .'a', 'b', 'a'.; there must be distinct names"),
        ({"models": ["a", "b", ""]}, "there must be distinct names"),
        ({"models": ["a", "b", 3]}, "there must be distinct names"),
        ({"models": "abc"}, "there must be distinct names"),
        ({"cost_weights": [0.0, 256.0, 64.0]}, "cost weights: .*; they must rise"),
        ({"cost_weights": [0.0, 64.0, 64.0]}, "cost weights: .*; they must rise"),
        ({"cost_weights": [-1.0, 64.0, 256.0]}, "there must be finite numbers, 0 or more"),
        ({"cost_weights": []}, "they must rise"),
        ({"cost_weights": [0, 64, 10**400]}, "there must be finite numbers"),
        ({"quality_range": [1.0, 0.0]}, "quality range: .*; they must rise"),
        ({"quality_range": [0.0]}, "quality range: .0.0.; there must be 2 of finite numbers"),
        ({"mean_cost": -1.0}, "mean cost: .*; there must be finite numbers, 0 or more"),
        ({"mean_cost": None}, "mean cost: .None.; there must be finite numbers"),
        ({"best_single": ["a", "b", "d"]}, "best single models: .* each of .'a', 'b', 'c'"),
        ({"arm_quality": [0.5]}, "arm_quality: .0.5.; there must be 0 or 3 of finite numbers"),
        ({"kept": [True]}, "kept: .True.; there must be 0 or 3 of true and false"),
        ({"seen": -1}, "seen is -1; it must be a whole number"),
        ({"encoder": 3}, "encoder is 3; it must be text"),
        ({"report": []}, r"report is \[\]; it must be an object"),
    ],
)
def test_a_manifest_of_what_cannot_be(copy, changes, message):
    rewrite(copy, changes)
    refused(copy, message)


@pytest.mark.parametrize("changes", [{"dimensions": 10_000_000}, {"seen": 1 << 40}])
def test_no_memory_is_taken_for_what_a_manifest_asks(router, copy, changes, tmp_path):
    """Gigabytes of parameters, of a file that has none: a GiB more than now may be taken."""
    former = write_format_4(router, tmp_path / "former")
    (tmp_path / "former/router.json").write_text(json.dumps({**former, **changes}))
    rewrite(copy, changes)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), hard))
        refused(copy, OTHER)
        refused(tmp_path / "former", "arrays have other shapes than declared")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_an_encoder_that_is_not_ours_is_taken_only_where_the_caller_says_so(copy):
    for name in ("wordllama", "bert-base-uncased", "meta-llama/Llama-3.2-1B", None):
        rewrite(copy, {"encoder": name})
        assert rj.Router.load(copy).encoder == name
    for name in ("./wordllama", "/tmp/model", "some/model", "https://a.b/v1", "Wordllama"):
        rewrite(copy, {"encoder": name})
        refused(copy, f"names the encoder '{name}', which is none of routerjax's own")
        with pytest.raises(InputError, match="add --trust-encoder"):
            rj.load(copy)
        assert rj.load(copy, trust_encoder=True).encoder == name


def test_a_manifest_with_a_field_missing(copy):
    manifest = json.loads((copy / "router.json").read_text())
    del manifest["config"]
    (copy / "router.json").write_text(json.dumps(manifest))
    rewrite(copy, {})
    refused(copy, "router.json is damaged or was written by another version")


def parameters(folder: Path) -> Path:
    (found,) = folder.glob("parameters-*.safetensors")
    return found


def test_parameters_missing(copy):
    parameters(copy).unlink()
    refused(copy, "the saved arrays are missing")


def test_parameters_of_another_length(copy, router):
    content = parameters(copy).read_bytes()
    for length in (0, 7, 8, 100, len(content) // 2, len(content) - 1):
        parameters(copy).write_bytes(content[:length])
        refused(copy, "saved arrays are cut off or damaged|other shapes than declared, or are dam")
    parameters(copy).write_bytes(content + b"0")
    refused(copy, "saved arrays are cut off or damaged")
    parameters(copy).write_bytes(content)
    assert leaves(rj.Router.load(copy)) == leaves(router)


def test_any_byte_flipped(copy):
    content = parameters(copy).read_bytes()
    for place in (0, 7, 8, 200, len(content) // 3, len(content) // 2, len(content) - 1):
        flipped = bytearray(content)
        flipped[place] ^= 0x01
        parameters(copy).write_bytes(flipped)
        refused(copy, "the saved arrays (do not match router.json|have other shapes)")


def test_any_byte_of_the_manifest_flipped(copy):
    """But in the last digit of a number whose value that does not change."""
    content = (copy / "router.json").read_bytes()
    places = [place for place, byte in enumerate(content) if byte > 32]
    for place in np.random.default_rng(0).choice(places, 200):
        flipped = bytearray(content)
        flipped[place] ^= 0x01
        (copy / "router.json").write_bytes(flipped)
        with contextlib.suppress(ValueError):
            if json.loads(flipped) == json.loads(content):
                continue
        refused(copy, "router.json is (damaged|not as it was written|not of format)")


def test_the_parameters_are_a_file_of_the_safetensors_format(copy, router):
    safetensors = pytest.importorskip("safetensors.numpy")
    found = safetensors.load_file(parameters(copy))
    np.testing.assert_array_equal(found["seen"], router.arrays.seen)
    assert sum(map(len, found)) and len(found) == len(jax.tree.leaves(router.arrays))


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_any_file_of_format_4_damaged(router, tmp_path, damage):
    write_format_4(router, tmp_path / "old")
    files = [path for path in (tmp_path / "old/parameters").rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        content = path.read_bytes()
        path.unlink()
        if damage != "missing" and content:
            middle = len(content) // 2
            rest = b"" if damage == "cut" else bytes([content[middle] ^ 1]) + content[middle + 1 :]
            path.write_bytes(content[:middle] + rest)
        if damage == "missing" or content:
            refused(tmp_path / "old", "the saved arrays are missing or damaged")
        path.write_bytes(content)


def test_orbax_alone_refuses_a_folder_that_is_none(copy, router):
    with pytest.raises(InputError, match="the saved arrays are missing or damaged"):
        checkpoint.load_arrays(copy / "nothing", router.arrays)


# --- saving ---


def test_saving_over_something(tmp_path):
    target = tmp_path / "run"
    pair(1).save(target)
    with pytest.raises(InputError, match="exists already; choose another or add --overwrite"):
        pair(2).save(target)
    (target / "notes").write_text("of the user")
    pair(2).save(target, overwrite=True)
    assert names(tmp_path) == ["run"] and names(target) == ["notes", *WHOLE]
    assert value_of(target) == 2

    diary = tmp_path / "diary"
    diary.mkdir()
    (diary / "entry").write_text("dear diary")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for overwrite in (False, True):
        for taken in (diary, diary / "entry", tmp_path / "nowhere"):
            with pytest.raises(InputError, match="not a folder that routerjax wrote"):
                pair().save(taken, overwrite=overwrite)
    assert (diary / "entry").read_text() == "dear diary"


def test_saving_into_an_empty_folder_and_into_new_ones(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    pair().save(tmp_path / "empty")
    pair().save(tmp_path / "new" / "deep" / "run")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    pair().save(".")
    (tmp_path / "link").symlink_to(tmp_path / "here")
    pair(3).save(tmp_path / "link", overwrite=True)
    for name, value in {"empty": 1, "new/deep/run": 1, "here": 3}.items():
        assert value_of(tmp_path / name) == value
    assert names(tmp_path) == ["empty", "here", "link", "new"]


def test_what_is_written_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        pair().save(tmp_path / "run")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert set(modes.values()) == {0o750, 0o640} and modes["run"] == 0o750


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("file/run", r"cannot be written \(.*file is not a folder\)"),
        ("x" * 250, r"cannot be written \(File name too long\)"),
        ("x" * 300, r"cannot be written \(File name too long\)"),
        ("/".join(["x" * 200] * 30), r"cannot be written \(File name too long\)"),
        ("a\0b", "a path cannot hold a null character"),
        ("loop/run", r"cannot be written \("),
        ("/", "exists and is not a folder that routerjax wrote"),
    ],
)
def test_places_that_cannot_be(tmp_path, place, message):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match=message):
        pair().save(tmp_path / place, overwrite=True)
    assert names(tmp_path) == ["file", "loop"]


@pytest.mark.parametrize("place", ["run", "new"])
def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch, place):
    pair().save(tmp_path / "run")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the superuser may always
    with pytest.raises(InputError, match=r"cannot be written \(no permission in "):
        pair(2).save(tmp_path / place, overwrite=True)
    assert names(tmp_path) == ["run"] and value_of(tmp_path / "run") == 1


def test_a_full_disk_is_seen_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        pair().save(tmp_path / "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("older", [False, True])
def test_a_save_that_is_interrupted_leaves_what_was_there(tmp_path, monkeypatch, older):
    target = tmp_path / "run"
    if older:
        pair(1).save(target)

    def fail(arrays):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "digest", fail)  # the arrays are on disk by then
        with pytest.raises(KeyboardInterrupt):
            pair(2).save(target, overwrite=True)
    assert names(tmp_path) == (["run"] if older else [])
    if older:
        assert names(target) == WHOLE and value_of(target) == 1


@pytest.mark.parametrize("older", [False, True])
def test_a_disk_that_fills_up_at_any_byte(tmp_path, older, capfd, caplog):
    """No file may grow beyond a limit, which rises until the save succeeds."""
    target, limit = tmp_path / "run", 0
    if older:
        pair(1).save(target)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    while True:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            pair(2).save(target, overwrite=True)
            break
        except InputError as error:
            assert str(error) == f"{target}: cannot be written (File too large)"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert names(tmp_path) == (["run"] if older else [])
        assert not older or (names(target) == WHOLE and value_of(target) == 1)
        limit += 23
    assert limit > 400 and names(target) == WHOLE and value_of(target) == 2
    assert capfd.readouterr() == ("", "") and not caplog.records


CALLS = ("open", "write", "fsync", "mkdir", "replace", "unlink", "ftruncate")


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_a_disk_that_fails_at_any_call(tmp_path, monkeypatch, name, older):
    """Each call of the system that writes fails in turn: the old router or the new one is there."""
    target, own = tmp_path / "run", getattr(os, name)
    if older:
        pair(1).save(target)
    for turn in range(100):
        seen = []

        def failing(*arguments, seen=seen, turn=turn, **options):
            seen.append(arguments)
            if len(seen) == turn + 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return own(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing)
            try:
                pair(2).save(target, overwrite=True)
            except InputError as error:
                assert "cannot be written (No space left on device)" in str(error)
        if len(seen) <= turn:
            break
        if target.exists() or older:
            assert value_of(target) in (1, 2)
    assert turn < 99 and value_of(target) == 2
    assert names(target) == WHOLE and names(tmp_path) == ["run"]


def test_what_a_killed_save_leaves_is_no_router_and_no_obstacle(tmp_path):
    pair(1).save(tmp_path / "whole")
    for name in ("run", "new"):
        half = tmp_path / name
        half.mkdir()
        shutil.copy(parameters(tmp_path / "whole"), half)
        shutil.copy(parameters(tmp_path / "whole"), half / f"parameters-{'0' * 16}.safetensors")
        (half / ".router.123.json").write_text("{")
        refused(half, "not a router that `routerjax fit` finished")
    pair(2).save(tmp_path / "run")
    assert names(tmp_path / "run") == WHOLE and value_of(tmp_path / "run") == 2
    (tmp_path / "new" / "photograph").touch()
    with pytest.raises(InputError, match="not a folder that routerjax wrote"):
        pair(2).save(tmp_path / "new", overwrite=True)
    assert len(names(tmp_path / "new")) == 4
