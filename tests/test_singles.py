"""Which single model is best by a log: values by hand, and its worth on known truth."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

import routerjax as rj
from routerjax.artefacts.newcomer import with_newcomer, without_newcomers
from routerjax.baselines.policies import first_available
from routerjax.baselines.singles import Singles, logged_means
from routerjax.estimators.elimination import Sizes
from routerjax.estimators.hierarchical import fit_hierarchical, mean_features, variance_of
from routerjax.estimators.moments import moments_of
from routerjax.models.outcomes import predict
from routerjax.pipelines import fit_log
from routerjax.pipelines.expected import singles_by
from routerjax.pipelines.pooled_features import feature_blocks
from routerjax.records.tables import Estimates

WEIGHTS = (0.0, 30.0, 120.0)
CONFIG = rj.FitConfig(
    cost_weights=WEIGHTS, nuisance=rj.NuisanceConfig(components=4, landmarks=4, tasks=0)
)


def _means(quality: list[float], cost: list[float] | None = None) -> Estimates:
    return Estimates(quality=np.array(quality), cost=np.array(cost or [0.0] * len(quality)))


def test_means_alone_pick_the_highest():
    own = Singles(_means([0.5, 0.75, 0.25], [0.004, 0.016, 0.0]))
    assert own.ranks(10.0) == pytest.approx([0.46, 0.59, 0.25])
    assert [own.best(weight) for weight in (0.0, 20.0, 30.0, 70.0)] == [1, 1, 0, 2]


def test_two_deviations_are_taken_from_a_mean():
    own = Singles(_means([0.8, 0.75, 0.2]), np.array([0.1, 0.01, 0.0]))
    assert own.ranks(0.0) == pytest.approx([0.6, 0.73, 0.2])
    there = np.array([[True, True, True], [True, False, True], [False, False, True]])
    assert first_available(own.ranks(0.0), there).tolist() == [1, 0, 2]


@pytest.mark.parametrize(("lead", "best"), [(0.0070, 1), (0.0080, 0)])
def test_the_model_of_plain_means_gives_way_for_a_quarter_of_the_doubt(lead, best):
    """A quarter of 0.03 is 0.0075, however little is known of the other."""
    deviation = np.array([0.03, 0.04, 0.0])
    logged = _means([0.5, 0.9, 0.1])
    own = Singles(_means([0.7 + lead, 0.7, 0.3]), deviation, logged)
    assert own.best(0.0) == best
    there = np.array([[best == 1, best == 0, True]])  # where the best is not, the other comes next
    assert first_available(own.ranks(0.0), there).tolist() == [1 - best]


def test_what_plain_means_pick_follows_the_cost_weight():
    """Plain utilities .6 − .001 λ and .5; b leads by .01 + .001 λ, which is worth it beyond .05."""
    deviation = np.array([0.2, 0.2])
    own = Singles(_means([0.5, 0.51], [0.001, 0.0]), deviation, _means([0.6, 0.5], [0.001, 0.0]))
    assert [own.best(weight) for weight in (0.0, 39.0, 41.0, 101.0)] == [0, 0, 1, 1]
    surer = own._replace(deviation=deviation / 10)  # .01 + .001 λ is beyond .005 at any λ
    assert [surer.best(weight) for weight in (0.0, 101.0)] == [1, 1]


def test_the_order_of_the_models_is_no_matter_where_plain_means_are_equal():
    """Three models answered all they were asked; the least sure of them is not the one."""
    quality, deviation = np.array([0.6, 0.7, 0.65, 0.5]), np.array([0.2, 0.2, 0.01, 0.01])
    logged = np.array([1.0, 1.0, 1.0, 0.9])
    for order in itertools.permutations(range(4)):
        own = list(order)
        found = Singles(_means(quality[own].tolist()), deviation[own], _means(logged[own].tolist()))
        assert own[found.best(0.0)] == 2


def test_a_newcomer_is_never_the_best_however_cheap(fitted):
    router, _ = fitted
    grown = with_newcomer(router, "d", like="c", price=rj.PriceChange(dollars=0.0))
    for weight in (0.0, 10.0, 120.0):
        assert grown.best_single_at(weight) == router.best_single_at(weight)
    cheap = grown.with_prices({"d": rj.PriceChange(0.1), "b": rj.PriceChange(0.9)})
    plain = router.with_prices({"b": rj.PriceChange(0.9)})
    assert cheap.best_single == plain.best_single
    assert without_newcomers(cheap, ["d"]).best_single == plain.best_single


def test_plain_means_by_hand_and_of_a_model_without_rows():
    arms = np.array([0, 0, 2])
    found = logged_means(
        arms, np.array([1.0, 0.5, 0.25]), np.array([0.1, 0.3, 0.5]), models=3, lowest=-1.0
    )
    assert found.quality.tolist() == [0.75, -1.0, 0.25]
    assert found.cost == pytest.approx([0.2, 0.5, 0.5])
    same = Singles(_means([0.5] * 3), np.zeros(3), found)
    assert 1 not in {same.best(weight) for weight in (0.0, 1.0, 1e6)}


def _router_and_log(seed: int = 0) -> tuple[rj.Router, rj.Log]:
    """Model c answers best; a was asked most; costs differ."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 6)).astype(np.float32)
    arms = rng.choice(3, 300, p=[0.6, 0.25, 0.15])
    quality = rng.random(300) < np.array([0.5, 0.45, 0.6])[arms]
    cost = np.array([1e-3, 5e-4, 4e-3])[arms] * rng.uniform(0.8, 1.2, 300)
    log = rj.Log.from_arrays(arms, quality.astype(float), cost, models="abc", embeddings=x)
    return rj.fit(log, config=CONFIG), log


