"""Outcomes that are missing more of some models: whose propensities the rows that are left have."""

from __future__ import annotations

import base64

import numpy as np
import pytest

import routerjax as rj
from routerjax.data.io.decisions import read_decisions
from routerjax.data.io.feedback_rates import of_known, shares_known
from routerjax.serving.decision_log import DecisionLog


def test_shares_that_differ_by_chance_are_one():
    arms, known = np.repeat([0, 1], 50), np.tile([1, 1, 0, 1, 0], 20)
    assert shares_known(arms, known, 3) is None
    assert shares_known(arms, np.ones(100, int), 3) is None
    known[:50] = 1
    found = shares_known(arms, known, 3)
    mean, own = 0.8, np.array([50, 30])
    assert found[:2] == pytest.approx((own + 16 * mean) / 66) and found[2] == pytest.approx(mean)


def test_what_is_left_has_the_propensities_of_what_is_left():
    """Two kinds of queries, drawn otherwise; what is known of "b" is known three times as often.
    ips with the propensities of the draws is far off, with those of what is left it is right."""
    rng, n = np.random.default_rng(0), 40_000
    chances = np.where(rng.random(n)[:, None] < 0.5, [[0.8, 0.2]], [[0.3, 0.7]])
    arms = (rng.random(n) < chances[:, 1]).astype(int)
    known = rng.random(n) < np.array([0.3, 0.9])[arms]
    truth = np.stack([chances[:, 0], 0.5 * chances[:, 1]], axis=1)  # the better, the likelier
    won = rng.random(n) < truth[np.arange(n), arms]
    shares = shares_known(arms, known.astype(int), 2)
    assert shares == pytest.approx([0.3, 0.9], abs=0.02)
    left, hits = of_known(chances[known], shares), np.eye(2)[arms[known]]
    for arm in (0, 1):
        assert (hits[:, arm] / left[:, arm]).mean() == pytest.approx(1.0, abs=0.03)
        scores = won[known] * hits[:, arm] / left[:, arm]
        error = scores.std() / len(scores) ** 0.5
        assert abs(scores.mean() - truth[known, arm].mean()) < 4 * error
        wrong = won[known] * hits[:, arm] / chances[known, arm]
        assert abs(wrong.mean() - truth[known, arm].mean()) > 20 * error


def test_a_decision_log_says_that_a_model_was_down_half_of_the_time(tmp_path):
    log = DecisionLog(tmp_path, header={"encoder": None, "quality_range": [0.0, 1.0]})
    embedding = base64.b64encode(np.float32([1, 0]).tobytes()).decode()
    common = {"models": ["a", "b"], "propensities": [0.5, 0.5], "embedding": embedding}
    for number in range(200):
        model, name = "ab"[number % 2], str(number)
        log.write("decision", id=name, model=model, **common)
        log.write("answer", id=name, model="a" if number % 4 == 3 else model, cost=0.001)
        log.write("feedback", id=name, quality=1.0)
    log.close()
    with pytest.warns(rj.DataWarning) as caught:
        found = read_decisions(tmp_path).log
    said = "known of 97% of the decisions for a and of 53% of those for b"
    assert any(said in str(each.message) for each in caught)
    assert len(found) == 150 and found.arm_counts.tolist() == [100, 50]
    a, b = (100 + 16 * 0.75) / 116, (50 + 16 * 0.75) / 116
    assert np.allclose(found.propensities, [[a / (a + b), b / (a + b)]])
