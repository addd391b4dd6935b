"""Reading and writing records: literal rows, round trips, and every complaint word for word."""

from __future__ import annotations

import csv
import json
import logging
import os
import socket
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routerjax.cli.parse import parse_columns, parse_range
from routerjax.data.formats import hub
from routerjax.data.io.files import read_log, read_rows, read_table
from routerjax.data.io.writing import write_log, write_table
from routerjax.errors import DataWarning, InputError
from routerjax.records.logs import Log
from routerjax.records.tables import Table

SUFFIXES = (".parquet", ".csv", ".jsonl")
ROWS = [
    {"prompt": "2+2?", "model": "small", "quality": 1.0, "cost": 0.25},
    {"prompt": "NA", "model": "large", "quality": 0.5, "cost": 2.0},
    {"prompt": ' why, "so"?\r\nnull ', "model": "small", "quality": 0.0, "cost": 0.0},
]
WIDE = [
    {"prompt": "a", "score:m1": 1.0, "score:m0": 0.5, "cost:m1": 0.1, "cost:m0": 0.2},
    {"prompt": "b", "score:m1": None, "score:m0": 0.25, "cost:m1": 0.3, "cost:m0": None},
]
SHARED = Path(__file__).parents[2] / "shared" / "data"


def put(folder: Path, rows: list[dict], name: str = "log.jsonl") -> Path:
    """Write rows by means other than the code under test."""
    path = folder / name
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def changed(row: int, **cells) -> list[dict]:
    return [{**values, **(cells if at == row else {})} for at, values in enumerate(ROWS)]


def without(name: str) -> list[dict]:
    return [{key: value for key, value in row.items() if key != name} for row in ROWS]


def said(call, *args, **options) -> str:
    with pytest.raises(InputError) as caught:
        call(*args, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Reading


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_log_is_read_from_every_format(tmp_path, suffix):
    log = read_log(put(tmp_path, ROWS, f"log{suffix}"))
    assert log.models == ("large", "small")
    assert log.prompts == ("2+2?", "NA", ' why, "so"?\r\nnull ')
    np.testing.assert_array_equal(log.arms, [1, 0, 1])
    np.testing.assert_array_equal(log.quality, np.float32([1.0, 0.5, 0.0]))
    np.testing.assert_array_equal(log.cost, np.float32([0.25, 2.0, 0.0]))
    assert log.propensities is log.embeddings is log.task is log.split is log.encoder is None
    assert log.source == str(tmp_path / f"log{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_is_read_from_every_format_with_its_missing_cells(tmp_path, suffix):
    table = read_table(put(tmp_path, WIDE, f"table{suffix}"))
    assert table.models == ("m1", "m0")
    np.testing.assert_array_equal(table.quality, np.float32([[1.0, 0.5], [np.nan, 0.25]]))
    np.testing.assert_array_equal(table.cost, np.float32([[0.1, 0.2], [0.3, np.nan]]))
    assert table.missing == 2


def test_rows_are_a_table_where_there_is_a_score_column_and_else_a_log(tmp_path):
    assert isinstance(read_rows(put(tmp_path, WIDE)), Table)
    assert isinstance(read_rows(put(tmp_path, ROWS)), Log)
    renamed = [{"prompt": "a", "x": 1, "y": 0, "z": 1.0} for _ in range(2)]
    names = {"score:x": "x", "score:y": "y", "cost:x": "z", "cost:y": "z"}
    assert read_rows(put(tmp_path, renamed), columns=names).models == ("x", "y")
    path = put(tmp_path, [{"prompt": "a", "answer": "b"}])
    assert said(read_rows, path) == (
        f"{path}: is neither a log (prompt, model, quality, cost) nor a table (prompt, "
        "score:<model>, cost:<model>); its columns are prompt, answer; `routerjax inspect` "
        "tells how to read it"
    )


@pytest.mark.parametrize("as_text", [False, True])
def test_propensities_by_model_are_kept(tmp_path, as_text):
    chances = [{"big": 0.75, "small": 0.25}, {"big": 0.5, "small ": 0.25, "tiny": 0.25}, None]
    rows = [
        {"prompt": f"ask {at}", "model": model, "quality": 1, "cost": 1, "propensity": chance}
        for at, (model, chance) in enumerate(zip(("big", "tiny", "big"), chances, strict=True))
    ]
    if as_text:
        rows = [{**row, "propensity": json.dumps(row["propensity"])} for row in rows]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:2]))
    log = read_log(path, aliases={"small": ["tiny"]})
    np.testing.assert_array_equal(log.propensities, [[0.75, 0.25], [0.5, 0.5]])
    np.testing.assert_array_equal(log.logged_propensities, [0.75, 0.5])
    rows[0]["propensity"] = json.dumps({"small": 1.0}) if as_text else {"small": 1.0}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:2]))
    with pytest.raises(InputError, match="'propensity', row 0: names no probability of 'big'"):
        read_log(path, aliases={"small": ["tiny"]})


