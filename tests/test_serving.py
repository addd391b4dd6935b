"""The service, asked over HTTP: routes, feedback, limits, completions and failing upstreams."""

from __future__ import annotations

import base64
import dataclasses
import json
import resource
from pathlib import Path

import httpx
import numpy as np
import pytest
from served_router import MODELS, events, small_router
from starlette.testclient import TestClient

from routerjax.data.io.decisions import read_decisions
from routerjax.errors import InputError
from routerjax.exploration.limits import Limits
from routerjax.serving.app import make_app
from routerjax.serving.deciding import Exploring
from routerjax.serving.pacing import DAY, Pacer
from routerjax.serving.service import Service, Settings
from routerjax.serving.upstreams import read_upstreams

QUERY = {"embedding": [1.0, 0.0, 0.0, 0.0]}
UPSTREAMS = """
[models.a]
url = "http://a.test/v1"
model = "a-large"
key_env = "KEY_OF_A"
input = 10.0
output = 30.0
context = 100
[models.b]
url = "http://b.test/v1"
[models.c]
url = "http://c.test/v1/"
[fallback]
order = ["c", "b"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("routers") / "router"
    small_router().save(place)
    return place


def served(folder, log=None, *, cost_weight=0.0, upstreams=None, **settings) -> Service:
    return Service(folder, Settings(cost_weight, **settings), log=log, upstreams=upstreams, seed=0)


@pytest.fixture
def client(folder, tmp_path):
    with TestClient(make_app(served(folder, tmp_path / "log", largest=2000))) as client:
        yield client


def test_a_query_is_routed_logged_and_fed_back(client, tmp_path):
    answer = client.post("/route", json={**QUERY, "group": "anna"})
    found = answer.json()
    assert answer.status_code == 200 and found["model"] == found["preferred"] == "a"
    assert found["probabilities"] == {"a": 1.0, "b": 0.0, "c": 0.0} and not found["explored"]
    assert found["expected_quality"] == pytest.approx(0.7) and found["logged"]
    assert found["expected_cost"] == pytest.approx(0.004)
    dear = client.post("/route", json={**QUERY, "cost_weight": 100, "models": ["b", "c"]}).json()
    assert dear["model"] == "c" and set(dear["probabilities"]) == {"b", "c"}
    assert client.post("/route", json={**QUERY, "budget": 0.003}).json()["model"] == "c"
    for id, known in ((found["id"], True), ("nobody", False)):
        fed = client.post("/feedback", json={"id": id, "quality": 0.5, "cost": 0.001})
        assert fed.json() == {"id": id, "known": known, "logged": True}
    start, first, second, third, *feedback = events(tmp_path / "log")
    assert start["event"] == "start" and start["quality_range"] == [0.0, 1.0]
    assert start["prompt_form"] == "last-user"
    assert first["id"] == found["id"] and first["models"] == ["a", "b", "c"]
    assert first["propensities"] == [1.0, 0.0, 0.0] and first["group"] == "anna"
    embedding = np.frombuffer(base64.b64decode(first["embedding"]), "<f4")
    assert embedding.tolist() == QUERY["embedding"] and "prompt" not in first
    assert second["models"] == third["models"] == ["b", "c"] and len(feedback) == 2


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "give one of prompt, messages and embedding"),
        ({**QUERY, "prompt": "x"}, 422, "give one of prompt"),
        ({"prompt": "x"}, 422, "cannot encode prompts"),
        ({"embedding": [1.0]}, 422, "4"),
        ({"embedding": "x"}, 422, "list of numbers"),
        ({"embedding": ["x"] * 4}, 422, "must be numbers"),
        ({"embedding": [1e300, 0, 0, 0]}, 422, "finite"),
        ({**QUERY, "cost_weight": 1e6}, 422, "outside the fitted range"),
        ({**QUERY, "cost_weight": "50"}, 422, "must be a number"),
        ({**QUERY, "models": ["nobody"]}, 422, "no model 'nobody'"),
        ({**QUERY, "models": []}, 422, "no model is left"),
        ({**QUERY, "tenant": 5}, 422, "tenant must be text"),
        ({**QUERY, "budget": 0}, 422, "dollars above 0"),
        ({**QUERY, "tokens": "many"}, 422, "tokens must be a number above 0"),
        ({**QUERY, "tokens": 5}, 422, "none are served here"),
        ({**QUERY, "budget": 1e-6}, 422, "for 1e-06 dollars; the least is 0.001"),
        ([1], 400, "no object"),
        ({"embedding": [0.5] * 1000}, 413, "larger than 2,000 bytes"),
    ],
)
def test_what_cannot_be_routed_is_refused_in_one_sentence(client, body, status, said):
    answer = client.post("/route", json=body)
    assert answer.status_code == status and said in answer.json()["error"]["message"]


def test_json_that_is_none_is_refused(client):
    for content in (b"{", b'{"embedding": [NaN, 0, 0, 0]}', b"[" * 1500, b"\xff"):
        assert client.post("/route", content=content).status_code == 400


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"quality": 1.0}, "id must be"),
        ({"id": "x"}, "quality, cost or both"),
        ({"id": "x", "quality": 1.5}, "at most 1"),
        ({"id": "x", "cost": -0.1}, "at least 0"),
        ({"id": "x", "quality": True}, "must be a number"),
        ({"id": "x" * 65, "quality": 1}, "id must be"),
    ],
)
def test_feedback_that_cannot_be_is_refused_and_not_logged(client, tmp_path, body, said):
    answer = client.post("/feedback", json=body)
    assert answer.status_code == 422 and said in answer.json()["error"]["message"]
    assert len(events(tmp_path / "log")) == 1


def test_a_token_is_asked_for_everywhere_but_at_health(folder):
    with TestClient(make_app(served(folder, token="secret"))) as client:
        assert client.post("/route", json=QUERY).status_code == 401
        assert client.get("/metrics").status_code == 401
        wrong = {"authorization": "Bearer other"}
        assert client.post("/route", json=QUERY, headers=wrong).status_code == 401
        right = {"authorization": "Bearer secret"}
        assert client.post("/route", json=QUERY, headers=right).json()["logged"] is False
        assert client.get("/health").json()["status"] == "ok"
        assert client.post("/feedback", json={}, headers=right).status_code == 409


def test_exploration_is_drawn_from_what_is_written_within_its_limits(folder, tmp_path):
    exploring = Exploring(0.3, "floor", Limits({"bank": ("c",)}, within=0.35))
    with TestClient(make_app(served(folder, tmp_path / "log", exploring=exploring))) as client:
        plain = [client.post("/route", json=QUERY).json() for _ in range(300)]
        bank = client.post("/route", json={**QUERY, "tenant": "bank"}).json()
        text = client.get("/metrics").text
    # "b" is 0.4 worse than "a" here, "c" 0.3: only "a" and "c" are explored
    assert plain[0]["probabilities"] == pytest.approx({"a": 0.85, "b": 0.0, "c": 0.15})
    explored = sum(each["explored"] for each in plain)
    assert abs(explored - 45) < 4 * (300 * 0.15 * 0.85) ** 0.5
    assert bank["probabilities"] == pytest.approx({"a": 1.0, "b": 0.0})
    assert f"routerjax_explored_total {explored}\n" in text
    assert "routerjax_route_seconds_count 301\n" in text


def test_exploration_stops_when_its_dollars_of_the_day_are_spent(folder):
    exploring = Exploring(0.5, "floor", Limits(dollars_a_day=0.004))
    with TestClient(make_app(served(folder, cost_weight=100.0, exploring=exploring))) as client:
        rows = [client.post("/route", json={"embedding": [-2.0, 0, 0, 0]}).json() for _ in range(9)]
    # "b" (0.002) is chosen; the mean of all is 0.00233, so that a query adds 0.00017
    assert {row["preferred"] for row in rows} == {"b"}
    rates = [row["probabilities"]["a"] > 0 for row in rows]
    assert rates == [True] * 9
    exploring = Exploring(0.5, "floor", Limits(dollars_a_day=0.0004))
    with TestClient(make_app(served(folder, cost_weight=100.0, exploring=exploring))) as client:
        rows = [client.post("/route", json={"embedding": [-2.0, 0, 0, 0]}).json() for _ in range(9)]
    assert [row["probabilities"]["a"] > 0 for row in rows] == [True] * 2 + [False] * 7


def test_models_are_offered_or_not(folder):
    with TestClient(make_app(served(folder, only=("b", "c"), exclude=("c",)))) as client:
        assert client.post("/route", json=QUERY).json()["probabilities"] == {"b": 1.0}
        refused = client.post("/route", json={**QUERY, "models": ["a"]})
        assert "every one is ruled out" in refused.json()["error"]["message"]
    with pytest.raises(InputError, match="no model 'x'"):
        served(folder, exclude=("x",))
    with pytest.raises(InputError, match="no model 'x'"):
        served(folder, exploring=Exploring(0.1, limits=Limits({"bank": ("x",)})))
    with pytest.raises(InputError, match="no model is left"):
        served(folder, exclude=MODELS)
    with pytest.raises(InputError, match="no members"):
        served(folder, exploring=Exploring(0.1, "members"))
    with pytest.raises(InputError, match="no draws"):
        served(folder, exploring=Exploring(0.1, "posterior"))
    with pytest.raises(InputError, match="outside the fitted range"):
        served(folder, cost_weight=1e6)


def test_a_router_without_a_model_that_was_retired_is_taken_up(tmp_path):
    small_router().save(tmp_path / "router")
    service = served(tmp_path / "router", exclude=("c",))
    names = {"models": ("a", "b", "d"), "best_single": ("a",) * 3}
    dataclasses.replace(small_router(), **names).save(tmp_path / "router", overwrite=True)
    service.take_up(service.load())
    assert service.served.offered.tolist() == [True, True, True]


def test_a_full_disk_is_said_and_serving_goes_on(folder, tmp_path, capsys):
    service = served(folder, tmp_path / "log")
    with TestClient(make_app(service)) as client:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            found = client.post("/route", json=QUERY).json()
            fed = client.post("/feedback", json={"id": found["id"], "quality": 1})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        health = client.get("/health").json()
        assert found["model"] == "a" and found["logged"] is False and fed.status_code == 503
        assert health["status"] == "degraded" and "cannot be written" in health["problems"][0]
        assert "routerjax_log_failures_total 2\n" in client.get("/metrics").text
        assert client.post("/route", json=QUERY).json()["logged"] is True
        assert client.get("/health").json()["status"] == "ok"
    assert "serving goes on" in capsys.readouterr().err


def test_a_pacer_spends_a_day_evenly_and_never_much_more():
    """Spending falls as λ rises; traffic for seven times the dollars, and they last the day."""
    pacer = Pacer(10.0, cost_weights=(0.0, 10.0, 100.0, 1000.0), start=10.0)
    spent = 0.0
    for second in range(0, 86_400, 60):
        weight = pacer.cost_weight(second)
        cost = 0.05 / (1 + weight / 20)
        pacer.charge(cost, second)
        spent += cost
    assert 9.0 < spent < 10.2
    assert pacer.cost_weight(DAY) < 1000.0  # a new day, a new budget
    assert pacer.cost_weight(DAY - 5) < 1000.0  # and no second one by a clock that goes back
    pacer.charge(10.0, DAY)
    assert pacer.cost_weight(DAY + 1) == 1000.0
    with pytest.raises(InputError, match="above 0"):
        Pacer(0.0, cost_weights=(0.0, 1.0), start=0.0)


# chat completions


class Mock:
    """Upstreams by host: what each answers, and what it was asked."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host.removesuffix(".test")
        self.asked.append((name, request))
        answer = self.answers.get(name, 200)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        if isinstance(answer, int) and answer != 200:
            return httpx.Response(answer, json={"error": {"message": f"says {name}"}})
        body = json.loads(request.content)
        if body.get("stream"):
            return httpx.Response(
                200, content=_stream(), headers={"content-type": "text/event-stream"}
            )
        message = {"role": "assistant", "content": f"hello from {name}"}
        usage = {"prompt_tokens": 10, "completion_tokens": 20}
        found = {"model": body["model"], "choices": [{"message": message}], "usage": usage}
        return httpx.Response(200, json=found)


