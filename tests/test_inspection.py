"""An unknown file: what is guessed of it, what is said of it, and the command that uses it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import routerjax as rj
from routerjax.cli.commands import check, main
from routerjax.data.inspection.commands import options_of, says_it_all
from routerjax.data.inspection.fields import fields_of
from routerjax.data.inspection.propose import propose
from routerjax.data.inspection.roles import guess_roles, words_of
from routerjax.data.io.schema import Join, Schema
from routerjax.errors import InputError

MODELS = ("claude-sonnet", "gpt-4o", "llama-8b")
PRICE = (0.006, 0.004, 0.0002)
ROWS = 120


def drawn(rows: int = ROWS, *, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of an ordinary log: id, prompt, model, good (0 or 1), cost, tokens."""
    rng = np.random.default_rng(seed)
    found = []
    for row in range(rows):
        arm = int(rng.integers(3))
        found.append(
            {
                "id": f"req-{row:05d}",
                "prompt": f"please explain question {row} about {('law', 'water')[row % 2]}",
                "model": MODELS[arm],
                "good": int(rng.random() < 0.7),
                "cost": round(PRICE[arm] * rng.uniform(0.5, 1.5), 7),
                "tokens": (int(rng.integers(50, 2000)), int(rng.integers(20, 300))),
            }
        )
    return found


