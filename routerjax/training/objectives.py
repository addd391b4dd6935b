"""What a router's stages are trained on: a surrogate on the utilities at the stage's cost weights.

`run` holds "unit" (a `Unit` of scalars) and what the stage needs besides; utilities are formed
here, a batch at a time, so that no [n, w, m] array of a whole log exists. Held-out rows score
the argmax policy by the judge's utilities.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from routerjax.estimators.utility import along, between, inside, scaled_utilities
from routerjax.losses.by_name import Surrogate
from routerjax.models.architectures import (
    Architecture,
    endpoint_logits,
    joint_logits,
    logits_between,
)
from routerjax.models.heads import Head, outputs

MOST = 8
"""Intervals at most of which a step draws a cost weight each."""


@dataclasses.dataclass(frozen=True)
class EndpointObjective:
    """Mean surrogate over a network's own grid weights, run["cost_weights"] [w'].

    The logits are gain·u_λ / s_λ of the start plus the head's outputs [w', m].
    """

    head: Head
    surrogate: Surrogate
    gain: float

    def loss(self, params, run, batch, key):
        weights = run["cost_weights"]
        return _losses(self.surrogate, self._logits(params, run, batch), batch, run, weights)

    def score(self, params, run, rows):
        return _scores(self._logits(params, run, rows), rows, run, run["cost_weights"])

    def _logits(self, params, run, batch):
        start = scaled_utilities(batch["start"], run["cost_weights"], run["unit"])
        return outputs(self.head, params, batch["x"]) + self.gain * start


@dataclasses.dataclass(frozen=True)
class BetweenObjective:
    """Mean surrogate at cost weights drawn inside the intervals, one of each interval a step.

    For the joint router the endpoint routers, run["endpoints"], stay as they are; architectures
    without endpoints are trained on the grid weights as well. Of more than `MOST` intervals a
    step draws from `MOST` equal stretches of the grid, and no grid weight apart, so that a fine
    grid costs no more than a coarse one; scores then take every so many of their weights.
    """

    architecture: Architecture
    surrogate: Surrogate

    def loss(self, params, run, batch, key):
        grid = self.architecture.grid
        intervals = len(grid) - 1
        draws = jax.random.uniform(key, (min(intervals, MOST),))
        if intervals <= MOST:
            weights = self._with_grid(inside(grid, draws))
        else:
            weights = along(grid, (jnp.arange(MOST) + draws) * intervals / MOST)
        logits = self._logits(params, run, batch, weights)
        return _losses(self.surrogate, logits, batch, run, weights)

    def score(self, params, run, rows):
        quarters = jnp.asarray(between(self.architecture.grid, 3), jnp.float32)
        weights = self._with_grid(quarters)
        weights = weights[:: -(-(len(self.architecture.grid) - 1) // MOST) or 1]
        return _scores(self._logits(params, run, rows, weights), rows, run, weights)

    def _with_grid(self, weights):
        if self.architecture.has_endpoints:
            return weights
        return jnp.concatenate([jnp.asarray(self.architecture.grid, jnp.float32), weights])

    def _logits(self, params, run, batch, weights):
        x, start, unit = batch["x"], batch["start"], run["unit"]
        if not self.architecture.has_endpoints:
            return logits_between(self.architecture, params, x, start, unit, weights)
        ends = endpoint_logits(self.architecture, run["endpoints"], x, start, unit)
        return joint_logits(self.architecture, params, ends, unit, weights)


def _losses(surrogate: Surrogate, logits, batch, run, weights) -> jax.Array:
    """[b] surrogate of every row, mean over the cost weights."""
    utilities = scaled_utilities(batch["target"], weights, run["unit"])
    return jnp.mean(jax.vmap(jax.vmap(surrogate))(logits, utilities), axis=-1)


def _scores(logits, rows, run, weights) -> jax.Array:
    """[h] utility of the argmax arm by the judge, mean over the cost weights."""
    arms = jnp.argmax(logits, axis=-1)[..., None]
    utilities = scaled_utilities(rows["judge"], weights, run["unit"])
    return jnp.mean(jnp.take_along_axis(utilities, arms, axis=-1)[..., 0], axis=-1)
