"""Baselines against loops in NumPy and values by hand."""

from __future__ import annotations

import numpy as np

from routerjax.baselines.knn import NEIGHBOURS, knn_outcomes
from routerjax.baselines.policies import best_single, greedy, random_choice
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates

OUTCOMES = Estimates(
    quality=np.array([[1.0, 0.5, 0.5], [0.0, 1.0, 0.5], [0.5, 0.25, 0.5]]),
    cost=np.array([[0.03, 0.01, 0.0], [0.03, 0.02, 0.0], [0.0, 0.01, 0.0]]),
)


def test_greedy_by_hand():
    assert greedy(OUTCOMES, cost_weight=0.0).tolist() == [0, 1, 0]  # the first one at a tie
    # λ = 20: [0.4, 0.3, 0.5], [−0.6, 0.6, 0.5], [0.5, 0.05, 0.5]
    assert greedy(OUTCOMES, cost_weight=20.0).tolist() == [2, 1, 0]
    # λ = 30: [0.1, 0.2, 0.5], [−0.9, 0.4, 0.5], [0.5, −0.05, 0.5]
    assert greedy(OUTCOMES, cost_weight=30.0).tolist() == [2, 2, 0]


def test_best_single_by_hand():
    # sums of quality 1.5, 1.75, 1.5; of cost 0.06, 0.04, 0
    assert best_single(OUTCOMES, cost_weight=0.0) == 1
    assert best_single(OUTCOMES, cost_weight=6.0) == 1  # 1.14, 1.51, 1.5
    assert best_single(OUTCOMES, cost_weight=7.0) == 2  # 1.08, 1.47, 1.5


def test_best_single_of_one_row_is_greedy():
    row = OUTCOMES[1:2]
    for weight in (0.0, 20.0, 30.0):
        assert best_single(row, cost_weight=weight) == greedy(row, cost_weight=weight)[0]


def test_random_choice():
    np.testing.assert_array_equal(random_choice(2, 4), np.full((2, 4), 0.25))


def neighbours(log: Log, query: np.ndarray, arm: int, k: int, leave_out: int = -1) -> list[int]:
    """Rows of an arm by squared distance, k of them or all there are."""
    rows = [i for i in range(len(log)) if log.arms[i] == arm and i != leave_out]
    distance = {i: float(((log.embeddings[i].astype(float) - query) ** 2).sum()) for i in rows}
    return sorted(rows, key=lambda i: distance[i])[:k]


def test_knn_against_a_loop():
    rng = np.random.default_rng(5)
    n, m = 90, 3
    x = rng.normal(size=(n, 4)).astype(np.float32)
    arms = rng.choice(m, size=n, p=[0.6, 0.3, 0.1])  # the third has fewer rows than most k
    quality = np.clip(0.5 + 0.4 * np.tanh(x[:, 0]) + 0.1 * rng.normal(size=n), 0, 1)
    cost = 0.01 * rng.random(n)
    log = Log.from_arrays(arms, quality, cost, models="abc", embeddings=x)
    queries = rng.normal(size=(7, 4)).astype(np.float32)

    chosen = {}
    for name, values in (("quality", log.quality), ("cost", log.cost)):
        errors = []
        for k in NEIGHBOURS:
            own = [neighbours(log, x[i], arms[i], k, leave_out=i) for i in range(n)]
            errors.append(sum((values[own[i]].mean() - values[i]) ** 2 for i in range(n)))
        chosen[name] = NEIGHBOURS[int(np.argmin(errors))]
    expected = {
        name: [
            [values[neighbours(log, query, arm, chosen[name])].mean() for arm in range(m)]
            for query in queries
        ]
        for name, values in (("quality", log.quality), ("cost", log.cost))
    }
    got = knn_outcomes(log, queries)
    assert chosen["quality"] != chosen["cost"]  # each has a k of its own
    np.testing.assert_allclose(got.quality, expected["quality"], rtol=1e-4)
    np.testing.assert_allclose(got.cost, expected["cost"], rtol=1e-4)


def test_knn_with_an_arm_of_one_row():
    """Its leave-one-out error is unknown; its prediction is that row's outcome."""
    rng = np.random.default_rng(6)
    arms = np.array([1] + [0] * 20)
    quality = np.concatenate([[0.25], rng.random(20)])
    log = Log.from_arrays(
        arms, quality, np.full(21, 0.5), models="ab", embeddings=rng.normal(size=(21, 2))
    )
    got = knn_outcomes(log, rng.normal(size=(3, 2)))
    np.testing.assert_allclose(got.quality[:, 1], 0.25)
    np.testing.assert_allclose(got.cost, 0.5, rtol=1e-6)
