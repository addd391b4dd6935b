"""Several judges in one log: each has a bias of its own, and one scale for all is asked for."""

from __future__ import annotations

import io

import jax
import numpy as np
import pytest
from rich.console import Console

import routerjax as rj
from routerjax.errors import InputError
from routerjax.pipelines.judge_scores import correct_log, corrected_scores
from routerjax.pipelines.judges import judge_features, judges_of
from routerjax.pipelines.paired import pair_bias
from routerjax.records.logs import Log
from routerjax.reports.console import _correction_sentence

KEY = jax.random.key(7)


def scored(n=1500, seed=0) -> tuple[Log, np.ndarray]:
    """A log of two models and its gold scores: `kind` adds 0.2, `harsh` takes 0.2 off model b."""
    rng = np.random.default_rng(seed)
    arms = rng.integers(0, 2, size=n)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    gold = 0.5 + 0.1 * np.tanh(x[:, 0]) + 0.05 * rng.normal(size=n)
    by = rng.choice(["kind", "harsh", "human"], size=n, p=[0.45, 0.35, 0.2])
    off = np.where(by == "kind", 0.2, np.where(by == "harsh", -0.2 * arms, 0.0))
    log = Log.from_arrays(
        arms,
        gold + off,
        np.full(n, 0.01),
        models=("a", "b"),
        embeddings=x,
        scored_by=by.tolist(),
        quality_range=(-1, 2),
    )
    return log, gold


@pytest.fixture(scope="module")
def corrected():
    log, gold = scored()
    return log, gold, *corrected_scores(log, "human", key=KEY)


def test_each_judges_bias_is_taken_back(corrected):
    log, gold, found, _ = corrected
    by = np.array(log.scored_by)
    for judge in ("kind", "harsh"):
        for arm in range(2):
            own = (by == judge) & (log.arms == arm)
            assert abs(np.mean((found.quality - gold)[own])) < 0.03
    human = by == "human"
    np.testing.assert_array_equal(found.quality[human], log.quality[human])


def test_the_report_names_each_judge(corrected):
    log, _, found, report = corrected
    counts = {name: log.scored_by.count(name) for name in ("kind", "harsh", "human")}
    assert report["gold_rows"] == counts["human"]
    assert report["judge_rows"] == counts["kind"] + counts["harsh"]
    told = {each["judge"]: each for each in report["judges"]}
    assert {name: told[name]["rows"] for name in told} == {
        name: counts[name] for name in ("kind", "harsh")
    }
    assert told["kind"]["mean_correction"] == pytest.approx(-0.2, abs=0.03)
    assert told["harsh"]["mean_correction"] == pytest.approx(0.1, abs=0.03)
    moved = np.asarray(found.quality) - np.asarray(log.quality)
    judged = np.array(log.scored_by) != "human"
    assert report["mean_correction"] == pytest.approx(moved[judged].mean(), abs=1e-5)
    assert report["overlap"]["models"] == ("preference", "gold")
    sentence = _correction_sentence(report)
    assert f"by judge: kind {told['kind']['mean_correction']:+.3f} ({counts['kind']} sc" in sentence


@pytest.mark.slow
def test_a_judge_of_few_rows_is_corrected_by_the_bias_of_all():
    log, _ = scored(600, seed=1)
    by = np.array(log.scored_by, object)
    by[np.flatnonzero(by == "harsh")[40:]] = "kind"
    log = log.replace(scored_by=tuple(by.tolist()))
    found, report = corrected_scores(log, "human", key=KEY)
    assert [each["alone"] for each in report["judges"]] == [
        each["judge"] == "kind" for each in report["judges"]
    ]
    together = correct_log(log, by == "human", key=KEY).log.quality
    few = by == "harsh"
    np.testing.assert_allclose(found.quality[few], together[few], atol=1e-6)
    assert not np.allclose(found.quality[by == "kind"], together[by == "kind"], atol=1e-3)


@pytest.mark.slow
def test_one_bias_for_all_judges_is_none_of_theirs():
    log, gold = scored()
    by = np.array(log.scored_by)
    as_one = correct_log(log, by == "human", key=KEY).log.quality
    assert np.mean((as_one - gold)[by == "kind"]) > 0.1


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (100, "the largest score of 'kind' is .* and the largest gold one .*; bring all scores"),
        (0.1, "the largest score of 'kind' is .* and the largest gold one .*; bring all scores"),
    ],
)
def test_judges_on_another_scale_are_refused(times, message):
    log, _ = scored(300)
    own = np.array(log.scored_by) == "kind"
    quality = np.where(own, times * log.quality, log.quality)
    log = log.replace(quality=quality, quality_range=(-200.0, 200.0))
    with pytest.raises(InputError, match=message):
        corrected_scores(log, "human", key=KEY)
    with pytest.raises(InputError, match="scored_by"):
        corrected_scores(log, "nobody", key=KEY)


def test_features_of_the_judges_by_hand():
    """Scores 0 and 2 of one judge, 10 and 30 of another: −1 and 1 each; who; their product."""
    log, _ = scored(200)
    by = np.repeat(["one", "two"], 100)
    quality = np.tile([0.0, 2.0], 100)
    quality[100:] = np.tile([10.0, 30.0], 50)
    log = log.replace(quality=quality, quality_range=(0.0, 30.0), scored_by=tuple(by.tolist()))
    every = np.ones(200, bool)
    found = judge_features(log, every)
    np.testing.assert_allclose(found[:2], [[-1, 1, 0, -1, 0], [1, 1, 0, 1, 0]])
    np.testing.assert_allclose(found[100:102], [[-1, 0, 1, 0, -1], [1, 0, 1, 0, 1]])
    assert [judge.name for judge in judges_of(log, every)] == ["one", "two"]
    assert judge_features(log, by == "one").shape == (200, 1)
    assert judge_features(log.replace(scored_by=None), every).shape == (200, 1)


def test_pairs_of_scores_have_a_bias_by_judge():
    """One judge stretches scores, the other turns them round: gold is known on 300 rows."""
    rng = np.random.default_rng(3)
    log, gold = scored()
    first = rng.random(1500) < 0.5
    quality = np.where(first, 0.5 + 2 * (gold - 0.5), 0.5 - (gold - 0.5))
    known = np.arange(1500) < 300
    log = log.replace(
        quality=quality,
        gold_quality=np.where(known, gold, np.nan),
        scored_by=tuple(np.where(first, "stretched", "turned").tolist()),
    )
    bias = pair_bias(log, known[None])[0]
    as_one = pair_bias(log.replace(scored_by=None), known[None])[0]
    error = np.abs(quality + bias - gold)[~known].mean()
    assert error < 0.02 < 0.04 < np.abs(quality + as_one - gold)[~known].mean()


@pytest.mark.slow
def test_a_fit_takes_several_judges():
    log, _ = scored(400)
    router = rj.fit(log, gold="human")
    assert {each["judge"] for each in router.report["correction"]["judges"]} == {"kind", "harsh"}
    console = Console(file=io.StringIO(), soft_wrap=True)
    rj.reports.console.print_fit(router, console)
    assert "by judge: " in console.file.getvalue()
