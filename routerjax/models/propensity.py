"""The log's policy as a model: how probable every arm is for a query, and which are supported."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from routerjax.estimators.holes import Holes, in_holes
from routerjax.estimators.logit import Logit, logit_odds
from routerjax.estimators.regions import Regions, in_regions
from routerjax.estimators.trees import NEVER, Trees, log_odds

ERRORS = 1.0
"""Standard errors that are taken off propensities, of their logarithms, before they are support."""
LEAST = 1e-9
"""Propensity that is added before a logarithm is taken."""
SIZES = (0, 10, 25)
"""Numbers of trees that programs are compiled for, and all of them."""


class Cuts(NamedTuple):
    """Where a policy's cuts through the queries leave each arm without support.

    Attributes:
      directions: [d, m] each arm's, on scaled embeddings: the mean of its folds', 0 without a cut.
      least: [m] sum along it from which the arm has support; −infinity where everywhere.
    """

    directions: Float[Array | np.ndarray, "d m"]
    least: Float[Array | np.ndarray, " m"]


class PropensityModel(NamedTuple):
    """Propensity models of K folds; a new query gets their average.

    Attributes:
      trees: leading axis k.
      threshold: [m] propensity from which an arm has support; infinite where it never has.
      cuts: of sums of many numbers of the embedding, which trees do not see; None without any.
      holes: boxes of queries that trees of all arms together pass over; None without any.
      regions: of like queries, in some of which an arm was never asked; None without any.
      logit: log odds by sums of the query's numbers, to which those of the trees are added; None
        where the trees foretell as well without.
    """

    trees: Trees
    threshold: Float[Array | np.ndarray, " m"]
    cuts: Cuts | None = None
    holes: Holes | None = None
    logit: Logit | None = None
    regions: Regions | None = None


def without_unused_trees(model: PropensityModel) -> PropensityModel:
    """The model without trailing trees whose leaves are all 0, in one of few sizes.

    Growing stops where held-out rows say so, and many logs keep no tree at all.
    """
    used = np.asarray(model.trees.leaves).any(axis=(0, 2, 3))  # [t]
    least = int(np.flatnonzero(used).max(initial=-1)) + 1
    count = min(min(size for size in (*SIZES, used.size) if size >= least), used.size)
    leaves: list[Any] = [np.asarray(leaf) for leaf in model.trees]
    return model._replace(trees=Trees(leaves[0], *(leaf[:, :count] for leaf in leaves[1:])))


def propensities_by_fold(
    model: PropensityModel,
    x: Float[Array, "n d"],
    available: Bool[Array, "n m"] | None = None,
) -> Float[Array, "k n m"]:
    """π̂(m | x) by every fold's model, over the arms that are available (None: all are)."""

    def one(own: tuple[Trees, Logit | None]) -> Float[Array, "n m"]:
        odds = _odds(*own, x, available)
        if available is not None:
            odds = jnp.where(available, odds, NEVER)
        return jax.nn.softmax(odds, axis=-1)

    return jax.lax.map(one, (model.trees, model.logit))


def surely(by_fold: Any, mean: Any, errors: float = ERRORS) -> Any:
    """[n, m] propensities less some standard errors of their logarithms: π̂ · exp(−errors · e).

    e² = (K − 1)/K · Σ_k (log π̂_k − their mean)² is what leaving a fold out changes (delete-a-group
    jackknife). Where a policy's edge is steep, a small error of its place is a large one of π̂ near
    it, and which side a query lies on is not known.

    Args:
      by_fold: [k, n, m] by every fold's model, of JAX or of NumPy.
      mean: [n, m] π̂.
      errors: how many standard errors.
    """
    count, xp = len(by_fold), np if isinstance(by_fold, np.ndarray) else jnp
    logs = xp.log(by_fold + LEAST)
    away = logs - logs.mean(axis=0, keepdims=True)
    error = xp.sqrt((count - 1) / count * (away**2).sum(axis=0))
    return mean * xp.exp(-errors * error)


