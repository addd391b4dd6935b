"""What every counterfactual estimator of the library must satisfy, and estimators of a user."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.estimators.counterfactual import (
    ESTIMATORS,
    Estimator,
    doubly_robust,
    estimate,
    importance_weights,
    resolve_estimator,
)
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates

N, M = 12, 4
every = pytest.mark.parametrize("estimator", list(ESTIMATORS))


@dataclasses.dataclass(frozen=True)
class Rows:
    """A log of twelve rows and four models, with predictions and propensities."""

    log: Log
    predicted: Estimates
    propensities: np.ndarray


@pytest.fixture
def rows() -> Rows:
    rng = np.random.default_rng(0)
    log = Log.from_arrays(
        rng.permutation(np.arange(N) % M), rng.random(N), rng.random(N) / 100, models="abcd"
    )
    predicted = Estimates(
        quality=rng.random((N, M), np.float32), cost=rng.random((N, M), np.float32) / 100
    )
    return Rows(log, predicted, rng.uniform(0.05, 1.0, N))


def both(rows, estimator, **settings):
    """Estimates of quality and cost, [2, n, m]."""
    got = estimate(rows.log, rows.predicted, rows.propensities, estimator=estimator, **settings)
    return np.stack([got.quality, got.cost])


@every
def test_estimates_are_those_of_a_plain_loop(estimator, rows):
    """The baseline, and at the arm that answered what the weighted residual adds."""
    parts = ESTIMATORS[estimator]
    inverse = jnp.asarray([1 / max(chance, 0.1) for chance in rows.propensities])
    weights = np.asarray(parts.weights(inverse))
    for got, predicted, observed in (
        (both(rows, estimator, floor=0.1)[0], rows.predicted.quality, rows.log.quality),
        (both(rows, estimator, floor=0.1)[1], rows.predicted.cost, rows.log.cost),
    ):
        want = np.array(parts.baseline(jnp.asarray(predicted)))
        for i, arm in enumerate(rows.log.arms):
            want[i, arm] += weights[i] * (observed[i] - want[i, arm])
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@every
def test_order_of_rows(estimator, rows):
    order = np.random.default_rng(1).permutation(N)
    predicted = Estimates(quality=rows.predicted.quality[order], cost=rows.predicted.cost[order])
    log = Log.from_arrays(
        rows.log.arms[order], rows.log.quality[order], rows.log.cost[order], models="abcd"
    )
    turned = Rows(log, predicted, rows.propensities[order])
    np.testing.assert_allclose(both(turned, estimator), both(rows, estimator)[:, order], rtol=1e-5)


@every
def test_order_of_arms(estimator, rows):
    order = np.array([2, 0, 3, 1])
    log = Log.from_arrays(
        np.argsort(order)[rows.log.arms], rows.log.quality, rows.log.cost, models="cadb"
    )
    predicted = Estimates(
        quality=rows.predicted.quality[:, order], cost=rows.predicted.cost[:, order]
    )
    turned = Rows(log, predicted, rows.propensities)
    np.testing.assert_allclose(
        both(turned, estimator), both(rows, estimator)[:, :, order], rtol=1e-5
    )


@every
def test_compiled_or_not(estimator, rows):
    with jax.disable_jit():
        one_by_one = both(rows, estimator)
    np.testing.assert_allclose(both(rows, estimator), one_by_one, rtol=1e-5, atol=1e-6)


@every
def test_estimates_are_finite_at_and_below_the_floor(estimator, rows):
    rare = dataclasses.replace(rows, propensities=np.resize([0.0, 1e-12, 0.01, 1.0], N))
    floored = dataclasses.replace(rows, propensities=np.resize([0.01, 0.01, 0.01, 1.0], N))
    got = both(rare, estimator, floor=0.01)
    assert np.isfinite(got).all()
    np.testing.assert_array_equal(got, both(floored, estimator, floor=0.01))


@every
def test_predictions_that_are_right_stay_as_they_are(estimator, rows):
    """Where the baseline is the predictions, whatever the weights."""
    each = np.arange(N)
    quality, cost = rows.predicted.quality.copy(), rows.predicted.cost.copy()
    quality[each, rows.log.arms], cost[each, rows.log.arms] = rows.log.quality, rows.log.cost
    right = Rows(rows.log, Estimates(quality=quality, cost=cost), rows.propensities)
    baseline = ESTIMATORS[estimator].baseline(jnp.asarray(quality))
    if np.array_equal(baseline, quality):
        np.testing.assert_allclose(both(right, estimator), [quality, cost], rtol=1e-6)
    else:  # a row whose arm was certain is estimated at its outcome all the same
        certain = dataclasses.replace(right, propensities=np.ones(N))
        got = both(certain, estimator)[:, each, rows.log.arms]
        np.testing.assert_allclose(got, [rows.log.quality, rows.log.cost], rtol=1e-6)


@every
def test_weights_of_zero_leave_the_baseline(estimator, rows):
    baseline = ESTIMATORS[estimator].baseline
    bare = both(rows, Estimator(weights=jnp.zeros_like, baseline=baseline))
    predicted = jnp.asarray([rows.predicted.quality, rows.predicted.cost])
    np.testing.assert_array_equal(bare, [baseline(each) for each in predicted])


def halved(weights):
    return weights / 2


def test_an_estimator_of_ones_own(rows, tmp_path):
    """As a function, as a record, by the file and name of either: half the residual of dr."""
    direct, dr = both(rows, "direct"), both(rows, "dr")
    path = tmp_path / "mine.py"
    path.write_text(
        "from routerjax.estimators.counterfactual import Estimator\n"
        "def halved(weights):\n    return weights / 2\n"
        "record = Estimator(weights=halved)\n"
    )
    for own in (halved, Estimator(weights=halved), f"{path}:halved", f"{path}:record"):
        np.testing.assert_allclose(both(rows, own), (direct + dr) / 2, rtol=1e-5, atol=1e-6)


def test_a_record_is_taken_as_it_is():
    assert resolve_estimator("dr") is ESTIMATORS["dr"]
    own = Estimator(weights=halved)
    assert resolve_estimator(own) is own and own.baseline(3) == 3


def raises(weights):
    raise ValueError("the first line\nand the second")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            lambda weights: weights[:2],
            "gives weights (2,) and baseline (3, 2) for 3 rows of 2 arms",
        ),
        (lambda weights: weights.sum(), "gives weights () and baseline (3, 2)"),
        (lambda weights: weights / 0, "not finite"),
        (lambda weights: jnp.where(weights > 50, jnp.inf, weights), "not finite"),
        (lambda weights: weights @ jnp.ones(2), "fails on three rows (TypeError: "),
        (raises, "fails on three rows (ValueError: the first line); "),
        (lambda: 1, "fails on three rows (TypeError: "),
    ],
    ids=[
        "too few",
        "a scalar",
        "infinite",
        "one infinite",
        "of a wrong shape",
        "raises",
        "takes nothing",
    ],
)
def test_wrong_estimators_are_refused_in_a_sentence(weights, message, rows):
    with pytest.raises(InputError) as refused:
        both(rows, weights)
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (lambda predicted: predicted[:, 0], "and baseline (3,) for 3 rows of 2 arms"),
        (lambda predicted: predicted * jnp.nan, "a baseline that are not finite"),
        (lambda predicted: predicted.at[0, 0].set(jnp.nan), "a baseline that are not finite"),
    ],
    ids=["one column", "not numbers", "one not a number"],
)
def test_wrong_baselines_are_refused(baseline, message):
    with pytest.raises(InputError) as refused:
        resolve_estimator(Estimator(baseline=baseline))
    assert message in str(refused.value)


def within_bounds(predicted):
    return jnp.sqrt(predicted) + jnp.sqrt(1 - predicted)


def test_it_is_tried_on_weights_of_one_or_more_and_on_shares_of_one():
    """What asks of its input only what holds of inverse propensities and of quality is taken."""
    own = Estimator(weights=lambda weights: jnp.sqrt(weights - 1), baseline=within_bounds)
    assert resolve_estimator(own) is own


def test_files_without_the_estimator_are_refused(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def root(weights):\n    return weights ** 0.5\n")
    assert resolve_estimator(f"{path}:root").weights(jnp.array([4.0])) == 2.0
    with pytest.raises(InputError, match="the file has no function 'square'"):
        resolve_estimator(f"{path}:square")
    with pytest.raises(InputError, match="no such file"):
        resolve_estimator(f"{tmp_path}/none.py:root")


def test_importance_weights_are_inverse_propensities_down_to_the_floor():
    got = importance_weights(np.array([0.0, 0.05, 0.1, 0.5, 1.0]), floor=0.1)
    np.testing.assert_allclose(got, [10, 10, 10, 2, 1])


def test_rows_that_did_not_answer_keep_their_prediction():
    got = doubly_robust(jnp.array([0.2, 0.4]), jnp.array(0), jnp.array(1.0), jnp.array(5.0))
    np.testing.assert_allclose(got, [0.2 + 5 * 0.8, 0.4], rtol=1e-6)
