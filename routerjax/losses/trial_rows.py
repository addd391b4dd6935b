"""Rows on which a surrogate is tried: drawn at random, every query answered by every arm in turn.

So many places of the log hold one query that what is true of a surrogate's mean shows on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.losses.arguments import ARGUMENTS
from routerjax.losses.masking import masked

Rows = dict[str, np.ndarray]
"""What a surrogate may ask for, by name, of n·m rows at one cost weight."""


def ordinary(arms: int, seed: int = 0) -> Rows:
    """Rows of utilities drawn at random, each answered by every arm in turn."""
    rng = np.random.default_rng([arms, seed])
    queries = max(1, 24 // arms)
    logits, utilities = rng.normal(size=(2, queries, arms))
    predicted = utilities + 0.3 * rng.normal(size=(queries, arms))
    cost = rng.uniform(0.001, 0.01, size=(queries, arms))
    return logged(logits, utilities, predicted, cost)


def logged(
    logits: np.ndarray, utilities: np.ndarray, predicted: np.ndarray, cost: np.ndarray
) -> Rows:
    """Rows [n, m] as rows of a log, n·m of them; utilities are (q − 50·c) / 1.25."""
    count, arms = utilities.shape
    arm = np.tile(np.arange(arms), count)

    def each(values: np.ndarray) -> np.ndarray:
        return np.repeat(values, arms, axis=0).astype(np.float32)

    repeated = each(utilities)
    return {
        "logits": each(logits),
        "utilities": repeated,
        "predicted": each(predicted),
        "quality": each(1.25 * utilities + 50 * cost),
        "cost": each(cost),
        "cost_weight": np.array([50.0], np.float32),
        "unit": np.array([1.25], np.float32),
        "arm": arm,
        "outcome": repeated[np.arange(len(arm)), arm],
        "propensity": np.full(len(arm), 1 / arms, np.float32),
        "weight": np.ones(len(arm), np.float32),
        "mask": np.ones(repeated.shape, bool),
    }


def with_axes(rows: Mapping[str, Any]) -> dict[str, Any]:
    """Rows of one cost weight with the axis of cost weights where they have one, and keys."""
    with_axis = {
        name: jnp.asarray(value)[:, None]
        if ARGUMENTS[name].by_cost_weight and ARGUMENTS[name].by_row
        else jnp.asarray(value)
        for name, value in rows.items()
    }
    count = len(rows["logits"])
    return with_axis | {"key": jax.random.split(jax.random.key(0), (count, 1))}


def left_alone(rows: Rows) -> Rows:
    """The rows where only the arm that answered could be chosen, as the trainer hands them on."""
    alone = np.arange(rows["logits"].shape[1]) == rows["arm"][:, None]
    logits, utilities = map(jnp.asarray, (rows["logits"], rows["utilities"]))
    named = zip(("logits", "utilities"), masked(logits, utilities, jnp.asarray(alone)), strict=True)
    return rows | {name: np.asarray(values) for name, values in named} | {"mask": alone}
