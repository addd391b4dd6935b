"""Logging policies by hand and by loop, and the draw of a log from a table."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest

from routerjax.data.synthetic.logging_policies import (
    confounded,
    epsilon_greedy,
    noisy_softmax,
    simulate_log,
    uniform,
)
from routerjax.data.synthetic.simulation import logging_policy, simulate, split_test
from routerjax.errors import InputError
from routerjax.records.tables import Table

KEY = jax.random.key(0)
NAN = float("nan")


def table(rows: int = 6, **changes) -> Table:
    quality = np.tile([[1.0, 0.5, 0.0], [0.5, 0.5, 0.25]], (rows // 2, 1))
    cost = np.tile([[0.03, 0.02, 0.001]], (rows, 1))
    fields = {"models": "abc", "task": ["s", "t"] * (rows // 2)}
    return Table.from_arrays(quality, cost, **{**fields, **changes})


def test_uniform():
    np.testing.assert_array_equal(uniform(table(), KEY), np.full((6, 3), 1 / 3))


def test_epsilon_greedy_by_hand():
    got = epsilon_greedy(np.array([0, 2, 1, 0, 0, 0]), epsilon=0.3)(table(), KEY)
    np.testing.assert_allclose(got[:3], [[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]])


@pytest.mark.parametrize("epsilon", [0.0, 1.1, NAN])
def test_epsilon_out_of_range(epsilon):
    with pytest.raises(InputError, match="epsilon is .*; it must lie above 0 and be at most 1"):
        epsilon_greedy(np.zeros(6, int), epsilon=epsilon)


def floored_softmax(scores: list[float], floor: float) -> list[float]:
    weights = [math.exp(score) for score in scores]
    return [(1 - len(scores) * floor) * weight / sum(weights) + floor for weight in weights]


@pytest.mark.parametrize("cost_weight", [0.0, 20.0])
def test_noisy_softmax_without_noise_by_loop(cost_weight):
    policy = noisy_softmax(strength=2.0, noise=0.0, cost_weight=cost_weight, floor=0.05)
    got = policy(table(), KEY)
    means = {"s": [1.0, 0.5, 0.0], "t": [0.5, 0.5, 0.25]}  # the same in every row of a task
    costs = [0.03, 0.02, 0.001]
    utility = [
        [q - cost_weight * c for q, c in zip(means[t], costs, strict=True)] for t in "ststst"
    ]
    flat = [value for row in utility for value in row]
    centre = sum(flat) / 18
    spread = math.sqrt(sum((value - centre) ** 2 for value in flat) / 18)
    expected = [floored_softmax([2 * (u - centre) / spread for u in row], 0.05) for row in utility]
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    np.testing.assert_allclose(got.sum(axis=1), 1.0, rtol=1e-12)


def test_noisy_softmax_never_sees_the_outcome_itself():
    """Cells swapped between two queries of a task leave the task's means and the policy alone."""
    quality = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [0.25, 0.5, 0.5], [0.5, 0.0, 1.0]])
    tasks, policy = ["s", "s", "t", "t"], noisy_softmax(strength=3.0, noise=0.5)
    one, two = (
        policy(Table.from_arrays(q, np.full((4, 3), 0.1), models="abc", task=tasks), KEY)
        for q in (quality, quality[[1, 0, 3, 2]])
    )
    np.testing.assert_allclose(one, two, rtol=1e-5)
    assert (one[0] != one[1]).any()  # each query has noise of its own


def test_strength_zero_is_uniform_and_negative_prefers_the_worse():
    np.testing.assert_allclose(noisy_softmax(strength=0.0)(table(), KEY), np.full((6, 3), 1 / 3))
    worse = noisy_softmax(strength=-3.0, noise=0.0)(table(), KEY)
    assert (worse[0].argmax(), worse[0].argmin()) == (2, 0)


def test_floor_holds_and_noise_follows_the_key():
    sharp = noisy_softmax(strength=50.0, floor=0.1)
    got = sharp(table(), KEY)
    assert got.min() >= 0.1 - 1e-12 and got.max() <= 0.8 + 1e-12
    np.testing.assert_array_equal(got, sharp(table(), KEY))
    assert (got != sharp(table(), jax.random.key(1))).any()


@pytest.mark.parametrize("floor", [1 / 3, 0.5])
def test_floor_too_high(floor):
    with pytest.raises(InputError, match="for 3 models it must be below 1/M"):
        noisy_softmax(floor=floor)(table(), KEY)


def test_floor_below_zero():
    with pytest.raises(InputError, match="logging floor is -0.1; it must be 0 or more"):
        noisy_softmax(floor=-0.1)


def test_confounded_by_loop():
    hidden = np.array([1.0, -2.0, 0.0, 0.5, 0.0, 0.0])
    got = confounded(hidden, strength=1.5, floor=0.02)(table(), KEY)
    means = [0.75, 0.5, 0.125]
    centre = sum(means) / 3
    spread = math.sqrt(sum((mean - centre) ** 2 for mean in means) / 3)
    for row, h in enumerate(hidden):
        scores = [1.5 * h * (mean - centre) / spread for mean in means]
        np.testing.assert_allclose(got[row], floored_softmax(scores, 0.02), rtol=1e-5)
    assert got[0].argmax() == 0 and got[1].argmax() == 2


