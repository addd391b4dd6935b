"""What LiteLLM and OpenTelemetry really write, read by the presets of their names.

Both are used where they are installed, and skipped elsewhere. Nothing leaves the machine: models
are mocked, and spans are written to a file.
"""

import asyncio
import contextlib
import datetime
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest

from routerjax.data.columns.schema import Join
from routerjax.data.io.files import read_log

MODELS = ("large", "small")
PROMPTS = tuple(f"what is {i} and {i}?" for i in range(4))


def messages(i):
    return [{"role": "system", "content": "Be kind."}, {"role": "user", "content": PROMPTS[i]}]


def lines(path, rows):
    path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    return path


@pytest.fixture
def litellm(monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    return pytest.importorskip("litellm")


@pytest.mark.filterwarnings("ignore")
def test_payloads_of_litellm(tmp_path, litellm):
    from litellm.integrations.custom_logger import CustomLogger

    seen = []

    class Keeper(CustomLogger):
        async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
            seen.append((kwargs, response_obj, start_time, end_time))

    deployments = [
        {
            "model_name": name,
            "litellm_params": {
                "model": model,
                "api_key": "none",
                "mock_response": f"an answer of {name}",
            },
        }
        for name, model in zip(MODELS, ("openai/gpt-4o", "openai/gpt-4o-mini"), strict=True)
    ]
    litellm.callbacks = [Keeper()]

    async def ask():
        router = litellm.Router(model_list=deployments)
        for i in range(4):
            await router.acompletion(model=MODELS[i % 2], messages=messages(i))
            await asyncio.sleep(0.2)
        for _ in range(50):
            if len(seen) == 4:
                return
            await asyncio.sleep(0.1)

    try:
        asyncio.run(ask())
    finally:
        litellm.callbacks = []
    payloads = [{**kwargs["standard_logging_object"], "score": 1.0} for kwargs, *_ in seen]
    costs = [float(kwargs["response_cost"]) for kwargs, *_ in seen]
    assert len(payloads) == 4 and min(costs) > 0
    log = read_log(lines(tmp_path / "payloads.jsonl", payloads), schema="litellm")
    assert log.prompts == PROMPTS and log.models == MODELS
    assert log.arms.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(log.cost, costs, rtol=1e-6)


KEEPER = """
import json
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy.spend_tracking.spend_tracking_utils import get_logging_payload

class Keeper(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        row = get_logging_payload(kwargs, response_obj, start_time, end_time)
        with open("spend.jsonl", "a") as file:
            file.write(json.dumps(row, default=str) + chr(10))

keeper = Keeper()
"""
KEY = "sk-of-this-test-alone-0123456789"


def proxy_config() -> str:
    """LiteLLM's proxy in front of two models whose answers are mocked."""
    mocked = [
        f"  - model_name: {name}\n"
        f"    litellm_params: {{model: {model}, api_key: none, mock_response: an answer}}\n"
        for name, model in zip(MODELS, ("openai/gpt-4o", "openai/gpt-4o-mini"), strict=True)
    ]
    return (
        f"model_list:\n{''.join(mocked)}"
        "litellm_settings: {callbacks: keeper.keeper}\n"
        "general_settings: {store_prompts_in_spend_logs: true}\n"
    )


@contextlib.contextmanager
def serving(folder):
    """The address of LiteLLM's own proxy, which writes its spend log into the folder."""
    (folder / "config.yaml").write_text(proxy_config())
    (folder / "keeper.py").write_text(KEEPER)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = "import sys; from litellm import run_server; sys.exit(run_server())"
    asked = ["--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    alone = {"LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with open(folder / "said.txt", "w") as said:
        proxy = subprocess.Popen(
            [sys.executable, "-c", start, *asked, "--telemetry", "False"],
            cwd=folder,
            stdout=said,
            stderr=said,
            env={**os.environ, **alone},
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/health/liveliness", timeout=2).close()
                break
            assert proxy.poll() is None, (folder / "said.txt").read_text()[-2000:]
            time.sleep(0.3)
        yield address
    finally:
        proxy.terminate()
        proxy.wait(30)


def test_the_spend_log_of_a_proxy_of_litellm_with_feedback_beside_it(tmp_path):
    pytest.importorskip("litellm")
    pytest.importorskip("fastapi")
    pytest.importorskip("apscheduler", reason="the proxy is an extra of LiteLLM")
    spend, costs, feedback = tmp_path / "spend.jsonl", [], []
    with serving(tmp_path) as address:
        for i in range(4):
            asked = json.dumps({"model": MODELS[i % 2], "messages": messages(i), "user": "anna"})
            head = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
            request = urllib.request.Request(
                f"{address}/chat/completions", asked.encode(), headers=head
            )
            with urllib.request.urlopen(request, timeout=20) as answer:
                costs.append(float(answer.headers["x-litellm-response-cost"]))
                feedback.append(f"{json.load(answer)['id']},{('up', 'down')[i // 2]}\n")
            for _ in range(100):
                if spend.exists() and spend.read_text().count("\n") > i:
                    break
                time.sleep(0.1)
    (tmp_path / "feedback.csv").write_text("request_id,thumb\n" + "".join(feedback))
    join = Join(str(tmp_path / "feedback.csv"), "request_id")
    log = read_log(spend, schema="litellm", joins=[join])
    assert log.prompts == PROMPTS and log.models == MODELS
    assert log.arms.tolist() == [0, 1, 0, 1] and log.quality.tolist() == [1, 1, 0, 0]
    assert min(costs) > 0
    np.testing.assert_allclose(log.cost, costs, rtol=1e-6)


def attributes(i):
    parts = [{"type": "text", "content": PROMPTS[i]}]
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": MODELS[i % 2],
        "gen_ai.response.id": f"r{i}",
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": parts}]),
        "gen_ai.usage.cost": 0.5 * (i + 1),
        "gen_ai.usage.input_tokens": 10,
    }


def check_spans(path):
    log = read_log(path, schema="otel")
    assert log.prompts == PROMPTS and log.models == MODELS
    np.testing.assert_array_equal(log.quality, [0, 1, 0, 1])
    np.testing.assert_array_equal(log.cost, [0.5, 1, 1.5, 2])


def test_spans_of_opentelemetry(tmp_path):
    trace = pytest.importorskip("opentelemetry.sdk.trace")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = trace.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("test")
    now = datetime.datetime.now().timestamp()
    for i in range(4):
        with tracer.start_as_current_span(f"chat {i}", attributes=attributes(i)) as span:
            result = {"gen_ai.evaluation.name": "judge"}
            result["gen_ai.evaluation.score.value"] = float(i % 2)
            span.add_event("gen_ai.evaluation.result", result, int(now * 1e9))
    spans = kept.get_finished_spans()
    as_json = [json.loads(span.to_json()) for span in spans]
    check_spans(lines(tmp_path / "spans.jsonl", as_json))
    encoder = pytest.importorskip("opentelemetry.exporter.otlp.proto.common.trace_encoder")
    from google.protobuf.json_format import MessageToDict

    exports = [MessageToDict(encoder.encode_spans([span])) for span in spans]
    check_spans(lines(tmp_path / "otlp.jsonl", exports))
