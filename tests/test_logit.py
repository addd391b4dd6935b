"""A logit on discriminants: the policy of a router that runs already, and what it leaves alone."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import approx_fprime

import routerjax as rj
from routerjax.estimators.discriminants import Discriminants, discriminants
from routerjax.estimators.logit import _loss, fit_logit, fitted_slopes, logit_odds, tells
from routerjax.models.heads import Scaling
from routerjax.models.propensity import surely
from routerjax.pipelines.lines import evaluation_of
from routerjax.pipelines.nuisance import propensities_of
from routerjax.records.logs import Log
from routerjax.support.provenance import plain


def _by_scores(seed, rows, *, steep, models=3, width=5):
    """x, arms and their chances: a softmax of `steep` times linear scores of x."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, width))
    odds = steep * x @ np.random.default_rng(100 + seed).normal(size=(width, models))
    chance = np.asarray(jax.nn.softmax(jnp.asarray(odds), axis=1), np.float64)
    arms = (chance.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, models - 1)
    return x, arms, chance


def _found(x, arms, models=3):
    could, of_row = np.ones((len(x), models), bool), np.arange(len(x)) % 5
    return discriminants(x, np.arange(models) == arms[:, None], could, of_row), could, of_row


def test_the_gradient_is_that_of_the_loss():
    rng = np.random.default_rng(0)
    z, answered = rng.normal(size=(20, 4)), np.eye(3)[rng.integers(0, 3, 20)]
    never = np.where(rng.random((20, 3)) < 0.2, -1e9, 0.0) * (1 - answered)
    at, root = rng.normal(size=12), rng.normal(size=(4, 4))
    prior = root @ root.T
    _, slope = _loss(at, z, answered, never, prior)
    numeric = approx_fprime(at, lambda each: _loss(each, z, answered, never, prior)[0], 1e-6)
    np.testing.assert_allclose(slope, numeric, rtol=1e-4, atol=1e-4)


def test_the_loss_by_hand():
    """Two arms with odds 0 and log 3, the first answered: −log ¼. One slope of 1 costs 1/50."""
    slopes, prior = np.array([0.0, np.log(3), 1.0, 0.0]), np.diag([0.0, 1 / 25])
    row, asked = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]])
    value, _ = _loss(slopes, row, asked, np.zeros((1, 2)), prior)
    assert value == pytest.approx(np.log(4) + 1 / 50)


@pytest.mark.parametrize("alike", [False, True])
def test_slopes_are_where_the_plain_gradient_is_zero(alike):
    """Also where one feature is the sum of the others, as discriminants of all arms are."""
    rng = np.random.default_rng(4)
    z, could = rng.normal(size=(400, 3)) * [1.0, 10.0, 0.1] + [0, 5, 0], np.ones((400, 3), bool)
    z[:, 2] = z[:, 0] + z[:, 1] if alike else z[:, 2]
    arms = np.where(rng.random(400) < 0.7, (z[:, 0] > 0) + (z[:, 1] > 8), rng.integers(0, 3, 400))
    found = fitted_slopes(z, arms, could, np.zeros((4, 3)), spread=2.0)
    odds = found[0] + z @ found[1:]
    chance = np.exp(odds - odds.max(axis=1, keepdims=True))
    missed = chance / chance.sum(axis=1, keepdims=True) - np.eye(3)[arms]
    slope = z.T @ missed + found[1:] / 4
    assert np.abs(missed.sum(axis=0)).max() < 0.5  # of 400 rows
    assert (np.abs(slope).max(axis=1) < 0.5 * np.sqrt((z**2).mean(axis=0))).all()


@pytest.mark.parametrize("steep", [0.5, 2.0])
def test_the_chances_of_a_policy_of_scores_are_found_by_rows_that_it_never_saw(steep):
    x, arms, chance = _by_scores(0, 4000, steep=steep)
    found, could, of_row = _found(x, arms)
    odds = logit_odds(fit_logit(found, arms, could, of_row), x)[of_row, np.arange(4000)]
    own = np.asarray(jax.nn.softmax(odds, axis=1))
    assert np.abs(own - chance).mean() < 0.03


