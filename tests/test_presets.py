"""Files as known tools write them, read by the presets of their names."""

import json
import pickle

import numpy as np
import pytest

from routerjax.data.columns.schema import Join
from routerjax.data.inspection.inspecting import inspect
from routerjax.data.io.files import read_log, read_rows, read_table
from routerjax.data.io.gain_labels import read_labels
from routerjax.errors import DataWarning, InputError

MODELS = ("large", "small")
QUALITY = (1, 0, 1, 0)


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def asked(i):
    return [{"role": "system", "content": "Be kind."}, {"role": "user", "content": f"q{i}"}]


def check(log, quality=QUALITY, cost=(0.001, 0.002, 0.003, 0.004)):
    assert log.prompts == ("q0", "q1", "q2", "q3")
    assert [log.models[arm] for arm in log.arms] == ["large", "small"] * 2
    np.testing.assert_array_equal(log.quality, quality)
    np.testing.assert_allclose(log.cost, cost, rtol=1e-6)


def test_chat_completions(tmp_path):
    rows = [
        {
            "id": f"chatcmpl-{i}",
            "model": MODELS[i % 2],
            "messages": asked(i),
            "response": {
                "choices": [{"message": {"role": "assistant", "content": "..."}}],
                "usage": {"prompt_tokens": 10, "completion_tokens": i},
            },
            "feedback": {"thumb": ("up", "down")[i % 2]} if i < 4 else None,
            "cost": 0.001 * (i + 1),
        }
        for i in range(5)
    ]
    path = lines(tmp_path / "calls.jsonl", rows)
    with pytest.warns(DataWarning, match="1 without feedback.thumb .large 1."):
        check(read_log(path, schema="openai", drop_missing=True))
    batch = [
        {
            "custom_id": str(i),
            "request": {"body": {"model": MODELS[i % 2], "messages": asked(i)}},
            "cost": 0.001 * (i + 1),
            "score": QUALITY[i],
        }
        for i in range(4)
    ]
    check(read_log(lines(tmp_path / "batch.jsonl", batch), schema="openai"))


def spend(i, **cells):
    plain = {
        "request_id": f"r{i}",
        "call_type": "acompletion",
        "spend": 0.001 * (i + 1),
        "model": f"vendor/{MODELS[i % 2]}",
        "model_group": MODELS[i % 2],
        "messages": asked(i),
        "metadata": {"status": "success"},
        "cache_hit": "False",
        "status": "success",
        "score": QUALITY[i],
    }
    return {**plain, **cells}


def test_spend_logs_with_messages_as_lists_as_text_and_in_the_request(tmp_path):
    check(read_log(lines(tmp_path / "a.jsonl", map(spend, range(4))), schema="litellm"))
    as_text = [spend(i, messages=json.dumps(asked(i))) for i in range(4)]
    check(read_log(lines(tmp_path / "b.jsonl", as_text), schema="litellm"))
    stored = [
        spend(i, messages={}, proxy_server_request={"model": "m", "messages": asked(i)})
        for i in range(4)
    ]
    check(read_log(lines(tmp_path / "c.jsonl", stored), schema="litellm"))
    nowhere = lines(tmp_path / "d.jsonl", [spend(i, messages={}) for i in range(4)])
    with pytest.raises(InputError, match="no prompt here .4 such rows."):
        read_log(nowhere, schema="litellm")


def test_a_spend_log_with_feedback_in_a_second_file_and_a_failed_call(tmp_path):
    rows = [spend(i) for i in range(4)]
    for row in rows:
        del row["score"]
    rows[3] |= {"status": "failure", "spend": 0.0}
    path = lines(tmp_path / "spend.jsonl", rows)
    lacking = (
        r"no column 'quality' \(nor score, rating, .*--join 'FILE on request_id' adds a second"
    )
    for read in (read_log, read_rows):
        with pytest.raises(InputError, match=lacking):
            read(path, schema="litellm")
    feedback = tmp_path / "feedback.csv"
    feedback.write_text("request_id,thumb\nr0,up\nr1,down\nr2,up\n")
    with pytest.warns(DataWarning, match="1 of 4 rows have no row in"):
        log = read_log(
            path, schema="litellm", joins=(Join(str(feedback), "request_id"),), failed_quality=0
        )
    check(log, cost=(0.001, 0.002, 0.003, 0))


