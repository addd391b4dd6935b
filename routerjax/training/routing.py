"""Train routers: a surrogate of regret on (estimated) utilities, for a range of cost weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from routerjax.errors import InputError
from routerjax.estimators.utility import Unit
from routerjax.losses.arguments import form_of, name_of
from routerjax.losses.by_name import chosen
from routerjax.losses.known import UNMASKED
from routerjax.models.policy import Policy
from routerjax.records.on_disk import Stored
from routerjax.records.tables import Estimates
from routerjax.training.architecture import architecture_of
from routerjax.training.asked import Logged, asked_rows
from routerjax.training.config import RouterConfig
from routerjax.training.execution import Execution
from routerjax.training.stacking import concatenated, offset
from routerjax.training.stages import Joined, Kept, train_stages

STARTS = ("plug-in", "best-single", "random")


class Problem(NamedTuple):
    """What a router is trained on.

    Attributes:
      x: [n, d] scaled embeddings.
      target: [n, m] estimates the surrogate is trained on.
      selection: [n, m] estimates by which held-out rows choose the epoch: dr estimates of a log,
        or the cells of a table.
      predicted: [n, m] outcome predictions made out of fold, for the plug-in start.
      train, held_out: [b, ·] row positions of each member, disjoint within a member.
      key: Random key of starting values, shuffling and drawing.
      logged: The log's own answers; None for a complete table, which has none.
      available: [n, m] True where the arm could be chosen; None where every arm could.
    """

    x: Float[Array | np.ndarray, "n d"] | Stored
    target: Estimates
    selection: Estimates
    predicted: Estimates
    train: Int[np.ndarray, "b k"]
    held_out: Int[np.ndarray, "b h"]
    key: PRNGKeyArray
    logged: Logged | None = None
    available: Bool[np.ndarray, "n m"] | None = None


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained router and what training reports; unpacks as (policy, epochs).

    Attributes:
      policy: the average of the members.
      epochs: stage → best epoch of each of its networks; 0 is where it started.
      settings: stage → setting of the surrogate → the value that held-out rows chose for each of
        its networks; empty where none was given.
    """

    policy: Policy
    epochs: dict[str, list[int]]
    settings: dict[str, dict[str, list[float]]] = dataclasses.field(default_factory=dict)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.policy, self.epochs))


def train_router(
    problem: Problem,
    *,
    cost_weights: Sequence[float],
    quality_width: float,
    config: RouterConfig = RouterConfig(),
    execution: Execution = Execution(),
) -> Trained:
    """Train a router on estimates for several cost weights.

    Args:
      problem: rows, estimates and member splits.
      cost_weights: λ to train at, quality per dollar.
      quality_width: of the quality's range, by which utilities are divided.
      config: surrogate, architecture, optimiser.
      execution: progress, devices, checkpoints.

    Returns, Raises: as `train_routers`, for one problem.
    """
    (trained,) = train_routers(
        [problem],
        cost_weights=cost_weights,
        quality_width=quality_width,
        config=config,
        execution=execution,
    )
    return trained


