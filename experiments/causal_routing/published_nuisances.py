"""The paper's nuisances: an outcome model of its own for each LLM, boosted trees for propensities.

What kind of outcome model the paper fits, and whether it fits them out of fold, is not known to
us: here each is a ridge regression whose strength leaves one row out, on one fold (every row is
predicted by models that saw it) or on several. Boosted trees are scikit-learn's (extra
``baselines``) where the paper takes XGBoost's.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from routerjax.baselines.forest import check_installed
from routerjax.estimators.overlap import overlap
from routerjax.estimators.ridge import Linear, fit_ridge
from routerjax.pipelines.prepare import Prepared
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates

ROUNDS = 50
"""Boosting rounds of the propensity model."""


class PublishedNuisances(NamedTuple):
    """What the paper estimates of a log.

    Attributes:
      prepared: the rows with these nuisances in the place of ours.
      queries: [q, m] outcomes of other queries, by models of all logged rows.
    """

    prepared: Prepared
    queries: Estimates


def published_nuisances(
    prepared: Prepared, queries: Float[np.ndarray, "q d"], *, folds: int, seed: int
) -> PublishedNuisances:
    """Put the paper's nuisances in the place of ours.

    Args:
      prepared: a log's rows as our pipeline prepares them.
      queries: [q, d] scaled embeddings of the test rows.
      folds: of the cross-fitting; 1 predicts every row by models that saw it.
      seed: of folds and trees.

    Raises:
      InputError: scikit-learn is not installed.
    """
    log, x = prepared.record, np.asarray(prepared.x, np.float32)
    assert isinstance(log, Log) and prepared.nuisances is not None
    fold = np.random.default_rng(seed).permutation(len(log)) % folds
    arms, quality, cost = (np.asarray(each) for each in (log.arms, log.quality, log.cost))
    predicted = np.zeros((2, *prepared.predicted.quality.shape), np.float32)
    propensities = np.zeros(predicted.shape[1:], np.float32)
    for each in range(folds):
        own = fold == each
        train = ~own if folds > 1 else own
        for place, label in enumerate((quality, cost)):
            weights = _weights(arms, train, len(log.models))
            predicted[place, own] = _per_arm(x, label, weights)(x[own])
        propensities[own] = boosted_propensities(
            x[train], arms[train], x[own], models=len(log.models), seed=seed
        )
    every = np.ones(len(log), bool)
    weights = _weights(arms, every, len(log.models))
    at_queries = [_per_arm(x, label, weights)(queries) for label in (quality, cost)]
    ours = prepared.nuisances
    recorded = log.logged_propensities
    answered = propensities[np.arange(len(log)), arms]
    if recorded is not None:
        answered = np.where(np.isfinite(recorded), recorded, answered)
    found = Estimates(quality=predicted[0], cost=predicted[1])
    nuisances = ours._replace(
        predicted=found,
        propensities=ours.propensities._replace(answered=answered, every=propensities),
        overlap=overlap(
            log, answered, floor=ours.overlap.floor, supported=ours.propensities.supported
        ),
    )
    swapped = prepared._replace(predicted=found, nuisances=nuisances)
    return PublishedNuisances(swapped, Estimates(quality=at_queries[0], cost=at_queries[1]))


def boosted_propensities(
    x: Float[np.ndarray, "n d"],
    arms: np.ndarray,
    queries: Float[np.ndarray, "q d"],
    *,
    models: int,
    seed: int,
) -> Float[np.ndarray, "q m"]:
    """Probabilities of every arm by gradient-boosted trees, [q, m]; 0 for an arm never seen.

    Raises:
      InputError: scikit-learn is not installed.
    """
    check_installed()
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        max_iter=ROUNDS, max_leaf_nodes=15, early_stopping=False, random_state=seed
    )
    model.fit(x, arms)
    found = np.zeros((len(queries), models), np.float32)
    found[:, model.classes_] = model.predict_proba(queries)
    return found


def _weights(arms: np.ndarray, train: np.ndarray, models: int) -> np.ndarray:
    """[m, n] 1 for the rows that an arm's model is fitted on; all rows for an arm without any."""
    own = (arms[None] == np.arange(models)[:, None]) & train
    return np.where(own.any(axis=1, keepdims=True), own, train).astype(np.float32)


class _PerArm(NamedTuple):
    models: Linear

    def __call__(self, queries: Float[np.ndarray, "q d"]) -> Float[np.ndarray, "q m"]:
        """Every arm's own prediction."""
        found = jax.vmap(lambda model: model(jnp.asarray(queries)), out_axes=1)(self.models)
        return np.asarray(found)


def _per_arm(x: np.ndarray, label: np.ndarray, weights: np.ndarray) -> _PerArm:
    """One ridge regression an arm, on the rows of positive weight."""
    features, labels = jnp.asarray(x), jnp.asarray(label)
    return _PerArm(jax.vmap(lambda own: fit_ridge(features, labels, own))(weights))
