"""What a log says of policies: bounds, bands, today's policy, gold scores, and the words for it."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import routerjax as rj
from routerjax.errors import DataWarning, InputError
from routerjax.estimators.folds import make_folds
from routerjax.estimators.trees import Trees
from routerjax.evaluation.intervals import Interval, mean_interval
from routerjax.models.propensity import PropensityModel
from routerjax.pipelines.evidence import Evidence, scored, seen_costs, today
from routerjax.pipelines.gold import gold_propensities, gold_rows
from routerjax.pipelines.held_out import set_apart
from routerjax.pipelines.lines import Line, evaluation_of
from routerjax.pipelines.on_log import policy_lines, singles
from routerjax.pipelines.propensities import Propensities
from routerjax.pipelines.suited import suited, suited_note
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates
from routerjax.reports.routes import fallbacks, route_lines
from routerjax.reports.words import costs
from routerjax.support.provenance import plain

NONE = PropensityModel(Trees(*[jnp.zeros(1)] * 4), jnp.zeros(2))


def evidence(quality, arms, *, supported=None, predicted=0.5, chance=0.5, gold=None, **more):
    """A log of two models, "a" for 0.25 dollars and "b" for 0.125, asked alike."""
    n, arms = len(arms), np.asarray(arms)
    cost = np.array([0.25, 0.125])[arms]
    log = Log.from_arrays(
        arms,
        np.asarray(quality, float),
        cost,
        models="ab",
        prompts=[f"prompt {i}" for i in range(n)],
        **more,
    )
    supported = np.ones((n, 2), bool) if supported is None else np.asarray(supported)
    known = Propensities(np.full(n, chance), np.full((n, 2), chance), supported, NONE, 0.0)
    predicted = Estimates(quality=np.full((n, 2), predicted), cost=np.tile([0.25, 0.125], (n, 1)))
    return Evidence(log, predicted, known, 0.01, gold)


def test_scores_by_hand():
    """Of rows answered by a: 0.5 + 2·(q − 0.5); of the others the outcome model's 0.5."""
    found = scored(np.zeros(4, int), evidence([1, 0, 1, 1], [0, 0, 1, 1]))
    assert found.low is found.high
    assert found.low.quality.tolist() == [1.5, -0.5, 0.5, 0.5]
    assert found.low.cost.tolist() == [0.25] * 4
    assert found.low.utility(2.0).tolist() == [1.0, -1.0, 0.0, 0.0]


def chosen_by_kind(chance):
    """50 queries on which a is right and 50 on which it is not; b is always half right."""
    arms = np.repeat([0, 1, 0, 1], [40, 10, 10, 40])
    quality = np.where(arms == 1, 0.5, np.repeat([1.0, 0.0], 50))
    known = evidence(quality, arms)
    return known._replace(propensities=known.propensities._replace(answered=chance))


def test_a_policy_that_asked_models_for_what_suits_them():
    """Of a's answers 40 of 50 are right, and it would be right on half: 0.3 was taken out."""
    known = chosen_by_kind(np.repeat([0.8, 0.2, 0.2, 0.8], [40, 10, 10, 40]))
    assert suited(known) == {"a": pytest.approx(0.3)}
    said = suited_note(known)
    assert "(a 0.3 more)" in said and "off by as much again" in said


def test_where_propensities_see_nothing_of_it_nothing_is_said():
    """With 1/2 everywhere a is estimated as its answers are, 0.5 + 0.5·(0.8 − 0.5)·2 = 0.8."""
    assert suited_note(chosen_by_kind(np.full(100, 0.5))) is None


def test_a_choice_without_support_is_worth_anything_in_the_quality_range():
    supported = [[True, True], [False, True], [True, True], [False, True]]
    known = evidence([1, 0, 1, 1], [0, 1, 1, 1], supported=supported, quality_range=(-1.0, 3.0))
    found = scored(np.zeros(4, int), known)
    assert found.low.quality.tolist() == [1.5, -1.0, 0.5, -1.0]
    assert found.high.quality.tolist() == [1.5, 3.0, 0.5, 3.0]
    # of so few answers costs are those of all models, 0.125 to 0.25
    assert found.low.cost.tolist() == [0.25] * 4
    assert found.high.cost.tolist() == [0.25, 0.125, 0.25, 0.125]
    assert found.low.utility(2.0).tolist() == [1.0, -1.5, 0.0, -1.5]
    # the same as probabilities
    same = scored(np.tile([1.0, 0.0], (4, 1)), known)
    for one, other in zip(found[:2], same[:2], strict=True):
        np.testing.assert_allclose(one.quality, other.quality)
        np.testing.assert_allclose(one.cost, other.cost)
    half = scored(np.full((4, 2), 0.5), known)
    np.testing.assert_allclose(half.high.quality - half.low.quality, [0, 2.0, 0, 2.0])


