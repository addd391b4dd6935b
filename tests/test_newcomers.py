"""A model that no log knows: what is expected of it, how it is explored, how it is taken up."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from served_router import COSTS, MODELS, known_router, small_router

import routerjax as rj
from routerjax.artefacts.newcomer import NOISE, newcomers, with_newcomer, without_newcomers
from routerjax.artefacts.router import Router
from routerjax.cli.commands import main
from routerjax.data.io.decisions import read_decisions
from routerjax.exploration.limits import Limits
from routerjax.exploration.posterior import Draws, with_newcomers
from routerjax.models.propensity import supported
from routerjax.serving.deciding import Asked, Exploring
from routerjax.serving.refitting import refit
from routerjax.serving.requests import Query
from routerjax.serving.service import Service, Settings

ROUTER = known_router()
X = np.random.default_rng(3).normal(size=(40, 4)).astype(np.float32)


def answered(quality, cost, arm=3, **fields) -> rj.Log:
    """Rows of X that one of four models answered."""
    arms, own = np.full(len(quality), arm), X[: len(quality)]
    return rj.Log.from_arrays(arms, quality, cost, models="abcd", embeddings=own, **fields)


def test_without_rows_it_is_the_model_it_resembles_at_its_own_price():
    router = with_newcomer(ROUTER, "d", like="a", price=rj.PriceChange(0.5))
    expected, before = router.expected(X), ROUTER.expected(X)
    assert router.models == ("a", "b", "c", "d")
    assert np.allclose(expected.quality[:, :3], before.quality, atol=1e-6)
    assert np.allclose(expected.quality[:, 3], before.quality[:, 0], atol=1e-6)
    assert np.allclose(expected.cost[:, 3], COSTS[0] / 2, rtol=1e-5)
    fixed = with_newcomer(ROUTER, "d", like="a", price=rj.PriceChange(dollars=0.01))
    assert np.allclose(fixed.expected(X).cost[:, 3], 0.01, rtol=1e-5)
    assert newcomers(router)["d"]["standard_deviation"] == pytest.approx(NOISE / 4)


@pytest.mark.parametrize("prepared", [False, True])
def test_where_it_alone_is_available_it_is_chosen(prepared):
    """By the router's closed form and by its compiled program alike no other model is chosen."""
    grown = with_newcomer(ROUTER, "d", like="a", price=rj.PriceChange(0.5))
    if prepared:
        model = jax.tree.map(jnp.asarray, grown.arrays.propensities)
        there = np.tile(np.arange(4) == 3, (len(X), 1))
        assert np.asarray(supported(model, jnp.asarray(X), jnp.asarray(there))).tolist() == (
            there.tolist()
        )
        return
    for cost_weight in (0.0, grown.cost_weights[-1]):
        routes = grown.route(X, cost_weight=cost_weight, available=["d"])
        assert set(routes.models) == {"d"}
        both = grown.route(X, cost_weight=cost_weight, available=["b", "d"])
        assert set(both.models) == {"b"}