def test_propensities_in_a_column_a_model_are_those_of_objects(tmp_path):
    def rows(*chances, **more):
        return [
            {"prompt": f"ask {at}", "model": "ab"[at], "quality": 1, "cost": 1, **more}
            | {f"propensity:{name}": chance for name, chance in each.items()}
            for at, each in enumerate(chances)
        ]

    both = rows({"a": 0.75, "b": 0.25}, {"a": 0.5, "b": 0.5})
    log = read_log(put(tmp_path, both))
    np.testing.assert_array_equal(log.propensities, [[0.75, 0.25], [0.5, 0.5]])
    some = read_log(put(tmp_path, rows({"a": 0.75, "b": 0.25}, {"a": None, "b": None})))
    np.testing.assert_array_equal(some.propensities, [[0.75, 0.25], [np.nan, np.nan]])
    with pytest.raises(InputError, match="row 1: probabilities of its models sum to 1.06"):
        read_log(put(tmp_path, rows({"a": 0.75, "b": 0.25}, {"a": 0.53, "b": 0.53})))
    with pytest.raises(InputError, match="row 1: names no probability of 'b', which answered"):
        read_log(put(tmp_path, rows({"a": 1.0, "b": 0.0}, {"a": 0.5})))
    with pytest.raises(InputError, match="beside the column 'propensity:a'; one of the two"):
        read_log(put(tmp_path, rows({"a": 1.0, "b": 0.0}, {"a": 0.5, "b": 0.5}, propensity=1)))


def by_model(tmp_path, chances):
    """A log of two models whose first row's object is that of the test."""
    rows = [
        {"prompt": f"ask {at}", "model": "ab"[at], "quality": 1, "cost": 1, "propensity": chance}
        for at, chance in enumerate((chances, {"a": 0.5, "b": 0.5}))
    ]
    return put(tmp_path, rows)


def test_objects_that_sum_to_less_than_1_give_the_answered_one_and_are_said(tmp_path):
    path = by_model(tmp_path, {"a": 0.4, "b": 0.4})
    with pytest.warns(DataWarning, match="less than 1 in 1 of 2 rows, such as 0.8 in row 0"):
        log = read_log(path)
    np.testing.assert_array_equal(log.propensities, np.float32([0.4, 0.5]))


def test_objects_that_name_a_model_which_never_answered_give_the_answered_one(tmp_path):
    log = read_log(by_model(tmp_path, {"a": 0.5, "c": 0.5}))
    np.testing.assert_array_equal(log.propensities, np.float32([0.5, 0.5]))


def test_rounded_objects_of_models_that_never_answered_are_not_brought_to_a_sum(tmp_path):
    """Of four named models two answered: 0.98 is not a rounded 1, but 0.02 of the others."""
    rest = {"c": 0.01, "d": 0.01}
    rows = [
        {"prompt": f"ask {at}", "model": "ab"[at], "quality": 1, "cost": 1, "propensity": chance}
        for at, chance in enumerate([{"a": 0.58, "b": 0.4, **rest}, {"a": 0.5, "b": 0.48, **rest}])
    ]
    log = read_log(put(tmp_path, rows))
    np.testing.assert_array_equal(log.propensities, np.float32([0.58, 0.48]))
    many = {f"m{at}": 0.01 for at in range(20)}  # however many there are, 0.05 is too far
    rows[0]["propensity"] = {"a": 0.46, "b": 0.4, **many}
    with pytest.raises(InputError, match="sum to 1.06; they must sum to 1"):
        read_log(put(tmp_path, rows))


def test_objects_that_were_rounded_are_brought_to_a_sum_of_1(tmp_path):
    rows = [
        {"prompt": f"ask {at}", "model": "abc"[at], "quality": 1, "cost": 1, "propensity": chance}
        for at, chance in enumerate([{"a": 0.34, "b": 0.34, "c": 0.33}] * 3)
    ]
    log = read_log(put(tmp_path, rows))
    np.testing.assert_allclose(log.propensities[0], np.array([34, 34, 33]) / 101, rtol=1e-6)
    rows[0]["propensity"] = {"a": 0.36, "b": 0.34, "c": 0.33}
    with pytest.raises(InputError, match="sum to 1.03; they must sum to 1"):
        read_log(put(tmp_path, rows))
    rows[0]["propensity"] = {"a": 0.341, "b": 0.34, "c": 0.339}  # of three digits
    with pytest.raises(InputError, match="sum to 1.02; they must sum to 1"):
        read_log(put(tmp_path, rows))


@pytest.mark.parametrize(
    ("chances", "message"),
    [
        ({"a": 0.9, "b": 0.9}, "row 0: probabilities of its models sum to 1.8; they must sum to 1"),
        ({"a": 40, "b": 60}, "row 0: propensity of the model that answered is 40"),
    ],
)
def test_objects_that_are_no_probabilities(tmp_path, chances, message):
    with pytest.raises(InputError, match=message):
        read_log(by_model(tmp_path, chances))


