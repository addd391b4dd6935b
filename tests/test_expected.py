"""What choosing by query is expected to add, where a router is its best single model, its page."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

import routerjax as rj
from routerjax.baselines.singles import Singles
from routerjax.estimators.elimination import Sizes
from routerjax.estimators.hierarchical import variance_of
from routerjax.evaluation.intervals import Interval
from routerjax.models.outcomes import predict
from routerjax.models.policy import Policy
from routerjax.pipelines.crossed import crossed_choices, widening
from routerjax.pipelines.expected import Expected, expected_advantages, least_means
from routerjax.pipelines.held_out import share_apart
from routerjax.pipelines.lines import evaluation_of
from routerjax.pipelines.on_log import Saved, as_saved
from routerjax.pipelines.pooled_features import feature_blocks, feature_sums
from routerjax.pipelines.prepare import Prepared, prepare
from routerjax.pipelines.verdict import expectations
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates
from routerjax.reports.console import _signed
from routerjax.support.provenance import plain
from routerjax.training.architecture import outcome_head_of
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig
from routerjax.training.routing import train_router

WEIGHTS = (0.0, 30.0, 120.0)
CONFIG = FitConfig(cost_weights=WEIGHTS, nuisance=NuisanceConfig(components=8, landmarks=8))


def _log(seed: int, *, n: int = 240, lead: float) -> Log:
    """Model b answers better by `lead` where x₀ > 0, a elsewhere, and c never; all cost alike."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 8)).astype(np.float32)
    side = np.sign(x[:, 0]) * lead
    chance = np.stack([0.5 - side, 0.5 + side, np.full(n, 0.5 - lead)], axis=1)
    arms = rng.permutation(np.arange(n) % 3)
    quality = rng.random(n) < chance[np.arange(n), arms]
    cost = 1e-3 * rng.uniform(0.8, 1.2, n)
    return Log.from_arrays(arms, quality.astype(float), cost, models="abc", embeddings=x)


def _prepared(log: Log) -> tuple[Policy, Prepared]:
    key = jax.random.key(0)
    prepared = prepare(log, CONFIG, nuisance_key=key, training_key=key)
    policy, _ = train_router(prepared.problem("dr"), cost_weights=WEIGHTS, quality_width=1.0)
    return policy, prepared


@pytest.fixture(scope="module")
def useful() -> tuple[Policy, Prepared]:
    return _prepared(_log(0, lead=0.4))


def test_feature_sums_by_a_loop(useful):
    _, prepared = useful
    head = outcome_head_of(CONFIG.nuisance, 3, 8)
    rng = np.random.default_rng(0)
    ones, others = rng.integers(0, 3, (2, 2, 240))
    found = feature_sums(head, prepared.model, prepared.x, ones, others)
    params = jax.tree.map(lambda leaf: leaf[0], prepared.model.quality["params"]["features"])
    features = np.concatenate([own for _, own in feature_blocks(head, params, prepared.x)])
    expected = np.zeros((2, 3, features.shape[1]))
    for k in range(2):
        for i in range(240):
            expected[k, ones[k, i]] += features[i]
            expected[k, others[k, i]] -= features[i]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_expected_advantage_is_the_mean_lead_of_the_predictions(useful):
    policy, prepared = useful
    head = outcome_head_of(CONFIG.nuisance, 3, 8)
    predicted = predict(head, prepared.model, prepared.x)
    choices, found = expected_advantages(policy, prepared, predicted, cost_weights=WEIGHTS)
    supported = prepared.nuisances.propensities.supported
    for k, cost_weight in enumerate(WEIGHTS):
        total, sums = 0.0, [0.0, 0.0, 0.0]
        utility = predicted.quality - cost_weight * predicted.cost
        for i in range(240):
            allowed = [arm for arm in range(3) if supported[i, arm]]
            best = max(allowed, key=lambda arm: utility[i, arm])
            alone = found.best[k] if supported[i, found.best[k]] else best
            total += utility[i, best] - utility[i, alone]
            for arm in range(3):
                quality = predicted.quality[i, arm] if supported[i, arm] else 0.0
                sums[arm] += quality - cost_weight * predicted.cost[i, arm]
        assert found.best[k] == int(np.argmax(sums))
        assert found.advantage[k] == pytest.approx(total / 240, abs=1e-5)
    assert found.advantage[0] > 0.1 and not found.kept.any()
    assert (np.asarray(choices) != 2).mean() > 0.9


