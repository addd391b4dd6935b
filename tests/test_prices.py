"""Prices: files of them, costs by tokens, and what other prices would do to a fitted router."""

from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest

import routerjax as rj
from routerjax.cli.commands import main
from routerjax.cli.parse import price_changes
from routerjax.data.public.prices import Price, cost_by_tokens, price_of, read_prices
from routerjax.errors import DataWarning, InputError

TOML = """
["vendor/a"]
input = 2.5
output = 10
date = 2026-01-31
source = "https://vendor.example/pricing"

[b]
query = 0.001
date = 2026-02-01
source = "our own machines"
"""


@pytest.fixture
def prices(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(TOML)
    return path


def test_prices_of_a_toml_file(prices):
    assert read_prices(prices) == {
        "vendor/a": Price(2.5, 10.0, 0.0, "2026-01-31", "https://vendor.example/pricing"),
        "b": Price(0.0, 0.0, 0.001, "2026-02-01", "our own machines"),
    }


def test_prices_of_a_csv_file_may_say_day_and_place(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("model,input,output,query,date,source\na,1,2,0.5,2026-01-31,vendor\nb,1,2,,,\n")
    assert read_prices(path) == {
        "a": Price(1, 2, 0.5, "2026-01-31", "vendor"),
        "b": Price(1, 2, 0.0, "", ""),
    }


WHEN = 'date = 2026-01-31\nsource = "x"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"[gpt-4.1]\ninput = 1\noutput = 2\n{WHEN}", "whose name stands in quotes"),
        ("a = 3", "'a' is no entry of a model"),
        (f"[a]\ninput = 1\n{WHEN}", "no output of 'a' here; an entry is"),
        (f"[a]\ninput = -1\noutput = 2\n{WHEN}", "column 'input': '-1' is not a price"),
        (f"[a]\ninput = true\noutput = 2\n{WHEN}", "'True' is not a price"),
        (f"[a]\ninput = 1\noutput = 2\ncached = 3\n{WHEN}", "a field 'cached'; known are input"),
        ("[a]\ninput = 1\noutput = 2\nsource = 'x'\n", "'a' has no date"),
        ("[a]\ninput = 1\noutput = 2\ndate = 2026-01-31\n", "'a' has no source"),
        (f"[a]\ninput=1\noutput=2\n{WHEN}".replace("2026-01-31", "'soon'"), "is 'soon'; it must"),
        ("[a", "is not valid TOML"),
        ("", "no price is in this file"),
    ],
)
def test_a_toml_file_that_is_refused(tmp_path, text, said):
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as error:
        read_prices(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_what_a_query_costs_by_its_tokens(prices):
    found = cost_by_tokens(
        ["vendor/a", "b", "vendor/a", "b"],
        np.array([1000.0, 7, np.nan, np.nan]),
        np.array([200.0, 7, 3, np.nan]),
        prices=read_prices(prices),
        source="prices.toml",
    )
    # 1000·2.5/10⁶ + 200·10/10⁶ dollars; a price per query needs no tokens
    np.testing.assert_allclose(found, [0.0045, 0.001, np.nan, 0.001])


def test_a_model_without_a_price_is_told_the_nearest(prices):
    known = read_prices(prices)
    with pytest.raises(
        InputError, match=r"^p: no price for model 'a' \(.* 'vendor/a', 'b'\)|'vend"
    ):
        price_of("a", known, source="p")
    with pytest.raises(InputError, match=r"'vendor/aa' \(the nearest are 'vendor/a'\)"):
        cost_by_tokens(["vendor/aa"], None, None, prices=known, source="p")


# Other prices


def small_log(**changes) -> rj.Log:
    values = {"models": ("a", "b"), **changes}
    return rj.Log.from_arrays(
        np.array([0, 1, 0]), np.array([1.0, 0, 0.5]), np.array([0.25, 0.5, 0.125]), **values
    )


def test_a_log_and_a_table_at_other_prices():
    changes = {"a": rj.PriceChange(scale=0.5), "b": rj.PriceChange(dollars=2.0)}
    assert rj.repriced(small_log(), changes).cost.tolist() == [0.125, 2.0, 0.0625]
    cost = np.array([[0.25, 0.5], [np.nan, 1.0]])
    table = rj.Table.from_arrays(np.ones((2, 2)), cost, models="ab")
    np.testing.assert_array_equal(rj.repriced(table, changes).cost, [[0.125, 2], [np.nan, 2]])


@pytest.mark.parametrize(
    ("model", "change", "said"),
    [
        ("aa", rj.PriceChange(0.5), r"no model 'aa' to price \(did you mean 'a'\?\)"),
        ("gpt", rj.PriceChange(0.5), "no model 'gpt' to price; known are a, b"),
        ("a", rj.PriceChange(-1.0), "the price of 'a' is -1; it must be finite and 0 or more"),
        ("a", rj.PriceChange(dollars=np.inf), "the price of 'a' is inf"),
    ],
)
def test_prices_that_are_none(model, change, said):
    with pytest.raises(InputError, match=said):
        rj.repriced(small_log(), {model: change})


@pytest.fixture(scope="module")
def plug_in(world) -> rj.Router:
    return rj.fit(world.log, config=rj.FitConfig(cost_weights=(0.0, 64.0, 256.0)))


CHANGES = {"a": rj.PriceChange(scale=0.25), "c": rj.PriceChange(dollars=0.003)}


def test_expected_costs_at_other_prices_are_exact(plug_in, world):
    x = world.fresh.embeddings
    old, new = plug_in.expected(x), plug_in.with_prices(CHANGES).expected(x)
    np.testing.assert_array_equal(new.quality, old.quality)
    np.testing.assert_array_equal(new.cost[:, 0], old.cost[:, 0] * np.float32(0.25))
    np.testing.assert_array_equal(new.cost[:, 1], old.cost[:, 1])
    np.testing.assert_array_equal(new.cost[:, 2], np.full(200, 0.003, np.float32))


def test_a_plug_in_router_chooses_as_if_it_had_been_fitted_at_these_prices(plug_in, world):
    x = world.fresh.embeddings
    changes = {"a": rj.PriceChange(scale=0.25), "c": rj.PriceChange(scale=8.0)}
    fitted = rj.fit(rj.repriced(world.log, changes), config=plug_in.config)
    again = dataclasses.replace(fitted, kept=())  # by query at every cost weight
    moved = dataclasses.replace(plug_in.with_prices(changes), kept=())
    for cost_weight in (0.0, 10.0, 64.0, 200.0, 256.0):
        own = moved.route(x, cost_weight=cost_weight)
        utility = moved.expected(x).utilities(cost_weight)
        supported = ~own.fell_back
        assert supported.mean() > 0.9
        np.testing.assert_array_equal(own.arms[supported], utility.argmax(axis=1)[supported])
        differ = own.arms != again.route(x, cost_weight=cost_weight).arms
        assert differ.mean() <= 0.005  # rounding alone, of utilities that are equal
        assert moved.best_single_at(cost_weight) == again.best_single_at(cost_weight)
    assert moved.best_single == again.best_single
    plain = dataclasses.replace(plug_in, kept=())
    before, after = (each.route(x, cost_weight=64.0).arms for each in (plain, moved))
    assert (before != after).any()  # the prices matter


def test_a_router_that_keeps_to_one_model_keeps_to_the_best_at_the_new_prices(plug_in, world):
    kept = dataclasses.replace(plug_in, kept=(True, True, True))
    moved = kept.with_prices({"c": rj.PriceChange(scale=100.0)})
    assert kept.best_single_at(64.0) == "c" != moved.best_single_at(64.0)
    routes = moved.route(world.fresh.embeddings, cost_weight=64.0)
    assert set(np.array(routes.models)[~routes.fell_back]) == {moved.best_single_at(64.0)}


def test_a_router_at_other_prices_is_saved_with_them(plug_in, world, tmp_path):
    moved = plug_in.with_prices(CHANGES)
    moved.save(tmp_path / "run")
    loaded = rj.load(tmp_path / "run")
    x = world.fresh.embeddings
    np.testing.assert_array_equal(loaded.expected(x).cost, moved.expected(x).cost)
    assert loaded.provenance["prices"]["a"] == {"scale": 0.25, "dollars": None}
    assert "prices" not in plug_in.provenance


def test_a_trained_router_says_that_its_networks_stay(router, world):
    with pytest.warns(
        DataWarning, match=r"networks .* \(interval\) were trained at the old prices"
    ):
        moved = router.with_prices(CHANGES)
    old, new = (each.expected(world.fresh.embeddings).cost for each in (router, moved))
    np.testing.assert_array_equal(new[:, 0], old[:, 0] * np.float32(0.25))
    np.testing.assert_array_equal(new[:, 2], np.full(200, 0.003, np.float32))


def test_an_evaluation_at_other_prices_is_that_of_repriced_data(plug_in, world):
    for data in (world.fresh, world.fresh_log):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            asked = rj.evaluate(plug_in, data, prices=CHANGES)
            by_hand = rj.evaluate(plug_in.with_prices(CHANGES), rj.repriced(data, CHANGES))
            plain = rj.evaluate(plug_in, data)
        assert asked.lines == by_hand.lines
        assert asked.lines != plain.lines


# The command line


def test_what_is_typed():
    assert price_changes("gpt-4o=0.5x, a/b=0.002") == (
        ("gpt-4o", 0.5, None),
        ("a/b", 1.0, 0.002),
    )
    assert price_changes("odd=name=2X") == (("odd=name", 2.0, None),)


@pytest.mark.parametrize("text", ["a", "a=", "=2", "a=-1", "a=nanx", "a=x", "a=1,a=2", "a=1,"])
def test_what_is_no_price(text):
    with pytest.raises(ValueError, match="MODEL=FACTORx|priced twice"):
        price_changes(text)


def test_route_and_evaluate_at_other_prices(plug_in, world, tmp_path, capsys):
    plug_in.save(tmp_path / "run")
    np.save(tmp_path / "x.npy", np.asarray(world.fresh.embeddings))
    asked = ["--embeddings", f"{tmp_path}/x.npy", "--cost-weight", "64", "--json"]
    change = ["--price", "a=0.25x,c=0.003"]
    assert main(["route", f"{tmp_path}/run", *asked, *change]) == 0
    routed = [row["model"] for row in json.loads(capsys.readouterr().out)["routes"]]
    expected = plug_in.with_prices(CHANGES).route(world.fresh.embeddings, cost_weight=64)
    assert routed == list(expected.models)
    rj.write_table(world.fresh, tmp_path / "table.parquet")
    assert (
        main(["evaluate", f"{tmp_path}/run", f"{tmp_path}/table.parquet", "--json", *change]) == 0
    )
    lines = json.loads(capsys.readouterr().out)["lines"]
    own = rj.evaluate(plug_in, world.fresh, prices=CHANGES).lines
    assert [each["cost"]["mean"] for each in lines] == pytest.approx(
        [each.cost.mean for each in own]
    )
    assert main(["route", f"{tmp_path}/run", *asked, "--price", "aa=0.5x"]) == 2
    assert "did you mean 'a'?" in capsys.readouterr().err


def test_a_router_of_before_keeps_its_best_single_models(plug_in):
    before = dataclasses.replace(plug_in, arm_quality=(), arm_cost=())
    assert before.with_prices(CHANGES).best_single == before.best_single