async def _stream():
    for text in ("he", "llo"):
        chunk = {"model": "a-large", "choices": [{"delta": {"content": text}}]}
        yield f"data: {json.dumps(chunk)}\n\n".encode()
    usage = {"prompt_tokens": 10, "completion_tokens": 20}
    yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n".encode()


async def _cut():
    yield b'data: {"choices": []}\n\n'
    raise httpx.ReadError("gone")


class Encoder:
    """Stands for a text encoder: every prompt is the same query."""

    def __call__(self, prompts, *, encoder, cache):
        assert cache is None, "prompts are kept nowhere"
        return np.float32([[1, 0, 0, 0]] * len(prompts))


@pytest.fixture
def chat(tmp_path, monkeypatch):
    """A function: mock → client of a service that chats; its log is `tmp_path / "log"`."""
    monkeypatch.setenv("KEY_OF_A", "sk-1")
    (tmp_path / "up.toml").write_text(UPSTREAMS)
    dataclasses.replace(small_router(), encoder="wordllama").save(tmp_path / "router")
    monkeypatch.setattr("routerjax.data.encoders.encoding.encode", Encoder())
    upstreams = read_upstreams(tmp_path / "up.toml")

    def made(mock: Mock, **settings) -> TestClient:
        service = served(tmp_path / "router", tmp_path / "log", upstreams=upstreams, **settings)
        return TestClient(make_app(service, transport=httpx.MockTransport(mock)))

    return made


