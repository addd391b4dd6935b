"""Train routers: a surrogate of regret on (estimated) utilities, for a range of cost weights."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from routerjax.errors import InputError
from routerjax.estimators.utility import Unit
from routerjax.losses import by_name
from routerjax.models.architectures import ARCHITECTURES, Architecture, initial_between
from routerjax.models.heads import initial
from routerjax.models.policy import Policy
from routerjax.records.on_disk import Stored
from routerjax.records.tables import Estimates
from routerjax.training.execution import Execution
from routerjax.training.fit import Fitted, Objective, Schedule, fit
from routerjax.training.objectives import BetweenObjective, EndpointObjective
from routerjax.training.stacking import concatenated, offset

STARTS = ("plug-in", "best-single")


@dataclasses.dataclass(frozen=True)
class RouterConfig:
    """How a router is trained.

    Attributes:
      members: networks whose probabilities are averaged, each with other rows held out to
        choose its epoch: one noisy choice of an epoch weighs less.
      surrogate: a name of `routerjax.losses.by_name.SURROGATES` or "file.py:function".
      architecture: a name of `routerjax.models.architectures.ARCHITECTURES`.
      separate_trunks: with "interval" or "interpolated", one network per endpoint.
      widths: trunk.
      learning_rate: of AdamW; of several, each run keeps the one of highest held-out score.
      weight_decay: of AdamW.
      schedule: batch size, epochs, patience, caution.
      joint_caution: of the joint router, whose start already carries the endpoint routers over
        exactly where utilities are concerned; see `Schedule.caution`.
      start: "plug-in", the policy that is greedy on the outcome model's predictions; or
        "best-single", the one arm of highest mean utility by the judge.
      start_gain: logits a router starts with per unit of (scaled) utility; 0 starts undecided.
    """

    members: int = 5
    surrogate: str = "softmax_regret"
    architecture: str = "interval"
    separate_trunks: bool = False
    widths: tuple[int, ...] = (128,)
    learning_rate: float | tuple[float, ...] = 1e-3
    weight_decay: float = 0.1
    schedule: Schedule = Schedule(batch_size=256, max_epochs=100, patience=10, chunk=5, caution=1.0)
    joint_caution: float = 2.0
    start: str = "plug-in"
    start_gain: float = 10.0


class Problem(NamedTuple):
    """What a router is trained on.

    Attributes:
      x: [n, d] scaled embeddings.
      target: [n, m] estimates the surrogate is trained on.
      judge: [n, m] estimates by which held-out rows choose the epoch: dr estimates of a log,
        or the cells of a table.
      predicted: [n, m] outcome predictions made out of fold, for the plug-in start.
      train, held_out: [b, ·] row positions of each member, disjoint within a member.
      key: for starting values, shuffling and drawing.
    """

    x: jax.Array | Stored
    target: Estimates
    judge: Estimates
    predicted: Estimates
    train: np.ndarray
    held_out: np.ndarray
    key: jax.Array


class Trained(NamedTuple):
    """A trained router and what training reports.

    Attributes:
      policy: the average of the members.
      epochs: stage → best epoch of each of its networks; 0 is where it started.
    """

    policy: Policy
    epochs: dict[str, list[int]]


def train_router(
    problem: Problem,
    *,
    cost_weights: Sequence[float],
    quality_width: float,
    config: RouterConfig = RouterConfig(),
    execution: Execution = Execution(),
) -> Trained:
    """Train a router on estimates for a grid of cost weights; see `train_routers`."""
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
      problems: of equal shapes, such as the seeds of a study.
      cost_weights: grid of λ, w of them, quality per dollar.
      quality_width: width of the quality range.
      config: surrogate, architecture, optimiser.
      execution: progress, devices, checkpoints.

    Returns:
      One `Trained` per problem.

    Raises:
      InputError: an architecture, start or surrogate there is not.
    """
    check_config(config)
    architecture = Architecture(
        name=config.architecture,
        grid=tuple(float(weight) for weight in cost_weights),
        models=problems[0].target.quality.shape[1],
        widths=config.widths,
        gain=config.start_gain,
        separate_trunks=config.separate_trunks,
    )
    sweep = _sweep_of(problems, quality_width, config, execution)
    params, epochs = _trained(architecture, sweep)
    members = len(problems[0].train)
    own = [slice(p * members, (p + 1) * members) for p in range(len(problems))]
    part = lambda tree, rows: jax.tree.map(lambda leaf: leaf[rows], tree)  # noqa: E731
    return [
        Trained(
            policy=Policy(architecture, part(params, rows), sweep.units[p], sweep.constants[p]),
            epochs={stage: best[rows].ravel().tolist() for stage, best in epochs.items()},
        )
        for p, rows in enumerate(own)
    ]


class _Sweep(NamedTuple):
    """Several problems as one: rows joined, members of all problems on one axis r."""

    rows: dict[str, Any]
    train: jax.Array
    held_out: jax.Array
    unit: Unit
    keys: list[jax.Array]
    members: int
    units: list[Unit]
    constants: list[Estimates | None]
    config: RouterConfig
    execution: Execution


def _sweep_of(problems: Sequence[Problem], quality_width: float, config, execution) -> _Sweep:
    members, rows = len(problems[0].train), [len(problem.x) for problem in problems]
    mean_costs = [max(float(np.mean(problem.judge.cost)), 0.0) for problem in problems]
    units = [Unit(float(quality_width), cost) for cost in mean_costs]
    constant = config.start != "plug-in"
    constants = [_means(problem.judge) if constant else None for problem in problems]
    each = [_rows(*pair) for pair in zip(problems, constants, strict=True)]
    return _Sweep(
        rows=concatenated(each),
        train=offset([problem.train for problem in problems], rows),
        held_out=offset([problem.held_out for problem in problems], rows),
        unit=Unit(*(jnp.repeat(jnp.asarray(v, jnp.float32), members) for v in zip(*units))),  # noqa: B905
        keys=[problem.key for problem in problems],
        members=members,
        units=units,
        constants=constants,
        config=config,
        execution=execution,
    )


