"""Embedded gold and preference labels: a synthetic stand-in whose ψ, η and τ are known.

Two models, a primary and an alternative. With standard normal traits of a query,

    ψ(x) = MEAN + MAIN · trait(x) + DETAIL · detail(x)      gold gain of the primary
    η(x) = ψ(x) − τ(x)                                     what the cheap labels measure
    r = ψ(x) + noise,  y = η(x) + noise                     gold and preference label

trait is linear in the leading components, detail is spread evenly over all of them, with a
nonlinear part. The kinds of bias τ: none; constant; smooth (linear and quadratic in the leading
components); rough (a fast sine, which nothing learns from a hundred rows); flips (2.5 times the
main trait: the cheap labels see every detail right but the trait upside down and half as much
again, as a judge who minds what experts like, and so rank queries against the gold).

Every number made here is synthetic.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from routerjax.errors import InputError

MEAN, MAIN, DETAIL = 0.2, 0.3, 0.3
LEADING = 3  # components in which trait and smooth bias live
BIASES = ("none", "constant", "smooth", "rough", "flips")
ASSIGNMENTS = ("random", "dependent")
LARGEST_SHARE = 0.5


class SyntheticGains(NamedTuple):
    """Queries with both labels and the truth.

    Attributes:
      embeddings: x [n, d], Gaussian, with the falling variances of principal components.
      gold_label: r [n]; preference_label: y [n]; both with independent noise.
      psi, tau: ψ(x) and τ(x) [n]; η is ψ − τ.
      log_odds: [n] how much likelier than others the query is given to an expert; 0 if random.
    """

    embeddings: Array
    gold_label: Array
    preference_label: Array
    psi: Array
    tau: Array
    log_odds: Array


@functools.partial(
    jax.jit, static_argnames=("rows", "dimensions", "bias", "strength", "noise", "assignment")
)
def synthetic_gains(
    key: PRNGKeyArray,
    *,
    rows: int = 4500,
    dimensions: int = 50,
    bias: str = "flips",
    strength: float = 1.0,
    noise: float = 0.5,
    assignment: str = "random",
) -> SyntheticGains:
    """Draw queries, directions and labels anew; traceable, so that runs can be mapped.

    Args:
      key: Random key of all that is drawn.
      rows: n.
      dimensions: d, at least 3.
      bias: one of `BIASES`.
      strength: multiplies τ; at 1 their root mean square is 0.6, that of flips 0.75.
      noise: standard deviation of both labels about ψ and η.
      assignment: "random", or "dependent": experts see more queries of a high trait.

    Raises:
      InputError: an unknown bias or assignment, or too few rows or dimensions.
    """
    if bias not in BIASES:
        raise InputError(f"no bias {bias!r}; known are {', '.join(BIASES)}")
    if assignment not in ASSIGNMENTS:
        raise InputError(f"no assignment {assignment!r}; known are {', '.join(ASSIGNMENTS)}")
    if rows < 1 or dimensions < LEADING:
        raise InputError(f"rows must be 1 or more and dimensions {LEADING} or more")
    keys = jax.random.split(key, 4)
    deviations = jnp.arange(1, dimensions + 1) ** -0.4
    deviations /= jnp.sqrt(jnp.mean(deviations**2))
    x = deviations[None] * jax.random.normal(keys[0], (rows, dimensions))

    directions = jax.random.normal(keys[1], (6, dimensions))
    directions = directions.at[:3, LEADING:].set(0.0)  # trait and smooth bias: leading
    directions = directions.at[3:].divide(deviations[None])  # detail: evenly over all
    directions /= jnp.linalg.norm(directions * deviations[None], axis=1, keepdims=True)
    trait, first, second, detail, left, right = (x @ directions.T).T  # standard normal each

    psi = MEAN + MAIN * trait + DETAIL * (0.9 * detail + jnp.sqrt(0.19) * left * right)
    shapes = {
        "none": jnp.zeros(rows),
        "constant": 0.6 * jnp.ones(rows),
        "smooth": 0.6 * (0.8 * first + 0.6 * (second**2 - 1) / jnp.sqrt(2)),
        "rough": 0.6 * jnp.sqrt(2) * jnp.sin(6 * first),
        "flips": 2.5 * MAIN * trait,
    }
    tau = strength * shapes[bias]
    errors = noise * jax.random.normal(keys[2], (2, rows))
    return SyntheticGains(
        embeddings=x,
        gold_label=psi + errors[0],
        preference_label=psi - tau + errors[1],
        psi=psi,
        tau=tau,
        log_odds=trait if assignment == "dependent" else jnp.zeros(rows),
    )


@functools.partial(jax.jit, static_argnames="gold_share")
def draw_sources(
    log_odds: Float[Array, " n"], *, gold_share: float, key: PRNGKeyArray
) -> tuple[Bool[Array, " n"], Float[Array, " n"]]:
    """Draw which labels are gold, each row by itself with P(gold | x) = sigmoid(a + log odds).

    Args:
      log_odds: [n] of `SyntheticGains`.
      gold_share: mean of the probabilities, which determines a; above 0, at most 0.5.
      key: Random key of the draw.

    Returns:
      gold [n] bool, and the probabilities [n].

    Raises:
      InputError: a share outside (0, 0.5].
    """
    if not 0 < gold_share <= LARGEST_SHARE:
        raise InputError(f"gold_share is {gold_share:g}; it must lie above 0 and be at most 0.5")

    def halve(bounds, _):
        low, high = bounds
        middle = (low + high) / 2
        enough = jnp.mean(jax.nn.sigmoid(middle + log_odds)) > gold_share
        return (jnp.where(enough, low, middle), jnp.where(enough, middle, high)), None

    (low, high), _ = jax.lax.scan(halve, (jnp.float32(-30.0), jnp.float32(30.0)), length=40)
    probability = jax.nn.sigmoid((low + high) / 2 + log_odds)
    return jax.random.uniform(key, log_odds.shape) < probability, probability
