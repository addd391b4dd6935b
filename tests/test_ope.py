"""Values of policies on logs: hand-worked, properties of every estimator, against known truth."""

import dataclasses

import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.evaluation.intervals import mean_interval
from routerjax.evaluation.off_policy import (
    OFF_POLICY,
    OffPolicy,
    given_up,
    least_error,
    resolve_off_policy,
    shrunk,
    strengths,
    switched,
    thresholds,
    transformed,
    weighted,
)
from routerjax.evaluation.ope import (
    Scores,
    difference,
    effective_sample_size,
    logged_scores,
    policy_scores,
    policy_weights,
    value,
)
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates

every = pytest.mark.parametrize("name", OFF_POLICY)
NORMALISED = [name for name, own in OFF_POLICY.items() if own.normalised]
MODELLED = [name for name, own in OFF_POLICY.items() if own.baseline]
UNMODELLED = [name for name, own in OFF_POLICY.items() if not own.baseline]


@dataclasses.dataclass(frozen=True)
class Case:
    """A log of three models with what its evaluation takes."""

    log: Log
    predicted: Estimates
    policy: np.ndarray
    choice: np.ndarray

    @property
    def propensities(self):
        return self.policy[np.arange(len(self.policy)), self.log.arms]

    def scores(self, estimator, **changes):
        given = {
            "choice": self.choice,
            "log": self.log,
            "predicted": self.predicted,
            "propensities": self.policy,
        }
        return policy_scores(**(given | {"estimator": estimator} | changes))


