"""Exploration: propensities that are computed, and models that are drawn from them."""

from __future__ import annotations

import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.exploration.drawing import drawn
from routerjax.exploration.limits import Limits, explorable, rate_within
from routerjax.exploration.policies import best_of, share_of_best, with_floor

ALL = np.ones(3, bool)


def test_the_best_of_what_is_allowed():
    utility = np.array([[0.2, 0.9, 0.5], [0.7, 0.7, 0.1]])
    allowed = np.array([[True, False, True], [True, True, True]])
    assert best_of(utility, allowed).tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(InputError, match="no model is left"):
        best_of(utility, np.array([[False] * 3, [True] * 3]))


def test_a_floor_is_even_over_what_may_be_explored():
    mixed = with_floor(np.array([0.0, 1.0, 0.0]), np.array([True, True, False]), rate=0.03)
    assert mixed.tolist() == [0.015, 0.985, 0.0]
    alone = with_floor(np.array([0.0, 1.0, 0.0]), np.zeros(3, bool), rate=0.5)
    assert alone.tolist() == [0.0, 1.0, 0.0]
    with pytest.raises(InputError, match="between 0 and 1"):
        with_floor(np.array([1.0, 0.0]), np.ones(2, bool), rate=1.2)


def test_thompson_sampling_is_the_share_of_draws_that_a_model_wins():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(7, 5, 4)).round(1)  # rounded, so that some are equal
    allowed = rng.random((5, 4)) < 0.8
    allowed[:, 0] = True
    expected = np.zeros((5, 4))
    for row in range(5):
        for draw in range(7):
            own = [draws[draw, row, m] if allowed[row, m] else -np.inf for m in range(4)]
            winners = [m for m in range(4) if own[m] == max(own)]
            for m in winners:
                expected[row, m] += 1 / (7 * len(winners))
    assert np.allclose(share_of_best(draws, allowed), expected, atol=1e-15)
    with pytest.raises(InputError, match="at least one draw"):
        share_of_best(draws[:0], allowed)


def test_a_model_is_drawn_where_the_running_sum_passes_and_never_at_probability_0():
    p = np.array([0.0, 0.25, 0.0, 0.75, 0.0])
    assert [int(drawn(p, u)) for u in (0.0, 0.2499, 0.25, 0.9999999999999999)] == [1, 1, 3, 3]
    with pytest.raises(InputError, match="sum to 1"):
        drawn(np.array([0.5, 0.4]), 0.1)
    with pytest.raises(InputError, match="sum to 1"):
        drawn(np.array([1.5, -0.5]), 0.1)


def test_limits_by_tenant_by_quality_and_by_dollars():
    limits = Limits(forbidden={"bank": ("b",), "*": ("c",)}, within=0.1)
    assert limits.allowed("abc", "bank").tolist() == [True, False, False]
    assert limits.allowed("abc", None).tolist() == [True, True, False]
    quality = np.array([0.8, 0.75, 0.6])
    near = explorable(quality, np.array([1.0, 0.0, 0.0]), ALL, within=0.1)
    assert near.tolist() == [True, True, False]
    cost = np.array([0.001, 0.003, 0.002])
    chosen = np.array([1.0, 0.0, 0.0])
    rate, added = rate_within(0.1, left=1.0, cost=cost, probabilities=chosen, explorable=ALL)
    assert rate == 0.1 and added == pytest.approx(0.1 * (0.002 - 0.001))
    none = rate_within(0.1, left=0.00009, cost=cost, probabilities=chosen, explorable=ALL)
    assert none == (0.0, 0.0)
    dear = np.array([0.0, 1.0, 0.0])
    assert rate_within(0.1, left=0.0, cost=cost, probabilities=dear, explorable=ALL) == (0.1, 0.0)
    with pytest.raises(InputError, match="finite and 0 or more"):
        Limits(within=-1.0)


def test_a_hundred_thousand_decisions_follow_their_propensities_and_ips_finds_the_truth():
    """Frequencies match the written probabilities, and ips on the log recovers every model."""
    rng, n, m = np.random.default_rng(5), 100_000, 4
    truth = rng.uniform(0.2, 0.9, (n, m))
    belief = truth + rng.normal(0, 0.3, (8, n, m))  # eight members, each wrong in its own way
    allowed = np.ones((n, m), bool)
    allowed[: n // 2, 3] = False  # a tenant that is never given the last model
    base = share_of_best(belief, allowed)
    near = explorable(belief.mean(axis=0), base, allowed, within=0.4)
    p = with_floor(base, near, rate=0.05)
    arms = drawn(p, rng.random(n))
    assert np.allclose(p.sum(axis=1), 1) and (arms[: n // 2] != 3).all()
    hits = np.eye(m)[arms]
    for arm in range(m):  # calibrated: the sum of hits is that of the propensities
        error = np.sqrt((p[:, arm] * (1 - p[:, arm])).sum())
        assert abs(hits[:, arm].sum() - p[:, arm].sum()) < 4 * error
        for low, high in ((0.0, 0.1), (0.1, 0.5), (0.5, 1.1)):  # where small and where large
            rows = (p[:, arm] > low) & (p[:, arm] <= high)
            error = np.sqrt((p[rows, arm] * (1 - p[rows, arm])).sum())
            assert abs(hits[rows, arm].sum() - p[rows, arm].sum()) < 4 * error
    won = rng.random(n) < truth[np.arange(n), arms]
    for arm in range(m):  # on the rows where the model might have been asked
        rows = p[:, arm] > 0
        scores = won[rows] * hits[rows, arm] / p[rows, arm]
        error = scores.std() / np.sqrt(rows.sum())
        assert abs(scores.mean() - truth[rows, arm].mean()) < 4 * error
