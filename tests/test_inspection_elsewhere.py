"""Files as other tools, countries and spreadsheets write them: what `inspect` makes of them."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shlex
from pathlib import Path

import numpy as np
import pytest

import routerjax as rj
from routerjax.cli.commands import main
from routerjax.data.columns.schema import Join, Schema
from routerjax.data.columns.synonyms import named, plain
from routerjax.errors import InputError

MODELS = ("gpt-5-mini", "claude-opus-4-1", "qwen3-32b")
PRICE = (0.0006, 0.02, 0.0002)


def drawn(rows: int = 90) -> list[dict]:
    """Rows of a log: prompt, model, good (0 or 1), cost."""
    rng = np.random.default_rng(3)
    found = []
    for row in range(rows):
        arm = int(rng.integers(3))
        cost = round(PRICE[arm] * rng.uniform(0.5, 1.5), 6)
        found.append(
            {
                "prompt": f"please explain question {row} of the harbour",
                "model": MODELS[arm],
                "good": int(rng.random() < 0.7),
                "cost": cost,
            }
        )
    return found


def written(path, rows: list[dict], separator: str = ",") -> str:
    """Rows as JSON lines, or by the suffix .csv as cells; the file's name."""
    if path.suffix == ".csv":
        lines = [rows[0].keys(), *(row.values() for row in rows)]
        text = "\n".join(separator.join(f'"{cell}"' for cell in line) for line in lines)
        path.write_text(text + "\n", encoding="utf-8-sig")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def read_as_told(found: rj.Inspection) -> rj.Log:
    """The log that the first command of an inspection would fit a router to."""
    logs: list[rj.Log] = []

    def fit(log: rj.Log, **_: object) -> None:
        logs.append(log)
        raise InputError("not fitted")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("routerjax.pipelines.fit_log.fit", fit)
        # Other tests write a folder "router" too, at the same time.
        patch.chdir(Path(found.files[0]).resolve().parent)
        main(shlex.split(found.commands[0])[1:])
    return logs[0]


COUNTRIES = {
    "german": ("Frage", "Modell", "Bewertung", "Kosten (USD)", ("schlecht", "gut")),
    "french": ("requête", "modèle", "avis", "coût", ("pouce bas", "Pouce haut")),
    "spanish": ("pregunta", "modelo", "valoración", "costo", ("no", "sí")),
    "excel": (" Prompt", "Model ", "Score", "Cost ($)", ("0", "1")),
}


@pytest.mark.parametrize("country", COUNTRIES)
def test_names_and_words_of_other_languages(tmp_path, country):
    prompt, model, quality, cost, words = COUNTRIES[country]
    rows = drawn()
    cells = [
        {prompt: r["prompt"], model: r["model"], quality: words[r["good"]], cost: r["cost"]}
        for r in rows
    ]
    found = rj.inspect(written(tmp_path / "log.csv", cells, ";"))
    assert not found.problems
    log = read_as_told(found)
    assert log.prompts == tuple(row["prompt"] for row in rows)
    np.testing.assert_array_equal(log.quality, [row["good"] for row in rows])
    np.testing.assert_allclose(log.cost, [row["cost"] for row in rows], rtol=1e-5)


def test_brackets_and_accents_in_names():
    assert plain("Cost (USD)") == "cost_usd" and plain("Coût") == "cout"
    assert named("cost", "Kosten (Cent)") and named("prompt", "Requête")


def test_money_with_a_decimal_comma_and_with_thousands(tmp_path):
    rows = drawn()
    cells = [{**r, "cost": f"{r['cost']:.6f} €".replace(".", ",")} for r in rows]
    given = Schema(cost_unit="eur:2", columns={"quality": "good"})
    log = read_as_told(rj.inspect(written(tmp_path / "euro.csv", cells, ";"), schema=given))
    np.testing.assert_allclose(log.cost, [2 * row["cost"] for row in rows], rtol=1e-5)


