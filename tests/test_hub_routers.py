"""Routers on the hub: published, carded, fetched; against a stand-in of its HTTP API."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest
from hub_stand_in import Hub, served
from small_router import pair

import routerjax as rj
from routerjax.artefacts.card import card
from routerjax.artefacts.gains import SavedGains
from routerjax.cli.commands import main
from routerjax.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the client's


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The stand-in, and a cache of its own for what is fetched."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with served() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def value_of(router: rj.Router | SavedGains) -> float:
    assert isinstance(router, SavedGains)
    return float(np.asarray(router.arrays.gain.coefficients)[0, 0])


def push(router, name="owner/router", **options) -> str:
    return rj.push_to_hub(router, name, **{"licence": "apache-2.0", "token": "hf_x"} | options)


def test_a_router_goes_to_the_hub_and_comes_back(hub: Hub, capfd):
    url = push(pair(3))
    (_, first), (number, files) = hub.models["owner/router"]
    assert url == f"{hub.url}/owner/router/commit/{number}" and first == {}
    names = sorted(re.sub("-[0-9a-f]{16}", "", name) for name in files)
    assert names == ["README.md", "parameters.safetensors", "router.json"]
    assert hub.private["owner/router"]
    assert value_of(rj.load("hub:owner/router")) == 3

    push(pair(4))  # one commit, in which the parameters of the first are gone
    assert len(hub.models["owner/router"]) == 3 and len(hub.models["owner/router"][-1][1]) == 3
    assert value_of(rj.load("hub:owner/router")) == 4
    assert value_of(rj.load(f"hub:owner/router@{number}")) == 3
    assert capfd.readouterr() == ("", "")

    assert main(["route", "hub:owner/router", "--prompt", "x", "--cost-weight", "1"]) == 2
    assert "cannot encode prompts; give it embeddings of 4" in capfd.readouterr().err


def test_what_was_fetched_is_there_without_a_network(hub: Hub, monkeypatch):
    push(pair(3))
    rj.load("hub:owner/router")
    asked = len(hub.asked)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert value_of(rj.load("hub:owner/router")) == 3
    with pytest.raises(InputError, match=r"hub:owner/other: cannot be fetched \(Cannot find"):
        rj.load("hub:owner/other")
    with pytest.raises(InputError, match="owner/router: the Hugging Face hub cannot be reached"):
        push(pair(4))
    assert len(hub.asked) == asked


def test_what_the_hub_refuses_is_one_sentence(hub: Hub):
    with pytest.raises(InputError) as missing:
        rj.load("hub:owner/nothing")
    assert str(missing.value).startswith("hub:owner/nothing: cannot be fetched (")
    hub.refuses = True
    with pytest.raises(InputError) as refused:
        push(pair(3))
    assert str(refused.value).startswith("owner/router: cannot be published (")
    for sentence in (str(missing.value), str(refused.value)):
        assert "\n" not in sentence and "hf_x" not in sentence


@pytest.mark.parametrize("name", ["router", "a/b/c", "../x", "owner/ro uter", "", "https://a/b"])
def test_names_that_are_none(name):
    with pytest.raises(InputError, match="is no name of the hub; it must be owner/name"):
        push(pair(), name)
    with pytest.raises(InputError, match="is no name of the hub; it must be owner/name"):
        rj.load(f"hub:{name}")


@pytest.mark.parametrize("licence", ["", "Apache 2.0", "mit\ntags: [x]", "x" * 99])
def test_licences_that_are_none(licence):
    with pytest.raises(InputError, match="the hub knows them as apache-2.0"):
        push(pair(), licence=licence)


def test_a_router_of_the_hub_with_an_encoder_of_its_own_is_refused(hub: Hub):
    push(dataclasses.replace(pair(), encoder="someone/model"))
    with pytest.raises(InputError, match="names the encoder 'someone/model'"):
        rj.load("hub:owner/router")
    assert rj.load("hub:owner/router", trust_encoder=True).encoder == "someone/model"


def test_the_card_states_what_the_report_says(router):
    report = {**router.report}
    evaluation = report["evaluation"]
    assert evaluation is not None
    text = card(router, name="owner/router", licence="other")
    header, *_ = text.removeprefix("---\n").split("---\n")
    assert header == "library_name: routerjax\nlicense: other\ntags:\n- routerjax\n- llm-routing\n"
    plain = re.sub(r"\\(.)", r"\1", text)
    for sentence in (*evaluation["verdict"], *evaluation["notes"]):
        assert sentence in plain
    assert f"`{router.provenance['data_fingerprint']}`" in text
    for arm, model in enumerate(router.models):
        assert f"| `{model}` | {report['overlap']['arm_rows'][arm]:,} | " in text
    assert 'rj.load("hub:owner/router")' in text and "licence `other`" in text


def test_names_of_the_log_are_no_markup_on_the_card(router):
    bad = "a|b`](javascript:x)<script>\n# head"
    models = (bad, *router.models[1:])
    overlap = {**router.report["overlap"], "models": models}
    evaluation = {**router.report["evaluation"], "verdict": [f"The router is {bad}."]}
    report = {**router.report, "overlap": overlap, "evaluation": evaluation}
    text = card(
        dataclasses.replace(router, models=models, report=report), name="o/r", licence="mit"
    )
    assert "\n# head" not in text and "`](" not in text
    code = re.compile("`[^`\n]*`")
    assert "<script>" not in re.sub(r"\\<", "", code.sub("", text))


def test_a_card_of_a_router_whose_worth_is_not_known():
    text = card(pair(), name="o/r", licence="mit")
    assert "sends a query to `dear` (0.01 dollars a query)" in text
    assert "## What it is worth" not in text and "This is not known." in text


def test_where_the_log_lay_is_not_published(hub: Hub, router):
    evaluation = {**router.report["evaluation"], "source": "/elsewhere/secret/log.csv"}
    push(dataclasses.replace(router, report={**router.report, "evaluation": evaluation}))
    files: dict[str, Any] = hub.models["owner/router"][-1][1]
    assert json.loads(files["router.json"])["report"]["evaluation"]["source"] == "log.csv"
    assert not any(b"secret" in content for content in files.values())
