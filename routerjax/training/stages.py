"""The stages of an architecture trained one after the other, at every learning rate and setting."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, PyTree, Shaped

from routerjax.estimators.utility import Unit
from routerjax.losses.by_name import Chosen
from routerjax.models.architectures import Architecture
from routerjax.models.stages import Stage
from routerjax.training.asked import RATE, tries_of
from routerjax.training.config import RouterConfig
from routerjax.training.execution import Execution
from routerjax.training.fit import Fitted, fit
from routerjax.training.objectives import RouterObjective
from routerjax.training.prepared import prepared
from routerjax.training.stacking import concatenated

Kept = dict[str, Float[np.ndarray, "r _"]]
"""Setting of the surrogate → the value kept for each network of a member."""


class Joined(NamedTuple):
    """Several problems as one: rows joined, members of all problems on one axis r.

    Attributes:
      rows: name → values of every row, for the objective.
      train, held_out: row positions of each member.
      unit: of each member's utilities.
      keys: one a problem.
      members: of each problem.
      surrogate, config, execution: what all have in common.
    """

    rows: dict[str, Any]
    train: Int[Array, "r k"]
    held_out: Int[Array, "r h"]
    unit: Unit
    keys: list[PRNGKeyArray]
    members: int
    surrogate: Chosen
    config: RouterConfig
    execution: Execution


def train_stages(
    architecture: Architecture, joined: Joined
) -> tuple[dict[str, PyTree], dict[str, Int[Array, "r _"]], dict[str, Kept]]:
    """Train the stages of an architecture, one after the other.

    Args:
      architecture: whose stages they are.
      joined: what they are trained on.

    Returns:
      Of every stage: parameters, leading axis r, best epochs [r, ·], and the settings of the
      surrogate that were kept; empty where none was given.
    """
    params: dict[str, PyTree] = {}
    epochs: dict[str, Int[Array, "r _"]] = {}
    settings: dict[str, Kept] = {}
    for stage in architecture.stages:
        fitted, kept = _fit(stage, joined, params)
        if kept:
            settings[stage.name] = {
                name: values.reshape(len(joined.train), -1) for name, values in kept.items()
            }
        by_member = functools.partial(_by_member, len(joined.train), stage.networks)
        params[stage.key] = jax.tree.map(by_member, fitted.params)
        epochs[stage.name] = by_member(fitted.epoch).reshape(len(joined.train), -1)
    return params, epochs, settings


def _by_member(
    members: int, networks: tuple[int, ...], leaf: Shaped[Array, "runs ..."]
) -> Shaped[Array, "{members} ..."]:
    """The axis of runs as members and the networks of each."""
    return leaf.reshape(members, *networks, *leaf.shape[1:])


def _fit(
    stage: Stage, joined: Joined, before: dict[str, PyTree]
) -> tuple[Fitted, dict[str, Float[np.ndarray, " runs"]]]:
    """Train a stage at every learning rate and setting; keep, run by run, the best held out.

    Also the settings that were kept.
    """
    config = joined.config
    caution = config.joint_caution if stage.carries_over else config.schedule.caution
    tries = tries_of(config, joined.surrogate)
    train, held_out = (_per_network(stage, each) for each in (joined.train, joined.held_out))
    rows, context = _given(stage, joined, before, train, held_out, tries=len(tries))
    starts, keys = _starts(stage, joined)

    def at_every_try(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: concatenated([leaf] * len(tries)), tree)

    def each_try(name: str) -> Float[Array, " tries_runs"]:
        return jnp.repeat(jnp.asarray([each[name] for each in tries], jnp.float32), len(train))

    context = at_every_try(context)
    settings = {name: each_try(name) for name in tries[0] if name != RATE}
    fitted = fit(
        RouterObjective(stage, joined.surrogate.function),
        at_every_try(starts),
        rows=rows,
        train_index=at_every_try(train),
        held_out_index=at_every_try(held_out),
        context={**context, "settings": settings} if settings else context,
        learning_rate=each_try(RATE),
        weight_decay=config.weight_decay,
        key=at_every_try(keys),
        schedule=dataclasses.replace(config.schedule, caution=caution),
        **joined.execution.of(stage.name),
    )
    return _best(fitted, tries, runs=len(train))


def _networks(stage: Stage) -> int:
    """How many networks each member of a stage has."""
    return int(np.prod(stage.networks, dtype=int))


def _per_network(stage: Stage, leaf: Shaped[Array, "r ..."]) -> Shaped[Array, "runs ..."]:
    """What a member has, for each of its networks."""
    return jnp.repeat(leaf, _networks(stage), axis=0)


def _given(
    stage: Stage,
    joined: Joined,
    before: dict[str, PyTree],
    train: Int[Array, "runs k"],
    held_out: Int[Array, "runs h"],
    *,
    tries: int,
) -> tuple[dict[str, Any], dict[str, PyTree]]:
    """The rows of a stage, and the context of each run: its unit, what the stage knows of its
    networks, the parameters of the stages before, and what is prepared of the rows."""

    def per_member(leaf: Shaped[Array, "k ..."]) -> Shaped[Array, "runs ..."]:
        return jnp.tile(leaf, (len(joined.train), *[1] * (leaf.ndim - 1)))

    own = jax.tree.map(per_member, stage.context())
    unit = jax.tree.map(functools.partial(_per_network, stage), joined.unit)
    context = {"unit": unit, **own, **before}
    rows, epoch_rows = joined.rows, joined.config.schedule.epoch_rows
    made = prepared(stage, context, rows, train, held_out, epoch_rows=epoch_rows, tries=tries)
    if made is None:
        return rows, context
    position = jnp.arange(len(rows["x"]), dtype=jnp.int32)
    return {**rows, "position": position}, {**context, "prepared": made}


def _starts(stage: Stage, joined: Joined) -> tuple[PyTree, Key[Array, " runs"]]:
    """Starting values and key of each run, from the keys of the problems."""
    dimensions, members = joined.rows["x"].shape[1], joined.members

    def own_keys(key: PRNGKeyArray) -> Key[Array, " runs"]:
        of_stage = jax.random.fold_in(key, int(stage.carries_over))
        return jax.vmap(functools.partial(jax.random.fold_in, of_stage))(
            jnp.arange(members * _networks(stage))
        )

    starts = [_start(stage, dimensions, members, key) for key in joined.keys]
    if joined.config.start == "random" and not stage.carries_over:
        starts = [_drawn_last(start, key) for start, key in zip(starts, joined.keys, strict=True)]
    return concatenated(starts), concatenated([own_keys(key) for key in joined.keys])


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _start(stage: Stage, dimensions: int, members: int, key: PRNGKeyArray) -> PyTree:
    """Starting values of a problem's networks, in one program for problems of equal sizes."""
    return stage.initial(dimensions, members, key)