def test_a_logit_is_not_fitted_to_the_rows_of_its_fold():
    """Of given discriminants, whatever the rows of fold 2 answered changes that of other folds."""
    x, arms, _ = _by_scores(1, 400, steep=1.0)
    found, could, of_row = _found(x, arms)
    own = fit_logit(found, arms, could, of_row)
    again = fit_logit(found, np.where(of_row == 2, (arms + 1) % 3, arms), could, of_row)
    np.testing.assert_allclose(again.coefficients[2], own.coefficients[2], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        again.intercepts[2] - again.intercepts[2].mean(),
        own.intercepts[2] - own.intercepts[2].mean(),
        atol=1e-3,
    )
    assert not np.allclose(again.coefficients[0], own.coefficients[0], rtol=0.05, atol=0.02)


def test_an_arm_that_could_not_be_asked_has_no_part_in_the_softmax():
    rng = np.random.default_rng(0)
    arms, of_row = rng.integers(0, 2, 300), np.arange(300) % 5
    could = np.ones((300, 3), bool)
    could[:, 2] = False
    scores = rng.normal(size=(300, 3)).astype(np.float32)
    flat = Discriminants(np.zeros((5, 2, 3)), np.zeros((5, 3)), scores)
    logit = fit_logit(flat, arms, could, of_row)
    assert np.isfinite(logit.coefficients).all() and np.isfinite(logit.intercepts).all()


def test_a_policy_that_ignores_the_query_is_left_alone():
    told = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x, arms = rng.normal(size=(300, 8)), rng.integers(0, 3, 300)
        found, could, _ = _found(x, arms)
        told += tells(found, np.arange(3) == arms[:, None], could, np.arange(300))
    assert told == 0


def test_one_that_reads_it_is_seen_and_groups_count_once():
    x, arms, _ = _by_scores(2, 300, steep=1.0)
    found, could, _ = _found(x, arms)
    asked = np.arange(3) == arms[:, None]
    assert tells(found, asked, could, np.arange(300))
    assert not tells(found, asked, could, np.zeros(300, int))


def test_a_soft_policy_is_not_said_to_be_certain():
    x, arms, _ = _by_scores(3, 1500, steep=0.5)
    quality = np.random.default_rng(0).integers(0, 2, 1500).astype(float)
    cost, own = np.full(1500, 0.01), x.astype(np.float32)
    log = Log.from_arrays(arms, quality, cost, models="abc", embeddings=own)
    router = rj.fit(log, config=rj.FitConfig(cost_weights=(0.0,)))
    assert router.logit
    assert not any("nearly certain" in note for note in router.report["evaluation"]["notes"])


def test_what_is_sure_by_hand():
    """Two folds, ½ and ⅛: logarithms ± log 2 about their mean, e = log 2, and so half of π̂."""
    by_fold = np.array([[[0.5]], [[0.125]]])
    np.testing.assert_allclose(surely(by_fold, np.array([[0.3]])), [[0.15]], rtol=1e-6)
    np.testing.assert_allclose(surely(jnp.asarray(by_fold), jnp.asarray([[0.3]])), [[0.15]], 1e-5)
    same = np.full((5, 1, 1), 0.25)
    np.testing.assert_allclose(surely(same, same[0]), same[0])


def test_near_an_edge_nothing_is_told_of_a_router_that_the_same_propensities_let_choose():
    log, _ = _argmax(0)
    known = propensities_of(log, Scaling.of(log.features), key=jax.random.key(0))
    own = known.of_own_choices
    np.testing.assert_array_equal(own.told, ~known.near)
    assert known.near.any(axis=0).all() and known.near.mean() < 0.2
    assert (known.supported >= known.near).all() and known.told is None
    told = np.arange(3) != np.ones((1500, 1))
    both = known._replace(told=told).of_own_choices.told
    np.testing.assert_array_equal(both, told & ~known.near)
    plain = known._replace(near=None)
    assert plain.of_own_choices is plain