@pytest.fixture(scope="module")
def fitted() -> tuple[rj.Router, rj.Log]:
    return _router_and_log()


def test_the_router_holds_what_the_log_tells(fitted, tmp_path):
    router, log = fitted
    plain = [log.quality[log.arms == arm].mean() for arm in range(3)]
    assert router.logged_quality == pytest.approx(plain)
    spent = [log.cost[log.arms == arm].mean() for arm in range(3)]
    assert router.logged_cost == pytest.approx(spent)
    few, many = router.arm_deviation[2], router.arm_deviation[0]
    assert 0 < many < few < 0.2  # a mean of 45 coin flips has .07, of 180 .04
    own = Singles(
        _means(list(router.arm_quality), list(router.arm_cost)),
        np.array(router.arm_deviation),
        _means(list(router.logged_quality), list(router.logged_cost)),
    )
    router.save(tmp_path / "router")
    loaded = rj.Router.load(tmp_path / "router")
    for weight in (0.0, 7.5, 30.0, 66.0, 120.0):
        assert loaded.best_single_at(weight) == "abc"[own.best(weight)]
    assert loaded.best_single == tuple(map(loaded.best_single_at, WEIGHTS))


def test_at_other_prices_plain_means_move_too(fitted):
    router, _ = fitted
    dear = router.with_prices({"a": rj.PriceChange(10.0)})
    assert dear.logged_cost[0] == pytest.approx(10 * router.logged_cost[0])
    assert dear.logged_cost[1:] == pytest.approx(router.logged_cost[1:])
    assert dear.arm_deviation == router.arm_deviation


def test_deviations_are_those_of_the_mean_features(monkeypatch):
    seen = {}
    kept = fit_log.singles_by

    def watched(prepared, predicted, supported, **more):
        seen.update(prepared=prepared, predicted=predicted, supported=supported)
        return kept(prepared, predicted, supported, **more)

    monkeypatch.setattr(fit_log, "singles_by", watched)
    router, log = _router_and_log(1)
    prepared = seen["prepared"]
    head, posterior = prepared.head, prepared.nuisances.posterior
    params = {
        name: np.asarray(leaf)[0]
        for name, leaf in prepared.model.quality["params"]["features"].items()
    }
    parts = [own for _, own in feature_blocks(head, params, prepared.x)]
    features = np.concatenate(parts)
    np.testing.assert_allclose(mean_features(posterior), features.mean(axis=0), atol=1e-5)
    one = np.zeros((1, 3, features.shape[1]))
    one[0, 2] = features.mean(axis=0)
    variance = variance_of(posterior, one, head.sizes)[0]
    assert router.arm_deviation[2] == pytest.approx(np.sqrt(variance), rel=1e-3)
    # of a fold, by the rows outside it
    of_row = prepared.nuisances.of_row
    outside = features[of_row != 1].mean(axis=0)
    np.testing.assert_allclose(mean_features(posterior, fold=1), outside, atol=1e-5)
    rows = np.flatnonzero(of_row == 1)
    predicted = predict(head, prepared.model, prepared.x[rows])
    found = singles_by(prepared, predicted, seen["supported"][rows], fold=1)
    assert found.logged is not None and found.deviation is not None
    learnt = (of_row != 1) & (np.asarray(log.arms) == 0)
    assert found.logged.quality[0] == pytest.approx(log.quality[learnt].mean())
    assert (found.deviation > np.array(router.arm_deviation)).all()


def test_many_variances_are_those_of_each_alone():
    """More sums than are computed at once give what each gives alone."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 9))
    features[:, 0] = 1
    (moments,) = moments_of(
        features,
        rng.normal(size=(1, 200)) * 0.3,
        rng.integers(0, 3, 200),
        rng.integers(0, 2, 200),
        folds=2,
        models=3,
    )
    sizes = Sizes(4, 4)
    posterior = fit_hierarchical(moments, sizes)
    sums = rng.normal(size=(37, 3, 9))
    together = variance_of(posterior, sums, sizes)
    alone = np.concatenate([variance_of(posterior, sums[i : i + 1], sizes) for i in range(37)])
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_it_loses_less_than_plain_means_and_never_much():
    """Known prior and noise, policies that ask good models more: mean utility over 600 draws."""
    rng = np.random.default_rng(5)
    leads = []
    for _ in range(600):
        truth = 0.6 + 0.1 * rng.normal(size=9)
        count = np.maximum(rng.multinomial(400, _softmax(12 * truth)), 1)
        mean = truth + 0.45 * rng.normal(size=9) / np.sqrt(count)
        kept = 0.1**2 / (0.1**2 + 0.45**2 / count)
        shrunk = 0.6 + kept * (mean - 0.6)
        own = Singles(_means(shrunk.tolist()), 0.1 * np.sqrt(1 - kept), _means(mean.tolist()))
        leads.append(truth[own.best(0.0)] - truth[mean.argmax()])
    error = np.std(leads) / np.sqrt(600)
    assert np.mean(leads) > 0.005 + 4 * error
    assert np.mean(np.array(leads) < -0.1) < 0.01


def _softmax(values: np.ndarray) -> np.ndarray:
    exp = np.exp(values - values.max())
    return exp / exp.sum()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arm_deviation": (0.1, -0.1, 0.1)}, "arm_deviation: .*finite numbers, 0 or more"),
        ({"arm_deviation": (0.1,)}, "arm_deviation: .*0 or 3 of finite numbers"),
        ({"logged_cost": ()}, "logged_quality and logged_cost must be of the same models"),
    ],
)
def test_a_router_folder_of_what_cannot_be(fitted, tmp_path, changes, message):
    router, _ = fitted
    dataclasses.replace(router, **changes).save(tmp_path / "router")
    with pytest.raises(rj.InputError, match=message):
        rj.Router.load(tmp_path / "router")
