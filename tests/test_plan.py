"""What more rows, gold scores and random traffic would do: by hand, and against simulated logs."""

import doctest
import json
import math

import numpy as np
import pytest

import routerjax as rj
from routerjax.cli.commands import main
from routerjax.data.io.writing import write_log, write_table
from routerjax.evaluation import power
from routerjax.evaluation.power import (
    gold_needed,
    gold_variance,
    groups_needed,
    least_share,
    traffic_variance,
)


def drawn_log(n=600, *, seed=0, models="abc", gold=0.3, users=None):
    """Uniform choices; "a" is right at 0.7, the others at 0.5; judges are 0.2 too kind."""
    rng = np.random.default_rng(seed)
    arms = rng.integers(len(models), size=n)
    quality = np.float32(rng.random(n) < np.where(arms == 0, 0.7, 0.5))
    is_gold = rng.random(n) < gold
    quality = np.where(is_gold, quality, np.clip(quality * 0.8 + 0.2, 0, 1))
    return rj.Log.from_arrays(
        arms,
        quality,
        np.full(n, 0.001) * (1 + arms),
        models=models,
        embeddings=rng.normal(size=(n, 4)).astype(np.float32),
        propensities=np.full((n, len(models)), 1 / len(models)),
        scored_by=["human" if each else "judge" for each in is_gold],
        group=None if users is None else [str(i % users) for i in range(n)],
    )


def test_docstring_examples():
    assert doctest.testmod(power).failed == 0


def test_groups_for_a_half_width_are_the_fewest():
    """Variance 1 a group: for 0.1 Student's quantile decides between 386 and 387."""
    from scipy.stats import t

    for half_width in (0.1, 0.3, 0.7):
        found = groups_needed(0.05, 400, half_width=half_width)
        assert t.ppf(0.975, found - 1) / math.sqrt(found) <= half_width
        assert t.ppf(0.975, found - 2) / math.sqrt(found - 1) > half_width
    bounded = groups_needed(0.05, 400, half_width=0.3, width=0.4)
    assert bounded == groups_needed(0.05, 400, half_width=0.1)
    assert groups_needed(0.05, 400, half_width=0.2, width=0.4) is None
    with pytest.raises(rj.InputError, match="must be above 0"):
        groups_needed(0.05, 400, half_width=0.0)


def test_variance_of_gold_rows_by_hand():
    """Four rows, two gold at e = 1/2, residuals 1 and 2.

    Σ s·R²/e² = 4 + 16 = 20, of 16: 1.25 of the variance 2 is gold's. With gold everywhere that
    part is Σ s·R²/e = 10, of 16: 0.625. At κ = 1.6 it is 1.25/1.6.
    """
    gold, chance = np.array([1.0, 1.0, 0.0, 0.0]), np.full(4, 0.5)
    residual = np.array([1.0, 2.0, 100.0, np.nan])
    parts = (2.0, residual, gold, chance)
    assert gold_variance(*parts, times=1.0) == pytest.approx(2.0)
    assert gold_variance(*parts, times=1.6) == pytest.approx(0.75 + 1.25 / 1.6)
    assert gold_variance(*parts, times=math.inf) == pytest.approx(0.75 + 0.625)
    # 0.75 + 1.25/κ = 1.5 at κ = 5/3: 4·(5/6) − 2 = 4/3 rows
    assert gold_needed(*parts, target=1.5) == 2
    assert gold_needed(*parts, target=2.0) == 0
    assert gold_needed(*parts, target=1.0) is None