def test_thousands_are_told_by_the_column_by_another_one_or_lacking(tmp_path):
    rows, columns = drawn(), {"quality": "good"}
    shown = [{**r, "cost": f"{1000 + at:,}" if at else "0.50"} for at, r in enumerate(rows)]
    log = read_as_told(
        rj.inspect(written(tmp_path / "shown.csv", shown), schema=Schema(columns=columns))
    )
    np.testing.assert_allclose(log.cost[1:], 1001 + np.arange(len(rows) - 1))
    cells = [{**r, "cost": f"{1000 + at:,}"} for at, r in enumerate(rows)]
    path = written(tmp_path / "cells.csv", cells)
    (lacking,) = rj.inspect(path, schema=Schema(columns=columns)).problems
    assert lacking.startswith("what a number of column 'cost' is: '1,000' may be 1000 or 1.000")
    for decimal, unit in ((".", 1), (",", 1000)):
        found = rj.inspect(path, schema=Schema(columns=columns, decimal=decimal))
        assert f"--decimal {decimal}" in found.commands[0]
        log = read_as_told(found)
        np.testing.assert_allclose(log.cost, (1000 + np.arange(len(rows))) / unit, rtol=1e-6)
    scored = [{**r, "quality": f"{r['good'] * 0.5}"} for r in cells]
    found = rj.inspect(written(tmp_path / "scored.csv", scored))
    assert found.schema.decimal == "." and "1,000 in cost are read with a comma" in found.notes[0]


def test_the_sign_of_a_currency_in_the_name_of_a_column_is_its_unit(tmp_path):
    for sign, name in (("€", "eur"), ("£", "gbp")):
        rows = [
            {**{k: r[k] for k in ("prompt", "model", "good")}, f"Cost ({sign})": r["cost"]}
            for r in drawn()
        ]
        assert f"--cost-unit {name}:1.08" in lacks(tmp_path / "log.jsonl", rows)


def test_numbers_as_spreadsheets_write_them(tmp_path):
    rows = [
        {**{k: r[k] for k in ("prompt", "model")}, "Score": f"{50 + 30 * r['good']},5 %"}
        | {"Kosten": f"{r['cost']:.3E}".replace(".", ",") if at % 9 else "#N/A"}
        for at, r in enumerate(drawn())
    ]
    log = read_as_told(rj.inspect(written(tmp_path / "log.csv", rows, ";")))
    kept = [row for at, row in enumerate(drawn()) if at % 9]
    np.testing.assert_allclose(log.cost, [row["cost"] for row in kept], rtol=1e-3)
    np.testing.assert_allclose(log.quality, [50.5 + 30 * row["good"] for row in kept])
    for dash in ("-", "—", "n.a.", "<NA>"):
        cells = [{**r, "good": r["good"] if at % 9 else dash} for at, r in enumerate(drawn())]
        assert len(read_as_told(rj.inspect(written(tmp_path / "d.csv", cells)))) == len(kept)


def test_a_router_that_names_itself_is_no_model(tmp_path):
    rows = [{**r, "model": "auto", "response": {"model": r["model"]}} for r in drawn()]
    found = rj.inspect(written(tmp_path / "log.jsonl", rows))
    assert (
        "model is 'auto' in every row: models are told by the column response.model" in found.notes
    )
    assert len(read_as_told(found).models) == len(MODELS)


def test_a_model_that_answered_in_the_place_of_another_is_said(tmp_path):
    rows = [
        {**r, "response_model": r["model"] if at % 3 else MODELS[0]} for at, r in enumerate(drawn())
    ]
    (note,) = rj.inspect(written(tmp_path / "log.jsonl", rows)).notes
    assert "response_model is another model than model in" in note
    assert note.endswith("--columns model=response_model takes it")
    rows = [{**r, "response_model": f"{r['model']}-2026"} for r in drawn()]
    assert rj.inspect(written(tmp_path / "log.jsonl", rows)).notes == ()


def test_ratings_of_0_that_may_be_none_are_said(tmp_path):
    rows = [{**r, "stars": at % 6, "good": None} for at, r in enumerate(drawn())]
    (note,) = rj.inspect(written(tmp_path / "log.jsonl", rows)).notes
    assert note.startswith("quality is 0 in 17% of the rows and 1 to 5 in the others: if 0 stands")