HELLO = {"model": "routerjax", "messages": [{"role": "user", "content": "My secret is 42."}]}


def test_a_chat_completion_names_the_model_that_was_chosen_and_is_logged(chat, tmp_path):
    mock = Mock()
    with chat(mock) as client:
        body = {**HELLO, "routerjax": {"group": "anna"}, "temperature": 0.5}
        answer = client.post("/v1/chat/completions", json=body)
        assert client.get("/v1/models").json()["data"][0]["id"] == "routerjax"
    assert answer.json()["model"] == answer.headers["x-routerjax-model"] == "a"
    assert answer.json()["choices"][0]["message"]["content"] == "hello from a"
    [(name, request)] = mock.asked
    sent = json.loads(request.content)
    assert str(request.url) == "http://a.test/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer sk-1"
    assert sent == {"model": "a-large", "messages": HELLO["messages"], "temperature": 0.5}
    _, decision, done = events(tmp_path / "log")
    assert decision["id"] == done["id"] == answer.headers["x-routerjax-id"]
    assert done["cost"] == pytest.approx((10 * 10 + 20 * 30) / 1e6) and done["model"] == "a"
    assert "secret" not in (tmp_path / "log").joinpath(_file(tmp_path)).read_text()


def _file(folder: Path) -> str:
    [found] = (folder / "log").iterdir()
    return found.name