def _rows(problem: Problem, constant: Estimates | None) -> dict[str, Any]:
    shape = problem.target.quality.shape
    start = problem.predicted
    if constant is not None:
        start = jax.tree.map(lambda mean: np.broadcast_to(mean, shape), constant)
    return {"x": problem.x, "target": problem.target, "judge": problem.judge, "start": start}


def _trained(architecture: Architecture, sweep: _Sweep) -> tuple[Any, dict[str, jax.Array]]:
    """Parameters of every stage, leading axis r, and best epochs [r, ·] by stage."""
    params, epochs = {}, {}
    if architecture.has_endpoints:
        params["endpoints"], epochs["endpoints"] = _train_endpoints(architecture, sweep)
    if architecture.trained_between:
        stage = "joint" if architecture.has_endpoints else "router"
        params["between"], epochs[stage] = _train_between(architecture, sweep, stage, params)
    return params, epochs


def _train_endpoints(architecture: Architecture, sweep: _Sweep) -> tuple[Any, jax.Array]:
    """The routers at the grid weights: `networks` runs for every member."""
    count, head = architecture.networks, architecture.endpoint_head
    runs = len(sweep.train)
    grid = jnp.asarray(architecture.grid, jnp.float32).reshape(count, -1)
    zero = jnp.zeros((sweep.members * count, *head.outputs))
    dimensions = sweep.rows["x"].shape[1]
    start = concatenated([initial(head, dimensions, key, zero) for key in sweep.keys])
    surrogate = by_name.resolve(sweep.config.surrogate)
    fitted = _fit(
        EndpointObjective(head, surrogate, architecture.gain),
        start,
        sweep,
        {
            "cost_weights": jnp.tile(grid, (runs, 1)),
            "unit": jax.tree.map(lambda value: jnp.repeat(value, count), sweep.unit),
        },
        networks=count,
        stage="router",
    )
    by_member = lambda leaf: leaf.reshape(runs, count, *leaf.shape[1:])  # noqa: E731
    return jax.tree.map(by_member, fitted.params), by_member(fitted.epoch)


def _train_between(
    architecture: Architecture, sweep: _Sweep, stage: str, params: dict[str, Any]
) -> tuple[Any, jax.Array]:
    """The joint router of every member; or the only stage of an architecture without endpoints."""
    surrogate = by_name.resolve(sweep.config.surrogate)
    dimensions = sweep.rows["x"].shape[1]
    starts = [
        jax.vmap(functools.partial(initial_between, architecture, dimensions))(
            jax.random.split(jax.random.fold_in(key, 1), sweep.members)
        )
        for key in sweep.keys
    ]
    fitted = _fit(
        BetweenObjective(architecture, surrogate),
        concatenated(starts),
        sweep,
        {"unit": sweep.unit, **params},
        networks=1,
        stage=stage,
    )
    return fitted.params, fitted.epoch[:, None]


def _fit(
    objective: Objective, params: Any, sweep: _Sweep, run: Any, *, networks: int, stage: str
) -> Fitted:
    """Train runs of every learning rate and keep, run by run, the best on held-out rows."""
    config, joint = sweep.config, stage == "joint"
    schedule = config.schedule
    if joint:
        schedule = dataclasses.replace(schedule, caution=config.joint_caution)
    rates = np.atleast_1d(np.asarray(config.learning_rate, np.float32))
    runs = len(sweep.train) * networks
    own = jnp.arange(sweep.members * networks)
    folded = [jax.random.fold_in(key, int(joint)) for key in sweep.keys]
    keys = [jax.vmap(functools.partial(jax.random.fold_in, key))(own) for key in folded]
    again = lambda tree: jax.tree.map(lambda leaf: concatenated([leaf] * len(rates)), tree)  # noqa: E731
    fitted = fit(
        objective,
        again(params),
        rows=sweep.rows,
        train_index=again(jnp.repeat(sweep.train, networks, axis=0)),
        held_out_index=again(jnp.repeat(sweep.held_out, networks, axis=0)),
        run=again(run),
        learning_rate=jnp.repeat(jnp.asarray(rates), runs),
        weight_decay=config.weight_decay,
        key=again(concatenated(keys)),
        schedule=schedule,
        **sweep.execution.of(stage),
    )
    if len(rates) == 1:
        return fitted
    best = jnp.argmax(fitted.score.reshape(len(rates), runs), axis=0) * runs + jnp.arange(runs)
    return jax.tree.map(lambda leaf: leaf[best], fitted)


def check_config(config: RouterConfig) -> None:
    """Raise InputError for an architecture, start or surrogate there is not."""
    if config.architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise InputError(f"no architecture {config.architecture!r}; known are {known}")
    if config.separate_trunks and config.architecture not in ("interval", "interpolated"):
        raise InputError(
            f"separate trunks have no effect with architecture {config.architecture!r}; "
            "they go with interval and interpolated"
        )
    if config.architecture == "affine" and not config.start_gain > 0:
        problem = f"start gain is {config.start_gain:g}; an affine router needs one above 0"
        raise InputError(f"{problem}, since its costs are multiples of the start's")
    if config.start not in STARTS:
        raise InputError(f"no start {config.start!r}; known are {', '.join(STARTS)}")
    by_name.resolve(config.surrogate)


def _means(estimates: Estimates) -> Estimates:
    """[m] mean quality and cost of every arm."""
    return jax.tree.map(lambda values: np.mean(values, axis=0, dtype=np.float32), estimates)
