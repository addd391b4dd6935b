"""What it costs to retire a model without fitting again, by all cells of a table and by a log."""

from __future__ import annotations

import numpy as np
import pytest
from served_router import COSTS, known_router

import routerjax as rj
from routerjax.cli.commands import main
from routerjax.data.io.writing import write_table
from routerjax.pipelines.compare import compare
from routerjax.pipelines.lines import evaluation_of
from routerjax.support.provenance import dumps, plain

ROUTER = known_router()
N = 400
RNG = np.random.default_rng(7)
X = RNG.normal(size=(N, 4)).astype(np.float32)
QUALITY = (RNG.random((N, 3)) < np.clip(ROUTER.expected(X).quality, 0, 1)).astype(np.float32)
COST = np.float32(COSTS) * RNG.uniform(0.5, 1.5, (N, 3)).astype(np.float32)
TABLE = rj.Table.from_arrays(QUALITY, COST, models="abc", embeddings=X)
ARMS = RNG.integers(0, 3, N)
LOG = rj.Log.from_arrays(
    ARMS,
    QUALITY[np.arange(N), ARMS],
    COST[np.arange(N), ARMS],
    models="abc",
    propensities=np.full((N, 3), 1 / 3),
    embeddings=X,
)


def lost_by_hand(weight: float) -> tuple[list[float], float]:
    """Utility lost on every query without "a", and the share of the queries that move."""
    lost, moved = [], 0
    for row in range(N):
        first = float(np.clip(X[row, 0], -9, 9))
        means = [0.5 + 0.2 * first, 0.5 - 0.2 * first, 0.4]
        utility = [np.clip(means[m], 0, 1) - weight * COSTS[m] for m in range(3)]
        whole, less = int(np.argmax(utility)), 1 + int(np.argmax(utility[1:]))
        got = [float(QUALITY[row, m]) - weight * float(COST[row, m]) for m in range(3)]
        lost.append(got[whole] - got[less])
        moved += whole != less
    return lost, moved / N


def test_on_a_table_it_is_the_paired_difference_over_all_cells():
    found = rj.evaluate(ROUTER, TABLE, cost_weights=(0.0, 50.0), exclude=("a",))
    for own, weight in zip(found.retiring, (0.0, 50.0), strict=True):
        lost, moved = lost_by_hand(weight)
        assert own.lost.mean == pytest.approx(np.mean(lost), abs=1e-6)
        assert own.lost.standard_error == pytest.approx(np.std(lost, ddof=1) / N**0.5, rel=1e-4)
        assert own.moved == moved > 0.2 and own.cost_change.mean < 0
        change = own.quality_change.mean - weight * own.cost_change.mean
        assert own.lost.mean == pytest.approx(-change, abs=1e-6)
    assert evaluation_of(plain(found)).retiring == found.retiring


def test_on_a_log_the_interval_covers_what_all_cells_say():
    found = rj.evaluate(ROUTER, LOG, cost_weights=(0.0,), exclude=("a",))
    [own] = found.retiring
    truth = float(np.mean(lost_by_hand(0.0)[0]))
    assert own.lost.low < truth < own.lost.high and own.unsupported == 0.0
    assert own.lost.high - own.lost.low < 0.4


def test_two_routers_are_compared_without_a_retired_model():
    """The new one differs in "c" alone, which is out of the question without "c"."""
    other = known_router(shift=0.3)
    assert compare(other, ROUTER, LOG, cost_weight=0.0).same < 1.0
    without = compare(other, ROUTER, LOG, cost_weight=0.0, exclude=("c",))
    assert without.same == 1.0 and without.advantage.mean == 0.0


def test_a_command_prints_it_and_refuses_what_cannot_be(tmp_path, capsys):
    ROUTER.save(tmp_path / "router")
    write_table(TABLE, tmp_path / "table.parquet")
    command = ["evaluate", str(tmp_path / "router"), str(tmp_path / "table.parquet"), "--quiet"]
    assert main([*command, "--exclude", "a"]) == 0
    assert "worth less without a" in capsys.readouterr().out
    for names, said in (("x", "no model 'x' to retire"), ("a,b,c", "no model would be left")):
        assert main([*command, "--exclude", names]) == 2
        assert said in capsys.readouterr().err
    assert "retiring" in dumps(rj.evaluate(ROUTER, TABLE, exclude=("a",)))
