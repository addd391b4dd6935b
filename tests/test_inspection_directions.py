"""What `inspect` must not take for a part of a log, and which of two columns it takes."""

from __future__ import annotations

import numpy as np
import pytest
from test_inspection_elsewhere import drawn, lacks, read_as_told, written

import routerjax as rj
from routerjax.data.columns.schema import Join, Schema
from routerjax.data.columns.synonyms import named, plain


def with_only(name: str, cell) -> list[dict]:
    """Rows of a log whose one column of feedback has this name, and these cells by row."""
    kept = ("prompt", "model", "cost")
    return [{**{key: row[key] for key in kept}, name: cell(row)} for row in drawn()]


@pytest.mark.parametrize(
    ("name", "good", "bad", "worth"),
    [
        ("negative_feedback", 0, 1, "0=1,1=0"),
        ("not_correct", False, True, "false=1,true=0"),
        ("thumbs_down", "no", "yes", "no=1,yes=0"),
        ("is_wrong", 1, 2, "1=1,2=0"),
    ],
)
def test_a_column_that_says_what_was_bad_is_turned_around_when_told(
    tmp_path, name, good, bad, worth
):
    rows = with_only(name, lambda row: good if row["good"] else bad)
    path = tmp_path / "log.jsonl"
    assert f"--columns quality={name} --values quality:{worth} turns around" in lacks(path, rows)
    words = dict(pair.split("=") for pair in worth.split(","))
    given = Schema(
        columns={"quality": name},
        values={"quality": {word: float(number) for word, number in words.items()}},
    )
    log = read_as_told(rj.inspect(str(path), schema=given))
    assert log.quality.tolist() == [row["good"] for row in drawn()]


@pytest.mark.parametrize(
    "name", ["difficulty_score", "predicted_quality", "max_score", "streaming", "is_premium"]
)
def test_what_says_nothing_of_the_answer_is_no_quality(tmp_path, name):
    words = name in ("streaming", "is_premium")
    rows = with_only(name, lambda row: ("no", "yes")[row["good"]] if words else row["good"] / 2)
    assert "how good the answer was" in lacks(tmp_path / "log.jsonl", rows)


def test_words_of_assent_count_where_the_column_asks_how_good_it_was(tmp_path):
    rows = with_only("was it helpful?", lambda row: ("no", "yes")[row["good"]])
    log = read_as_told(rj.inspect(written(tmp_path / "log.jsonl", rows)))
    assert log.quality.tolist() == [row["good"] for row in drawn()]


def test_feedback_that_nobody_gave_is_missing_and_tones_of_skin_do_not_count(tmp_path):
    words = {0: "👎🏽", 1: "👍🏿"}
    rows = with_only("reaction", lambda row: words[row["good"]])
    for row in rows[::9]:
        row["reaction"] = "no feedback"
    found = rj.inspect(written(tmp_path / "log.jsonl", rows))
    assert found.drop_missing
    with pytest.warns(rj.DataWarning, match="left out 10 of 90 rows: 10 without reaction"):
        log = rj.read_log(str(tmp_path / "log.jsonl"), schema=found.schema, drop_missing=True)
    assert log.quality.tolist() == [r["good"] for at, r in enumerate(drawn()) if at % 9]


@pytest.mark.parametrize("name", ["cumulative_cost", "budget_usd", "max_cost", "expected_cost"])
def test_what_no_call_cost_is_no_cost(tmp_path, name):
    rows = [{**row, name: row["cost"]} for row in drawn()]
    for row in rows:
        del row["cost"]
    assert "what the answer cost" in lacks(tmp_path / "log.jsonl", rows)


def test_millionths_are_told_by_the_name(tmp_path):
    rows = [{**row, "cost_micro_usd": round(row["cost"] * 1e6)} for row in drawn()]
    for row in rows:
        del row["cost"]
    log = read_as_told(rj.inspect(written(tmp_path / "log.jsonl", rows)))
    np.testing.assert_allclose(log.cost, [r["cost_micro_usd"] / 1e6 for r in rows], rtol=1e-5)


