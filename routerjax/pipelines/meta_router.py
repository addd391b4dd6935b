"""The meta-router learnt: bias, correction and predictor of labelled gains."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from routerjax.errors import InputError
from routerjax.estimators.bias import Learner, learn_bias
from routerjax.estimators.components import fit_components
from routerjax.estimators.cross_fit import (
    FOLDS,
    LabelledRows,
    Regress,
    assign_folds,
    estimate_propensity,
    held_by_all,
    own_fold,
    source_overlap,
)
from routerjax.estimators.integrative import CANDIDATES, Candidate, target
from routerjax.estimators.label_scale import check_scale, label_factor
from routerjax.estimators.overlap import Overlap
from routerjax.estimators.ridge import fit_ridge, ridge
from routerjax.models.gain_router import GainRouter
from routerjax.pipelines.regressions import learner_named, regression_named
from routerjax.records.gains import LabelledGains
from routerjax.support.mapping import mapped

REPEATS = 3
"""Deals of the rows into folds, over which a row's correction is averaged."""


class FittedGains(NamedTuple):
    """A meta-router and how it came about.

    Attributes:
      router: the `GainRouter`.
      bias: [n, a] out-of-fold bias τ̂(x, m) of every row, mean over the deals of the folds.
      omega, spread: [a] means of the candidates mixed for each model.
      errors: [a, candidates] mean squared error on held-out gold.
      propensity: [n] known or estimated probability of a gold label.
      overlap: report on the propensities.
      factor: [a] by which preference labels were multiplied, to be on the scale of gold ones.
    """

    router: GainRouter
    bias: Array
    omega: Array
    spread: Array
    errors: Array
    propensity: Array
    overlap: Overlap
    factor: Array


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
    label_scale: str = "variance",
    repeats: int = REPEATS,
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
      label_scale: how preference labels are brought to the scale of gold ones on the rows of
        positive weight: a name of `routerjax.estimators.label_scale.SCALES`.
      repeats: deals of the rows into folds; a row's correction is the mean over them.

    Raises:
      InputError: an unknown learner, nuisance or label scale, or no repeats.
    """
    check_scale(label_scale)
    if repeats < 1:
        raise InputError(f"repeats is {repeats}; it must be 1 or more")
    if components is not None:
        components = min(components, gains.embeddings.shape[1])
    # the smallest and largest gain seen bound any difference between two labels
    limit = float(np.nanmax(gains.label) - np.nanmin(gains.label))
    used = np.ones(len(gains), np.float32) if weights is None else np.asarray(weights, np.float32)
    router, bias, goal, propensity, factor = _fit(
        jax.tree.map(jnp.asarray, gains),
        jnp.asarray(used),
        limit,
        key,
        components=components,
        learner=learner_named(learner),
        regress=regression_named(nuisance),
        folds=folds,
        candidates=tuple(candidates),
        label_scale=label_scale,
        repeats=repeats,
    )
    known = gains.propensity is not None
    kept = used > 0
    report = source_overlap(np.asarray(gains.gold)[kept], np.asarray(propensity)[kept], known=known)
    return FittedGains(
        router, bias.T, goal.omega, goal.spread, goal.errors, propensity, report, factor
    )


_STATIC = (
    *("components", "learner", "regress", "folds", "candidates"),
    *("label_scale", "repeats"),
)


@functools.partial(jax.jit, static_argnames=_STATIC)
def _fit(
    gains,
    used,
    limit,
    key,
    *,
    components,
    learner,
    regress,
    folds,
    candidates,
    label_scale,
    repeats,
):
    keys = jax.random.split(key, 3)
    map_to = fit_components(gains.embeddings, used, components=components)
    x = map_to(gains.embeddings)
    deal = functools.partial(_deal, gains, x, used, keys[0], folds=folds)

    def one(column):
        labelled = jnp.isfinite(column)
        weights = used * labelled
        column = jnp.where(labelled, column, 0.0)
        factor = label_factor(column, gains.gold, weights, how=label_scale)
        column = jnp.where(gains.gold, column, factor * column)

        def learnt(number):
            fold, propensity = deal(number)
            rows = LabelledRows(x, column, gains.gold, propensity, fold, gains.groups)
            bias = learn_bias(
                rows,
                weights,
                learner=learner,
                regress=regress,
                key=_key_of(keys[1], number),
                folds=folds,
                limit=limit * jnp.maximum(factor, 1.0),
            )
            return rows, bias

        # one compiled loop over the deals
        every, biases = mapped(learnt, jnp.arange(repeats), holds=held_by_all(x, folds))
        own = _predictor(x, every, biases, weights, keys[2], folds=folds, candidates=candidates)
        return *own, factor

    every_label = gains.label.T
    gain, bias, goal, factor = mapped(one, every_label, holds=repeats * held_by_all(x, folds))
    fold, propensity = deal(0)
    if gains.propensity is None:
        propensity = own_fold(propensity, fold)
    return GainRouter(map_to, gain, gains.costs), bias, goal, propensity, factor


def _key_of(key, number):
    """The key itself for the first deal, which is the only one where folds are dealt once."""
    return jnp.where(number == 0, key, jax.random.fold_in(key, number))


def _deal(gains, x, used, key, number, *, folds):
    """Folds of the rows, and propensities, of the deal of this number."""
    dealt, own = gains.gold & (used > 0), _key_of(key, number)
    fold = assign_folds(dealt, key=own, folds=folds, groups=gains.groups)
    if gains.propensity is not None:
        return fold, gains.propensity
    unlabelled = LabelledRows(x, used, gains.gold, used, fold)
    return fold, estimate_propensity(unlabelled, used, folds=folds)


def _predictor(x, every, biases, weights, key, *, folds, candidates):
    """A model's predictor of gains, each row's mean bias over the deals, and how ψ was mixed.

    Rows and biases have a leading axis of deals; what is held out is held out by the first.
    """
    rows, bias = jax.tree.map(lambda leaf: leaf[0], (every, biases))
    mean = jnp.mean(jax.vmap(own_fold)(biases, every.fold), axis=0)
    goal = target(
        rows,
        weights,
        bias,
        regress=ridge,
        key=key,
        folds=folds,
        candidates=candidates,
        correction=mean if len(biases) > 1 else None,
    )
    each = jax.vmap(functools.partial(fit_ridge, x))(goal.label, goal.weights)
    return jax.tree.map(lambda leaf: goal.mixture @ leaf, each), mean, goal
