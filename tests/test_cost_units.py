"""Costs in another unit than those of the router's log: said by evaluate, prices and newcomers."""

import dataclasses
import types
import warnings

import numpy as np
import pytest

from routerjax.artefacts.cost_units import warn_of_costs, warn_of_own_costs, warn_of_prices
from routerjax.errors import DataWarning
from routerjax.records.logs import Log
from routerjax.records.repricing import PriceChange
from routerjax.records.tables import Table

ROUTER = types.SimpleNamespace(models=("a", "b", "c"), arm_cost=(0.001, 0.01, 0.0))


def _log(costs: list[float]) -> Log:
    arms = [0, 0, 1, 2]
    return Log.from_arrays(
        arms, [0, 1, 1, 0], costs, models="abc", embeddings=np.eye(4, 3), source="new.csv"
    )


def _said(call, *arguments, **named) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*arguments, **named)
    return " ".join(str(each.message) for each in caught if each.category is DataWarning)


def test_costs_of_a_log_in_another_unit_by_hand():
    """a costs 0.002 here and 0.001 there, b 0.01 in both, c nothing there: median 1.5."""
    log = _log([0.001, 0.003, 0.01, 0.5])
    assert _said(warn_of_costs, ROUTER, log) == ""
    cents = dataclasses.replace(log, cost=log.cost * 100)
    assert "new.csv: models cost 150 times what they cost in the log" in _said(
        warn_of_costs, ROUTER, cents
    )
    kilo = dataclasses.replace(log, cost=log.cost / 1000)
    assert "models cost 1/667 of what they cost" in _said(warn_of_costs, ROUTER, kilo)


def test_a_single_model_may_have_another_price():
    models, three = ("a", "b", "c", "d"), types.SimpleNamespace(models="abc", arm_cost=[1e-3] * 3)
    cost = 1e-3 * np.array([[1, 900, 1, 900], [1, np.nan, 1, 900]])
    table = Table.from_arrays(np.ones((2, 4)), cost, models=models, embeddings=np.eye(2))
    assert _said(warn_of_costs, three, table) == ""  # d is none of the router's models
    assert _said(warn_of_costs, types.SimpleNamespace(arm_cost=()), table) == ""
    free = types.SimpleNamespace(models="abc", arm_cost=(0.0, 0.0, 0.0))
    assert _said(warn_of_costs, free, table) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (PriceChange(scale=0.5), ""),
        (PriceChange(scale=0.0), ""),
        (PriceChange(scale=1e-3), "the price of 'a' is 1/1,000 of what it was"),
        (PriceChange(scale=500.0), "the price of 'a' is 500 times what it was"),
        (PriceChange(dollars=0.2), ""),
        (PriceChange(dollars=2.5), "250 times what the dearest model of the router costs (0.01)"),
    ],
)
def test_prices_that_are_far_from_all_others(change, said):
    found = _said(warn_of_prices, ROUTER, {"a": change})
    assert said in found and bool(found) == bool(said)


def test_rows_of_a_newcomer_that_cost_what_its_price_does_not_say():
    assert _said(warn_of_own_costs, "d", 3.0, source="new.csv") == ""
    found = _said(warn_of_own_costs, "d", 1e4, source="new.csv")
    assert "new.csv: rows of 'd' cost 10,000 times what its price says" in found
