"""Files in other shapes read by rules: paths, words, units, second files, conditions, failures."""

import gzip
import json
import warnings

import numpy as np
import pytest

from routerjax.data.columns.schema import Join, Schema
from routerjax.data.columns.schema_file import write_schema
from routerjax.data.io.files import read_log, read_rows, read_table
from routerjax.errors import DataWarning, InputError

MODELS = ("large", "small")


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def said(read, *args, **kwargs):
    with pytest.raises(InputError) as error:
        read(*args, **kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


def rows(n=4, **cells):
    """Rows of a log; a cell that is a function is called with the row's number."""
    plain = {
        "prompt": lambda i: f"question {i}",
        "model": lambda i: MODELS[i % 2],
        "quality": lambda i: i % 3 / 2,
        "cost": lambda i: 0.001 * (i + 1),
    }
    made = {**plain, **cells}
    return [{k: v(i) if callable(v) else v for k, v in made.items()} for i in range(n)]


def test_columns_by_paths_and_words_by_their_worth(tmp_path):
    path = lines(
        tmp_path / "traces.jsonl",
        [
            {
                "input": {"messages": [{"role": "user", "content": f"q{i}"}]},
                "call": {"model.name": MODELS[i % 2], "usd": {"total": 0.5 * i}},
                "scores": [{"name": "thumb", "value": ("up", "down")[i % 2]}],
            }
            for i in range(4)
        ],
    )
    schema = Schema(
        columns={
            "prompt": "input",
            "model": "call.model.name",
            "cost": "call.usd.total",
            "quality": "scores[name=thumb].value",
        },
        values={"quality": {"up": 1, "down": 0}},
    )
    log = read_log(path, schema=schema)
    assert log.prompts == ("q0", "q1", "q2", "q3")
    np.testing.assert_array_equal(log.quality, [1, 0, 1, 0])
    np.testing.assert_array_equal(log.cost, [0, 0.5, 1, 1.5])
    assert [log.models[arm] for arm in log.arms] == ["large", "small"] * 2
    write_schema(schema, tmp_path / "traces.toml")
    assert read_log(path, schema=tmp_path / "traces.toml").fingerprint == log.fingerprint
    message = said(read_log, path, schema=schema, columns={"cost": "call.eur"})
    assert message == (
        f"{path}: no column 'call.eur' to read cost from; 'call' holds model.name, usd"
    )
    message = said(read_log, path, schema=schema, columns={"cost": "cal"})
    assert "no column 'cal' to read cost from; did you mean 'call'? its columns are" in message


@pytest.mark.parametrize(
    ("unit", "dollars"),
    [("usd", 1.0), ("cents", 0.01), ("eur:1.5", 1.5), ("per-1k", 0.001), ("per-1m", 1e-6)],
)
def test_units_of_cost(tmp_path, unit, dollars):
    path = lines(tmp_path / "log.jsonl", rows(cost=lambda i: 2.0 * (i + 1)))
    log = read_log(path, cost_unit=unit)
    np.testing.assert_allclose(log.cost, dollars * np.array([2, 4, 6, 8]), rtol=1e-6)


def test_a_currency_per_row_needs_its_price(tmp_path):
    currencies = ("EUR", "USD", "EUR", "usd")
    path = lines(tmp_path / "log.jsonl", rows(cost=1.0, currency=lambda i: currencies[i]))
    assert said(read_log, path) == (
        f"{path}, column 'currency', row 0: the cost is in EUR; say what one is worth in dollars, "
        "as in --cost-unit eur:1.08"
    )
    np.testing.assert_allclose(read_log(path, cost_unit="eur:1.5").cost, [1.5, 1, 1.5, 1])


def test_a_table_of_european_spreadsheets(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("prompt;model;quality;cost\na;x;0,5;0,25 €\nb;y;1;2,5 €\n", "utf-8")
    log = read_log(path, decimal=",", money=True, cost_unit="eur:2")
    np.testing.assert_allclose(log.cost, [0.5, 5])
    np.testing.assert_array_equal(log.quality, [0.5, 1])


def test_a_second_file_is_joined_by_an_id(tmp_path):
    path = lines(tmp_path / "calls.jsonl", rows(id=lambda i: f"r{i}", quality=None))
    second = tmp_path / "feedback.csv"
    second.write_text("request,thumb,model\nr2,1,x\nr0,0,y\nr9,1,z\nr3,1,x\n")
    join = Join(str(second), "id", "request")
    with pytest.warns(DataWarning) as caught:
        log = read_log(path, joins=(join,), columns={"quality": "thumb"}, drop_missing=True)
    texts = [str(each.message) for each in caught]
    assert texts[0] == (
        f"{path}: 1 of 4 rows have no row in {second} by 'id', and 1 of its 4 rows none here"
    )
    assert texts[1] == f"{path}: left out 1 of 4 rows: 1 without thumb (small 1)"
    np.testing.assert_array_equal(log.quality, [0, 1, 1])
    assert [log.models[arm] for arm in log.arms] == ["large", "large", "small"]
    with pytest.warns(DataWarning):  # a name that both have is the second file's behind its own
        message = said(read_log, path, joins=(join,), columns={"quality": "feedback.model"})
    assert "column 'feedback.model', row 0: 'y' is not a number" in message


def test_joins_that_cannot_be(tmp_path):
    path = lines(tmp_path / "calls.jsonl", rows(id=lambda i: f"r{i}", quality=None))
    second = tmp_path / "feedback.csv"
    second.write_text("id,thumb\n" + "".join(f"r{i},1\n" for i in (0, 1, 2, 3)) + "r1,0\n")
    message = said(read_log, path, joins=(Join(str(second), "id"),))
    assert message == (
        f"{second}, column 'id', row 4: the id 'r1' is also in row 1; say which counts, as in "
        f"--join '{second} on id taking last'"
    )
    for repeats, quality in (("first", [1, 1, 1, 1]), ("last", [1, 0, 1, 1])):
        join = Join(str(second), "id", repeats=repeats)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            log = read_log(path, joins=(join,), columns={"quality": "thumb"})
        np.testing.assert_array_equal(log.quality, quality)
    assert "no column 'key' to join on; its columns are" in said(
        read_log, path, joins=(Join(str(second), "key"),)
    )
    second.write_text("id,thumb\nx,1\n")
    assert said(read_log, path, joins=(Join(str(second), "id"),)) == (
        f"{second}: no id of its 'id' is one of 'id' in {path}"
    )


def test_rows_of_another_status_are_left_out_and_rows_keep_their_numbers(tmp_path):
    status = (200, 500, 200, 200)
    path = lines(
        tmp_path / "log.jsonl",
        rows(status=lambda i: status[i], quality=lambda i: "broken" if i == 1 else str(i / 3)),
    )
    log = read_log(path, where={"status": "200"})
    assert log.prompts == ("question 0", "question 2", "question 3")
    message = said(read_log, path, where={"status": "200"}, quality_range=(0, 0.9))
    assert message.startswith(f"{path}, column 'quality', row 3: quality is 1, outside [0, 0.9]")
    message = said(read_log, path, where={"status": "ok"})
    assert message == f"{path}, column 'status': no row is 'ok'; it holds '200', '500'"
    assert "no column 'stauts'; did you mean 'status'?" in said(
        read_log, path, where={"stauts": "200"}
    )


def test_failed_calls_have_the_quality_that_is_said(tmp_path):
    path = lines(
        tmp_path / "log.jsonl",
        rows(
            status=lambda i: "success" if i else "failure",
            quality=lambda i: (None, 8, -1, 5)[i],
            cost=lambda i: (None, 0.1, 0.2, 0.3)[i],
        ),
    )
    rules = {"failed": "status!=success", "quality_range": (0, 10)}
    message = said(read_log, path, columns={}, **rules)
    assert "row 0: the call failed and has no quality (the only such row)" in message
    log = read_log(path, failed_quality=0, **rules)
    np.testing.assert_array_equal(log.quality, [0, 8, 0, 5])
    np.testing.assert_allclose(log.cost, [0, 0.1, 0.2, 0.3])
    with pytest.warns(DataWarning, match="1 failed calls without a quality .large 1., 1 without"):
        message = said(read_log, path, drop_missing=True, **rules)
    assert message.endswith("or --failed-quality X where it says that a call failed")
    assert "no column 'state'" in said(read_log, path, failed="state=bad", failed_quality=0)


def test_a_quality_that_stands_for_none_is_no_failed_call(tmp_path):
    rows = [{"prompt": f"q{i}", "model": "ab"[i % 2], "cost": 0.001} for i in range(6)]
    for i, row in enumerate(rows):
        row["thumb"] = (0, 1, -1)[i % 3]
    rules = {"columns": {"quality": "thumb"}, "quality_range": (-1, 1), "failed": "thumb=0"}
    path = tmp_path / "thumbs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    schema = Schema(**rules)
    with pytest.raises(InputError, match="no quality, as thumb=0 stands for none .2 such rows."):
        read_log(path, schema=schema)
    with pytest.warns(DataWarning, match="2 of 6 rows: 2 with thumb=0 and so without a quality"):
        assert len(read_log(path, schema=schema, drop_missing=True)) == 4


def test_names_of_models_are_merged(tmp_path):
    names = ("gpt-4o", "gpt-4o ", "openai/gpt-4o", "other")
    path = lines(tmp_path / "log.jsonl", rows(model=lambda i: names[i]))
    with pytest.warns(DataWarning, match="differ by blanks alone are taken for one: 'gpt-4o', "):
        log = read_log(path, aliases={"gpt-4o": ("openai/gpt-4o",)})
    assert log.models == ("gpt-4o", "other") and log.arm_counts.tolist() == [3, 1]


def test_requests_with_several_rows_are_said(tmp_path):
    path = lines(tmp_path / "log.jsonl", rows(request_id=lambda i: f"r{i // 2}"))
    with pytest.warns(DataWarning, match="2 requests have more than one row by 'request_id', such"):
        read_log(path)


def test_one_prompt_on_most_rows_and_embeddings_all_alike_are_said(tmp_path):
    path = lines(tmp_path / "log.jsonl", rows(12, prompt=lambda i: "?" if i > 4 else f"q{i}"))
    with pytest.warns(DataWarning, match="7 of 12 rows have the prompt '.'; a router cannot"):
        read_log(path)
    path = lines(
        tmp_path / "log.jsonl",
        rows(12, embedding=lambda i: [1.0, 1e-6 * i]),
    )
    with pytest.warns(DataWarning, match="the embeddings are nearly all alike .* 1.0000 long"):
        read_log(path)
    read_log(lines(tmp_path / "log.jsonl", rows(12, embedding=lambda i: [1.0, i % 2 - 0.5])))


def test_a_column_of_empty_objects_is_no_prompt(tmp_path):
    path = lines(tmp_path / "log.jsonl", rows(prompt={}))
    assert "row 0: no prompt here (4 such rows)" in said(read_log, path)
    assert "every row has something missing: 4 without prompt (large 2, small 2)" in said(
        read_log, path, drop_missing=True
    )


def test_images_in_prompts_are_said(tmp_path):
    image = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    talk = [{"role": "user", "content": [{"type": "text", "text": "this?"}, image]}]
    path = lines(tmp_path / "log.jsonl", rows(prompt=lambda i: json.dumps(talk) if i else "plain"))
    with pytest.warns(DataWarning, match=r"hold a part \[image\] in 3; the names stand"):
        assert read_log(path).prompts == ("plain", *["this?\n[image]"] * 3)


@pytest.mark.parametrize("split", ["Test", "holdout", "", None])
def test_an_unknown_split_is_an_error_that_names_its_row(tmp_path, split):
    path = lines(tmp_path / "log.jsonl", rows(split=lambda i: split if i == 2 else "train"))
    assert said(read_rows, path) == (
        f"{path}, column 'split', row 2: unknown split {split or ''!r}; known are train, test, "
        "validation, valid, val, dev, none"
    )


def test_other_splits_beside_train_and_test_are_left_alone(tmp_path):
    words = ["train", "test", "both", "train"]
    path = lines(tmp_path / "log.jsonl", rows(split=lambda i: words[i]))
    with pytest.warns(DataWarning, match="1 of 4 rows are in the split 'both', which is none of"):
        log = read_log(path)
    assert log.split == ("train", "test", "none", "train")
    assert len(log.in_split("train")) == 2 and len(log.in_split("test")) == 1


def test_wide_tables_by_a_pattern(tmp_path):
    path = tmp_path / "wide.csv.gz"
    text = "prompt,a,b,a|usd,b|usd,note\nq,1,0,0.5,0.25,x\nr,0,1,0.5,0.25,y\n"
    path.write_bytes(gzip.compress(text.encode()))
    table = read_table(path, columns={"score:*": "*", "cost:*": "*|usd"})
    assert table.models == ("a", "b")
    np.testing.assert_array_equal(table.quality, [[1, 0], [0, 1]])
    np.testing.assert_array_equal(table.cost, [[0.5, 0.25]] * 2)
    assert read_rows(path, columns={"score:*": "*", "cost:*": "*|usd"}).models == ("a", "b")
    message = said(read_table, path, columns={"score:*": "*", "cost:*": "*|eur"})
    assert "no model has columns '*' and '*|eur'; its columns are" in message
    assert "'usd' for cost:* has no *" in said(
        read_table, path, columns={"score:*": "*", "cost:*": "usd"}
    )
    assert said(read_table, path, schema=Schema(failed_quality=0.0)).startswith("failed quality")


def test_rules_for_pairs_have_no_place_in_a_log(tmp_path):
    path = lines(tmp_path / "log.jsonl", rows())
    assert "fit --gains" in said(read_log, path, schema="arena")
    pairs = Schema(both_bad="tie")
    assert "has no effect without pairs of answers" in said(read_log, path, schema=pairs)


def test_scores_of_different_names_are_said(tmp_path):
    scores = [[{"name": "thumb", "value": 1.0}, {"name": "length", "value": 0.5}], []]
    path = lines(tmp_path / "log.jsonl", rows(scores=lambda i: scores[i % 2], quality=None))
    with pytest.warns(DataWarning, match=r"names .length, thumb.; --columns quality=scores\[name="):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*left out")
            rules = {"columns": {"quality": "scores[0].value"}, "models": list(MODELS)}
            log = read_log(path, drop_missing=True, **rules)
    np.testing.assert_array_equal(log.quality, [1, 1])


def test_halves_of_surrogate_pairs_in_nested_text(tmp_path):
    talk = '[{"role": "user", "content": "a \\ud800 b"}]'
    path = lines(tmp_path / "log.jsonl", rows(prompt=talk))
    assert read_log(path).prompts == ("a \ufffd b",) * 4
