"""Spans of OpenTelemetry that call a model, one a row, with the evaluations that belong to them.

A line of the file is an export in OTLP's JSON (``resourceSpans``, ``resourceLogs``), or one span
or one event, with attributes as an object, as a list of ``{"key", "value"}``, or written out at
the top. An event ``gen_ai.evaluation.result`` belongs to the span with its ``gen_ai.response.id``,
else to the span with its span id.

Reference: OpenTelemetry semantic conventions for generative AI, spans and events.
"""

from __future__ import annotations

import collections
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from routerjax.data.columns.paths import as_column, loaded
from routerjax.errors import DataWarning, InputError

EVALUATION = "gen_ai.evaluation.result"
SCORE, LABEL = "gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label"
RESPONSE, MESSAGES = "gen_ai.response.id", "gen_ai.input.messages"
MODELS = ("gen_ai.request.model", "gen_ai.response.model")
NO_CALLS = ("embeddings", "execute_tool", "create_agent", "invoke_agent", "invoke_workflow")
NUMBERED = re.compile(
    r"(?:gen_ai\.prompt|llm\.input_messages)\.(\d+)\.(?:message\.)?(role|content)"
)
MESSAGE = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")
VALUES = ("stringValue", "intValue", "doubleValue", "boolValue", "bytesValue")
EXPORTS = ("resourceSpans", "resourceLogs")
"""Columns of files whose rows are exports of many spans, as OTLP has them."""
EVENT_NAMES = ("name", "event_name", "eventName", "event.name")
TRACES = ("traceId", "trace_id", "context.trace_id")
MOST_DEEP = 20
FIRST = 1000  # rows among which a first evaluation is looked for

Record = dict[str, Any]


def calls(table: pa.Table, *, source: str) -> pa.Table:
    """The spans that call a model, an attribute a column.

    An evaluation is the column ``gen_ai.evaluation.score.value``, its label where it has no value;
    where the file holds evaluations of several names, each is a column ``evaluation.NAME``.

    Raises:
      InputError: no span calls a model.
    """
    spans: list[Record] = []
    evaluations: list[Record] = []
    others = 0
    for row in table.to_pylist():
        for record in _records(row):
            flat = _flat(record)
            if EVALUATION in _event_names(flat):
                evaluations.append(flat)
            elif _is_call(flat):
                spans.append(flat)
                evaluations += _inner_events(flat)
            else:
                evaluations += [_elsewhere(event, flat) for event in _inner_events(flat)]
                others += 1
    if not spans:
        raise InputError(_no_calls(len(evaluations), source), source=source)
    lost = _add_evaluations(spans, evaluations)
    if others or lost:
        warnings.warn(
            f"{source}: {others} records call no model, and {lost} of {len(evaluations)} "
            "evaluations belong to no span here; they are left out",
            DataWarning,
            stacklevel=2,
        )
    names = dict.fromkeys(name for span in spans for name in span)
    return pa.table({name: as_column([span.get(name) for span in spans]) for name in names})


def evaluations(table: pa.Table) -> pa.Table | None:
    """The evaluations of a file that holds nothing else, a row for every answer that they are of.

    Columns are ``gen_ai.response.id``, ``span_id`` and ``trace_id``, and scores as in `calls`.

    Returns:
      The rows; None where the file holds no evaluation, or a span that calls a model.
    """
    if not _may_hold(table):
        return None
    found: list[Record] = []
    for row in table.to_pylist():
        for record in _records(row):
            flat = _flat(record)
            if EVALUATION in _event_names(flat):
                found.append(flat)
            elif _is_call(flat):
                return None
            else:
                found += [_elsewhere(event, flat) for event in _inner_events(flat)]
    rows: dict[Any, Record] = {}
    for each in found:
        trace = next((each[name] for name in TRACES if each.get(name)), None)
        own = {RESPONSE: each.get(RESPONSE), "span_id": _span_id(each), "trace_id": trace}
        each["span"] = rows.setdefault(own[RESPONSE] or own["span_id"], own)
    _add_evaluations([], found)
    names = dict.fromkeys(k for row in rows.values() for k, value in row.items() if value)
    names |= dict.fromkeys(k for row in rows.values() for k in row if "evaluation." in k)
    columns = {name: as_column([row.get(name) for row in rows.values()]) for name in names}
    return pa.table(columns) if rows else None


def is_exports(table: pa.Table) -> bool:
    """Whether the rows are exports of many spans or events, as OTLP has them."""
    return any(name in table.column_names for name in EXPORTS)


def _may_hold(table: pa.Table) -> bool:
    """Whether rows may be evaluations: exports, or events of that name among the first ones."""
    known = [name for name in EVENT_NAMES if name in table.column_names]
    cells = [cell for name in known for cell in table[name].slice(0, FIRST).to_pylist()]
    return is_exports(table) or EVALUATION in cells


def _no_calls(evaluations: int, source: str) -> str:
    """Why a file holds no calls, and which other file does."""
    if not evaluations:
        return f"no span has an attribute {' or '.join(map(repr, MODELS))}"
    return (
        f"holds {evaluations} evaluations and no span that calls a model: prompts, models and "
        f"costs are in a file of their own; name it before this one, as in SPANS.jsonl {source}, "
        f"or add these scores to a log of calls by --join '{source} on ID={RESPONSE}'"
    )