def test_text_of_the_system_is_no_prompt(tmp_path):
    rows = [
        {**row, "system_prompt": f"You are agent {at} of ours"} for at, row in enumerate(drawn())
    ]
    for row in rows:
        row["user_text"] = row.pop("prompt")
    log = read_as_told(rj.inspect(written(tmp_path / "log.jsonl", rows)))
    assert log.prompts == tuple(row["prompt"] for row in drawn())
    for row in rows:
        del row["user_text"]
    assert lacks(tmp_path / "log.jsonl", rows).startswith("the prompt (")


def test_the_scale_in_a_name_is_left_out_of_it(tmp_path):
    assert [plain(name) for name in ("Rating (1-5)", "Score /20", "Quality (out of 10)")] == [
        *("rating", "score", "quality"),
    ]
    assert named("quality", "rating.overall") and plain("cost (USD)") == "cost_usd"
    rows = with_only("Rating (1-5)", lambda row: 1 + 4 * row["good"])
    log = read_as_told(rj.inspect(written(tmp_path / "log.csv", rows)))
    assert log.quality.tolist() == [1 + 4 * row["good"] for row in drawn()]


def asked_for(row: dict, at: int) -> str:
    return "claude-opus-4-1" if at % 3 == 0 else row["model"]


def test_the_model_that_answered_is_taken_for_the_one_that_was_asked(tmp_path):
    rows = [
        {"requested_model": asked_for(row, at), "served_model": row["model"], **row}
        for at, row in enumerate(drawn())
    ]
    for row in rows:
        del row["model"]
    found = rj.inspect(written(tmp_path / "log.jsonl", rows))
    assert found.notes[0].startswith("requested_model is another model than served_model in ")
    log = read_as_told(found)
    assert [log.models[arm] for arm in log.arms] == [row["model"] for row in drawn()]


@pytest.mark.parametrize("preset", ["openai", "otel"])
def test_the_model_that_answered_is_taken_beside_a_preset(tmp_path, preset):
    rows = []
    for at, row in enumerate(drawn()):
        asked = asked_for(row, at)
        score = {"score": row["good"], "cost": row["cost"]}
        if preset == "openai":
            messages = [{"role": "user", "content": row["prompt"]}]
            request = {"model": asked, "messages": messages}
            usage = {"prompt_tokens": 1, "completion_tokens": 2}
            response = {"model": row["model"], "usage": usage}
            rows.append({"request": request, "response": response, **score})
        else:
            models = {"gen_ai.request.model": asked, "gen_ai.response.model": row["model"]}
            span = {"name": "chat", "attributes": models, "prompt": row["prompt"]}
            rows.append({**span, **score})
    found = rj.inspect(written(tmp_path / "log.jsonl", rows))
    assert found.preset == preset and "is another model than" in found.notes[0]
    log = read_as_told(found)
    assert [log.models[arm] for arm in log.arms] == [row["model"] for row in drawn()]


def test_answers_of_several_models_in_a_row_are_not_read_as_one(tmp_path):
    rows = [
        {
            "prompt": row["prompt"],
            "answers": [
                {"model": model, "score": row["good"], "cost": row["cost"]}
                for model in sorted({row["model"], "gpt-5-mini"})
            ],
        }
        for row in drawn()
    ]
    said = lacks(tmp_path / "log.jsonl", rows)
    assert said.startswith("one answer a row: 'answers' holds those of several models in ")
    for row in rows:
        row["answers"] = row["answers"][:1]
    assert not rj.inspect(written(tmp_path / "log.jsonl", rows)).problems


