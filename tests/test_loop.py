"""The study of the loop: its world, its users, its table; its README is of what is committed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from experiments.loop import report
from experiments.loop.config import PRESETS, check
from experiments.loop.world import Users, world
from routerjax.errors import InputError

SMALL = dataclasses.replace(PRESETS["smoke"], users=200, start=100)


def test_the_world_has_five_models_a_sixth_half_way_and_a_price_that_falls():
    made = world(SMALL, 0)
    assert len(made.models) == 6 and made.quality.shape == (400, 6)
    assert len(made.first) == 100 and np.allclose(made.first.propensities.sum(axis=1), 1)
    assert made.first.models == tuple(np.delete(made.models, made.newcomer))
    assert made.like != made.newcomer and set(made.trial.arms.tolist()) == {made.newcomer}
    means = made.true_cost.mean(axis=0)
    assert made.new_price.scale == pytest.approx(means[made.newcomer] / means[made.like])
    assert means.argmax() == made.dearest
    assert made.cost_weight == pytest.approx(0.3 / means[made.dearest], rel=0.2)
    rows = slice(0, 3)
    cost = made.true_cost[rows] * np.where(np.arange(6) == made.dearest, 0.5, 1.0)
    wanted = made.true_quality[rows] - made.cost_weight * cost
    assert np.allclose(made.utility(rows, later=True), wanted)
    assert not np.allclose(made.utility(rows, later=False), wanted)


def test_users_are_silent_one_sided_and_late():
    config = dataclasses.replace(SMALL, missing=0.2, silent=0.25, delayed=0.5)
    users = Users(config, np.random.default_rng(0))
    first = users.reports([(f"{i}", float(i % 2), 0.1) for i in range(4000)])
    second = users.reports([])
    said = [*first, *second]
    content = sum(quality for _, quality, _ in said)
    # 0.8 of the 2,000 who are not content say so, 0.8·0.75 of those who are; half of them late
    assert abs(len(said) - content - 1600) < 4 * (2000 * 0.8 * 0.2) ** 0.5
    assert abs(content - 1200) < 4 * (2000 * 0.6 * 0.4) ** 0.5
    assert abs(len(second) - len(said) / 2) < 4 * (len(said) / 4) ** 0.5
    assert users.reports([]) == []


def test_the_table_by_hand():
    own = {"seed": 0, "round": 1, "best_single": 0.5, "oracle": 0.75, "explored": 3}
    rows = [
        {**own, "policy": "loop", "utility": 0.6, "promoted": True},
        {**own, "policy": "floor alone", "utility": 0.4, "promoted": False},
        {**own, "policy": "never refitted", "utility": 0.5},
        {**own, "policy": "greedy", "utility": 0.55, "promoted": True},
        {**own, "policy": "loop", "utility": 0.7, "round": 2},
        {**own, "policy": "floor alone", "utility": 0.4, "round": 2},
        {**own, "policy": "never refitted", "utility": 0.5, "round": 2},
        {**own, "policy": "greedy", "utility": 0.55, "round": 2},
    ]
    lines = [[cell.strip() for cell in line.split("|")] for line in report.table(rows).splitlines()]
    found = {line[1]: line[2:-1] for line in lines}
    assert found["loop"] == ["+0.100", "+0.200", "+0.150", "+0.150", "1 of 1", "6"]
    assert found["never refitted"] == ["+0.000"] * 3 + ["", "", "6"]
    assert found["oracle"][:3] == ["+0.250", "+0.250", "+0.250"]


def test_standard_errors_are_over_seeds_and_paired():
    """Seeds differ by 0.4 in level; the differences are 0.1 and 0.3, their mean 0.2 ± 0.1."""
    rows = []
    for seed, level in ((0, 0.2), (1, 0.6)):
        own = {"seed": seed, "round": 1, "best_single": level, "oracle": level, "explored": 0}
        for policy in ("floor alone", "never refitted", "greedy"):
            rows.append({**own, "policy": policy, "utility": level})
        rows.append({**own, "policy": "loop", "utility": level + (0.1, 0.3)[seed]})
    [line] = [line for line in report.table(rows).splitlines() if "loop" in line]
    cells = [cell.strip() for cell in line.split("|")]
    assert cells[2:5] == ["+0.200 ± 0.100"] * 3


def test_the_readme_is_of_the_committed_results():
    assert report.README.read_text(encoding="utf-8") == report.readme()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rounds": 1}, "rounds is 1"),
        ({"missing": 1.0}, "below 1"),
        ({"price": 0.0}, "the price above 0"),
    ],
)
def test_what_cannot_be_run_is_refused(changes, said):
    with pytest.raises(InputError, match=said):
        check(dataclasses.replace(SMALL, **changes))
