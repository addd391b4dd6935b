"""Gold and cheap labels on one scale, queries counted instead of rows, labels that are checked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from routerjax.data.io.gain_labels import GainLabels
from routerjax.errors import DataWarning, InputError
from routerjax.estimators.label_scale import label_factor
from routerjax.estimators.mixture import independent, mixture
from routerjax.pipelines.fit_gains import decision_curve
from routerjax.pipelines.gain_checks import check_labels
from routerjax.pipelines.meta_router import fit_gains
from routerjax.records.gains import LabelledGains
from routerjax.training.config import GainConfig

GOLD = np.array([True, True, True, False, False, False])


@pytest.mark.parametrize(
    ("how", "factor"),
    [
        ("none", 1.0),
        ("amplitude", 2 / 8),  # the largest are −2 and 8
        ("variance", np.sqrt(14 / 9) / np.sqrt(56 / 9)),  # about the means −⅓ and 14/3
        ("wasserstein", (-2 * 2 + 0 * 4 + 1 * 8) / (2 * 2 + 4 * 4 + 8 * 8)),
    ],
)
def test_factors_by_hand(how, factor):
    """Gold −2, 0, 1 and cheap 2, 4, 8; sorted, they stand beside each other."""
    label = np.array([1.0, -2.0, 0.0, 8.0, 2.0, 4.0])
    found = label_factor(jnp.asarray(label), jnp.asarray(GOLD), jnp.ones(6), how=how)
    assert float(found) == pytest.approx(factor, rel=0.01)  # quantiles at 512 levels
    more = np.r_[label, 99.0, -99.0]  # rows of no weight have no say
    gold = np.r_[GOLD, True, False]
    weights = np.r_[np.ones(6), 0, 0]
    again = label_factor(jnp.asarray(more), jnp.asarray(gold), jnp.asarray(weights), how=how)
    assert float(again) == pytest.approx(float(found), rel=1e-5)


@pytest.mark.parametrize("how", ["variance", "amplitude", "wasserstein"])
def test_labels_that_are_all_nothing_keep_their_scale(how):
    assert float(label_factor(jnp.zeros(6), jnp.asarray(GOLD), jnp.ones(6), how=how)) == 1.0


def test_no_such_scale():
    with pytest.raises(InputError, match="no label scale 'size'; known are variance"):
        label_factor(jnp.zeros(6), jnp.asarray(GOLD), jnp.ones(6), how="size")


def test_the_unit_of_cheap_labels_does_not_matter():
    rng = np.random.default_rng(4)
    x, gold = rng.normal(size=(90, 2)), np.arange(90) % 3 == 0
    label = x[:, 0] + np.where(gold, 0.0, x[:, 1]) + 0.1 * rng.normal(size=90)

    def fitted(unit):
        own = np.where(gold, label, unit * label)
        gains = LabelledGains.from_arrays(x, own, gold, costs=[0.0, 0.01])
        return fit_gains(gains, key=jax.random.key(0), components=None, repeats=2)

    one, other = fitted(1.0), fitted(5.0)
    assert float(other.factor[0]) == pytest.approx(float(one.factor[0]) / 5, rel=1e-4)
    np.testing.assert_allclose(
        *(np.asarray(each.router.gain.coefficients) for each in (one, other)), atol=2e-3
    )


def test_queries_are_counted_not_rows():
    share = jnp.full(6, 1 / 6)
    assert float(independent(share)) == pytest.approx(6)
    assert float(independent(share, jnp.array([0, 0, 0, 1, 1, 1]))) == pytest.approx(2)
    # a row alone and one of two halves: 1 / (¼ + ¼), as two
    assert float(independent(jnp.array([0.5, 0.25, 0.25]), jnp.array([2, 0, 0]))) == pytest.approx(
        2
    )


def test_rows_that_repeat_are_no_evidence():
    """Thirty times the same four labels say what four labels say."""
    rng = np.random.default_rng(5)
    label, predictions = rng.normal(size=4), rng.normal(size=(3, 4))
    alone = mixture(jnp.asarray(label), jnp.asarray(predictions), jnp.full(4, 0.25))
    many = [np.repeat(part, 30, axis=-1) for part in (label, predictions)]
    groups = jnp.asarray(np.repeat(np.arange(4), 30))
    found = mixture(*map(jnp.asarray, many), jnp.full(120, 1 / 120), groups=groups)
    np.testing.assert_allclose(found, alone, atol=1e-4)
    rows = mixture(*map(jnp.asarray, many), jnp.full(120, 1 / 120))
    assert np.abs(np.asarray(rows) - np.asarray(alone)).max() > 0.1


@pytest.mark.parametrize(("groups", "error"), [(None, np.sqrt(1 / 12)), ([0, 0, 1, 1], 0.5)])
def test_standard_errors_count_queries(groups, error):
    """Gains 1, 1, 0, 0: s/√4 = √(⅓)/2; of two queries √(2 · (1² + 1²)) / 4."""
    (line,) = decision_curve(
        np.ones(4),
        np.array([1.0, 1.0, 0.0, 0.0]),
        costs=(0.0, 0.01),
        cost_weights=[0.0],
        groups=None if groups is None else np.array(groups),
    )
    assert line["gain"]["standard_error"] == pytest.approx(error)


def labels(**changed):
    rng = np.random.default_rng(6)
    gold = rng.normal(size=30).astype(np.float32)
    parts = {
        "embeddings": rng.normal(size=(30, 2)).astype(np.float32),
        "gold": gold,
        "preference": gold + rng.normal(size=30).astype(np.float32),
        "groups": np.arange(30),
        "dropped": 0,
        "encoder": None,
        "components": False,
        "source": "labels.csv",
    }
    return GainLabels(**(parts | changed))


CONFIG = GainConfig(models=("small", "big"), costs=(0.001, 0.01))


def test_good_labels_pass():
    check_labels(labels(), CONFIG)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"preference": labels().gold}, "equal on all 30 rows that have both"),
        ({"columns": ("GL", "GL")}, "are the same column"),
    ],
)
def test_gold_given_as_preference_too(changed, message):
    with pytest.raises(InputError, match=message):
        check_labels(labels(**changed), CONFIG)


def test_swapped_costs():
    swapped = GainConfig(models=("small", "big"), costs=(0.01, 0.001))
    with pytest.warns(DataWarning, match=r"the primary, big, costs 0.001 .* swapped\?"):
        check_labels(labels(), swapped)


def test_scales_a_hundred_times_apart():
    with pytest.warns(DataWarning, match="do both measure the same gain"):
        check_labels(labels(preference=100 * labels().preference), CONFIG)