def test_a_log_holds_the_drawn_cells_and_nothing_else():
    source = table(rows=60, prompts=[f"p{i}" for i in range(60)], split=["train"] * 60)
    log, propensities = simulate_log(source, uniform, key=KEY)
    for row in range(60):
        assert log.quality[row] == source.quality[row, log.arms[row]]
        assert log.cost[row] == source.cost[row, log.arms[row]]
    assert (log.prompts, log.task, log.split) == (source.prompts, source.task, source.split)
    assert log.models == ("a", "b", "c")
    np.testing.assert_allclose(log.propensities, propensities, rtol=1e-6)
    bare, same = simulate_log(source, uniform, key=KEY, record=False)
    assert bare.propensities is None
    np.testing.assert_array_equal(same, propensities)
    np.testing.assert_array_equal(bare.arms, log.arms)


def test_arms_are_drawn_with_their_propensities():
    rows, wanted = 4000, np.array([0.1, 0.3, 0.6])
    log, _ = simulate_log(table(rows), lambda t, key: np.tile(wanted, (rows, 1)), key=KEY)
    share = np.bincount(log.arms, minlength=3) / rows
    assert (abs(share - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / rows)).all()


def test_a_missing_cell_is_never_drawn():
    quality = np.tile([NAN, 0.5, 0.0], (400, 1))
    cost = np.tile([0.1, 0.1, NAN], (400, 1))
    cost[200:] = 0.1
    source = Table.from_arrays(quality, cost, models="abc")
    weights = np.tile([0.5, 0.1, 0.4], (400, 1))
    log, propensities = simulate_log(source, lambda t, key: weights, key=KEY)
    np.testing.assert_allclose(propensities[0], [0, 1, 0])
    np.testing.assert_allclose(propensities[200], [0, 0.2, 0.8])  # 0.1 and 0.4 over 0.5
    assert set(log.arms[:200].tolist()) == {1} and set(log.arms[200:].tolist()) == {1, 2}


def test_a_row_without_any_cell_is_refused():
    quality = np.array([[0.5, 0.5], [NAN, NAN]])
    source = Table.from_arrays(quality, np.ones((2, 2)), models="ab")
    with pytest.raises(InputError, match="row 1: every model is missing here"):
        simulate_log(source, uniform, key=KEY)


@pytest.mark.parametrize("row", [[-0.1, 0.6, 0.5], [NAN, 0.5, 0.5], [0.0, 0.0, 0.0]])
def test_a_policy_of_no_probabilities_is_refused(row):
    with pytest.raises(InputError, match="must give probabilities"):
        simulate_log(table(), lambda t, key: np.tile(row, (6, 1)), key=KEY)


def test_policies_by_name():
    np.testing.assert_array_equal(
        logging_policy("uniform", table())(table(), KEY), np.full((6, 3), 1 / 3)
    )
    many = table(rows=2000)
    quality, cheap = (
        logging_policy(name, many, strength=3.0)(many, KEY).mean(axis=0)
        for name in ("quality", "cheap")
    )
    assert quality[0] > 0.5 > quality[2] and cheap[2] > quality[2]
    with pytest.raises(InputError, match="no logging policy 'best'; known are uniform, quality, c"):
        logging_policy("best", table())


def test_split_by_the_tables_own_split():
    source = table(split=["train", "test", "train", "test", "val", "test"])
    logged, test = split_test(source, share=0.5, seed=0)
    assert logged.split is None and len(logged) == 3 and test.split == ("test",) * 3


def test_split_by_a_share():
    source = table(rows=10, prompts=[f"p{i}" for i in range(10)])
    logged, test = split_test(source, share=0.3, seed=0)
    assert len(test) == 3 and sorted(logged.prompts + test.prompts) == sorted(source.prompts)
    assert split_test(source, share=0.3, seed=0)[1].prompts == test.prompts
    assert [len(part) for part in split_test(source, share=0.999, seed=0)] == [1, 9]
    with pytest.raises(InputError, match="test share is 1; it must lie between 0 and 1"):
        split_test(source, share=1.0, seed=0)
    with pytest.raises(InputError, match="one row cannot be split"):
        split_test(source.rows([0]), share=0.5, seed=0)


def test_simulate_from_a_table_and_from_nothing():
    log, test = simulate(table(rows=10), policy="uniform", record=True, seed=3)
    assert (len(log), len(test)) == (7, 3) and log.propensities.shape == (7, 3)
    again, _ = simulate(table(rows=10), policy="uniform", record=True, seed=3)
    assert again.fingerprint == log.fingerprint
    log, test = simulate(None, rows=40, test_share=0.25)
    assert (len(log), len(test)) == (30, 10) and log.embeddings is None
    assert len(log.models) == 11 and len(log.prompts) == 30 and log.propensities is None
    with pytest.raises(InputError, match="seed is -1; it must lie between"):
        simulate(table(), seed=-1)
