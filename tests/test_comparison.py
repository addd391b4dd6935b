"""Evaluation on tables and logs, against values worked out by hand and loops in NumPy."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

import routerjax as rj
from routerjax.data.synthetic.logging_policies import noisy_softmax, simulate_log
from routerjax.errors import DataWarning, InputError
from routerjax.training.execution import Execution

X = np.random.default_rng(3).normal(size=(4, 16)).astype(np.float32)
QUALITY = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.5], [1.0, 0.0, 0.0], [0.5, 0.5, 1.0]])
COST = np.tile([0.001, 0.002, 0.01], (4, 1))
WEIGHT = 100.0  # of quality per dollar: the models cost 0.1, 0.2 and 1.0 of quality


def table(**changes) -> rj.Table:
    fields = {"quality": QUALITY, "cost": COST, "models": "abc", "embeddings": X}
    return rj.Table.from_arrays(**{**fields, **changes})


def both(one: rj.Table, other: rj.Table) -> rj.Table:
    """The rows of both tables."""
    fields = ("quality", "cost", "embeddings")
    joined = {n: np.concatenate([getattr(one, n), getattr(other, n)]) for n in fields}
    return rj.Table.from_arrays(**joined, models=one.models)


def by_method(evaluation: rj.Evaluation, weight: float = WEIGHT) -> dict:
    return {line.method: line for line in evaluation.lines if line.cost_weight == weight}


def test_a_table_by_hand(router):
    evaluation = rj.evaluate(router, table(), cost_weights=[WEIGHT])
    lines = by_method(evaluation)
    assert (evaluation.kind, evaluation.rows, evaluation.left_out) == ("table", 4, 0)
    # random: mean quality 6/12, mean cost 0.013/3
    assert lines["random"].quality.mean == pytest.approx(0.5)
    assert lines["random"].cost.mean == pytest.approx(0.013 / 3)
    assert lines["random"].utility.mean == pytest.approx(0.5 - 1.3 / 3)
    # oracle: 0.9, 0.8, 0.9 and 0.4
    assert lines["oracle"].utility.mean == pytest.approx(0.75)
    assert lines["oracle"].quality.mean == pytest.approx(3.5 / 4)
    assert lines["oracle"].regret.mean == pytest.approx(0.0, abs=1e-12)
    assert lines["random"].regret.mean == pytest.approx(0.75 - 0.5 + 1.3 / 3)
    # hindsight: a has 2.5/4 − 0.1, b 2/4 − 0.2, c 1.5/4 − 1
    assert lines["best-single-hindsight"].utility.mean == pytest.approx(0.525)
    # standard error of 0.9, 0.8, 0.9, 0.4 by hand: squares 0.0225 + 0.0025 + 0.0225 + 0.1225
    assert lines["oracle"].utility.standard_error == pytest.approx((0.17 / 3) ** 0.5 / 2)
    assert lines["oracle"].utility.n == 4
    assert lines["random"].effective_sample_size is None


def test_the_routers_own_lines_against_a_loop(router):
    evaluation = rj.evaluate(router, table())
    assert {line.cost_weight for line in evaluation.lines} == {0.0, 64.0, 256.0}
    for position, weight in enumerate((0.0, 64.0, 256.0)):
        lines = by_method(evaluation, weight)
        arms = router.route(X, cost_weight=weight).arms
        single = "abc".index(router.best_single[position])
        utility = [QUALITY[i, arms[i]] - weight * COST[i, arms[i]] for i in range(4)]
        best = [max(QUALITY[i] - weight * COST[i]) for i in range(4)]
        base = [QUALITY[i, single] - weight * COST[i, single] for i in range(4)]
        line = lines["router"]
        assert line.utility.mean == pytest.approx(np.mean(utility), abs=1e-6)
        assert line.regret.mean == pytest.approx(np.subtract(best, utility).mean(), abs=1e-6)
        assert line.advantage.mean == pytest.approx(np.subtract(utility, base).mean(), abs=1e-6)
        assert line.quality.mean == pytest.approx(np.mean(QUALITY[range(4), arms]), abs=1e-6)
        assert line.cost.mean == pytest.approx(np.mean(COST[range(4), arms]), abs=1e-8)
        assert lines["best-single-log"].utility.mean == pytest.approx(np.mean(base), abs=1e-6)
        assert lines["best-single-log"].advantage.mean == 0.0


def test_nothing_is_above_the_oracle(router, world):
    evaluation = rj.evaluate(router, world.fresh)
    for weight in router.cost_weights:
        lines = by_method(evaluation, weight)
        assert lines["oracle"].regret.mean == 0.0
        for line in lines.values():
            assert line.utility.mean <= lines["oracle"].utility.mean + 1e-9
            assert line.regret.mean >= -1e-9
    best = by_method(evaluation, 0.0)
    assert best["router"].utility.mean > best["best-single-hindsight"].utility.mean + 0.1


def test_rows_with_a_missing_cell_are_left_out_and_counted(router):
    quality = QUALITY.copy()
    quality[3, 1] = np.nan
    evaluation = rj.evaluate(router, table(quality=quality), cost_weights=[WEIGHT])
    lines = by_method(evaluation)
    assert (evaluation.rows, evaluation.left_out) == (3, 1)
    assert lines["oracle"].utility.mean == pytest.approx((0.9 + 0.8 + 0.9) / 3)
    assert lines["random"].quality.mean == pytest.approx(4 / 9)
    with pytest.raises(InputError, match="every row has a missing cell"):
        rj.evaluate(router, table(cost=np.where([True, False, False], np.nan, COST)))


@pytest.mark.slow
def test_only_rows_of_the_test_split_are_evaluated(router):
    split = ["test", "train", "test", "dev"]
    evaluation = rj.evaluate(router, table(split=split), cost_weights=[WEIGHT])
    assert (evaluation.rows, evaluation.left_out) == (2, 2)
    assert by_method(evaluation)["oracle"].utility.mean == pytest.approx(0.9)


def test_data_without_a_test_split_are_not_evaluated_on_what_was_learnt_from(router):
    split = ["train", "dev", "train", "dev"]
    message = "column 'split': no row is in the test split, .* there are dev, train"
    with pytest.raises(InputError, match=message):
        rj.evaluate(router, table(split=split), cost_weights=[WEIGHT])


def test_models_in_another_order_give_the_same_numbers(router):
    order = [2, 0, 1]
    turned = table(quality=QUALITY[:, order], cost=COST[:, order], models="cab")
    one, two = rj.evaluate(router, table()), rj.evaluate(router, turned)
    assert one.lines == two.lines and one.fingerprint == two.fingerprint


def test_a_model_the_router_does_not_know_is_passed_over(router):
    quality = np.concatenate([QUALITY, np.ones((4, 1))], axis=1)
    cost = np.concatenate([COST, np.zeros((4, 1))], axis=1)
    more = table(quality=quality, cost=cost, models="abcd")
    assert rj.evaluate(router, more).lines == rj.evaluate(router, table()).lines


@pytest.mark.slow
def test_knn_and_full_feedback_where_there_is_something_to_learn_from(router, world):
    notes = rj.evaluate(router, world.fresh).notes
    assert ["knn" in note for note in notes] == [True, False]
    assert ["full-feedback" in note for note in notes] == [False, True]
    twice = both(world.table, world.fresh)
    seen = []
    evaluation = rj.evaluate(
        router,
        twice.replace(split=("train",) * 200 + ("test",) * 200),
        log=world.log,
        execution=Execution(on_progress=lambda name, done, most: seen.append((name, most))),
    )
    lines = by_method(evaluation, 0.0)
    assert (evaluation.rows, evaluation.left_out, evaluation.notes) == (200, 200, ())
    assert ("endpoints", 20) in seen
    assert lines["full-feedback"].utility.mean > lines["random"].utility.mean + 0.1
    assert lines["knn-plug-in"].utility.mean > lines["random"].utility.mean


def test_a_log_against_a_loop(router, world):
    """dr with the router's outcome model and recorded propensities, row by row."""
    log = world.fresh_log.rows(slice(40))
    propensities = np.linspace(0.2, 0.9, 40).astype(np.float32)
    log = log.replace(propensities=propensities)
    # 40 rows are few: one model's effective sample size is below 30, and evaluate says so
    with pytest.warns(DataWarning, match="answered so few rows"):
        evaluation = rj.evaluate(router, log, cost_weights=[WEIGHT])
    line = by_method(evaluation)["router"]
    predicted = router.expected(log.embeddings)
    arms = router.route(log.embeddings, cost_weight=WEIGHT).arms
    scores, weights = [], []
    for i in range(40):
        q, c = predicted.quality[i, arms[i]], predicted.cost[i, arms[i]]
        follows = arms[i] == log.arms[i]
        if follows:
            q = q + (log.quality[i] - q) / propensities[i]
            c = c + (log.cost[i] - c) / propensities[i]
        scores.append(q - WEIGHT * c)
        weights.append(1 / propensities[i] if follows else 0.0)
    assert 0 < np.count_nonzero(weights) < 40
    assert line.utility.mean == pytest.approx(np.mean(scores), abs=1e-5)
    assert line.utility.standard_error == pytest.approx(np.std(scores, ddof=1) / 40**0.5, rel=1e-4)
    size = sum(weights) ** 2 / sum(w**2 for w in weights)
    assert line.effective_sample_size == pytest.approx(size, rel=1e-5)
    assert line.regret is None and evaluation.kind == "log" and evaluation.rows == 40
    assert by_method(evaluation)["best-single-log"].advantage.mean == 0.0