def lines_of(known, choices, cost_weights=(0.0, 1.0)):
    each = {name: [choice] * len(cost_weights) for name, choice in choices.items()}
    found = policy_lines(each, known, cost_weights=cost_weights, base="single")
    return {(line.method, line.cost_weight): line for line in found}


def test_lines_by_hand():
    known = evidence([1, 0, 1, 1], [0, 0, 1, 1])
    lines = lines_of(known, {"router": np.zeros(4, int), "single": np.ones(4, int)})
    own, log_policy = lines["router", 1.0], lines["today", 1.0]
    assert log_policy.utility.mean == pytest.approx(0.75 - 0.1875)
    assert own.utility.mean == pytest.approx(0.5 - 0.25)
    assert own.over_today.mean == pytest.approx(own.utility.mean - log_policy.utility.mean)
    # b's scores are 0.5, 0.5, 1.5, 1.5, less 0.125
    assert own.advantage.mean == pytest.approx(0.25 - (1.0 - 0.125))
    by_row = np.array([1.5, -0.5, 0.5, 0.5]) - 0.25 - ([1 - 0.25, 0 - 0.25, 1 - 0.125, 1 - 0.125])
    assert own.over_today == mean_interval(by_row, heavy_tails=True)
    assert own.effective_sample_size == pytest.approx(2.0)
    assert own.mostly == ("a", 1.0) and log_policy.mostly == ("a", 0.5)
    assert own.unsupported == 0.0 and log_policy.effective_sample_size == 4.0
    assert lines["single", 0.0].advantage == Interval(0.0, 0.0, 0.0, 0.0, 4)


def test_where_two_policies_choose_the_same_there_is_no_difference_supported_or_not():
    rng = np.random.default_rng(0)
    supported = np.ones((40, 2), bool)
    supported[:20, 0] = False
    known = evidence(rng.integers(0, 2, 40), rng.integers(0, 2, 40), supported=supported)
    choice = np.r_[np.zeros(30, int), np.ones(10, int)]
    line = lines_of(known, {"router": choice, "single": np.zeros(40, int)})["router", 0.0]
    assert line.unsupported == 0.5
    width = line.utility.high - line.utility.low
    assert width > 0.5 and line.advantage.high - line.advantage.low < 1.0
    one = scored(choice, known).low.quality[30:] - scored(np.zeros(40, int), known).low.quality[30:]
    expected = mean_interval(np.r_[np.zeros(30), one], heavy_tails=True)
    assert line.advantage == expected


def test_a_band_is_wider_than_its_intervals_and_of_one_curve_nearly_the_same():
    rng = np.random.default_rng(1)
    known = evidence(rng.integers(0, 2, 400), rng.integers(0, 2, 400))
    lines = lines_of(
        known, {"router": rng.integers(0, 2, 400), "single": np.ones(400, int)}, (0.0, 1.0, 20.0)
    )
    for weight in (0.0, 1.0, 20.0):
        line = lines["router", weight]
        assert line.band[0] < line.over_today.low and line.over_today.high < line.band[1]
    (alone,) = [
        line
        for line in policy_lines(
            {"single": [np.ones(400, int)]}, known, cost_weights=[0.0], base="single"
        )
        if line.method == "single"
    ]
    reach = (alone.over_today.high - alone.over_today.mean) * np.array([-1, 1])
    np.testing.assert_allclose(alone.band, alone.over_today.mean + reach, rtol=0.05)


def test_rows_logged_again_in_one_group_change_no_interval():
    rng = np.random.default_rng(2)
    quality, arms = rng.integers(0, 2, 60), rng.integers(0, 2, 60)
    group = tuple(f"user {i}" for i in range(60))
    once = evidence(quality, arms, group=group)
    twice = evidence(np.tile(quality, 2), np.tile(arms, 2), group=group * 2)
    choice = rng.integers(0, 2, 60)
    one = lines_of(once, {"router": choice, "single": np.ones(60, int)})
    two = lines_of(twice, {"router": np.tile(choice, 2), "single": np.ones(120, int)})
    for key, line in one.items():
        for name in ("utility", "quality", "advantage", "over_today"):
            np.testing.assert_allclose(getattr(line, name), getattr(two[key], name), atol=1e-12)
        size = two[key].effective_sample_size
        assert line.effective_sample_size == pytest.approx(size)


