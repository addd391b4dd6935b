"""The decision log: what is written, what survives, and what a fit reads of it."""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import routerjax as rj
from routerjax.cli.commands import main
from routerjax.data.io.decisions import read_decisions
from routerjax.data.io.files import read_rows
from routerjax.pipelines.repeats import said_once
from routerjax.records.groups import repeated
from routerjax.serving.decision_log import DecisionLog

HEADER = {"encoder": None, "quality_range": [0.0, 1.0]}
DAY = 86_400.0


class Clock:
    """A clock that shows what it is told."""

    def __init__(self, now: float):
        self.now = now

    def __call__(self) -> float:
        return self.now


def decision(name: str, model: str = "a", **fields) -> dict:
    embedding = base64.b64encode(np.float32([len(name), 0.5]).tobytes()).decode()
    plain = {
        "id": name,
        "models": ["a", "b"],
        "propensities": [0.9, 0.1],
        "model": model,
        "cost_weight": 10.0,
        "router": "f1",
        "expected_quality": [0.7, 0.6],
        "expected_cost": [0.002, 0.001],
        "embedding": embedding,
    }
    return {**plain, **fields}


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.decisions.jsonl"))


def test_decisions_answers_and_late_feedback_are_joined_whoever_wrote_them(tmp_path):
    clock = Clock(10 * DAY)
    one = DecisionLog(tmp_path, header=HEADER, clock=clock)
    other = DecisionLog(tmp_path, header=HEADER, clock=clock)
    assert one.write("decision", **decision("first", group="anna"))
    assert other.write("decision", **decision("second", "b"))
    for name in ("third", "fourth", "fifth", "sixth", "seventh"):
        one.write("decision", **decision(name))
    clock.now = 12.5 * DAY  # another day, another file
    one.write("feedback", id="second", quality=0.25)
    other.write("answer", id="second", model="b", cost=0.003)
    other.write("feedback", id="first", quality=0.5, cost=0.001)
    clock.now += 1
    one.write("feedback", id="first", quality=0.75)  # the last word
    one.write("feedback", id="nobody", quality=1.0)
    one.write("feedback", id="third", quality=1.0)  # and no cost
    one.write("answer", id="fourth", model="b", cost=0.1)  # the upstream of "a" had failed
    one.write("feedback", id="fourth", quality=1.0)
    one.write("feedback", id="fifth", quality=7.0, cost=0.1)
    one.write("feedback", id="sixth", quality=0.5, cost=-1.0)
    one.close()
    other.close()
    assert len(files(tmp_path)) == 4 and {path.name[:10] for path in files(tmp_path)} == {
        "1970-01-11",
        "1970-01-13",
    }
    with pytest.warns(rj.DataWarning, match="1 answered by another model.*7 decisions"):
        joined = read_decisions(tmp_path)
    assert joined.counts == {
        "decisions": 7,
        "rows": 2,
        "without feedback": 1,
        "without cost": 2,
        "answered by another model": 1,
        "out of range": 2,
        "repeated feedback": 1,
        "unknown ids": 1,
    }
    log = joined.log
    assert log.models == ("a", "b") and log.group == ("anna", "")
    assert log.arms.tolist() == [0, 1] and log.quality.tolist() == [0.75, 0.25]
    assert np.allclose(log.cost, [0.001, 0.003])
    assert np.allclose(log.propensities, [[0.9, 0.1], [0.9, 0.1]])
    assert log.embeddings.tolist() == [[5.0, 0.5], [6.0, 0.5]]
    with pytest.raises(rj.InputError, match="no decision has both"):
        read_decisions(tmp_path, since=11 * DAY)


def test_decisions_that_look_alike_are_two_where_a_row_logged_twice_is_one(tmp_path):
    """One query, asked again and again: without its repeats, a model that is asked once in ten
    times would stand in every other row, with the weight of one in ten."""
    log = DecisionLog(tmp_path, header=HEADER)
    for number in range(60):
        model, quality = ("b", 0.2) if number % 10 == 0 else ("a", 0.8)
        log.write("decision", **decision(f"{number:02}", model))  # the query of all of two signs
        log.write("feedback", id=f"{number:02}", quality=quality, cost=0.001)
        other = str(number) + "." * number
        log.write("decision", **decision(f"{other} alone", model))
        log.write("feedback", id=f"{other} alone", quality=quality, cost=number * 1e-4)
    log.close()
    found = read_decisions(tmp_path).log
    assert repeated(found.replace(ids=None)).sum() == 60 - 2
    assert said_once(found) is found and len(found.rows(slice(9)).ids) == 9
    weight = (found.arms == 1) / found.logged_propensities
    assert weight.mean() == pytest.approx(1.0)
    with pytest.raises(rj.InputError, match="'ids': holds 1 rows"):
        found.replace(ids=("0",))


def test_rows_of_another_encoder_or_range_than_the_last_servers_are_left_out(tmp_path):
    clock = Clock(10 * DAY)
    log = DecisionLog(tmp_path, header={**HEADER, "router": "f0", "encoder": "other"}, clock=clock)
    log.write("decision", **{**decision("first"), "router": "f0"})
    log.change({**HEADER, "router": "f1", "prompt_form": "conversation"})
    log.write("decision", **{**decision("in flight"), "router": "f0"})
    log.write("decision", **decision("second"))
    log.close()
    clock.now += 1
    later = DecisionLog(tmp_path, header={**HEADER, "router": "f1"}, clock=clock)
    later.change({**HEADER, "router": "f1", "prompt_form": "conversation"})
    for name in ("first", "in flight", "second"):
        later.write("feedback", id=name, quality=1.0, cost=0.001)
    later.close()
    with pytest.warns(rj.DataWarning, match="2 of another encoder or quality range"):
        joined = read_decisions(tmp_path)
    assert joined.log.ids == ("second",) and joined.log.prompt_form == "conversation"