def test_what_a_model_that_is_always_chosen_would_add_is_not_added_by_choosing_by_query(useful):
    """Were c, the worst, picked as the best single model, the lead is still that over a or b."""
    policy, prepared = useful
    head = outcome_head_of(CONFIG.nuisance, 3, 8)
    predicted = predict(head, prepared.model, prepared.x)
    _, before = expected_advantages(policy, prepared, predicted, cost_weights=WEIGHTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Singles, "ranks", lambda self, weight: np.array([0.0, 0.0, 1.0]))
        choices, found = expected_advantages(policy, prepared, predicted, cost_weights=WEIGHTS)
    assert found.best.tolist() == [2, 2, 2]
    np.testing.assert_allclose(found.advantage, before.advantage)
    np.testing.assert_allclose(found.deviation, before.deviation)
    utility = predicted.quality - WEIGHTS[0] * predicted.cost
    over_c = (utility[np.arange(240), choices[0]] - utility[:, 2]).mean()
    assert over_c > found.advantage[0] + 0.1


def test_its_deviation_is_that_of_the_difference(useful):
    policy, prepared = useful
    head = outcome_head_of(CONFIG.nuisance, 3, 8)
    predicted = predict(head, prepared.model, prepared.x)
    choices, found = expected_advantages(policy, prepared, predicted, cost_weights=WEIGHTS)
    alone = np.tile(found.best[:, None], 240)  # every arm is supported in a log so even
    assert prepared.nuisances.propensities.supported.all()
    sums = feature_sums(head, prepared.model, prepared.x, choices, alone) / 240
    variance = variance_of(prepared.nuisances.posterior, sums, Sizes(8, 8))
    np.testing.assert_allclose(found.deviation, np.sqrt(variance), rtol=1e-5)


def test_least_means_count_the_lowest_quality_where_support_is_missing():
    estimates = Estimates(quality=np.array([[1.0, 0.5], [0.0, 0.5]]), cost=np.full((2, 2), 0.25))
    supported = np.array([[False, True], [True, True]])
    found = least_means(estimates, supported, lowest=-1.0)
    np.testing.assert_allclose(found.quality, [-0.5, 0.5])
    np.testing.assert_allclose(found.cost, [0.25, 0.25])


def test_a_log_without_differences_keeps_its_best_single_model():
    kept = []
    for seed in range(4):
        router = rj.fit(_log(10 + seed, lead=0.0), config=CONFIG)
        kept += router.kept
        x = np.random.default_rng(seed).normal(size=(50, 8)).astype(np.float32)
        for k, weight in enumerate(WEIGHTS):
            if router.kept[k]:
                routes = router.route(x, cost_weight=weight)
                assert set(routes.models) == {router.best_single_at(weight)}
                assert not routes.fell_back.any()
                assert (routes.probabilities.max(axis=1) == 1).all()
    assert np.mean(kept) > 0.5


