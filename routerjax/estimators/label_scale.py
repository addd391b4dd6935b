"""Gold and cheap labels on one scale: the factor by which the cheap ones are multiplied.

A judge that scores from 1 to 5 and an expert who scores from 0 to 1 differ in scale before they
differ in opinion. Gains are differences, so that 0 means the same on both scales: labels are
multiplied by one factor a > 0 and never shifted; what is left of the mean is bias, to be learnt.

    amplitude     a = max |r| / max |y|
    variance      a = sd(r) / sd(y)
    wasserstein   a = argmin_a W₂(r, a·y) = ∫ F_r⁻¹ F_y⁻¹ du / ∫ (F_y⁻¹)² du

r gold labels, y cheap ones, F⁻¹ their quantile functions. Only rows that are learnt from count.

Reference: Meta-Router (arXiv 2509.25535), Remark 1, which names the three and uses the variance;
the formulas are ours.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from routerjax.errors import InputError

LEVELS = 512
"""Levels at which the quantile functions are compared."""


def amplitude(values: Float[Array, " n"], weights: Float[Array, " n"]) -> Float[Array, ""]:
    """Largest absolute value of the rows of positive weight."""
    return jnp.max(jnp.where(weights > 0, jnp.abs(values), 0.0))


def deviation(values: Float[Array, " n"], weights: Float[Array, " n"]) -> Float[Array, ""]:
    """Weighted standard deviation, divided by the total weight."""
    share = weights / jnp.maximum(jnp.sum(weights), 1e-30)
    return jnp.sqrt(share @ (values - share @ values) ** 2)


def quantiles(values: Float[Array, " n"], weights: Float[Array, " n"]) -> Float[Array, " u"]:
    """F⁻¹ at the middles of `LEVELS` equal stretches of [0, 1]."""
    order = jnp.argsort(jnp.where(weights > 0, values, jnp.inf))
    reached = jnp.cumsum(weights[order])
    levels = (jnp.arange(LEVELS) + 0.5) / LEVELS * reached[-1]
    place = jnp.searchsorted(reached, levels)
    return values[order][jnp.minimum(place, values.shape[0] - 1)]


SCALES = ("variance", "amplitude", "wasserstein", "none")


def check_scale(how: str) -> str:
    """The name, if it is one of `SCALES`.

    Raises:
      InputError: it is not.
    """
    if how not in SCALES:
        raise InputError(f"no label scale {how!r}; known are {', '.join(SCALES)}")
    return how


def label_factor(
    label: Float[Array, " n"],
    gold: Bool[Array, " n"],
    weights: Float[Array, " n"],
    *,
    how: str = "variance",
) -> Float[Array, ""]:
    """The factor for the cheap labels; 1 where a scale cannot be told (labels that are all 0).

    Args:
      label: [n] gold or cheap label of each row.
      gold: [n] which of the two.
      weights: [n], 0 takes a row out.
      how: a name of `SCALES`.

    Raises:
      InputError: there is no such scale.

    >>> import jax.numpy as jnp
    >>> label, gold = jnp.array([1.0, -1.0, 5.0, -5.0]), jnp.array([True, True, False, False])
    >>> float(label_factor(label, gold, jnp.ones(4), how="amplitude"))
    0.20000000298023224
    """
    check_scale(how)
    if how == "none":
        return jnp.ones(())
    label = jnp.asarray(label, jnp.float32)
    one = jnp.asarray(weights, jnp.float32) * gold
    two = jnp.asarray(weights, jnp.float32) * ~jnp.asarray(gold)
    if how == "wasserstein":
        first, second = quantiles(label, one), quantiles(label, two)
        factor = (first @ second) / (second @ second)
    else:
        size = amplitude if how == "amplitude" else deviation
        factor = size(label, one) / size(label, two)
    found: Array = jnp.where(jnp.isfinite(factor) & (factor > 0), factor, 1.0)
    return found
