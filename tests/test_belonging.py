"""Columns whose rows belong together are named where no group is; ordinary columns are not."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import routerjax as rj
from routerjax.data.checks.belonging import MOST_OF_VALUE, MOST_ROWS, _some, belonging
from routerjax.data.columns.schema import Schema
from routerjax.errors import DataWarning, InputError

MODELS = np.array(["vega", "orion", "lyra"])
ANSWERED = {"prompt": "asked", "model": "llm", "quality": "score", "cost": "usd"}


def frame(arms, quality, *, seed=0, **more) -> pd.DataFrame:
    rng, rows = np.random.default_rng(seed), len(arms)
    columns = {
        "asked": [f"question {row} of {rows}" for row in range(rows)],
        "llm": MODELS[arms],
        "score": np.asarray(quality, float),
        "usd": rng.uniform(0.001, 0.003, rows),
    }
    return pd.DataFrame(columns | more)


def sticky(seed: int = 0, *, users: int = 60, turns: int = 20):
    """Arms, quality and number of the user of every row: a user keeps one model, none is better."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), turns)
    arms = rng.integers(0, 3, users)[user]
    order = rng.permutation(len(user))
    return arms[order], (rng.random(len(user)) < 0.5)[order], user[order]


def plain(seed: int = 0, rows: int = 1200):
    """Arms, quality and number of a user that says nothing."""
    rng = np.random.default_rng(seed)
    arms = rng.integers(0, 3, rows)
    return arms, rng.random(rows) < 0.3 + 0.2 * arms, rng.integers(0, 60, rows)


def said(data: pd.DataFrame, **columns) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        rj.read_log(data, columns=ANSWERED | columns)
    return [str(each.message) for each in caught if "--group" in str(each.message)]


def test_the_statistics_are_those_of_their_equations():
    arms, quality, user = sticky(users=12, turns=5)
    quality = quality + 0.3 * (user % 2)
    found = belonging(user, arms, quality)
    assert (found.values, found.share, found.sticky) == (12, 1.0, True)
    beside = np.array([q - quality[arms == arm].mean() for q, arm in zip(quality, arms)])  # noqa: B905
    means = np.array([beside[user == each].mean() for each in user])
    between, within = (means**2).sum() / 11, ((beside - means) ** 2).sum() / 48
    assert found.correlation == pytest.approx((between - within) / (between + 4 * within))


def test_sticky_users_are_found_in_every_log_and_nothing_in_plain_ones():
    for seed in range(20):
        arms, quality, user = sticky(seed)
        assert belonging(user, arms, quality).sticky
        arms, quality, user = plain(seed)
        found = belonging(user, arms, quality)
        assert not found.sticky and not found.alike
        assert found.share == pytest.approx(found.by_chance, abs=0.03)


def test_scores_of_one_user_that_are_alike_are_found():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        arms, _, user = plain(seed)
        quality = rng.random(len(user)) < rng.uniform(0.2, 0.8, 60)[user]
        found = belonging(user, arms, quality)
        assert found.alike and not found.sticky