@pytest.mark.slow
def test_the_value_on_a_log_is_near_the_truth(router):
    """The outcome model knows nothing of this table; the propensities are known; dr holds."""
    made = rj.embedded_table(1, queries=3000, dimensions=16)
    chosen = ["gpt-4-1106-preview", "claude-v2", "mistralai/mistral-7b-chat"]
    arms = [made.table.models.index(name) for name in chosen]
    source = made.table.with_models(chosen).replace(models=("a", "b", "c"), prompts=None)
    log, _ = simulate_log(source, noisy_softmax(strength=1.0, floor=0.05), key=jax.random.key(0))
    evaluation = rj.evaluate(router, log)
    rows = np.arange(3000)
    for weight in router.cost_weights:
        line = by_method(evaluation, weight)["router"]
        picked = np.array(arms)[router.route(log.embeddings, cost_weight=weight).arms]
        quality, cost = made.true_quality[rows, picked], made.true_cost[rows, picked]
        for estimate, truth in (
            (line.utility, quality - weight * cost),
            (line.quality, quality),
            (line.cost, cost),
        ):
            assert abs(estimate.mean - truth.mean()) < 4 * estimate.standard_error
            assert 0 < estimate.standard_error < 0.1
        assert 100 < line.effective_sample_size <= 3000


