"""Times of rows: how they are written, splits, what drifted; and rows that a user pinned."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re

import numpy as np
import pyarrow as pa
import pytest

import routerjax as rj
from routerjax.cli.commands import main
from routerjax.data.checks.drift import drift_notes, drift_of, levels_of
from routerjax.data.columns.times import moment, split_by, split_of, times_of
from routerjax.errors import DataWarning, InputError
from routerjax.pipelines.lines import evaluation_of
from routerjax.records.logs import Log
from routerjax.records.periods import level_changes, periods_of
from routerjax.records.tables import Table
from routerjax.training.config import FitConfig, NuisanceConfig

NOON = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
SECONDS = NOON.timestamp()
CONFIG = FitConfig(cost_weights=(0.0,), nuisance=NuisanceConfig(folds=2, components=4, landmarks=4))


@pytest.mark.parametrize(
    "cells, unit",
    [
        ([int(SECONDS), None], "seconds"),
        ([SECONDS, None], "seconds"),
        ([int(SECONDS * 1e3), None], "milliseconds"),
        ([int(SECONDS * 1e6), None], "microseconds"),
        ([int(SECONDS * 1e9), None], "nanoseconds"),
        ([str(int(SECONDS * 1e3)), None], "milliseconds"),
        ([NOON, None], "dates"),
        ([NOON.replace(tzinfo=None), None], "dates"),
        (["2024-05-01T12:00:00Z", None], "ISO 8601"),
        (["2024-05-01 12:00:00", ""], "ISO 8601"),
        (["2024-05-01T14:00:00+02:00", None], "ISO 8601"),
        (["20240501T120000", " "], "ISO 8601"),
    ],
)
def test_times_as_they_are_written(cells, unit):
    seconds, found = times_of(pa.chunked_array([pa.array(cells)]))
    assert found == unit
    np.testing.assert_allclose(seconds, [SECONDS, np.nan], atol=1e-5)
    assert moment(cells[0]) == pytest.approx(SECONDS, abs=1e-5)


def test_days_are_times():
    day = datetime.date(2024, 5, 1)
    assert times_of(pa.chunked_array([[day]]))[0].tolist() == [SECONDS - 12 * 3600]
    assert moment(day) == SECONDS - 12 * 3600


@pytest.mark.parametrize(
    "cells, problem",
    [
        (["2024-05-01T12:00", "yesterday"], "'yesterday' is not a time, as 2024-05-01T12:00:00Z"),
        ([1.5, 0.3], "'1.5' is not a time in seconds since 1970, as most cells would be"),
        ([SECONDS, 3.0], "'3.0' is not a time in seconds since 1970, as most cells would be"),
        ([[1], [2]], "holds list<item: int64>, not times"),
        ([True, False], "holds bool, not times"),
    ],
)
def test_what_is_no_time(cells, problem):
    with pytest.raises(InputError) as raised:
        times_of(pa.chunked_array([cells]))
    assert raised.value.problem == problem


def test_splits_by_time_keep_groups_whole():
    """The last two of five rows begin at 4; the group that holds 2 and 5 began before."""
    time, groups = np.array([1.0, 2.0, 5.0, 4.0, 3.0]), np.array([0, 1, 1, 2, 3])
    assert split_of(time, groups, 0.4) == ["train", "train", "train", "test", "train"]
    assert split_of(time, np.arange(5), 0.4) == ["train", "train", "test", "test", "train"]
    with pytest.raises(InputError, match="every row is at or after"):
        split_of(np.ones(4), np.arange(4), 0.5)
    with pytest.raises(InputError, match="no group of rows begins after"):
        split_of(np.array([1.0, 2.0]), np.array([0, 0]), 0.5)
    assert (split_by("time"), split_by("time:0.3")) == (0.2, 0.3)
    for text in ("day", "time:2", "time:x"):
        with pytest.raises(InputError, match="is neither time nor time:SHARE"):
            split_by(text)


def test_periods_begin_where_shares_change():
    """Ninety rows of a and b in turn, then ninety of b alone; nothing in rows drawn alike."""
    time = np.arange(180.0)
    arms = np.concatenate([np.arange(90) % 2, np.ones(90, int)])
    shuffled = np.random.default_rng(0).permutation(180)
    found = periods_of(time[shuffled], arms[shuffled])
    assert len(found) == 1 and 88 <= found[0] <= 91
    assert not len(periods_of(time, np.arange(180) % 3))
    assert not len(periods_of(np.zeros(180), arms)), "rows of one time are not parted"
    assert not len(periods_of(time, arms, rows_a_group=50.0))


def test_levels_change_where_means_do():
    rng = np.random.default_rng(0)
    values = rng.normal(size=400) + 2.0 * (np.arange(400) >= 150)
    found = level_changes(np.arange(400.0), values)
    assert len(found) == 1 and abs(found[0] - 150) <= 5
    assert not len(level_changes(np.arange(400.0), rng.normal(size=400)))


@pytest.mark.slow
def test_false_alarms_are_rare():
    """Of 300 logs in which nothing changes, no more than 3 are said to change."""
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(300):
        time, n = np.arange(1000.0), 1000
        alarms += len(periods_of(time, rng.integers(0, 4, n))) > 0
        alarms += len(level_changes(time, rng.random(n))) > 0
    assert alarms <= 3


def drifting(n: int = 400, *, seed: int = 0, **more) -> Log:
    """Of the first half a answers 60 %, of the second 5 %; quality falls by 0.5 for all."""
    rng = np.random.default_rng(seed)
    late = np.arange(n) >= n // 2
    share = np.where(late, 0.05, 0.6)
    arms = (rng.random(n) > share).astype(int)
    quality = np.where(late, 0.25, 0.75) + rng.uniform(-0.1, 0.1, n)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    time = SECONDS + 60.0 * np.arange(n)
    given = dict(models=("gpt-4", "mini"), embeddings=x, time=time) | more
    return Log.from_arrays(arms, quality, np.full(n, 0.001), **given)


def test_drift_in_words():
    log = drifting()
    found = drift_of(log)
    assert found is not None and len(found.shares) == 2
    rows = np.arange(400) < np.searchsorted(log.time, found.share_times[0])
    np.testing.assert_allclose(found.shares[0, 0], (log.arms[rows] == 0).mean())
    np.testing.assert_allclose(found.quality, [-0.5], atol=0.03)
    span, shares, quality = drift_notes(log)
    assert span == "the rows are of 2024-05-01 12:00 to 2024-05-01 18:39 (UTC)"
    before, after = found.shares[:, 0]
    assert f"gpt-4's share went from {before:.0%} to {after:.0%}" in shares
    assert re.match(
        r"the quality of the same models fell by 0\.5 at 2024-05-01 15:(19|2\d):", quality
    )
    assert drift_notes(log.replace(time=None)) == ()
    still = drifting().rows(slice(0, 200))
    assert drift_notes(still)[0].endswith(
        "neither shares of models nor their quality are seen to change"
    )


def changing(n: int = 200) -> Table:
    """Of the second half "old" is worse by 0.4; "new" stays, and half its cells are missing."""
    rng = np.random.default_rng(0)
    quality = np.stack([rng.uniform(0.4, 0.6, n), rng.uniform(0.4, 0.6, n)], axis=1)
    quality[n // 2 :, 0] -= 0.4
    quality[::2, 1] = np.nan
    time = SECONDS + 60.0 * np.arange(n)
    x = rng.normal(size=(n, 6)).astype(np.float32)
    return Table.from_arrays(
        quality, np.full((n, 2), 0.001), models=("old", "new"), embeddings=x, time=time
    )


def test_drift_of_every_model_of_a_table():
    table = changing()
    (found,) = levels_of(table)
    assert found.model == "old"
    np.testing.assert_allclose(found.change, -0.4, atol=0.02)
    assert found.time == table.time[100]
    assert drift_notes(table) == (
        "the rows are of 2024-05-01 12:00 to 2024-05-01 15:19 (UTC)",
        f"the quality of old fell by {-found.change:.2g} at 2024-05-01 13:40",
    )
    (still,) = drift_notes(table.rows(slice(0, 100)))
    assert still.endswith("; the quality of no model is seen to change")
    assert drift_notes(table.replace(time=None)) == levels_of(table.replace(time=None)) == ()


def test_drift_of_many_models_is_cut():
    table = changing()
    quality = np.repeat(table.quality[:, :1], 8, axis=1)
    models = tuple("abcdefgh")
    notes = drift_notes(table.replace(quality=quality, cost=0 * quality + 0.001, models=models))
    assert len(notes) == 8 and notes[-1] == "qualities of models changed 2 times more"


def test_times_of_a_table_go_with_it_from_file_to_evaluation(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table = changing()
    quality = np.where(np.isnan(table.quality), 0.5, table.quality).round(3)
    rows = [
        {"prompt": f"explain topic {i}", "ts": f"2024-05-01T{i // 60 + 12}:{i % 60:02d}:00Z"}
        | {"score:old": float(q[0]), "score:new": float(q[1])}
        | {"cost:old": 0.001, "cost:new": 0.002, "group": f"user {i // 2}"}
        for i, q in enumerate(quality)
    ]
    (tmp_path / "table.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = rj.inspect("table.jsonl")
    assert any("the quality of old fell by" in note for note in found.notes), found.notes
    draw, fit = (command.split()[1:] for command in found.commands[:2])
    assert draw[draw.index("--time") + 1] == "ts" and fit[fit.index("--time") + 1] == "time"
    main(draw)
    log = rj.read_log("log.parquet", columns={"time": "time"})
    assert len(log.time) == 140 and log.group is not None
    short = "--cost-weights 0 --nuisance.folds 2 --evaluation 0 --quiet".split()
    assert main([*fit, *short]) == 0
    capsys.readouterr()
    assert main("evaluate router test.parquet --time time --json --quiet".split()) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert any(note.startswith("the rows are of 2024-05-01 12:") for note in notes)


def written(path, rows=60, **columns):
    lines = []
    for i in range(rows):
        row = {
            "prompt": f"question {i}",
            "model": "ab"[i % 2],
            "quality": i * 7 % 11 / 10,
            "cost": 0.001,
        }
        lines.append(json.dumps(row | {name: cells[i] for name, cells in columns.items()}))
    path.write_text("\n".join(lines))
    return path


def test_a_file_with_times_and_pins(tmp_path):
    times = [int(SECONDS * 1e3) + 60_000 * i for i in range(60)]
    pins = ["yes" if i < 6 else "no" if i < 50 else None for i in range(60)]
    path = written(tmp_path / "log.jsonl", ts=times, manual=pins)
    log = rj.read_log(path, columns={"time": "ts", "pinned": "manual"}, split_by="time:0.1")
    assert log.time[1] == SECONDS + 60
    assert log.pinned.sum() == 6 and log.pinned[:6].all()
    assert log.split == ("train",) * 54 + ("test",) * 6
    assert rj.read_log(path).time is None
    schema = tmp_path / "my.toml"
    schema.write_text('split_by = "time"\n[columns]\ntime = "ts"\npinned = "manual"\n')
    assert rj.read_log(path, schema=schema).split.count("test") == 12
    rj.write_log(log, tmp_path / "again.csv")
    again = rj.read_log(tmp_path / "again.csv", columns={"time": "time", "pinned": "pinned"})
    assert again.fingerprint == log.fingerprint


@pytest.mark.parametrize(
    "rules, columns, problem",
    [
        ({"split_by": "time"}, {}, "a split by time needs a column of times"),
        ({}, {"time": "manual"}, "'perhaps' is not a time, as 2024-05-01T12:00:00Z"),
        ({}, {"pinned": "manual"}, "'perhaps' is neither yes nor no; say what the words are worth"),
        ({}, {"time": "sometimes"}, "no time here (2 such rows); fill it in or leave it out"),
        (
            {"split_by": "time"},
            {"time": "ts"},
            "says which rows are train and test; leave out --split-by time, or this column",
        ),
    ],
)
def test_columns_that_cannot_be(tmp_path, rules, columns, problem):
    times = [SECONDS + i for i in range(60)]
    path = written(
        tmp_path / "log.jsonl",
        ts=times,
        manual=["perhaps"] * 60,
        sometimes=[*times[:58], None, None],
        split=["train"] * 60,
    )
    with pytest.raises(InputError) as raised:
        rj.read_log(path, columns=columns, **rules)
    assert problem in raised.value.problem


def test_rows_without_a_time_leave_when_told(tmp_path):
    times = [SECONDS + i if i % 10 else None for i in range(60)]
    path = written(tmp_path / "log.jsonl", ts=times)
    with pytest.warns(DataWarning, match="left out 6 of 60 rows: 6 without ts"):
        log = rj.read_log(path, columns={"time": "ts"}, drop_missing=True)
    assert len(log.time) == 54


def test_inspect_proposes_the_options(tmp_path, capsys):
    names = [["a", "b"] if i % 3 else ["ab"[i % 2]] for i in range(60)]
    path = written(
        tmp_path / "log.jsonl",
        created_at=[SECONDS + 60 * i for i in range(60)],
        candidates=names,
        user_pinned=[i % 7 == 0 for i in range(60)],
    )
    assert main(["inspect", str(path), "--quiet"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--available candidates --time created_at --pinned user_pinned --out router" in said
    assert "the rows are of 2024-05-01 12:00 to 2024-05-01 12:59 (UTC)" in said


def test_inspect_gives_up_a_guess_that_not_every_row_fits(tmp_path, capsys):
    """A name that is no model's answer to a row makes the column no list of available models."""
    times = [SECONDS + 60 * i for i in range(6000)]
    path = written(tmp_path / "log.jsonl", rows=6000, ts=[*times[:7], None, *times[8:]])
    assert main(["inspect", str(path), "--quiet"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--time" not in said and "--drop-missing" not in said
    assert main(["inspect", str(path), "--quiet", "--time", "ts"]) == 0
    assert "--time ts --drop-missing" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_pinned_rows_are_outcomes_alone():
    """Users pin a model where the policy never asks it: the policy stays at even shares."""
    log = drifting(200, time=None)
    pinned = np.arange(200) % 4 == 0
    arms = np.where(pinned, 1, np.arange(200) % 2)
    log = log.replace(arms=arms.astype(np.int32), pinned=pinned)
    router = rj.fit(log, config=CONFIG)
    page = evaluation_of(router.report["evaluation"])
    assert (page.rows, page.left_out) == (150, 50)
    assert any(
        note.startswith("50 of 200 rows were answered by a model that a user")
        for note in page.notes
    )
    covered = router.report["overlap"]
    assert covered["pinned"] == 50
    today = page.of("today")[0]
    assert today.quality.mean == pytest.approx(log.quality[~pinned].mean(), abs=1e-6)
    # of the policy's own rows a third is of a (50 of 150): each weighs 150/50 or 150/100
    assert covered["calibration"] == pytest.approx((1, 1), abs=0.05)


@pytest.mark.parametrize(("left", "said"), [(0, "row;"), (1, "row but 1, of one group")])
def test_a_log_that_is_all_pinned_says_nothing_of_a_policy(left, said):
    log = drifting(100, time=None, pinned=np.arange(100) >= left)
    with pytest.raises(InputError, match=f"a user pinned the model of every {said}"):
        rj.fit(log, config=CONFIG)


@pytest.mark.filterwarnings("ignore::routerjax.errors.DataWarning")
def test_one_row_set_apart_that_nobody_pinned_is_a_page():
    pinned = np.arange(300) >= 10
    config = dataclasses.replace(CONFIG, evaluation=0.2)
    for seed in range(20):
        log = drifting(300, time=None, pinned=np.random.default_rng(seed).permutation(pinned))
        router = rj.fit(log, config=config)
        if router.report["evaluation"] and router.report["evaluation"]["rows"] == 1:
            return
    raise AssertionError("no share set apart held one such row")


@pytest.mark.slow
def test_propensities_by_period_take_away_the_bias_of_a_drift():
    """gpt-4 answered early, when quality was high: without times it looks better than mini.

    Both are alike, by truth. A fit that knows the times says so within four standard errors.
    """

    def lead(log: Log) -> tuple[float, float]:
        page = evaluation_of(rj.fit(log, config=CONFIG).report["evaluation"])
        one, other = page.singles
        error = np.hypot(one.quality.standard_error, other.quality.standard_error)
        return one.quality.mean - other.quality.mean, error

    def log(seed: int) -> Log:
        made = drifting(3000, seed=seed)
        rng = np.random.default_rng(seed)
        arms = (rng.random(3000) > np.where(np.arange(3000) < 1500, 0.7, 0.3)).astype(np.int32)
        return made.replace(arms=arms)

    found, error = lead(log(1))
    assert abs(found) < 4 * error
    blind, error = lead(log(1).replace(time=None))
    assert blind > 4 * error