def test_few_values_few_rows_and_rows_without_a_value_say_nothing():
    arms, quality, user = sticky()
    assert belonging(user % 9, arms, quality) is None
    assert belonging(np.arange(len(user)) // 2, arms, quality) is None
    assert belonging(np.full(len(user), -1), arms, quality) is None


def test_of_a_large_log_whole_values_are_looked_at():
    rng = np.random.default_rng(0)
    codes = np.concatenate([np.zeros(40_000, int), rng.integers(1, 20_000, 100_000)])
    taken = _some(codes, rng)
    assert len(taken) == len(set(taken)) and 0.9 * MOST_ROWS < len(taken) <= MOST_ROWS
    counts = np.bincount(codes[taken], minlength=20_000)
    whole = np.minimum(np.bincount(codes, minlength=20_000), MOST_OF_VALUE)
    assert ((counts == 0) | (counts == whole)).all()


@pytest.mark.parametrize("name", ["uid", "userId", "caller"])
@pytest.mark.parametrize("kind", ["text", "number", "float", "nested"])
def test_the_column_is_named_once_with_what_to_do(name, kind):
    arms, quality, user = sticky()
    values = {
        "text": [f"u{each}" for each in user],
        "number": user,
        "float": user.astype(float),
        "nested": [{name: f"u{each}", "app": "web"} for each in user],
    }[kind]
    path = f"meta.{name}" if kind == "nested" else name
    data = frame(arms, quality, **{"meta" if kind == "nested" else name: values})
    (text,) = said(data)
    assert f"rows of the same '{path}' mostly have the same model (100% of them" in text
    assert text.endswith(f"--group {path} keeps its rows together")
    assert said(data, group=path) == []


def test_strict_refuses_a_log_whose_group_nobody_named():
    arms, quality, user = sticky()
    data = frame(arms, quality, uid=user)
    with pytest.raises(InputError, match="rows of the same 'uid' .* --group uid keeps its rows"):
        rj.read_log(data, columns=ANSWERED, strict=True)
    assert rj.read_log(data, columns=ANSWERED | {"group": "uid"}, strict=True).group is not None
    arms, quality, user = plain()
    rj.read_log(frame(arms, quality, uid=user), columns=ANSWERED, strict=True)


def test_inspect_finds_the_group_for_a_strict_reader():
    arms, quality, user = sticky()
    found = rj.inspect(frame(arms, quality, uid=user), schema=Schema(strict=True))
    assert found.problems == () and found.schema.columns["group"] == "uid"
    assert "group=uid" in found.commands[0] and "--strict" in found.commands[0]


def test_of_users_and_their_sessions_the_users_are_named():
    arms, quality, user = sticky()
    data = frame(
        arms, quality, sid=[f"s{each}-{row % 4}" for row, each in enumerate(user)], uid=user
    )
    (text,) = said(data)
    assert "--group uid " in text


def test_ordinary_columns_are_not_named():
    rng = np.random.default_rng(1)
    arms, quality, user = plain()
    topic = rng.integers(0, 15, len(arms))
    by_topic = (topic + (rng.random(len(arms)) < 0.1)) % 3
    data = frame(
        by_topic,
        rng.random(len(arms)) < 0.2 + 0.04 * topic,
        uid=user,
        task=[f"t{each}" for each in topic],
        subject=[f"s{each}" for each in topic],
        output_tokens=rng.poisson(20 + 20 * by_topic),
        latency_ms=rng.poisson(30 + 30 * by_topic),
        stars=(quality * 9 + rng.integers(0, 2, len(arms))),
        model_version=[f"{MODELS[arm]}-{row % 5}" for row, arm in enumerate(by_topic)],
        day=[f"2024-05-{1 + row // 60:02d}" for row in range(len(arms))],
    )
    assert said(data) == []


def test_ids_of_equal_queries_are_no_news():
    arms, quality, user = sticky()
    data = frame(arms, quality, query_id=[f"q{each}" for each in user])
    data["asked"] = [f"question {each}" for each in user]
    assert said(data) == []


def test_inspect_takes_the_column_for_the_group():
    arms, quality, user = sticky()
    found = rj.inspect(frame(arms, quality, uid=user).rename(columns={"asked": "prompt"}))
    assert found.schema.columns["group"] == "uid" and found.groups == 60
    assert [(each.path, each.by) for each in found.columns if each.role == "group"] == [
        ("uid", "content")
    ]
    assert "group=uid" in found.commands[0]
    assert any("it is taken for the group" in note for note in found.notes)
    assert not any("keeps its rows" in note for note in found.notes)
    arms, quality, user = plain()
    assert "group" not in rj.inspect(frame(arms, quality, uid=user)).schema.columns


def test_odd_columns_are_read_past():
    arms, quality, user = sticky()
    rows = len(user)
    ends = pa.py_buffer(np.arange(rows + 1, dtype=np.int32).tobytes())
    bad = pa.Array.from_buffers(pa.string(), rows, [None, ends, pa.py_buffer(b"\xff" * rows)])
    table = pa.Table.from_pandas(frame(arms, quality))
    odd = {
        "bytes_id": bad,
        "null_id": pa.nulls(rows),
        "big_id": pa.array(np.arange(rows) * 1e300),
        "empty_id": pa.array([""] * rows),
        "list_id": pa.array([[int(each)] for each in user]),
    }
    for name, values in odd.items():
        table = table.append_column(name, values)
    assert said(table) == []
    gappy = pa.array([np.nan if row % 7 == 0 else float(each) for row, each in enumerate(user)])
    (text,) = said(table.append_column("user id, old", gappy))
    assert text.endswith("--group 'user id, old' keeps its rows together")