@pytest.mark.filterwarnings("ignore:.*answered so few rows")
def test_queries_it_was_fitted_on_are_left_out_and_said(router, world):
    """160 of the log's 200 rows; the same in another order, or some of them."""
    order = np.random.default_rng(0).permutation(200)
    for rows, told in ((order, "160 of 200"), (np.arange(200), "160 of 200")):
        with pytest.warns(DataWarning, match=f"{told} rows are of queries that the router was"):
            evaluation = rj.evaluate(router, world.log.rows(rows))
        assert (evaluation.rows, evaluation.left_out) == (40, 160)
    with pytest.warns(DataWarning, match="160 of 200 rows"):
        assert rj.evaluate(router, world.table).rows == 40
    seen = world.log.rows(router.has_seen(world.log))
    with pytest.raises(InputError, match="fitted on the query of every row; evaluate it on other"):
        rj.evaluate(router, seen)


def test_a_log_with_models_in_another_order(router, world):
    log = world.fresh_log.replace(propensities=np.full(200, 1 / 3, np.float32))
    turned = log.with_models(("c", "a", "b"))
    assert rj.evaluate(router, turned).lines == rj.evaluate(router, log).lines


@pytest.mark.parametrize(
    ("weights", "value"), [([500.0], "500"), ([-1.0], "-1"), ([0.0, float("nan")], "nan")]
)
def test_cost_weights_out_of_range(router, world, weights, value):
    for data in (world.table, world.log):
        with pytest.raises(InputError, match=f"cost weight {value} is outside the fitted range"):
            rj.evaluate(router, data, cost_weights=weights)


def test_cost_weights_that_repeat_count_once(router):
    evaluation = rj.evaluate(router, table(), cost_weights=[100, 100.0, 0])
    assert [line.cost_weight for line in evaluation.lines if line.method == "oracle"] == [100, 0]


def test_data_that_are_not_the_routers(router, world):
    with pytest.raises(InputError, match="table: no column for c"):
        rj.evaluate(router, table().with_models("ab"))
    with pytest.raises(InputError, match="row 2: answered by 'z', not one of a, b, c"):
        arms = np.where(np.arange(200) == 2, 2, world.fresh_log.arms % 2).astype(np.int32)
        rj.evaluate(router, world.fresh_log.replace(arms=arms, models=("a", "b", "z")))
    with pytest.raises(InputError, match=r"quality lies in \[0.0, 2.0\] here and in \[0.0, 1.0\]"):
        rj.evaluate(router, table(quality_range=(0, 2)))
    prompts = dataclasses.replace(table(), embeddings=None, prompts=("p",) * 4)
    with pytest.raises(InputError, match="holds prompts alone, and the router was fitted on ready"):
        rj.evaluate(router, prompts)


@pytest.mark.parametrize("width", [15, 17])
def test_embeddings_of_another_width(router, world, width):
    narrow = np.zeros((200, width), np.float32)
    wanted = f"embeddings hold {width} numbers a row; this router takes 16"
    for data in (world.table, world.log):
        with pytest.raises(InputError, match=wanted):
            rj.evaluate(router, data.replace(embeddings=narrow))
    with pytest.raises(InputError, match=wanted):
        rj.evaluate(router, world.table, log=world.log.replace(embeddings=narrow))
