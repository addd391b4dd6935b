"""Trainings that survive: stopped, killed, half-written, on a full disk, with other settings."""

import dataclasses
import resource
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_toys import Line, Wave, line, trained, wave

from routerjax.errors import DataWarning, InputError
from routerjax.support.settings import named
from routerjax.training import sweep
from routerjax.training.checkpoint import SUM, Checkpoints
from routerjax.training.config import Schedule
from routerjax.training.sweep import Sweep

SCHEDULE = Schedule(batch_size=8, max_epochs=12, patience=12, chunk=2)


class Stopped(Exception):
    pass


def stop_after(epoch):
    def stop(done, most):
        if done >= epoch:
            raise Stopped

    return stop


def begun(folder, epoch=8, **changes) -> Checkpoints:
    """Checkpoints, every four epochs, of a training of three lines that stopped at `epoch`."""
    checkpoints = Checkpoints(folder, every=4, settings={"encoder": {"name": "a"}})
    with pytest.raises(Stopped):
        settings = {"schedule": SCHEDULE, "on_progress": stop_after(epoch)} | changes
        trained(Line(), line(), checkpoint=checkpoints, **settings)
    return checkpoints


@pytest.fixture(scope="module")
def whole():
    """The same training, never stopped and never written."""
    return trained(Line(), line(), schedule=SCHEDULE)


def resumed(checkpoints, **changes):
    return trained(Line(), line(), checkpoint=checkpoints, **{"schedule": SCHEDULE} | changes)


def same(got, want):
    jax.tree.map(np.testing.assert_array_equal, got, want)


def steps(checkpoints):
    return sorted(
        int(path.name.removeprefix("epoch_")) for path in Path(checkpoints.folder).iterdir()
    )


def test_goes_on_where_it_was_and_keeps_the_newest(tmp_path, whole):
    store = Checkpoints(tmp_path / "new")
    assert not list(Path(store.folder).rglob(SUM))
    store, calls = begun(tmp_path / "new", epoch=10), []
    assert list(Path(store.folder).rglob(SUM)) and steps(store) == [4, 8]
    same(resumed(store, on_progress=lambda *call: calls.append(call)), whole)
    assert calls == [(8, 12), (10, 12), (12, 12)]
    assert steps(store) == [8, 12]  # keep=2


def test_a_finished_training_is_not_trained_again(tmp_path, whole, monkeypatch):
    store = Checkpoints(tmp_path, every=100)  # nothing between the start and the end
    same(resumed(store), whole)
    assert steps(store) == [12]

    def advance(*_):
        raise AssertionError("trained")

    monkeypatch.setattr(sweep, "_advance", advance)
    with pytest.raises(AssertionError, match="trained"):
        trained(Line(), line(), schedule=SCHEDULE)
    calls = []
    same(resumed(store, on_progress=lambda *call: calls.append(call)), whole)
    assert calls == [(12, 12)]


def test_a_run_that_stops_early_is_finished(tmp_path):
    schedule = Schedule(batch_size=8, max_epochs=400, patience=3, chunk=5)
    store, calls = Checkpoints(tmp_path), []
    first = resumed(store, schedule=schedule)
    assert np.all(first.epochs < 400)
    again = resumed(store, schedule=schedule, on_progress=lambda *call: calls.append(call))
    same(again, first)
    assert calls == [(400, 400)]


def test_chunks_may_change_between(tmp_path, whole):
    store = begun(tmp_path)
    same(resumed(store, schedule=dataclasses.replace(SCHEDULE, chunk=1)), whole)


