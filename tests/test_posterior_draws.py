"""Draws from the posterior of the two-level regression have its mean and its covariance."""

from __future__ import annotations

import numpy as np
import pytest

from routerjax.estimators.elimination import Sizes
from routerjax.estimators.hierarchical import fit_hierarchical, variance_of
from routerjax.estimators.moments import moments_of
from routerjax.estimators.posterior_draws import draw_coefficients


@pytest.mark.slow
def test_draws_have_the_posterior_mean_and_variance():
    rng, rows, models, sizes, draws = np.random.default_rng(0), 300, 3, Sizes(2, 1), 1500
    features = np.column_stack([np.ones(rows), rng.normal(size=(rows, 3))]).astype(np.float32)
    arms = rng.integers(models, size=rows)
    labels = 0.5 * features[:, 1] + 0.3 * (arms == 1) * features[:, 2] + rng.normal(size=rows)
    folds = np.arange(rows) % 2
    [moments] = moments_of(features, labels[None], arms, folds, folds=2, models=models)
    posterior = fit_hierarchical(moments, sizes)
    found = draw_coefficients(posterior, sizes, draws=draws, seed=1)
    assert found.shape == (draws, 4, 3)
    weights = rng.normal(size=(5, models, 4))
    sums = np.einsum("qmd,sdm->sq", weights, found)
    variance = variance_of(posterior, weights, sizes)
    mean = np.einsum("qmd,dm->q", weights, posterior.every)
    assert (abs(sums.mean(axis=0) - mean) < 4 * np.sqrt(variance / draws)).all()
    assert (abs(sums.var(axis=0) / variance - 1) < 4 * np.sqrt(2 / draws)).all()