def test_optional_columns_and_renamed_ones(tmp_path):
    rows = [
        {"q": "a", "llm": 7, "score": True, "usd": "0.5", "p": 0.5, "task": "t", "split": "train"},
        {"q": "b", "llm": 3, "score": False, "usd": " 1 ", "p": 1, "task": None, "split": "test"},
    ]
    names = {"prompt": "q", "model": "llm", "quality": "score", "cost": "usd", "propensity": "p"}
    log = read_log(put(tmp_path, rows), columns=names)
    assert log.models == ("3", "7")
    np.testing.assert_array_equal(log.quality, [1, 0])
    np.testing.assert_array_equal(log.cost, [0.5, 1])
    np.testing.assert_array_equal(log.propensities, [0.5, 1])
    assert (log.task, log.split) == (("t", ""), ("train", "test"))


def test_a_renamed_column_wins_over_the_one_of_that_name_and_loses_its_own(tmp_path):
    rows = [{**row, "score": 0.75, "task": "dev"} for row in ROWS]
    log = read_log(put(tmp_path, rows), columns={"quality": "score", "split": "task"})
    np.testing.assert_array_equal(log.quality, [0.75] * 3)
    assert (log.task, log.split) == (None, ("dev", "dev", "dev"))


def test_models_set_the_order_of_the_arms(tmp_path):
    path = put(tmp_path, ROWS)
    log = read_log(path, models=["small", "unused", "large"])
    np.testing.assert_array_equal(log.arms, [0, 2, 0])
    assert said(read_log, path, models=["small", "other"]) == (
        f"{path}, column 'model', row 1: model 'large' is not one of small, other"
    )
    table = put(tmp_path, WIDE, "table.csv")
    np.testing.assert_array_equal(
        read_table(table, models=["m0", "m1"]).quality[0], np.float32([0.5, 1.0])
    )
    assert "no column 'score:m2'" in said(read_table, table, models=["m0", "m2"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_embeddings_may_stand_beside_the_prompts(tmp_path, suffix):
    rows = [{**row, "embedding": [float(at), 0.5]} for at, row in enumerate(ROWS)]
    log = read_log(put(tmp_path, rows, f"log{suffix}"))
    np.testing.assert_array_equal(log.embeddings, np.float32([[0, 0.5], [1, 0.5], [2, 0.5]]))
    assert log.prompts is not None and log.embeddings.dtype == np.float32


def test_embeddings_from_a_numpy_file_follow_the_rows_of_the_file(tmp_path):
    np.save(tmp_path / "e.npy", np.arange(6, dtype=np.float16).reshape(3, 2))
    path = put(tmp_path, changed(0, quality=None))
    with pytest.warns(DataWarning, match="left out 1 of 3 rows: 1 without quality"):
        log = read_log(path, embeddings=tmp_path / "e.npy", drop_missing=True)
    np.testing.assert_array_equal(log.embeddings, [[2, 3], [4, 5]])
    bare = put(tmp_path, without("prompt"), "bare.csv")
    assert read_log(bare, embeddings=tmp_path / "e.npy").prompts is None


@pytest.mark.parametrize(("unscored", "is_said"), [(49, False), (50, True)])
def test_what_many_missing_scores_may_do_is_said(tmp_path, unscored, is_said):
    rows = [
        {"prompt": f"query {at}", "model": "ab"[at % 2], "quality": at % 4 / 3, "cost": 0.01}
        for at in range(200)
    ]
    path = put(
        tmp_path,
        [{**row, "quality": None} if at < unscored else row for at, row in enumerate(rows)],
    )
    with pytest.warns(DataWarning, match=f"left out {unscored} of 200 rows") as caught:
        read_log(path, drop_missing=True)
    assert any("missing more often for good" in str(each.message) for each in caught) is is_said


def test_json_that_changes_its_types_is_read_exactly(tmp_path):
    rows = changed(1, quality="0.25", cost=1.23456789e-7, meta={"k": 1})
    log = read_log(put(tmp_path, [{**row, "note": at or "x"} for at, row in enumerate(rows)]))
    np.testing.assert_array_equal(log.quality, [1, 0.25, 0])
    assert log.cost[1] == np.float32(1.23456789e-7)
    path = tmp_path / "array.json"
    path.write_text(json.dumps(rows))
    assert read_log(path).cost[1] == np.float32(1.23456789e-7)
    path.write_text("\n".join(json.dumps(row) for row in rows).replace("0.5", "NaN"))
    assert len(read_log(path)) == 3


def test_text_that_looks_like_a_date_stays_as_it_is(tmp_path):
    rows = [{**row, "task": "2024-05-13", "when": "2024-05-13"} for row in ROWS]
    for suffix in SUFFIXES:
        assert read_log(put(tmp_path, rows, f"log{suffix}")).task == ("2024-05-13",) * 3


def test_a_file_name_is_not_a_pattern(tmp_path):
    put(tmp_path, ROWS, "log1.csv")
    path = put(tmp_path, changed(0, quality=0.125), "log[1].csv")
    assert read_log(path).quality[0] == 0.125


def test_reading_is_quiet_leaves_nothing_behind_and_asks_no_server(tmp_path, monkeypatch, capfd):
    import datasets

    calls: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *host, **options: calls.append(host))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    level = logging.getLogger("datasets").level
    for suffix in SUFFIXES:
        read_log(put(tmp_path, ROWS, f"log{suffix}"))
        (tmp_path / f"bad{suffix}").write_bytes(b'{"torn')
        said(read_log, tmp_path / f"bad{suffix}")
    assert {path.suffix for path in tmp_path.iterdir()} == set(SUFFIXES)
    assert (calls, capfd.readouterr()) == ([], ("", ""))
    assert logging.getLogger("datasets").level == level


# Missing rows


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["prompt", "model", "quality", "cost"])
def test_a_log_refuses_or_drops_rows_with_something_missing(tmp_path, suffix, name):
    path = put(tmp_path, changed(1, **{name: None}), f"log{suffix}")
    assert said(read_log, path) == (
        f"{path}, column '{name}', row 1: no {name} here (the only such row); fill it in or "
        "leave it out with --drop-missing (drop_missing=True)"
    )
    kept = [ROWS[0], ROWS[2], {**ROWS[0], "model": "large"}]
    path = put(tmp_path, [kept[0], {**ROWS[1], name: None}, *kept[1:]], f"log{suffix}")
    by_model = "" if name == "model" else r" \(large 1\)"
    with pytest.warns(DataWarning, match=f"left out 1 of 4 rows: 1 without {name}{by_model}$"):
        log = read_log(path, drop_missing=True)
    assert log.prompts == tuple(row["prompt"] for row in kept)
    np.testing.assert_array_equal(log.arms, [1, 1, 0])