def test_a_policy_of_soft_scores_has_no_edge():
    x, arms, _ = _by_scores(3, 1500, steep=0.5)
    cost, own = np.full(1500, 0.01), x.astype(np.float32)
    log = Log.from_arrays(arms, np.zeros(1500), cost, models="abc", embeddings=own)
    known = propensities_of(log, Scaling.of(log.features), key=jax.random.key(0))
    assert known.model.logit is not None and known.near is None


def test_a_policy_that_explores_enough_may_be_beaten():
    """The likelier of two models is asked for 0.75, whichever it is; it is right on 0.4, the other
    on 0.9: a router that asks the other is worth 0.375 more, and the page says so."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 6)).astype(np.float32)
    likelier = (x @ rng.normal(size=6) > 0).astype(int)
    arms = np.where(rng.random(3000) < 0.75, likelier, 1 - likelier)
    right = (rng.random(3000) < np.where(arms == likelier, 0.4, 0.9)).astype(float)
    log = Log.from_arrays(arms, right, np.full(3000, 0.01), models="ab", embeddings=x)
    router = rj.fit(log, config=rj.FitConfig(cost_weights=(0.0,)))
    assert router.arrays.propensities.logit.random.min() > 0.1
    page = evaluation_of(plain(router.report["evaluation"]))
    (line,) = page.of("router")
    assert line.verdict == "better" and not line.nearly_certain
    assert not any("nearly certain" in note for note in page.notes)


def _argmax(seed, rows=1500, models=3, width=4):
    """A router runs: the highest of linear scores, 6 % at random. Models answer well, 0.8, where
    they are sent, and 0.2 elsewhere; model 0 has 0.5 there."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(models, width))

    def best(x):
        return (x @ scores.T).argmax(axis=1)

    def quality(x):
        found = np.full((len(x), models), 0.2)
        found[:, 0] = 0.5
        found[np.arange(len(x)), best(x)] = 0.8
        return found

    x = rng.normal(size=(rows, width)).astype(np.float32)
    arms = np.where(rng.random(rows) < 0.06, rng.integers(0, models, rows), best(x))
    right = rng.random(rows) < quality(x)[np.arange(rows), arms]
    log = Log.from_arrays(
        arms, right.astype(float), np.full(rows, 0.01), models="abc", embeddings=x
    )
    return log, quality


def test_the_page_of_a_log_that_a_router_wrote(tmp_path):
    misses, gains = [], []
    for seed in range(4):
        log, quality = _argmax(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rj.DataWarning)  # of models with few rows
            router = rj.fit(log, config=rj.FitConfig(cost_weights=(0.0,)))
        assert router.logit and router.arrays.propensities.logit.random.any()
        assert any("nearly certain" in note for note in router.report["evaluation"]["notes"])
        page = evaluation_of(plain(router.report["evaluation"]))
        (line,) = page.of("router")
        (today,) = page.of("today")
        assert line.nearly_certain and not today.nearly_certain and line.verdict != "better"
        why = "hardly ever asks the model that the router chooses, or is not known to ask it"
        if line.band[0] > 0:
            why = (
                "estimates, which are too high where today's policy, nearly certain of most queries"
            )
        assert why in page.verdict[1]
        x = np.random.default_rng(1000 + seed).normal(size=(20_000, 4)).astype(np.float32)
        truth = quality(x)[np.arange(20_000), router.route(x, cost_weight=0.0).arms].mean()
        assert line.quality.low <= truth <= line.quality.high
        misses.append(line.utility.mean - truth)
        gains.append(truth)
    assert np.mean(misses) < 0.03 and np.mean(gains) > 0.7
    router.save(tmp_path / "run")
    again = rj.load(tmp_path / "run")
    found = again.route(x[:50], cost_weight=0.0)
    np.testing.assert_array_equal(found.arms, router.route(x[:50], cost_weight=0.0).arms)
    np.testing.assert_array_equal(
        again.arrays.propensities.logit.coefficients, router.arrays.propensities.logit.coefficients
    )
