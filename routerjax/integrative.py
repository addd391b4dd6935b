"""The integrative objective: one predictor from gold and bias-corrected preference labels.

min_ψ Σ_gold (r − ψ(x))² + ω Σ_pref (y + τ̂(x) − ψ(x))²

For ridge it is a weighted regression in closed form (`target` gives its labels and weights);
for a head it is a loss (`integrative_loss`). ω is chosen on held-out gold.

Reference: Zhang, Xie, Yang, Wu, Meta-Router (arXiv 2509.25535).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from routerjax.label_sources import FOLDS, Regress, Rows, own_fold


class Candidate(NamedTuple):
    """A way to use the preference labels.

    Attributes:
      omega: ω, weight of a preference row relative to a gold row.
      spread: share of the variation of τ̂ about its mean that the correction keeps; 0 corrects
        by the mean alone, which leaves the order that the preference labels give.
    """

    omega: float
    spread: float = 1.0


CANDIDATES = (
    Candidate(1.0, 0.0),
    Candidate(1.0),
    Candidate(0.3),
    Candidate(0.1),
    Candidate(0.03),
    Candidate(0.0),
)
"""Tried on held-out gold, in order of preference: from most trust in cheap labels to none."""

CAUTION = 1.0
"""Standard errors of the paired difference by which a candidate must beat those before it."""


def corrected_label(
    label: Float[Array, ""], gold: Bool[Array, ""], bias: Float[Array, ""]
) -> Float[Array, ""]:
    """A gold label as it is, a preference label plus its bias τ̂(x)."""
    return label + (1 - gold) * bias


def source_weight(gold: Bool[Array, ""], omega: Float[Array, ""] | float) -> Float[Array, ""]:
    """1 for a gold row, ω for a preference row."""
    return gold + (1 - gold) * omega


def integrative_loss(
    prediction: Float[Array, ""],
    label: Float[Array, ""],
    gold: Bool[Array, ""],
    bias: Float[Array, ""],
    omega: Float[Array, ""] | float,
) -> Float[Array, ""]:
    """One row's term of Σ_gold (r − ψ(x))² + ω Σ_pref (y + τ̂(x) − ψ(x))².

    ω = 0 is gold only; τ̂ = 0 with ω = 1 is naive pooling.

    Args:
      prediction: ψ(x).
      label: r of a gold row, y of a preference row.
      gold: s.
      bias: τ̂(x).
      omega: ω, 0 or more.

    Reference: Meta-Router (arXiv 2509.25535), the integrative objective.

    >>> float(integrative_loss(0.5, 0.0, False, 1.0, 0.5))
    0.125
    """
    return source_weight(gold, omega) * (corrected_label(label, gold, bias) - prediction) ** 2


class Target(NamedTuple):
    """What the predictor is fitted on: regress `label` on x with `weights`.

    Attributes:
      label: [n] gold labels and corrected preference labels.
      weights: [n] 1 for gold, ω for preference, times the rows' own weights.
      omega, spread: of the chosen candidate.
      errors: [candidates] mean squared error on held-out gold; NaN where there was no choice.
    """

    label: Array
    weights: Array
    omega: Array
    spread: Array
    errors: Array


@functools.partial(jax.jit, static_argnames=("regress", "folds", "candidates", "caution"))
def target(
    rows: Rows,
    weights: Float[Array, " n"],
    bias: Float[Array, "k n"],
    *,
    regress: Regress,
    key: PRNGKeyArray,
    folds: int = FOLDS,
    candidates: tuple[Candidate, ...] = CANDIDATES,
    caution: float = CAUTION,
) -> Target:
    """Correct the preference labels, with ω chosen by cross-validation over folds of gold rows.

    The first candidate is chosen whose error on held-out gold exceeds the smallest by no more
    than `caution` standard errors of their paired difference: a hundred gold rows leave much
    chance in a minimum.

    Args:
      rows: n rows.
      weights: [n], 0 takes a row out.
      bias: [k, n] from `learn_bias`; zeros for no correction.
      regress: that the predictor will be fitted with.
      key: for the regressions.
      folds: K.
      candidates: in order of preference; a single one is taken without cross-validation.
      caution: 0 takes the smallest error.

    Returns:
      Target. Its labels use, row by row, the bias model that never saw the row's fold.
    """
    if len(candidates) == 1:
        chosen, means = jnp.zeros((), jnp.int32), jnp.full(1, jnp.nan)
    else:
        squares = gold_errors(
            rows, weights, bias, regress=regress, key=key, folds=folds, candidates=candidates
        )
        share = weights * rows.gold / jnp.maximum(jnp.sum(weights * rows.gold), 1e-30)
        means = squares @ share
        excess = squares - squares[jnp.argmin(means)]
        variance = ((excess - (excess @ share)[:, None]) ** 2) @ share**2
        chosen = jnp.argmax(excess @ share <= caution * jnp.sqrt(variance))
    omega, spread = (jnp.asarray(values)[chosen] for values in zip(*candidates, strict=True))
    correction = own_fold(_narrowed(bias, weights, spread), rows.fold)
    label = corrected_label(rows.label, rows.gold, correction)
    return Target(label, weights * source_weight(rows.gold, omega), omega, spread, means)


def _narrowed(bias: Array, weights: Array, spread: Array) -> Array:
    mean = bias @ weights[:, None] / jnp.maximum(jnp.sum(weights), 1e-30)
    return mean + spread * (bias - mean)


@functools.partial(jax.jit, static_argnames=("regress", "folds", "candidates"))
def gold_errors(
    rows: Rows,
    weights: Float[Array, " n"],
    bias: Float[Array, "k n"],
    *,
    regress: Regress,
    key: PRNGKeyArray,
    folds: int = FOLDS,
    candidates: tuple[Candidate, ...] = CANDIDATES,
) -> Float[Array, "candidates n"]:
    """Squared error of every row's label under each candidate, by predictors that never saw it.

    The predictor of fold k is fitted on the other folds, their preference labels corrected by
    ``bias[k]``, so that no stage has seen a label of fold k. Only gold rows are to be read.
    """

    def squares(candidate):
        omega, spread = candidate
        narrowed = _narrowed(bias, weights, spread)

        def without(k):
            label = corrected_label(rows.label, rows.gold, narrowed[k])
            kept = weights * (rows.fold != k) * source_weight(rows.gold, omega)
            return regress(rows.x, label, kept, rows.x, key=jax.random.fold_in(key, k))

        prediction = own_fold(jax.lax.map(without, jnp.arange(folds)), rows.fold)
        return (rows.label - prediction) ** 2

    return jax.lax.map(squares, tuple(jnp.asarray(c) for c in zip(*candidates, strict=True)))
