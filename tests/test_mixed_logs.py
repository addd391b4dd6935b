"""The study of logs whose scores come from judges but for some gold ones: its logs, its pairing."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.meta_router import mixed_logs
from experiments.meta_router.mixed_logs import ARMS, FAVOUR, LOGGED, Setting, mixed_log, table
from routerjax.data.synthetic.table import embedded_table


@pytest.fixture(scope="module")
def drawn():
    return embedded_table(3, queries=LOGGED, dimensions=16)


@pytest.mark.parametrize(("judges", "named"), [(1, {"judge 0"}), (2, {"judge 0", "judge 1"})])
def test_a_judges_score_is_the_right_one_and_its_favour(drawn, judges, named):
    log, right = mixed_log(drawn, Setting(0.2, 0.3, judges), seed=5)
    by = np.array(log.scored_by)
    gold = by == "human"
    assert gold.sum() == 400 and set(by[~gold]) == named and len(log.models) == 9
    columns = np.array(ARMS)[log.arms]
    cells = drawn.table.quality[np.arange(LOGGED), columns]
    np.testing.assert_allclose(right.quality, cells, atol=1e-6)
    np.testing.assert_array_equal(log.quality[gold], right.quality[gold])
    for row in np.flatnonzero(~gold)[:40]:
        favour = FAVOUR[log.arms[row]] if by[row] == "judge 0" else FAVOUR[log.arms[row] - 1]
        added = 0.3 * favour * (1 + np.tanh(drawn.difficulty[row]))
        assert log.quality[row] - right.quality[row] == pytest.approx(added, abs=1e-6)


def test_every_router_of_a_seed_learns_from_its_own_scores(monkeypatch, drawn):
    """A stand-in for the fit: the share of gold rows, ten times the judges told apart."""

    def value(log, table, *, gold=None):
        by = set(log.scored_by)
        return len(log) / LOGGED + (10 * len(by - {"human"}) if gold else 0)

    monkeypatch.setattr(mixed_logs, "value", value)
    monkeypatch.setattr(
        "routerjax.data.synthetic.table.embedded_table", lambda *given, **more: drawn
    )
    found = {Setting(*(each[n] for n in Setting._fields)): each for each in mixed_logs.measured(1)}
    assert set(found) == set(mixed_logs.SETTINGS)
    one, two = found[Setting(0.05, 0.3, 1)], found[Setting(0.2, 0.3, 2)]
    assert (one["all gold"], one["judge"], one["gold"], one["corrected"]) == (1, 1, 0.05, 11)
    assert "as one judge" not in one
    assert (two["gold"], two["corrected"], two["as one judge"]) == (0.2, 21, 11)


def test_what_the_correction_gains_is_paired_over_seeds():
    first = {"share": 0.2, "strength": 0.3, "judges": 2, "all gold": 0.9}
    draws = [
        {**first, "seed": 0, "judge": 0.5, "gold": 0.25, "corrected": 0.75, "as one judge": 0.75},
        {**first, "seed": 1, "judge": 0.25, "gold": 0.25, "corrected": 0.75, "as one judge": 0.5},
        {**first, "seed": 0, "judges": 1, "judge": 0.5, "gold": 0.25, "corrected": 0.75},
    ]
    lines = table({"draws": draws}).splitlines()
    cells = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    assert cells[:4] == ["2", "0.3", "0.2", "2"]
    # 0.25 and 0.5 more than the judge, 0.5 twice more than gold, 0 and 0.25 more than as one
    assert cells[-3:] == ["+0.3750 ± 0.1250", "+0.5000 ± 0.0000", "+0.1250 ± 0.1250"]
    assert lines[3].split("|")[-2].strip() == ""