def train_routers(
    problems: Sequence[Problem],
    *,
    cost_weights: Sequence[float],
    quality_width: float,
    config: RouterConfig = RouterConfig(),
    execution: Execution = Execution(),
) -> list[Trained]:
    """Train a router for each of several problems, as one sweep of runs.

    The runs are problems × members × networks × learning rates, one axis of one compiled
    program; each is what it would be alone.

    Args:
      problems: Problems of equal shapes, such as the seeds of a study.
      cost_weights: [w] cost weights λ to fit at, quality per dollar.
      quality_width: width of the quality range.
      config: surrogate, architecture, optimiser.
      execution: progress, devices, checkpoints.

    Returns:
      One `Trained` per problem.

    Raises:
      InputError: an architecture, start or surrogate there is not, or a surrogate that asks for
        what only a log has where a problem has none.
    """
    check_config(config)
    models = problems[0].target.quality.shape[1]
    architecture = architecture_of(config, cost_weights, models)
    units = [_unit(problem, quality_width) for problem in problems]
    constants = [_constant(problem, config) for problem in problems]
    params: dict[str, PyTree] = {}
    epochs: dict[str, Int[Array, "r _"]] = {}
    settings: dict[str, Kept] = {}
    if architecture.stages:
        joined = _joined(problems, units, constants, config, execution)
        params, epochs, settings = train_stages(architecture, joined)
    members = len(problems[0].train)

    def trained(p: int) -> Trained:
        rows = slice(p * members, (p + 1) * members)
        own = jax.tree.map(lambda leaf: leaf[rows], params)
        return Trained(
            policy=Policy(architecture, own, units[p], constants[p]),
            epochs={stage: best[rows].ravel().tolist() for stage, best in epochs.items()},
            settings={
                stage: {name: value[rows].ravel().tolist() for name, value in own.items()}
                for stage, own in settings.items()
            },
        )

    return [trained(p) for p in range(len(problems))]


def check_config(config: RouterConfig) -> None:
    """Raise InputError for an architecture, start or surrogate that does not exist."""
    architecture_of(config, (0.0, 1.0), models=2)
    if config.start not in STARTS:
        raise InputError(f"no start {config.start!r}; known are {', '.join(STARTS)}")
    chosen(config.surrogate)


def _unit(problem: Problem, quality_width: float) -> Unit:
    return Unit(float(quality_width), max(float(np.mean(problem.selection.cost)), 0.0))


def _constant(problem: Problem, config: RouterConfig) -> Estimates | None:
    return None if config.start == "plug-in" else _means(problem.selection)


def _joined(
    problems: Sequence[Problem],
    units: Sequence[Unit],
    constants: Sequence[Estimates | None],
    config: RouterConfig,
    execution: Execution,
) -> Joined:
    surrogate = chosen(config.surrogate)
    asked, name = form_of(surrogate.function).asked, name_of(config.surrogate)
    members, rows = len(problems[0].train), [len(problem.x) for problem in problems]

    def carried(problem: Problem, constant: Estimates | None) -> dict[str, Any]:
        shape, available = problem.target.quality.shape, problem.available
        if available is not None and name in UNMASKED:
            told = f"surrogate {name} takes all models together, and some could not be chosen"
            raise InputError(f"{told} on some rows; choose another")
        rows = _rows(problem, constant)
        return rows | asked_rows(asked, shape, problem.predicted, problem.logged, available, name)

    each = [carried(*pair) for pair in zip(problems, constants, strict=True)]

    def per_member(values: Sequence[float | Float[Array, ""]]) -> Float[Array, " r"]:
        return jnp.repeat(jnp.asarray(values, jnp.float32), members)

    return Joined(
        rows=concatenated(each),
        train=offset([problem.train for problem in problems], rows),
        held_out=offset([problem.held_out for problem in problems], rows),
        unit=Unit(
            per_member([unit.quality_width for unit in units]),
            per_member([unit.mean_cost for unit in units]),
        ),
        keys=[problem.key for problem in problems],
        members=members,
        surrogate=surrogate,
        config=config,
        execution=execution,
    )


def _rows(problem: Problem, constant: Estimates | None) -> dict[str, Any]:
    shape = problem.target.quality.shape
    start = problem.predicted
    if constant is not None:
        start = jax.tree.map(lambda mean: np.broadcast_to(mean, shape), constant)
    rows = {
        "x": problem.x,
        "target": problem.target,
        "selection": problem.selection,
        "start": start,
    }
    if problem.available is not None:
        rows["available"] = problem.available
    return rows


def _means(estimates: Estimates) -> Estimates:
    """[m] mean quality and cost of every arm."""
    means: Estimates = jax.tree.map(
        lambda values: np.mean(values, axis=0, dtype=np.float32), estimates
    )
    return means
