"""A judge's score of every row and a gold score of some, in two columns."""

from __future__ import annotations

import json
import re

import jax
import numpy as np
import pytest

import routerjax as rj
from routerjax.cli.commands import main
from routerjax.errors import DataWarning, InputError
from routerjax.estimators.folds import make_folds
from routerjax.pipelines.crossed_pairs import fold_labels
from routerjax.pipelines.judge_scores import correct_log, scores_without
from routerjax.pipelines.paired import corrected_log, corrected_outcomes, gold_chance, learnt_log
from routerjax.records.logs import Log

MODELS = "abcd"
EFFECT = np.random.default_rng(99).normal(size=(4, 8)) / 3
JUDGED = np.array([0.0, 0.1, 0.2, -0.1])


def chances(x):
    """[n, 4] probability that a model's answer is right."""
    return 1 / (1 + np.exp(-(x @ EFFECT.T) - np.array([0.0, 0.2, 0.4, 0.1])))


def two_scores(seed, n=1000, gold=60, **changes) -> Log:
    """Right or wrong by gold for some; a judge's word, too kind to b and c, for all."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8)).astype(np.float32)
    arms = rng.integers(0, 4, n)
    right = (rng.random(n) < chances(x)[np.arange(n), arms]).astype(float)
    judge = np.clip(0.25 + 0.5 * right + JUDGED[arms] + 0.1 * rng.normal(size=n), 0, 1)
    known = np.isin(np.arange(n), rng.permutation(n)[:gold])
    fields = {
        "models": MODELS,
        "embeddings": x,
        "propensities": np.full(n, 0.25),
        "gold_quality": np.where(known, right, np.nan),
    }
    return Log.from_arrays(arms, judge, 1e-3 * (1 + arms), **fields | changes)


def folds_of(log, folds=5):
    return make_folds(np.asarray(log.arms), folds=folds, held_out=0.1, key=jax.random.key(0))


# --- the formula ---


def test_an_outcome_worked_by_hand():
    """0.3 + 0.1; 0.5 + 0.1 + 4·(0.4 − 0.6); a row that no judge scored: its gold score."""
    found = corrected_outcomes(
        np.array([0.3, 0.5, 0.7]),
        np.array([np.nan, 0.4, 0.7]),
        np.array([0.1, 0.1, 0.2]),
        np.array([0.25, 0.25, 1.0]),
    )
    np.testing.assert_allclose(found.quality, [0.4, -0.2, 0.7], rtol=1e-12)
    np.testing.assert_allclose(found.residual, [0.0, -0.2, -0.2], atol=1e-12)
    assert found.gold.tolist() == [False, True, True]


def test_a_constant_correction_gives_the_prediction_powered_mean():
    """Mean of the judge on all rows plus mean of gold minus judge on gold rows, to rounding."""
    log = two_scores(0)
    judge, gold = (np.asarray(each, np.float64) for each in (log.quality, log.gold_quality))
    known = ~np.isnan(gold)
    found = corrected_outcomes(judge, gold, np.full(1000, 0.37), np.full(1000, known.mean()))
    powered = judge.mean() + (gold[known] - judge[known]).mean()
    assert found.quality.mean() == pytest.approx(powered, abs=1e-12)


def test_learnt_corrections_stay_near_it_and_vary_less_than_gold_alone():
    log = two_scores(2, n=300, gold=60)
    found = corrected_log(log, folds_of(log))
    judge, gold = (np.asarray(each, np.float64) for each in (log.quality, log.gold_quality))
    known = ~np.isnan(gold)
    np.testing.assert_allclose(found.chance, 0.2)  # picked at random: their share
    difference = gold[known] - judge[known]
    error = np.sqrt(judge.var() / 300 + difference.var() / 60)
    powered = judge.mean() + difference.mean()
    assert abs(found.quality.mean() - powered) < error / 2
    assert found.residual[known].std() < difference.std()  # the judge is too kind to b and c
    assert found.quality.std() / np.sqrt(300) < gold[known].std() / np.sqrt(60)


def test_a_row_without_a_judge_counts_by_its_gold_score():
    rng = np.random.default_rng(0)
    alone = np.arange(120) % 3 == 1
    judge = np.where(alone, np.nan, rng.random(120))
    gold = np.where(alone, 1.0, np.where(np.arange(120) % 6 == 0, 0.0, np.nan))
    x = rng.normal(size=(120, 3)).astype(np.float32)
    arms = np.arange(120) // 3 % 2
    log = Log.from_arrays(
        arms, judge, np.full(120, 1e-3), models="ab", embeddings=x, gold_quality=gold
    )
    assert (log.judged == ~alone).all() and (log.quality[alone] == 1).all()
    folds = folds_of(log, folds=2)
    chance = gold_chance(log, folds)
    assert (chance[alone] == 1).all()
    assert chance[~alone & (arms == 0)] == pytest.approx(20 / 40)  # all gold scores are of a
    assert corrected_log(log, folds).quality[alone] == pytest.approx(1.0)


def test_rows_set_apart_teach_nothing():
    log = two_scores(2, n=300, gold=100)
    apart = np.arange(300) % 5 == 0
    other = np.where(apart & ~np.isnan(log.gold_quality), 1 - log.gold_quality, log.gold_quality)
    key = jax.random.key(0)
    learnt, outcomes, report = learnt_log(log, apart, key=key)
    again, changed, _ = learnt_log(log.replace(gold_quality=other), apart, key=key)
    np.testing.assert_array_equal(learnt.quality, again.quality)
    assert not np.array_equal(outcomes.quality, changed.quality)
    known = ~np.isnan(log.gold_quality)
    np.testing.assert_array_equal(learnt.quality[known[~apart]], log.gold_quality[known & ~apart])
    assert report["gold_rows"] == known[~apart].sum()
    assert report["judge_rows"] == 240 - report["gold_rows"]
    assert learnt.gold_quality is None and learnt.quality_range[0] < 0


def test_queries_of_which_no_gold_score_speaks_are_said():
    """A person looked only where the judge said 0.5 or less: the rest stands as other rows say."""
    log = two_scores(4, n=300, gold=300)
    asked = np.asarray(log.quality) <= 0.5
    log = log.replace(gold_quality=np.where(asked, log.gold_quality, np.nan))
    found = corrected_log(log, folds_of(log))
    (said,) = re.findall(r"on (\d+)% of the rows hardly any answer", found.note)
    assert abs(int(said) / 100 - (1 - asked.mean())) < 0.05
    assert "hardly" not in corrected_log(two_scores(1, n=300), folds_of(log)).note


# --- a router's page ---


@pytest.mark.slow
def test_evaluate_takes_out_what_a_judge_adds(fitted):
    """This judge is a line of gold: with the slope learnt, today's value is that of gold rows."""
    log = two_scores(5, gold=1000)
    right = log.replace(quality=log.gold_quality, gold_quality=None)
    some = np.where(np.arange(1000) % 4 == 0, right.quality, np.nan)
    judged = right.replace(quality=0.8 * right.quality + 0.1, gold_quality=some)
    found = rj.evaluate(fitted, judged, cost_weights=(64.0,))
    (today,), (was,) = (
        found.of("today"),
        rj.evaluate(fitted, right, cost_weights=(64.0,)).of("today"),
    )
    assert today.quality.mean == pytest.approx(was.quality.mean, abs=0.01)
    assert today.cost.mean == was.cost.mean
    assert today.quality.low <= was.quality.mean <= today.quality.high
    assert found.quality_range == (0.0, 1.0)
    assert any("corrected by the 250 gold scores among 1000 rows" in note for note in found.notes)