def test_variance_under_random_traffic_by_hand():
    """Two arms, π = (1, 0), p − q = (1, −1): at ε = 1/2 π_ε = (3/4, 1/4)."""
    predicted, squares = np.array([0.0, 0.2]), np.ones((2, 2))
    noise, policy = np.array([0.3, 0.1]), np.array([[1.0, 0.0], [1.0, 0.0]])
    parts = (predicted, squares, noise, policy)
    expected = 0.01 + 0.3 / 0.75 + 0.1 / 0.25
    assert traffic_variance(*parts, share=0.5) == pytest.approx(expected)
    assert traffic_variance(*parts, share=0.0) == math.inf
    # found with 80 % power at 2.8016 standard errors: at half of the traffic by exactly this
    difference = 2.801585 * math.sqrt(expected / 500)
    assert least_share(*parts, rows=500, difference=difference) == pytest.approx(0.5, rel=1e-4)
    assert least_share(*parts, rows=500, difference=-difference) == pytest.approx(0.5, rel=1e-4)
    assert least_share(*parts, rows=500, difference=0.01) is None
    even = (predicted, squares, noise, np.full((2, 2), 0.5))
    assert least_share(*even, rows=10**6, difference=0.1) == 0.0


def test_gold_variance_is_that_of_logs_with_more_gold():
    """From logs with a tenth of gold rows: the variance with three tenths, over 3,000 draws."""
    rng = np.random.default_rng(1)
    n, repeats = 400, 3000

    def draw(share):
        known = rng.normal(size=(repeats, n))
        residual = rng.normal(size=(repeats, n)) * 0.8
        gold = (rng.random((repeats, n)) < share).astype(float)
        return (known + gold / share * residual), residual, gold

    scores, residual, gold = draw(0.1)
    chance = np.full(n, 0.1)
    predicted = [
        gold_variance(own.var(ddof=1) / n, r, s, chance, times=3.0)
        for own, r, s in zip(scores[:200], residual, gold, strict=False)
    ]
    truth = draw(0.3)[0].mean(axis=1).var(ddof=1)
    # the variance of 3,000 means is known to √(2/3000), 2.6 %
    assert np.mean(predicted) == pytest.approx(truth, rel=4 * 0.026)
    assert truth == pytest.approx((1 + 0.64 / 0.3) / n, rel=4 * 0.026)


def test_error_under_random_traffic_is_that_of_logs_with_it():
    """dr of "always arm 1" over a policy that asks it on 2 %: 3,000 logs of 300 rows."""
    rng = np.random.default_rng(2)
    n, repeats, share = 300, 3000, 0.2
    policy = np.tile([0.9, 0.02, 0.08], (n, 1))
    mean, spread = np.array([0.6, 0.7, 0.4]), np.array([0.2, 0.3, 0.1])
    apart = np.array([0.0, 1.0, 0.0]) - policy[0]
    chance = (1 - share) * policy[0] + share / 3
    x = rng.normal(size=(repeats, n))
    slopes = np.array([0.1, -0.2, 0.0])
    arms = rng.choice(3, p=chance, size=(repeats, n))
    outcome = mean[arms] + slopes[arms] * x + spread[arms] * rng.normal(size=(repeats, n))
    guess = mean + x[..., None] * slopes
    own = np.take_along_axis(guess, arms[..., None], axis=2)[..., 0]
    scores = guess @ apart + (apart / chance)[arms] * (outcome - own)
    predicted = x[0] * (slopes @ apart)
    found = traffic_variance(
        predicted / predicted.std() * abs(slopes @ apart),
        np.tile(apart**2, (n, 1)),
        spread**2,
        policy,
        share=share,
    )
    assert math.sqrt(found / n) == pytest.approx(scores.mean(axis=1).std(), rel=4 / 77)


def test_a_plan_of_a_uniform_log():
    log = drawn_log(gold=1.0)
    found = rj.plan(log)
    assert [each.name for each in found.policies] == ["today", "a", "b", "c"]
    truth = {"today": 1.7 / 3, "a": 0.7, "b": 0.5, "c": 0.5}
    for each in found.policies:
        assert abs(each.utility.mean - truth[each.name]) < 4 * each.utility.standard_error
        # half the width takes four times the rows, so three times as many more
        assert each.more_rows == pytest.approx(3 * 600, rel=0.01)
        assert each.gold_share is None and each.width == 0
    # 600 rows, uniform as they are: the next 600 have the log's own error whatever is random
    for line in found.traffic:
        assert line.standard_error == pytest.approx(
            found.difference.utility.standard_error, rel=0.1
        )
    assert found.least_share in (0.0, None)


