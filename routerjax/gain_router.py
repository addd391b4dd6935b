"""The meta-router: bias, correction and predictor of labelled gains, and its decisions.

For m models it learns the gain of each over the reference and sends a query to the model of
largest gain less price; for a pair that is the paper's rule, the primary when
ψ(x) > λ (C_primary − C_alternative).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from routerjax.bias import Learner, dr_learner, learn_bias
from routerjax.components import Components, fit_components
from routerjax.counterfactual import Overlap
from routerjax.gains import LabelledGains
from routerjax.integrative import CANDIDATES, Candidate, target
from routerjax.label_sources import (
    FOLDS,
    Regress,
    Rows,
    assign_folds,
    estimate_propensity,
    own_fold,
    source_overlap,
)
from routerjax.ridge import Linear, fit_ridge, ridge


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GainRouter:
    """Predicted gains as an affine function of the components of an embedding.

    Attributes:
      components: of the embeddings.
      gain: ψ, a `Linear` with a leading axis a over the models but the reference.
      costs: [a + 1] dollars per query, the reference first.
    """

    components: Components
    gain: Linear
    costs: Array

    def gains(self, embeddings: Float[Array, "n d"]) -> Float[Array, "n a"]:
        """Predicted gain ψ(x, m) of every model over the reference, [n, a]."""
        x = self.components(jnp.asarray(embeddings))
        return x @ self.gain.coefficients.T + self.gain.intercept

    def route(
        self, embeddings: Float[Array, "n d"], cost_weight: Array | float
    ) -> Int[Array, " n"]:
        """Model of largest ψ(x, m) − λ (C_m − C_0), 0 being the reference, [n]."""
        return decide(self.gains(embeddings), self.costs, cost_weight)


def decide(
    gains: Float[Array, "n a"], costs: Float[Array, " m"], cost_weight: Array | float
) -> Int[Array, " n"]:
    """Send each query to the model of largest gain less price; the reference wins a tie.

    argmax_m ψ(x, m) − λ (C_m − C_0) with ψ(x, 0) = 0: for a pair, the primary when
    ψ(x) > λ (C_primary − C_alternative).

    Args:
      gains: [n, a] over the reference, in quality.
      costs: [a + 1] dollars per query, the reference first.
      cost_weight: λ, quality per dollar.

    Reference: Meta-Router (arXiv 2509.25535), the decision rule.

    >>> decide(jnp.array([[0.3], [0.1]]), jnp.array([0.0, 0.02]), 10.0).tolist()
    [1, 0]
    """
    net = gains - cost_weight * (costs[1:] - costs[0])
    return jnp.argmax(jnp.concatenate([jnp.zeros_like(net[:, :1]), net], axis=1), axis=1)


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
    learner: Learner = dr_learner,
    regress: Regress = ridge,
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
      learner: `dr_learner` or `r_learner`.
      regress: for the nuisances and τ̂. The predictor ψ itself is ridge, also on held-out gold:
        a `GainRouter` is affine in the components, so that what is saved is one small matrix,
        whatever learnt the bias.
      folds: of the cross-fitting.
      candidates: ways to use the preference labels, mixed by held-out gold.
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
        learner=learner,
        regress=regress,
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
        unlabelled = Rows(x, used, gains.gold, used, fold)
        propensity = estimate_propensity(unlabelled, used, folds=folds)

    def one(column):
        labelled = jnp.isfinite(column)
        rows = Rows(x, jnp.where(labelled, column, 0.0), gains.gold, propensity, fold)
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
