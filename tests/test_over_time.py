"""Times over which shares of models and scores change are named; others draw no word."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import routerjax as rj
from routerjax.data.checks.over_time import changed_together
from routerjax.data.columns.schema import Schema
from routerjax.errors import DataWarning, InputError

MODELS = np.array(["vega", "orion", "lyra"])
EARLY, LATE = [1.0, 0.5, 0.2], [0.2, 0.5, 1.0]


def drifted(seed: int = 0, *, rows: int = 1500, rise: float = 0.25, moved: bool = True):
    """Time, arms and quality: all are as good, and from the middle on better and asked anew."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.random(rows))
    late = time > 0.5
    weight = np.where((late & moved)[:, None], LATE, EARLY)
    arms = (np.cumsum(weight / 1.7, axis=1) < rng.random((rows, 1))).sum(axis=1)
    return time, arms, (rng.random(rows) < 0.55 + rise * (late - 0.5)).astype(float)


def frame(time, arms, quality, *, name="created_at", cost=None) -> pd.DataFrame:
    rng, rows = np.random.default_rng(1), len(arms)
    moments = pd.to_datetime(1.7e9 + 8e6 * np.asarray(time), unit="s")
    return pd.DataFrame(
        {
            "prompt": [f"question {row} of {rows}" for row in range(rows)],
            "model": MODELS[arms],
            "quality": quality,
            "cost": rng.uniform(0.001, 0.003, rows) if cost is None else cost,
            "latency": rng.random(rows),
            name: moments,
        }
    ).sample(frac=1, random_state=0)


def said(data: pd.DataFrame, **columns) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        rj.read_log(data, columns=columns)
    return [str(each.message) for each in caught]


def test_the_bias_is_that_of_least_squares_of_models_and_quarters():
    time, arms, quality = drifted(3, rows=400, rise=0.6)
    found = changed_together(time, arms, quality, np.ones(400))
    quarter = np.arange(400) // 100
    shown = np.concatenate([np.eye(3)[arms], np.eye(4)[quarter]], axis=1)
    level = np.linalg.lstsq(shown, quality, rcond=None)[0][3:]
    bias = [level[quarter[arms == arm]].mean() - level[quarter].mean() for arm in range(3)]
    arm = int(np.abs(bias).argmax())
    first, last = sorted([int(level.argmin()), int(level.argmax())])
    assert (found.what, found.arm) == ("quality", arm)
    assert found.bias == pytest.approx(bias[arm])
    assert found.change == pytest.approx(level[last] - level[first])
    assert found.shares == pytest.approx(
        [(arms[quarter == k] == arm).mean() for k in (first, last)]
    )


def test_shares_and_scores_that_rise_together_are_found_and_one_of_them_alone_is_not():
    for seed in range(20):
        time, arms, quality = drifted(seed)
        cost = np.random.default_rng(seed).lognormal(0, 1, 1500)
        assert changed_together(time, arms, quality, cost).what == "quality"
        for rise, moved in ((0.0, True), (0.25, False), (0.0, False)):
            time, arms, quality = drifted(seed, rise=rise, moved=moved)
            assert changed_together(time, arms, quality, cost) is None


def test_costs_that_rise_are_found_and_a_group_is_no_more_than_a_block():
    time, arms, quality = drifted(rise=0.0)
    cost = np.random.default_rng(0).lognormal(0, 0.5, 1500) * np.where(time > 0.5, 1.5, 1.0)
    found = changed_together(time, arms, quality, cost)
    assert found.what == "cost" and 0.3 < found.change < 0.6
    assert changed_together(time, arms, quality, cost, groups=15) is None


def test_sessions_in_order_and_files_sorted_by_model_have_not_changed():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        session = np.arange(1500) // 20
        arms = rng.integers(0, 3, 75)[session]
        quality = (rng.random(1500) < rng.uniform(0.3, 0.9, 75)[session]).astype(float)
        assert changed_together(np.arange(1500.0), arms, quality, np.ones(1500)) is None
        arms = np.sort(arms)
        quality = (rng.random(1500) < 0.3 + 0.2 * arms).astype(float)
        assert changed_together(np.arange(1500.0), arms, quality, np.ones(1500)) is None


@pytest.mark.parametrize("form", ["dates", "text", "numbers", "time"])
def test_a_column_of_times_is_named_whatever_it_counts_in(form):
    data = frame(*drifted(), name="time" if form == "time" else "created_at")
    name = data.columns[-1]
    if form == "text":
        data[name] = data[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    elif form != "dates":
        data[name] = data[name].astype("int64") // 1000
    (text,) = said(data)
    assert text.startswith(f"frame: over '{name}' ") and f"--time {name}" in text
    assert "the scores of the same models rose by 0.2" in text
    assert said(data, time=name) == []
    with pytest.raises(InputError, match=f"over '{name}'"):
        rj.read_log(data, schema=Schema(strict=True))


def test_rows_without_a_time_must_leave_and_a_column_of_few_times_is_none():
    data = frame(*drifted())
    (text,) = said(data.assign(created_at=data["created_at"].mask(data.index % 50 == 0)))
    assert "--time created_at --drop-missing" in text
    assert said(data.assign(created_at=data["created_at"].mask(data.index % 5 > 0))) == []


def test_other_columns_and_times_over_which_nothing_changes_draw_no_word():
    data = frame(*drifted())
    assert said(data.drop(columns="created_at")) == []
    ids = data["created_at"].astype("int64") // 10**9
    assert said(data.assign(created_at=ids).rename(columns={"created_at": "order_number"})) == []
    assert said(data.assign(created_at=data["created_at"].iloc[0])) == []
    assert said(data.assign(created_at=data["created_at"].sample(frac=1).to_numpy())) == []
    assert said(frame(*drifted(rise=0.0))) == []
    assert said(frame(*drifted(moved=False))) == []


def test_inspect_takes_the_times_and_says_what_changed(tmp_path):
    frame(*drifted()).to_parquet(tmp_path / "log.parquet")
    found = rj.inspect(str(tmp_path / "log.parquet"))
    assert "--time created_at" in found.commands[0]
    assert not any("for when it was asked" in note for note in found.notes)