def test_traces(tmp_path):
    rows = [
        {
            "id": f"t{i}",
            "input": {"messages": asked(i)},
            "totalCost": 0.001 * (i + 1),
            "observations": [
                {"type": "SPAN", "model": None},
                {"type": "GENERATION", "model": MODELS[i % 2], "calculatedTotalCost": 9.0},
            ],
            "scores": [{"name": "user-thumb", "value": QUALITY[i]}],
        }
        for i in range(4)
    ]
    check(read_log(lines(tmp_path / "traces.jsonl", rows), schema="langfuse"))
    observations = [
        {
            "id": f"o{i}",
            "trace_id": f"t{i}",
            "type": "GENERATION",
            "provided_model_name": MODELS[i % 2],
            "input": json.dumps(asked(i)),
            "total_cost": 0.001 * (i + 1),
        }
        for i in range(4)
    ]
    scores = [{"id": f"s{i}", "trace_id": f"t{i}", "value": QUALITY[i]} for i in range(4)]
    join = Join(str(lines(tmp_path / "scores.jsonl", scores)), "trace_id")
    path = lines(tmp_path / "observations.jsonl", observations)
    check(read_log(path, schema="langfuse", joins=(join,)))


def test_requests_of_helicone(tmp_path):
    rows = [
        {
            "request_id": f"r{i}",
            "response_id": f"s{i}",
            "response_status": 500 if i == 3 else 200,
            "request_body": {"model": "x", "messages": asked(i)},
            "response_body": {"choices": []},
            "model": MODELS[i % 2],
            "cost": 0.001 * (i + 1),
            "feedback_rating": None if i == 3 else bool(QUALITY[i]),
            "scores": {},
        }
        for i in range(4)
    ]
    path = lines(tmp_path / "requests.jsonl", rows)
    check(read_log(path, schema="helicone", failed_quality=0))


def attribute(key, value):
    kind = "intValue" if isinstance(value, int) else "doubleValue"
    kind = "stringValue" if isinstance(value, str) else kind
    return {"key": key, "value": {kind: str(value) if isinstance(value, int) else value}}


def call(i):
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": MODELS[i % 2],
        "gen_ai.response.model": f"{MODELS[i % 2]}-2026",
        "gen_ai.response.id": f"resp-{i}",
        "gen_ai.input.messages": json.dumps(
            [{"role": "user", "parts": [{"type": "text", "content": f"q{i}"}]}]
        ),
        "gen_ai.usage.cost": 0.001 * (i + 1),
    }


def result(i, **cells):
    plain = {"gen_ai.evaluation.name": "thumb", "gen_ai.evaluation.score.value": float(QUALITY[i])}
    return {**plain, **cells}


def export(kind, records):
    scope = {"spans": "scopeSpans", "logRecords": "scopeLogs"}[kind]
    resource = {"spans": "resourceSpans", "logRecords": "resourceLogs"}[kind]
    return {resource: [{"resource": {}, scope: [{"scope": {}, kind: records}]}]}


def otlp(i, attributes, **cells):
    return {
        "traceId": "t",
        "spanId": f"span{i}",
        "name": "chat",
        "attributes": [attribute(key, value) for key, value in attributes.items()],
        **cells,
    }


def test_spans_in_otlp_with_evaluations_by_response_by_span_and_inside(tmp_path):
    inside = {
        "name": "gen_ai.evaluation.result",
        "attributes": [attribute(key, value) for key, value in result(0).items()],
    }
    spans = [otlp(0, call(0), events=[inside])] + [otlp(i, call(i)) for i in (1, 2, 3)]
    tool = otlp(7, {"gen_ai.operation.name": "execute_tool", "gen_ai.request.model": "x"})
    events = [
        otlp(None, result(1, **{"gen_ai.response.id": "resp-1"}), spanId=""),
        otlp(2, result(2)),
        otlp(None, result(3, **{"gen_ai.response.id": "resp-3"})),
        otlp(None, result(3, **{"gen_ai.response.id": "elsewhere"})),
    ]
    for event in events:
        event |= {"name": None, "eventName": "gen_ai.evaluation.result"}
    exports = [export("spans", [*spans[:2], tool]), export("spans", spans[2:])]
    path = lines(tmp_path / "otel.jsonl", [*exports, export("logRecords", events)])
    with pytest.warns(DataWarning, match="1 records call no model, and 1 of 5 evaluations belong"):
        check(read_log(path, schema="otel"))