def test_single_models_by_hand():
    supported = [[True, True], [False, True], [True, True], [True, True]]
    a, b = singles(evidence([1, 0, 1, 1], [0, 1, 1, 1], supported=supported))
    assert (a.model, a.unsupported, b.unsupported) == ("a", 0.25, 0.0)
    # a: 1.5, then anything from 0 to 1, then 0.5 twice
    assert a.quality.low == mean_interval(np.array([1.5, 0.0, 0.5, 0.5]), heavy_tails=True).low
    assert a.quality.high == mean_interval(np.array([1.5, 1.0, 0.5, 0.5]), heavy_tails=True).high
    assert b.cost.mean == 0.125
    assert a.cost.low == mean_interval(np.array([0.25, 0.125, 0.25, 0.25]), heavy_tails=True).low
    assert (costs(a), costs(b)) == (f"{1000 * a.cost.low:.3g} to {1000 * a.cost.high:.3g}", "125")


def test_costs_that_a_log_saw_by_hand():
    """Ten answers of a model are a range of their own; nine are not."""
    cost = np.r_[np.linspace(1.0, 2.0, 10), np.linspace(4.0, 5.0, 9), 0.5]
    arms = [0] * 10 + [1] * 9 + [2]
    log = Log.from_arrays(arms, np.zeros(20), cost, models="abc", prompts=["q"] * 20, warn=False)
    np.testing.assert_allclose(seen_costs(log), [[1.0, 0.5, 0.5], [2.0, 5.0, 5.0]])


