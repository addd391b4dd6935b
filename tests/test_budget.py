"""Cost weights from budgets: the smallest that keeps to one, with its interval."""

from __future__ import annotations

import numpy as np
import pytest
from served_router import COSTS, MODELS, small_router

from routerjax.cli.commands import main
from routerjax.errors import InputError
from routerjax.evaluation.intervals import Interval
from routerjax.pipelines.budget import _kept, cost_weight_for
from routerjax.records.logs import Log


@pytest.fixture(scope="module")
def log() -> Log:
    """400 queries at random models, of whose costs each has its own spread."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4)).astype(np.float32)
    arms = rng.integers(3, size=400)
    return Log.from_arrays(
        arms,
        rng.integers(2, size=400),
        np.array(COSTS)[arms] * rng.uniform(0.5, 1.5, 400),
        models=MODELS,
        propensities=np.full((400, 3), 1 / 3),
        embeddings=x,
    )


def test_a_share_of_a_model_is_that_of_the_routers_choices(log):
    router = small_router()
    found = cost_weight_for(router, log, share=("a", 0.2))
    at = {}
    for weight in (found.cost_weight, found.cost_weight - 50 / 8):
        utility = 0.2 * log.embeddings[:, 0] * np.array([[1], [-1], [0]])
        utility = utility.T + [0.5, 0.5, 0.4] - weight * np.array(COSTS)
        at[weight] = np.mean(utility.argmax(axis=1) == 0)
    assert at[found.cost_weight] <= 0.2 < at[found.cost_weight - 50 / 8]
    assert found.spent.mean == pytest.approx(at[found.cost_weight])
    assert found.low <= found.cost_weight <= found.high
    with pytest.raises(InputError, match="is no share"):
        cost_weight_for(router, log, share=("x", 0.2))
    with pytest.raises(InputError, match="give one of"):
        cost_weight_for(router, log)


def test_models_that_are_not_offered_are_not_chosen(log):
    """Without "b" the queries of x₀ < 0 go to "c", or to "a" where it is better."""
    router, offered = small_router(), np.array([True, False, True])
    found = cost_weight_for(router, log, share=("a", 0.5), offered=offered)
    x = log.embeddings[:, 0]
    share = np.mean(0.5 + 0.2 * x - found.cost_weight * 0.004 > 0.4 - found.cost_weight * 0.001)
    assert found.spent.mean == pytest.approx(share)
    assert found.cost_weight > cost_weight_for(router, log, share=("a", 0.5)).cost_weight
    could = np.ones((400, 3), bool)
    could[:100, [0, 2]] = False  # and of these rows none is left
    some = log.replace(
        available=could,
        arms=np.where(could.all(1), log.arms, 1),
        propensities=(could / could.sum(1, keepdims=True)).astype(np.float32),
    )
    own = cost_weight_for(router, some, share=("a", 0.5), offered=offered)
    rest = cost_weight_for(router, log.rows(slice(100, None)), share=("a", 0.5), offered=offered)
    assert own.spent == rest.spent


def test_the_smallest_cost_weight_from_which_on_a_budget_is_kept():
    def spent(mean: float) -> Interval:
        return Interval(mean, 0.5, mean - 1, mean + 1, 9)

    grid = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    rows = [spent(mean) for mean in (9.0, 5.0, 6.5, 5.5, 3.0)]
    found = _kept(grid, rows, 6.0)  # kept at 1, not at 2, and from 3 on
    assert (found.cost_weight, found.low, found.high) == (3.0, 1.0, 4.0)
    assert found.spent.mean == 5.5 and found.budget == 6.0
    assert _kept(grid, rows, 100.0).cost_weight == 0.0
    with pytest.raises(InputError, match="the least is 3"):
        _kept(grid, rows, 2.0)


@pytest.mark.slow
def test_dollars_per_query_are_those_of_the_choices(log):
    router = small_router()
    found = cost_weight_for(router, log, dollars=0.0025)
    arms = router.choices(log.embeddings, cost_weights=(found.cost_weight,))[0]
    truth = np.array(COSTS)[arms].mean()
    assert found.spent.low < truth < found.spent.high and found.spent.mean <= 0.0025
    with pytest.raises(InputError, match="no fitted cost weight keeps"):
        cost_weight_for(router, log, dollars=0.0001)


def test_a_service_takes_one_of_cost_weight_budget_and_share(tmp_path, capsys):
    small_router().save(tmp_path / "router")
    for options, said in (
        ([], "give one of --cost-weight, --budget and --share"),
        (["--budget", "0.1", "--cost-weight", "1"], "give one of --cost-weight"),
        (["--budget", "0.1"], "needs --calibrate"),
        (["--cost-weight", "0", "--calibrate", "x"], "no effect without --budget"),
        (["--share", "a"], "is not MODEL=SHARE"),
    ):
        assert main(["serve", str(tmp_path / "router"), *options]) == 2
        assert said in capsys.readouterr().err