def test_spans_as_flat_objects(tmp_path):
    rows = [
        {
            "name": f"chat {MODELS[i % 2]}",
            "context": {"span_id": f"0x{i}"},
            "status": {"status_code": "UNSET"},
            "attributes": call(i),
            "events": [{"name": "gen_ai.evaluation.result", "attributes": result(i)}],
        }
        for i in range(4)
    ]
    check(read_log(lines(tmp_path / "spans.jsonl", rows), schema="otel"))
    labels = ("pass", "fail", "pass", "fail")
    for i, row in enumerate(rows):
        row["events"][0]["attributes"] = {"gen_ai.evaluation.score.label": labels[i]}
    check(read_log(lines(tmp_path / "labels.jsonl", rows), schema="otel"))


def events_alone(path, form):
    """A file of evaluations without a span that calls a model: exports, or an event a line."""
    name = "gen_ai.evaluation.result"
    own = [result(i, **{"gen_ai.response.id": f"resp-{i}"}) for i in range(4)]
    if form == "lines":
        return lines(path, [{"event_name": name, "attributes": each} for each in own])
    events = [otlp(i, each) | {"name": None, "eventName": name} for i, each in enumerate(own)]
    return lines(path, [export("logRecords", events[:2]), export("logRecords", events[2:])])


@pytest.mark.parametrize("form", ["exports", "lines"])
def test_a_file_of_evaluations_alone_says_what_it_lacks(tmp_path, form):
    path = events_alone(tmp_path / "events.jsonl", form)
    said = (
        f"{path}: holds 4 evaluations and no span that calls a model: .* as in SPANS.jsonl {path}, "
        f"or .* by --join '{path} on ID=gen_ai.response.id'"
    )
    for reads in (lambda: read_log(path, schema="otel"), lambda: inspect(path)):
        with pytest.raises(InputError, match=said):
            reads()


@pytest.mark.parametrize("form", ["exports", "lines"])
def test_a_file_of_evaluations_alone_is_joined_to_any_log_of_calls(tmp_path, form):
    events = events_alone(tmp_path / "events.jsonl", form)
    spans = lines(tmp_path / "spans.jsonl", [export("spans", [otlp(i, call(i)) for i in range(4)])])
    check(read_log([spans, events], schema="otel"))
    on = "gen_ai.response.id"
    check(read_log(spans, schema="otel", joins=[Join(str(events), on)]))
    calls = [
        {"id": f"resp-{i}", "prompt": f"q{i}", "model": MODELS[i % 2], "cost": 0.001 * (i + 1)}
        for i in range(4)
    ]
    log = lines(tmp_path / "log.jsonl", calls)
    columns = {"quality": "gen_ai.evaluation.score.value"}
    check(read_log(log, columns=columns, joins=[Join(str(events), "id", on)]))


def test_evaluations_of_several_names_are_columns_of_the_answer_that_is_joined(tmp_path):
    rows = [
        {"name": "gen_ai.evaluation.result", "attributes": {**result(i), **own}}
        for i in range(4)
        for name in ("thumb", "length")
        for own in [{"gen_ai.evaluation.name": name, "gen_ai.response.id": f"resp-{i}"}]
    ]
    events = lines(tmp_path / "events.jsonl", rows)
    spans = lines(tmp_path / "spans.jsonl", [{"attributes": call(i)} for i in range(4)])
    joins = [Join(str(events), "gen_ai.response.id")]
    check(read_log(spans, schema="otel", joins=joins, columns={"quality": "evaluation.thumb"}))