def test_of_what_a_model_costs_where_it_was_never_asked_nothing_is_claimed():
    """c is cheap where it is asked, and never asked on the half where it costs fifty times that."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 8)).astype(np.float32)
    arms = np.where(x[:, 0] < 0, rng.integers(0, 2, 1200), rng.integers(0, 3, 1200))
    cost = np.array([4e-3, 2e-3, 4e-4])[arms] * np.exp(0.2 * rng.normal(size=1200))
    log = Log.from_arrays(arms, rng.random(1200) < 0.6, cost, models="abc", embeddings=x)
    router = rj.fit(log, config=rj.FitConfig(cost_weights=(0.0, 1000.0)))
    found = evaluation_of(plain(router.report["evaluation"]))
    assert found.of("best-single-log")[1].mostly == ("c", 1.0)
    said = " ".join(found.verdict)
    assert ". At cost weight 1000 c for every query" not in said
    assert "At cost weight 1000 the log cannot tell whether c for every query is worth more" in said
    assert "What a call would cost there is not known either" in said
    (single,) = (each for each in found.singles if each.model == "c")
    seen = cost[arms == 2]
    assert seen.min() < single.cost.low < 0.9 * seen.mean()
    assert 1.1 * seen.mean() < single.cost.high < seen.max()


# --- verdicts ---


def line(mean, low, high, *, size=100.0, error=0.1):
    of = Interval(mean, error, low, high, 50)
    return Line(
        method="router",
        cost_weight=0.0,
        utility=of,
        regret=None,
        quality=of,
        cost=of,
        advantage=of,
        over_today=of,
        band=(low, high),
        effective_sample_size=size,
    )


@pytest.mark.parametrize(
    ("made", "word"),
    [
        (line(0.2, 0.1, 0.3), "better"),
        (line(-0.2, -0.3, -0.1), "worse"),
        (line(0.1, -0.1, 0.3), "cannot tell"),
        (line(0.2, 0.1, 0.3, size=9.0), "cannot tell"),
        (line(0.0, 0.0, 0.0, error=0.0), "the same policy"),
        (line(0.2, np.nan, np.nan), "cannot tell"),
        (dataclasses.replace(line(0.2, 0.1, 0.3), over_today=None, band=None), "cannot tell"),
    ],
)
def test_a_verdict_is_what_the_band_says(made, word):
    assert made.verdict == word


# --- gold scores ---


def mixed(seed, n=1000, share=0.1):
    """True quality 0.8 of a and 0.6 of b; a judge is 0.3 too harsh on a and right on b."""
    rng = np.random.default_rng(seed)
    arms, gold = rng.integers(0, 2, n), rng.random(n) < share
    truth = rng.random(n) < np.array([0.8, 0.6])[arms]
    judged = rng.random(n) < np.array([0.5, 0.6])[arms]
    return arms, np.where(gold, truth, judged), gold


def test_of_mixed_scores_the_gold_ones_are_evaluated_and_they_set_the_width():
    choice, inside, means, widths = np.zeros(1000, int), [], [], []
    for seed in range(200):
        arms, quality, gold = mixed(seed)
        known = evidence(quality, arms, gold=(gold, np.full(1000, 0.1)))
        own = mean_interval(scored(choice, known).low.quality)
        log_policy = mean_interval(today(known).low.quality)
        inside.append([own.low <= 0.8 <= own.high, log_policy.low <= 0.7 <= log_policy.high])
        means.append([own.mean, log_policy.mean])
        widths.append(own.standard_error)
    error = np.std(means, axis=0) / 200**0.5
    assert (abs(np.mean(means, axis=0) - [0.8, 0.7]) < 4 * error).all()
    assert (np.abs(np.mean(inside, axis=0) - 0.95) < 0.05).all()
    # 50 gold rows of a, deviations 0.8·0.3² + 0.2·0.5²: some 0.07; all 500 rows would say 0.02
    assert 0.05 < np.mean(widths) < 0.1


def test_costs_are_known_on_every_row():
    arms, quality, gold = mixed(0)
    known = evidence(quality, arms, gold=(gold, np.full(1000, 0.1)))
    assert scored(np.zeros(1000, int), known).low.cost.tolist() == [0.25] * 1000
    assert today(known).low.cost.tolist() == known.log.cost.tolist()


def test_the_probability_of_a_gold_score_is_found_where_it_depends_on_the_model():
    rng = np.random.default_rng(0)
    x, arms = rng.normal(size=(2000, 4)).astype(np.float32), rng.integers(0, 2, 2000)
    share = np.array([0.1, 0.5])[arms]
    gold = rng.random(2000) < share
    log = Log.from_arrays(arms, rng.random(2000), np.full(2000, 1e-3), models="ab", embeddings=x)

    folds = make_folds(arms, folds=2, held_out=0.15, key=jax.random.key(0))
    got = gold_propensities(log, jnp.asarray(x), folds, gold)
    assert np.abs(got - share).mean() < 0.04
    assert (gold_propensities(log, jnp.asarray(x), folds, np.ones(2000, bool)) == 1).all()


def test_gold_rows_are_told_or_refused():
    known = evidence([1] * 20, [0, 1] * 10, scored_by=("human",) * 12 + ("judge",) * 8)
    assert gold_rows(known.log, "human").tolist() == [True] * 12 + [False] * 8
    with pytest.raises(InputError, match="only 8 rows are scored by 'judge'; at least 10 are"):
        gold_rows(known.log, "judge")
    with pytest.raises(InputError, match="'scored_by': no column says how each row was scored"):
        gold_rows(known.log.replace(scored_by=None), "human")


# --- a fit and its page ---


def test_rows_set_apart_are_whole_groups_and_hold_no_model_of_their_own():
    rng = np.random.default_rng(0)
    groups = tuple(f"{i // 4}" for i in range(200))
    arms = rng.integers(0, 2, 200)
    arms[7] = 2
    log = Log.from_arrays(
        arms,
        rng.random(200),
        np.full(200, 1e-3),
        models="abc",
        prompts=[f"{i}" for i in range(200)],
        group=groups,
    )
    for seed in range(4):
        rest, apart = set_apart(log, share=0.2, seed=seed)
        assert len(rest) + len(apart) == 200 and len(apart) in (36, 40)
        assert (apart.arms < 2).all() and (rest.arms == 2).sum() == 1
        assert not set(rest.group) & set(apart.group)  # that of row 7 goes back as a whole
    assert set_apart(log, share=0.0, seed=0) == (log, None)


def rule_log(seed, n=1200):
    """c is right where x₀ > 0 and was never asked elsewhere, where it fails; a is right at 0.65."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8)).astype(np.float32)
    chance = np.where(x[:, :1] > 0, [[1 / 3] * 3], [[0.5, 0.5, 0.0]])
    arms = (chance.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    truth = np.stack([np.full(n, 0.65), np.full(n, 0.6), np.where(x[:, 0] > 0, 0.95, 0.05)], axis=1)
    quality = rng.random(n) < truth[np.arange(n), arms]
    cost = np.array([4e-3, 2e-3, 4e-4])[arms] * rng.uniform(0.5, 1.5, n)
    return Log.from_arrays(arms, quality, cost, models="abc", embeddings=x), truth


@pytest.fixture(scope="module")
def rule(world):
    config = dataclasses.replace(world.config, cost_weights=(0.0, 16.0))
    return rj.fit(rule_log(0)[0], config=config)


def test_a_router_does_not_choose_what_its_log_does_not_support(rule):
    fresh, truth = rule_log(1)
    routes = rule.route(fresh.features, cost_weight=0.0)
    never = fresh.features[:, 0] < 0
    assert (routes.arms[never] == 2).mean() < 0.1 and (routes.arms[~never] == 2).mean() > 0.9
    assert routes.fell_back[never].mean() > 0.5 and routes.fell_back[~never].mean() < 0.1
    value = truth[np.arange(1200), routes.arms].mean()
    found = evaluation_of(plain(rule.report["evaluation"])).of("router")[0]
    assert found.utility.low <= value <= found.utility.high and found.unsupported < 0.02
    notes = evaluation_of(plain(rule.report["evaluation"])).notes
    assert any("falls back to the best supported model on up to" in note for note in notes)
    share = f"on up to {routes.fell_back.mean():.0%} of the queries (cost weight 0)"
    assert any(share in note for note in rj.evaluate(rule, fresh).notes)
    assert routes.to_frame()["fell_back"].tolist() == routes.fell_back.tolist()
    lines = route_lines(routes, rule.models, probabilities=False)
    assert [line.endswith("\tfell back") for line in lines] == routes.fell_back.tolist()
    count = int(routes.fell_back.sum())
    assert fallbacks(routes).startswith(f"{count} of 1,200 queries at cost weight 0 fell back")
    assert rule.best_single_at(0.0) in ("a", "b")  # c, at 0.95 by extrapolation, is worth 0.5


def test_a_policy_that_leaves_the_support_gets_bounds_and_no_verdict(rule):
    """The same router without support, as one of an older version: c nearly everywhere."""
    arrays = rule.arrays._replace(propensities=None, seen=None)
    older = dataclasses.replace(rule, arrays=arrays, seen=0)
    fresh, truth = rule_log(2)
    evaluation = rj.evaluate(older, fresh)
    found = evaluation.of("router")[0]
    value = truth[np.arange(1200), older.route(fresh.features, cost_weight=0.0).arms].mean()
    assert found.unsupported > 0.3 and found.utility.high - found.utility.low > 0.3
    assert found.utility.low <= value <= found.utility.high
    assert found.verdict == "cannot tell"
    assert any("hardly ever asks c on" in sentence for sentence in evaluation.verdict)


def test_every_row_four_times_is_every_row_once(router, world):
    again = world.log.rows(np.tile(np.arange(200), 4))
    with pytest.warns(DataWarning, match="600 of 800 rows repeat an earlier one in query, model"):
        twice = rj.fit(again, config=world.config)
    for one, other in zip(
        jax.tree.leaves(router.arrays), jax.tree.leaves(twice.arrays), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert twice.report["evaluation"]["lines"] == router.report["evaluation"]["lines"]


def test_scores_of_several_sources_draw_a_warning_where_none_is_gold(rule):
    log, _ = rule_log(4)
    mixed_log = log.replace(scored_by=("human",) * 400 + ("judge",) * 800)
    with pytest.warns(DataWarning, match="scores come from human, judge; taken as they are"):
        told = rj.evaluate(rule, mixed_log)
    assert any("carry every judge's bias" in note for note in told.notes)
    gold = rj.evaluate(rule, mixed_log, gold="human")
    one, all_rows = gold.of("router")[0].utility, told.of("router")[0].utility
    assert 1.3 < one.standard_error / all_rows.standard_error < 2.5  # a third of the rows


def test_gold_rows_picked_at_random_have_their_share_as_probability():
    """And every row the same weight, which a chance finding of the trees would not give."""
    even = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(600, 5)).astype(np.float32)
        gold = rng.uniform(size=600) < 0.1
        log = Log(
            arms=rng.integers(0, 3, 600).astype(np.int32),
            quality=rng.uniform(size=600),
            cost=np.ones(600),
            models=("a", "b", "c"),
            embeddings=x,
            quality_range=(0.0, 1.0),
        )
        key = jax.random.key(seed)
        folds = make_folds(log.arms, folds=5, held_out=0.15, key=key, groups=log.groups)
        found = gold_propensities(log, jnp.asarray(x), folds, gold)
        even += (found == gold.mean()).all()
    assert even >= 7