def test_a_sweep_goes_on_in_its_own_block(tmp_path, whole):
    """Three blocks of a run each, stopped in the second: the first is not trained again."""
    one_by_one = {"sweep": Sweep(memory=1)}
    store, calls = begun(tmp_path, epoch=12 + 8, **one_by_one), []
    assert (tmp_path / "block-0/epoch_12").is_dir() and (tmp_path / "block-1/epoch_4").is_dir()
    same(resumed(store, **one_by_one, on_progress=lambda *call: calls.append(call)), whole)
    done = [epochs for epochs, _ in calls]
    assert done == [12, 12 + 8, 12 + 10, 12 + 12, *range(24 + 2, 24 + 13, 2)]
    with pytest.raises(InputError, match="made with blocks 3, not 1"):
        resumed(store.stage("block-0"))


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"learning_rate": 0.25}, r"learning_rate \[0.05\d*\], not \[0.25\]"),
        ({"weight_decay": 0.5}, r"weight_decay \[0.0\d+\], not \[0.5\]"),
        ({"schedule": dataclasses.replace(SCHEDULE, patience=3)}, "schedule.patience 12, not 3"),
        ({"key": jax.random.key(1)}, r"start \d+, not \d+"),
        ({"context": jnp.ones(3)}, r"start \d+, not \d+"),
        ({"sweep": Sweep("vmap")}, "side_by_side false, not true"),
    ],
)
def test_other_settings_are_refused_by_name(tmp_path, changes, difference):
    store = begun(tmp_path)
    with pytest.raises(InputError, match=rf"{tmp_path}: these .* made with {difference}; take"):
        resumed(store, **changes)


def test_other_data_and_other_objectives_are_refused_by_name(tmp_path):
    store = begun(tmp_path)
    rows, *rest = line()
    other = {**rows, "y": rows["y"].at[36].add(1e-3)}
    with pytest.raises(InputError, match=r"made with data \[\d+\], not \[\d+\]"):
        trained(Line(), (other, *rest), schedule=SCHEDULE, checkpoint=store)
    with pytest.raises(InputError, match=r'objective "Line\(\)", not "Wave\(\)"'):
        trained(Wave(), wave(3), schedule=SCHEDULE, checkpoint=store)
    changed = dataclasses.replace(store, settings={"encoder": {"name": "b"}})
    with pytest.raises(InputError, match='encoder.name "a", not "b"'):
        resumed(changed)
    with pytest.raises(InputError, match='encoder.name "a", not null'):
        resumed(dataclasses.replace(store, settings={}))


def test_objectives_are_known_by_more_than_where_they_are_in_memory(tmp_path, whole):
    @dataclasses.dataclass(frozen=True)
    class Held(Line):
        function: object

    def first(x):
        return x

    def second(x):
        return x

    store = Checkpoints(tmp_path, every=4)
    settings = {"schedule": SCHEDULE, "checkpoint": store}
    same(trained(Held(first), line(), **settings), whole)
    same(trained(Held(first), line(), **settings), whole)
    with pytest.raises(InputError, match="made with objective .*Held.*second"):
        trained(Held(second), line(), **settings)


