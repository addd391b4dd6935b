"""Learn the bias of cheap labels: the R-learner and the DR-learner, cross-fitted.

The way a label was made is read as a treatment: source s = 1 gold, s = 0 preference, Y the
label seen. Then τ(x) = E[Y | x, s = 1] − E[Y | x, s = 0], the bias to correct, is a
conditional average treatment effect, and the learners of causal inference estimate it.
`routerjax.estimators.integrative` then learns from the gold and the corrected labels together.

Reference: Zhang, Xie, Yang, Wu, Meta-Router (arXiv 2509.25535).
"""

from __future__ import annotations

import functools
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from routerjax.estimators.cross_fit import FOLDS, LabelledRows, Regress, cross_fit_twice, held
from routerjax.support.mapping import mapped


def r_pseudo_outcome(
    label: Float[Array, "*#n"],
    gold: Bool[Array, "*#n"],
    outcome: Float[Array, "*#n"],
    propensity: Float[Array, "*#n"],
) -> tuple[Float[Array, "*#n"], Float[Array, "*#n"]]:
    """R-learner's pseudo-outcome and weight of a row.

    Σ ((Y − m̂) − (s − ê) τ(x))² = Σ (s − ê)² · ((Y − m̂)/(s − ê) − τ(x))².

    Args:
      label: Y.
      gold: s.
      outcome: m̂(x) = E[Y | x], from a model that never saw the row.
      propensity: ê(x), strictly between 0 and 1.

    Returns:
      (Y − m̂)/(s − ê) in the unit of Y, and (s − ê)².

    Reference: Nie and Wager (2021); Meta-Router (arXiv 2509.25535), R-learner.

    >>> r_pseudo_outcome(1.0, True, 0.5, 0.75)
    (2.0, 0.0625)
    """
    surprise = gold - propensity
    return (label - outcome) / surprise, surprise**2


def dr_pseudo_outcome(
    label: Float[Array, "*#n"],
    gold: Bool[Array, "*#n"],
    preference_outcome: Float[Array, "*#n"],
    gold_outcome: Float[Array, "*#n"],
    propensity: Float[Array, "*#n"],
) -> Float[Array, "*#n"]:
    """DR-learner's pseudo-outcome of a row, with mean τ(x) if either nuisance is right.

    μ̂₁ − μ̂₀ + (s − ê) / (ê (1 − ê)) · (Y − μ̂_s).

    Args:
      label: Y.
      gold: s.
      preference_outcome, gold_outcome: μ̂₀(x), μ̂₁(x), from models that never saw the row.
      propensity: ê(x), strictly between 0 and 1.

    Returns:
      The pseudo-outcome in the unit of Y.

    Reference: Kennedy (2023); Meta-Router (arXiv 2509.25535), DR-learner.

    >>> dr_pseudo_outcome(1.0, True, 0.25, 0.5, 0.25)
    2.25
    """
    own = gold * gold_outcome + (1 - gold) * preference_outcome
    lever = (gold - propensity) / (propensity * (1 - propensity))
    return gold_outcome - preference_outcome + lever * (label - own)


@runtime_checkable
class Learner(Protocol):
    """Pseudo-outcomes and weights [k, n] whose weighted regression on x is the bias τ(x).

    Those of [k, i] come from nuisances that saw neither fold k nor the fold of row i. A learner
    that is a regression of its own returns the bias [k, n] itself, learnt without fold k, and
    None for the weights.
    """

    def __call__(
        self,
        rows: LabelledRows,
        weights: Float[Array, " n"],
        *,
        regress: Regress,
        key: PRNGKeyArray,
        folds: int,
    ) -> tuple[Float[Array, "k n"], Float[Array, "k n"] | None]: ...


def r_learner(
    rows: LabelledRows,
    weights: Float[Array, " n"],
    *,
    regress: Regress,
    key: PRNGKeyArray,
    folds: int = FOLDS,
) -> tuple[Float[Array, "k n"], Float[Array, "k n"]]:
    """R-learner's pseudo-outcomes and weights, with a cross-fitted m̂(x) = E[Y | x].

    Args:
      rows: n rows with folds and propensities.
      weights: [n], 0 takes a row out.
      regress: The regression that fits m̂.
      key, folds: Random key and number of folds of the cross-fitting.
    """
    outcome = cross_fit_twice(regress, rows, weights, key=key, folds=folds)
    value, weight = r_pseudo_outcome(*_each(rows.label, rows.gold, outcome, rows.propensity))
    return value, jnp.broadcast_to(weights[None] * weight, value.shape)


def dr_learner(
    rows: LabelledRows,
    weights: Float[Array, " n"],
    *,
    regress: Regress,
    key: PRNGKeyArray,
    folds: int = FOLDS,
) -> tuple[Float[Array, "k n"], Float[Array, "k n"]]:
    """DR-learner's pseudo-outcomes and weights, with cross-fitted μ̂₀ and μ̂₁.

    Args:
      rows: n rows with folds and propensities.
      weights: [n], 0 takes a row out.
      regress: for μ̂₀, fitted on preference rows, and μ̂₁, fitted on gold rows.
      key, folds: of the cross-fitting.
    """
    preference, gold = (
        cross_fit_twice(regress, rows, weights * side, key=jax.random.fold_in(key, i), folds=folds)
        for i, side in enumerate((~rows.gold, rows.gold))
    )
    value = dr_pseudo_outcome(*_each(rows.label, rows.gold, preference, gold, rows.propensity))
    return value, jnp.broadcast_to(weights, value.shape)


def _each(*values: Array) -> tuple[Array, ...]:
    """Values of every row, [n], or of every row and fold left out, [k, n], all with two axes."""
    return tuple(map(jnp.atleast_2d, values))


@functools.partial(jax.jit, static_argnames=("learner", "regress", "folds"))
def learn_bias(
    rows: LabelledRows,
    weights: Float[Array, " n"],
    *,
    learner: Learner = dr_learner,
    regress: Regress,
    key: PRNGKeyArray,
    folds: int = FOLDS,
    limit: Float[Array, ""] | float = jnp.inf,
) -> Float[Array, "k n"]:
    """Estimate the bias τ(x) once without each fold.

    Model k has seen no label of fold k at any stage, nuisances included. So row i's correction
    is ``own_fold(bias, fold)``, and held-out rows of fold k are evaluated with ``bias[k]``.

    Args:
      rows: n rows.
      weights: [n], 0 takes a row out; its bias is predicted all the same.
      learner: `r_learner`, `dr_learner` or another of their signature.
      regress: The regression that fits the nuisances and τ̂.
      key: Random key of the regressions.
      folds: K.
      limit: τ̂ is kept within ± limit; the width of the label's range is always right.

    Returns:
      [k, n] bias of every row, in the unit of the label.
    """
    nuisance_key, bias_key = jax.random.split(key)
    values, value_weights = learner(rows, weights, regress=regress, key=nuisance_key, folds=folds)
    if value_weights is None:
        return jnp.clip(values, -limit, limit)

    def without(fold: tuple[Array, Array, Array]) -> Array:
        k, value, weight = fold
        kept = weight * (rows.fold != k)
        bias = regress(rows.x, value, kept, rows.x, key=jax.random.fold_in(bias_key, k))
        return jnp.clip(bias, -limit, limit)

    bias: Float[Array, "k n"] = mapped(
        without, (jnp.arange(folds), values, value_weights), holds=held(rows.x)
    )
    return bias
