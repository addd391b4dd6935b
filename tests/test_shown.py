"""What the records look like: a few lines of text, and tables for pandas."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

import routerjax as rj
from routerjax.artefacts.gains import GainRoutes
from routerjax.artefacts.routes import Routes
from routerjax.models.policy import Policy

SECRET = "my secret prompt"


def test_a_log_in_one_line(world):
    assert repr(world.log) == (
        "Log(200 rows, 3 models, 16-wide embeddings, quality in [0, 1], no propensities; "
        "source log)"
    )
    log = rj.Log.from_arrays(
        np.arange(1400) % 2,
        np.zeros(1400),
        np.full(1400, 0.01),
        models="ab",
        prompts=[SECRET] * 1400,
        propensities=np.full(1400, 0.5),
        quality_range=(-1, 10),
        source="log.parquet",
    )
    assert repr(log) == (
        "Log(1,400 rows, 2 models, no embeddings yet, quality in [-1, 10], propensities recorded; "
        "source log.parquet)"
    )
    encoded = log.replace(embeddings=np.zeros((1400, 256), np.float32), encoder="wordllama")
    assert "256-wide embeddings by wordllama" in repr(encoded)


def test_a_table_and_its_cells_in_one_line():
    quality = np.array([[1.0, np.nan], [0.0, 1.0]])
    table = rj.Table.from_arrays(quality, np.full((2, 2), 0.01), models="ab", prompts=[SECRET, "b"])
    assert repr(table) == (
        "Table(2 rows, 2 models, no embeddings yet, quality in [0, 1], cells missing: 1; "
        "source table)"
    )
    assert repr(table.estimates) == "Estimates(quality and cost of shape (2, 2))"


def test_records_are_shown_inside_jit_and_as_trees(world):
    shown = []

    @jax.jit
    def double(log):
        shown.append(repr(log))
        return log.quality * 2

    double(world.log)
    assert shown == [repr(world.log)]
    assert repr(jax.tree.map(lambda leaf: None, world.log)) == "Log(of NoneType)"
    assert repr(jax.tree.map(lambda leaf: 1, world.table.estimates)).startswith("Estimates(")


def test_labelled_gains_in_one_line():
    gains = rj.LabelledGains.from_arrays(
        np.zeros((4, 3)), np.arange(4.0), np.arange(4) < 1, costs=[0, 1], models=["small", "big"]
    )
    assert repr(gains) == (
        "LabelledGains(4 rows, 1 of them gold, 3-wide embeddings, gains of big over small, "
        "no propensities; source gains)"
    )


def test_a_router_and_an_evaluation_in_a_few_lines(router, world):
    assert repr(router) == (
        "Router of 3 models: a, b, c\n"
        "  3 cost weights from 0 to 256; quality in [0, 1]\n"
        "  interval, softmax_regret, members: 2\n"
        "  16-wide embeddings"
    )
    assert repr(router.policy) == "Policy(Interval, 3 cost weights from 0 to 256)"
    assert isinstance(router.policy, Policy)
    own = dataclasses.replace(router, encoder="wordllama", models=tuple("abcdefghijklmn"))
    assert "14 models: a, b, c, d, e, f, g, h, i, j, k, l and 2 more\n" in repr(own)
    evaluation = rj.evaluate(router, world.fresh, cost_weights=[0, 64])
    assert repr(evaluation) == (
        "Evaluation on the table table: 200 rows, 0 left out; quality in [0, 1]\n"
        "  methods: router, random, best-single-log, regression-plug-in, best-single-hindsight, "
        "oracle\n"
        "  2 cost weights from 0 to 64"
    )


def test_routes_are_counted():
    arms = np.array([0, 2, 2])
    stayed = np.zeros(3, bool)
    routes = Routes(
        tuple("acc"), arms, np.eye(3)[arms], np.ones(3), np.ones(3), 50.0, tuple("abc"), stayed
    )
    assert repr(routes) == "Routes(3 queries at cost weight 50: 1 to a, 2 to c)"
    gains = GainRoutes(("big", "small", "big"), np.ones(3), np.ones(3))
    assert repr(gains) == "GainRoutes(3 queries: 2 to big, 1 to small)"


def test_routes_as_a_frame(router, world):
    embeddings = world.log.features[:5]
    routes = rj.route(router, embeddings, cost_weight=64)
    frame = routes.to_frame()
    assert list(frame) == [
        "cost_weight",
        "model",
        "quality",
        "cost",
        "fell_back",
        "probability:a",
        "probability:b",
        "probability:c",
    ]
    assert frame["model"].tolist() == list(routes.models) and (frame["cost_weight"] == 64).all()
    for row in range(5):
        probabilities = {name: frame[f"probability:{name}"][row] for name in "abc"}
        assert max(probabilities, key=probabilities.get) == frame["model"][row]
        assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert frame["quality"][row] == routes.quality[row]
        assert frame["cost"][row] == routes.cost[row]
    gains = GainRoutes(("big", "small"), np.array([0.5, -0.5]), np.array([2.0, 1.0]))
    assert gains.to_frame().to_dict("list") == {
        "model": ["big", "small"],
        "gain": [0.5, -0.5],
        "cost": [2.0, 1.0],
    }


@pytest.mark.parametrize("kind", ["table", "log"])
def test_an_evaluation_as_a_frame(router, world, kind):
    data = world.fresh if kind == "table" else world.fresh_log
    evaluation = rj.evaluate(router, data)
    frame = evaluation.to_frame()
    assert len(frame) == len(evaluation.lines)
    assert not frame.duplicated(["method", "cost_weight"]).any()
    for row, line in zip(frame.to_dict("records"), evaluation.lines, strict=True):
        assert (row["method"], row["cost_weight"]) == (line.method, line.cost_weight)
        assert row["utility"] == line.utility.mean and row["cost_high"] == line.cost.high
        assert row["quality_low"] == line.quality.low
        assert row["advantage_standard_error"] == line.advantage.standard_error
    assert frame["regret"].isna().all() == (kind == "log")
    assert frame["effective_sample_size"].isna().all() == (kind == "table")