def test_models_that_were_not_available_have_no_propensity(tmp_path):
    log = DecisionLog(tmp_path, header=HEADER)
    log.write("decision", **decision("x"))
    log.write("decision", **decision("y", "c", models=["c", "a"], propensities=[0.25, 0.75]))
    for name in "xy":
        log.write("feedback", id=name, quality=1, cost=0.01)
    log.close()
    found = rj.read_log(tmp_path)
    assert found.models == ("a", "b", "c")
    assert np.allclose(found.propensities, [[0.9, 0.1, 0], [0.75, 0, 0.25]])
    assert found.available.tolist() == [[True, True, False], [True, False, True]]
    with pytest.raises(rj.InputError, match="no row was answered by b"):
        rj.fit(tmp_path)


def test_the_time_never_goes_back(tmp_path):
    clock = Clock(20.1 * DAY)
    log = DecisionLog(tmp_path, header=HEADER, clock=clock)
    log.write("decision", **decision("x"))
    clock.now = 19.2 * DAY
    log.write("feedback", id="x", quality=1, cost=0.01)
    log.close()
    [file] = files(tmp_path)
    times = [json.loads(line)["time"] for line in file.read_text().splitlines()]
    assert times == [20.1 * DAY] * 3


def test_a_full_disk_loses_events_says_so_and_is_written_again_when_it_is_not(tmp_path, capfd):
    log = DecisionLog(tmp_path, header=HEADER)
    log.write("decision", **decision("x"))
    [file] = files(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 40, hard))
    try:
        kept = [log.write("decision", **decision(name)) for name in ("y", "z")]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert kept == [False, False] and log.lost == 2 and "cannot be written" in str(log.problem)
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "serving goes on" in said
    assert log.write("feedback", id="x", quality=1, cost=0.01) and log.problem is None
    log.write("feedback", id="y", quality=1, cost=0.01)
    log.close()
    joined = read_decisions(tmp_path)
    assert joined.counts == {"decisions": 1, "rows": 1, "unknown ids": 1, "damaged lines": 1}


def test_damaged_lines_are_counted_and_the_rest_is_read(tmp_path):
    log = DecisionLog(tmp_path, header=HEADER)
    log.write("decision", **decision("x"))
    log.write("decision", **decision("cut"))
    log.write("feedback", id="x", quality=1, cost=0.01)
    log.close()
    [file] = files(tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    strange = [b"[1]\n", b"\xff\n", b'{"event": "feedback", "time": NaN, "id": "x"}\n', b"\n"]
    file.write_bytes(b"".join([*lines[:2], *strange, lines[3], lines[2][:90]]))
    joined = read_decisions(tmp_path)
    assert joined.counts == {"decisions": 1, "rows": 1, "damaged lines": 4}


def test_a_folder_is_read_by_the_commands_as_it_is(tmp_path, capsys):
    log = DecisionLog(tmp_path / "log", header=HEADER)
    rng = np.random.default_rng(0)
    for row in range(120):
        x = rng.normal(size=4).astype(np.float32)
        arm = int(rng.random() < 0.5)
        embedding = base64.b64encode(x.tobytes()).decode()
        own = decision(f"q{row}", "ab"[arm], propensities=[0.5, 0.5], embedding=embedding)
        log.write("decision", **own)
        quality = float((x[0] > 0) == (arm == 0))
        log.write("feedback", id=f"q{row}", quality=quality, cost=0.001 * (1 + arm))
    log.close()
    folder = str(tmp_path / "log")
    assert len(read_rows(folder)) == 120
    assert main(["plan", folder, "--columns", "quality=x"]) == 2
    assert "is read as it is, without rules" in capsys.readouterr().err
    for name in (folder, str(files(tmp_path / "log")[0])):
        assert main(["inspect", name]) == 2
        assert f"refit take the folder {folder} as it is" in capsys.readouterr().err


def test_without_a_place_to_write_the_log_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(rj.InputError, match="cannot be written"):
        DecisionLog(tmp_path / "file" / "log", header=HEADER)
    with pytest.raises(rj.InputError, match="holds no decision log"):
        read_decisions(tmp_path)


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from test_decision_log import HEADER, decision
from routerjax.serving.decision_log import DecisionLog
log = DecisionLog({folder!r}, header=HEADER)
for number in range(10**9):
    log.write("decision", **decision(f"q{{number}}"))
    print(number, flush=True)
"""


def test_a_killed_server_has_lost_no_decision_that_it_acknowledged(tmp_path):
    script = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    acknowledged = [int(server.stdout.readline()) for _ in range(200)]
    os.kill(server.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in server.stdout.read().splitlines()]
    server.wait()
    server.stdout.close()
    [file] = files(tmp_path)
    whole = file.read_bytes().rpartition(b"\n")[0].decode().splitlines()
    written = [json.loads(line)["id"] for line in whole[1:]]
    assert written[: len(acknowledged)] == [f"q{number}" for number in acknowledged]
