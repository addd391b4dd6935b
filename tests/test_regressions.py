"""Regressions and learners by name: each corrects a bias, and an unknown name is refused."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from routerjax.errors import InputError
from routerjax.estimators.bias import dr_learner
from routerjax.estimators.ridge import ridge
from routerjax.pipelines.meta_router import fit_gains
from routerjax.pipelines.regressions import (
    LEARNERS,
    REGRESSIONS,
    learner_named,
    regression_named,
)
from routerjax.records.gains import LabelledGains
from routerjax.training.config import GainConfig

BIAS = 0.5
KEY = jax.random.key(0)


@functools.cache
def gains(rows: int = 300) -> LabelledGains:
    """Every third row gold; the other labels lie lower by `BIAS`."""
    rng = np.random.default_rng(0)
    x, gold = rng.normal(size=(rows, 4)), np.arange(rows) % 3 == 0
    label = 0.3 * x[:, 0] + 0.1 * rng.normal(size=rows) - BIAS * ~gold
    known = np.full(rows, 1 / 3)
    return LabelledGains.from_arrays(x, label, gold, costs=[0.0, 0.01], propensity=known)


HEADS = [("dr", "heads"), *((name, "ridge") for name in LEARNERS if name.endswith("-head"))]


@pytest.mark.parametrize(
    ("learner", "nuisance"),
    [pytest.param(*pair, id=" ".join(pair)) for pair in HEADS],
)
@pytest.mark.slow
def test_heads_recover_a_bias(learner, nuisance):
    fitted = fit_gains(gains(), key=KEY, learner=learner, nuisance=nuisance)
    bias = np.asarray(fitted.bias)[:, 0]
    # without a correction the error is BIAS in every row
    assert abs(bias.mean() - BIAS) < 0.1 * BIAS
    assert np.sqrt(np.mean((bias - BIAS) ** 2)) < 0.3 * BIAS


LONG = ("kernel-ridge", "forest", "boosted")


@pytest.mark.parametrize(
    "nuisance",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LONG else [])
        for name in REGRESSIONS
        if name != "heads"
    ],
)
def test_other_regressions_recover_it_too(nuisance):
    if nuisance in ("forest", "boosted"):
        pytest.importorskip("sklearn")
    bias = np.asarray(fit_gains(gains(), key=KEY, nuisance=nuisance).bias)[:, 0]
    most = 0.4 if nuisance == "boosted" else 0.3  # boosted trees vary more from row to row
    assert np.sqrt(np.mean((bias - BIAS) ** 2)) < most * BIAS


def test_a_name_and_its_function_are_the_same():
    named = fit_gains(gains(), key=KEY, learner="dr", nuisance="ridge")
    given = fit_gains(gains(), key=KEY, learner=dr_learner, nuisance=ridge)
    np.testing.assert_array_equal(named.bias, given.bias)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="no nuisance 'trees'; known are ridge, kernel-ridge"):
        regression_named("trees")
    with pytest.raises(InputError, match="no learner 'x'; known are dr, r, t-head, s-head"):
        learner_named("x")
    with pytest.raises(InputError, match="no nuisance 'trees'"):
        fit_gains(gains(), key=KEY, nuisance="trees")


def test_the_defaults_of_the_configuration_are_names():
    assert GainConfig().learner in LEARNERS and GainConfig().nuisance in REGRESSIONS