def test_users_are_counted_and_the_difference_may_be_chosen():
    log = drawn_log(gold=1.0, users=60)
    found = rj.plan(log, models=("a", "c"), detect=0.02)
    assert found.groups == 60 and found.difference.name == "a minus c"
    assert abs(found.difference.utility.mean - 0.2) < 4 * found.difference.utility.standard_error
    assert found.difference.half_width == found.detect == 0.02
    assert found.difference.more_rows == 10 * found.difference.more_groups
    with_cost = rj.plan(log, models=("a", "c"), cost_weight=100.0)
    # c costs 0.002 more, at a cost weight of 100 worth 0.2
    shift = with_cost.difference.utility.mean - found.difference.utility.mean
    assert shift == pytest.approx(0.2, abs=0.01)


def test_gold_scores_are_what_is_missing():
    found = rj.plan(drawn_log(gold=0.2), gold="human")
    today = found.policies[0]
    assert abs(today.utility.mean - 1.7 / 3) < 4 * today.utility.standard_error
    # noise 0.25 of each score: Var(U) = 0.25 + 0.25·(1/0.2 − 1), of which the second is gold's;
    # a quarter of the whole, 0.31, is that of gold on a share of 0.8: 0.6·600 rows more
    assert today.gold_share == pytest.approx(0.8, abs=0.08)
    assert today.more_gold == pytest.approx(360, rel=0.25)


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--models", "a,z"], "no model 'z' in the log"),
        (["--models", "a,a"], "compared with itself"),
        (["--detect", "0"], "must be finite and above 0"),
        (["--cost-weight", "-1"], "must be finite, 0 or more"),
        (["--next-rows", "1"], "at least 2 are needed"),
        (["--gold-column", "scored_by=nobody"], "only 0 rows are scored by 'nobody'"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(options, sentence, tmp_path, capsys):
    path = tmp_path / "log.parquet"
    write_log(drawn_log(60), path)
    assert main(["plan", str(path), *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and sentence in " ".join(err.split()) and "Traceback" not in err


def test_a_table_is_no_log(world, tmp_path, capsys):
    write_table(world.table, tmp_path / "table.parquet")
    assert main(["plan", str(tmp_path / "table.parquet")]) == 2
    assert "plan reads a log of one answer a row" in " ".join(capsys.readouterr().err.split())


def test_the_command_prints_it(tmp_path, capsys):
    path = tmp_path / "log.parquet"
    write_log(drawn_log(gold=0.2), path)
    asked = ["plan", str(path), "--gold-column", "scored_by=human"]
    assert main(asked) == 0
    text = capsys.readouterr().out
    assert "more gold" in text and "random traffic" in text and "note: the next rows" in text
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == 600 and len(found["traffic"]) == 5
    assert found["policies"][0]["name"] == "today"


def test_support_is_that_of_a_fit():
    """Of short embeddings, as of an encoder of unit vectors; "b" is never asked of many queries."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(900, 48)).astype(np.float32)
    x /= 10 * np.linalg.norm(x, axis=1, keepdims=True)
    arms = np.where(x[:, 0] > 0.005, rng.integers(2, size=900), 0)
    quality = rng.random(900) < 0.6
    log = rj.Log.from_arrays(
        arms, quality.astype(float), rng.random(900) * 1e-3, models="ab", embeddings=x
    )
    own = {each.name: each.unsupported for each in rj.plan(log).policies}
    page = rj.fit(log).report["evaluation"]
    assert own["b"] > 0.3
    assert [own[each["model"]] for each in page["singles"]] == [
        each["unsupported"] for each in page["singles"]
    ]
