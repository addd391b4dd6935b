"""The plugin and the callback in LiteLLM's own router, by its mock answers; skipped without it."""

from __future__ import annotations

import asyncio
import dataclasses
import warnings

import numpy as np
import pytest
from served_router import events, small_router

from routerjax.data.io.decisions import read_decisions
from routerjax.errors import DataWarning, InputError

with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
    warnings.simplefilter("ignore")
    patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("litellm")
    from routerjax.integrations.litellm import RouterPlugin

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = {"openai/gpt-4o": "a", "openai/gpt-4o-mini": "b"}
HELLO = [{"role": "user", "content": "Hello"}]


def deployment(model: str, answer: object) -> dict:
    params = {"model": model, "api_key": "x", "mock_response": answer}
    return {"model_name": "all", "litellm_params": params}


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "routerjax.data.encoders.encoding.encode",
        lambda prompts, **_: np.float32([[1, 0, 0, 0]] * len(prompts)),
    )
    dataclasses.replace(small_router(), encoder="wordllama").save(tmp_path / "router")
    made = RouterPlugin(
        tmp_path / "router",
        cost_weight=0.0,
        explore=0.4,
        log=tmp_path / "log",
        names=NAMES,
        seed=0,
    )
    yield made
    made.close()


def asked(router, count: int = 1, **metadata) -> list:
    """Answers of a router, when the callbacks have been called."""

    async def all_of_them() -> list:
        found = [
            await router.acompletion(model="all", messages=HELLO, metadata={"routerjax": metadata})
            for _ in range(count)
        ]
        await asyncio.sleep(0.5)
        return found

    return asyncio.run(all_of_them())


def test_the_plugin_narrows_the_candidates_and_the_callback_writes_the_log(plugin, tmp_path):
    models = [deployment(name, f"I am {own}") for name, own in NAMES.items()]
    router = litellm.Router([*models, deployment("openai/c", "I am c")], plugins=[plugin])
    answers = asked(router, 30, group="anna")
    for answer in answers:
        assert plugin.feedback(answer.id, quality=0.5)
    joined = read_decisions(tmp_path / "log")
    assert joined.counts == {"decisions": 30, "rows": 30}
    # 0.4 of the queries are spread over three models, and "a" is the choice
    assert np.allclose(joined.log.propensities, [[0.6 + 0.4 / 3, 0.4 / 3, 0.4 / 3]])
    said = [answer.choices[0].message.content for answer in answers]
    assert said == [f"I am {joined.log.models[arm]}" for arm in joined.log.arms]
    assert 3 < said.count("I am a") < 30 and set(joined.log.group) == {"anna"}
    cost = joined.log.cost[joined.log.arms == 0]
    assert (cost > 0).all() and len(np.unique(cost)) == 1
    with pytest.raises(InputError, match="between 0 and 1"):
        plugin.feedback(answers[0].id, quality=2.0)
    with pytest.raises(InputError, match="and finite"):
        plugin.feedback(answers[0].id, cost=float("inf"))


def test_an_answer_that_was_kept_is_no_models(plugin, tmp_path):
    """Else a model would seem to cost nothing, for an answer that may be another one's."""
    models = [deployment(name, f"I am {own}") for name, own in NAMES.items()]
    asked(litellm.Router(models, plugins=[plugin]), 2)
    first, second = (e for e in events(tmp_path / "log") if e["event"] == "decision")
    signals = {"routing_plugin_signals": {"routerjax": {"id": first["id"], "model": "a"}}}
    kept = {
        "standard_logging_object": {"cache_hit": True, "response_cost": 0.0, "id": "answer"},
        "litellm_params": {"metadata": signals},
    }
    asyncio.run(plugin.logger.async_log_success_event(kept, None, None, None))
    assert events(tmp_path / "log")[-1]["outcome"] == "cache"
    for name in ("answer", second["id"]):
        plugin.feedback(name, quality=0.5)
    with pytest.warns(DataWarning, match="1 answered by another model"):
        assert read_decisions(tmp_path / "log").log.ids == (second["id"],)


def test_where_no_candidate_is_the_routers_nothing_is_changed(plugin, tmp_path):
    router = litellm.Router([deployment("openai/other", "hi")], plugins=[plugin])
    [answer] = asked(router)
    assert answer.choices[0].message.content == "hi"
    assert [each["event"] for each in events(tmp_path / "log")] == ["start"]


def test_a_failed_answer_is_logged_and_its_retry_is_another_decision(plugin, tmp_path):
    broken = deployment("openai/gpt-4o", Exception("dead"))
    router = litellm.Router([broken], plugins=[plugin], num_retries=1, retry_after=0)
    with pytest.raises(Exception, match="dead"):
        asked(router)
    asyncio.run(asyncio.sleep(0.2))
    found = [each for each in events(tmp_path / "log") if each["event"] == "decision"]
    assert len({each["id"] for each in found}) == 2


def test_the_router_in_the_folder_is_taken_up(plugin, tmp_path):
    better = dataclasses.replace(small_router(shift=0.5), encoder="wordllama")
    better.save(tmp_path / "router", overwrite=True)
    before = plugin.service.served.fingerprint
    plugin.reload()
    assert plugin.service.served.fingerprint != before
    assert events(tmp_path / "log")[-1]["event"] == "start"