@pytest.mark.parametrize(
    "damage",
    [
        "truncated",
        pytest.param("missing", marks=pytest.mark.slow),
        pytest.param("zeroed", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_checkpoint_is_passed_over(tmp_path, whole, damage):
    """Every file of the newest checkpoint in turn: the end is the same whatever was lost."""
    begun(tmp_path / "good")
    newest = tmp_path / "good/epoch_8"
    told = []
    for file in (path.relative_to(newest) for path in newest.rglob("*") if path.is_file()):
        shutil.copytree(tmp_path / "good", tmp_path / "bad")
        path = tmp_path / "bad/epoch_8" / file
        content = path.read_bytes()
        path.unlink()
        if damage != "missing":
            path.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"\0" * 99)
        store = Checkpoints(tmp_path / "bad", every=4, settings={"encoder": {"name": "a"}})
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            same(resumed(store), whole)
        told += [str(warning.message) for warning in heard]
        assert steps(store) == [8, 12]
        shutil.rmtree(tmp_path / "bad")
    sentence = f"{tmp_path / 'bad'}: the checkpoint epoch_8 is damaged and passed over"
    assert set(told) == {sentence} and len(told) > 10


def test_nothing_whole_is_a_new_start(tmp_path, whole):
    store = begun(tmp_path)
    for path in tmp_path.rglob("_METADATA"):
        path.write_text("{")
    with pytest.warns(DataWarning) as heard:
        same(resumed(store), whole)
    assert len(heard) == 2


def test_what_a_killed_process_left_half_written_goes(tmp_path, whole):
    """A folder without its sum, and one under its temporary name."""
    store = begun(tmp_path)
    for name in ("epoch_12", "epoch_12.orbax-checkpoint-tmp"):
        shutil.copytree(tmp_path / "epoch_8", tmp_path / name)
        (tmp_path / name / SUM).unlink()
    same(resumed(store), whole)
    assert steps(store) == [8, 12]


def wide():
    """A problem whose checkpoints take 100 kB."""
    rows, params, *positions = line()
    noise = np.random.default_rng(0).normal(size=(3, 4000)).astype(np.float32)
    return rows, {**params, "unused": jnp.asarray(noise)}, *positions


def test_a_disk_that_fills_up_leaves_the_last_good_checkpoint(tmp_path, capfd, caplog):
    """No file may grow beyond 20 kB from the second checkpoint on.

    orbax writes in threads. When the error is out none of them is left, nor what they wrote, and
    nobody but the error has spoken.
    """
    store = Checkpoints(tmp_path, every=4)
    settings = {"schedule": SCHEDULE, "checkpoint": store}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_up(done, most):
        if done == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))

    try:
        with pytest.raises(InputError) as refused:
            trained(Line(), wide(), **settings, on_progress=fill_up)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    problem = "the checkpoint of epoch 8 cannot be written (File too large)"
    assert str(refused.value) == f"{tmp_path}: {problem}; the last is of epoch 4"
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_4"]
    assert not [thread for thread in threading.enumerate() if "orbax" in type(thread).__module__]
    assert capfd.readouterr() == ("", "") and not caplog.records
    calls = []
    settings["on_progress"] = lambda *call: calls.append(call)
    same(trained(Line(), wide(), **settings), trained(Line(), wide(), schedule=SCHEDULE))
    assert calls[0] == (4, 12)


def test_a_full_disk_is_told_in_one_sentence(tmp_path, monkeypatch):
    full = SimpleNamespace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    sentence = (
        f"{tmp_path}: the checkpoint of epoch 4 cannot be written "
        r"\(No space left on device\); there is none yet"
    )
    with pytest.raises(InputError, match=sentence):
        resumed(Checkpoints(tmp_path, every=4))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file.*cannot be written"):
        resumed(Checkpoints(tmp_path / "file"))


def test_checkpoints_that_another_process_writes_are_left_alone(tmp_path):
    store = begun(tmp_path / "store")
    script = (
        "import sys, pathlib; from routerjax.support.locks import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): print('held', flush=True); input()"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "store")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"store: is being written by process {other.pid};"):
            resumed(store)
        other.communicate("\n")
    resumed(store)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_settings_go_by_flat_names():
    @dataclasses.dataclass(frozen=True)
    class Inner:
        widths: tuple[int, ...]

    @dataclasses.dataclass(frozen=True)
    class Outer:
        inner: Inner
        rate: float

    flat = {"config.inner.widths": [8, 4], "config.rate": 0.5, "data": "abc"}
    assert named({"config": Outer(Inner((8, 4)), 0.5), "data": "abc"}) == flat
    store = Checkpoints("runs", settings={"data": "abc"}).stage("cost", likelihood="gamma")
    assert (str(store.folder), store.settings) == (
        "runs/cost",
        {"data": "abc", "likelihood": "gamma"},
    )


def test_counts_have_a_least():
    with pytest.raises(InputError, match="every is 0; it must be at least 1"):
        Checkpoints("runs", every=0)
    with pytest.raises(InputError, match="keep is 1; it must be at least 2"):
        Checkpoints("runs", keep=1)


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path, clean_environment, kills):
    script = Path(__file__).parent / "killed_training.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path, str(kills), "0"],
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    epochs = [int(epoch) for epoch in done.stdout.split()]
    assert len(epochs) == kills and epochs[-1] > kills / 2, "killed before it did anything"
    with np.load(tmp_path / "resumed.npz") as got, np.load(tmp_path / "whole.npz") as want:
        for name in want.files:
            np.testing.assert_array_equal(got[name], want[name])