def test_columns_that_may_be_the_quality_are_listed(tmp_path):
    rows = [
        {**{k: r[k] for k in ("prompt", "model", "cost")}, "faithful": r["good"]} for r in drawn()
    ]
    said = lacks(tmp_path / "log.jsonl", rows)
    assert said.endswith("; columns of numbers without a part are 'faithful'")


def lacks(path, rows: list[dict], **given) -> str:
    return "; ".join(rj.inspect(written(path, rows), schema=Schema(**given)).problems)


def test_scores_of_which_a_lower_one_is_better_are_no_quality(tmp_path):
    for name in ("hallucination_score", "error_rate", "harm_score", "wer"):
        rows = [
            {k: v for k, v in {**r, name: 1 - r["good"]}.items() if k != "good"} for r in drawn()
        ]
        said = lacks(tmp_path / "log.jsonl", rows)
        assert f"'{name}' seems to say how bad it was, which --columns quality={name} " in said
        given = Schema(columns={"quality": name}, values={"quality": {"0": 1.0, "1": 0.0}})
        log = read_as_told(rj.inspect(str(tmp_path / "log.jsonl"), schema=given))
        assert log.quality.tolist() == [row["good"] for row in drawn()]
    assert named("quality", "harmlessness_score") and not named("quality", "toxicity_score")


def test_a_column_of_costs_that_are_no_numbers_is_named(tmp_path):
    rows = [{**r, "quality": r["good"], "cost": f"{at / 10}pt"} for at, r in enumerate(drawn())]
    assert "; '0.0pt' in column 'cost' is no number" in lacks(tmp_path / "log.jsonl", rows)
    rows = [{**r, "score": f"note {at}, well done"} for at, r in enumerate(drawn())]
    for row in rows:
        del row["good"]
    assert "; 'note 0, well done' in column 'score'" in lacks(tmp_path / "log.jsonl", rows)


def test_lists_of_a_few_scores_are_no_embedding(tmp_path):
    rows = [{**r, "scores": [r["good"], 1, 0]} for r in drawn()]
    assert "embedding" not in roles_of(rj.inspect(written(tmp_path / "log.jsonl", rows)))
    rows = [{**r, "code": [r["good"]] * 8} for r in drawn()]
    assert roles_of(rj.inspect(written(tmp_path / "log.jsonl", rows)))["embedding"] == "code"


def roles_of(found: rj.Inspection) -> dict[str, str]:
    return {each.role: each.path for each in found.columns if each.role}


def test_names_and_units_of_other_tools(tmp_path):
    rows = [
        {"inputs": json.dumps({"messages": [{"role": "user", "content": r["prompt"]}]})}
        | {"feedback_stats": json.dumps({"user_score": {"n": 1, "avg": float(r["good"])}})}
        | {"model_permaslug": f"openai/{r['model']}", "cost_micros": int(r["cost"] * 1e6)}
        | {"tokens_prompt": 3, "tokens_completion": 4}
        for r in drawn()
    ]
    found = rj.inspect(written(tmp_path / "log.jsonl", rows))
    assert (found.schema.cost_unit, roles_of(found)["input_tokens"]) == ("per-1m", "tokens_prompt")
    log = read_as_told(found)
    np.testing.assert_allclose(log.cost, [row["cost"] for row in drawn()], rtol=1e-2)
    assert log.quality.tolist() == [row["good"] for row in drawn()]
    assert log.prompts == tuple(row["prompt"] for row in drawn())


def test_a_table_of_percents_and_dollars(tmp_path):
    rows = [
        {"question": f"why is it so {at}?", "a accuracy": f"{at}%", "b accuracy": f"{99 - at}%"}
        | {"a cost": "$0.001", "b cost": f"${at / 1000:.4f}"}
        for at in range(60)
    ]
    path = written(tmp_path / "wide.csv", rows)
    found = rj.inspect(path)
    schema = found.schema
    assert (schema.ratings, schema.money, schema.quality_range) == (True, True, (0.0, 100.0))
    table = rj.read_table(path, schema=schema)
    assert table.models == ("a", "b") and found.problems == ()
    np.testing.assert_array_equal(table.quality[:, 0], np.arange(60))
    np.testing.assert_allclose(table.cost[:, 1], np.arange(60) / 1000)