def test_a_kept_model_is_asked_where_it_is_supported_alone():
    """Elsewhere the router chooses as it would: its own best among what is supported."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(900, 8)).astype(np.float32)
    never = x[:, 0] < 0
    arms = np.where(never, rng.integers(0, 2, 900), rng.integers(0, 3, 900))
    quality = rng.random(900) < np.array([0.3, 0.5, 0.9])[arms]
    log = Log.from_arrays(arms, quality, np.full(900, 1e-3), models="abc", embeddings=x)
    router = rj.fit(log, config=CONFIG)
    # were c, which is not supported everywhere, the model to keep
    router = dataclasses.replace(
        router, kept=(True,) * 3, arm_quality=(0.0, 0.0, 1.0), arm_cost=(0.0, 0.0, 0.0)
    )
    routes = router.route(x, cost_weight=0.0)
    assert (routes.arms[~never] == 2).mean() > 0.9
    assert routes.fell_back[never].mean() > 0.8
    moved = dataclasses.replace(router, kept=()).route(x, cost_weight=0.0)
    fallen = routes.fell_back
    np.testing.assert_array_equal(routes.arms[fallen], moved.arms[fallen])


def test_between_two_cost_weights_a_model_is_kept_where_it_is_at_both(useful):
    router = rj.fit(_log(0, lead=0.4), config=CONFIG)
    router = dataclasses.replace(router, kept=(False, True, True))
    assert router.keeps_at(0.0) is None and router.keeps_at(29.9) is None
    for weight in (30.0, 31.0, 120.0):
        assert router.keeps_at(weight) == router.best_single_at(weight)
    assert dataclasses.replace(router, kept=()).keeps_at(120.0) is None


def test_kept_models_are_saved_and_said(tmp_path):
    router = rj.fit(_log(11, lead=0.0), config=CONFIG)
    router = dataclasses.replace(router, kept=(True, False, True))
    router.save(tmp_path / "router")
    again = rj.load(tmp_path / "router")
    assert again.kept == (True, False, True)
    assert "its best single model at 2 of them" in repr(again)


# --- the cross-fitted page ---


def test_a_folds_choices_do_not_depend_on_its_outcomes(useful):
    """The variances and the mean are of all rows, and move choices near a tie."""
    policy, prepared = useful
    own = prepared.nuisances.of_row == 0
    flipped = np.where(own, 1.0 - prepared.record.quality, prepared.record.quality)
    other = _prepared(dataclasses.replace(prepared.record, quality=flipped))[1]
    np.testing.assert_array_equal(other.nuisances.of_row, prepared.nuisances.of_row)
    before, after = (
        np.stack(crossed_choices(policy, [each] * 5, WEIGHTS)["router"])
        for each in (prepared, other)
    )
    assert (before[:, own] == after[:, own]).mean() > 0.9
    assert (before[:, ~own] == after[:, ~own]).mean() < 0.9


def test_a_page_names_what_the_saved_router_chooses():
    """Whatever the folds kept, the saved router is b, or asks c of one row in four."""
    page = evaluation_of(plain(rj.fit(_log(2, lead=0.4), config=CONFIG).report["evaluation"]))
    single = np.array([[1], [1], [1]])
    router = np.ones((3, 240), int)
    router[2, :60] = 2
    pinned = np.arange(240) >= 80
    found = as_saved(page.lines, Saved(router, single, np.zeros(3)), "abc", WEIGHTS)
    for before, line in zip(page.lines, found, strict=True):
        if line.method == "router":
            kept = line.cost_weight < 120
            assert line.mostly == ("b", 1.0 if kept else 0.75)
            assert (line.advantage[:4] == (0.0, 0.0, 0.0, 0.0)) is kept
            assert kept or line.advantage == before.advantage
            assert (line.utility, line.over_today) == (before.utility, before.over_today)
        elif line.method == "best-single-log":
            assert line.mostly == ("b", 1.0)
        else:
            assert line == before
    nothing = Interval(0.0, 0.0, 0.0, 0.0, 240)
    alone = [dataclasses.replace(line, advantage=nothing) for line in page.of("router")]
    first, _, last = as_saved(alone, Saved(router, single, np.zeros(3)), "abc", WEIGHTS)
    assert first.advantage == nothing  # no fold's router chose, and the saved one does
    assert np.isnan(last.advantage[:4]).all() and last.advantage.n == 240
    evaluation = dataclasses.replace(page, lines=(*page.of("today"), last))
    told = evaluation_of(plain(evaluation)).of("router")[0]
    assert _signed(told, told.advantage, told.advantage[2:4]) == "cannot tell"
    some = Saved(router, single, np.zeros(3)).of_rows(~pinned)
    assert some.router.shape == (3, 80) and some.single.shape == (3, 1)
    every = Saved(router, np.broadcast_to(single, (3, 240)), np.zeros(3)).of_rows(pinned)
    assert every.single.shape == (3, 160)


@pytest.mark.filterwarnings("ignore::routerjax.errors.DataWarning")
def test_the_router_that_keeps_a_model_and_its_page_name_the_same():
    """Ten models of equal worth on 200 rows: folds differ in the one that they keep."""
    differed = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        models = [f"m{arm}" for arm in range(10)]
        log = Log.from_arrays(
            rng.integers(0, 10, 200),
            rng.integers(1, 100, 200) / 100,
            np.full(200, 1e-3),
            models=models,
            embeddings=rng.normal(size=(200, 8)).astype(np.float32),
        )
        router = rj.fit(log, config=CONFIG)
        page = evaluation_of(plain(router.report["evaluation"]))
        best = {line.cost_weight: line.mostly for line in page.of("best-single-log")}
        for line, kept in zip(page.of("router"), router.kept, strict=True):
            assert best[line.cost_weight] == (router.best_single_at(line.cost_weight), 1.0)
            if kept:
                assert line.mostly == best[line.cost_weight]
                assert line.advantage[:2] == (0.0, 0.0)
                differed += 1
    assert differed


@pytest.mark.filterwarnings("ignore::routerjax.errors.DataWarning")
def test_a_saved_model_has_its_own_cost_and_the_folds_utility():
    """Five models of quality 0.4, priced from 1 to 10: folds keep now one and now another."""
    prices, covered, kept = np.array([10, 6, 4, 2, 1]) * 5e-4, [], 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        arms = rng.choice(5, 500, p=[0.35, 0.25, 0.2, 0.12, 0.08])
        quality = (rng.random(500) < 0.4).astype(float)
        x = rng.normal(size=(500, 6)).astype(np.float32)
        log = Log.from_arrays(arms, quality, prices[arms], models="abcde", embeddings=x)
        page = evaluation_of(plain(rj.fit(log, config=CONFIG).report["evaluation"]))
        single = {own.model: own for own in page.singles}
        for line in page.of("router"):
            model, share = line.mostly
            if share == 1.0:
                kept += 1
                assert line.cost.mean == pytest.approx(single[model].cost.mean)
                implied = line.quality.mean - line.cost_weight * line.cost.mean
                assert line.utility.mean == pytest.approx(implied)
                covered.append(line.quality.low <= 0.4 <= line.quality.high)
    assert kept >= 10 and np.mean(covered) > 0.85


def test_standard_errors_of_five_folds_are_widened_by_half():
    assert widening(5) == pytest.approx(1.5)
    assert widening(2) == pytest.approx(3**0.5)


def test_every_row_is_evaluated_and_the_page_says_how():
    log = _log(1, lead=0.4)
    router = rj.fit(log, config=CONFIG)
    found = evaluation_of(plain(router.report["evaluation"]))
    assert found.rows == 240 and router.report["rows"]["held_out"] == 0
    assert any("fitted without its fold" in note for note in found.notes)
    line = next(line for line in found.of("router") if line.cost_weight == 0.0)
    assert line.advantage.low > 0  # 0.4 on half of the queries
    assert any("choosing by query is expected to add" in said for said in found.verdict)
    assert any("what is expected is the outcome models' own account" in n for n in found.notes)


@pytest.mark.parametrize(
    ("config", "share"),
    [
        (FitConfig(), None),
        (FitConfig(evaluation=0.3), 0.3),
        (FitConfig(evaluation=0.0), 0.0),
        (FitConfig(router=RouterConfig(architecture="interval")), 0.2),
        (FitConfig(router=RouterConfig(start="best-single")), 0.2),
        (FitConfig(nuisance=NuisanceConfig(outcomes="network")), 0.2),
    ],
)
def test_which_fits_set_rows_apart(config, share):
    assert share_apart(config) == share


def test_what_is_said_of_expected_advantages():
    page = evaluation_of(plain(rj.fit(_log(2, lead=0.4), config=CONFIG).report["evaluation"]))
    expected = Expected(
        best=np.array([0, 0, 1]),
        advantage=np.array([0.001, 0.002, 0.25]),
        deviation=np.array([0.01, 0.004, 0.0625]),
        supported=np.array([1.0, 0.75, 1.0]),
        kept=np.array([True, True, False]),
        single=np.array([[0], [0], [1]]),
        fell_back=np.zeros(3),
    )
    said = expectations(expected.named("abc", WEIGHTS), page)
    assert said[0] == (
        "At cost weights 0 and 30 keep a: choosing by query is expected to add 0.001 to 0.002 per "
        "query (standard deviation 0.01), and the router is that model on the 75% of the queries "
        "where the log supports it."
    )
    line = page.of("router")[2]
    adds = "At cost weight 120 choosing by query is expected to add"
    rows = 240 * (1.96 * line.advantage.standard_error / 0.25) ** 2
    assert rows < 240  # there are rows enough to see it
    assert said[1] == f"{adds} 0.25 per query (standard deviation 0.062) to b."
    small = expected._replace(advantage=np.array([0.001, 0.002, 0.005]))
    rows = 240 * (1.96 * line.advantage.standard_error / 0.005) ** 2
    assert expectations(small.named("abc", WEIGHTS), page)[1] == (
        f"{adds} 0.005 per query (standard deviation 0.062) to b; to see it takes "
        f"{float(f'{rows:.1e}'):,.0f} rows or more."
    )


@pytest.mark.slow
def test_logs_without_differences_show_no_advantage():
    """95 % intervals of the advantage over the best single model, on 60 logs of three coins."""
    shown = 0
    for seed in range(60):
        router = rj.fit(_log(100 + seed, lead=0.0), config=CONFIG)
        page = evaluation_of(plain(router.report["evaluation"]))
        own = [line.advantage for line in page.of("router")]
        shown += any(each.low > 0 or each.high < 0 for each in own)
    assert shown <= 6
