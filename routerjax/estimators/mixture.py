"""Predictors mixed by what held-out gold says of them, the most trusting under burden of proof.

Squared error on a few hundred gold labels hardly tells good cheap labels from bad ones, where
most of a label is noise. So the choice is not forced: what cannot be told apart is mixed, and
what has proven itself is left only for evidence.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

CAUTION = 1.0
"""Evidence for the cheap labels, and then against them, in units of √(2 log n) standard errors."""

TEMPERATURE = 4.0
"""Of the exponential weights, in units of the noise variance σ²."""


@jax.jit
def mixture(
    label: Float[Array, " n"],
    predictions: Float[Array, "c n"],
    share: Float[Array, " n"],
    *,
    caution: Float[Array, ""] | float = CAUTION,
    groups: Int[Array, " n"] | None = None,
) -> Float[Array, " c"]:
    """Shares of the candidates' predictors in ψ, by held-out gold; the burden of proof is theirs.

    The first candidate trusts the cheap labels most. Has it proven itself, that is, does the
    slope of gold on its held-out predictions exceed 0 by h = caution · √(2 log n) standard errors,
    n gold queries, which chance alone hardly reaches? Then ψ starts from it, and moves on to the
    others only as far as held-out gold says, as loudly (`shrunken_steps`). Otherwise nobody
    knows which is right, and all are mixed by how much they err (`exponential_shares`).

    Args:
      label: [n] gold labels r.
      predictions: [c, n] of every candidate, by predictors that never saw the row.
      share: [n] weight of each gold row, 0 for the others, their sum 1.
      caution: 0 trusts the first candidate wherever its slope is positive, and steps freely.
      groups: [n] integers below n, equal where the query repeats: n counts queries, since the
        labels of one query tell what one of them tells. None where no query repeats.

    Returns:
      [c] shares, none below 0, their sum 1.

    Reference: Donoho and Johnstone (1994) for √(2 log n).
    """
    queries = independent(share, groups)
    least = caution * jnp.sqrt(2 * jnp.log(jnp.maximum(queries, 1.0)))
    _, t = _slope(label, predictions[0], share, queries)
    steps = shrunken_steps(label, predictions, share, least, groups)
    return jnp.where(t > least, steps, exponential_shares(label, predictions, share, groups))


def independent(
    share: Float[Array, " n"], groups: Int[Array, " n"] | None = None
) -> Float[Array, ""]:
    """As many queries of equal weight: 1 / Σ_g (Σ_{i∈g} share_i)².

    Args:
      share: [n] weights, their sum 1.
      groups: [n] integers below n, equal where the query repeats.
    """
    if groups is not None:
        share = jax.ops.segment_sum(share, groups, num_segments=share.shape[0])
    return 1 / jnp.maximum(share @ share, 1e-30)


def shrunken_steps(
    label: Float[Array, " n"],
    predictions: Float[Array, "c n"],
    share: Float[Array, " n"],
    least: Float[Array, ""] | float,
    groups: Int[Array, " n"] | None = None,
) -> Float[Array, " c"]:
    """Start from the first candidate and go towards each next one as far as gold says, [c].

    From ψ held so far the next candidate ψ' is a step d = ψ' − ψ. With a the slope of the residual
    r − ψ on d over held-out gold, ψ + a·d errs least; of a, t standard errors from 0, only

        a · (1 − h² / t²)₊,  kept within [0, 1],

    is believed, so that a step below h standard errors is not taken at all.

    Args:
      label, predictions, share, groups: As in `mixture`.
      least: h, 0 or more.

    Reference: James and Stein (1961), positive part, for the form of the shrinkage.
    """
    count, queries = predictions.shape[0], independent(share, groups)

    def step(held: Array, place: Array) -> tuple[Array, None]:
        direction = jax.nn.one_hot(place, count) - held
        slope, t = _slope(label - held @ predictions, direction @ predictions, share, queries)
        kept = jnp.maximum(1 - least**2 / jnp.maximum(t**2, 1e-30), 0.0)
        return held + jnp.clip(slope * kept, 0.0, 1.0) * direction, None

    first = jax.nn.one_hot(0, count)
    return jax.lax.scan(step, first, jnp.arange(1, count))[0]


def exponential_shares(
    label: Float[Array, " n"],
    predictions: Float[Array, "c n"],
    share: Float[Array, " n"],
    groups: Int[Array, " n"] | None = None,
) -> Float[Array, " c"]:
    """Shares ∝ exp(−n·(e_c − min e) / 4σ²), e_c the mean squared errors on held-out gold, [c].

    σ² is the smallest e_c. Candidates that held-out gold cannot tell apart have equal shares.

    Args: as `mixture`.

    Reference: Leung and Barron (2006); Dalalyan and Tsybakov (2008), temperature 4σ².
    """
    errors = (label[None] - predictions) ** 2 @ share
    least = jnp.min(errors)
    return jax.nn.softmax(
        -independent(share, groups) * (errors - least) / jnp.maximum(TEMPERATURE * least, 1e-30)
    )


def _slope(residual: Array, direction: Array, share: Array, queries: Array) -> tuple[Array, Array]:
    """Slope of `residual` on `direction` by weighted regression, and its t-value; 0, 0 if flat."""
    d, e = (part - share @ part for part in (direction, residual))
    size = share @ d**2
    slope = share @ (d * e) / jnp.maximum(size, 1e-30)
    left = share @ (e - slope * d) ** 2
    error = jnp.sqrt(left / jnp.maximum(size * (queries - 2), 1e-30))
    return slope, jnp.where(size > 0, slope / jnp.maximum(error, 1e-30), 0.0)