def test_prompts_are_logged_only_where_that_is_asked_for(chat, tmp_path):
    with chat(Mock(), log_prompts=True, log_digests=True) as client:
        client.post("/v1/chat/completions", json=HELLO)
        client.post("/feedback", json={"id": events(tmp_path / "log")[1]["id"], "quality": 1})
    decision = events(tmp_path / "log")[1]
    assert decision["prompt"] == "My secret is 42." and "embedding" not in decision
    assert len(decision["digest"]) == 32
    with pytest.raises(InputError, match="digests"):
        read_decisions(tmp_path / "log")


@pytest.mark.parametrize("asked", [None, {"include_usage": True, "x": 1}, {"x": 1}])
def test_a_stream_passes_line_by_line_with_the_chosen_model_in_it(chat, tmp_path, asked):
    """And what it cost is logged whether the client had asked for that or not."""
    mock, is_asked = Mock(), (asked or {}).get("include_usage", False)
    with chat(mock) as client:
        body = {**HELLO, "stream": True, **({"stream_options": asked} if asked else {})}
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = [line for line in answer.iter_lines() if line]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert lines[-1] == "data: [DONE]"
    assert [chunk["model"] for chunk in chunks] == ["a"] * (3 if is_asked else 2)
    sent = json.loads(mock.asked[0][1].content)
    assert sent["stream_options"] == {**(asked or {}), "include_usage": True}
    assert "".join(c["choices"][0]["delta"]["content"] for c in chunks[:2]) == "hello"
    done = events(tmp_path / "log")[-1]
    assert done["outcome"] == "ok" and done["cost"] == pytest.approx(0.0007)


GARBAGE = httpx.Response(200, content=b"<html>")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (429, "status 429"),
        (500, "status 500"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (httpx.ConnectError("dead"), "unreached"),
        (GARBAGE, "garbage"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_failed_upstream_is_followed_by_the_fallback_order_and_logged_as_such(
    chat, tmp_path, fault, outcome, stream
):
    mock = Mock(a=fault, c=503)
    with chat(mock) as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, "stream": stream})
        text = client.get("/metrics").text
    assert answer.status_code == 200 and answer.headers["x-routerjax-model"] == "b"
    assert answer.headers["x-routerjax-drawn"] == "a"
    assert [name for name, _ in mock.asked] == ["a", "c", "b"]
    _, decision, first, second, done = events(tmp_path / "log")
    assert (first["event"], first["model"], first["outcome"]) == ("failure", "a", outcome)
    assert (second["model"], done["event"], done["model"]) == ("c", "answer", "b")
    assert 'routerjax_fallbacks_total{drawn="a",model="b"} 1' in text
    with pytest.raises(InputError, match="1 answered by another model"):
        read_decisions(tmp_path / "log")


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        (429, 429, "says a"),
        (503, 503, "says a"),
        (httpx.ReadTimeout("slow"), 504, "in time"),
        (httpx.ConnectError("dead"), 502, "cannot be reached"),
        (GARBAGE, 502, "no completion"),
    ],
)
def test_where_all_upstreams_fail_the_first_ones_error_passes_through(chat, fault, status, said):
    with chat(Mock(a=fault, b=500, c=500)) as client:
        answer = client.post("/v1/chat/completions", json=HELLO)
    assert answer.status_code == status and said in answer.json()["error"]["message"]


