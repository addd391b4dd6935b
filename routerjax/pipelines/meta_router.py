"""The meta-router learnt: bias, correction and predictor of labelled gains."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from routerjax.estimators.bias import Learner, learn_bias
from routerjax.estimators.components import fit_components
from routerjax.estimators.cross_fit import (
    FOLDS,
    LabelledRows,
    Regress,
    assign_folds,
    estimate_propensity,
    own_fold,
    source_overlap,
)
from routerjax.estimators.integrative import CANDIDATES, Candidate, target
from routerjax.estimators.overlap import Overlap
from routerjax.estimators.ridge import fit_ridge, ridge
from routerjax.models.gain_router import GainRouter
from routerjax.pipelines.regressions import learner_named, regression_named
from routerjax.records.gains import LabelledGains


class FittedGains(NamedTuple):
    """A meta-router and how it came about.

    Attributes:
      router: the `GainRouter`.
      bias: [n, a] out-of-fold bias τ̂(x, m) of every row.
      omega, spread: [a] means of the candidates mixed for each model.
      errors: [a, candidates] mean squared error on held-out gold.
      propensity: [n] known or estimated probability of a gold label.
      overlap: report on the propensities.
    """

    router: GainRouter
    bias: Array
    omega: Array
    spread: Array
    errors: Array
    propensity: Array
    overlap: Overlap


def fit_gains(
    gains: LabelledGains,
    *,
    key: PRNGKeyArray,
    weights: Float[np.ndarray, " n"] | None = None,
    components: int | None = 50,
    learner: str | Learner = "dr",
    nuisance: str | Regress = "ridge",
    folds: int = FOLDS,
    candidates: tuple[Candidate, ...] = CANDIDATES,
) -> FittedGains:
    """Learn a router from gold and preference labels of gains.

    Args:
      gains: n rows, a models beside the reference.
      key: for folds and regressions.
      weights: [n]; a row of weight 0 has no say in anything. None weighs all rows alike.
      components: principal components of the embeddings, no more than they have columns;
        None uses the columns as they are.
      learner: of the bias: a name of `routerjax.pipelines.LEARNERS`, or a `Learner`.
      nuisance: the regression of the nuisances and of τ̂: a name of
        `routerjax.pipelines.REGRESSIONS`, or a `Regress`. The predictor ψ itself is ridge, also
        on held-out gold: a `GainRouter` is affine in the components, so that what is saved is
        one small matrix, whatever learnt the bias.
      folds: of the cross-fitting.
      candidates: ways to use the preference labels, mixed by held-out gold.

    Raises:
      InputError: an unknown learner or nuisance.
    """
    if components is not None:
        components = min(components, gains.embeddings.shape[1])
    # the smallest and largest gain seen bound any difference between two labels
    limit = float(np.nanmax(gains.label) - np.nanmin(gains.label))
    used = np.ones(len(gains), np.float32) if weights is None else np.asarray(weights, np.float32)
    router, bias, goal, propensity = _fit(
        jax.tree.map(jnp.asarray, gains),
        jnp.asarray(used),
        limit,
        key,
        components=components,
        learner=learner_named(learner),
        regress=regression_named(nuisance),
        folds=folds,
        candidates=tuple(candidates),
    )
    known = gains.propensity is not None
    kept = used > 0
    report = source_overlap(np.asarray(gains.gold)[kept], np.asarray(propensity)[kept], known=known)
    return FittedGains(router, bias.T, goal.omega, goal.spread, goal.errors, propensity, report)


@functools.partial(
    jax.jit, static_argnames=("components", "learner", "regress", "folds", "candidates")
)
def _fit(gains, used, limit, key, *, components, learner, regress, folds, candidates):
    keys = jax.random.split(key, 3)
    map_to = fit_components(gains.embeddings, used, components=components)
    x = map_to(gains.embeddings)
    dealt = gains.gold & (used > 0)
    fold = assign_folds(dealt, key=keys[0], folds=folds, groups=gains.groups)
    propensity = gains.propensity
    if propensity is None:
        unlabelled = LabelledRows(x, used, gains.gold, used, fold)
        propensity = estimate_propensity(unlabelled, used, folds=folds)

    def one(column):
        labelled = jnp.isfinite(column)
        rows = LabelledRows(x, jnp.where(labelled, column, 0.0), gains.gold, propensity, fold)
        weights = used * labelled
        bias = learn_bias(
            rows, weights, learner=learner, regress=regress, key=keys[1], folds=folds, limit=limit
        )
        goal = target(
            rows, weights, bias, regress=ridge, key=keys[2], folds=folds, candidates=candidates
        )
        each = jax.vmap(functools.partial(fit_ridge, x))(goal.label, goal.weights)
        gain = jax.tree.map(lambda leaf: goal.mixture @ leaf, each)
        return gain, own_fold(bias, fold), goal

    gain, bias, goal = jax.lax.map(one, gains.label.T)
    if gains.propensity is None:
        propensity = own_fold(propensity, fold)
    return GainRouter(map_to, gain, gains.costs), bias, goal, propensity