def test_evaluations_of_several_names_are_columns(tmp_path):
    rows = [{"attributes": call(i)} for i in range(4)]
    for i in range(4):
        for name, value in (("thumb", float(QUALITY[i])), ("length", 0.5)):
            own = {"gen_ai.response.id": f"resp-{i}", "gen_ai.evaluation.name": name}
            own |= {"gen_ai.evaluation.score.value": value}
            rows.append({"event_name": "gen_ai.evaluation.result", "attributes": own})
    path = lines(tmp_path / "spans.jsonl", rows)
    with pytest.raises(
        InputError, match="no column .quality. .*; its columns are .*evaluation.thumb"
    ):
        read_log(path, schema="otel")
    check(read_log(path, schema="otel", columns={"quality": "evaluation.thumb"}))


def test_evaluations_in_spans_of_their_own(tmp_path):
    rows = [{"span_id": f"s{i}", "attributes": call(i)} for i in range(4)]
    for i in range(4):
        own = {"gen_ai.evaluation.score.value": float(QUALITY[i])}
        own |= {"gen_ai.response.id": f"resp-{i}"} if i % 2 else {}
        event = {"name": "gen_ai.evaluation.result", "attributes": own}
        rows.append({"name": "evaluate", "parent_span_id": f"s{i}", "events": [event]})
    with pytest.warns(DataWarning, match="4 records call no model, and 0 of 4 evaluations belong"):
        check(read_log(lines(tmp_path / "spans.jsonl", rows), schema="otel"))


