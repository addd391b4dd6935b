"""The integrative objective: one predictor from gold and bias-corrected preference labels.

min_ψ Σ_gold (r − ψ(x))² + ω Σ_pref (y + τ̂(x) − ψ(x))²

For ridge it is a weighted regression in closed form (`target` gives its labels and weights);
for a head it is a loss (`integrative_loss`). How much the preference labels count, and how much
of their correction is believed, is settled on held-out gold: the predictors of a few candidates
are mixed in shares that it gives them (mixture.py).

Reference: Zhang, Xie, Yang, Wu, Meta-Router (arXiv 2509.25535).
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from routerjax.estimators.cross_fit import FOLDS, LabelledRows, Regress, held, own_fold
from routerjax.estimators.mixture import CAUTION, mixture
from routerjax.support.mapping import mapped


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
"""Mixed by held-out gold, in order: from most trust in cheap labels to none."""


def corrected_label(
    label: Float[Array, "*#n"], gold: Bool[Array, "*#n"], bias: Float[Array, "*#n"]
) -> Float[Array, "*#n"]:
    """A gold label as it is, a preference label plus its bias τ̂(x)."""
    return label + (1 - gold) * bias


def source_weight(
    gold: Bool[Array, "*#n"], omega: Float[Array, "*#n"] | float
) -> Float[Array, "*#n"]:
    """1 for a gold row, ω for a preference row."""
    return gold + (1 - gold) * omega


def integrative_loss(
    prediction: Float[Array, "*#n"],
    label: Float[Array, "*#n"],
    gold: Bool[Array, "*#n"],
    bias: Float[Array, "*#n"],
    omega: Float[Array, "*#n"] | float,
) -> Float[Array, "*#n"]:
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
    """The parts of the predictor ψ = Σ_c mixture_c ψ_c, ψ_c the regression for candidate c.

    Attributes:
      label: [c, n] gold labels and corrected preference labels.
      weights: [c, n] 1 for gold, ω for preference, times the rows' own weights.
      mixture: [c] share of each candidate's predictor; their sum is 1.
      omega, spread: the candidates' means under `mixture`.
      errors: [c] mean squared error on held-out gold; NaN where there was no choice.
    """

    label: Array
    weights: Array
    mixture: Array
    omega: Array
    spread: Array
    errors: Array

    def predict(
        self, x: Array, queries: Float[Array, "q d"], *, regress: Regress, key: PRNGKeyArray
    ) -> Float[Array, " q"]:
        """Fit every candidate's predictor on x [n, d]; their mixture for the queries, [q]."""

        def fitted(part: tuple[Array, Array]) -> Array:
            label, weights = part
            return regress(x, label, weights, queries, key=key)

        parts = (self.label, self.weights)
        mixed: Array = self.mixture @ mapped(fitted, parts, holds=held(x))
        return mixed


@functools.partial(jax.jit, static_argnames=("regress", "folds", "candidates", "caution"))
def target(
    rows: LabelledRows,
    weights: Float[Array, " n"],
    bias: Float[Array, "k n"],
    *,
    regress: Regress,
    key: PRNGKeyArray,
    folds: int = FOLDS,
    candidates: tuple[Candidate, ...] = CANDIDATES,
    caution: float = CAUTION,
    correction: Float[Array, " n"] | None = None,
) -> Target:
    """Correct the preference labels, the candidates' shares settled by held-out gold.

    Args:
      rows: n rows.
      weights: [n], 0 takes a row out.
      bias: [k, n] from `learn_bias`; zeros for no correction.
      regress: The regression with which the predictor will be fitted.
      key: Random key of the regressions.
      folds: K.
      candidates: As in `mixture`; a single one is taken without cross-validation.
      caution: As in `mixture`.
      correction: [n] the bias by which the labels of the fit are corrected, of models that never
        saw the row's query: the mean over several deals of the folds, say, which errs less than
        that of one. None takes ``own_fold(bias)``. What held-out gold says is of `bias`.

    Returns:
      Target. Its labels use, row by row, the bias model that never saw the row's fold.
    """
    if len(candidates) == 1:
        shares, errors = jnp.ones(1), jnp.full(1, jnp.nan)
    else:
        predictions = held_out_predictions(
            rows, weights, bias, regress=regress, key=key, folds=folds, candidates=candidates
        )
        share = weights * rows.gold / jnp.maximum(jnp.sum(weights * rows.gold), 1e-30)
        errors = (rows.label[None] - predictions) ** 2 @ share
        shares = mixture(rows.label, predictions, share, caution=caution, groups=rows.groups)
    omega, spread = (jnp.asarray(values) for values in zip(*candidates, strict=True))
    means = _mean(bias, weights)
    # about one mean for all: means that differ by fold would blur what they correct
    middle, about = jnp.mean(means), own_fold(bias - means, rows.fold)
    if correction is not None:
        middle = _mean(correction, weights)[0]
        about = correction - middle
    each_correction = middle + spread[:, None] * about[None]
    label = corrected_label(rows.label[None], rows.gold[None], each_correction)
    each = weights[None] * source_weight(rows.gold[None], omega[:, None])
    return Target(label, each, shares, shares @ omega, shares @ spread, errors)


def _mean(bias: Array, weights: Array) -> Array:
    """Weighted mean over rows, [..., n] → [..., 1]."""
    return (bias @ weights / jnp.maximum(jnp.sum(weights), 1e-30))[..., None]


@functools.partial(jax.jit, static_argnames=("regress", "folds", "candidates"))
def held_out_predictions(
    rows: LabelledRows,
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

    def without(part: tuple[Array, Array, Array]) -> Array:
        k, omega, spread = part
        kept = weights * (rows.fold != k) * source_weight(rows.gold, omega)
        mean = _mean(bias[k], weights)

        def fitted(spread: Array) -> Array:
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
        parts = (k, jnp.asarray(omegas)[place], spread[place])
        found = mapped(without, parts, holds=count * held(rows.x))
        found = found.reshape(len(omegas), folds, count, -1)
        own = jnp.take_along_axis(found, rows.fold[None, None, None], axis=1)[:, 0]
        predictions = predictions.at[places].set(own)
    return predictions