@pytest.mark.slow
def test_plan_says_how_many_more_gold_scores_halve_an_interval():
    found = rj.plan(two_scores(3, n=300, gold=60))
    today = found.policies[0]
    assert found.gold_rows == 60
    assert 0 < today.gold_share < 1
    assert today.more_gold is None or today.more_gold > 0


# --- files and the command line ---

ROWS = [
    {"prompt": "p0", "model": "a", "score": 0.5, "cost": 0.1, "human": 1.0},
    {"prompt": "p1", "model": "b", "score": 0.25, "cost": 0.1, "human": None},
    {"prompt": "p2", "model": "b", "score": None, "cost": 0.1, "human": 0.0},
    {"prompt": "p3", "model": "a", "score": None, "cost": 0.1, "human": None},
]
COLUMNS = {"quality": "score", "gold_quality": "human"}


def put(tmp_path, rows=ROWS):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_both_columns_are_read_and_written(tmp_path):
    with pytest.warns(rj.DataWarning, match="left out 1 of 4 rows: 1 without score"):
        log = rj.read_log(put(tmp_path), columns=COLUMNS, drop_missing=True)
    assert log.quality.tolist() == [0.5, 0.25, 0.0]
    np.testing.assert_array_equal(log.gold_quality, [1.0, np.nan, 0.0])
    assert log.judged.tolist() == [True, True, False]
    rj.write_log(log, tmp_path / "again.csv")
    again = rj.read_log(tmp_path / "again.csv")
    assert again.fingerprint == log.fingerprint
    assert log.rows([2]).judged.tolist() == [False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gold_quality": np.full(3, 0.5)}, "column 'gold_quality': has shape"),
        ({"gold_quality": np.full(1000, 7.0)}, "column 'gold_quality', row 0: quality is 7"),
        ({"gold_quality": np.r_[0.5, np.full(999, np.nan)]}, "only 1 rows have a gold score"),
        ({"scored_by": ["human"] * 1000}, "rows that are scored by gold are given; give one"),
    ],
)
def test_what_cannot_be_corrected(change, message):
    gold = "human" if "scored_by" in change else None
    with pytest.raises(InputError, match=message):
        rj.fit(two_scores(0).replace(**change), gold=gold)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("nobody", "no column 'nobody' to read gold_quality from"),
        ("who", "--gold-column who=VALUE is for a column of words"),
        ("empty", "column 'empty': no row has a gold score"),
    ],
)
def test_a_column_that_holds_no_gold_scores(column, message, tmp_path, capsys):
    rows = [{**row, "score": 0.5, "empty": None, "who": "me"} for row in ROWS]
    command = ["fit", str(put(tmp_path, rows)), "--columns", "quality=score"]
    assert main([*command, "--gold-column", column, "--out", f"{tmp_path}/router"]) == 2
    assert message in capsys.readouterr().err


