"""Answers that were logged again under queries that only look like others, and logs without any."""

import warnings

import numpy as np
import pytest

import routerjax as rj
from routerjax.data.encoders.encoding import encoded
from routerjax.errors import DataWarning
from routerjax.pipelines.lines import evaluation_of
from routerjax.pipelines.repeats import said_once
from routerjax.records.logs import Log
from routerjax.records.on_disk import Stored

PRICES = 1e-3 * np.arange(1, 6)


def log_of(arms, quality, cost, embeddings=None, *, models=5, **more) -> Log:
    names = [f"m{arm}" for arm in range(models)]
    x = None if embeddings is None else np.asarray(embeddings, np.float32)
    return Log.from_arrays(arms, quality, cost, models=names, embeddings=x, **more)


def copied(noise, *, times, columns, rows=400, seed=0) -> tuple[Log, np.ndarray]:
    """A log in which no model is better and every answer stands `times`, its embedding off by
    `noise`; and the number of the answer of every row."""
    rng, answers = np.random.default_rng(seed), rows // times
    answer = rng.permutation(np.repeat(np.arange(answers), times))
    x = rng.normal(size=(answers, columns))[answer] + noise * rng.normal(size=(rows, columns))
    arms, quality = rng.integers(0, 5, answers), rng.integers(0, 2, answers)
    cost = 2e-3 * np.exp(0.3 * rng.normal(size=answers))
    return log_of(arms[answer], quality[answer], cost[answer], x), answer


def one_partition(one, other) -> bool:
    """Whether rows are equal in one where they are in the other."""
    both = len(np.unique(np.stack([one, other]), axis=1).T)
    return both == len(np.unique(one)) == len(np.unique(other))


@pytest.mark.parametrize("columns", [8, 64])
@pytest.mark.parametrize("times", [2, 4])
@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
def test_answers_whose_embedding_carries_noise_are_found(noise, times, columns):
    log, answer = copied(noise, times=times, columns=columns)
    assert one_partition(log.groups, answer)


def test_a_few_answers_logged_again_among_many_are_found():
    log, answer = copied(0.05, times=2, columns=16)
    first = np.unique(answer, return_index=True)[1]
    kept = np.union1d(first, np.flatnonzero(answer < 20))
    assert one_partition(log.rows(kept).groups, answer[kept])