def _best(
    fitted: Fitted, tries: Sequence[dict[str, float]], *, runs: int
) -> tuple[Fitted, dict[str, Float[np.ndarray, " runs"]]]:
    """Of each run the best of its tries on held-out rows, and the settings of that."""
    names = [name for name in tries[0] if name != RATE]
    if len(tries) == 1:
        return fitted, {name: np.full(runs, tries[0][name]) for name in names}
    which = jnp.argmax(fitted.score.reshape(len(tries), runs), axis=0)
    best = which * runs + jnp.arange(runs)
    kept: Fitted = jax.tree.map(lambda leaf: leaf[best], fitted)
    return kept, {name: np.array([tries[i][name] for i in np.asarray(which)]) for name in names}


def _drawn_last(params: PyTree, key: PRNGKeyArray) -> PyTree:
    """The same parameters with the kernels of the last layer drawn, as those of others are.

    Heads end in zeros, so that they start at their intercepts; a random start has none to keep.
    Each kernel [runs, h, ·] is normal with variance 1/h (LeCun), other values stay.
    """
    own = jax.random.fold_in(key, 7)

    def drawn(path: tuple[Any, ...], leaf: Float[Array, "runs ..."]) -> Float[Array, "runs ..."]:
        names = [getattr(part, "key", None) for part in path]
        if names[-2:] != ["out", "kernel"]:
            return leaf
        return jax.random.normal(own, leaf.shape, leaf.dtype) / jnp.sqrt(leaf.shape[-2])

    return jax.tree_util.tree_map_with_path(drawn, params)
