"""Routing problems for the benchmarks: random queries whose best model depends on them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from routerjax.estimators.folds import member_splits
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates
from routerjax.training.routing import Problem


def table(n: int, dimensions: int, models: int, *, seed: int) -> tuple[np.ndarray, Estimates]:
    """Embeddings [n, d] and the quality and cost of every model, [n, m] each.

    Quality is a logistic function of a few directions of the embedding; dearer models are
    better on average; costs are of the order of a cent and below.
    """
    rng = np.random.default_rng(seed)
    fixed = np.random.default_rng(0)  # one world, whatever the seed of the queries
    x = rng.standard_normal((n, dimensions), dtype=np.float32)
    directions = fixed.normal(size=(min(dimensions, 32), models)).astype(np.float32) / 4
    level = np.linspace(-0.5, 1.0, models, dtype=np.float32)
    quality = 1 / (1 + np.exp(-(x[:, : len(directions)] @ directions + level)))
    price = np.geomspace(1e-4, 1e-2, models).astype(np.float32)
    cost = price * rng.uniform(0.5, 1.5, size=(n, 1)).astype(np.float32)
    return x, Estimates(quality=quality.astype(np.float32), cost=cost)


def problem(n: int, dimensions: int, models: int, *, seed: int, members: int = 1) -> Problem:
    """Full feedback on n queries, from a start that knows nothing."""
    import jax

    x, cells = table(n, dimensions, models, seed=seed)
    nothing = Estimates(quality=np.zeros_like(cells.quality), cost=np.zeros_like(cells.cost))
    splits = member_splits(n, members=members, held_out=0.1, seed=seed)
    return Problem(jnp.asarray(x), cells, cells, nothing, *splits, jax.random.key(seed))


def log(n: int, dimensions: int, models: int, *, seed: int) -> Log:
    """A log of n queries whose policy prefers dear models where their quality is high."""
    x, cells = table(n, dimensions, models, seed=seed)
    rng = np.random.default_rng(seed + 1)
    odds = np.exp(2 * np.asarray(cells.quality))
    share = np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)
    arms = (rng.random((n, 1)) > share).sum(axis=1).clip(0, models - 1).astype(np.int32)
    rows = np.arange(n)
    answered = rng.random(n) < np.asarray(cells.quality)[rows, arms]
    return Log.from_arrays(
        arms,
        answered.astype(np.float32),
        np.asarray(cells.cost)[rows, arms],
        models=[f"model-{arm}" for arm in range(models)],
        embeddings=x,
    )
