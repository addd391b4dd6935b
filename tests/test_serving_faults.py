"""Faults around a service: upstreams on real sockets, the clock, the disk, its callers."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from served_router import events, small_router, wait_for
from starlette.testclient import TestClient

from routerjax.data.io.decisions import read_decisions
from routerjax.errors import DataWarning
from routerjax.serving import answers
from routerjax.serving.app import make_app
from routerjax.serving.decision_log import DecisionLog
from routerjax.serving.pacing import DAY
from routerjax.serving.service import Service, Settings
from routerjax.serving.upstreams import Upstream, Upstreams

QUERY = {"embedding": [1.0, 0.0, 0.0, 0.0]}
HELLO = {"model": "routerjax", "messages": [{"role": "user", "content": "Hello"}]}
GOOD = json.dumps(
    {"choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": 1}}
).encode()


def http_answer(content: bytes, *, status: str = "200 OK", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}"
    return f"{head}content-length: {len(content)}\r\n\r\n".encode() + content


@contextlib.contextmanager
def upstream(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads a request and then does with the connection what it is told."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:  # closed
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                connection.recv(1 << 16)
                answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def says(content: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(content)

    return answer


def slow(connection: socket.socket) -> None:
    while connection.recv(1 << 16):  # until the client has had enough
        pass


FAULTS = {
    "slow": (slow, "timeout"),
    "not HTTP": (says(b"\x00\xff garbage\r\n\r\n"), "unreached"),
    "nothing": (says(b""), "unreached"),
    "cut off": (says(http_answer(GOOD)[:-5]), "unreached"),
    "no JSON": (says(http_answer(b"<html>")), "garbage"),
    "no number": (says(http_answer(GOOD.replace(b'"hi"', b"-Infinity"))), "garbage"),
    "too large": (says(http_answer(b'"' + b"x" * 5000 + b'"')), "garbage"),
    "busy": (says(http_answer(b"{}", status="429 Busy", more="retry-after: 7\r\n")), "status 429"),
    "broken": (says(http_answer(b"{}", status="500 Broken")), "status 500"),
}


def entry(url: str, timeout: float = 5.0) -> Upstream:
    return Upstream(url, "m", None, None, None, timeout, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("routers") / "router"
    small_router().save(place)
    return place


@pytest.fixture
def chatting(tmp_path, monkeypatch):
    """A function: url of "a", and where there is one that of "b" → a client of a service."""
    monkeypatch.setattr(
        "routerjax.data.encoders.encoding.encode",
        lambda prompts, **_: np.float32([[1, 0, 0, 0]] * len(prompts)),
    )
    monkeypatch.setattr(answers, "LARGEST", 4096)
    folder = tmp_path / "router"
    dataclasses.replace(small_router(), encoder="wordllama").save(folder)

    def made(first: str, second: str | None = None) -> TestClient:
        known = {"a": entry(first, 0.3)} | ({"b": entry(second)} if second else {})
        upstreams = Upstreams(known, ("b",) if second else ())
        own = Service(folder, Settings(0.0), log=tmp_path / "log", upstreams=upstreams, seed=0)
        return TestClient(make_app(own))

    return made


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_an_upstream_is_told_from_others_and_another_one_is_asked(
    chatting, tmp_path, fault
):
    answer, outcome = FAULTS[fault]
    with (
        upstream(answer) as first,
        upstream(says(http_answer(GOOD))) as second,
        chatting(first, second) as client,
    ):
        got = client.post("/v1/chat/completions", json=HELLO)
    assert got.status_code == 200 and got.json()["model"] == "b"
    failed = [each for each in events(tmp_path / "log") if each["event"] == "failure"]
    assert [(each["model"], each["outcome"]) for each in failed] == [("a", outcome)]


def test_half_a_character_passes_as_it_came(chatting, tmp_path):
    with (
        upstream(says(http_answer(GOOD.replace(b"hi", b"h\\ud83d \xc3\xa9")))) as first,
        chatting(first) as client,
    ):
        got = client.post("/v1/chat/completions", json=HELLO)
    assert got.status_code == 200
    assert got.json()["choices"][0]["message"]["content"] == "h\ud83d \xe9"


def test_a_dead_upstream_is_an_error_of_one_sentence_and_a_busy_one_says_when_to_ask_again(
    chatting,
):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        dead = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    with chatting(dead) as client:
        got = client.post("/v1/chat/completions", json=HELLO)
    assert got.status_code == 502 and got.json()["error"]["message"].endswith("cannot be reached")
    with upstream(FAULTS["busy"][0]) as busy, chatting(busy) as client:
        got = client.post("/v1/chat/completions", json=HELLO)
    assert got.status_code == 429 and got.headers["retry-after"] == "7"


def test_an_upstream_of_a_model_that_the_router_does_not_have_is_said(folder):
    upstreams = Upstreams({"a": entry("http://x"), "typo": entry("http://x")}, ())
    with pytest.warns(DataWarning, match="an upstream for typo"):
        Service(folder, Settings(0.0), upstreams=upstreams)


class Clock:
    """A clock that shows what it is told."""

    def __init__(self, now: float):
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_a_clock_that_goes_back_a_day_renews_no_budget_and_turns_no_time(folder, tmp_path):
    clock = Clock(20.5 * DAY)
    own = Service(
        folder, Settings(0.0), log=tmp_path / "log", dollars_a_day=0.01, clock=clock, seed=0
    )
    with TestClient(make_app(own)) as client:
        before = [client.post("/route", json=QUERY).json()["cost_weight"] for _ in range(4)]
        clock.now -= DAY
        after = client.post("/route", json=QUERY)
        clock.now += 1.5 * DAY
        renewed = client.post("/route", json=QUERY).json()["cost_weight"]
    assert before[-1] > before[0] and after.status_code == 200
    assert after.json()["cost_weight"] == 100.0  # the day's dollars are spent
    assert renewed < 100.0
    times = [each["time"] for each in events(tmp_path / "log")]
    assert times == sorted(times)


def test_feedback_that_is_repeated_or_of_nobody_is_counted_once_or_not(folder, tmp_path):
    own = Service(folder, Settings(0.0), log=tmp_path / "log", dollars_a_day=1.0, seed=0)
    with TestClient(make_app(own)) as client:
        name = client.post("/route", json=QUERY).json()["id"]
        for quality in (0.25, 0.75):
            said = client.post("/feedback", json={"id": name, "quality": quality, "cost": 0.5})
            assert said.status_code == 200
        client.post("/feedback", json={"id": "nobody", "quality": 1, "cost": 9.0})
        assert own.pacer is not None
        spent = own.pacer._daily.spent(time.time())
    assert spent == pytest.approx(0.5)
    joined = read_decisions(tmp_path / "log")
    assert joined.log.quality.tolist() == [0.75]
    assert joined.counts["unknown ids"] == 1 and joined.counts["repeated feedback"] == 2


@pytest.mark.parametrize(
    ("path", "content", "status", "said"),
    [
        ("/route", '{"embedding": [1, 0, 0, 0], "cost_weight": 1%s}' % ("0" * 400), 400, "JSON"),
        ("/route", '{"embedding": [1%s, 0, 0, 0]}' % ("0" * 400), 400, "JSON"),
        ("/feedback", '{"id": "x", "cost": 1%s}' % ("0" * 400), 400, "JSON"),
        ("/route", r'{"embedding": [1, 0, 0, 0], "group": "\ud800"}', 400, "JSON"),
        ("/feedback", r'{"id": "\uD800", "quality": 1}', 400, "JSON"),
        ("/route", '{"embedding": [1, 0, 0, 0], "cost_wieght": 5}', 422, "'cost_wieght'"),
        ("/feedback", '{"id": "x", "score": 1}', 422, "'score'"),
    ],
)
def test_what_no_log_could_hold_is_refused(folder, tmp_path, path, content, status, said):
    with TestClient(make_app(Service(folder, Settings(0.0), log=tmp_path / "log"))) as client:
        got = client.post(path, content=content)
    assert got.status_code == status and said in got.json()["error"]["message"]
    assert len(events(tmp_path / "log")) == 1


def test_a_disk_that_is_full_at_midnight_loses_what_is_said_and_is_tried_again(tmp_path):
    clock = Clock(5.9 * DAY)
    log = DecisionLog(tmp_path, header={"quality_range": [0, 1]}, clock=clock)
    clock.now = 6.1 * DAY
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        assert not log.write("feedback", id="x", quality=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.write("feedback", id="y", quality=1) and log.lost == 1
    log.close()
    [_, today] = sorted(tmp_path.iterdir())
    lines = [line for line in today.read_text().splitlines() if line.startswith('{"event":"')]
    assert [json.loads(line)["event"] for line in lines[-2:]] == ["start", "feedback"]


@contextlib.contextmanager
def running(service: Service, *, look_every: float) -> Iterator[int]:
    """The service in a thread of this process; its port."""
    config = uvicorn.Config(make_app(service, look_every=look_every), log_level="error")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.mark.slow
def test_a_hundred_routers_are_taken_up_under_load_and_no_request_fails(tmp_path):
    place, stop = tmp_path / "router", threading.Event()
    small_router().save(place)
    service = Service(place, Settings(0.0), log=tmp_path / "log", seed=0)
    answers: list[tuple[int, str]] = []

    def ask(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        while not stop.is_set():
            connection.request("POST", "/route", json.dumps(QUERY))
            answer = connection.getresponse()
            answers.append((answer.status, json.loads(answer.read())["router"]))
        connection.close()

    with running(service, look_every=0.01) as port:
        threads = [threading.Thread(target=ask, args=(port,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in range(100):
            before = service.served.fingerprint
            small_router(shift=0.001 * (number + 1)).save(place, overwrite=True)
            wait_for(lambda before=before: service.served.fingerprint != before)
        stop.set()
        for thread in threads:
            thread.join()
    taken = [labels for (name, labels) in service.metrics.counts if "reloads" in name]
    assert taken == [(("outcome", "taken up"),)]
    assert {status for status, _ in answers} == {200} and len(answers) > 500
    assert len({router for _, router in answers}) > 50  # the others were in service for too short
    decided = sum(each["event"] == "decision" for each in events(tmp_path / "log"))
    assert decided == len(answers)
