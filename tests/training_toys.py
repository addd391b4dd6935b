"""Objectives as small as they get, for the tests of training; also read by their subprocesses."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.records.on_disk import Stored
from routerjax.training.config import Schedule
from routerjax.training.fit import Fitted, fit


@dataclasses.dataclass(frozen=True)
class Line:
    """Least squares of a line; `context` is added to the labels."""

    def loss(self, params, context, batch, key):
        return (params["w"][0, 0] * batch["x"] + params["b"] - batch["y"] - context) ** 2

    def score(self, params, context, rows):
        return -self.loss(params, context, rows, None)


@dataclasses.dataclass(frozen=True)
class Wave:
    """Least squares of a network with one hidden layer, [n, 4] to a number."""

    def loss(self, params, context, batch, key):
        hidden = jnp.tanh(batch["x"] @ params["in"] + params["bias"][None])
        return (hidden @ params["out"] - batch["y"]) ** 2

    def score(self, params, context, rows):
        return -self.loss(params, context, rows, None)


def line(runs=3, n=37):
    """Rows, starting parameters, training and held-out positions of `runs` lines."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=n).astype(np.float32)
    rows = {"x": jnp.asarray(x), "y": jnp.asarray(2 * x + 1 + 0.1 * rng.normal(size=n))}
    params = {"w": jnp.zeros((runs, 1, 1)), "b": jnp.zeros(runs)}
    return rows, params, *_positions(rng, runs, n, 10)


def wave(runs=5, n=203):
    """The same for `runs` networks of eight units."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    rows = {"x": jnp.asarray(x), "y": jnp.asarray(np.sin(x[:, 0]) * x[:, 1])}
    params = {
        "in": jnp.asarray(rng.normal(size=(runs, 4, 8)), jnp.float32),
        "bias": jnp.zeros((runs, 8)),
        "out": jnp.asarray(0.1 * rng.normal(size=(runs, 8)), jnp.float32),
    }
    return rows, params, *_positions(rng, runs, n, 41)


def on_disk(problem):
    """The same problem with x left where it is until an epoch wants it."""
    rows, *others = problem
    return {**rows, "x": Stored(np.asarray(rows["x"]))}, *others


def _positions(rng, runs, n, held_out):
    order = np.stack([rng.permutation(n) for _ in range(runs)])
    return jnp.asarray(order[:, held_out:]), jnp.asarray(order[:, :held_out])


def trained(objective, problem, **changes) -> Fitted:
    """`fit` with small settings, `changes` replacing some."""
    rows, params, train, held_out = problem
    settings = {
        "context": jnp.zeros(len(train)),
        "learning_rate": 0.05,
        "weight_decay": 0.01,
        "key": jax.random.key(0),
        "schedule": Schedule(batch_size=8, max_epochs=20, patience=20, chunk=5),
    } | changes
    return fit(objective, params, rows=rows, train_index=train, held_out_index=held_out, **settings)


@dataclasses.dataclass(frozen=True)
class Draws:
    """A loss that is nothing but draws; any step counts as better than the start."""

    def loss(self, params, context, batch, key):
        return params["bias"][0] * jax.random.normal(key, batch["y"].shape)

    def score(self, params, context, rows):
        return jnp.abs(params["bias"][0]) + 0 * rows["y"]


@dataclasses.dataclass(frozen=True)
class Shrink:
    """A loss without a slope; the smaller w, the better."""

    def loss(self, params, context, batch, key):
        return 0 * batch["y"]

    def score(self, params, context, rows):
        return -params["w"][0, 0] + 0 * rows["y"]


@dataclasses.dataclass(frozen=True)
class Climb:
    """Every step of plain descent lifts b by the learning rate; a row scores x + y·min(b, top)."""

    top: float = float("inf")

    def loss(self, params, run, batch, key):
        return -params["b"] + 0 * batch["y"]

    def score(self, params, run, rows):
        return rows["x"] + rows["y"] * jnp.minimum(params["b"], self.top)


def climb(objective, **changes) -> Fitted:
    """Four epochs of one step each on b, from 0 by a quarter; four held-out rows count.

    Their scores have risen by b·(2, 0, 2, 0): mean b, standard deviation b, standard error b/2.
    What x adds is the same before and after. The first row stands where no row does.
    """
    rows = {
        "x": jnp.array([1e6, 64.0, -64.0, 32.0, 0.0, 0.0]),
        "y": jnp.array([-1e6, 2.0, 0.0, 2.0, 0.0, 1.0]),
    }
    positions = jnp.array([[5, 5, 5, 5]]), jnp.array([[1, 2, 3, 4, -1, -1]])
    schedule = {"batch_size": 4, "max_epochs": 4, "patience": 9, "chunk": 2, "optimizer": "sgd"}
    return trained(
        objective,
        (rows, {"b": jnp.zeros(1)}, *positions),
        learning_rate=0.25,
        weight_decay=0.0,
        schedule=Schedule(**schedule | changes),
    )