def test_a_file_without_a_header_is_known(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(
        "".join(f"{r['prompt']},{r['model']},{r['good']},{r['cost']}\n" for r in drawn())
    )
    first = rj.inspect(str(path)).problems[0]
    assert (
        first == f"a first line that names the columns: '{drawn()[0]['cost']}' seems to be a value"
    )


def test_feedback_of_the_same_columns_is_joined_and_ids_of_floats_are_ids(tmp_path):
    rows = [{"request_id": 1000 + at, **row} for at, row in enumerate(drawn())]
    score = [
        {"request_id": f"{row['request_id']}.0", "model": "judge", "score": row.pop("good")}
        for row in rows
    ]
    calls, scores = written(tmp_path / "calls.csv", rows), written(tmp_path / "scores.csv", score)
    found = rj.inspect(calls, scores)
    assert [join.file for join in found.schema.joins] == [scores]
    log = read_as_told(found)
    assert log.quality.tolist() == [row["good"] for row in drawn()]
    assert [log.models[arm] for arm in log.arms] == [row["model"] for row in drawn()]


def test_files_of_two_models_with_the_same_questions_are_parts(tmp_path):
    files = [
        written(
            tmp_path / f"{model}.jsonl",
            [
                {"id": at, **row, "model": model, f"note_{model}": 1}
                for at, row in enumerate(drawn())
            ],
        )
        for model in ("one", "two")
    ]
    found = rj.inspect(*files)
    assert not found.schema.joins and [each.rows for each in found.models] == [90, 90]


def test_tables_of_objects_by_model_are_read(tmp_path):
    rng = np.random.default_rng(0)
    cells = [
        {
            m: {"correct": bool(rng.random() < 0.5), "cost_usd": rng.random() / 100}
            for m in ("a-1.5", "b")
        }
        for _ in range(90)
    ]
    rows = [{"prompt": r["prompt"], "by": {"m": c}} for r, c in zip(drawn(), cells, strict=True)]
    found = rj.inspect(written(tmp_path / "table.jsonl", rows))
    assert (found.kind, found.problems) == ("table", ())
    table = rj.read_table(str(tmp_path / "table.jsonl"), schema=found.schema)
    assert table.models == ("a-1.5", "b")
    assert table.quality[:, 0].tolist() == [float(c["a-1.5"]["correct"]) for c in cells]
    flat = [
        {
            "prompt": r["prompt"],
            **{f"{m}{end}": 1 for m in ("gpt-4.1", "gpt-4.1-mini") for end in ("_acc", "_cost")},
        }
        for r in drawn()
    ]
    assert rj.inspect(written(tmp_path / "flat.csv", flat)).schema.columns["score:*"] == "*_acc"


def test_scales_that_a_fit_would_refuse_are_a_problem(tmp_path):
    rows = [
        {**row, "score": row["good"] * (100 if at % 2 else 1), "judge": ("gpt", "human")[at % 2]}
        for at, row in enumerate(drawn())
    ]
    for row in rows:
        del row["good"]
    found = rj.inspect(written(tmp_path / "log.jsonl", rows))
    assert "bring all scores to one scale first" in found.problems[0] and not found.commands


def test_the_only_column_of_vectors_is_routed(tmp_path):
    from routerjax.data.io.queries import read_embeddings

    rows = [{"vec": f"[{at}. 0.5]", "model": "a", "one": 1} for at in range(3)]
    values = read_embeddings(written(tmp_path / "log.csv", rows))
    assert values.tolist() == [[0, 0.5], [1, 0.5], [2, 0.5]]
    rows = [{**row, "other": [1.0, 2.0], "vec": [1.0, 2.0]} for row in rows]
    with pytest.raises(rj.InputError, match="has no column 'embedding'"):
        read_embeddings(written(tmp_path / "log.jsonl", rows))


def test_a_probability_in_percent_is_told_how_to_be_written(tmp_path):
    rows = [{**row, "propensity": "33.5%"} for row in drawn()]
    said = lacks(tmp_path / "log.jsonl", rows)
    assert said.endswith("'33.5%' is not a number; write a probability of 33.5% as 0.335")


def test_a_folder_is_told_by_what_it_holds(tmp_path):
    (tmp_path / "parts").mkdir()
    written(tmp_path / "parts" / "one.csv", drawn())
    with pytest.raises(rj.InputError, match=r"is a folder; name its files, as in .*parts/\*\.csv"):
        rj.read_log(str(tmp_path / "parts"))


def traces(names: tuple[str, ...], at: int, row: dict) -> dict:
    """A trace of Langfuse whose scores have these names; of those that say how bad, 1 is bad."""
    scores = [
        {"name": name, "value": float(row["good"] if name == "helpful" else 1 - row["good"])}
        for name in names
    ]
    call = {"type": "GENERATION", "model": row["model"], "input": row["prompt"]}
    return {
        "id": f"t{at}",
        "input": row["prompt"],
        "totalCost": row["cost"],
        "scores": scores,
        "observations": [{"type": "SPAN"}, call],
    }


def test_a_score_is_asked_for_its_name_beside_a_preset_too(tmp_path):
    path = tmp_path / "log.jsonl"
    said = lacks(path, [traces(("toxicity",), at, row) for at, row in enumerate(drawn())])
    assert "'scores[name=toxicity].value' seems to say how bad it was, which" in said
    said = lacks(path, [traces(("latency", "tokens"), at, r) for at, r in enumerate(drawn())])
    assert "how good the answer was" in said
    both = [traces(("toxicity", "helpful"), at, row) for at, row in enumerate(drawn())]
    found = rj.inspect(written(path, both))
    assert found.preset == "langfuse"
    assert "model is read from observations[type=GENERATION].model" in found.notes
    assert read_as_told(found).quality.tolist() == [row["good"] for row in drawn()]


def test_scores_in_a_file_of_their_own_are_asked_for_their_name(tmp_path):
    rows = [{"trace_id": f"t{at}", **row} for at, row in enumerate(drawn())]
    good = [row.pop("good") for row in rows]
    calls = written(tmp_path / "calls.csv", rows)

    def scores(*names: str) -> str:
        return written(
            tmp_path / "scores.csv",
            [
                {
                    "trace_id": f"t{at}",
                    "name": name,
                    "value": each if name == "helpful" else 1 - each,
                }
                for at, each in enumerate(good)
                for name in names
            ],
        )

    said = "; ".join(rj.inspect(calls, scores("hallucination")).problems)
    assert said == (
        "how good the answer was: 'value' holds 'hallucination', how bad it was (--columns "
        "quality=value --values quality:0=1,1=0 turns it around)"
    )
    several = scores("hallucination", "helpful")
    assert "; ".join(rj.inspect(calls, several).problems) == (
        "scores of one name: 'value' holds those of 'hallucination', 'helpful'; keep the rows of "
        "one, or write a column for each"
    )
    with pytest.raises(
        rj.InputError, match=r"also in row 0; join a file of the scores of one name \(it holds 'ha"
    ):
        rj.read_log(calls, columns={"quality": "value"}, joins=(Join(several, "trace_id"),))
    log = read_as_told(rj.inspect(calls, scores("helpful")))
    assert log.quality.tolist() == good


def test_a_class_is_no_quality_and_other_scores_are_said(tmp_path):
    path = tmp_path / "log.jsonl"
    rows = with_only("label", lambda row: len(row["prompt"]) % 7)
    assert "how good the answer was" in lacks(path, rows)
    rows = with_only("label", lambda row: row["good"])
    assert not lacks(path, rows)
    rows = [{**row, "fluency_score": at % 3, "style_score": 1} for at, row in enumerate(rows)]
    assert not rj.inspect(written(path, rows)).notes  # a label is one by its name, these by an end
    rows = [{"relevance_score": row.pop("label"), **row} for row in rows]
    (note,) = rj.inspect(written(path, rows)).notes
    assert note == (
        "the quality is relevance_score; fluency_score sounds like a quality, too: --columns "
        "quality=COLUMN takes it"
    )


def test_cents_by_the_sign_in_a_name(tmp_path):
    rows = [{**row, "Cost (¢)": row["cost"] * 100} for row in drawn()]
    for row in rows:
        del row["cost"]
    log = read_as_told(rj.inspect(written(tmp_path / "log.jsonl", rows)))
    np.testing.assert_allclose(log.cost, [row["cost"] for row in drawn()], rtol=1e-5)