def test_rows_are_counted_in_the_file_after_some_were_dropped(tmp_path):
    rows = [{**ROWS[0], "quality": None}, *changed(2, quality=1.5)]
    path = put(tmp_path, [{**row, "score": row["quality"]} for row in rows])
    with pytest.warns(DataWarning, match="1 without score"):
        message = said(read_log, path, columns={"quality": "score"}, drop_missing=True)
    assert message.startswith(f"{path}, column 'score', row 3: quality is 1.5, outside [0, 1]")
    path = put(tmp_path, changed(0, quality=float("nan")) + changed(1, model="new"))
    with pytest.warns(DataWarning):
        message = said(read_log, path, drop_missing=True, models=["small", "large"])
    assert "column 'model', row 4: model 'new' is not one of small, large" in message


def test_a_log_of_which_nothing_remains(tmp_path):
    path = put(tmp_path, [{**row, "quality": None} for row in ROWS])
    assert said(read_log, path, drop_missing=True) == (
        f"{path}: every row has something missing: 3 without quality (small 2, large 1)"
    )


# What is refused


def refused_rows():
    yield changed(1, quality="abc"), {}, ", column 'quality', row 1: 'abc' is not a number"
    yield changed(2, cost="$0.01"), {}, ", column 'cost', row 2: '$0.01' is not a number"
    yield (
        changed(1, quality=1.5),
        {},
        (
            ", column 'quality', row 1: quality is 1.5, outside [0, 1]; declare its range with "
            "--quality-range LO:HI (quality_range=(lo, hi))"
        ),
    )
    yield changed(1, quality=12), {"quality_range": (0, 10)}, "quality is 12, outside [0, 10]"
    yield (
        changed(2, cost=-0.5),
        {},
        (", column 'cost', row 2: cost is -0.5; it must be 0 or more US dollars per query"),
    )
    yield changed(0, cost=1e300), {}, ", column 'cost', row 0: cost is inf"
    yield (
        [{**row, "propensity": at} for at, row in enumerate(ROWS)],
        {},
        (", column 'propensity', row 0: propensity of the model that answered is 0"),
    )
    yield (
        [{**row, "propensity": [1, 1.5, 1][at]} for at, row in enumerate(ROWS)],
        {},
        (", column 'propensity', row 1: propensity of the model that answered is 1.5"),
    )
    yield [{**row, "model": "one"} for row in ROWS], {}, "needs at least two models"
    for name in ("model", "quality", "cost"):
        columns = ", ".join(key for key in ROWS[0] if key != name)
        yield without(name), {}, f": no column '{name}'; its columns are {columns}"
    yield (
        without("prompt"),
        {},
        (": no column 'prompt' or 'embedding'; its columns are model, quality, cost"),
    )
    yield (
        ROWS,
        {"columns": {"quality": "score"}},
        (": no column 'score' to read quality from; its columns are prompt, model, quality, cost"),
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("rows", "options", "message"), list(refused_rows()))
def test_rows_that_are_refused(tmp_path, rows, options, message, suffix):
    for name in ("quality", "cost"):  # a column of a parquet file has one type
        if suffix == ".parquet" and any(isinstance(row.get(name), str) for row in rows):
            rows = [{**row, name: str(row[name])} for row in rows]
    path = put(tmp_path, rows, f"log{suffix}")
    complaint = said(read_log, path, **options)
    assert complaint.startswith(str(path)) and message in complaint


