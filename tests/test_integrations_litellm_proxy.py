"""The plugin in LiteLLM's proxy on loopback, by its mock answers; skipped without the proxy."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from served_router import events, post, small_router, wait_for

from routerjax.data.io.decisions import read_decisions

NEEDED = ("litellm", "fastapi", "uvicorn", "websockets", "apscheduler", "orjson", "backoff")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"LiteLLM's proxy needs {', '.join(MISSING)}"),
]
CONFIG = """
model_list:
  - model_name: all
    litellm_params: {model: openai/gpt-4o, api_key: x, mock_response: I am a}
  - model_name: all
    litellm_params: {model: openai/gpt-4o-mini, api_key: x, mock_response: I am b}
router_settings:
  plugins: [routed.plugin]
"""
PLUGIN = """
import numpy as np
import routerjax.data.encoders.encoding as encoding
from routerjax.integrations.litellm import RouterPlugin

encoding.encode = lambda prompts, **_: np.float32([[1, 0, 0, 0]] * len(prompts))
names = {"openai/gpt-4o": "a", "openai/gpt-4o-mini": "b"}
plugin = RouterPlugin("router", cost_weight=0.0, explore=0.4, log="log", names=names, seed=0)
"""
KEY = f"sk-{secrets.token_hex(32)}"
HEADERS = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
HELLO = {"model": "all", "messages": [{"role": "user", "content": "Hello"}]}


def answers(url: str) -> bool:
    """Whether the proxy is up."""
    try:
        with urllib.request.urlopen(f"{url}/health/liveliness", timeout=2) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """Folder and address of a proxy in a process of its own."""
    place = tmp_path_factory.mktemp("proxy")
    dataclasses.replace(small_router(), encoder="wordllama").save(place / "router")
    (place / "config.yaml").write_text(CONFIG)
    (place / "routed.py").write_text(PLUGIN)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    root = str(Path(__file__).parent.parent)
    own = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONPATH": root}
    own |= {"LITELLM_MASTER_KEY": KEY}
    command = [sys.executable, "-m", "litellm.proxy.proxy_cli", "--config", "config.yaml"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    with open(place / "said", "w") as said:
        server = subprocess.Popen(command, cwd=place, env=own, stdout=said, stderr=said)
    url, end = f"http://127.0.0.1:{port}", time.monotonic() + 120
    try:
        while not answers(url):
            text = (place / "said").read_text()
            if "ModuleNotFoundError" in text or "ImportError" in text:
                pytest.skip(f"LiteLLM's proxy is not whole: {text.splitlines()[-1][:200]}")
            assert server.poll() is None and time.monotonic() < end, text[-2000:]
            time.sleep(0.2)
        yield place, url
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


def test_the_proxy_asks_the_model_that_was_drawn_and_the_log_can_be_fitted(proxy):
    place, url = proxy
    said = [post(f"{url}/v1/chat/completions", HELLO, **HEADERS) for _ in range(30)]
    assert {status for status, _ in said} == {200}
    texts = [body["choices"][0]["message"]["content"] for _, body in said]
    assert 3 < texts.count("I am a") < 30 and set(texts) == {"I am a", "I am b"}

    def answered() -> list[dict]:
        return [each for each in events(place / "log") if each["event"] == "answer"]

    wait_for(lambda: len(answered()) == 30)
    decisions = [each for each in events(place / "log") if each["event"] == "decision"]
    assert [f"I am {each['model']}" for each in decisions] == texts
    assert {each["id"] for each in answered()} == {each["id"] for each in decisions}
    assert all(each["cost"] > 0 for each in answered())
    with open(next((place / "log").iterdir()), "a") as log:  # feedback, as another server's
        for each in decisions:
            line = {"event": "feedback", "time": each["time"], "id": each["id"], "quality": 1.0}
            log.write(json.dumps(line) + "\n")
    joined = read_decisions(place / "log")
    assert joined.counts == {"decisions": 30, "rows": 30}
    assert np.allclose(joined.log.propensities, [[0.8, 0.2]])
