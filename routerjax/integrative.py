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
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

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
    Candidate(0.1),
    Candidate(0.0),
)
"""Tried on held-out gold, in order: from most trust in cheap labels to none."""

CAUTION = 1.0
"""How far held-out gold must point towards a candidate, in units of √(2 log n) standard errors."""


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

    Args:
      rows: n rows.
      weights: [n], 0 takes a row out.
      bias: [k, n] from `learn_bias`; zeros for no correction.
      regress: that the predictor will be fitted with.
      key: for the regressions.
      folds: K.
      candidates: as `choose`; a single one is taken without cross-validation.
      caution: as `choose`.

    Returns:
      Target. Its labels use, row by row, the bias model that never saw the row's fold.
    """
    if len(candidates) == 1:
        chosen, errors = jnp.zeros((), jnp.int32), jnp.full(1, jnp.nan)
    else:
        predictions = held_out_predictions(
            rows, weights, bias, regress=regress, key=key, folds=folds, candidates=candidates
        )
        share = weights * rows.gold / jnp.maximum(jnp.sum(weights * rows.gold), 1e-30)
        errors = (rows.label - predictions) ** 2 @ share
        chosen = choose(rows.label, predictions, share, caution=caution)
    omega, spread = (jnp.asarray(values)[chosen] for values in zip(*candidates, strict=True))
    means = _mean(bias, weights)
    # about one mean for all: means that differ by fold would blur what they correct
    correction = jnp.mean(means) + spread * own_fold(bias - means, rows.fold)
    label = corrected_label(rows.label, rows.gold, correction)
    return Target(label, weights * source_weight(rows.gold, omega), omega, spread, errors)


@jax.jit
def choose(
    label: Float[Array, " n"],
    predictions: Float[Array, "c n"],
    share: Float[Array, " n"],
    *,
    caution: float = CAUTION,
) -> Int[Array, ""]:
    """Go through the candidates in order and move on only where held-out gold says so.

    From the candidate ψ held so far, the next, ψ', is reached by the step d = ψ' − ψ. With
    a, b the slope and intercept of the residual r − ψ on d over held-out gold,

        Σ (r − ψ')² − Σ (r − ψ)²  =  (1 − 2a) Σ d²   (each centred),

    so that ψ' errs less if a > ½, and ψ has nothing to learn from ψ' if a = 0. The step is taken
    if a > ½ and a exceeds 0 by more than caution · √(2 log n) standard errors, n gold rows, which
    chance alone hardly reaches. The slope tells a wrong ψ from far fewer rows than a difference
    of squared errors that must itself stand out from its noise.

    Args:
      label: [n] gold labels r.
      predictions: [c, n] of every candidate, by predictors that never saw the row.
      share: [n] weight of each gold row, 0 for the others, their sum 1.
      caution: 0 takes every step that errs less.

    Returns:
      Index of the candidate chosen.

    Reference: Donoho and Johnstone (1994) for √(2 log n).
    """
    rows = 1 / jnp.maximum(share @ share, 1e-30)  # as many rows of equal weight
    least = caution * jnp.sqrt(2 * jnp.log(jnp.maximum(rows, 1.0)))

    def step(held, place):
        d = predictions[place] - predictions[held]
        d, e = (part - share @ part for part in (d, label - predictions[held]))
        size = share @ d**2
        slope = share @ (d * e) / jnp.maximum(size, 1e-30)
        left = share @ (e - slope * d) ** 2
        error = jnp.sqrt(left / jnp.maximum(size * (rows - 2), 1e-30))
        better = (slope > 0.5) & (slope > least * error) & (size > 0)
        return jnp.where(better, place, held), None

    first = jnp.zeros((), jnp.int32)
    return jax.lax.scan(step, first, jnp.arange(1, predictions.shape[0], dtype=jnp.int32))[0]


def _mean(bias: Array, weights: Array) -> Array:
    """Weighted mean over rows, [..., n] → [..., 1]."""
    return (bias @ weights / jnp.maximum(jnp.sum(weights), 1e-30))[..., None]


@functools.partial(jax.jit, static_argnames=("regress", "folds", "candidates"))
def held_out_predictions(
    rows: Rows,
    weights: Float[Array, " n"],
    bias: Float[Array, "k n"],
    *,
    regress: Regress,
    key: PRNGKeyArray,
    folds: int = FOLDS,
    candidates: tuple[Candidate, ...] = CANDIDATES,
) -> Float[Array, "c n"]:
    """Every row's prediction under each candidate, by predictors that never saw its fold.

    The predictor of fold k is fitted on the other folds, their preference labels corrected by
    ``bias[k]``, so that no stage has seen a label of fold k. Candidates of one ω share their
    weights: mapped together, they share what a regression makes of x and weights.
    """
    spreads: dict[float, list[int]] = {}
    for place, candidate in enumerate(candidates):
        spreads.setdefault(candidate.omega, []).append(place)

    def without(part):
        k, omega, spread = part
        kept = weights * (rows.fold != k) * source_weight(rows.gold, omega)
        mean = _mean(bias[k], weights)

        def fitted(spread):
            correction = mean + spread * (bias[k] - mean)
            label = corrected_label(rows.label, rows.gold, correction)
            return regress(rows.x, label, kept, rows.x, key=jax.random.fold_in(key, k))

        return jax.vmap(fitted)(spread)

    predictions = jnp.zeros((len(candidates), rows.label.shape[0]))
    # one compiled loop for all ω of as many candidates
    for count in sorted({len(places) for places in spreads.values()}):
        omegas = [omega for omega, places in spreads.items() if len(places) == count]
        places = jnp.asarray([spreads[omega] for omega in omegas])
        pairs = jnp.asarray([(k, o) for o in range(len(omegas)) for k in range(folds)])
        spread = jnp.asarray([c.spread for c in candidates])[places]

        k, place = pairs.T
        found = jax.lax.map(without, (k, jnp.asarray(omegas)[place], spread[place]))
        found = found.reshape(len(omegas), folds, count, -1)
        own = jnp.take_along_axis(found, rows.fold[None, None, None], axis=1)[:, 0]
        predictions = predictions.at[places].set(own)
    return predictions