def test_a_table_of_scores_to_a_hundred(tmp_path):
    rows = [
        {"prompt": f"why is it so {at}?", "a": at, "b": 100, "a_cost": 0.1, "b_cost": 0.2}
        for at in range(60)
    ]
    found = rj.inspect(written(tmp_path / "wide.jsonl", rows))
    assert (found.schema.quality_range, found.problems) == ((0.0, 100.0), ())


def test_a_table_with_decimal_commas(tmp_path):
    rows = [
        {"prompt": f"why is it so {at}?", **{name: f"0,{at % 10}" for name in ("a", "b")}}
        | {f"{name}_cost": f"0,00{at + 1}" for name in ("a", "b")}
        for at in range(60)
    ]
    found = rj.inspect(written(tmp_path / "wide.csv", rows, ";"))
    assert (found.kind, found.schema.decimal, found.problems) == ("table", ",", ())


def test_an_answer_is_no_prompt_where_there_is_no_other_text(tmp_path):
    rows = [
        {
            "custom_id": f"req-{at}",
            "response": {
                "body": {
                    "model": r["model"],
                    "choices": [{"message": {"role": "assistant", "content": r["prompt"]}}],
                }
            },
            "score": r["good"],
            "cost": r["cost"],
        }
        for at, r in enumerate(drawn())
    ]
    found = rj.inspect(written(tmp_path / "batch.jsonl", rows))
    assert found.problems == ("the prompt (--columns prompt=COLUMN)",)


def test_words_of_unknown_worth_are_named(tmp_path):
    rows = [
        {**r, "satisfaction": ("unhappy", "so-so", "happy")[at % 3]} for at, r in enumerate(drawn())
    ]
    for row in rows:
        del row["good"]
    (problem,) = rj.inspect(written(tmp_path / "log.jsonl", rows)).problems
    worth = "--columns quality=satisfaction --values quality:happy=X,so-so=X,unhappy=X"
    assert worth in problem


def trace(at: int, row: dict) -> dict:
    scores = [
        {"name": "hallucination", "value": 0.5, "source": "EVAL"},
        {"name": "helpfulness", "value": row["good"], "source": "API"},
    ]
    return {
        "id": f"trace-{at}",
        "userId": f"user-{at % 20}",
        "input": row["prompt"],
        "totalCost": row["cost"],
        "observations": [{"type": "GENERATION", "model": row["model"]}],
        "scores": scores[:: (-1) ** at],
    }


def test_scores_of_one_name_and_groups_go_with_a_preset(tmp_path):
    rows = drawn()
    found = rj.inspect(written(tmp_path / "t.jsonl", [trace(*each) for each in enumerate(rows)]))
    assert found.preset == "langfuse" and found.groups == 20
    log = read_as_told(found)
    np.testing.assert_array_equal(log.quality, [row["good"] for row in rows])
    assert len(np.unique(log.groups)) == 20


@pytest.mark.parametrize("score", ["score", "kudos"])
def test_models_of_spend_logs_are_those_that_were_asked_for(tmp_path, score):
    rows = [
        {
            "request_id": f"r{at}",
            "call_type": "acompletion",
            "spend": row["cost"],
            "model": f"vendor/{row['model']}-2026-01-31",
            "model_group": row["model"],
            "messages": [{"role": "user", "content": row["prompt"]}],
            score: row["good"],
        }
        for at, row in enumerate(drawn())
    ]
    given = Schema(columns={"quality": score})
    found = rj.inspect(written(tmp_path / "spend.jsonl", rows), schema=given)
    assert next(column.path for column in found.columns if column.role == "model") == "model_group"
    assert read_as_told(found).models == tuple(sorted(MODELS))
    by_name = [{**row, "model_group": "smart"} for row in rows]
    found = rj.inspect(written(tmp_path / "smart.jsonl", by_name), schema=given)
    assert any("model_group is 'smart' in every row" in note for note in found.notes)
    assert read_as_told(found).models == tuple(sorted({row["model"] for row in rows}))


