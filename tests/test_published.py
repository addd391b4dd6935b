"""Published metrics of routers: each by hand, its identities, and how it differs from our area."""

import doctest
from itertools import pairwise

import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.evaluation import published
from routerjax.evaluation.curves import Span, area, curve
from routerjax.evaluation.published import (
    average_improvement_in_quality,
    cost_ratio,
    nondecreasing_hull,
    normalized_area,
    pareto_front,
    peak_score,
    quality_neutral_cost,
    routing_collapse_index,
)
from routerjax.records.tables import Estimates

COST = np.array([4.0, 1.0, 2.0, 3.0, 2.0])
QUALITY = np.array([0.9, 0.3, 0.5, 0.4, 0.2])
WITHIN = Span(low=0.0, high=5.0, floor=0.1)


def test_docstring_examples():
    assert doctest.testmod(published).failed == 0


def test_the_front_and_the_hull_by_hand():
    # (3, 0.4) and (2, 0.2) are beaten by (2, 0.5)
    front = pareto_front(COST, QUALITY)
    assert (front.cost.tolist(), front.quality.tolist()) == ([1, 2, 4], [0.3, 0.5, 0.9])
    # slopes 0.2 and 0.2: the middle is on the line, and no corner
    hull = nondecreasing_hull(COST, QUALITY)
    assert (hull.cost.tolist(), hull.quality.tolist()) == ([1, 4], [0.3, 0.9])
    higher = nondecreasing_hull(COST, np.where(QUALITY == 0.5, 0.6, QUALITY))
    assert higher.cost.tolist() == [1, 2, 4]


def test_the_hull_is_the_best_mixture_of_two_points():
    rng = np.random.default_rng(0)
    for _ in range(300):
        size = rng.integers(1, 7)
        cost, quality = rng.integers(0, 6, size) * 1.0, rng.integers(0, 6, size) / 5
        hull = nondecreasing_hull(cost, quality)
        for at in np.linspace(cost.min(), 6.0, 13):
            best = quality[cost <= at].max()
            for one in np.flatnonzero(cost <= at):
                for other in np.flatnonzero(cost > at):
                    part = (at - cost[one]) / (cost[other] - cost[one])
                    best = max(best, quality[one] + part * (quality[other] - quality[one]))
            assert np.interp(at, hull.cost, hull.quality) == pytest.approx(best)


def test_aiq_by_hand():
    got = average_improvement_in_quality(COST, QUALITY, low=1.0, high=5.0)
    assert got == pytest.approx((3 * 0.6 + 1 * 0.9) / 4)  # 0.3 to 0.9, then level
    # from 2 to 3 the hull rises from 0.5 to 0.7
    within = average_improvement_in_quality(COST, QUALITY, low=2.0, high=3.0)
    assert within == pytest.approx(0.6)
    assert average_improvement_in_quality(COST, QUALITY, low=2.0, high=2.0) == pytest.approx(0.5)


def test_aiq_is_not_said_where_the_hull_is_not():
    with pytest.raises(InputError, match=r"cheapest point costs 1.0, more than the low end 0.5"):
        average_improvement_in_quality(COST, QUALITY, low=0.5, high=5.0)
    with pytest.raises(InputError, match="from 5.0 to 1.0 is reversed"):
        average_improvement_in_quality(COST, QUALITY, low=5.0, high=1.0)


def test_nauc_by_hand():
    # front (1, 0.3), (2, 0.5), (4, 0.9): 1·0.4 + 2·0.7 over its own width of 3
    assert normalized_area(COST, QUALITY) == pytest.approx(1.8 / 3)
    # from (0, 0.1), and level to 5: 1·0.2 + 1·0.4 + 2·0.7 + 1·0.9
    assert normalized_area(COST, QUALITY, within=WITHIN) == pytest.approx(2.9 / 5)
    # the value of ORBIT's own test: (0.2, 0.5), (0.8, 0.9) over 0 to 1, nothing at 0
    two = np.array([0.2, 0.8]), np.array([0.5, 0.9])
    assert normalized_area(*two, within=Span(0.0, 1.0, 0.0)) == pytest.approx(0.65)
    assert np.isnan(normalized_area(np.array([1.0, 2.0]), np.array([0.5, 0.4])))
    alike = Span(2.0, 2.0, 0.4)
    assert normalized_area(np.array([2.0]), np.array([0.8]), within=alike) == 0.8


def test_peak_score_by_hand():
    assert peak_score(QUALITY) == 0.9