@pytest.mark.parametrize("noise", [0.01, 0.1])
def test_no_router_is_worth_more_than_today_where_no_model_is_better(noise):
    log, _ = copied(noise, times=4, columns=8, rows=1200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        router = rj.fit(log, config=rj.FitConfig(cost_weights=(0.0,)))
    (line,) = evaluation_of(router.report["evaluation"]).of("router")
    assert line.band[0] < 0 < line.band[1]


def test_the_finding_counts_them_and_rows_with_ids_are_kept_together():
    log, _ = copied(0.05, times=4, columns=8)
    with pytest.warns(DataWarning) as caught:
        assert len(said_once(log)) == 100
    assert [str(each.message) for each in caught] == [
        "log: 300 of 400 rows repeat an earlier one in query, model, score and cost, and are left "
        "out: what was logged twice weighs once",
        "log: 300 rows carry the same model, score and cost to the last digit as a nearby row: "
        "they are taken for one answer logged again",
    ]
    named = log.replace(ids=tuple(map(str, range(400))))
    with pytest.warns(DataWarning, match="log: 300 rows carry the same model"):
        assert said_once(named) is named
    assert len(np.unique(named.groups)) == 100


def test_answers_that_differ_in_the_gold_score_are_two():
    log, _ = copied(0.05, times=2, columns=8)
    gold = np.random.default_rng(1).random(400)
    assert len(np.unique(log.replace(gold_quality=gold.astype(np.float32)).groups)) == 400
    nowhere = log.replace(gold_quality=np.full(400, np.nan, np.float32))
    assert len(np.unique(nowhere.groups)) == 200


def test_rows_on_disk_have_the_groups_of_rows_in_memory(tmp_path):
    log, _ = copied(0.05, times=4, columns=16)
    np.save(tmp_path / "x.npy", log.embeddings)
    stored = Stored(np.load(tmp_path / "x.npy", mmap_mode="r"))
    np.testing.assert_array_equal(log.replace(embeddings=stored).groups, log.groups)


WORDS = (
    "parse table server garden tax invoice poem river engine soup visa piano "
    "matrix heart contract planet recipe novel battery goat"
).split()
FILLING = "the a of in please how what is with for and to my".split()


def asked_again(kind: str, rng, request: list[str]) -> str:
    """A request as it is sent once more: with an id, a date or a name of its own."""
    text = " ".join(request)
    if kind == "id":
        return f"[{rng.integers(1 << 32):08x}] {text}"
    if kind == "date":
        return f"{text} (sent 2025-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d})"
    return f"Hi, this is {rng.choice(['Anna', 'Ben', 'Carl', 'Dora', 'Emil', 'Fay'])}. {text}"


@pytest.mark.parametrize("kind", ["id", "date", "name"])
@pytest.mark.parametrize("times", [2, 4])
def test_prompts_with_an_id_a_date_or_a_name_are_found(kind, times):
    """Groups are of one answer each, and of an answer hardly more than one."""
    pytest.importorskip("wordllama")
    rng, answers = np.random.default_rng(0), 400 // times
    answer = np.repeat(np.arange(answers), times)
    request = [
        [str(rng.choice(WORDS if rng.random() < 0.5 else FILLING)) for _ in range(14)]
        for _ in range(answers)
    ]
    prompts = [asked_again(kind, rng, request[which]) for which in answer]
    arms, quality = rng.integers(0, 3, answers)[answer], rng.random(answers)[answer]
    log = log_of(arms, quality, np.full(400, 2e-3), models=3, prompts=prompts)
    groups = encoded(log, encoder="wordllama").groups
    assert len(np.unique(np.stack([groups, answer]), axis=1).T) == len(np.unique(groups))
    assert answers <= len(np.unique(groups)) < 1.1 * answers


def healthy(kind: str) -> Log:
    """A log of 1,500 rows in which every row is an answer of its own."""
    rng, rows = np.random.default_rng(3), 1500
    x, arms = rng.normal(size=(rows, 16)), rng.integers(0, 5, rows)
    quality, flat = rng.integers(0, 2, rows), PRICES[arms]
    template = rng.integers(0, 40, rows)
    near = rng.normal(size=(40, 16))[template] + 0.05 * rng.normal(size=(rows, 16))
    tokens = np.round(rng.lognormal(5, 0.6, rows)) * 1e-6
    if kind == "two models at no cost":
        return log_of(arms % 2, quality, np.zeros(rows), x, models=2, warn=False)
    if kind == "one model in all but a few rows":
        return log_of(arms * (template == 0), quality, flat * 0 + 1e-3, near)
    if kind == "a template's own model and cost":
        own = template % 5
        return log_of(own, rng.random(rows) < 0.8, (template + 20) * (own + 1) * 1e-6, near)
    cost, where = {
        "continuous costs": (2e-3 * np.exp(0.3 * x[:, 0]), x),
        "flat costs": (flat, x),
        "costs by tokens": (tokens * (arms + 1), x),
        "templates, flat costs": (flat, near),
        "templates, costs of the template": ((template + 20) * (arms + 1) * 1e-6, near),
    }[kind]
    return log_of(arms, quality, cost, where)


@pytest.mark.parametrize(
    "kind",
    [
        "continuous costs",
        "flat costs",
        "costs by tokens",
        "templates, flat costs",
        "templates, costs of the template",
        "a template's own model and cost",
        "two models at no cost",
        "one model in all but a few rows",
    ],
)
def test_healthy_logs_have_no_answer_logged_again(kind):
    log = healthy(kind)
    assert log.origins is log.queries
    assert len(np.unique(log.groups)) == len(log)


def test_answers_that_agree_at_comparable_distances_are_left_alone():
    """Four in five rows carry the answer of a row anywhere, which makes nothing of being near."""
    rng = np.random.default_rng(4)
    cost, rows = 2e-3 * np.exp(0.3 * rng.normal(size=600)), np.arange(600)
    cost[:240] = cost[360:]
    log = log_of(rows % 5, np.ones(600), cost, rng.normal(size=(600, 4)))
    assert len(np.unique(log.groups)) == 600