def span(at: int, row: dict[str, object]) -> dict[str, object]:
    """A span as OTLP writes it, with an evaluation inside."""
    own = {
        "gen_ai.operation.name": {"stringValue": "chat"},
        "gen_ai.request.model": {"stringValue": row["model"]},
        "gen_ai.response.id": {"stringValue": f"resp-{at}"},
        "gen_ai.prompt": {"stringValue": row["prompt"]},
        "gen_ai.usage.input_tokens": {"intValue": "400"},
        "gen_ai.usage.output_tokens": {"intValue": str(100 + at)},
    }
    score = {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": row["good"]}}
    return {
        "name": "chat",
        "spanId": f"{at:016x}",
        "startTimeUnixNano": str(1_740_787_200_000_000_000 + at * 10**9),
        "attributes": [{"key": key, "value": value} for key, value in own.items()],
        "events": [{"name": "gen_ai.evaluation.result", "attributes": [score]}],
    }


def test_exports_of_spans_are_looked_at_span_by_span(tmp_path):
    spans = [span(*each) for each in enumerate(drawn())]
    path = tmp_path / "otlp.json"
    path.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))
    found = rj.inspect(path)
    assert found.rows == len(spans) and found.schema.layout == "otel"
    (problem,) = found.problems
    assert problem.startswith("the prices of its tokens, as no cost is logged: --prices")
    roles = {column.role: column.path for column in found.columns if column.role}
    assert roles["model"] == "gen_ai.request.model" and roles["prompt"] == "gen_ai.prompt"
    assert not any("resourceSpans" in column.path for column in found.columns)
    entry = 'input = 2\noutput = 8\ndate = 2026-01-31\nsource = "x"\n'
    prices = "".join(f'["{model}"]\n{entry}' for model in MODELS)
    (tmp_path / "prices.toml").write_text(prices)
    found = rj.inspect(path, schema=Schema(prices=str(tmp_path / "prices.toml")))
    assert found.preset == "otel" and "--time startTimeUnixNano" in found.commands[0]
    log = read_as_told(found)
    assert len(log) == len(spans) and log.time[1] - log.time[0] == 1


def test_few_groups_are_not_proposed_and_one_query_is_a_problem(tmp_path):
    rows = [{**r, "quality": r["good"]} for r in drawn()]
    few = [{**r, "user": f"user-{at % 3}"} for at, r in enumerate(rows)]
    found = rj.inspect(written(tmp_path / "few.jsonl", few))
    assert not found.problems and "group=" not in found.commands[0]
    same = [{**r, "prompt": "hello"} for r in rows]
    (problem,) = rj.inspect(written(tmp_path / "same.jsonl", same)).problems
    assert "different queries are 1" in problem


def test_cache_hits_are_priced_as_the_models_other_rows(tmp_path):
    rows = [{**r, "quality": r["good"]} for r in drawn()]
    hits = [
        {**r, "cost": 0 if r["model"] == MODELS[1] and at % 2 else r["cost"]}
        for at, r in enumerate(rows)
    ]
    found = rj.inspect(written(tmp_path / "hits.jsonl", hits))
    assert "--zero-cost missing" in found.commands[0]
    assert any("costs 0 in" in note for note in found.notes)
    log = read_as_told(found)
    dear = np.asarray(log.arms) == log.models.index(MODELS[1])
    assert log.cost[dear].min() > 0.009


def test_failed_calls_cost_nothing_and_are_no_cache_hits(tmp_path, recwarn):
    rows = [
        {
            **r,
            "status": 500 if at % 5 == 0 else 200,
            "quality": None if at % 5 == 0 else r["good"],
            "cost": None if at % 5 == 0 else r["cost"],
        }
        for at, r in enumerate(drawn())
    ]
    path = written(tmp_path / "log.jsonl", rows)
    log = rj.read_log(path, failed="status=500", failed_quality=0.0, strict=True)
    assert (log.cost == 0).sum() == 18 and not [w for w in recwarn if "cache" in str(w.message)]