def test_cost_ratio_and_qnc_by_hand():
    assert cost_ratio(COST, QUALITY, target=0.45, reference_cost=8.0) == 0.25
    assert cost_ratio(COST, QUALITY, target=0.95, reference_cost=8.0) == np.inf
    assert cost_ratio(COST, QUALITY, target=0.45, reference_cost=0.0) == np.inf
    assert cost_ratio(COST, QUALITY, target=0.9 + 1e-12, reference_cost=8.0) == 0.5
    # two best models at 0.5: the cheaper costs 2.5, and the router's point there costs 2
    models = {
        "model_cost": np.array([1.0, 5.0, 2.5]),
        "model_quality": np.array([0.3, 0.5, 0.5]),
    }
    assert quality_neutral_cost(COST, QUALITY, **models) == pytest.approx(0.8)
    with pytest.raises(InputError, match="a cost of -1.0 is negative"):
        cost_ratio(COST, QUALITY, target=0.5, reference_cost=-1.0)
    with pytest.raises(InputError, match="model_cost and model_quality"):
        quality_neutral_cost(
            COST, QUALITY, model_cost=np.array([1.0]), model_quality=np.array([0.1, 0.2])
        )


def test_the_best_single_model_is_neutral_to_itself():
    one = np.array([2.5]), np.array([0.5])
    assert quality_neutral_cost(*one, model_cost=one[0], model_quality=one[1]) == 1.0


OUTCOMES = Estimates(
    quality=np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.2, 0.1, 0.0]]),
    cost=np.array([[1.0, 2.0, 9.0], [1.0, 2.0, 9.0], [1.0, 2.0, 1.0], [1.0, 2.0, 9.0]]),
)
"""Model 2 is the dearest on average; wanted are 0 or 1; 1; 2; 0."""


def test_rci_by_hand():
    arms = np.array([2, 2, 2, 2])  # right on the third query alone
    assert routing_collapse_index(arms, OUTCOMES) == 0.75
    assert routing_collapse_index(np.array([1, 1, 2, 0]), OUTCOMES) == 0.0
    assert routing_collapse_index(np.array([0, 0, 0, 1]), OUTCOMES) == 0.75
    # a coin among three: wanted with 2/3, 1/3, 1/3, 1/3
    even = np.full((4, 3), 1 / 3)
    assert routing_collapse_index(even, OUTCOMES) == pytest.approx(1 - (5 / 3) / 4)


def test_rci_of_a_dearest_model_that_is_never_needed_is_one():
    outcomes = Estimates(quality=np.ones((3, 2)), cost=np.array([[1.0, 2.0]] * 3))
    assert routing_collapse_index(np.ones(3, int), outcomes) == 1.0
    # where all cost alike, all are dearest, and each is right
    alike = Estimates(quality=np.ones((3, 2)), cost=np.ones((3, 2)))
    assert routing_collapse_index(np.ones(3, int), alike) == 0.0


def test_the_order_of_models_does_not_matter():
    rng = np.random.default_rng(1)
    outcomes = Estimates(
        quality=rng.integers(0, 3, (50, 4)) / 2, cost=rng.integers(1, 4, (50, 4)) * 1.0
    )
    arms, order = rng.integers(0, 4, 50), rng.permutation(4)
    moved = Estimates(quality=outcomes.quality[:, order], cost=outcomes.cost[:, order])
    assert routing_collapse_index(np.argsort(order)[arms], moved) == pytest.approx(
        routing_collapse_index(arms, outcomes)
    )
    cost, quality = rng.random(4), np.array([0.5, 0.7, 0.7, 0.2])
    assert quality_neutral_cost(
        COST, QUALITY, model_cost=cost[order], model_quality=quality[order]
    ) == quality_neutral_cost(COST, QUALITY, model_cost=cost, model_quality=quality)


def test_the_order_of_points_does_not_matter():
    rng = np.random.default_rng(2)
    order = rng.permutation(len(COST))
    cost, quality = COST[order], QUALITY[order]
    for got, own in (
        (normalized_area(cost, quality), normalized_area(COST, QUALITY)),
        (
            normalized_area(cost, quality, within=WITHIN),
            normalized_area(COST, QUALITY, within=WITHIN),
        ),
        (
            average_improvement_in_quality(cost, quality, low=1.0, high=5.0),
            average_improvement_in_quality(COST, QUALITY, low=1.0, high=5.0),
        ),
    ):
        assert got == pytest.approx(own)


