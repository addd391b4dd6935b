"""A log that tells the task by which its policy chose: what that mends, and when it is not used."""

import numpy as np
import pytest

import routerjax as rj
from routerjax.estimators.folds import Folds
from routerjax.pipelines.by_task import asked_by_task
from routerjax.pipelines.lines import evaluation_of
from routerjax.records.logs import Log
from routerjax.support.provenance import plain

LEVEL = np.full(2, 0.05)
"""Propensity from which either of two models has support."""


def _log(arms, task, quality=None, x=None, **more):
    """A log of models a and b, which cost the same."""
    n = len(arms)
    x = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32) if x is None else x
    quality = np.zeros(n) if quality is None else quality
    return Log.from_arrays(
        arms, quality, np.full(n, 0.01), models="ab", embeddings=x, task=task, **more
    )


def _halves(n):
    """Two folds, the first half of the rows and the second; nothing is trained on them."""
    return Folds(
        np.repeat([0, 1], n // 2).astype(np.int32), np.zeros((2, 1), int), np.zeros((2, 1))
    )


def test_ratios_by_hand():
    """Two folds of 12 rows of code, all asked of a, and 8 of chat, all of b; the query says ½.

    Outside a fold N = (12, 0) and E = (6, 6) in code, N = (0, 8) and E = (4, 4) in chat, and
    c·s = (3, 2). So code has (15/9, 2/8), and chat (3/7, 10/6).
    """
    task = (("code",) * 12 + ("chat",) * 8) * 2
    log = _log(np.array([0] * 12 + [1] * 8 + [0] * 12 + [1] * 8), task)
    every = np.full((40, 2), 0.5)
    found = asked_by_task(log, every, _halves(40), np.ones((40, 2), bool), np.full(2, 0.15))
    assert found.names == ("chat", "code")
    one = [[3 / 7, 10 / 6], [15 / 9, 2 / 8], [1.0, 1.0]]
    np.testing.assert_allclose(found.ratios, [one, one], rtol=1e-6)
    chat, code = (np.array(own) / sum(own) for own in one[:2])
    both = found.given(log, every, _halves(40).of_row)
    np.testing.assert_allclose(both, [*[code] * 12, *[chat] * 8] * 2, rtol=1e-6)
    elsewhere = found.given(_log(np.array([0, 0]), ("chat", "law")), every[:2])
    np.testing.assert_allclose(elsewhere, [chat, [0.5, 0.5]], rtol=1e-6)
    assert found.given(_log(np.array([0]), None), every[:1]).tolist() == [[0.5, 0.5]]
    # 24 rows of code ask for 3.6 of b, which answered none; 16 of chat for 2.4 of a: too few.
    assert found.asked.tolist() == [[True, True], [True, False], [True, True]]
    told = found.told(_log(np.array([0, 0, 0]), ("code", "chat", "law")))
    assert told.tolist() == [[True, False], [True, True], [True, True]]
    assert found.told(_log(np.array([0]), None)) is None


def test_rows_that_a_user_pinned_do_not_count():
    """The first half of every fold was pinned, all of it to a; the rest was drawn evenly."""
    rng = np.random.default_rng(0)
    pinned = np.tile([True, False], 100)
    arms = np.where(pinned, 0, rng.integers(0, 2, 200))
    task = np.where(pinned, "code", rng.choice(["code", "chat"], 200))
    log = _log(arms, tuple(task.tolist()))
    every, folds, free = np.full((200, 2), 0.5), _halves(200), np.ones((200, 2), bool)
    assert asked_by_task(log, every, folds, free & ~pinned[:, None], LEVEL) is None
    assert asked_by_task(log, every, folds, free, LEVEL) is not None


@pytest.mark.parametrize("tasks", [2, 20])
def test_a_task_that_did_not_matter_is_left_alone(tasks):
    for seed in range(100):
        rng = np.random.default_rng(seed)
        task = tuple(map(str, rng.integers(0, tasks, 400)))
        log, every = _log(rng.integers(0, 2, 400), task), np.full((400, 2), 0.5)
        assert asked_by_task(log, every, _halves(400), np.ones((400, 2), bool), LEVEL) is None


def test_a_log_without_tasks_of_one_or_of_one_a_row_has_no_ratios():
    every, folds, could = np.full((40, 2), 0.5), _halves(40), np.ones((40, 2), bool)
    for task in (None, ("law",) * 40, tuple(map(str, range(40)))):
        assert asked_by_task(_log(np.tile([0, 1], 20), task), every, folds, could, LEVEL) is None


def test_a_rule_that_every_row_follows_alike_is_seen():
    """Law goes to a and art to b, as often: every row gains the same, and nothing spreads."""
    log = _log(np.tile([0, 1], 100), ("law", "art") * 100)
    every = np.full((200, 2), 0.5)
    found = asked_by_task(log, every, _halves(200), np.ones((200, 2), bool), LEVEL)
    assert found.asked.tolist() == [[False, True], [True, False], [True, True]]


def _chosen_by_task(seed, *, told, asked=(0.8, 0.2)):
    """Embeddings tell nothing of the task. a is right on 0.9 of code and 0.3 of chat, and is asked
    for 0.8 and 0.2 of them; b is right on 0.6 of either. Over all queries both earn 0.6."""
    rng = np.random.default_rng(seed)
    code = rng.random(2000) < 0.5
    arms = (rng.random(2000) > np.where(code, *asked)).astype(int)
    right = np.where(arms == 1, 0.6, np.where(code, 0.9, 0.3))
    task = tuple(np.where(code, "code", "chat").tolist()) if told else None
    x = rng.normal(size=(2000, 4)).astype(np.float32)
    return _log(arms, task, (rng.random(2000) < right).astype(float), x)


def _fitted(*, told, **more):
    config = rj.FitConfig(cost_weights=(0.0,), **more)
    return rj.fit(_chosen_by_task(0, told=told), config=config)


@pytest.fixture(scope="module")
def router():
    return _fitted(told=True)


def _page(router):
    return evaluation_of(plain(router.report["evaluation"]))


def _says_so(page):
    return any("column task" in note for note in page.notes)


def _of(page, model):
    (own,) = (each.quality for each in page.singles if each.model == model)
    return own


def test_a_page_is_right_where_the_log_tells_the_task(router):
    page = _page(router)
    assert _says_so(page)
    for model in "ab":
        assert _of(page, model).low <= 0.6 <= _of(page, model).high
    assert _of(page, "a").mean == pytest.approx(0.6, abs=0.06)


def test_a_page_is_wrong_where_it_does_not():
    page = _page(_fitted(told=False))
    assert not _says_so(page) and _of(page, "a").low > 0.65


def test_rows_that_were_set_apart_are_told_of_by_the_others():
    page = _page(_fitted(told=True, evaluation=0.3))
    assert _says_so(page) and _of(page, "a").low <= 0.6 <= _of(page, "a").high


def test_a_router_is_evaluated_by_the_tasks_of_another_log(router):
    page = rj.evaluate(router, _chosen_by_task(1, told=True))
    assert _says_so(page) and _of(page, "a").low <= 0.6 <= _of(page, "a").high


@pytest.mark.parametrize("more", [{}, {"evaluation": 0.3}])
def test_a_model_that_a_task_never_met_is_given_bounds(more):
    """a is asked in code alone: what it is worth in chat is unknown, 0.45 to 0.95 over all."""
    log = _chosen_by_task(0, told=True, asked=(0.8, 0.0))
    page = _page(rj.fit(log, config=rj.FitConfig(cost_weights=(0.0,), **more)))
    assert _of(page, "a").low <= 0.45 and _of(page, "a").high >= 0.95
    assert _of(page, "b").low <= 0.6 <= _of(page, "b").high
    assert _of(page, "b").high - _of(page, "b").low < 0.2
    (router,) = (line for line in page.lines if line.method == "router")
    assert router.utility.low <= 0.6 <= router.utility.high
    assert any("hardly ever asked a in chat: what would come" in note for note in page.notes)


def test_tasks_that_never_met_a_model_are_found_where_the_query_tells_the_rest():
    """Four of thirty tasks never met e, of which the query's propensity is 0.04 there."""
    rng = np.random.default_rng(0)
    topic = np.repeat(np.arange(30), 50)
    arms = np.where(topic < 4, rng.integers(0, 4, 1500), rng.integers(0, 5, 1500))
    every = np.where(topic[:, None] < 4, [[0.24, 0.24, 0.24, 0.24, 0.04]], 0.2)
    log = Log.from_arrays(
        arms,
        np.zeros(1500),
        np.full(1500, 0.01),
        models="abcde",
        embeddings=rng.normal(size=(1500, 3)).astype(np.float32),
        task=tuple(map(str, topic)),
    )
    could = np.ones((1500, 5), bool)
    found = asked_by_task(log, every, _halves(1500), could, np.full(5, 0.02))
    assert found.ratios is None and found.unasked("abcde") == "e in 0, 1, 2 and 1 more"
    assert found.given(log, every) is every
    told = np.where(np.arange(5) == 4, topic[:, None] >= 4, True)
    np.testing.assert_array_equal(found.told(log), told)


def test_a_user_with_a_task_of_their_own_who_keeps_one_model_tells_little():
    """Of two models; a hundred others have no task in common with the user of a hundred rows."""
    arms = np.concatenate([np.zeros(100, int), np.tile([0, 1], 50)])
    user = ["one"] * 100 + [f"user {i}" for i in range(100)]
    task = ("theirs",) * 100 + ("common",) * 100
    every, folds, could = np.full((200, 2), 0.5), _halves(200), np.ones((200, 2), bool)
    alone = asked_by_task(_log(arms, task), every, folds, could, LEVEL)
    assert alone is not None and alone.unasked("ab") == "b in theirs"
    assert asked_by_task(_log(arms, task, group=tuple(user)), every, folds, could, LEVEL) is None


def test_a_few_of_many_tasks_that_never_met_a_model_are_found():
    """e is right on 0.9, but on 0.1 of four of thirty topics, where it is never asked: 0.79."""
    rng = np.random.default_rng(0)
    topic = rng.integers(0, 30, 1500)
    never = topic < 4
    arms = np.where(never, rng.integers(0, 4, 1500), rng.integers(0, 5, 1500))
    right = np.where(arms == 4, np.where(never, 0.1, 0.9), 0.6)
    x = rng.normal(size=(1500, 4))
    log = Log.from_arrays(
        arms,
        (rng.random(1500) < right).astype(float),
        np.full(1500, 0.01),
        models="abcde",
        embeddings=x.astype(np.float32),
        task=tuple(f"topic{each}" for each in topic),
    )
    page = _page(rj.fit(log, config=rj.FitConfig(cost_weights=(0.0,))))
    assert any(
        "hardly ever asked e in topic0, topic1, topic2 and 1 more: what" in n for n in page.notes
    )
    (router,) = page.of("router")
    assert router.unsupported == pytest.approx(0.13, abs=0.03)
    assert router.quality.low < 0.79 < router.quality.high


def test_outcome_models_count_rows_as_if_the_query_alone_had_decided(router):
    """Untold, a is worth 0.78 of its own queries, 0.8 · 0.9 + 0.2 · 0.3; told, 0.6 as it is."""
    untold = _fitted(told=False)
    assert untold.arm_quality[0] > 0.7
    for seed in range(3):
        log = _chosen_by_task(seed, told=True)
        found = router if seed == 0 else rj.fit(log, config=rj.FitConfig(cost_weights=(0.0,)))
        assert found.arm_quality == pytest.approx((0.6, 0.6), abs=0.05)
