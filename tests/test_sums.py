"""Costs that are logged in parts: read as a sum, and found by `inspect`."""

from __future__ import annotations

import numpy as np
import pytest
from test_inspection_elsewhere import drawn, lacks, read_as_told, roles_of, written

import routerjax as rj
from routerjax.data.columns.schema import Schema
from routerjax.data.columns.synonyms import named
from routerjax.data.io.files import read_log, read_table
from routerjax.errors import InputError


def in_parts(**names) -> list[dict]:
    """Rows of a log whose cost is logged in parts: their names, and how many quarters each is."""
    found = []
    for row in drawn():
        parts = {name: row["cost"] * part / 4 for name, part in names.items()}
        found.append({"prompt": row["prompt"], "model": row["model"], "good": row["good"], **parts})
    return found


def test_the_sum_of_two_columns_is_the_cost(tmp_path):
    rows = [
        {"prompt": "a", "model": "x", "quality": 1, "in": "0,25", "out": "$1,5"},
        {"prompt": "b", "model": "y", "quality": 0, "in": "1", "out": "0,5 $"},
    ]
    path = written(tmp_path / "log.csv", rows, ";")
    given = {"cost": "in + out"}
    log = read_log(path, schema=Schema(columns=given, money=True, decimal=","))
    assert log.cost.tolist() == [1.75, 1.5]
    cents = Schema(columns={"cost": ("total", "in+out")}, cost_unit="cents", decimal=",")
    with pytest.raises(InputError, match="column 'out', row 0: '\\$1,5' is not a number"):
        read_log(path, schema=cents)
    with pytest.raises(InputError, match="no column 'outs' to read cost from"):
        read_log(path, columns={"cost": "in+outs"})
    with pytest.raises(InputError, match="no column 'in.out' to read prompt from"):
        read_log(path, columns={"prompt": "in+out", "cost": "in"})


def test_a_row_without_a_part_has_no_cost_and_rows_left_out_are_not_added(tmp_path):
    rows = [
        {"prompt": f"p{at}", "model": "xy"[at % 2], "quality": 1, "in": 1.0, "out": 2.0, "use": 1}
        for at in range(4)
    ]
    rows[1]["out"] = None
    rows.append({**rows[0], "out": "unknown", "use": 0})
    path = written(tmp_path / "log.jsonl", rows)
    schema = Schema(columns={"cost": "in+out"}, where={"use": "1"})
    with pytest.warns(rj.DataWarning, match="1 without in.out"):
        assert read_log(path, schema=schema, drop_missing=True).cost.tolist() == [3.0] * 3


def test_sums_in_a_table_and_of_tokens(tmp_path):
    cells = {"cost:a": 1.0, "tool:a": 0.5, "cost:b": 2.0, "score:a": 1, "score:b": 0}
    path = written(tmp_path / "table.jsonl", [{"prompt": f"p{at}", **cells} for at in range(3)])
    table = read_table(path, columns={"cost:a": "cost:a+tool:a"})
    assert dict(zip(table.models, table.cost[0].tolist(), strict=True)) == {"a": 1.5, "b": 2.0}
    (tmp_path / "prices.toml").write_text(
        '[x]\ninput = 1\noutput = 2\ndate = 2026-01-01\nsource = "made"\n'
    )
    rows = [{"prompt": f"p{at}", "model": "x", "quality": 1} for at in range(3)]
    rows = [{**row, "new": 10, "cached": 90, "output_tokens": 50} for row in rows]
    schema = Schema(columns={"input_tokens": "new+cached"}, prices=str(tmp_path / "prices.toml"))
    log = read_log(written(tmp_path / "log.jsonl", rows), schema=schema, models=["x", "y"])
    np.testing.assert_allclose(log.cost, [200e-6] * 3, rtol=1e-6)


@pytest.mark.parametrize(
    "names",
    [
        ("input_cost", "output_cost"),
        ("promptCost", "completionCost"),
        ("Input (USD)", "Output (USD)"),
        ("cost_of_input_cents", "cost_of_output_cents"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_costs_of_input_and_output_are_added(tmp_path, names, ending):
    rows = in_parts(**dict(zip(names, (1, 3), strict=True)))
    found = rj.inspect(written(tmp_path / f"log.{ending}", rows))
    assert found.notes[0] == f"the cost of a call is the sum of {names[0]} and {names[1]}"
    assert {each.role for each in found.columns if each.path in names} == {"cost"}
    unit = 100 if "cents" in names[0] else 1
    expected = [row["cost"] / unit for row in drawn()]
    np.testing.assert_allclose(read_as_told(found).cost, expected, rtol=1e-5)


def test_nested_costs_of_parts_are_added_and_a_whole_one_is_taken(tmp_path):
    rows = [
        {
            **{key: row[key] for key in ("prompt", "model", "good")},
            "input": {"cost": row["cost"] / 4},
            "output": {"cost": row["cost"] / 2},
        }
        for row in drawn()
    ]
    log = read_as_told(rj.inspect(written(tmp_path / "log.jsonl", rows)))
    np.testing.assert_allclose(log.cost, [0.75 * row["cost"] for row in drawn()], rtol=1e-5)
    whole = [{**row, "cost": 1.0} for row in rows]
    assert roles_of(rj.inspect(written(tmp_path / "log.jsonl", whole)))["cost"] == "cost"
    assert named("cost", "output.cost") and not named("cost", "cost.input")


def test_what_may_not_be_added_is_named(tmp_path):
    rows = in_parts(input_cost=1, output_cost=3, cache_read_input_cost=0)
    assert (
        "; 'input_cost', 'output_cost' and 'cache_read_input_cost' are costs of parts, which a "
        "plus adds, as in --columns cost=input_cost+output_cost+cache_read_input_cost"
    ) in lacks(tmp_path / "log.jsonl", rows)
    rows = in_parts(input_price=1, output_price=3)
    assert "--columns cost=input_price+output_price" in lacks(tmp_path / "log.jsonl", rows)
    rows = in_parts(input_cost_per_token=1, output_cost_per_token=3)
    assert "costs of parts" not in lacks(tmp_path / "log.jsonl", rows)
    rows = in_parts(cost_per_1k=4)
    said = lacks(tmp_path / "log.jsonl", rows)
    assert "--columns cost=cost_per_1k --cost-unit per-1k if it is the cost of so many" in said


def test_a_sum_stands_in_a_schema_and_is_taken_from_the_command_line(tmp_path):
    path = written(tmp_path / "log.jsonl", in_parts(a=1, b=3))
    given = Schema(columns={"cost": "a+b", "quality": "good"})
    found = rj.inspect(path, schema=given)
    assert "cost=a+b" in found.commands[0]
    np.testing.assert_allclose(read_as_told(found).cost, [r["cost"] for r in drawn()], rtol=1e-5)
    (tmp_path / "mylog.toml").write_text('[columns]\ncost = "a+b"\nquality = "good"\n')
    log = read_log(path, schema=str(tmp_path / "mylog.toml"))
    np.testing.assert_allclose(log.cost, [row["cost"] for row in drawn()], rtol=1e-5)