def test_a_request_that_is_wrong_falls_back_nowhere(chat, tmp_path):
    mock = Mock(a=400)
    with chat(mock) as client:
        answer = client.post("/v1/chat/completions", json=HELLO)
        assert answer.status_code == 400 and len(mock.asked) == 1
        for body, said in (
            ({**HELLO, "model": "gpt-4"}, 'model must be "routerjax"'),
            ({**HELLO, "routerjax": {"x": 1}}, "must be an object of"),
            ({**HELLO, "messages": []}, "the prompt is empty"),
        ):
            refused = client.post("/v1/chat/completions", json=body)
            assert refused.status_code == 422 and said in refused.json()["error"]["message"]
    assert len(mock.asked) == 1 and "cost" not in events(tmp_path / "log")[-1]


@pytest.mark.parametrize(
    "content",
    [b"hello\n\ndata: world\n\n", b'data: {"error": {"message": "busy"}}\n\n', b": wait\n\n", b""],
)
def test_a_stream_that_begins_with_no_piece_of_an_answer_is_garbage(chat, tmp_path, content):
    odd = httpx.Response(200, content=content, headers={"content-type": "text/event-stream"})
    with chat(Mock(a=odd, c=503)) as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, "stream": True})
    assert answer.headers["x-routerjax-model"] == "b" and "hello" not in answer.text
    assert events(tmp_path / "log")[2]["outcome"] == "garbage"


def test_comments_before_a_stream_pass_with_it_and_half_characters_stay(chat, tmp_path):
    piece = b'data: {"choices": [{"delta": {"content": "\\ud83d"}}]}'
    content = b": wait\n\n" + piece + b"\n\ndata: [DONE]\n\n"
    late = httpx.Response(200, content=content, headers={"content-type": "text/event-stream"})
    with chat(Mock(a=late)) as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, "stream": True})
    assert answer.text.startswith(": wait\n\ndata: {") and "\\ud83d" in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")
    assert events(tmp_path / "log")[-1]["outcome"] == "ok"


def test_a_stream_that_breaks_off_says_so_and_is_logged_as_cut(chat, tmp_path):
    broken = httpx.Response(200, content=_cut(), headers={"content-type": "text/event-stream"})
    with chat(Mock(a=broken)) as client:
        answer = client.post("/v1/chat/completions", json={**HELLO, "stream": True})
    assert "upstream_error" in answer.text and answer.text.endswith("data: [DONE]\n\n")
    assert events(tmp_path / "log")[-1]["outcome"] == "cut"


def test_a_budget_in_a_header_holds_for_the_fallback_order_as_well(chat):
    mock = Mock(c=500)
    with chat(mock) as client:
        headers = {"x-routerjax-budget": "0.0015"}
        answer = client.post("/v1/chat/completions", json=HELLO, headers=headers)
        assert answer.status_code == 500 and [name for name, _ in mock.asked] == ["c"]
        for text in ("nan", "cheap"):
            headers = {"x-routerjax-budget": text, "x-routerjax-cost-weight": text}
            answer = client.post("/v1/chat/completions", json=HELLO, headers=headers)
            assert answer.status_code == 422 and "must be a number" in answer.text
        answer = client.post(
            "/v1/chat/completions", json=HELLO, headers={"x-routerjax-cost-weight": "nan"}
        )
        assert answer.status_code == 422


def test_a_request_goes_to_no_model_whose_context_it_exceeds(chat):
    mock = Mock()
    with chat(mock) as client:
        client.post("/v1/chat/completions", json={**HELLO, "max_tokens": 90})
        routed = [
            client.post("/route", json={"prompt": "x" * length, **more}).json()["model"]
            for length, more in ((392, {}), (404, {"messages": None}), (4, {"tokens": 101}))
        ]
        alone = {"prompt": "x" * 404, "models": ["a"]}
        none = client.post("/route", json=alone)
    assert mock.asked[0][0] == "c"  # "a" takes 100 tokens; of the others "c" is better here
    assert routed == ["a", "c", "c"]
    assert none.status_code == 422 and "no model's context holds 101 tokens" in none.text