def test_the_unit_and_the_zero_of_cost():
    """Areas over a range do not know them, a ratio of costs does not know the unit."""

    def moved(cost):
        return 3.0 + 0.001 * cost

    span = Span(moved(WITHIN.low), moved(WITHIN.high), WITHIN.floor)
    assert normalized_area(moved(COST), QUALITY) == pytest.approx(normalized_area(COST, QUALITY))
    assert normalized_area(moved(COST), QUALITY, within=span) == pytest.approx(
        normalized_area(COST, QUALITY, within=WITHIN)
    )
    assert average_improvement_in_quality(
        moved(COST), QUALITY, low=moved(1.0), high=moved(5.0)
    ) == pytest.approx(average_improvement_in_quality(COST, QUALITY, low=1.0, high=5.0))
    assert cost_ratio(0.001 * COST, QUALITY, target=0.4, reference_cost=0.003) == pytest.approx(
        cost_ratio(COST, QUALITY, target=0.4, reference_cost=3.0)
    )


def test_any_rising_map_of_the_mean_costs_leaves_rci():
    dearer = Estimates(quality=OUTCOMES.quality, cost=np.tile(np.array([1.0, 1.5, 1e4]), (4, 1)))
    arms = np.array([2, 1, 2, 1])
    assert routing_collapse_index(arms, dearer) == routing_collapse_index(arms, OUTCOMES) == 0.5


def test_the_hull_is_above_the_front_and_both_below_the_peak():
    rng = np.random.default_rng(3)
    for _ in range(300):
        cost, quality = rng.uniform(0, 5, 6), rng.random(6)
        points = np.r_[WITHIN.low, cost], np.r_[WITHIN.floor, quality]
        hull = average_improvement_in_quality(*points, low=WITHIN.low, high=WITHIN.high)
        front = normalized_area(cost, quality, within=WITHIN)
        assert front - 1e-12 <= hull <= max(peak_score(quality), WITHIN.floor) + 1e-12


def test_where_points_are_in_order_all_areas_are_ours():
    """A rising, concave curve: nothing to pick, nothing to pool."""
    cost, quality = np.array([4.0, 2.0, 1.0]), np.array([0.9, 0.7, 0.5])
    ours = area(curve(cost, quality, WITHIN), WITHIN)
    points = np.r_[WITHIN.low, cost], np.r_[WITHIN.floor, quality]
    assert normalized_area(cost, quality, within=WITHIN) == pytest.approx(ours)
    assert average_improvement_in_quality(*points, low=0.0, high=5.0) == pytest.approx(ours)


def test_nauc_over_its_own_range_rewards_leaving_out_the_cheap_end():
    cost, quality = np.array([4.0, 2.0, 1.0]), np.array([0.9, 0.7, 0.5])
    fewer = cost[:2], quality[:2]
    assert normalized_area(*fewer) > normalized_area(cost, quality)
    within = [normalized_area(*each, within=WITHIN) for each in (fewer, (cost, quality))]
    assert within[0] <= within[1]


def test_noise_counts_as_quality_more_so_at_more_points():
    """On a level router, noise of 0.01: what our area leaves, all of these gain."""
    rng = np.random.default_rng(4)
    within = Span(1.0, 5.0, 0.7)
    gains = []
    for size in (4, 64):
        cost = np.linspace(5, 1.5, size)
        found = []
        for _ in range(300):
            quality = 0.7 + 0.01 * rng.normal(size=size)
            points = np.r_[within.low, cost], np.r_[within.floor, quality]
            found.append(
                (
                    area(curve(cost, quality, within), within),
                    average_improvement_in_quality(*points, low=1.0, high=5.0),
                    normalized_area(cost, quality, within=within),
                    peak_score(quality),
                )
            )
        gains.append(np.mean(found, axis=0) - 0.7)
    for ours, *theirs in gains:
        assert abs(ours) < 0.1 * 0.01
        assert min(theirs) > 0.25 * 0.01
    for few, many in pairwise(gains):
        assert np.all(many[1:] > few[1:])


@pytest.mark.parametrize(
    ("cost", "quality", "message"),
    [
        ([1.0], [0.7, 0.8], r"cost and quality: .* not \[1\] and \[2\]"),
        ([], [], "two arrays of one length, 1 or more"),
        ([np.inf], [0.5], "every point must be finite"),
    ],
)
def test_points_that_cannot_be_are_refused(cost, quality, message):
    cost, quality = np.array(cost), np.array(quality)
    with pytest.raises(InputError, match=message):
        pareto_front(cost, quality)
    with pytest.raises(InputError, match=message):
        average_improvement_in_quality(cost, quality, low=0.0, high=1.0)
    with pytest.raises(InputError, match=message):
        normalized_area(cost, quality, within=WITHIN)
    with pytest.raises(InputError, match=message):
        cost_ratio(cost, quality, target=0.5, reference_cost=1.0)


def test_a_peak_of_nothing_is_refused():
    with pytest.raises(InputError, match="two arrays of one length"):
        peak_score(np.array([]))
