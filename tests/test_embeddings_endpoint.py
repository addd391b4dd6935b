"""Encoders behind an address, asked of a real server on this machine."""

from __future__ import annotations

import http.server
import json
import threading

import numpy as np
import pytest

from routerjax.data.encoders import encoding, endpoint
from routerjax.data.encoders.encoding import encode
from routerjax.errors import InputError


class Server(http.server.ThreadingHTTPServer):
    """Answers as OpenAI does: the vector of a text is (its length, 1), the last text first.

    `first` holds what is answered before that, one a request: a status, headers and a body.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.first: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[dict] = []
        self.keys: list[str | None] = []

    @property
    def encoder(self) -> str:
        return f"openai:some-model@http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append({**body, "path": self.path})
        self.server.keys.append(self.headers.get("Authorization"))
        data = [
            {"index": place, "embedding": [len(text), 1.0], "object": "embedding"}
            for place, text in enumerate(body["input"])
        ]
        status, headers, content = 200, {}, json.dumps({"data": data[::-1]}).encode()
        if self.server.first:
            status, headers, content = self.server.first.pop(0)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("ROUTERJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(endpoint.KEY, raising=False)
    monkeypatch.delenv(endpoint.OPENAI_KEY, raising=False)
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.01)
    encoding._loaded.cache_clear()
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=[0.01], daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()
    encoding._loaded.cache_clear()


def said(*args, **options) -> str:
    with pytest.raises(InputError) as caught:
        encode(*args, **options)
    return str(caught.value)


def test_prompts_are_sent_in_batches_and_their_vectors_put_in_order(server):
    prompts = ["a" * length for length in range(1, 201)]
    values = encode(prompts, encoder=server.encoder)
    lengths = np.arange(1, 201)
    expected = np.stack([lengths, np.ones(200)], axis=1) / np.hypot(lengths, 1)[:, None]
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert [len(each["input"]) for each in server.asked] == [128, 72]
    assert {each["model"] for each in server.asked} == {"some-model"}
    assert {each["path"] for each in server.asked} == {"/v1/embeddings"}
    assert server.keys == [None, None]


def test_what_was_paid_for_is_kept_even_of_one_prompt(server):
    first = encode(["abc"], encoder=server.encoder)
    np.testing.assert_array_equal(encode(["abc"], encoder=server.encoder), first)
    encode(["abc", "abcd"], encoder=server.encoder)
    assert [each["input"] for each in server.asked] == [["abc"], ["abcd"]]


def test_long_prompts_come_in_more_requests(server, monkeypatch):
    monkeypatch.setattr(endpoint, "CHARACTERS", 10)
    encode(["aaaa", "bbbb", "c" * 30, "dd"], encoder=server.encoder)
    sizes = [[len(text) for text in each["input"]] for each in server.asked]
    assert sizes == [[4, 4], [30], [2]]


def test_an_empty_prompt_is_zeros_and_is_not_sent(server):
    values = encode(["", "abc", " \n"], encoder=server.encoder)
    np.testing.assert_allclose(values, np.array([[0, 0], [3, 1], [0, 0]]) / 10**0.5, rtol=1e-6)
    assert server.asked[0]["input"] == ["abc"]


def test_the_key_comes_from_the_environment_and_for_its_own_address_alone(server, monkeypatch):
    monkeypatch.setenv(endpoint.OPENAI_KEY, "sk-openai")
    encode(["a"], encoder=server.encoder)
    monkeypatch.setenv(endpoint.KEY, "sk-own")
    encode(["b"], encoder=server.encoder)
    assert server.keys == [None, "Bearer sk-own"]
    openai = endpoint.address_of("openai:text-embedding-3-small")
    monkeypatch.delenv(endpoint.KEY)
    assert endpoint._key(openai) == "sk-openai" and openai.url == "https://api.openai.com/v1"


def test_a_busy_server_is_asked_again(server, monkeypatch):
    waits = []
    monkeypatch.setattr(endpoint.time, "sleep", waits.append)
    server.first = [(429, {"Retry-After": "7"}, b""), (503, {}, b"later"), (500, {}, b"")]
    assert encode(["abc"], encoder=server.encoder).shape == (1, 2)
    assert waits == [7.0, 0.02, 0.04] and len(server.asked) == 4


def test_a_server_that_stays_busy(server, monkeypatch):
    monkeypatch.setattr(endpoint.time, "sleep", lambda _: None)
    body = json.dumps({"error": {"message": "Rate limit\nreached \x1b[31m" + "x" * 500}}).encode()
    server.first = [(429, {}, body)] * 9
    message = said(["abc"], encoder=server.encoder)
    assert message.startswith(f"encoder '{server.encoder}': http://127.0.0.1:")
    assert "/v1/embeddings answers with status 429 (Rate limit reached [31mxx" in message
    assert "\n" not in message and "\x1b" not in message and len(message) < 350
    assert len(server.asked) == 5


@pytest.mark.parametrize(
    ("status", "headers", "body", "problem"),
    [
        (401, {}, b"", "/embeddings wants a key; set ROUTERJAX_EMBEDDINGS_KEY (status 401)"),
        (404, {}, b'{"error": "no such model"}', "answers with status 404 (no such model)"),
        (400, {}, b'{"message": "too long"}', "answers with status 400 (too long)"),
        (302, {"Location": "http://127.0.0.1:1/"}, b"", "redirects, which is not followed"),
        (200, {}, b"<html>", "answers with something else than 2 embeddings (JSONDecodeError"),
        (200, {}, b'{"data": []}', "something else than 2 embeddings (ValueError: not one"),
        (200, {}, b"[" * 100_000, "answers with something else than 2 embeddings (Recurs"),
        (
            200,
            {},
            b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]}',
            "something else than 2 embeddings (ValueError",
        ),
        (
            200,
            {},
            b'{"data": [{"index": 0, "embedding": [NaN]}, {"index": 1, "embedding": [1]}]}',
            "something else than 2 embeddings (ValueError: not finite",
        ),
    ],
)
def test_answers_that_end_with_one_sentence(server, status, headers, body, problem):
    server.first = [(status, headers, body)]
    message = said(["abc", "d"], encoder=server.encoder)
    assert problem in message and "\n" not in message
    assert len(server.asked) == 1


def test_the_key_is_never_in_a_message(server, monkeypatch):
    monkeypatch.setenv(endpoint.KEY, "sk-secret")
    server.first = [(400, {}, b"no sk-secret here"), (403, {}, b"sk-secret is not allowed")]
    assert "(no *** here)" in said(["a"], encoder=server.encoder)
    message = said(["a"], encoder=server.encoder)
    assert "refuses the key in ROUTERJAX_EMBEDDINGS_KEY (status 403)" in message


def test_a_server_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv("ROUTERJAX_CACHE", str(tmp_path))
    monkeypatch.setattr(endpoint.time, "sleep", lambda _: None)
    message = said(["a"], encoder="openai:m@http://127.0.0.1:9/v1", cache=None)
    assert "http://127.0.0.1:9/v1/embeddings cannot be reached (" in message


@pytest.mark.parametrize(
    "encoder",
    [
        "openai:",
        "openai:two words",
        "openai:m@http://user:secret@host/v1",
        "openai:m@http://host/v1?key=1",
        "openai:m@http://host/v1#a",
        "openai:@http://host/v1",
        "openai:m@http://",
    ],
)
def test_names_that_are_no_address(encoder):
    assert "an endpoint is openai:MODEL@http://host/v1" in said(["a"], encoder=encoder)
