"""Paths into nested columns of Arrow and into JSON text."""

import json

import pyarrow as pa
import pytest

from routerjax.data.columns import paths

ROWS = [
    {
        "usage": {"totalCost": 0.5, "by.kind": {"in": 1}},
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}],
        "scores": [{"name": "length", "value": 3.0}, {"name": "thumb", "value": 1.0}],
        "attributes": {"gen_ai.request.model": "m1", "gen_ai": {"x": "y"}},
        "plain.name": 1,
    },
    {
        "usage": None,
        "messages": [{"role": "user", "content": "b"}],
        "scores": [],
        "attributes": {"gen_ai.request.model": "m2", "gen_ai": {"x": None}},
        "plain.name": 2,
    },
    {
        "usage": {"totalCost": 0.25, "by.kind": {"in": 2}},
        "messages": None,
        "scores": [{"name": "thumb", "value": 0.0}],
        "attributes": None,
        "plain.name": 3,
    },
]

FOUND = [
    ("usage.totalCost", [0.5, None, 0.25]),
    ("usage.by.kind.in", [1, None, 2]),
    ("messages.-1.content", ["a", "b", None]),
    ("messages[-1].content", ["a", "b", None]),
    ("messages[1].content", ["a", None, None]),
    ("messages.0.role", ["system", "user", None]),
    ("scores[0].value", [3.0, None, 0.0]),
    ("scores[name=thumb].value", [1.0, None, 0.0]),
    ("scores[-2].value", [3.0, None, None]),
    ("attributes.gen_ai.request.model", ["m1", "m2", None]),
    ("attributes.gen_ai.x", ["y", None, None]),
    ("plain.name", [1, 2, 3]),
]


@pytest.mark.parametrize(("path", "values"), FOUND)
def test_paths_into_nested_columns(path, values):
    column = paths.column(pa.Table.from_pylist(ROWS), path)
    assert column is not None and column.to_pylist() == values


@pytest.mark.parametrize(("path", "values"), FOUND)
def test_paths_into_text_that_holds_json(path, values):
    texts = {
        name: [None if row[name] is None else json.dumps(row[name]) for row in ROWS]
        for name in ROWS[0]
    }
    column = paths.column(pa.table(texts), path)
    assert column is not None
    found = column.to_pylist()
    assert found == ([str(value) for value in values] if path == "plain.name" else values)


def test_paths_work_on_slices_and_on_several_chunks():
    table = pa.concat_tables([pa.Table.from_pylist(ROWS)] * 2).slice(1, 4)
    for path, values in FOUND:
        column = paths.column(table, path)
        assert column is not None and column.to_pylist() == [*values, *values][1:5], path


@pytest.mark.parametrize(
    "path", ["usage.cost", "nothing", "usage.totalCost.more", "messages.content", "scores[x=1].y"]
)
def test_paths_that_lead_nowhere_have_no_column(path):
    assert paths.column(pa.Table.from_pylist(ROWS), path) is None


def test_the_longest_key_is_taken_first_even_where_it_hides_another():
    cell = {"a": {"b": {"c": 1}}, "a.b": {"c": 2}, "a.b.c": 3}
    assert paths.value(cell, "a.b.c") == 3
    assert paths.value({"a": {"b": {"c": 1}}, "a.b": {"c": 2}}, "a.b.c") == 2
    assert paths.value({"a": {"b": {"c": 1}}}, "a.b.c") == 1


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 100_000, "{", "1" * 5000, "", "[1,]"])
def test_text_that_is_no_json_holds_nothing(text):
    assert paths.loaded(text) is None
    assert paths.value(text, "a.b") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[{'role': 'user', 'content': \"it's so\"}]", [{"role": "user", "content": "it's so"}]),
        ("{'cost': 0.5, 'cached': None, 'ok': True}", {"cost": 0.5, "cached": None, "ok": True}),
        ("['a', -1.5e-3,\n 'b\\n']", ["a", -0.0015, "b\n"]),
    ],
)
def test_text_that_python_prints_is_read(text, value):
    assert paths.loaded(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "{'a', 'b'}",
        "{1: 'a'}",
        "{['a']: 1}",
        "[open('x')]",
        "['a' + 'b']",
        "['a'] and more",
        "[" * 500 + "'a'" + "]" * 500,
        "['" + "1" * 200_000 + "x",
        "[" + "1" * 100_000 + "'",
    ],
)
def test_python_that_is_no_literal_of_json_holds_nothing(text):
    assert paths.loaded(text) is None


def test_maps_are_objects():
    kind = pa.map_(pa.string(), pa.float64())
    table = pa.table({"scores": pa.array([[("good", 1.0)], [("bad", 2.0)], None], kind)})
    column = paths.column(table, "scores.good")
    assert column is not None and column.to_pylist() == [1.0, None, None]


def test_values_of_mixed_types_become_text():
    assert paths.as_column([1, "a", None, {"b": 2}]).to_pylist() == ["1", "a", None, '{"b": 2}']
