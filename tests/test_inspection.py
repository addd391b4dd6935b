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
from routerjax.data.columns.schema import Join, Schema
from routerjax.data.inspection.commands import options_of, says_it_all
from routerjax.data.inspection.fields import fields_of
from routerjax.data.inspection.propose import propose
from routerjax.data.inspection.roles import guess_roles
from routerjax.data.inspection.word_scales import Scale, words_of
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
        (["1.234,5", "0,5", "1.234"], "comma", [1234.5, 0.5, 1234]),
        (["1,234", "0.5"], "comma", [1234, 0.5]),
        (["1 234,5", "7"], "comma", [1234.5, 7]),
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


def test_a_status_is_no_quality_and_a_propensity_no_embedding():
    rows = [
        {"status": ("success", "failure")[row % 2], "propensity": [0.5, 0.5], "verdict": "good"}
        for row in range(30)
    ]
    assert roles_of(rows) == {"status": "status"}


def test_an_id_or_an_answer_is_no_prompt():
    rows = [
        {"key": f"chatcmpl-{row:012d}", "output": f"this is the answer {row}"} for row in range(9)
    ]
    assert "prompt" not in roles_of(rows)


def test_words_of_feedback():
    (field,) = fields_of(pa.table({"x": ["Thumbs Up", "thumbs-down", "neutral"]}))
    assert words_of(field) == Scale({"Thumbs Up": 1.0, "thumbs-down": 0.0, "neutral": 0.5})
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
    assert "0 in 80% of the rows" in found.notes[0] and found.notes[0].endswith("are left out")
    for table in (codes, thumbs):
        given = propose(fields_of(table), given=Schema(failed_quality=0.0))
        assert given.notes[0].endswith("count with a quality of 0")
        assert propose(fields_of(table), given=Schema(failed="status=500")).notes == ()


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
    found = propose(fields_of(table))
    assert found.schema.failed == ("status!=200",)
    assert found.notes[0].endswith("quality is missing; --failed-quality 0 counts it as 0 instead")
    found = propose(fields_of(table), given=Schema(failed_quality=0.0))
    assert found.notes[0].endswith("calls that failed, whose quality counts as 0")


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


# From a file to the command that uses it


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def logs(monkeypatch) -> list[rj.Log]:
    """The logs that commands would have fitted a router to; nothing is trained."""
    found: list[rj.Log] = []

    def fit(log: rj.Log, **_: Any) -> None:
        found.append(log)
        raise InputError("not fitted")

    monkeypatch.setattr("routerjax.pipelines.fit_log.fit", fit)
    return found


def printed(text: str) -> list[list[str]]:
    """The commands that a report prints, in words."""
    lines = [line.strip() for line in text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("routerjax ")]


def run(capsys, *arguments: str) -> list[list[str]]:
    """Inspect, and check that every command it prints is one."""
    assert main(["inspect", *arguments]) == 0
    commands = printed(capsys.readouterr().out)
    for command in commands:
        check(command)
    return commands


def chat(row: dict[str, Any]) -> dict[str, Any]:
    turns = [{"role": "system", "content": "Be short."}, {"role": "user", "content": row["prompt"]}]
    return {
        "id": row["id"],
        "model": row["model"],
        "messages": turns,
        "response": {"usage": {"prompt_tokens": row["tokens"][0]}},
        "feedback": {"thumb": ("down", "up")[row["good"]]},
        "cost": row["cost"],
    }


def trace(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "trace": row["id"],
        "input": {"messages": [{"role": "user", "content": row["prompt"]}]},
        "calls": [{"llm": row["model"], "spend": row["cost"]}],
        "evals": [{"name": "speed", "score": 3}, {"name": "judge", "score": row["good"]}],
    }


