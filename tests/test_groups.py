"""What is independent of what: groups, their folds and splits, and rows that say the same twice."""

import json
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.baselines.knn import knn_outcomes
from routerjax.data.io.files import read_log
from routerjax.errors import DataWarning, InputError
from routerjax.estimators.folds import make_folds, member_splits
from routerjax.records.alike import alike
from routerjax.records.groups import (
    digests,
    query_digests,
    repeated,
)
from routerjax.records.logs import Log
from routerjax.records.on_disk import Stored


def log_of(arms, quality, cost, **more):
    count = len(arms)
    more.setdefault("prompts", [f"prompt {i}" for i in range(count)])
    return Log.from_arrays(
        np.array(arms), np.array(quality, float), np.array(cost, float), models="ab", **more
    )


def test_equal_queries_are_a_group_and_a_column_is_stronger():
    log = log_of([0, 1, 0, 1], [1, 1, 0, 0], [1e-3] * 4, prompts=["a", "b", "a", "c"])
    assert log.groups.tolist() == [0, 1, 0, 2]
    by_user = log.replace(group=("x", "x", "y", ""))
    assert by_user.groups.tolist() == [0, 0, 1, 2]
    assert by_user.rows([3, 2, 1]).groups.tolist() == [0, 1, 2]


def test_some_rows_of_a_log_have_the_queries_that_they_had():
    """Whether the log was asked for its queries before or not."""
    prompts = ["a", "b", "a", "c", "A"]
    log = log_of([0, 1, 0, 1, 1], [1, 1, 0, 0, 1], [1e-3] * 5, prompts=prompts)
    before = log.rows([4, 3, 0]).queries
    every = log.queries
    np.testing.assert_array_equal(log.rows([4, 3, 0]).queries, before)
    np.testing.assert_array_equal(before, every[[4, 3, 0]])
    assert before[0] == before[2] != before[1]


def test_without_prompts_equal_embeddings_are_a_group(tmp_path):
    x = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], np.float32)
    np.save(tmp_path / "x.npy", x)
    for embeddings in (x, Stored(np.load(tmp_path / "x.npy", mmap_mode="r"))):
        log = log_of([0, 1, 1], [1, 1, 0], [1e-3] * 3, prompts=None, embeddings=embeddings)
        assert log.groups.tolist() == [0, 1, 0]


def test_embeddings_equal_up_to_rounding_are_a_group():
    """60 queries of 16 numbers, each embedded three times with the rounding of a batch."""
    rng = np.random.default_rng(0)
    x = np.tile(rng.normal(size=(60, 16)), (3, 1)) + 1e-7 * rng.normal(size=(180, 16))
    log = Log.from_arrays(
        np.tile(np.arange(60) % 2, 3),
        np.full(180, 0.5),
        np.ones(180),
        models="ab",
        embeddings=x.astype(np.float32),
    )
    assert log.groups.tolist() == np.tile(np.arange(60), 3).tolist()
    moved = log.replace(embeddings=(x + 1e-2 * rng.normal(size=x.shape)).astype(np.float32))
    assert len(set(moved.groups.tolist())) == 180


def test_queries_whose_embeddings_were_rounded_or_are_noisy_are_found(tmp_path):
    """200 queries four times, by an encoder that is off by a thousandth, or in half precision."""
    rng = np.random.default_rng(0)
    query = np.tile(np.arange(200), 4)
    x = (rng.normal(size=(200, 64)) + 3 * (np.arange(64) == 5))[query]
    noisy = (x * (1 + 1e-3 * rng.normal(size=x.shape))).astype(np.float32)
    halves = np.where((np.arange(800) < 400)[:, None], x.astype(np.float16), x).astype(np.float32)
    np.save(tmp_path / "x.npy", noisy)
    stored = Stored(np.load(tmp_path / "x.npy", mmap_mode="r"))
    for embeddings in (noisy, halves, stored):
        assert alike(embeddings, np.arange(800)).tolist() == query.tolist()


def test_queries_that_lie_densely_are_not_equal():
    """On a curve or a surface, and by length and topic, neighbours are no repeats."""
    rng = np.random.default_rng(0)
    on_curve = np.sin(rng.random((3000, 1)) * np.linspace(1, 9, 32))
    on_surface = np.sin(2 * rng.random((3000, 2)) @ rng.normal(size=(2, 32)))
    length = np.column_stack([rng.permutation(3000), np.eye(4)[rng.integers(0, 4, 3000)]])
    for embeddings in (on_curve, on_surface, length, rng.normal(size=(3000, 3))):
        found = alike(embeddings.astype(np.float32), np.arange(3000))
        assert len(np.unique(found)) == 3000


