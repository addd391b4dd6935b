"""The strengths that ridge and logistic regression choose, against fits that leave each row out.

Each data set is small and noisy, so that the strengths differ and a wrong leverage chooses another.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.estimators.ridge import fit_logistic, fit_ridge

STRENGTHS = (0.03, 0.3, 1.0, 3.0, np.inf)


def data_sets(count, n, columns, seed):
    """Features off centre, noise, and weights from 0.2 to 3; the first row's is 0."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, n, columns)) * [2.0, 1.0, 0.5][:columns] + 1.5
    signal = 0.5 * (x @ rng.normal(size=(count, columns, 1)))[..., 0]
    weights = rng.uniform(0.2, 3.0, size=(count, n))
    weights[:, 0] = 0.0
    return x, signal - signal.mean(axis=1, keepdims=True) + rng.normal(size=(count, n)), weights


def columns_and_spread(x, share):
    """[x, 1] and v, the mean over columns of their weighted variance."""
    return np.column_stack([x, np.ones(len(x))]), np.mean(share @ (x - share @ x) ** 2)


def ridge_without(x, y, share, strength):
    """β and b of Σ share (y − b − xβ)² + strength·v·|β|² for each row left out, v that of all.

    Row 0 has no weight, so that the fit without it is the fit of all.
    """
    columns, spread = columns_and_spread(x, share)
    kept = share * (1 - np.eye(len(x)))
    if np.isinf(strength):
        means = kept @ y / kept.sum(axis=1)
        return np.column_stack([np.zeros((len(x), x.shape[1])), means])
    penalty = np.diag([strength * spread] * x.shape[1] + [0.0])
    moments = np.einsum("kn,ni,nj->kij", kept, columns, columns) + penalty
    return np.linalg.solve(moments, ((kept * y) @ columns)[..., None])[..., 0]


def test_ridge_chooses_by_the_residuals_of_rows_left_out():
    x, y, weights = data_sets(60, 10, 3, seed=0)
    chosen, wanted = [], []
    for one_x, one_y, one_w in zip(x, y, weights, strict=True):
        share = one_w / one_w.sum()
        fits = [ridge_without(one_x, one_y, share, strength) for strength in STRENGTHS]
        columns, _ = columns_and_spread(one_x, share)
        errors = [share @ (one_y - np.sum(columns * fit, axis=1)) ** 2 for fit in fits]
        chosen.append(int(np.argmin(errors)))
        wanted.append(fits[chosen[-1]][0])
    assert np.bincount(chosen, minlength=5).min() >= 3  # each is the best of some
    with jax.enable_x64(True):
        fit = jax.vmap(functools.partial(fit_ridge, strengths=STRENGTHS))
        found = fit(jnp.asarray(x), jnp.asarray(y), jnp.asarray(weights))
    wanted = np.asarray(wanted)
    np.testing.assert_allclose(found.coefficients, wanted[:, :-1], atol=1e-9)
    np.testing.assert_allclose(found.intercept, wanted[:, -1], atol=1e-9)


def test_a_row_that_stands_alone_does_not_settle_the_strength():
    """Only one row has a first column, so 1 − h of it is smaller than what float32 can tell.

    Its label is far off and no other row predicts it, whatever the strength; the others, whose
    labels follow the second column with slope 1, ask for the small strength.
    """
    rng = np.random.default_rng(0)
    alone = np.tile(np.where(np.arange(12) == 0, 1000.0, 0.0), (8, 1))
    signal = rng.normal(size=(8, 12))
    label = signal + 0.1 * rng.normal(size=(8, 12))
    label[:, 0] = 100.0
    fit = jax.vmap(functools.partial(fit_ridge, strengths=(np.inf, 1e-8)))
    x = jnp.asarray(np.stack([alone, signal], axis=2), jnp.float32)
    found = fit(x, jnp.asarray(label, jnp.float32), jnp.ones((8, 12)))
    np.testing.assert_allclose(found.coefficients[:, 1], 1.0, atol=0.15)


LOGISTIC = (0.03, 0.3, 1.0, 3.0)


def logistic_without(x, y, share, strength):
    """β and b of Σ share [log(1 + e^f) − y f] + (strength·v/8)|β|², each row left out in turn."""
    columns, spread = columns_and_spread(x, share)
    kept = share * (1 - np.eye(len(x)))
    penalty = np.array([strength * spread / 4] * x.shape[1] + [0.0])
    fits = np.zeros((len(x), len(penalty)))
    for _ in range(30):
        p = 1 / (1 + np.exp(-fits @ columns.T))
        slope = (kept * (p - y)) @ columns + penalty * fits
        curved = np.einsum("kn,ni,nj->kij", kept * p * (1 - p), columns, columns)
        fits = fits - np.linalg.solve(curved + np.diag(penalty), slope[..., None])[..., 0]
    assert np.abs(slope).max() < 1e-12
    return fits


def log_loss(logit, y):
    return np.logaddexp(0, logit) - y * logit


def left_out_by_one_step(x, y, share, strength, fit):
    """f + (p − y) g / (1 − p (1 − p) g), g = share x·H⁻¹x, of each row, by the fit of all."""
    columns, spread = columns_and_spread(x, share)
    p = 1 / (1 + np.exp(-columns @ fit))
    hessian = (columns.T * share * p * (1 - p)) @ columns
    hessian += np.diag([strength * spread / 4] * x.shape[1] + [0.0])
    reach = share * np.sum(columns * np.linalg.solve(hessian, columns.T).T, axis=1)
    return columns @ fit + (p - y) * reach / (1 - p * (1 - p) * reach)


def test_logistic_regression_chooses_by_the_logits_of_rows_left_out():
    x, latent, weights = data_sets(60, 16, 3, seed=1)
    y = (latent > 0).astype(float)
    chosen, wanted, ratios = [], [], []
    for one_x, one_y, one_w in zip(x, y, weights, strict=True):
        share = one_w / one_w.sum()
        columns, _ = columns_and_spread(one_x, share)
        fits, scores, exact = [], [], []
        for strength in LOGISTIC:
            without = logistic_without(one_x, one_y, share, strength)
            fits.append(without[0])
            logit = left_out_by_one_step(one_x, one_y, share, strength, without[0])
            scores.append(share @ log_loss(logit, one_y))
            exact.append(share @ log_loss(np.sum(columns * without, axis=1), one_y))
        chosen.append(int(np.argmin(scores)))
        wanted.append(fits[chosen[-1]])
        ratios.append(np.array(scores) / exact)
    assert np.bincount(chosen, minlength=4).min() >= 3
    # one step is worth about what the whole fit without the row is
    assert np.all(np.abs(np.median(ratios, axis=0) - 1) < 0.1)
    with jax.enable_x64(True):
        fit = jax.vmap(functools.partial(fit_logistic, strengths=LOGISTIC))
        found = fit(jnp.asarray(x), jnp.asarray(y), jnp.asarray(weights))
    wanted = np.asarray(wanted)
    np.testing.assert_allclose(found.coefficients, wanted[:, :-1], atol=1e-3)
    np.testing.assert_allclose(found.intercept, wanted[:, -1], atol=1e-3)
