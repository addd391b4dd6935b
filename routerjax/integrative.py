"""The integrative objective: one predictor from gold and bias-corrected preference labels.

min_ψ Σ_gold (r − ψ(x))² + ω Σ_pref (y + τ̂(x) − ψ(x))²

For ridge it is a weighted regression in closed form (`target` gives its labels and weights);
for a head it is a loss (`integrative_loss`). ω is chosen on held-out gold.

Reference: Zhang, Xie, Yang, Wu, Meta-Router (arXiv 2509.25535).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from routerjax.label_sources import FOLDS, Regress, Rows, own_fold

OMEGAS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Weights of a preference row, relative to a gold row, among which ω is chosen."""


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
      omega: ω.
      errors: mean squared error on held-out gold of every candidate ω.
    """

    label: Array
    weights: Array
    omega: Array
    errors: Array


def target(
    rows: Rows,
    weights: Float[Array, " n"],
    bias: Float[Array, "k n"],
    *,
    regress: Regress,
    key: PRNGKeyArray,
    folds: int = FOLDS,
    omegas: tuple[float, ...] = OMEGAS,
) -> Target:
    """Correct the preference labels and choose ω by cross-validation over folds of gold rows.

    Args:
      rows: n rows.
      weights: [n], 0 takes a row out.
      bias: [k, n] from `learn_bias`; zeros for no correction.
      regress: that the predictor will be fitted with.
      key: folded into one per candidate and fold.
      folds: K.
      omegas: candidates; a single one is taken without cross-validation.

    Returns:
      Target. Its labels use, row by row, the bias model that never saw the row's fold.
    """
    if len(omegas) == 1:
        errors, omega = jnp.full(1, jnp.nan), jnp.float32(omegas[0])
    else:
        errors = gold_errors(
            rows, weights, bias, regress=regress, key=key, folds=folds, omegas=omegas
        )
        omega = jnp.asarray(omegas)[jnp.argmin(errors)]
    label = corrected_label(rows.label, rows.gold, own_fold(bias, rows.fold))
    return Target(label, weights * source_weight(rows.gold, omega), omega, errors)


def gold_errors(
    rows: Rows,
    weights: Float[Array, " n"],
    bias: Float[Array, "k n"],
    *,
    regress: Regress,
    key: PRNGKeyArray,
    folds: int = FOLDS,
    omegas: tuple[float, ...] = OMEGAS,
) -> Float[Array, " candidates"]:
    """Mean squared error on held-out gold rows of the predictor under each ω.

    The predictor of fold k is fitted on the other folds, their preference labels corrected by
    ``bias[k]``, and judged on the gold rows of fold k, of which no stage has seen any.
    """
    omega_of, fold_of = jnp.meshgrid(jnp.asarray(omegas), jnp.arange(folds), indexing="ij")

    def squares(candidate):
        omega, k = candidate
        label = corrected_label(rows.label, rows.gold, bias[k])
        kept = weights * (rows.fold != k) * source_weight(rows.gold, omega)
        prediction = regress(rows.x, label, kept, rows.x, key=jax.random.fold_in(key, k))
        judged = weights * rows.gold * (rows.fold == k)
        return jnp.sum(judged * (rows.label - prediction) ** 2)

    total = jax.lax.map(squares, (omega_of.ravel(), fold_of.ravel()))
    return total.reshape(omega_of.shape).sum(axis=1) / jnp.sum(weights * rows.gold)