def test_rows_that_differ_in_one_column_alone_are_not_equal():
    """A flag beside 63 numbers of the query; without it each query is there twice."""
    x = np.tile(np.random.default_rng(0).normal(size=(100, 64)), (2, 1)).astype(np.float32)
    noise = np.float32(1e-6) * np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    assert len(np.unique(alike(x + noise, np.arange(200)))) == 100
    x[:, 0] = np.repeat([0, 1], 100)
    assert len(np.unique(alike(x, np.arange(200)))) == 200


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, np.int8])
def test_rows_have_digests_of_their_own(kind):
    """All 2¹² rows of signs, beside seven columns that do not differ; and rows said again."""
    signs = 1 - 2 * (np.arange(4096)[:, None] >> np.arange(12) & 1)
    rows = np.concatenate([signs, np.ones((4096, 7))], axis=1).astype(kind)
    found = digests(rows)
    assert len(np.unique(found)) == 4096
    np.testing.assert_array_equal(digests(rows[::-1]), found[::-1])
    np.testing.assert_array_equal(digests(np.asfortranarray(rows)), found)
    assert digests(rows[:0]).shape == (0,)
    assert (digests(rows, salt="s") != found).all()


def test_digests_of_rows_are_spread_evenly():
    """The share below a quarter of their range is a quarter: groups are set apart by it."""
    x = np.random.default_rng(0).integers(0, 3, (20_000, 12)).astype(np.float32)
    share = np.mean(np.unique(digests(x)) / 2.0**64 < 0.25)
    assert share == pytest.approx(0.25, abs=0.01)


def test_one_row_that_outweighs_all_others_makes_them_no_single_query():
    x = np.random.default_rng(0).normal(size=(200, 4))
    x[3] *= 1e6
    both = np.concatenate([x, x + 1e-4]).astype(np.float32)
    assert len(np.unique(alike(x.astype(np.float32), np.arange(200)))) == 200
    assert len(np.unique(alike(both, np.arange(400)))) == 200


def test_queries_whose_embedding_is_all_0_make_no_others_alike():
    x = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    both = np.concatenate([np.zeros((150, 6), np.float32), x])
    equal = np.concatenate([np.zeros(150, int), np.arange(1, 51)])
    assert len(np.unique(alike(both, equal))) == 51
    assert len(np.unique(alike(np.zeros((9, 6), np.float32), np.zeros(9, int)))) == 1


def test_a_matrix_on_a_device_has_the_same_digests():
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    for salt in ("", "s"):
        np.testing.assert_array_equal(digests(jnp.asarray(x), salt=salt), digests(x, salt=salt))


def test_a_digest_is_of_its_salt():
    assert (digests(["a", "b", "a"]) == digests(["a", "b", "a"])).all()
    assert len(set(digests(["a", "b", "a"]).tolist())) == 2
    assert (digests(["a"], salt="one") != digests(["a"], salt="two")).all()
    log = log_of([0, 1], [1, 0], [1e-3] * 2)
    assert (query_digests(log, salt="s") == digests(["prompt 0", "prompt 1"], salt="s")).all()


WRITTEN = [
    ["What is Rust?", "what is RUST?  ", " What\u00a0is\n\tRust?", "\ufeffWhat is\u200b Rust?"],
    ["Que es un a\u00f1o?", "Que es un an\u0303o?"],
    ["What is rust"],
    ["Whatis Rust?"],
    ["x\u00b2"],
    ["x2"],
]


def test_prompts_of_one_wording_are_one_query_and_its_rows_repeats():
    prompts = [prompt for each in WRITTEN for prompt in each]
    query = np.repeat(np.arange(len(WRITTEN)), [len(each) for each in WRITTEN])
    rng = np.random.default_rng(0)
    log = log_of(query % 2, rng.random(6)[query], rng.random(6)[query], prompts=prompts)
    assert log.groups.tolist() == query.tolist()
    assert repeated(log).tolist() == [False, True, True, True, False, True] + [False] * 4
    assert log.prompts == tuple(prompts)


GROUPS = np.repeat(np.arange(30), [1, 2, 3, 4, 5] * 6)
ARMS = np.random.default_rng(0).integers(0, 3, len(GROUPS))


def test_a_group_is_in_one_fold_and_never_both_trained_on_and_stopped_by():
    folds = make_folds(ARMS, folds=5, held_out=0.2, key=jax.random.key(0), groups=GROUPS)
    assert all(len(set(folds.of_row[GROUPS == group])) == 1 for group in range(30))
    assert np.bincount(folds.of_row).tolist() == [18] * 5  # 90 rows
    for fold in range(5):
        train, stop = (np.asarray(each[fold]) for each in (folds.train, folds.held_out))
        train, stop = train[train >= 0], stop[stop >= 0]
        assert sorted([*train, *stop]) == np.flatnonzero(folds.of_row != fold).tolist()
        assert not set(GROUPS[train]) & set(GROUPS[stop])
        assert 14 <= len(stop) < 14 + 5  # 0.2 of 72 rows, and what makes the last group whole


