"""One decision, whatever is asked of it: written probabilities keep to every limit at once."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from served_router import MODELS, known_router, small_router

from routerjax.artefacts.newcomer import with_newcomer
from routerjax.errors import InputError
from routerjax.exploration.limits import Limits
from routerjax.exploration.posterior import Draws, with_newcomers
from routerjax.records.repricing import PriceChange
from routerjax.serving.deciding import Asked, Exploring, Served, decide

NEW = "new"
EVERY = (*MODELS, NEW)
EMBEDDINGS = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def served() -> Served:
    """Three models and a newcomer at half the price of "a", with draws that differ much."""
    router = with_newcomer(known_router(), NEW, like="a", price=PriceChange(0.5))
    own: Any = small_router().arrays.outcomes.quality["params"]
    means = np.asarray(own["coefficients"])[0]
    noise = np.random.default_rng(1).normal(0, 0.15, (64, *means.shape))
    features = {name: np.asarray(value)[0] for name, value in own["features"].items()}
    draws = with_newcomers(Draws(features, (means + noise).astype(np.float32)), router)
    return Served(router, "f", np.ones(4, bool), draws)


OPTIONS = {
    "rate": (0.0, 0.03, 1.0),
    "by": ("floor", "posterior"),
    "within": (None, 0.0, 0.1),
    "newcomers": ((), ((NEW, 0.2),)),
    "forbidden": ({}, {"bank": ("a",)}, {"*": (NEW, "b")}),
    "models": (None, ("a", NEW), ("b",)),
    "budget": (None, 0.0021),
    "left": (None, 0.0, 1e-4, 1.0),
}


def test_in_every_combination_the_written_probabilities_keep_to_all_limits(served):
    rng, refused = np.random.default_rng(2), 0
    for values in itertools.product(*OPTIONS.values()):
        own = dict(zip(OPTIONS, values, strict=True))
        limits = Limits(own["forbidden"], own["within"])
        exploring = Exploring(own["rate"], own["by"], limits, own["newcomers"])
        asked = Asked(float(rng.choice([0, 50])), own["models"], "bank", own["budget"])
        x, uniform = EMBEDDINGS[rng.integers(8)], rng.random()
        try:
            found = decide(served, x, asked, exploring, uniform=uniform, left=own["left"])
        except InputError as error:
            assert "no model" in error.problem
            refused += 1
            continue
        p, cost = found.propensities, found.cost
        assert (p >= 0).all() and p.sum() == pytest.approx(1.0, abs=1e-12)
        assert found.arm == np.searchsorted(np.cumsum(p), uniform, side="right")
        barred = {*own["forbidden"].get("*", ()), *own["forbidden"].get("bank", ())}
        may = np.array([name not in barred for name in EVERY])
        may &= np.array([own["models"] is None or name in own["models"] for name in EVERY])
        may &= own["budget"] is None or cost <= own["budget"]
        assert (found.available == may).all() and not p[~may].any()
        if own["within"] is not None:
            assert not p[found.quality < found.quality[found.preferred] - own["within"]].any()
        added = float(p @ cost - cost[found.preferred])  # beside the router's choice
        assert added <= found.dollars + 1e-9
        assert own["left"] is None or found.dollars <= own["left"]
    assert 0 < refused < 1000


def test_thompson_sampling_stops_where_the_dollars_of_the_day_are_spent(served):
    exploring = Exploring(0.0, "posterior")
    asked = Asked(100.0, models=("a", "b"))  # "b" is chosen, "a" is dearer
    free = decide(served, np.float32([-2, 0, 0, 0]), asked, exploring, uniform=0.5)
    assert free.preferred == 1 and free.propensities[0] > 0.01
    spent = decide(served, np.float32([-2, 0, 0, 0]), asked, exploring, uniform=0.5, left=0.0)
    assert spent.propensities.tolist() == [0, 1, 0, 0] and spent.dollars == 0


def test_a_budget_rules_out_what_is_expected_to_cost_more(served):
    rich = decide(served, np.float32([1, 0, 0, 0]), Asked(0.0), Exploring(), uniform=0.5)
    assert rich.model == "a"  # 0.004 dollars; "b" costs 0.002
    asked = Asked(0.0, models=MODELS, budget=0.0021)
    poor = decide(served, np.float32([1, 0, 0, 0]), asked, Exploring(0.5), uniform=0.1)
    assert poor.available.tolist() == [False, True, True, False]
    assert poor.propensities == pytest.approx([0, 0.25, 0.75, 0])
    with pytest.raises(InputError, match=r"for 1e-05 dollars; the least is 0\.001"):
        decide(served, EMBEDDINGS[0], Asked(0.0, budget=1e-5), Exploring(), uniform=0.5)
