"""Several processes on one router folder: killed writers, racing readers, two writers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from small_router import names, pair, value_of

from routerjax.cli.commands import main
from routerjax.cli.terminal import exit_code
from routerjax.errors import InputError
from routerjax.support import locks
from routerjax.support.atomic import claimed, new_folder
from routerjax.support.locks import locked

HERE = Path(__file__).parent


@pytest.mark.parametrize("kills", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_router_is_lost_to_a_kill(tmp_path, clean_environment, kills):
    done = subprocess.run(
        [sys.executable, HERE / "killed_saves.py", tmp_path, str(kills), "0"],
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > kills / 2, "killed before it did anything"


WRITER = """
import sys
from pathlib import Path
from small_router import pair
value = 1
while True:
    value += 1
    pair(value).save(Path(sys.argv[1]), overwrite=True)
"""


def running(script: str, *arguments: object) -> subprocess.Popen:
    """A process beside this one, with the tests' modules."""
    path = os.pathsep.join([str(HERE), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("seconds", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_readers_that_race_a_writer_find_one_router_whole(tmp_path, seconds):
    """Thousands of reads while the router is replaced hundreds of times."""
    target, found = tmp_path / "run", []
    pair(1).save(target)
    writer = running(WRITER, target)
    try:
        while value_of(target) == 1:
            assert writer.poll() is None, writer.communicate()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found.append(value_of(target))
    finally:
        writer.kill()
        writer.communicate()
    assert found == sorted(found), "a router that was replaced already"
    assert len(found) > 20 and len(set(found)) > 5, (len(found), len(set(found)))


HOLDER = """
import sys, time
from pathlib import Path
from routerjax.support.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of tmp_path/run."""
    process = running(HOLDER, tmp_path / "run")
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_that_another_process_writes_is_left_alone(tmp_path, holder, capsys):
    sentence = (
        f"{tmp_path / 'run'}: is being written by process {holder.pid}; wait until that ends, or "
        "choose another folder"
    )
    with pytest.raises(InputError) as refused:
        pair().save(tmp_path / "run")
    assert str(refused.value) == sentence
    (tmp_path / "log.csv").write_text("")  # it is not even read
    for options in ([], ["--overwrite"], ["--gains", "--costs", "2,1"]):
        out = ["--out", str(tmp_path / "run")]
        assert main(["fit", str(tmp_path / "log.csv"), *out, *options]) == 2
        assert capsys.readouterr() == ("", f"routerjax: {sentence}\n")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(InputError, match=f"is being written by process {holder.pid};"):
        with locked(tmp_path / "link"):
            raise AssertionError("held twice")
    pair().save(tmp_path / "other")


def test_the_lock_of_a_dead_process_bars_nobody(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert names(tmp_path) == [".run.lock"]
    pair(7).save(tmp_path / "run")
    assert names(tmp_path) == ["run"] and value_of(tmp_path / "run") == 7


def test_one_thread_holds_a_lock_twice_and_another_not_at_all(tmp_path):
    told = []

    def other():
        try:
            pair().save(tmp_path / "run")
        except InputError as error:
            told.append(str(error))

    with locked(tmp_path / "run"), locked(tmp_path / "run"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        pair(2).save(tmp_path / "run")
    assert told == [
        f"{tmp_path / 'run'}: is being written by another thread of this process; wait until that "
        "ends, or choose another folder"
    ]
    assert names(tmp_path) == ["run"] and value_of(tmp_path / "run") == 2


def test_where_there_are_no_locks_none_is_taken(tmp_path, monkeypatch):
    def unknown(file, operation):
        raise OSError(locks.UNKNOWN_TO[0], "no locks")

    monkeypatch.setattr(locks.fcntl, "flock", unknown)
    pair().save(tmp_path / "run")
    monkeypatch.setattr(locks, "fcntl", None)
    pair(2).save(tmp_path / "run", overwrite=True)
    assert names(tmp_path) == ["run"] and value_of(tmp_path / "run") == 2


# --- folders of results ---


def results(target: Path, text: str) -> None:
    with new_folder(target, marker="mark", overwrite=True) as folder:
        (folder / "mark").write_text(text)


@pytest.mark.parametrize("moment", ["between", "after", "before"])
def test_a_folder_of_results_survives_a_kill_while_it_is_replaced(tmp_path, moment):
    """The states on disk that a kill may leave, made by hand."""
    target, aside, begun = (
        tmp_path / name for name in ("run", ".run.replaced", f".run.{'0' * 16}")
    )
    results(target, "old")
    if moment != "after":
        begun.mkdir()
        (begun / "mark").write_text("half")
    if moment == "between":
        target.rename(aside)
    if moment == "after":
        target.rename(aside)
        results(target, "new")
        aside.mkdir(exist_ok=True)
        (aside / "mark").write_text("old")
    want = "new" if moment == "after" else "old"
    with pytest.raises(InputError, match="exists already"):
        with claimed(target, marker="mark", overwrite=False):
            raise AssertionError("the old one is there")
    if moment == "between":
        assert names(tmp_path) == [f".run.{'0' * 16}", ".run.replaced"], "nothing was touched yet"
    with claimed(target, marker="mark", overwrite=True):
        assert (target / "mark").read_text() == want and names(tmp_path) == [".run.lock", "run"]
    results(target, "newest")
    assert names(tmp_path) == ["run"] and (target / "mark").read_text() == "newest"


def test_a_folder_of_results_that_cannot_be_renamed_leaves_the_old_one(tmp_path, monkeypatch):
    target, own = tmp_path / "run", Path.rename
    results(target, "old")

    def failing(path, other):
        if path.name != "run" and path.name != ".run.replaced":
            raise OSError(5, "Input/output error")
        return own(path, other)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        with pytest.raises(InputError, match=r"cannot be written \(Input/output error\)"):
            results(target, "new")
    assert names(tmp_path) == ["run"] and (target / "mark").read_text() == "old"


# --- commands that are stopped ---


@pytest.fixture
def interruptible():
    """Ctrl-C interrupts, as at a terminal; what runs in the background may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_ends_a_command_interrupts_it(capsys, interruptible, number):
    cleared = []

    def command():
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            cleared.append(True)

    assert exit_code(command, prog="routerjax") == 130
    assert capsys.readouterr().err == "routerjax: interrupted\n" and cleared
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