def test_the_command_line_names_a_column(tmp_path, monkeypatch):
    from routerjax.pipelines import fit_log

    seen = {}

    def fit(log, *, gold, config, drop_unlogged, execution):
        seen.update(gold=gold, scores=log.gold_quality.tolist())
        raise InputError("seen")

    monkeypatch.setattr(fit_log, "fit", fit)
    rows = [{**row, "human": 1.0} for row in ROWS]
    command = ["fit", str(put(tmp_path, rows)), "--columns", "quality=score", "--quiet"]
    assert main([*command, "--gold-column", "human", "--out", f"{tmp_path}/router"]) == 2
    assert seen == {"gold": None, "scores": [1.0] * 4}


# --- coverage ---


@pytest.fixture(scope="module")
def fitted() -> rj.Router:
    return rj.fit(two_scores(0))


@pytest.mark.slow
def test_a_fit_is_evaluated_by_every_row(fitted):
    report = fitted.report
    assert report["rows"]["held_out"] == 0 and report["correction"]["gold_rows"] == 60
    assert report["evaluation"]["rows"] == 1000
    said = "corrected by the 60 gold scores among 1000 rows"
    assert any(said in note for note in report["evaluation"]["notes"])


@pytest.mark.slow
def test_the_page_of_a_fit_covers_and_claims_no_advantage_where_none_is():
    """8 logs of equal models with 60 gold scores: 7 or more at 0.95 each, 94 times in 100."""
    claimed = missed = 0
    for seed in range(8):
        rng = np.random.default_rng(100 + seed)
        log = two_scores(seed)
        gold = np.where(np.isnan(log.gold_quality), np.nan, rng.random(1000) < 0.6)
        log = log.replace(gold_quality=gold.astype(np.float32))
        page = rj.fit(log, config=rj.FitConfig(cost_weights=(0.0,))).report["evaluation"]
        line = next(each for each in page["lines"] if each["method"] == "router")
        claimed += not line["band"][0] <= 0 <= line["band"][1]
        missed += not line["quality"]["low"] <= 0.6 <= line["quality"]["high"]
    assert claimed <= 1 and missed <= 1


