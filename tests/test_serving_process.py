"""The server process: routers taken up under load, SIGTERM, and kill -9."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import os
import signal
import threading
import warnings
from pathlib import Path

import pytest
from served_router import events, post, serving, small_router, wait_for

from routerjax.cli.commands import main
from routerjax.data.io.decisions import read_decisions
from routerjax.errors import DataWarning

QUERY = {"embedding": [0.0, 0.0, 0.0, 0.0]}


def load(url: str, stop: threading.Event, **more) -> list[tuple[int, dict]]:
    """Answers to requests one after another, until told to stop."""
    found = []
    while not stop.is_set():
        found.append(post(f"{url}/route", {**QUERY, **more}))
    return found


def reloaded(folder: Path, log: Path, reloads: int) -> None:
    """Load, `reloads` routers one after another, SIGTERM; no request fails."""
    small_router().save(folder)
    stop = threading.Event()
    options = ("--cost-weight", "0", "--explore", "0", "--log", str(log))
    with serving(str(folder), *options) as (url, server):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(load, url, stop) for _ in range(2)]
            seen = {post(f"{url}/route", QUERY)[1]["router"]}
            for number in range(reloads):
                small_router(shift=0.2 * ((number + 1) % 2)).save(folder, overwrite=True)
                wanted = ("c", "a")[number % 2]  # 0.6 where it is shifted, else 0.4
                wait_for(lambda w=wanted: post(f"{url}/route", QUERY)[1]["model"] == w)
                seen.add(post(f"{url}/route", QUERY)[1]["router"])
            stop.set()
            answers = [each for future in asked for each in future.result()]
        assert {status for status, _ in answers} == {200} and len(seen) == reloads + 1
        assert len(answers) > 10 * reloads
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait(30) == 0
    written = {each["id"] for each in events(log) if each["event"] == "decision"}
    assert {answer["id"] for _, answer in answers} <= written


def test_a_router_is_taken_up_and_sigterm_ends_the_server_when_it_has_answered(tmp_path):
    reloaded(tmp_path / "router", tmp_path / "log", reloads=1)


@pytest.mark.slow
def test_a_server_that_is_killed_under_load_has_lost_nothing_that_it_acknowledged(tmp_path):
    """Neither decisions nor feedback; and the log is read, whatever its last line looks like."""
    small_router().save(tmp_path / "router")
    decided: list[str] = []
    said: list[str] = []
    for _ in range(2):
        options = (str(tmp_path / "router"), "--cost-weight", "0", "--log", str(tmp_path / "log"))
        with serving(*options) as (url, server):

            def ask(url=url) -> None:
                with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                    while True:  # until it is gone
                        name = post(f"{url}/route", QUERY)[1]["id"]
                        decided.append(name)
                        body = {"id": name, "quality": 0.5, "cost": 0.001}
                        if post(f"{url}/feedback", body)[0] == 200:
                            said.append(name)

            threads = [threading.Thread(target=ask) for _ in range(3)]
            before = len(said)
            for thread in threads:
                thread.start()
            wait_for(lambda before=before: len(said) > before + 150)
            os.kill(server.pid, signal.SIGKILL)
            for thread in threads:
                thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # of decisions without feedback
        joined = read_decisions(tmp_path / "log")
    lines = [
        json.loads(line)
        for file in (tmp_path / "log").iterdir()
        for line in file.read_bytes().rpartition(b"\n")[0].splitlines()
    ]
    assert set(decided) <= {each["id"] for each in lines if each["event"] == "decision"}
    assert set(said) <= {each["id"] for each in lines if each["event"] == "feedback"}
    assert joined.counts["rows"] >= len(said) and joined.counts["decisions"] >= len(decided)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cost-weight", "9999"], "outside the fitted range"),
        (["--cost-weight", "0", "--explore", "2"], "between 0 and 1"),
        (["--cost-weight", "0", "--explore-by", "luck"], "must be one of floor"),
        (["--cost-weight", "0", "--forbid", "bank"], "is not TENANT=MODEL"),
        (["--cost-weight", "0", "--log-prompts"], "without --log"),
        (["--cost-weight", "0", "--token-env", "NOT_SET_HERE"], "is not set"),
        (["--cost-weight", "0", "--upstreams", "none.toml"], "none.toml: cannot be read"),
        (["--cost-weight", "0", "--host", "203.0.113.1"], "cannot be bound"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_sentence(tmp_path, capsys, options, said):
    small_router().save(tmp_path / "router")
    assert main(["serve", str(tmp_path / "router"), *options]) == 2
    error = capsys.readouterr().err.splitlines()
    assert said in error[-1] and error[-1].startswith("routerjax: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "cannot be read"),
        ("[models]", "no model is named"),
        ("[other]\n[models.a]\nurl='http://x'", "holds 'other'"),
        ("[models.a]\nurl='ftp://x'", "needs a url"),
        ("[models.a]\nurl='http://[::x/v1'", "is no url"),
        ("[models.a]\nurl='http://x'\nstream_usage=0", "must be true or false"),
        ("[models.a]\nurl='http://x'\nkey='sk-1'", "a key is never written here"),
        ("[models.a]\nurl='http://x'\nkey_env='NOT_SET_HERE'", "NOT_SET_HERE is not set"),
        ("[models.a]\nurl='http://x'\ninput=-1", "input must be a number"),
        ("[models.a]\nurl='http://x'\n[fallback]\norder=['b']", "'b' is none of its models"),
    ],
)
def test_a_file_of_upstreams_that_is_wrong_is_refused(tmp_path, capsys, text, said):
    small_router().save(tmp_path / "router")
    (tmp_path / "up.toml").write_text(text)
    options = ["--cost-weight", "0", "--upstreams", str(tmp_path / "up.toml")]
    assert main(["serve", str(tmp_path / "router"), *options]) == 2
    assert said in capsys.readouterr().err
