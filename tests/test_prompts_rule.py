"""The one rule for prompts: text, messages, parts that are no text, and nothing."""

import dataclasses
import json

import pyarrow as pa
import pytest
import small_router

import routerjax as rj
from routerjax.artefacts.gains import SavedGains
from routerjax.cli.route import Routing, _queries
from routerjax.data.columns.prompts import is_missing, prompt_of, prompt_text, prompts_of
from routerjax.errors import InputError

SYSTEM = {"role": "system", "content": "Be kind."}
FIRST = {"role": "user", "content": "Who wrote Emma?"}
ANSWER = {"role": "assistant", "content": "Jane Austen."}
LAST = {"role": "user", "content": "And when?"}
TALK = [SYSTEM, FIRST, ANSWER, LAST]


@pytest.mark.parametrize("wrap", [list, json.dumps, lambda m: {"messages": m}, tuple])
def test_messages_become_their_last_user_turn_or_the_conversation(wrap):
    value = wrap(TALK) if wrap is not tuple else json.dumps({"model": "m", "messages": TALK})
    assert prompt_of(value) == ("And when?", "Be kind.", ())
    assert prompt_text(value, form="conversation") == (
        "user: Who wrote Emma?\n\nassistant: Jane Austen.\n\nuser: And when?"
    )


def test_parts_that_are_no_text_are_named_and_their_data_left():
    data = "data:image/png;base64," + "A" * 50
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": data}},
        {"type": "input_audio", "input_audio": {"data": "AAAA"}},
        f"see {data} please",
    ]
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "look"}}]}
    result = {"role": "tool", "content": "a very long result"}
    found = prompt_of([{"role": "user", "content": content}, call, result])
    assert found.text == "What is this?\n[image]\n[audio]\nsee [image] please"
    assert found.parts == ("image", "audio", "image", "tool call", "tool result")
    talk = prompt_text([FIRST, call, result], form="conversation")
    assert talk == "user: Who wrote Emma?\n\nassistant: [tool call: look]\n\ntool: [tool result]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([{"role": "user", "parts": [{"type": "text", "content": "otel"}]}], "otel"),
        ([{"from": "human", "value": "shared"}, {"from": "gpt", "value": "x"}], "shared"),
        ({"contents": [{"role": "user", "parts": [{"text": "gemini"}]}]}, "gemini"),
        ([{"type": "text", "text": "part"}], "part"),
        ({"role": "user", "content": "alone"}, "alone"),
        ({"question": "held"}, "held"),
        (["one", "two"], "one\n\ntwo"),
        (7, "7"),
    ],
)
def test_other_shapes_of_messages(value, text):
    assert prompt_text(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        " keeps its blanks ",
        '["not", "messages"]',
        '{"task": "some JSON"}',
        "[unfinished",
        "[" * 100_000,
        '"quoted"',
        "NA",
        "null and void",
    ],
)
def test_text_stays_text(text):
    assert prompt_text(text) == text


@pytest.mark.parametrize(
    "value", ["", " \n", "\u200b \ufeff", "{}", "[]", " [ ] ", "null", "N/A", "n/a", '""', None, {}]
)
def test_nothing_is_missing(value):
    assert prompt_text(value) is None
    assert value is None or value == {} or is_missing(value)


def test_messages_without_a_user_are_missing():
    assert prompt_text([SYSTEM, ANSWER]) is None
    assert prompt_text([{"role": "user", "content": " "}]) is None
    assert prompt_text([{"role": "user", "content": None}]) is None


def test_an_object_of_several_texts_asks_for_a_path():
    with pytest.raises(InputError, match="holds an object with a, b$"):
        prompt_of({"a": "x", "b": "y"})
    with pytest.raises(InputError, match="a, b; name the path of its text.* prompt=COLUMN.a"):
        prompts_of(pa.chunked_array([[{"a": "x", "b": "y"}]]))


def test_an_unknown_form_is_refused():
    with pytest.raises(InputError, match="'all' is none of last-user, conversation"):
        prompt_of("text", form="all")


def test_a_column_of_messages_counts_what_is_no_text():
    image = {"role": "user", "content": [{"type": "image", "source": "x"}]}
    cells = [json.dumps(TALK), "plain", None, "{}", json.dumps([SYSTEM, image])]
    found = prompts_of(pa.chunked_array([pa.array(cells)]))
    assert found.texts == ["And when?", "plain", None, None, "[image]"]
    assert (found.conversations, found.systems, found.parts) == (2, 1, {"image": 1})


def test_a_nested_column_has_nulls_only_where_other_rows_have_keys():
    cells = [{"messages": TALK, "other": None}, {"messages": None, "other": None}, None]
    kind = pa.struct(
        {
            "messages": pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})),
            "other": pa.string(),
        }
    )
    assert prompts_of(pa.chunked_array([pa.array(cells, kind)])).texts == ["And when?", None, None]


def test_a_cell_that_is_no_prompt_names_its_row():
    column = pa.chunked_array([pa.array([[{"x": 1}], [{"x": 2}]])])
    with pytest.raises(InputError) as error:
        prompts_of(column)
    assert error.value.row == 0


def test_a_router_keeps_the_form_of_the_prompts_that_it_was_fitted_to(tmp_path):
    path = tmp_path / "log.jsonl"
    rows = [{"messages": TALK, "model": name, "quality": 1, "cost": 0.1} for name in "ab"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = {"prompt": "messages"}
    log = rj.read_log(path, columns=columns, prompt_form="conversation")
    assert log.prompt_form == "conversation"
    assert rj.read_log(path, columns=columns).prompt_form is None
    kept = dataclasses.replace(small_router.pair(), prompt_form="conversation")
    kept.save(tmp_path / "router")
    assert SavedGains.load(tmp_path / "router").prompt_form == "conversation"
    asked, talk = Routing(prompt=json.dumps(TALK)), prompt_text(TALK, form="conversation")
    assert _queries(asked, "conversation") == [talk]
    assert _queries(dataclasses.replace(asked, prompt_form="last-user"), "conversation") == [
        "And when?"
    ]
    dataclasses.replace(kept, prompt_form="first").save(tmp_path / "other")
    with pytest.raises(InputError, match=r"prompt form: \['first'\]; there must be 1, each of"):
        SavedGains.load(tmp_path / "other")