def test_no_gold_score_of_a_fold_is_in_the_labels_of_its_router():
    """Other gold scores in fold 2 change no label outside it."""
    log = two_scores(3, n=300, gold=90)
    of_row = folds_of(log).of_row
    other = np.where(of_row == 2, 1 - np.asarray(log.gold_quality), log.gold_quality)
    found, changed = (
        fold_labels(each, of_row, 2) for each in (log, log.replace(gold_quality=other))
    )
    np.testing.assert_array_equal(found, changed)
    assert not np.array_equal(found, fold_labels(log.replace(gold_quality=other), of_row, 1))


def in_rows(log: Log) -> Log:
    """The same log with gold scores in place of the judge's, and a column that says which."""
    gold = np.asarray(log.gold_quality)
    known = ~np.isnan(gold)
    return log.replace(
        quality=np.where(known, gold, log.quality).astype(np.float32),
        scored_by=tuple(np.where(known, "human", "judge").tolist()),
        gold_quality=None,
        judged=None,
    )


def test_no_score_of_a_fold_is_in_the_labels_of_its_router_where_gold_scores_are_rows():
    log = in_rows(two_scores(3, n=300, gold=90))
    of_row, key = folds_of(log).of_row, jax.random.key(1)
    gold = np.array([each == "human" for each in log.scored_by])
    other = log.replace(quality=np.where(of_row == 2, 1 - log.quality, log.quality))
    found, changed = (scores_without(each, gold, of_row, key=key) for each in (log, other))
    outside = of_row != 2
    np.testing.assert_array_equal(found[2, outside], changed[2, outside])
    assert not np.allclose(found[1, outside], changed[1, outside], atol=1e-3)
    np.testing.assert_allclose(found[2, outside & gold], log.quality[outside & gold])


def test_labels_without_a_fold_are_corrected_as_all_rows_are():
    log = in_rows(two_scores(3, n=1000, gold=300))
    of_row, key = folds_of(log).of_row, jax.random.key(1)
    judged = np.array([each == "judge" for each in log.scored_by])
    whole = np.asarray(correct_log(log, ~judged, key=key).log.quality)[judged].mean()
    found = scores_without(log, ~judged, of_row, key=key)
    each = [own[judged & (of_row != fold)].mean() for fold, own in enumerate(found)]
    assert np.mean(each) == pytest.approx(whole, abs=0.005)
    assert abs(np.asarray(log.quality)[judged].mean() - whole) > 0.02


def test_each_judge_is_corrected_apart_without_a_fold():
    """One judge gives 1 and the other 0 to whatever people give half."""
    rng = np.random.default_rng(0)
    n = 400
    who = np.array(["human", "kind", "harsh", "kind", "harsh"])[np.arange(n) % 5]
    quality = np.select([who == "kind", who == "harsh"], [1.0, 0.0], 0.5)
    quality = np.clip(quality + 0.01 * rng.normal(size=n), 0, 1)
    log = Log.from_arrays(
        rng.integers(0, 4, n),
        quality,
        np.full(n, 1e-3),
        models=MODELS,
        embeddings=rng.normal(size=(n, 8)).astype(np.float32),
        scored_by=tuple(who.tolist()),
    )
    of_row = folds_of(log).of_row
    found = scores_without(log, who == "human", of_row, key=jax.random.key(0))
    for judge in ("kind", "harsh"):
        for fold, own in enumerate(found):
            assert own[(who == judge) & (of_row != fold)].mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.filterwarnings("ignore::routerjax.errors.DataWarning")