def test_columns_named_for_something_that_does_not_exist(tmp_path):
    assert said(read_log, put(tmp_path, ROWS), columns={"qual": "quality"}) == (
        "columns: 'qual' is not a column that can be named here; these are prompt, embedding, "
        "model, quality, cost, propensity, task, split, group, scored_by, gold_quality, "
        "request_id, currency, input_tokens, output_tokens, available, available:<model>, "
        "propensity:<model>, time, pinned"
    )
    message = said(read_table, put(tmp_path, WIDE), columns={"quality": "score:m1"})
    assert message.endswith(
        "these are prompt, embedding, score:<model>, cost:<model>, task, split, group, available, "
        "available:<model>, time"
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("prompt", ["", " \u200b", "{}", "[ ]", "null", "N/A", None])
def test_a_prompt_that_says_nothing_is_missing_in_every_format(tmp_path, suffix, prompt):
    path = put(tmp_path, changed(1, prompt=prompt), f"log{suffix}")
    message = f"{path}, column 'prompt', row 1: no prompt here (the only such row)"
    assert said(read_log, path).startswith(message)
    rows = [ROWS[0], ROWS[2], {**ROWS[0], "model": "large"}]
    path = put(tmp_path, [rows[0], {**ROWS[1], "prompt": prompt}, *rows[1:]], f"log{suffix}")
    with pytest.warns(DataWarning, match="left out 1 of 4 rows: 1 without prompt"):
        assert read_log(path, drop_missing=True).prompts == tuple(row["prompt"] for row in rows)
    path = put(tmp_path, [WIDE[0], {**WIDE[1], "prompt": prompt}], f"log{suffix}")
    assert said(read_table, path).startswith(message)
    with pytest.warns(DataWarning, match="left out 1 of 2 rows: 1 without prompt$"):
        assert len(read_table(path, drop_missing=True)) == 1


def test_tables_that_are_refused(tmp_path):
    def table(**cells):
        return put(tmp_path, [{**WIDE[0], **cells}], "table.csv")

    message = said(read_table, table(**{"score:m0": "1,5"}))
    assert "column 'score:m0', row 0: '1,5' is not a number" in message
    message = said(read_table, table(**{"score:m0": 2}))
    assert "column 'score:m0', row 0: quality is 2, outside [0, 1]" in message
    message = said(read_table, table(**{"cost:m1": -1}))
    assert "column 'cost:m1', row 0: cost is -1" in message
    path = table(**{"score:m2": 1})
    assert said(read_table, path) == (
        f"{path}: no column 'cost:m2' beside 'score:m2'; give the cost of every model, or of none"
    )
    assert "no column 'score:m2' beside 'cost:m2'" in said(read_table, table(**{"cost:m2": 1}))
    path = put(tmp_path, ROWS)
    assert "no column 'score:<model>'; its columns are prompt" in said(read_table, path)


def test_a_table_without_costs_reads_them_as_zero(tmp_path):
    rows = [{"prompt": "a", "score:x": 1, "score:y": 0}]
    with pytest.warns(DataWarning, match="every cost is 0"):
        table = read_table(put(tmp_path, rows))
    np.testing.assert_array_equal(table.cost, [[0, 0]])


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        ([[1.0, 2.0], [1.0, 2.0], [1.0]], "row 2: holds 1 numbers where the rows before hold 2"),
        ([[1.0], None, [2.0]], "row 1: no embedding here (the only such row)"),
        ([[1.0, 2.0], [1.0, None], [2.0, 3.0]], "row 1: not a finite number"),
        ([["1"], ["2"], ["x"]], "row 2: 'x' is not a number"),
    ],
)
def test_embeddings_that_are_refused(tmp_path, suffix, embedding, message):
    def cell(values):
        if suffix != ".csv" or values is None:
            return values
        return "[" + ", ".join("" if value is None else str(value) for value in values) + "]"

    rows = [{**row, "embedding": cell(values)} for row, values in zip(ROWS, embedding, strict=True)]
    path = put(tmp_path, rows, f"log{suffix}")
    assert said(read_log, path).startswith(f"{path}, column 'embedding', {message}")