def test_beside_a_logit_the_known_models_keep_their_support():
    """A router that runs already wrote the log, and never asked the new model."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 4)).astype(np.float32)
    best = (x @ rng.normal(size=(4, 3))).argmax(axis=1)
    arms = np.where(rng.random(1200) < 0.1, rng.integers(0, 3, 1200), best)
    log = rj.Log.from_arrays(
        arms, rng.random(1200).round(), np.full(1200, 0.01), models="abc", embeddings=x
    )
    router = rj.fit(log, config=rj.FitConfig(cost_weights=(0.0,)))
    assert router.logit and router.arrays.propensities.logit.random.any()
    grown = with_newcomer(router, "d", like="a", price=rj.PriceChange(0.5))
    scaled = jnp.asarray(router.arrays.scaling(x))
    before, after = (
        np.asarray(supported(jax.tree.map(jnp.asarray, own.arrays.propensities), scaled))
        for own in (router, grown)
    )
    np.testing.assert_array_equal(after[:, :3], before)
    assert not after[:, 3].any()
    again = without_newcomers(grown, ["d"])
    logits = (own.arrays.propensities.logit for own in (again, router))
    for one, other in zip(*logits, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_few_rows_move_it_by_their_share_of_sixteen_more():
    """δ = Σ r / (n + 16); the factor of the cost is (n·ratio + 16) / (n + 16)."""
    own = ROUTER.expected(X[:8])
    shifted = np.clip(own.quality[:, 0] - 0.3, 0, 1)
    rows = answered(shifted, np.full(8, 0.004))
    router = with_newcomer(ROUTER, "d", like="a", price=rj.PriceChange(0.5), rows=rows)
    offset = sum(float(shifted[row] - own.quality[row, 0]) for row in range(8)) / 24
    factor = (8 * (0.004 / 0.002) + 16) / 24
    known = newcomers(router)["d"]
    assert known["offset"] == pytest.approx(offset, rel=1e-5) and known["rows"] == 8
    assert known["cost_factor"] == pytest.approx(factor, rel=1e-5)
    wanted = np.clip(own.quality[:, 0] + offset, 0, 1)
    assert np.allclose(router.expected(X[:8]).quality[:, 3], wanted, atol=1e-5)
    assert np.allclose(router.expected(X[:8]).cost[:, 3], 0.002 * factor, rtol=1e-5)


def test_no_query_goes_to_it_by_choice_however_cheap_or_good(tmp_path):
    router = with_newcomer(ROUTER, "d", like="a", price=rj.PriceChange(dollars=0.0))
    router.save(tmp_path / "router")
    router = Router.load(tmp_path / "router")
    for weight in (0.0, 100.0):
        assert "d" not in router.route(X, cost_weight=weight).models
        assert np.array_equal(
            router.choices(X, cost_weights=(weight,)), ROUTER.choices(X, cost_weights=(weight,))
        )
        assert router.best_single_at(weight) == ROUTER.best_single_at(weight)
    kept = dataclasses.replace(router, kept=(True,) * 3)
    assert set(kept.route(X, cost_weight=100.0).models) == {"c"}
    only = np.array([[False, False, False, True]])
    assert router.best_singles_at(0.0, only).tolist() == [3]


def test_it_can_be_taken_away_again_and_a_table_that_is_older_is_evaluated_without_it():
    router = with_newcomer(with_newcomer(ROUTER, "d", like="a"), "e", like="b")
    one = without_newcomers(router, ["d"])
    assert one.models == ("a", "b", "c", "e") and set(newcomers(one)) == {"e"}
    assert np.allclose(one.expected(X).quality, router.expected(X).quality[:, [0, 1, 2, 4]])
    none = without_newcomers(one, ["e"])
    assert none.models == MODELS and none.arm_cost == ROUTER.arm_cost
    assert np.array_equal(
        none.route(X, cost_weight=50.0).arms, ROUTER.route(X, cost_weight=50.0).arms
    )
    with pytest.raises(rj.InputError, match="no newcomer"):
        without_newcomers(router, ["a"])
    table = rj.Table.from_arrays(
        np.ones((40, 3)), np.full((40, 3), 2e-3), models="abc", embeddings=X
    )
    told, before = (rj.evaluate(each, table, cost_weights=(0.0,)) for each in (router, ROUTER))
    assert told.lines == before.lines
    assert without_newcomers(small_router(), []).models == MODELS


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("a", {"like": "b"}, "has a model 'a'"),
        ("d", {"like": "e"}, "no fitted model 'e'"),
        ("d", {"like": "a", "price": rj.PriceChange(-1.0)}, "finite and 0 or more"),
        ("d", {"like": "a", "rows": answered([1.0], [0.1], arm=0)}, "no row was answered by 'd'"),
        (
            "d",
            {"like": "a", "rows": answered([1.0], [0.1], quality_range=(0, 2))},
            "give the same --quality-range",
        ),
    ],
)
def test_what_cannot_be_added_is_refused(name, more, said):
    with pytest.raises(rj.InputError, match=said):
        with_newcomer(ROUTER, name, **more)


def test_a_newcomer_resembles_no_newcomer_and_joins_no_former_router():
    router = with_newcomer(ROUTER, "d", like="a")
    with pytest.raises(rj.InputError, match="the fitted ones are a, b, c"):
        with_newcomer(router, "e", like="d")
    with pytest.raises(rj.InputError, match="of a version before"):
        with_newcomer(small_router(), "d", like="a")


def service(tmp_path, router=None, **exploring) -> Service:
    router = router or with_newcomer(ROUTER, "d", like="a")
    router.save(tmp_path / "router", overwrite=True)
    own = Settings(0.0, Exploring(**exploring))
    return Service(tmp_path / "router", own, log=tmp_path / "log", seed=0)


def test_it_gets_its_share_of_the_queries_and_the_propensities_say_so(tmp_path):
    own = service(tmp_path, rate=0.1, newcomers=(("d", 0.2),))
    query = Query(None, np.float32([1, 0, 0, 0]), None)
    made = [own.decide(own.served, query, Asked(0.0)).decision for _ in range(300)]
    # a tenth of the other 0.8 is spread over four models
    wanted = [0.8 * 0.925, 0.02, 0.02, 0.22]
    assert made[0].propensities == pytest.approx(wanted)
    count = sum(each.model == "d" for each in made)
    assert abs(count - 300 * 0.22) < 4 * (300 * 0.22 * 0.78) ** 0.5
    own.close()


def test_its_share_keeps_to_the_limits_of_exploration(tmp_path):
    dear = with_newcomer(ROUTER, "d", like="b", price=rj.PriceChange(dollars=0.104))
    limits = Limits({"bank": ("d",)}, dollars_a_day=0.06)
    own = service(tmp_path, dear, newcomers=(("d", 0.25),), limits=limits)
    query = Query(None, np.float32([1, 0, 0, 0]), None)
    chance = [own.decide(own.served, query, Asked(0.0)).decision.propensities[3] for _ in range(3)]
    assert chance == pytest.approx([0.25, 0.25, 0.0])  # each adds 0.25·(0.104 − 0.004) dollars
    fresh = service(tmp_path, dear, newcomers=(("d", 0.25),), limits=limits)
    bank = fresh.decide(fresh.served, query, Asked(0.0, tenant="bank")).decision
    assert bank.propensities.tolist() == [1, 0, 0, 0]
    near = service(tmp_path, dear, newcomers=(("d", 0.25),), limits=Limits(within=0.3))
    made = near.decide(near.served, query, Asked(0.0)).decision  # it is taken for "b": 0.4 worse
    assert made.propensities.tolist() == [1, 0, 0, 0]
    for each in (own, fresh, near):
        each.close()


def test_a_router_that_was_fitted_on_it_gives_it_no_share_of_its_own(tmp_path):
    with pytest.warns(rj.DataWarning, match="no newcomer any more"):
        own = service(tmp_path, ROUTER, newcomers=(("c", 0.2),))
    made = own.decide(own.served, Query(None, X[0], None), Asked(0.0)).decision
    assert made.propensities.max() == 1.0
    own.close()
    with pytest.raises(rj.InputError, match="no model 'x'"):
        service(tmp_path, ROUTER, newcomers=(("x", 0.2),))
    with pytest.raises(rj.InputError, match="at most 1 together"):
        Exploring(newcomers=(("x", 0.6), ("y", 0.6)))


def test_draws_of_a_newcomer_are_its_models_and_those_of_its_offset():
    router = with_newcomer(ROUTER, "d", like="b")
    coefficients = np.random.default_rng(0).normal(size=(4000, 4, 3)).astype(np.float32)
    found = with_newcomers(Draws({}, coefficients), router).coefficients
    assert found.shape == (4000, 4, 4) and np.array_equal(found[..., :3], coefficients)
    assert np.array_equal(found[:, 1:, 3], coefficients[:, 1:, 1])
    offset = found[:, 0, 3] - coefficients[:, 0, 1]
    assert abs(offset.mean()) < 4 * 0.1 / 4000**0.5 and abs(offset.std() - 0.1) < 0.006


def test_the_command_adds_it_and_rollback_takes_it_away(tmp_path, capsys):
    folder = str(tmp_path / "router")
    ROUTER.save(tmp_path / "router")
    (tmp_path / "rows.jsonl").write_text(
        "".join(
            json.dumps({"embedding": x.tolist(), "model": "d", "quality": 1.0, "cost": 0.003})
            + "\n"
            for x in X
        )
    )
    rows = ["--rows", str(tmp_path / "rows.jsonl")]
    assert main(["newcomer", folder, "d", "--like", "a", "--price", "0.5x", *rows]) == 0
    said = capsys.readouterr().out
    assert "d is taken for a from 40 rows" in said and "--newcomer 'd=0.05'" in said
    assert Router.load(folder).models == ("a", "b", "c", "d")
    assert main(["rollback", folder]) == 0
    assert Router.load(folder).models == MODELS


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--like", "nobody"], "no fitted model 'nobody'"),
        (["--like", "a", "--price", "cheap"], "neither FACTORx nor DOLLARS"),
        (["--like", "a", "--rows", "none.jsonl"], "no such file"),
        (["--like", "a", "--group", "user"], "without --rows"),
        ([], "--like"),
    ],
)
def test_a_command_that_cannot_be_is_refused_and_changes_nothing(tmp_path, capsys, options, said):
    ROUTER.save(tmp_path / "router")
    before = (tmp_path / "router" / "router.json").read_text()
    assert main(["newcomer", str(tmp_path / "router"), "d", *options]) == 2
    assert said in capsys.readouterr().err
    assert (tmp_path / "router" / "router.json").read_text() == before


@pytest.mark.slow
def test_a_refit_takes_it_up_by_its_rows_and_keeps_it_where_it_has_none_yet(tmp_path):
    """ "d" is the best by far; "e" is forbidden everywhere and nobody says what it is worth."""
    router = with_newcomer(with_newcomer(ROUTER, "d", like="a"), "e", like="c")
    own = service(tmp_path, router, rate=0.4, newcomers=(("d", 0.3),), limits=Limits({"*": ("e",)}))
    rng = np.random.default_rng(0)
    for _ in range(900):
        x = rng.normal(size=4).astype(np.float32)
        made = own.decide(own.served, Query(None, x, None), Asked(0.0))
        right = rng.random() < (0.9 if made.decision.model == "d" else 0.4)
        own.note("feedback", id=made.id, quality=float(right), cost=0.002 * rng.uniform(0.8, 1.2))
    own.close()
    found = refit(read_decisions(tmp_path / "log"), tmp_path / "router")
    assert found.promoted
    new = Router.load(tmp_path / "router")
    assert set(new.models) == {"a", "b", "c", "d", "e"} and set(newcomers(new)) == {"e"}
    models = new.route(X, cost_weight=0.0).models
    assert models.count("d") > 35 and "e" not in models