@pytest.mark.slow
def test_the_page_on_gold_rows_counts_every_gold_score():
    log = in_rows(two_scores(4, n=300, gold=90))
    page = rj.fit(log, gold="human").report["evaluation"]
    (today, *_) = (each for each in page["lines"] if each["method"] == "today")
    assert (page["rows"], today["effective_sample_size"]) == (300, 90.0)
    said = "qualities are those of the 90 gold scores among 300 rows"
    assert any(note.startswith(said) for note in page["notes"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::routerjax.errors.DataWarning")
def test_intervals_cover_and_shrink_with_gold_rows(fitted):
    """120 logs of 1,000 rows with 60 gold ones; of 120 at 95 %, 107 or more cover, 99 times in 100.

    An interval may be too wide where 60 rows are few: the degrees of freedom are estimated.
    """
    x = np.random.default_rng(10**6).normal(size=(100_000, 8)).astype(np.float32)
    chance = chances(x)
    choice = fitted.choices(x, cost_weights=(0.0,))[0]
    best = fitted.models.index(fitted.best_single_at(0.0))
    truth = {
        "router": chance[np.arange(len(x)), choice].mean(),
        "best-single-log": chance[:, best].mean(),
        "today": chance.mean(),
    }
    truth["advantage"] = truth["router"] - truth["best-single-log"]
    covered = dict.fromkeys(truth, 0)
    widths = {60: [], 240: []}
    for seed in range(1, 121):
        page = rj.evaluate(fitted, two_scores(seed), cost_weights=(0.0,))
        lines = {line.method: line for line in page.lines}
        found = {name: lines[name].utility for name in truth if name in lines}
        found["advantage"] = lines["router"].advantage
        for name, interval in found.items():
            covered[name] += interval.low <= truth[name] <= interval.high
        widths[60].append(found["router"].high - found["router"].low)
        if seed <= 20:
            more = rj.evaluate(fitted, two_scores(seed, gold=240), cost_weights=(0.0,))
            (line,) = more.of("router")
            widths[240].append(line.utility.high - line.utility.low)
    assert all(107 <= count for count in covered.values()), covered
    assert covered["today"] < 120
    assert 1.5 < np.mean(widths[60]) / np.mean(widths[240]) < 2.5


@pytest.mark.parametrize("command", ["fit", "plan"])
def test_gold_scores_filled_into_the_judges_are_refused(command):
    """The judge's bias would come out as 0, and its other scores count as gold."""
    log = two_scores(6)
    known = ~np.isnan(log.gold_quality)
    filled = log.replace(quality=np.where(known, log.gold_quality, log.quality))
    with pytest.raises(InputError, match="is the gold one on all 60 rows that have both"):
        getattr(rj, command)(filled)


def test_scores_that_may_be_the_judges_own_draw_a_warning():
    """Right or wrong by both: a judge that was right 60 times is possible."""
    log = two_scores(7)
    known = ~np.isnan(log.gold_quality)
    filled = log.replace(quality=np.where(known, log.gold_quality, np.round(log.quality)))
    with pytest.warns(DataWarning, match="if gold scores were filled into the judge's column"):
        rj.plan(filled)


def test_a_column_of_gold_scores_that_is_the_judges_own_is_refused():
    log = two_scores(8)
    with pytest.raises(InputError, match="is the gold one on all 1000 rows that have both"):
        rj.plan(log.replace(gold_quality=log.quality))