def test_prompts_of_older_instrumentation(tmp_path):
    rows = []
    for i in range(4):
        attributes = {k: v for k, v in call(i).items() if k != "gen_ai.input.messages"}
        attributes |= {"gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "Be kind."}
        attributes |= {"gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": f"q{i}"}
        rows.append({"attributes": attributes, "score": QUALITY[i]})
    check(read_log(lines(tmp_path / "spans.jsonl", rows), schema="otel"))


def test_a_file_without_calls_is_no_file_of_spans(tmp_path):
    path = lines(tmp_path / "spans.jsonl", [{"name": "GET /", "attributes": {"http": 1}}])
    with pytest.raises(InputError, match="no span has an attribute 'gen_ai.request.model' or"):
        read_log(path, schema="otel")


def pairs():
    verdicts = ["model_a", "model_b", "tie", "tie (bothbad)", "model_a", "model_b"]
    names = [("large", "small"), ("small", "large")]
    return [
        {
            "question_id": i,
            "model_a": names[i % 2][0],
            "model_b": names[i % 2][1],
            "winner": verdict,
            "conversation_a": [*asked(i)[1:], {"role": "assistant", "content": "..."}],
            "embedding": [float(i), 1.0],
        }
        for i, verdict in enumerate(verdicts)
    ]


def test_arena_pairs_are_labelled_gains(tmp_path):
    other = {**pairs()[0], "model_a": "third", "question_id": 9}
    path = lines(tmp_path / "arena.jsonl", [*pairs(), other])
    with pytest.warns(DataWarning, match="7 pairs: 1 of other models, 1 of which both are bad"):
        labels = read_labels(path, schema="arena", models=("large", "small"))
    np.testing.assert_array_equal(labels.gold, [1, 1, 0, 1, 1])
    assert np.isnan(labels.preference).all() and labels.dropped == 2
    path = lines(tmp_path / "arena.jsonl", pairs())
    with pytest.raises(InputError, match="no pair is of a and b; name the dear model first, as in"):
        read_labels(path, schema="arena", models=("a", "b"))
    rows = [{**row, "judge": "model_b"} for row in pairs()[:3]]
    path = lines(tmp_path / "arena.jsonl", rows)
    labels = read_labels(path, schema="arena", models=("small", "large"), preference="judge")
    np.testing.assert_array_equal(labels.gold, [-1, -1, 0])
    np.testing.assert_array_equal(labels.preference, [1, -1, 1])
    good = [
        {**row, "winner": ("A", "both good", "both bad")[i % 3]} for i, row in enumerate(pairs())
    ]
    path = lines(tmp_path / "good.jsonl", good)
    with pytest.warns(DataWarning, match="6 pairs: 2 of which both are bad"):
        labels = read_labels(path, schema="arena", models=("large", "small"))
    np.testing.assert_array_equal(labels.gold, [1, 0, -1, 0])
    path = lines(tmp_path / "arena.jsonl", [{**row, "winner": "both"} for row in pairs()])
    with pytest.raises(InputError, match="row 0: 'both' is none of model_a, model_b, tie"):
        read_labels(path, schema="arena", models=("large", "small"))


def test_arena_pairs_with_a_column_for_every_verdict(tmp_path):
    names = ("winner_model_a", "winner_model_b", "winner_tie")
    rows = []
    for i, row in enumerate(pairs()[:3]):
        del row["winner"]
        rows.append({**row, **{name: int(i == k) for k, name in enumerate(names)}})
    path = lines(tmp_path / "arena.jsonl", rows)
    labels = read_labels(path, schema="arena", models=("large", "small"))
    np.testing.assert_array_equal(labels.gold, [1, 1, 0])
    cells = [[str(float(i == k)), str(i == k)][i % 2] for i in range(3) for k in range(3)]
    text = ",".join(("prompt,model_a,model_b", *names)) + "\n"
    for i in range(3):
        text += ",".join([f"what is {i}?", "large", "small", *cells[3 * i : 3 * i + 3]]) + "\n"
    table = tmp_path / "arena.csv"
    table.write_text(text)
    labels = read_labels(table, schema="arena", models=("large", "small"))
    np.testing.assert_array_equal(labels.gold, [1, -1, 0])
    found = inspect(table)
    assert {each.path for each in found.columns if each.role == "winner"} == set(names)


WIDE = "sample_id,prompt,eval_name,a/x,b|model_response,b,a/x|total_cost,b|total_cost,oracle\n"


def test_routerbench_as_a_wide_file(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(WIDE + "s0,\"['one', 'two']\",mmlu,1.0,r,0.25,0.5,0.125,b\n" * 2)
    table = read_table(path, schema="routerbench")
    assert table.models == ("a/x", "b") and table.task == ("mmlu", "mmlu")
    assert table.prompts == ("one\n\ntwo", "one\n\ntwo")
    np.testing.assert_array_equal(table.quality, [[1, 0.25]] * 2)
    np.testing.assert_array_equal(table.cost, [[0.5, 0.125]] * 2)


def test_routerbench_as_a_pickle(tmp_path):
    pandas = pytest.importorskip("pandas")
    cells = {
        "sample_id": ["s0", "s1", "s2"],
        "prompt": ["['one']", "plain", "['three']"],
        "eval_name": ["mmlu"] * 3,
        "a": [1.0, 0.5, float("nan")],
        "b": [0.0, 1.0, 1.0],
        "a|model_response": [None, "x", "y"],
        "a|total_cost": [0.5, 0.25, 0.125],
        "b|total_cost": [1.0, 2.0, 3.0],
    }
    frame = pandas.DataFrame({name: pandas.Series(v, dtype=object) for name, v in cells.items()})
    frame.columns = pandas.Index(list(cells), dtype=object)
    path = tmp_path / "routerbench.pkl"
    path.write_bytes(pickle.dumps(frame))
    table = read_table(path, schema="routerbench")
    assert table.models == ("a", "b") and table.prompts == ("one", "plain", "three")
    np.testing.assert_array_equal(table.quality, [[1, 0], [0.5, 1], [np.nan, 1]])
    path.write_bytes(pickle.dumps(print))
    with pytest.raises(InputError):
        read_table(path, schema="routerbench")


@pytest.mark.parametrize(
    "record",
    [
        {"resourceSpans": True},
        {"resourceSpans": [{"scopeSpans": {"spans": 3}}, 7]},
        {"attributes": [{"key": 3, "value": {"kvlistValue": {"values": "x"}}}]},
        {"attributes": "[[[", "events": "no"},
        {"attributes": {"gen_ai.request.model": ["m"]}, "events": [{"attributes": 1}, None]},
    ],
)
def test_records_of_any_other_content_are_no_spans(tmp_path, record):
    path = lines(tmp_path / "spans.jsonl", [record])
    with pytest.raises(InputError):
        read_log(path, schema="otel")