SHAPES = {
    "plain.jsonl": as_log,
    "chat.jsonl": chat,
    "trace.jsonl": trace,
    "words.csv": lambda row: {
        "question": row["prompt"],
        "llm": row["model"],
        "helpful": ("no", "yes")[row["good"]],
        "cost_usd": row["cost"],
    },
    "dollars.csv": lambda row: as_log(row, cost=f"${row['cost']:.7f}"),
    "cents.jsonl": lambda row: {
        "prompt": row["prompt"],
        "model": row["model"],
        "correct": bool(row["good"]),
        "cost_cents": row["cost"] * 100,
    },
    "python.csv": lambda row: {
        "messages": str([{"role": "user", "content": row["prompt"]}]),
        "model": row["model"],
        "usage": str({"total_cost": row["cost"], "cached": None}),
        "grade": f"{100 * row['good']}%",
    },
    "text.csv": lambda row: {
        "prompt": json.dumps([{"role": "user", "content": row["prompt"]}]),
        "model": row["model"],
        "score": row["good"],
        "spend": row["cost"],
    },
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_printed_command_reads_the_file_right(here, logs, capsys, name):
    rows = drawn()
    write(here / name, [SHAPES[name](row) for row in rows])
    fit, route = run(capsys, name)
    assert route[0] == "route" and main(fit) == 2
    (log,) = logs
    assert log.prompts == tuple(row["prompt"] for row in rows)
    assert [log.models[arm] for arm in log.arms] == [row["model"] for row in rows]
    np.testing.assert_allclose(log.cost, [row["cost"] for row in rows], rtol=1e-5)
    np.testing.assert_array_equal(log.quality / log.quality_range[1], [row["good"] for row in rows])


def test_semicolons_and_decimal_commas(here, logs, capsys):
    rows = drawn()
    cells = [as_log(row, cost=str(row["cost"]).replace(".", ",")) for row in rows]
    write(here / "log.csv", cells, separator=";")
    (fit, _) = run(capsys, "log.csv")
    main(fit)
    np.testing.assert_allclose(logs[0].cost, [row["cost"] for row in rows], rtol=1e-5)


def test_stars_and_codes_for_failure(here, logs, capsys):
    rows = drawn()
    stars = [as_log(row, quality=-1 if at % 12 == 5 else 1 + at % 5) for at, row in enumerate(rows)]
    write(here / "log.jsonl", stars)
    (fit, _) = run(capsys, "log.jsonl")
    main(fit)
    assert logs[0].quality_range == (1, 5) and len(logs[0]) == 110
    assert set(logs[0].quality.tolist()) == {1, 2, 3, 4, 5}


def test_one_model_in_several_spellings(here, logs, capsys):
    rows = drawn()
    names = {
        row["id"]: ("gpt-4o", "openai/gpt-4o", "GPT-4o ")[at % 3] for at, row in enumerate(rows)
    }
    spelt = [
        as_log(row, model=names[row["id"]] if row["model"] == "gpt-4o" else row["model"])
        for row in rows
    ]
    write(here / "log.jsonl", spelt)
    (fit, _) = run(capsys, "log.jsonl")
    assert fit[fit.index("--alias") + 1] == "gpt-4o=openai/gpt-4o,GPT-4o" or "--alias" in fit
    main(fit)
    assert logs[0].models == MODELS


def test_rows_that_lack_something_leave_by_model(here, logs, capsys):
    rows = drawn()
    lacking = [as_log(row, quality=None if at < 30 else row["good"]) for at, row in enumerate(rows)]
    write(here / "log.jsonl", lacking)
    found = rj.inspect("log.jsonl")
    (fit, _) = run(capsys, "log.jsonl")
    assert "--drop-missing" in fit and main(fit) == 2
    assert len(logs[0]) == 90 == sum(each.rows for each in found.models)
    for model in MODELS:
        count = sum(row["model"] == model for row in rows[:30])
        assert found.missing[model] == {"quality": count}


def test_a_feedback_file_is_joined_by_the_id(here, logs, capsys):
    rows = drawn()
    calls = [{"request_id": row["id"], **as_log(row)} for row in rows]
    for call in calls:
        del call["quality"]
    write(here / "calls.csv", calls)
    thumbs = [{"call": row["id"], "thumb": row["good"], "at": "2026-01-01"} for row in rows[40:]]
    write(here / "feedback.csv", thumbs + [{"call": "other", "thumb": 1, "at": "2026-01-02"}])
    (fit, _) = run(capsys, "feedback.csv", "calls.csv")
    assert fit[fit.index("--join") + 1] == "feedback.csv on request_id=call"
    main(fit)
    np.testing.assert_array_equal(logs[0].quality, [row["good"] for row in rows[40:]])


def test_files_of_the_same_columns_are_parts_of_one_log(here, logs, capsys):
    rows = [as_log(row) for row in drawn()]
    write(here / "a.jsonl", rows[:70])
    write(here / "b.jsonl", rows[70:])
    (fit, _) = run(capsys, "a.jsonl", "b.jsonl")
    main(fit)
    np.testing.assert_array_equal(logs[0].quality, [row["quality"] for row in rows])


def test_tokens_need_prices_and_are_priced(here, logs, capsys):
    rows = drawn()
    cells = []
    for row in rows:
        tokens = dict(zip(("prompt_tokens", "completion_tokens"), row["tokens"], strict=True))
        cells.append({"prompt": row["prompt"], "model": row["model"], "ok": row["good"]} | tokens)
    write(here / "log.csv", [{"score": cell.pop("ok"), **cell} for cell in cells])
    assert main(["inspect", "log.csv"]) == 2
    assert "no cost is logged: --prices prices.toml" in capsys.readouterr().err
    entry = 'input = 3\noutput = 15\ndate = 2026-01-31\nsource = "x"\n'
    (here / "prices.toml").write_text("".join(f'["{model}"]\n{entry}' for model in MODELS))
    (fit, _) = run(capsys, "log.csv", "--prices", "prices.toml")
    main(fit)
    expected = [(3 * row["tokens"][0] + 15 * row["tokens"][1]) / 1e6 for row in rows]
    np.testing.assert_allclose(logs[0].cost, expected, rtol=1e-6)


def test_a_wide_table_is_drawn_from_first(here, logs, capsys):
    rows = [
        {"prompt": f"what is question {at} about", "big": at % 2, "big|total_cost": 0.004}
        | {"tiny": (at + 1) % 2, "tiny|total_cost": 0.001}
        for at in range(90)
    ]
    write(here / "wide.csv", rows)
    (draw, fit, _) = run(capsys, "wide.csv")
    assert main(draw) == 0 and main(fit) == 2
    assert logs[0].models == ("big", "tiny") and len(logs[0]) == 63


@pytest.mark.parametrize(
    ("score", "cost"),
    [
        ("score_{}", "cost_{}"),
        ("{}_score", "{}_cost"),
        ("{}", "{}|total_cost"),
        ("quality_{}", "cost_{}"),
        ("accuracy:{}", "price:{}"),
        ("{}.quality", "{}.total_cost"),
    ],
)
def test_models_of_a_wide_table_by_what_their_columns_share(score, cost):
    row = {"prompt": "what is it about"}
    for model in ("big", "tiny"):
        row |= {score.format(model): 0.5, cost.format(model): 0.01}
    found = propose(fields_of(pa.Table.from_pylist([row] * 3)))
    assert found.kind == "table"
    patterns = {"score:*": score.format("*"), "cost:*": cost.format("*")}
    assert found.schema.columns == patterns


def test_gold_scores_are_named(here, logs, capsys):
    rows = [
        as_log(row, source="human" if at % 5 == 0 else "judge-1") for at, row in enumerate(drawn())
    ]
    write(here / "log.jsonl", rows)
    (fit, _) = run(capsys, "log.jsonl")
    assert fit[fit.index("--gold-column") + 1] == "source=human"
    main(fit)
    assert set(logs[0].scored_by) == {"human", "judge-1"}


@pytest.mark.parametrize(
    ("judge", "gold", "share", "scale", "column"),
    [
        ("judge_score", "human_score", 5, 1.0, "human_score"),
        ("score", "gold", 3, 100.0, "gold"),
        ("llm_judge_score", "rating", 4, 5.0, "rating"),  # whoever rates, it is not the judge
        ("judge_score", "human_score", 1, 1.0, None),  # filled everywhere: a score like any other
        ("score", "latency", 5, 1.0, None),
        ("score", "rating", 5, 1.0, None),  # nothing says which of the two is right
    ],
)
def test_gold_scores_beside_a_judges(here, logs, capsys, judge, gold, share, scale, column):
    rows = []
    for at, row in enumerate(drawn()):
        own = as_log(row)
        own[judge] = (0.25 + 0.55 * own.pop("quality")) * scale
        own[gold] = scale * (at // share % 2) if at % share == 0 else None
        rows.append(own)
    write(here / "log.jsonl", rows)
    (fit, _) = run(capsys, "log.jsonl")
    assert ("--gold-column" in fit) == (column is not None)
    main(fit)
    (log,) = logs
    if column is None:
        assert log.gold_quality is None
        return
    assert fit[fit.index("--gold-column") + 1] == column
    told = [row[gold] for row in rows if row[gold] is not None]
    known = np.asarray(log.gold_quality)
    np.testing.assert_allclose(sorted(known[~np.isnan(known)]), sorted(told))


def test_of_several_judges_the_first_is_corrected_and_the_others_are_named(here, capsys):
    rows = []
    for at, row in enumerate(drawn()):
        own = as_log(row)
        own["judge_big"] = 0.25 + 0.55 * own.pop("quality")
        own |= {"judge_small": 0.5, "human_score": at // 5 % 2 if at % 5 == 0 else None}
        own["judge_small"] += 0.1 * (at % 3)
        rows.append(own)
    write(here / "log.jsonl", rows)
    assert main(["inspect", "log.jsonl"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--columns quality=judge_big --gold-column human_score" in said
    assert "the judge's score is judge_big; judge_small may be one, too" in said


def test_of_several_scores_of_a_trace_the_others_are_named(here, capsys):
    rows = [trace(row) for row in drawn()]
    for at, row in enumerate(rows):
        row["scores"] = [
            {"name": "correctness", "value": at % 2, "source": "EVAL"},
            {"name": "helpfulness", "value": at % 5 / 4, "source": "EVAL"},
        ]
        del row["evals"]
    write(here / "log.jsonl", rows)
    assert main(["inspect", "log.jsonl"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "the quality is scores[name=correctness].value; scores[name=helpfulness].value" in said
    assert "sounds like a quality, too: --columns quality=COLUMN takes it" in said


def test_on_a_narrow_terminal_no_number_and_no_path_is_cut(here, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    write(here / "log.jsonl", [trace(row) for row in drawn()])
    assert main(["inspect", "log.jsonl"]) == 0
    out = capsys.readouterr().out
    assert "100%" in out and "filled" in out and "distinct" in out
    table = out[: out.index("Left alone")] if "Left alone" in out else out
    assert "…" not in table


def test_gold_scores_of_another_scale_are_named_and_not_used(here, logs, capsys):
    rows = []
    for at, row in enumerate(drawn()):
        own = as_log(row, human_score=[20, 90][at % 2] if at % 5 == 0 else None)
        rows.append(own)
    write(here / "log.jsonl", rows)
    assert main(["inspect", "log.jsonl"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "human_score seems to hold gold scores beside those of" in said
    assert "--gold-column human_score" in said and "--gold-column human_score --out" not in said


def test_what_was_written_is_read_by_the_command(here, logs, capsys):
    rows = drawn()
    write(here / "log.jsonl", [trace(row) for row in rows])
    (here / "sub").mkdir()
    (fit, _) = run(capsys, "log.jsonl", "--write", "sub/my.toml")
    assert "--columns" not in fit and fit[fit.index("--schema") + 1] == "sub/my.toml"
    main(fit)
    np.testing.assert_array_equal(logs[0].quality, [row["good"] for row in rows])


@pytest.mark.slow
def test_a_router_comes_of_the_printed_commands(here, capsys):
    write(here / "log.jsonl", [chat(row) for row in drawn(150)])
    fit, route = run(capsys, "log.jsonl")
    assert main([*fit, "--quiet"]) == 0
    assert main(route) == 0
    assert capsys.readouterr().out.splitlines()[-1].split("\t")[0] in MODELS


# What is said


def told(capsys, *arguments: str) -> str:
    """The sentence with which an inspection ends that cannot use the file."""
    assert main(["inspect", *arguments]) == 2
    caught = capsys.readouterr()
    lines = [line for line in caught.err.splitlines() if not line.startswith("routerjax: warning")]
    assert len(lines) == 1 and lines[0].startswith("routerjax: ") and "Traceback" not in caught.err
    assert printed(caught.out) == []
    return lines[0]


def test_what_is_lacking_is_named_with_the_option_that_says_it(here, capsys):
    rows = [{"text": row["prompt"], "foo": row["good"], "bar": row["cost"]} for row in drawn()]
    write(here / "log.jsonl", rows)
    said = told(capsys, "log.jsonl")
    for option in ("model=COLUMN", "quality=COLUMN", "cost=COLUMN"):
        assert f"--columns {option}" in said
    write(here / "named.jsonl", [{**row, "who": MODELS[at % 3]} for at, row in enumerate(rows)])
    fit, _ = run(capsys, "named.jsonl", "--columns", "model=who,quality=foo,cost=bar")
    named = fit[fit.index("--columns") + 1].split(",")
    assert sorted(named) == ["cost=bar", "model=who", "prompt=text", "quality=foo"]


def test_numbers_that_cannot_be_used_end_in_their_sentence(here, capsys):
    rows = drawn()
    write(
        here / "unpriced.jsonl",
        [as_log(r, cost=r["cost"] * (r["model"] != "gpt-4o")) for r in rows],
    )
    assert "model 'gpt-4o' costs 0 in all" in told(capsys, "unpriced.jsonl")
    write(
        here / "refund.jsonl",
        [as_log(r, cost=-1.0 if r["id"].endswith("7") else 1.0) for r in rows],
    )
    assert "add a refund to the row that it refunds" in told(capsys, "refund.jsonl")
    write(here / "percent.jsonl", [as_log(row, propensity=33.3) for row in rows])
    assert "divide them by 100" in told(capsys, "percent.jsonl")
    write(here / "one.jsonl", [as_log(row, propensity=1.0) for row in rows])
    assert "recorded propensities cannot be right" in told(capsys, "one.jsonl")
    write(here / "euro.jsonl", [as_log(row, currency="EUR") for row in rows])
    assert "--cost-unit eur:1.08" in told(capsys, "euro.jsonl")
    write(here / "few.jsonl", [as_log(row) for row in rows[:40]])
    assert "40 rows to learn from are too few" in told(capsys, "few.jsonl")
    write(here / "other.csv", [{"key": f"k{at}", "weight": at} for at in range(9)])
    assert "shares no id with" in told(capsys, "unpriced.jsonl", "other.csv")


def test_pairs_and_gains_say_what_to_give(here, capsys):
    pairs = [
        {"prompt": row["prompt"], "model_a": "gpt-4o", "model_b": "llama-8b", "winner": "model_a"}
        for row in drawn()
    ]
    write(here / "pairs.jsonl", pairs)
    said = told(capsys, "pairs.jsonl")
    assert "--schema arena --gains --models gpt-4o,llama-8b --costs DOLLARS,DOLLARS" in said
    write(here / "gains.jsonl", [{"prompt": row["prompt"], "GL": 1, "PL": 0} for row in drawn()])
    assert "--gains --models PRIMARY,OTHER --costs" in told(capsys, "gains.jsonl")


def test_a_cost_of_a_thousand_times_the_median_is_warned_of(here, capsys):
    rows = [as_log(row) for row in drawn()]
    rows[17]["cost"] = 90.0
    write(here / "log.jsonl", rows)
    assert main(["inspect", "log.jsonl"]) == 0
    assert "warning: column 'cost', row 17: one row of model" in capsys.readouterr().out
    assert main(["inspect", "log.jsonl", "--strict"]) == 2


def test_a_kind_of_query_on_which_a_model_never_answered():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4)).astype(np.float32)
    arms = np.where(x[:, 2] > 0, rng.integers(0, 3, 600), rng.integers(0, 2, 600))
    table = pa.table(
        {
            "embedding": x.tolist(),
            "model": [MODELS[arm] for arm in arms],
            "quality": rng.integers(0, 2, 600),
            "cost": np.array(PRICE)[arms] * rng.uniform(0.5, 1.5, 600),
        }
    )
    (gap,) = rj.inspect(table).gaps
    assert "llama-8b" in gap and "where number 2 of the embedding is below" in gap
    even = table.set_column(1, "model", [[MODELS[row % 3] for row in range(600)]])
    assert rj.inspect(even).gaps == ()


def test_an_inspection_of_a_frame_is_a_record():
    pandas = pytest.importorskip("pandas")
    rows = drawn()
    frame = pandas.DataFrame(
        [as_log(row, when=f"2026-02-{1 + at % 9:02d}") for at, row in enumerate(rows)]
    )
    found = rj.inspect(frame.rename(columns={"when": "timestamp"}))
    assert (found.files, found.kind, found.rows, found.problems) == (("frame",), "log", ROWS, ())
    assert found.span == ("2026-02-01 00:00:00", "2026-02-09 00:00:00")
    assert found.groups == ROWS and found.repeats == 0
    for each in found.models:
        own = [row for row in rows if row["model"] == each.model]
        assert each.rows == len(own)
        assert each.quality == pytest.approx(np.mean([row["good"] for row in own]))
        assert each.cost == pytest.approx(np.median([row["cost"] for row in own]))
    twice = pandas.concat([frame, frame])
    assert rj.inspect(twice).repeats == ROWS


def test_models_that_go_by_numbers_and_truth_in_two_spellings(here):
    rows = [
        {"prompt": f"How do I sort list {at}?", "model": at % 2, "quality": mark, "cost": 1e-3}
        for at, mark in enumerate([True, 1, False, 0] * 15)
    ]
    write(here / "log.jsonl", rows)
    found = rj.inspect("log.jsonl")
    assert [each.model for each in found.models] == ["0", "1"]
    assert "--values quality:0=0,1=1,false=0,true=1" in found.commands[0]
    assert [each.quality for each in found.models] == [0.5, 0.5]
    many = [{**row, "model": at} for at, row in enumerate(rows)]
    write(here / "log.jsonl", many)  # every row a number of its own: no models
    assert rj.inspect("log.jsonl").models == ()


def test_one_json_document(here, capsys):
    write(here / "log.jsonl", [chat(row) for row in drawn()])
    assert main(["inspect", "log.jsonl", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["preset"], found["rows"]) == ("log", "openai", ROWS)
    assert found["commands"][0].startswith("routerjax fit log.jsonl --schema openai")
    assert {each["model"] for each in found["models"]} == set(MODELS)


def test_names_reach_the_terminal_as_they_are(here, capsys):
    spelt = {"gpt-4o": "vendor/model[/fast]", "llama-8b": "\x1b[31mred"}
    rows = [as_log(row, model=spelt.get(row["model"], row["model"])) for row in drawn()]
    write(here / "log.jsonl", rows)
    assert main(["inspect", "log.jsonl"]) == 0
    out = capsys.readouterr().out
    assert "vendor/model[/fast]" in out and "\x1b" not in out


def test_where_the_schema_goes_must_be_a_toml_file(here, capsys):
    write(here / "log.jsonl", [as_log(row) for row in drawn()])
    assert main(["inspect", "log.jsonl", "--write", "my.yaml"]) == 2
    assert "--write my.yaml: must end in .toml" in capsys.readouterr().err
    assert not (here / "my.yaml").exists()