def _records(row: Record) -> Iterator[Record]:
    """The spans and events in a line."""
    is_export = False
    for outer, inner, last in (
        ("resourceSpans", "scopeSpans", "spans"),
        ("resourceLogs", "scopeLogs", "logRecords"),
    ):
        for resource in _list(row.get(outer)):
            is_export = True
            for scope in _list(resource.get(inner)):
                yield from _list(scope.get(last))
    if not is_export:
        yield row


def _list(value: Any) -> list[Record]:
    value = loaded(value) if isinstance(value, str) else value
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _flat(record: Record) -> Record:
    """A record with its attributes beside its other keys."""
    flat = {key: value for key, value in record.items() if key != "attributes"}
    for name in ("context", "status"):  # written as objects by the exporter of the SDK
        if isinstance(record.get(name), dict):
            flat |= {f"{name}.{key}": value for key, value in record[name].items()}
    flat |= _attributes(record.get("attributes"))
    numbered: dict[int, Record] = {}
    for key, value in flat.items():
        match = NUMBERED.fullmatch(key)
        if match:
            numbered.setdefault(int(match[1]), {})[match[2]] = value
    if numbered and MESSAGES not in flat:
        flat[MESSAGES] = [{"role": "user", **numbered[place]} for place in sorted(numbered)]
    return {key: value for key, value in flat.items() if value is not None}


def _attributes(value: Any) -> Record:
    value = loaded(value) if isinstance(value, str) else value
    if isinstance(value, list):
        pairs = [each for each in value if isinstance(each, dict) and "key" in each]
        value = {str(each["key"]): _plain(each.get("value")) for each in pairs}
    return _dotted(value, "") if isinstance(value, dict) else {}


def _dotted(value: Record, before: str, deep: int = 0) -> Record:
    """Nested objects of attributes as keys with dots."""
    flat: Record = {}
    for key, each in value.items():
        if isinstance(each, dict) and deep < MOST_DEEP:
            flat |= _dotted(each, f"{before}{key}.", deep + 1)
        else:
            flat[before + key] = each
    return flat


def _plain(value: Any, deep: int = 0) -> Any:
    """A value of OTLP without the word for its type."""
    if not isinstance(value, dict) or deep > MOST_DEEP:
        return value
    for kind in VALUES:
        if value.get(kind) is not None:
            found = value[kind]
            is_number = kind == "intValue" and isinstance(found, str)
            return int(found) if is_number and re.fullmatch(r"-?\d{1,18}", found) else found
    if isinstance(value.get("arrayValue"), dict):
        values = value["arrayValue"].get("values")
        return [_plain(each, deep + 1) for each in values] if isinstance(values, list) else None
    if isinstance(value.get("kvlistValue"), dict):
        pairs = _list(value["kvlistValue"].get("values"))
        return {str(each.get("key")): _plain(each.get("value"), deep + 1) for each in pairs}
    return None


def _event_names(flat: Record) -> list[Any]:
    return [flat.get(name) for name in EVENT_NAMES]


def _is_call(flat: Record) -> bool:
    operation = flat.get("gen_ai.operation.name")
    return any(flat.get(name) for name in MODELS) and operation not in NO_CALLS


def _inner_events(span: Record) -> list[Record]:
    """Evaluations among a span's own events, whose messages become its prompt."""
    found, messages = [], []
    for event in _list(span.pop("events", None)):
        flat = _flat(event)
        names = [name for name in _event_names(flat) if isinstance(name, str)]
        if EVALUATION in names:
            found.append({**flat, "span": span})
        role = next((match[1] for name in names if (match := MESSAGE.fullmatch(name))), None)
        if role:
            content = flat.get("content", flat.get("gen_ai.event.content", flat.get("body")))
            messages.append({"role": role, "content": content})
        for name in (MESSAGES, "gen_ai.prompt"):
            if flat.get(name) is not None:
                span.setdefault(name, flat[name])
    if messages:
        span.setdefault(MESSAGES, messages)
    return found


def _elsewhere(event: Record, span: Record) -> Record:
    """An evaluation in a span that calls no model, of the call that it or its parent names."""
    own = {key: value for key, value in event.items() if key != "span"}
    parents = ("parentSpanId", "parent_span_id", "parent_id")
    parent = next((span[name] for name in parents if span.get(name)), None)
    own.setdefault(RESPONSE, span.get(RESPONSE))
    return own if parent is None else {"span_id": parent, **own}


def _span_id(flat: Record) -> Any:
    names = ("spanId", "span_id", "context.span_id")
    return next((flat[name] for name in names if flat.get(name)), None)


def _add_evaluations(spans: list[Record], evaluations: list[Record]) -> int:
    """Write the evaluations into their spans; the number of those that have none."""
    by_response = {span[RESPONSE]: span for span in spans if isinstance(span.get(RESPONSE), str)}
    by_span = {key: span for span in spans if isinstance(key := _span_id(span), str)}
    names = collections.Counter(str(each.get("gen_ai.evaluation.name", "")) for each in evaluations)
    lost = 0
    for each in evaluations:
        response, own = each.get(RESPONSE), _span_id(each)
        span = each.get("span") or by_response.get(response) or by_span.get(own)
        if span is None:
            lost += 1
            continue
        score = each.get(SCORE, each.get(LABEL))
        name = str(each.get("gen_ai.evaluation.name", ""))
        span[SCORE if len(names) == 1 else f"evaluation.{name or 'unnamed'}"] = score
    return lost