def tree_odds_by_fold(model: PropensityModel, x: Float[Array, "n d"]) -> Float[Array, "k n m"]:
    """Log odds of the arms by every fold's trees, to which others may be added."""
    return jax.lax.map(lambda trees: log_odds(trees, x), model.trees)


def _odds(
    trees: Trees,
    logit: Logit | None,
    x: Float[Array, "n d"],
    available: Bool[Array, "n m"] | None,
) -> Float[Array, "n m"]:
    """Of one fold."""
    odds = log_odds(trees, x)
    return odds if logit is None else odds + logit_odds(logit, x, available)


def supported(
    model: PropensityModel,
    x: Float[Array, "n d"],
    available: Bool[Array, "n m"] | None = None,
) -> Bool[Array, "n m"]:
    """Which arms the log's policy asked often enough of queries like these to say what they do.

    Where `available` says which arms there are, no other is supported.
    """
    by_fold = propensities_by_fold(model, x, available)
    chances = jnp.mean(by_fold, axis=0)
    if model.logit is not None:
        chances = surely(by_fold, chances)
    return with_support(chances, model.threshold, available, asked_there(model, x))


def asked_there(model: PropensityModel, x: Any) -> Any:
    """[n, m] True where queries x lie on the asked side of an arm's cut, and in none of its holes
    and of the regions in which it was never asked.

    Of JAX or of NumPy, as x is; None where the model has none of these.
    """
    found = []
    if model.cuts is not None:
        found.append(x @ model.cuts.directions >= model.cuts.least[None])
    if model.holes is not None:
        found.append(~in_holes(model.holes, x))
    if model.regions is not None:
        found.append(~in_regions(model.regions, x))
    return functools.reduce(operator.and_, found) if found else None


def asked_alike(model: PropensityModel) -> bool:
    """Whether nothing but propensities says where an arm was asked."""
    return model.cuts is None and model.holes is None and model.regions is None


def with_support(
    propensities: Float[Array, "n m"],
    threshold: Float[Array | np.ndarray, " m"],
    available: Bool[Array, "n m"] | None = None,
    inside: Bool[Array, "n m"] | None = None,
) -> Bool[Array, "n m"]:
    """π̂(m | x) ≥ threshold of m, where it is asked; of a query without such an arm the likeliest.

    An arm that is not available is never supported, nor is it the likeliest, which is one `inside`
    its cut and no hole where there is any, and not one that has support nowhere where there is
    another.
    """
    enough = propensities >= threshold[None]
    for other in (available, inside):
        if other is not None:
            enough = enough & other
    propensities = preferred(propensities, threshold, inside)
    if available is not None:
        propensities = jnp.where(available, propensities, -1.0)
    likeliest = jax.nn.one_hot(jnp.argmax(propensities, axis=-1), propensities.shape[-1]) > 0
    return jnp.where(jnp.any(enough, axis=-1, keepdims=True), enough, likeliest)


def preferred(propensities: Any, threshold: Any, inside: Any) -> Any:
    """[n, m] propensities, raised for arms that have support anywhere, and inside what is asked.

    Of JAX or of NumPy, as they are; those of 0 stay so.
    """
    raised = 2.0 * (threshold < math.inf)[None]
    if inside is not None:
        raised = raised + inside
    return propensities + raised * (propensities > 0)


def supported_rows(
    propensities: Float[np.ndarray, "n m"],
    threshold: Float[np.ndarray, " m"],
    available: Bool[np.ndarray, "n m"] | None = None,
    inside: Bool[np.ndarray, "n m"] | None = None,
) -> Bool[np.ndarray, "n m"]:
    """`with_support` of many queries, without compiling for their number."""
    enough = propensities >= threshold[None]
    for other in (available, inside):
        if other is not None:
            enough = enough & other
    propensities = preferred(propensities, threshold, inside)
    if available is not None:
        propensities = np.where(available, propensities, -1.0)
    likeliest = np.arange(len(threshold)) == propensities.argmax(axis=-1)[:, None]
    return np.where(enough.any(axis=-1, keepdims=True), enough, likeliest)