def case(seed=0, n=60):
    rng = np.random.default_rng(seed)
    policy, choice = (rng.dirichlet(np.ones(3), size=n) for _ in range(2))
    arms = (policy.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    log = Log(
        arms=arms,
        quality=rng.random(n).astype(np.float32),
        cost=rng.uniform(0.001, 0.02, n).astype(np.float32),
        models=("a", "b", "c"),
    )
    predicted = Estimates(
        quality=rng.random((n, 3)).astype(np.float32),
        cost=rng.uniform(0.001, 0.02, (n, 3)).astype(np.float32),
    )
    return Case(log, predicted, policy, choice)


def estimates(quality, cost):
    return Estimates(quality=quality, cost=cost)


# By hand


TWO = Log.from_arrays(np.array([0, 1]), np.array([1.0, 0.0]), np.array([0.01, 0.02]), models="ab")
HALF = Estimates(
    quality=np.full((2, 2), 0.5, np.float32), cost=np.array([[0.01, 0.02]] * 2, np.float32)
)


def test_values_by_hand():
    """Row 0 weighs 0.5 / 0.25 = 2, row 1 weighs 1 / 0.25 = 4, and row 2 does not follow."""
    log = Log.from_arrays(
        np.array([0, 1, 1]), np.array([1.0, 0.5, 0.0]), np.array([0.1, 0.2, 0.3]), models="ab"
    )
    predicted = Estimates(
        quality=np.array([[0.75, 0.25], [0.5, 0.25], [0.5, 0.5]], np.float32),
        cost=np.zeros((3, 2), np.float32),
    )
    choice, propensities = np.array([[0.5, 0.5], [0, 1], [1, 0]]), np.array([0.25, 0.25, 0.5])
    # weights 2, 4, 0; B 0.5, 0.25, 0.5; residuals 0.25, 0.25, −0.5
    wanted = {
        "direct": [0.5, 0.25, 0.5],
        "ips": [2.0, 2.0, 0.0],
        "dr": [1.0, 1.25, 0.5],
        # V = 4 / 6, w̄ = 2: V + w (q − V) / 2
        "snips": [2 / 3 + 1 / 3, 2 / 3 + 2 * (1 / 2 - 2 / 3), 2 / 3],
        # R = 1.5 / 6 = 0.25, all residuals that weigh are 0.25
        "sndr": [0.75, 0.5, 0.75],
    }
    for name, scores in wanted.items():
        got = policy_scores(choice, log, predicted, propensities, estimator=name)
        np.testing.assert_allclose(got.quality, scores, atol=1e-6)
    got = policy_scores(choice, log, predicted, propensities, estimator="ips")
    np.testing.assert_allclose(got.cost, [0.2, 0.8, 0.0], rtol=1e-6)


def test_a_value_by_hand():
    got = value(np.array([0, 0]), TWO, HALF, np.array([0.5, 0.5]), cost_weight=10.0)
    # row 0 follows: 0.5 + (1 − 0.5)/0.5 = 1.5, less 0.1; row 1 does not: 0.5 less 0.1
    assert got.utility.mean == pytest.approx((1.4 + 0.4) / 2, rel=1e-5)
    assert got.quality.mean == pytest.approx(1.0, rel=1e-5)
    assert got.effective_sample_size == pytest.approx(1.0) and got.advantage is None
    over = logged_scores(TWO)
    np.testing.assert_allclose(over.utility(10.0), [0.9, -0.2], rtol=1e-6)
    got = value(np.array([0, 0]), TWO, HALF, np.array([0.5, 0.5]), cost_weight=10.0, over=over)
    # differences 1.4 − 0.9 and 0.4 + 0.2: mean 0.55, standard error 0.1 / 2
    assert got.advantage[:2] == pytest.approx((0.55, 0.05), rel=1e-5)
    neither = np.array([1, 0])
    assert effective_sample_size(neither, TWO, np.array([0.5, 0.5])) == 0.0


def test_a_floor_keeps_a_rare_arm_from_outweighing_the_rest():
    log = Log.from_arrays(
        np.array([0, 1]), np.array([1.0, 0.0]), np.array([0.01, 0.03]), models="ab"
    )
    predicted = Estimates(
        quality=np.full((2, 2), 0.5, np.float32), cost=np.full((2, 2), 0.02, np.float32)
    )
    propensities = np.array([0.125, 0.5])
    settings = {"cost_weight": 10.0, "floor": 0.25}
    got = value(np.array([0, 0]), log, predicted, propensities, **settings)
    # row 0 follows: quality 0.5 + 0.5 / 0.25, cost 0.02 − 0.01 / 0.25; row 1: 0.5 and 0.02
    assert got.quality.mean == pytest.approx((2.5 + 0.5) / 2)
    assert got.cost.mean == pytest.approx((-0.02 + 0.02) / 2, abs=1e-6)
    assert got.utility.mean == pytest.approx((2.7 + 0.3) / 2)
    # the default floor of 0.01 does not reach: 0.5 + 0.5 / 0.125
    free = value(np.array([0, 0]), log, predicted, propensities, cost_weight=10.0)
    assert free.quality.mean == pytest.approx((4.5 + 0.5) / 2)
    rare = value(np.array([0, 0]), log, predicted, propensities / 1000, cost_weight=10.0)
    assert rare.quality.mean == pytest.approx((0.5 + 0.5 / 0.01 + 0.5) / 2)


def test_effective_sample_size_by_hand():
    log = Log.from_arrays(np.array([0, 1]), np.ones(2), np.ones(2), models="ab")
    propensities = np.array([0.125, 0.5])
    mixed = np.array([[0.5, 0.5], [0.0, 1.0]])
    # 0.5 / 0.25 = 2 and 1 / 0.5 = 2: two rows that weigh alike
    assert effective_sample_size(mixed, log, propensities, floor=0.25) == pytest.approx(2.0)
    # without a floor that reaches 0.5 / 0.125 = 4 and 2: (4 + 2)² / (16 + 4)
    assert effective_sample_size(mixed, log, propensities) == pytest.approx(36 / 20)
    # at the default of 0.01: 0.5 / 0.01 = 50 and 2
    tiny = effective_sample_size(mixed, log, np.array([1e-5, 0.5]))
    assert tiny == pytest.approx(52**2 / (2500 + 4))
    # rows that hardly speak of a policy: weights 0.125 and 0.25, (0.375)² / (0.125² + 0.25²)
    hardly = np.array([[0.125, 0.875], [0.75, 0.25]])
    assert effective_sample_size(hardly, log, np.ones(2)) == pytest.approx(9 / 5)
    # one group of both rows
    assert effective_sample_size(mixed, log, propensities, groups=np.array([0, 0])) == 1.0
    ones = Estimates(quality=np.ones((2, 2)), cost=np.ones((2, 2)))
    got = value(mixed, log, ones, propensities, cost_weight=0.0, floor=0.25)
    assert got.effective_sample_size == pytest.approx(2.0)


def test_transforms_by_hand():
    weights = np.array([0.0, 1.0, 100.0])
    assert switched(weights, 1.0).tolist() == [0.0, 1.0, 0.0]
    # at ξ = 100: 100 / 101 and 10,000 / 10,100
    np.testing.assert_allclose(shrunk(weights, 100.0), [0.0, 100 / 101, 10_000 / 10_100])
    for transform in (switched, shrunk):
        assert transform(weights, np.inf).tolist() == weights.tolist()
    # of 1 and 100 the 5 % quantile is 1 and the 95 % one 100
    whole, *tried = thresholds(weights)
    assert whole == np.inf and len(tried) == 20
    np.testing.assert_allclose(tried[::19], [1.0, 100.0])
    whole, *tried = strengths(weights)
    assert whole == np.inf and len(tried) == 20
    np.testing.assert_allclose(tried[::19], [0.01, 1_000_000.0])
    np.testing.assert_allclose(tried[1] / tried[0], tried[-1] / tried[-2])
    # equal weights but for rounding are all kept
    third = np.array([1 / 3, 0.1 + 0.2 + 1 / 3 - 0.3])
    assert all((switched(third, each) > 0).all() for each in thresholds(third))
    nothing = transformed(OFF_POLICY["switch-dr"], np.zeros(3))
    assert nothing.shape == (21, 3) and not nothing.any()


def test_what_is_given_up_by_hand():
    halves = OffPolicy(
        weights=lambda weights, share: share * weights,
        parameters=lambda weights: np.array([1.0, 0.25]),
    )
    # two rows: mean of w − g(w) of what was met, and of π·(w − g(w)) = p − g over every model
    rows = np.array([4.0, 0.0])
    assert given_up(halves, rows, rows, np.ones(2)).tolist() == [0.0, 1.5]
    every_model = np.array([[4.0, 0.5], [1.0, 1.0]])
    shares = np.array([[0.125, 0.875], [0.5, 0.5]])
    wanted = 0.75 * (0.5 + 0.4375 + 0.5 + 0.5) / 2
    np.testing.assert_allclose(given_up(halves, rows, every_model, shares), [0.0, wanted])


def test_the_parameter_of_least_error_by_hand():
    none = np.zeros(3)
    # variances of the mean: (1 + 1)/1/2 = 1, 0, (0.04 + 0.04)/2 = 0.04
    quality = np.array([[0.0, 2.0], [0.5, 0.5], [0.8, 1.2]])
    assert least_error([quality], [1.0], none, None) == 1
    # squared bounds of the bias: 0, 1.44, 0.64: in all 1, 1.44, 0.68
    lost = np.array([0.0, 0.6, 0.4])
    assert least_error([quality], [1.0], lost, None) == 2
    # with a spread of 1/2 the variances weigh four times: 4, 1.44, 0.8
    assert least_error([quality], [0.5], lost, None) == 2
    # with one of 2 a quarter: 0.25, 1.44, 0.65
    assert least_error([quality], [2.0], lost, None) == 0
    # the other outcome has variances 0, 4, 25 in units of 4: 1 + 0, 0 + 1 …
    other = np.array([[0.0, 0.0], [-2.0, 2.0], [-5.0, 5.0]])
    assert least_error([quality, other], [1.0, 2.0], lost, None) == 0
    assert least_error([quality, other], [1.0, 0.0], lost, None) == 2
    assert least_error([quality], [1.0], none, np.zeros(2, int)) == 0
    # every row four times: 1 and 0.04 + 0.36 by groups, 1/7 and 0.04/7 + 0.36 by rows
    repeated = np.array([[0.0, 2.0], [0.8, 1.2]]).repeat(4, axis=1)
    lost = np.array([0.0, 0.3])
    assert least_error([repeated], [1.0], lost, np.repeat([0, 1], 4)) == 1
    assert least_error([repeated], [1.0], lost, None) == 0


# What holds for all of them


def looped(own, one, weights):
    """Scores of both outcomes by a loop over rows and models."""
    n = len(one.log.arms)
    for observed, model in (
        (one.log.quality, one.predicted.quality),
        (one.log.cost, one.predicted.cost),
    ):
        base, rest = np.zeros(n), np.zeros(n)
        for i, t in enumerate(one.log.arms):
            rest[i] = float(observed[i]) - own.baseline * float(model[i, t])
            for m in range(3):
                base[i] += own.baseline * one.choice[i, m] * float(model[i, m])
        scores = base + weights * rest
        if own.normalised:
            ratio = sum(weights * rest) / sum(weights)
            scores = base + ratio + weights * (rest - ratio) * n / sum(weights)
        yield scores


def looped_error(own, one, parameter, scores):
    """Estimated mean squared error of a parameter, by a loop over rows and models."""
    n, lost, error = len(one.log.arms), 0.0, 0.0
    for i in range(n):
        for m in range(3):
            share = max(one.policy[i, m], 0.01)
            weight = np.array([one.choice[i, m] / share])
            lost += share * (weight - own.weights(weight, parameter))[0] / n
    for each, observed in zip(scores, (one.log.quality, one.log.cost), strict=True):
        error += np.var(each, ddof=1) / n / np.var(observed, dtype=np.float64) + 4 * lost**2
    return error


@every
def test_scores_against_a_plain_loop(name):
    own, one = OFF_POLICY[name], case()
    raw = [one.choice[i, t] / max(one.policy[i, t], 0.01) for i, t in enumerate(one.log.arms)]
    raw = np.array(raw)
    if own.parameters is None:
        quality, cost = looped(own, one, own.weights(raw))
    else:
        tried = own.parameters(raw)
        found = [list(looped(own, one, own.weights(raw, each))) for each in tried]
        errors = [
            looped_error(own, one, each, scores) for each, scores in zip(tried, found, strict=True)
        ]
        assert 0 < np.argmin(errors), "a case in which weights are changed"
        quality, cost = found[int(np.argmin(errors))]
    got = one.scores(name)
    np.testing.assert_allclose(got.quality, quality, rtol=1e-9)
    np.testing.assert_allclose(got.cost, cost, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(got.utility(3.0), quality - 3.0 * cost, rtol=1e-9)


@every
def test_rows_and_arms_may_stand_in_any_order(name):
    one, rng = case(), np.random.default_rng(1)
    rows, arms = rng.permutation(60), np.array([2, 0, 1])
    place = np.argsort(arms)
    turned = Case(
        one.log.replace(
            arms=place[one.log.arms][rows],
            quality=one.log.quality[rows],
            cost=one.log.cost[rows],
        ),
        Estimates(
            quality=one.predicted.quality[rows][:, arms], cost=one.predicted.cost[rows][:, arms]
        ),
        one.policy[rows][:, arms],
        one.choice[rows][:, arms],
    )
    for got, wanted in zip(turned.scores(name), one.scores(name), strict=True):
        np.testing.assert_allclose(got, wanted[rows], rtol=1e-9)


@every
def test_arms_are_probabilities_of_one(name):
    one = case()
    arms = one.choice.argmax(axis=1)
    for got, wanted in zip(
        one.scores(name, choice=arms), one.scores(name, choice=np.eye(3)[arms]), strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-9)


@every
def test_the_policy_that_wrote_the_log_is_worth_what_it_met(name):
    """p = π: all weights are 1. Without a model the scores are the outcomes."""
    one = case()
    choice = np.zeros((60, 3))
    choice[np.arange(60), one.log.arms] = one.propensities
    weights = policy_weights(choice, one.log, one.propensities, floor=0.0)
    np.testing.assert_allclose(weights, 1.0)
    model = one.predicted
    if OFF_POLICY[name].baseline:  # right on average for the log's policy, whichever arm is asked
        means = one.log.quality.mean(), one.log.cost.mean()
        model = estimates(*(np.full((60, 3), mean, np.float32) for mean in means))
        choice[np.arange(60), (one.log.arms + 1) % 3] = 1 - one.propensities
    got = one.scores(name, choice=choice, predicted=model, floor=0.0)
    assert got.quality.mean() == pytest.approx(one.log.quality.mean(), rel=1e-6)
    assert got.cost.mean() == pytest.approx(one.log.cost.mean(), rel=1e-6)
    if not OFF_POLICY[name].baseline:
        np.testing.assert_allclose(got.quality, one.log.quality, rtol=1e-6)


@pytest.mark.parametrize("name", MODELLED)
def test_where_no_row_follows_the_outcome_model_has_the_word(name):
    one = case()
    choice = (one.log.arms + 1) % 3
    got, model = one.scores(name, choice=choice), one.scores("direct", choice=choice)
    np.testing.assert_allclose(got.quality, one.predicted.quality[np.arange(60), choice])
    np.testing.assert_array_equal(got, model)


@pytest.mark.parametrize("name", UNMODELLED)
def test_where_no_row_follows_and_there_is_no_model_nothing_is_known(name):
    one = case()
    got = one.scores(name, choice=(one.log.arms + 1) % 3)
    assert np.isnan(got.quality).all() and np.isnan(got.cost).all() and len(got.cost) == 60
    assert np.isnan(mean_interval(got.quality).standard_error)


@every
def test_weights_of_zero_leave_the_baseline(name):
    own, rng = OFF_POLICY[name], np.random.default_rng(2)
    base, residual = rng.normal(size=(2, 9))
    (got,) = weighted(base, residual, np.zeros((1, 9)), normalised=own.normalised)
    np.testing.assert_array_equal(got, base)


@pytest.mark.parametrize("name", ["ips", "snips"])
def test_dr_without_a_model_is_ips(name):
    one = case()
    none = estimates(*np.zeros((2, 60, 3), np.float32))
    modelled = {"ips": "dr", "snips": "sndr"}[name]
    for got, wanted in zip(
        one.scores(modelled, predicted=none), one.scores(name, predicted=none), strict=True
    ):
        np.testing.assert_allclose(got, wanted)


@pytest.mark.parametrize("name", NORMALISED)
def test_normalised_scores_do_not_mind_the_scale_of_weights_or_the_level_of_outcomes(name):
    one = case()
    wanted = one.scores(name)
    scaled = one.scores(name, propensities=one.policy / 3, floor=0.01 / 3)
    np.testing.assert_allclose(scaled.quality, wanted.quality, rtol=1e-9)
    lifted = dataclasses.replace(
        one,
        log=one.log.replace(quality=one.log.quality + 4, quality_range=(0.0, 5.0)),
        predicted=estimates(one.predicted.quality + 4, one.predicted.cost),
    )
    np.testing.assert_allclose(lifted.scores(name).quality, wanted.quality + 4, atol=1e-5)
    unlike = {"snips": "ips"}.get(name)
    if unlike:
        assert lifted.scores(unlike).quality.mean() != pytest.approx(
            one.scores(unlike).quality.mean() + 4, rel=1e-3
        )


@pytest.mark.parametrize("name", [name for name, own in OFF_POLICY.items() if own.parameters])
def test_weights_are_given_up_where_they_are_huge_and_the_policy_hardly_needs_them(name):
    rng, n = np.random.default_rng(3), 400
    arms = np.where(np.arange(n) % 100 == 0, 0, 1)
    log = Log(
        arms=arms,
        quality=rng.random(n).astype(np.float32),
        cost=rng.uniform(0.01, 0.02, n).astype(np.float32),
        models=("a", "b"),
    )
    model = estimates(np.full((n, 2), 0.5, np.float32), np.full((n, 2), 0.015, np.float32))

    def spreads(asked, logged, propensities=lambda policy: policy):
        """Of scores by the estimator and by dr, for a policy that asks a so often."""
        policy, choice = (np.tile([share, 1 - share], (n, 1)) for share in (logged, asked))
        rare = Case(log, model, policy, choice)
        own, whole = (
            rare.scores(each, propensities=propensities(policy), floor=0.0) for each in (name, "dr")
        )
        return own.quality.std(), whole.quality.std()

    own, whole = spreads(0.02, 0.0002)  # weights of 100, on 2 % of the choices
    assert own < 0.5 * whole
    own, whole = spreads(0.5, 0.005)  # weights of 100, on half of them
    assert own == pytest.approx(whole, rel=0.1)
    own, whole = spreads(0.02, 0.0002, lambda policy: policy[np.arange(n), arms])
    assert own == pytest.approx(whole, rel=0.1)  # nobody knows how much the policy needs them


def world(rng, n):
    """Rows of three models whose means, and whose policy's propensities, are known."""
    x = rng.uniform(-1, 1, size=n)
    truth = np.stack([0.5 + 0.3 * x, 0.6 - 0.2 * x, 0.3 + 0 * x], axis=1)
    policy = np.exp(np.stack([1.5 * x, 0 * x, -1.0 * x], axis=1))
    policy /= policy.sum(axis=1, keepdims=True)
    arms = (policy.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    rows = np.arange(n)
    log = Log(
        arms=arms,
        quality=(rng.random(n) < truth[rows, arms]).astype(np.float32),
        cost=rng.exponential([0.01, 0.02, 0.03], (n, 3))[rows, arms].astype(np.float32),
        models=("a", "b", "c"),
    )
    choice = np.where(x[:, None] > 0, [0.8, 0.2, 0.0], [0.0, 0.5, 0.5])
    return log, truth, policy[rows, arms], choice


@every
def test_values_are_right_on_average(name):
    """300 logs: within 4 Monte-Carlo standard errors, with a wrong model but for direct.

    Truth: E over x uniform on [−1, 1]. On the right half q_a has mean 0.65 and q_b 0.5, on the
    left q_b has 0.7 and q_c 0.3: ½(0.8·0.65 + 0.2·0.5) + ½(0.5·0.7 + 0.5·0.3) = 0.56. Cost:
    ½(0.8·0.01 + 0.2·0.02) + ½(0.5·0.02 + 0.5·0.03) = 0.0185.
    """
    rng, found = np.random.default_rng(4), []
    for _ in range(300):
        log, truth, propensities, choice = world(rng, 150)
        model = truth if name == "direct" else truth + 0.3
        cost = np.tile([0.01, 0.02, 0.03] if name == "direct" else [0.02, 0.02, 0.02], (150, 1))
        scores = policy_scores(
            choice, log, estimates(model, cost), propensities, estimator=name, floor=0.0
        )
        found.append([scores.quality.mean(), scores.cost.mean()])
    off = np.mean(found, axis=0) - [0.56, 0.0185]
    error = np.std(found, axis=0, ddof=1) / np.sqrt(300)
    # ratios are biased by order 1/n, shrinkage by what its estimated error allows
    allowed = np.array([0.01, 0.0003]) if name in ("snips", "sndr", "switch-dr", "dros") else 0.0
    assert np.all(abs(off) < 4 * error + allowed), (off, error)


# Groups, pairs, names


@every
def test_repeated_rows_tell_no_more_than_once(name):
    one, rows = case(), np.tile(np.arange(60), 2)
    twice = Case(one.log.rows(rows), one.predicted[rows], one.policy[rows], one.choice[rows])
    settings = {"cost_weight": 5.0, "estimator": name}
    wanted = value(one.choice, one.log, one.predicted, one.policy, **settings)
    got = value(twice.choice, twice.log, twice.predicted, twice.policy, groups=rows, **settings)
    assert got.utility == pytest.approx(wanted.utility) and got.utility.n == 60
    assert got.quality == pytest.approx(wanted.quality) and got.cost == pytest.approx(wanted.cost)
    assert got.effective_sample_size == pytest.approx(wanted.effective_sample_size)


def test_groups_reach_every_interval():
    one, groups = case(), np.arange(60) // 3
    given = (one.choice, one.log, one.predicted, one.propensities)
    over = logged_scores(one.log)
    got = value(*given, cost_weight=5.0, over=over, groups=groups)
    scores = one.scores("dr")
    utility = scores.quality - 5.0 * scores.cost
    logged = np.asarray(one.log.quality, float) - 5.0 * np.asarray(one.log.cost, float)
    for interval, each in ((got.utility, utility), (got.advantage, utility - logged)):
        wanted = mean_interval(each, groups=groups, heavy_tails=True)
        np.testing.assert_allclose(interval, wanted, rtol=1e-9)
    assert got.utility == scores.interval(5.0, groups=groups)
    assert got.advantage == difference(scores, over, cost_weight=5.0, groups=groups)
    assert got.utility.n == got.quality.n == got.cost.n == got.advantage.n == 20
    assert got.advantage.standard_error != pytest.approx(
        difference(scores, over, cost_weight=5.0).standard_error
    )


def test_a_policy_has_no_advantage_over_itself():
    scores = case().scores("dr")
    assert difference(scores, scores, cost_weight=7.0)[:4] == (0.0, 0.0, 0.0, 0.0)


def test_scores_at_a_cost_weight():
    assert Scores(np.array([1.0]), np.array([0.02])).utility(10.0).tolist() == [0.8]


def test_an_estimator_of_ones_own(tmp_path):
    one = case()
    half = OffPolicy(weights=lambda weights: weights / 2)
    mixed = (one.scores("dr").quality + one.scores("direct").quality) / 2
    np.testing.assert_allclose(one.scores(half).quality, mixed)
    path = tmp_path / "mine.py"
    path.write_text("def halved(weights):\n    return weights / 2\n")
    np.testing.assert_allclose(one.scores(f"{path}:halved").quality, mixed)


def test_names_and_transforms_that_cannot_be_used():
    with pytest.raises(InputError, match="no estimator of a value 'DR'; known are direct, ips"):
        resolve_off_policy("DR")
    with pytest.raises(InputError, match=r"weights of shape \(2,\) for rows of shape \(60,\)"):
        case().scores(OffPolicy(weights=lambda weights: weights[:2]))
    with pytest.raises(InputError, match="not finite"):
        case().scores(OffPolicy(weights=lambda weights: np.full(60, np.nan)))
    with pytest.raises(InputError, match="not finite"):
        case().scores(OffPolicy(weights=lambda weights: np.r_[np.inf, np.ones(59)]))


def _logged(rng, n=500):
    x = rng.uniform(-1, 1, size=n)
    truth = np.stack([0.5 + 0.3 * x, 0.6 - 0.2 * x], axis=1)
    policy = 1 / (1 + np.exp(-np.stack([2 * x, -2 * x], axis=1)))
    arms = (rng.random(n) > policy[:, 0]).astype(int)
    log = Log(
        arms=arms,
        quality=(rng.random(n) < truth[np.arange(n), arms]).astype(np.float32),
        cost=np.full(n, 0.001, np.float32),
        models=("a", "b"),
    )
    return log, policy[np.arange(n), arms], np.full(n, 1)


@pytest.mark.slow
@pytest.mark.parametrize("model_right", [True, False])
def test_interval_covers_the_truth(model_right):
    """95 % intervals of dr values on 1,000 logs: coverage inside its binomial band."""
    rng = np.random.default_rng(11)
    covered, logs = 0, 1_000
    for _ in range(logs):
        log, propensities, arms = _logged(rng)
        quality = np.tile([0.5, 0.6], (500, 1)) if model_right else np.full((500, 2), 0.1)
        predicted = Estimates(
            quality=quality.astype(np.float32), cost=np.full((500, 2), 0.001, np.float32)
        )
        interval = value(arms, log, predicted, propensities, cost_weight=0.0).utility
        covered += interval.low <= 0.6 <= interval.high  # E[0.6 − 0.2·x] over x
    assert abs(covered / logs - 0.95) < 4 * np.sqrt(0.95 * 0.05 / logs)
