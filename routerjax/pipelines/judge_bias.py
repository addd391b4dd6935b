"""The bias τ(x, t) of a judge: learnt on (x, 1{t}, x·1{t}), out of fold, from rows that count."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from routerjax.estimators.bias import learn_bias
from routerjax.estimators.components import fit_components
from routerjax.estimators.cross_fit import (
    FOLDS,
    LabelledRows,
    assign_folds,
    estimate_propensity,
    own_fold,
)
from routerjax.pipelines.regressions import learner_named, regression_named
from routerjax.records.logs import Log
from routerjax.records.on_disk import read

COMPONENTS = 20
"""Principal components of the embeddings."""


def arm_features(
    x: Float[Array, "n d"], arms: Int[Array, " n"], *, models: int
) -> Float[Array, "n f"]:
    """Features (x, 1{t}, x·1{t}) of a query and the model that answered, f = d + m + m·d."""
    own = jax.nn.one_hot(arms, models) - 1 / models
    crossed = (x[:, None, :] * own[:, :, None]).reshape(x.shape[0], -1)
    return jnp.concatenate([x, own * jnp.sqrt(float(models)), crossed], axis=1)


def learnt_bias(
    weights,
    embeddings,
    arms,
    quality,
    gold,
    propensity,
    groups,
    key,
    *,
    models,
    learner,
    regress,
    folds,
    components,
    limit,
):
    """[n] bias of each row by models that never saw its fold, and [n] P(gold | x, t) used for it.

    Args:
      weights: [n] how much each row counts in what is learnt; 0 leaves it out.
      embeddings, arms, quality, gold, groups: [n, ...] of the log.
      propensity: [n] known probability of a gold score, or None to estimate it.
      key: Random key of folds and regressions.
      models: m.
      learner, regress, folds, components: as of `judge_scores.correct_log`, learner and
        regression as functions.
      limit: largest bias there can be.
    """
    everyone = jnp.ones(quality.shape[0])
    deal, learn = jax.random.split(key)
    x = fit_components(embeddings, everyone, components=components)(embeddings)
    features = arm_features(x, arms, models=models)
    fold = assign_folds(gold, key=deal, folds=folds, groups=groups)
    rows = LabelledRows(
        features, quality, gold, everyone if propensity is None else propensity, fold
    )
    if propensity is None:
        # the model that answered may decide who is asked, its interaction with x hardly
        plain = rows._replace(x=features[:, : x.shape[1] + models])
        rows = rows._replace(propensity=estimate_propensity(plain, weights, folds=folds))
    bias = learn_bias(
        rows, weights, learner=learner, regress=regress, key=learn, folds=folds, limit=limit
    )
    used = rows.propensity if propensity is not None else own_fold(rows.propensity, fold)
    return own_fold(bias, fold), used


def biases_without(
    log: Log, gold: np.ndarray, kept: Bool[np.ndarray, "k n"], *, key: PRNGKeyArray
) -> Float[np.ndarray, "k n"]:
    """[k, n] bias of rows, as learnt from each of k sets of rows that are kept."""
    rows = (jnp.asarray(read(log.features)), log.arms, log.quality, gold, None, log.groups, key)
    found = _biases(
        kept.astype(np.float32),
        rows,
        log.quality_width,
        models=len(log.models),
        components=min(COMPONENTS, log.features.shape[1]),
        learner=learner_named("dr"),
        regress=regression_named("ridge"),
        folds=FOLDS,
    )
    return np.asarray(found, np.float64)


@functools.partial(jax.jit, static_argnames=("models", "components", "learner", "regress", "folds"))
def _biases(weights, rows, limit, *, models, components, learner, regress, folds):
    """[k, n] bias of rows as learnt with each of k sets of weights [k, n]."""

    def learnt(own):
        return learnt_bias(
            own,
            *rows,
            models=models,
            components=components,
            learner=learner,
            regress=regress,
            folds=folds,
            limit=limit,
        )[0]

    return jax.lax.map(learnt, weights)