def test_a_pickle_is_inspected(tmp_path):
    pandas = pytest.importorskip("pandas")
    wide = pandas.DataFrame(
        [
            {"prompt": r["prompt"], **{m: float(r["good"]) for m in MODELS}}
            | {f"{m}|total_cost": price for m, price in zip(MODELS, PRICE, strict=True)}
            for r in drawn()
        ]
    )
    path = tmp_path / "routerbench_0shot.pkl"
    path.write_bytes(pickle.dumps(wide))
    found = rj.inspect(path)
    assert found.kind == "table" and found.commands and not found.problems


def test_what_is_no_file_is_said(capsys):
    assert main(["inspect", "a" * 5000]) == 2
    assert "Traceback" not in capsys.readouterr().err
    with pytest.raises(InputError, match="no such file|is neither a path"):
        rj.inspect([{"prompt": "x"}])


def test_verdicts_of_a_judge_beside_the_winner(tmp_path):
    rows = [
        {
            "prompt": r["prompt"],
            "model_a": "gpt-5-mini",
            "model_b": "qwen3-32b",
            "winner": None if at % 2 else "model_a",
            "judge": ("model_a", "model_b", "tie")[at % 3],
        }
        for at, r in enumerate(drawn())
    ]
    (problem,) = rj.inspect(written(tmp_path / "pairs.jsonl", rows)).problems
    assert "--preference judge" in problem
    letters = {"model_a": "A", "model_b": "B", "tie": "both good"}
    rows = [{**row, "judge": letters[row["judge"]]} for row in rows]
    (problem,) = rj.inspect(written(tmp_path / "letters.jsonl", rows)).problems
    assert "--preference judge" in problem


def test_an_id_of_another_name_that_repeats(tmp_path, recwarn):
    rows = [{**r, "request_id": f"q{at}"} for at, r in enumerate(drawn())]
    calls = written(tmp_path / "calls.jsonl", rows)
    marks = [{"id": f"q{at}", "thumb": at % 2} for at in range(90)] + [{"id": "q3", "thumb": 1}]
    second = written(tmp_path / "marks.jsonl", marks)
    columns = {"quality": "thumb"}
    join = Join(second, "request_id", "id")
    with pytest.raises(InputError) as caught:
        rj.read_log(calls, schema=Schema(columns=columns, joins=(join,)))
    assert "on request_id=id taking last'" in str(caught.value)
    last = dataclasses.replace(join, repeats="last")
    rj.read_log(calls, schema=Schema(columns=columns, joins=(last,)))
    assert not [each for each in recwarn if "none here" in str(each.message)]


def test_a_list_of_one_score(tmp_path):
    rows = drawn()
    for cells in (
        [f"[{r['good']}]" for r in rows],
        [f'["{("bad", "good")[r["good"]]}"]' for r in rows],
    ):
        log = [
            {"prompt": r["prompt"], "model": r["model"], "cost": r["cost"], "user-thumb": cell}
            for r, cell in zip(rows, cells, strict=True)
        ]
        read = read_as_told(rj.inspect(written(tmp_path / "log.jsonl", log)))
        np.testing.assert_array_equal(read.quality, [row["good"] for row in rows])


def test_a_schema_that_options_cannot_say_is_written_by_the_first_command(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    rows = [
        {**r, "quality": r["good"], "model": f"{'aA'[at % 2]},{r['model']}"}
        for at, r in enumerate(drawn())
    ]
    found = rj.inspect(written(tmp_path / "log.jsonl", rows))
    first, fit, _ = found.commands
    assert first.endswith("--write mylog.toml") and "--schema mylog.toml" in fit
    assert main(shlex.split(first)[1:]) == 0
    assert len(rj.read_log(tmp_path / "log.jsonl", schema="mylog.toml").models) == 3
