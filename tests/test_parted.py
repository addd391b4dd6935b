"""Splits of a log's own that part users or queries."""

from __future__ import annotations

import numpy as np
import pytest

import routerjax as rj
from routerjax.data.checks.findings import findings, warn_of
from routerjax.data.columns.schema import Schema
from routerjax.errors import DataWarning, InputError
from routerjax.pipelines.evaluated import test_rows as rows_to_evaluate
from routerjax.pipelines.fit_checks import usable
from routerjax.records.parted import parted


def log_of(split, **fields):
    n = len(split)
    fields = {"prompts": [f"query {row}" for row in range(n)]} | fields
    return rj.Log.from_arrays(
        np.arange(n) % 2, np.arange(n) % 3 / 2, np.full(n, 1e-3), models="ab", split=split, **fields
    )


SPLIT = ["train"] * 6 + ["validation"] * 2 + ["test"] * 4 + ["none"] * 2
USERS = ["u1", "u2"] * 3 + ["u1", "u3"] + ["u2", "u4", "u3", "u5"] + ["u5", "u5"]


def test_users_and_queries_on_both_sides_are_found():
    """Of the test rows the first and third are of users with rows to learn from."""
    log = log_of(SPLIT, group=USERS)
    assert np.flatnonzero(parted(log, of=("test",), learnt=("train",))).tolist() == [8]
    both = parted(log, of=("test",), learnt=("train", "validation"))
    assert np.flatnonzero(both).tolist() == [8, 10]
    same = log_of(SPLIT, prompts=[f"query {row % 11}" for row in range(14)])
    assert np.flatnonzero(parted(same, of=("test",), learnt=("train",))).tolist() == [11]
    assert not parted(log.replace(split=None), of=("test",), learnt=("train",)).any()


def test_a_reader_says_how_many_and_one_of_them():
    test, validation = findings(log_of(SPLIT, group=USERS))
    assert (test.name, test.column, test.share, test.row) == ("parted-groups", "split", 0.5, 8)
    assert test.problem == (
        "2 of the 4 rows of the test split are of 2 groups with rows that a fit looks at as well, "
        "such as group 'u2'"
    )
    assert (validation.share, validation.row) == (0.5, 6)
    assert "1 of the 2 rows of the validation split" in validation.problem
    with pytest.raises(InputError, match="2 of the 4 rows of the test split"):
        warn_of(log_of(SPLIT, group=USERS), strict=True)
    assert findings(log_of(SPLIT)) == ()


def test_validation_rows_of_users_to_learn_from_are_learnt_from():
    split = ["train"] * 60 + ["validation"] * 20
    log = log_of(split, group=[f"u{row % 70}" for row in range(80)])
    with pytest.warns(DataWarning, match="10 rows of the validation split .* group 'u0', and are"):
        found = usable(log, drop_unlogged=False)
    assert found.split == ("train",) * 60 + ("validation",) * 10 + ("train",) * 10


class Seen:
    """A router that has seen some prompts."""

    def __init__(self, *prompts):
        self.prompts = prompts

    def has_seen(self, record):
        return np.isin(record.prompts, self.prompts)


def test_rows_of_users_that_were_learnt_from_are_not_evaluated():
    log = log_of(SPLIT, group=USERS)
    with pytest.warns(DataWarning, match="2 of 4 rows of the test split are of groups that were"):
        rows = rows_to_evaluate(log, Seen("query 0"))
    assert rows.prompts == ("query 9", "query 11")
    stranger = rows_to_evaluate(log, Seen("another"))  # fitted on other rows
    assert stranger.prompts == tuple(f"query {row}" for row in range(8, 12))
    every = log_of(["train", "train", "test", "test"], group=["u1", "u2"] * 2)
    with pytest.raises(InputError, match="every row of the test split is of a group that was"):
        rows_to_evaluate(every, Seen("query 0"))


def test_a_file_with_parted_users_is_read_with_a_warning_or_refused(tmp_path):
    path = tmp_path / "log.parquet"
    rj.write_log(log_of(SPLIT, group=USERS), path)
    with pytest.warns(DataWarning) as said:
        rj.read_log(path)
    assert sum("as well, such as group" in str(each.message) for each in said) == 2
    with pytest.raises(InputError, match="column 'split', row 8: 2 of the 4 rows of the test"):
        rj.read_log(path, schema=Schema(strict=True))
