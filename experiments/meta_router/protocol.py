"""The authors' protocol: who is test, gold and preference in a run, and the efficiency curve."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

RATIOS = np.linspace(0.2, 0.8, 61)
"""Usage ratios ρ of the curve: shares of the test queries that go to the primary model."""


class Data(NamedTuple):
    """Queries with both labels.

    Attributes:
      embeddings: [n, d].
      gold_label, preference_label: [n] gain of the primary over the alternative.
      score: [n] gain by which routers are evaluated: the gold label, or ψ where it is known.
      groups: [n] integers below n, equal where the query repeats.
      log_odds: [n] how much likelier than others the query is given to an expert.
    """

    embeddings: Array
    gold_label: Array
    preference_label: Array
    score: Array
    groups: Array
    log_odds: Array


class Roles(NamedTuple):
    """Who is who in a run; [n] bool each, disjoint."""

    test: Bool[Array, " n"]
    gold: Bool[Array, " n"]
    preference: Bool[Array, " n"]


def draw_roles(data: Data, *, test_rows: int, gold_rows: int | Array, key: PRNGKeyArray) -> Roles:
    """Draw test rows, gold rows and preference rows, whole groups at a time.

    Test groups are drawn evenly, gold groups among the rest with the odds of the data (without
    replacement). Where groups hold several rows a role has at most the rows asked for.
    """
    n = data.gold_label.shape[0]
    size = jnp.bincount(data.groups, length=n)
    test_key, gold_key = jax.random.split(key)

    def take(order, available, rows):
        order = jnp.argsort(jnp.where(available, order, -jnp.inf), descending=True)
        taken = jnp.cumsum((size * available)[order]) <= rows
        return jnp.zeros(n, bool).at[order].set(taken) & available

    odds = jax.ops.segment_max(data.log_odds, data.groups, num_segments=n)
    test = take(jax.random.gumbel(test_key, (n,)), size > 0, test_rows)
    gold = take(jax.random.gumbel(gold_key, (n,)) + odds, (size > 0) & ~test, gold_rows)
    test, gold = test[data.groups], gold[data.groups]
    return Roles(test, gold, ~test & ~gold)


def efficiency_curve(
    predicted: Float[Array, " n"], score: Float[Array, " n"], test: Bool[Array, " n"]
) -> Float[Array, " ratios"]:
    """Gain of sending the queries of largest predicted gain to the primary, over a random choice.

    At ratio ρ: (Σ of the gains of the ρ·n_test test queries ranked first − ρ·Σ of all) / n_test,
    in gain per test query; the division by the mean gain comes later, once for all runs.

    Args:
      predicted: [n] predicted gain ψ̂(x).
      score: [n] gain by which it is evaluated.
      test: [n] test rows.

    Returns:
      [61] one value a ratio of `RATIOS`.

    Reference: Meta-Router (arXiv 2509.25535), Figure 1(a).
    """
    count = jnp.sum(test)
    order = jnp.argsort(jnp.where(test, -predicted, jnp.inf))
    gains = jnp.cumsum(jnp.where(test, score, 0.0)[order])
    sent = jnp.round(jnp.asarray(RATIOS) * count).astype(jnp.int32)
    reached = jnp.where(sent > 0, gains[jnp.maximum(sent, 1) - 1], 0.0)
    return (reached - sent / count * gains[-1]) / count


def area(curves: np.ndarray) -> np.ndarray:
    """Area under curves [..., 61] over the usage ratios, by the trapezoid rule, [...]."""
    return np.trapezoid(curves, RATIOS, axis=-1)
