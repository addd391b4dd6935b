"""What LiteLLM and OpenTelemetry really write, read by the presets of their names.

Both are used where they are installed, and skipped elsewhere. Nothing leaves the machine: models
are mocked, and spans are written to a file.
"""

import asyncio
import datetime
import json

import numpy as np
import pytest

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
def test_payloads_and_spend_logs_of_litellm(tmp_path, litellm):
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
    try:
        from litellm.proxy import proxy_server
        from litellm.proxy.spend_tracking.spend_tracking_utils import get_logging_payload
    except ImportError:
        return  # the proxy is an extra of LiteLLM
    proxy_server.general_settings["store_prompts_in_spend_logs"] = True
    spent = []
    for i, (kwargs, response, start, end) in enumerate(seen):
        # the proxy keeps the request that it was sent beside the call that it made of it
        body = {"model": MODELS[i % 2], "messages": messages(i)}
        kwargs["litellm_params"]["proxy_server_request"] = {"method": "POST", "body": body}
        row = get_logging_payload(kwargs, response, start, end)
        spent.append({**row, "score": 1.0})
    log = read_log(lines(tmp_path / "spend.jsonl", spent), schema="litellm")
    assert log.prompts == PROMPTS and log.models == MODELS
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