def as_log(row: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A row with routerjax's own names."""
    plain = {name: row[name] for name in ("prompt", "model", "cost")} | {"quality": row["good"]}
    return {**plain, **changes}


def write(path: Path, rows: list[dict[str, Any]], *, separator: str = ",") -> Path:
    """Rows as JSON lines, or by the suffix .csv as cells."""
    if path.suffix == ".csv":
        names = list(rows[0])
        lines = [separator.join(names)]
        for row in rows:
            cells = ["" if row[name] is None else str(row[name]) for name in names]
            quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
            lines.append(separator.join(quoted))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def roles_of(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Role → path of what is guessed of rows."""
    found = guess_roles(fields_of(pa.Table.from_pylist(rows)))
    return {role: guess.field.path for role, guess in found.items()}


# Fields and roles


def test_fields_of_nested_values():
    table = pa.table(
        {
            "usage": [{"total": {"cost": 0.5}}, None],
            "scores": [[{"name": "j", "value": 1}], []],
            "input": [[{"role": "user", "content": "hi"}], None],
            "text": ['{"a": {"b": 3}}', '{"a": {"b": 4}}'],
            "vector": [[0.1, 0.2], [0.3, 0.4]],
            "printed": ["[0.98 0.21\n 0.26]", "[0.1 -0.2 1e-05]"],
            "nothing": ["", "N/A"],
        }
    )
    found = {field.path: field.kind for field in fields_of(table)}
    assert found == {
        "usage.total.cost": "number",
        "scores[0].name": "text",
        "scores[0].value": "number",
        "input": "messages",
        "text.a.b": "number",
        "vector": "vector",
        "printed": "vector",
        "nothing": "empty",
    }


@pytest.mark.parametrize(
    ("texts", "notation", "numbers"),
    [
        (["1", "2.5", ""], "plain", [1, 2.5]),
        (["$0.0031", "$1,204.50"], "money", [0.0031, 1204.5]),
        (["0,0031", "0,5", "2"], "comma", [0.0031, 0.5, 2]),
        (["8/10", "Rating: [[7]]", "6"], "rating", [8, 7, 6]),
    ],
)
def test_numbers_as_they_are_written(texts, notation, numbers):
    (field,) = fields_of(pa.table({"x": texts}))
    assert (field.kind, field.notation, field.numbers.tolist()) == ("number", notation, numbers)


def test_roles_by_the_names_of_many_tools():
    for names in (
        "llm score total_cost prompt_tokens completion_tokens",
        "model_name rating spend input_tokens output_tokens",
        "engine user_feedback costUsd promptTokens completionTokens",
        "chosen_model llm_judge_score response_cost tokens_in tokens_out",
    ):
        model, score, cost, tokens_in, tokens_out = names.split()
        rows = [
            {
                "question": f"what is the answer to number {row}",
                model: MODELS[row % 3],
                score: row % 2,
                cost: 0.001 * (1 + row),
                tokens_in: row,
                tokens_out: row + 1,
            }
            for row in range(20)
        ]
        assert roles_of(rows) == {
            "prompt": "question",
            "model": model,
            "quality": score,
            "cost": cost,
            "input_tokens": tokens_in,
            "output_tokens": tokens_out,
        }


def test_roles_by_what_fields_hold():
    rows = [
        {
            "a": f"how do I sort list number {row}, please",
            "b": MODELS[row % 3],
            "c": ("👍", "👎")[row % 2],
            "d": f"${0.001 * (1 + row):.4f}",
            "answer": f"you sort list number {row} like this and that",
        }
        for row in range(30)
    ]
    assert roles_of(rows) == {"prompt": "a", "model": "b", "quality": "c", "cost": "d"}


def test_an_id_or_an_answer_is_no_prompt():
    rows = [
        {"key": f"chatcmpl-{row:012d}", "output": f"this is the answer {row}"} for row in range(9)
    ]
    assert "prompt" not in roles_of(rows)


def test_words_of_feedback():
    (field,) = fields_of(pa.table({"x": ["Thumbs Up", "thumbs-down", "neutral"]}))
    assert words_of(field) == {"Thumbs Up": 1.0, "thumbs-down": 0.0, "neutral": 0.5}
    (field,) = fields_of(pa.table({"x": ["up", "sideways"]}))
    assert words_of(field) is None


def test_scores_of_several_names():
    rows = [
        {
            "scores": [
                {"name": "latency", "value": 3.5},
                *([{"name": "user thumb", "value": row % 2}] if row % 3 else []),
            ]
        }
        for row in range(9)
    ]
    found = [field.path for field in fields_of(pa.Table.from_pylist(rows))]
    assert "scores[name=user thumb].value" in found
    assert "scores[name=latency].value" in found


# From fields to a schema


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 1, 0], None),
        ([0.25, 0.5], None),
        ([1, 2, 5, 4], (1.0, 5.0)),
        ([1, 7, 10, 4], (1.0, 10.0)),
        ([0, 7, 10, 4], (0.0, 10.0)),
        ([0, 55, 90, 100], (0.0, 100.0)),
        ([-1, 1, 1], (-1.0, 1.0)),
        ([-3, 2.5, 1], (-3.0, 3.0)),
        (["3/5", "2/5"], (0.0, 5.0)),
    ],
)
def test_ranges_of_quality(values, expected):
    table = pa.table({"model": ["a"] * len(values), "quality": values})
    assert propose(fields_of(table)).schema.quality_range == expected


def test_a_code_for_failure_and_zeros_that_are_no_feedback():
    codes = pa.table({"model": ["a"] * 8, "quality": [-1, 3, 4, 5, 6, 7, 8, 9]})
    found = propose(fields_of(codes))
    assert (found.schema.failed, found.schema.quality_range) == (("quality=-1",), (1.0, 10.0))
    assert "-1 in 1 of 8 rows" in found.notes[0]
    thumbs = pa.table({"model": ["a"] * 10, "thumb": [0, 0, 0, 0, 0, 0, 0, 0, 1, -1]})
    found = propose(fields_of(thumbs))
    assert (found.schema.failed, found.schema.quality_range) == (("thumb=0",), (-1.0, 1.0))
    assert "0 in 80% of the rows" in found.notes[0]


def test_units_by_names_and_signs():
    def cost(name: str, value: Any) -> tuple[Schema, str]:
        table = pa.table(
            {"prompt": ["why is it so"], "model": ["a"], "quality": [1], name: [value]}
        )
        found = propose(fields_of(table))
        return found.schema, " ".join(found.lacks)

    assert cost("cost_cents", 0.4)[0].cost_unit == "cents"
    assert cost("cost", "$0.4")[0].money
    assert cost("cost", "0,4")[0].decimal == ","
    assert "--cost-unit eur:1.08" in cost("cost_eur", 0.4)[1]
    assert "--cost-unit eur:1.08" in cost("cost", "€0.4")[1]


def test_a_status_says_which_calls_failed():
    table = pa.table({"model": ["a"] * 4, "quality": [1, 0, 1, 1], "status": [200, 200, 500, 200]})
    assert propose(fields_of(table)).schema.failed == ("status!=200",)


def test_options_that_say_a_schema():
    schema = Schema(
        columns={"prompt": "messages", "quality": "scores[0].value"},
        values={"quality": {"up": 1.0, "down": 0.0}},
        quality_range=(-1.0, 1.0),
        cost_unit="eur:1.08",
        decimal=",",
        money=True,
        joins=(Join("feedback.csv", "id", "request"),),
        failed=("status!=200",),
        aliases={"gpt-4o": ("GPT-4o",)},
        prices="prices.toml",
    )
    assert shlex.join(options_of(schema)) == (
        "--columns 'prompt=messages,quality=scores[0].value' --values quality:up=1,down=0 "
        "--quality-range -1:1 --cost-unit eur:1.08 --decimal , --money "
        "--join 'feedback.csv on id=request' --alias gpt-4o=GPT-4o --failed 'status!=200' "
        "--prices prices.toml"
    )
    assert says_it_all(schema)
    assert not says_it_all(Schema(columns={"prompt": "a,b"}))
    assert not says_it_all(Schema(values={"quality": {"a=b": 1.0}}))
    assert not says_it_all(Schema(layout="otel"))