def test_groups_of_one_row_are_folds_as_without_groups():
    plain = make_folds(ARMS, folds=5, held_out=0.2, key=jax.random.key(0))
    alone = np.random.default_rng(1).permutation(len(ARMS))
    grouped = make_folds(ARMS, folds=5, held_out=0.2, key=jax.random.key(0), groups=alone)
    for one, other in zip(plain, grouped, strict=True):
        np.testing.assert_array_equal(one, other)


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(InputError, match="2 groups of rows are too few; 5 folds need"):
        make_folds(ARMS, folds=5, held_out=0.2, key=jax.random.key(0), groups=GROUPS % 2)


def test_a_group_is_on_one_side_of_a_members_split():
    train, held_out = member_splits(90, members=4, held_out=0.2, seed=0, groups=GROUPS)
    chosen = []
    for own, apart in zip(train, held_out, strict=True):
        own, apart = own[own >= 0], apart[apart >= 0]
        assert sorted([*own, *apart]) == list(range(90))
        assert not set(GROUPS[own]) & set(GROUPS[apart])
        assert len(set(GROUPS[apart])) == 6
        chosen.append(set(GROUPS[apart]))
    assert not set.intersection(*chosen)


def test_neighbours_of_a_row_are_of_other_groups():
    """Every query was asked five times, with one score: the nearest five tell it, if they may."""
    rng = np.random.default_rng(0)
    which = np.repeat(np.arange(40), 6)
    x = rng.normal(size=(40, 2)).astype(np.float32)[which]
    quality = rng.integers(0, 2, 40)[which]
    arms = np.tile([0, 0, 0, 0, 0, 1], 40)
    log = log_of(arms, quality, np.full(240, 1e-3), prompts=None, embeddings=x)
    together = knn_outcomes(log, x).quality[:, 0]
    apart = knn_outcomes(log.replace(group=tuple(map(str, range(240)))), x).quality[:, 0]
    np.testing.assert_array_equal(apart, quality)
    assert together.min() > 0.1 and together.max() < 0.9


def rows(times, *, quality, cost):
    which = np.tile(np.arange(len(quality)), times)
    prompts = [f"prompt {i}" for i in which]
    return log_of(which % 2, np.array(quality)[which], np.array(cost)[which], prompts=prompts)


def test_rows_logged_several_times_are_repeats():
    rng = np.random.default_rng(0)
    log = rows(4, quality=rng.integers(0, 2, 50), cost=np.full(50, 2e-3))
    assert repeated(log).tolist() == [False] * 50 + [True] * 150
    assert not repeated(log.rows(slice(0, 50))).any()


def test_answers_that_agree_by_chance_are_no_repeats():
    """Asked again, with a coin for a score and one cost: half the pairs agree, as by chance."""
    rng = np.random.default_rng(0)
    which = np.tile(np.arange(50), 4)
    prompts = [f"prompt {i}" for i in which]
    log = log_of(which % 2, rng.integers(0, 2, 200), np.full(200, 2e-3), prompts=prompts)
    assert not repeated(log).any()


def test_a_cost_of_its_own_tells_a_repeat_among_answers_of_the_same_query():
    """Every query is asked ten times of one model, and one answer in ten is logged twice."""
    rng = np.random.default_rng(0)
    which = np.tile(np.arange(20), 10)
    cost = rng.uniform(1e-3, 2e-3, 200)
    order = np.concatenate([np.arange(200), np.arange(0, 200, 10)])
    log = log_of(
        (which % 2)[order],
        rng.integers(0, 2, 200)[order],
        cost[order],
        prompts=[f"prompt {i}" for i in which[order]],
    )
    assert np.flatnonzero(repeated(log)).tolist() == list(range(200, 220))


def test_other_users_and_other_judges_say_no_repeats():
    log = rows(2, quality=np.linspace(0, 1, 50), cost=np.linspace(1e-3, 2e-3, 50))
    assert repeated(log).sum() == 50
    users = log.replace(group=tuple(f"user {i}" for i in range(100)))
    judges = log.replace(scored_by=("human",) * 50 + ("judge",) * 50)
    assert not repeated(users).any() and not repeated(judges).any()


@pytest.mark.parametrize(("ids", "repeats"), [("each", 0), ("one", 3), ("lacking", 3)])
def test_a_files_request_ids_tell_repeats_from_decisions(tmp_path, ids, repeats):
    """Forty requests of costs of their own, and one query that was asked four times alike."""
    rows = [{"prompt": f"query {row}", "cost": row * 1e-4 + 1e-4} for row in range(40)]
    rows += [{"prompt": "the same", "cost": 9e-3} for _ in range(4)]
    for row, own in enumerate(rows):
        own |= {"model": "ab"[row % 2 if row < 40 else 0], "quality": 1.0, "request_id": f"r{row}"}
        if row >= 40 and ids != "each":
            own["request_id"] = "r40" if ids == "one" else None
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        log = read_log(path)
    assert repeated(log).sum() == repeats
    assert (log.ids is None) == (ids == "lacking")