def test_columns_of_the_wrong_kind(tmp_path):
    path = put(tmp_path, [{**row, "embedding": 1.5} for row in ROWS])
    assert "column 'embedding': holds double, not lists of numbers" in said(read_log, path)
    path = put(tmp_path, [{**row, "embedding": []} for row in ROWS], "log.parquet")
    assert "column 'embedding': holds empty lists" in said(read_log, path)
    path = put(tmp_path, [{**row, "embedding": "0.5 0.5"} for row in ROWS], "log.csv")
    assert "row 0: '0.5 0.5' is not a list of numbers such as [0.1, 0.2]" in said(read_log, path)
    path = put(tmp_path, [{**row, "prompt": [1, 2]} for row in ROWS])
    assert "column 'prompt', row 0: holds a list that is no list of" in said(read_log, path)
    path = put(tmp_path, [{**row, "quality": [1]} for row in ROWS])
    assert "column 'quality': holds list<item: int64>, not numbers" in said(read_log, path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3)), "holds 2 rows where the file has 3"),
        (np.zeros(3), "must be one matrix of floats"),
        (np.zeros((3, 2), int), "must be one matrix of floats"),
        (np.array([["a"]] * 3, object), "cannot be read as .npy"),
        (np.full((3, 2), np.nan), "row 0: not a finite number"),
        (b"not numpy", "cannot be read as .npy"),
        (b"", "cannot be read as .npy"),
        (None, "no such file"),
    ],
)
def test_numpy_files_that_are_refused(tmp_path, values, message):
    path = tmp_path / "e.npy"
    if isinstance(values, bytes):
        path.write_bytes(values)
    elif values is not None:
        np.save(path, values, allow_pickle=True)
    complaint = said(read_log, put(tmp_path, ROWS), embeddings=path)
    assert complaint.startswith(str(path)) and message in complaint


HEADER = "prompt,model,quality,cost\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.parquet", b"", "the file is empty"),
        ("log.csv", b"", "the file is empty"),
        ("log.jsonl", b"\n\n", "there are no rows; at least one is needed"),
        ("log.csv", HEADER.encode(), "there are no rows; at least one is needed"),
        ("log.csv", b"\n", "there is no header: the first line must name the columns"),
        ("log.parquet", b"PAR1 torn", "cannot be read as parquet: "),
        ("log.txt", b"prompt", "unknown suffix '.txt'; use .parquet, .csv, .tsv, .jsonl or .json"),
        ("log", b"prompt", "unknown suffix ''; use .parquet, .csv, .tsv, .jsonl or .json"),
        (
            "log.csv",
            (HEADER + "a,b,m,1,2\n").encode(),
            "row 0: has 5 cells where the header has 4 (by comma); text that holds the separator",
        ),
        (
            "log.csv",
            (HEADER + "a,m,1,2\na,b,m,1,2\n").encode(),
            "row 1: has 5 cells where the header has 4 (by comma); text that holds the separator",
        ),
        (
            "log.csv",
            (HEADER + '"a,m,1,2\n').encode(),
            "row 0: has 1 cell where the header has 4 (by comma); is a double quote left open?",
        ),
        ("log.csv", b"prompt,prompt\na,b\n", "column 'prompt': the header names this column twice"),
        (
            "log.csv",
            "prompt,model\n\xff,a\n".encode("latin1"),
            "column 'prompt', row 0: is not UTF-8 text; save the file",
        ),
        ("log.jsonl", b'{"a": 1}\n\n{"a": 1,}\n', "row 1: is not valid JSON: "),
        ("log.jsonl", b'{"a": 1}\n[1]\n', "row 1: is not a JSON object"),
        ("log.jsonl", b"\xff", "row 0: is not UTF-8 text (byte 0xff); save the file as UTF-8"),
        ("log.json", b'[{"a": 1}, 2]', "row 1: is not a JSON object"),
        ("log.json", b'[{"a": 1}', "the array has no end, the file may be cut short"),
    ],
)
def test_files_that_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    complaint = said(read_log, path)
    assert complaint.startswith(str(path)) and message in complaint


def test_places_that_are_no_file(tmp_path):
    path = tmp_path / "none.csv"
    assert said(read_log, path) == f"{path}: no such file"
    assert said(read_log, "none") == "none: no such file"
    assert said(read_log, "folder/none.csv") == "folder/none.csv: no such file"
    message = f"{tmp_path}: is a folder; name its files, as in {tmp_path}/*.jsonl"
    assert said(read_log, tmp_path) == message
    pq.write_table(pa.table({"prompt": pa.array([], pa.string())}), tmp_path / "empty.parquet")
    assert "there are no rows" in said(read_log, tmp_path / "empty.parquet")


def test_an_index_column_without_a_name_is_left_alone(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(",prompt,model,quality,cost\n0,a,x,1,2\n1,b,y,TRUE,2\n")
    np.testing.assert_array_equal(read_log(path).quality, [1, 1])


# Writing


def full_log() -> Log:
    rng = np.random.default_rng(0)
    prompts = [
        "plain",
        ' spaces, "quotes"\r\nand\nlines ',
        "2024-05-13",
        "NaN",
        "ünïcödé \u2028 \x85 🎲",
    ]
    return Log.from_arrays(
        [0, 1, 2, 1, 0],
        rng.random(5) * 10,
        rng.random(5) / 3e6,
        models=["a", 'b, "c"', "z"],
        propensities=rng.random(5),
        embeddings=rng.normal(size=(5, 3)),
        prompts=prompts,
        task=["", "t", "1", "007", "2024-05-13"],
        split=["train", "dev", "test", "val", "train"],
        quality_range=(0, 10),
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_log_comes_back_bit_for_bit(tmp_path, suffix):
    log = full_log()
    write_log(log, tmp_path / f"log{suffix}")
    back = read_log(tmp_path / f"log{suffix}", quality_range=(0, 10))
    assert back.fingerprint == log.fingerprint
    for name in ("arms", "quality", "cost", "propensities", "embeddings"):
        np.testing.assert_array_equal(getattr(back, name), getattr(log, name))
    assert (back.prompts, back.task, back.split) == (log.prompts, log.task, log.split)
    assert back.ids is log.ids is None
    named = log.replace(ids=tuple(f"call-{row}" for row in range(len(log))))
    write_log(named, tmp_path / f"log{suffix}")
    assert read_log(tmp_path / f"log{suffix}", quality_range=(0, 10)).ids == named.ids
    every = np.random.default_rng(2).dirichlet(np.ones(3), size=5).astype(np.float32)
    every[3] = np.nan
    known = log.replace(propensities=every)
    write_log(known, tmp_path / f"log{suffix}")
    told = read_log(tmp_path / f"log{suffix}", quality_range=(0, 10))
    np.testing.assert_array_equal(told.propensities, every)
    bare = log.replace(prompts=None, propensities=None, task=None, split=None)
    write_log(bare, tmp_path / f"log{suffix}")
    back = read_log(tmp_path / f"log{suffix}", quality_range=(0, 10))
    assert back.fingerprint == bare.fingerprint
    assert os.listdir(tmp_path) == [f"log{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_comes_back_bit_for_bit(tmp_path, suffix):
    rng = np.random.default_rng(1)
    quality, cost = rng.random((20, 3)), rng.random((20, 3)) / 7e5
    quality[3, 1] = cost[5, 2] = np.nan
    prompts, task = [f"Tell me of {i}." for i in range(20)], ["t"] * 20
    table = Table.from_arrays(quality, cost, models=["z", "a", "m"], prompts=prompts, task=task)
    write_table(table, tmp_path / f"table{suffix}")
    assert read_table(tmp_path / f"table{suffix}").fingerprint == table.fingerprint


def test_full_propensities_are_written_a_column_a_model(tmp_path):
    log = Log.from_arrays(
        [0, 1],
        [1, 0],
        [1, 1],
        models="ab",
        prompts=["p", "q"],
        propensities=[[0.25, 0.75], [0.5, 0.5]],
    )
    write_log(log, tmp_path / "log.csv")
    back = read_log(tmp_path / "log.csv")
    np.testing.assert_array_equal(back.propensities, [[0.25, 0.75], [0.5, 0.5]])
    np.testing.assert_array_equal(back.logged_propensities, [0.25, 0.5])


def test_writing_is_refused_or_whole(tmp_path, monkeypatch):
    log = full_log()
    assert "unknown suffix '.xlsx'" in said(write_log, log, tmp_path / "log.xlsx")
    (tmp_path / "taken").write_text("")
    assert "cannot be written" in said(write_log, log, tmp_path / "taken" / "log.csv")
    write_log(log, tmp_path / "log.parquet")
    before = (tmp_path / "log.parquet").read_bytes()
    monkeypatch.setattr(pq, "write_table", lambda table, file: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_log(log, tmp_path / "log.parquet")
    assert (tmp_path / "log.parquet").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["log.parquet", "taken"]


# What the command line passes


def test_columns_and_ranges_are_parsed():
    assert parse_columns("quality=score, model=llm") == {"quality": "score", "model": "llm"}
    assert parse_columns("score:gpt-4=gpt-4") == {"score:gpt-4": "gpt-4"}
    assert parse_columns("") == {}
    assert parse_range("0:10") == (0.0, 10.0)
    assert parse_range("-1:1.5") == (-1.0, 1.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quality", "columns: 'quality' is not NAME=COLUMN, as in quality=score,model=llm"),
        ("quality=", "columns: 'quality=' is not NAME=COLUMN, as in quality=score,model=llm"),
        ("model=a,model=b", "columns: 'model' is named twice"),
        (
            "qual=a",
            "columns: 'qual' is not a column that can be named here; these are prompt, "
            "embedding, model, quality, cost, propensity, task, split, group, scored_by, "
            "gold_quality, request_id, currency, input_tokens, output_tokens, available, "
            "available:<model>, propensity:<model>, time, pinned, score:<model>, cost:<model>",
        ),
        ("score:=a", "columns: 'score:' is not a column"),
    ],
)
def test_columns_that_cannot_be_parsed(text, message):
    assert said(parse_columns, text).startswith(message)


@pytest.mark.parametrize("text", ["", "1", "1:", "a:b", "1:0", "1:1", "0:nan", "0:inf", "0:1:2"])
def test_ranges_that_cannot_be_parsed(text):
    message = f"quality range: '{text}' is not LO:HI, two numbers from low to high as in 0:10"
    assert said(parse_range, text) == message


# The hub


@pytest.mark.parametrize(
    ("path", "is_name"),
    [
        ("owner/name", True),
        ("owner/name:test", True),
        ("owner/gpt-4.1", True),
        ("owner/log.parquet", False),
        ("owner", False),
        ("./name", False),
        ("/owner/name", False),
        ("a/b/c", False),
        ("~/name", False),
    ],
)
def test_names_on_the_hub(path, is_name):
    assert hub.is_name(path) is is_name


def test_a_hub_that_does_not_answer_is_given_up_at_once(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_DATASETS_OFFLINE", raising=False)
    monkeypatch.setattr(hub, "PATIENCE", 0.05)
    monkeypatch.setattr(hub, "_answers", lambda endpoint: time.sleep(3))
    start = time.monotonic()
    assert said(read_log, "owner/name:test") == (
        "owner/name:test: no such file, and the Hugging Face hub, where it might be a data set, "
        "cannot be reached; a local .parquet, .csv or .jsonl path works without the hub"
    )
    assert time.monotonic() - start < 2


def test_a_closed_port_and_a_malformed_endpoint_are_no_hub(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for endpoint in ("http://127.0.0.1:9", "http://127.0.0.1:port"):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        assert not hub.is_reachable()
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    assert not hub.is_reachable()


def test_offline_only_the_cache_is_asked(monkeypatch, tmp_path):
    import datasets
    from datasets.packaged_modules.parquet.parquet import Parquet

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    message = said(read_log, "owner/name")
    assert message.startswith("owner/name: no such file, and no data set in the cache")
    assert message.endswith("path works without the hub")
    files = {"train": [str(put(tmp_path, ROWS, "log.parquet"))]}
    Parquet(
        cache_dir=str(tmp_path),
        dataset_name="name",
        config_id="default",
        hash="0",
        data_files=files,
    ).download_and_prepare()
    (tmp_path / "name").rename(tmp_path / "owner___name")  # where a copy from the hub would be
    assert read_log("owner/name").prompts == tuple(row["prompt"] for row in ROWS)


def test_a_data_set_of_the_hub_is_read_by_split(monkeypatch, tmp_path):
    import datasets

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_DATASETS_OFFLINE", raising=False)
    monkeypatch.setattr(hub, "is_reachable", lambda: True)
    path = str(put(tmp_path, ROWS, "log.parquet"))

    def fake(name, *, cache_dir, streaming):
        if name != "owner/name":
            raise datasets.exceptions.DatasetNotFoundError(f"Dataset '{name}' doesn't exist. Oh.")
        rows = datasets.IterableDataset.from_parquet(path, cache_dir=cache_dir)
        return {"train": rows, "test": rows}

    monkeypatch.setattr(datasets, "load_dataset", fake)
    assert read_log("owner/name:test").models == ("large", "small")
    names = "name one of train, test as owner/name:train"
    assert f"the data set has several splits; {names}" in said(read_log, "owner/name")
    assert f"the data set has no split 'dev'; {names}" in said(read_log, "owner/name:dev")
    assert "on the hub that can be read (Dataset 'owner/none' doesn't exist)" in said(
        read_log, "owner/none"
    )


# Real files


@pytest.mark.skipif(not SHARED.is_dir(), reason="no data beside the checkout")
def test_real_tables_come_back_from_every_format(tmp_path):
    both = pytest.warns(DataWarning, match="6 of 3164 rows are in the split 'both'")
    parted = pytest.warns(DataWarning, match="2 of the 946 rows of the test split are of 2 groups")
    with parted, both:
        table = read_rows(
            SHARED / "routerbench_subset.parquet",
            embeddings=SHARED / "routerbench_subset.minilm.npy",
        )
    assert isinstance(table, Table)
    assert (len(table), len(table.models), table.embeddings.shape) == (3164, 11, (3164, 384))
    assert table.models[int(np.nanmean(table.quality, axis=0).argmax())] == "gpt-4-1106-preview"
    table = table.replace(embeddings=table.embeddings[:, :8])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        for suffix in SUFFIXES:
            write_table(table, tmp_path / f"table{suffix}")
            assert read_table(tmp_path / f"table{suffix}").fingerprint == table.fingerprint
        wide = read_rows(SHARED / "mmlu_pro_29models.parquet")
    assert (len(wide), len(wide.models), wide.missing) == (12032, 29, 1713)
