"""A router beside its baselines: on a table by every model's cells, on a log by dr."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from routerjax.artefacts.base import listed
from routerjax.artefacts.router import Router
from routerjax.baselines.knn import knn_outcomes
from routerjax.baselines.policies import best_single, greedy, random_choice
from routerjax.data.encoders.encoding import Record, encoded
from routerjax.errors import DataWarning, InputError
from routerjax.estimators.folds import member_splits
from routerjax.estimators.overlap import overlap
from routerjax.estimators.utility import check_range
from routerjax.evaluation.intervals import Interval, mean_interval
from routerjax.evaluation.metrics import Choice, outcome
from routerjax.evaluation.ope import Scores, Value, policy_scores, value
from routerjax.pipelines.nuisance import propensities_of
from routerjax.pipelines.overlap import warn_of_overlap
from routerjax.pipelines.prepare import VALIDATION_NAMES, prepare
from routerjax.records.tables import Estimates, Log, Table
from routerjax.training.execution import Execution, watched
from routerjax.training.routing import train_router

if TYPE_CHECKING:
    import pandas

Choices = dict[str, list[Choice]]
"""Method → its choice at every cost weight."""


INTERVALS = ("utility", "regret", "quality", "cost", "advantage")
"""The fields of a `Line` that are intervals."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A method at one cost weight; means per query with standard error and 95 % interval.

    Attributes:
      regret: against the oracle; None on a log, where no row knows its best arm.
      advantage: paired difference in utility to the best single model picked from the log.
      effective_sample_size: That of the rows that speak of the policy; None on a table.
    """

    method: str
    cost_weight: float
    utility: Interval
    regret: Interval | None
    quality: Interval
    cost: Interval
    advantage: Interval
    effective_sample_size: float | None = None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What `evaluate` returns.

    Attributes:
      kind: "table" or "log".
      source: Where the data came from.
      rows: queries evaluated.
      left_out: rows left out, for a missing cell or another split.
      fingerprint: Fingerprint of the evaluated rows.
      quality_range: unit of quality, utility, regret and cost weights.
      notes: what a reader must know of the numbers.
      lines: method × cost weight.
    """

    kind: str
    source: str
    rows: int
    left_out: int
    fingerprint: str
    quality_range: tuple[float, float]
    notes: tuple[str, ...]
    lines: tuple[Line, ...]

    def __repr__(self) -> str:
        methods = list(dict.fromkeys(line.method for line in self.lines))
        weights = sorted({line.cost_weight for line in self.lines})
        return (
            f"Evaluation on the {self.kind} {self.source}: {self.rows:,} rows, "
            f"{self.left_out:,} left out; quality in "
            f"[{self.quality_range[0]:g}, {self.quality_range[1]:g}]\n"
            f"  methods: {listed(methods)}\n"
            f"  {len(weights)} cost weights from {weights[0]:g} to {weights[-1]:g}"
        )

    def to_frame(self) -> pandas.DataFrame:
        """One row a method and cost weight, in the order of `lines`.

        Every interval is four columns, such as utility, utility_low, utility_high and
        utility_standard_error; what the kind of data does not have is NaN.
        """
        import pandas

        rows = []
        for line in self.lines:
            row: dict[str, object] = {"method": line.method, "cost_weight": line.cost_weight}
            for name in INTERVALS:
                found = getattr(line, name)
                row[name] = np.nan if found is None else found.mean
                for part in ("low", "high", "standard_error"):
                    row[f"{name}_{part}"] = np.nan if found is None else getattr(found, part)
            weighed = line.effective_sample_size
            row["effective_sample_size"] = np.nan if weighed is None else weighed
            rows.append(row)
        return pandas.DataFrame(rows)


def evaluate(
    router: Router,
    data: Table | Log,
    *,
    cost_weights: Sequence[float] | None = None,
    log: Log | None = None,
    execution: Execution = Execution(),
    progress: bool = False,
) -> Evaluation:
    """Evaluate a router on data it was not fitted on, beside the baselines of its kind.

    On a table every cell is known: utility, regret, quality and cost, beside random, best
    single model (as picked from the log, and in hindsight), the regression plug-in, the kNN
    plug-in (where `log` is given), the same router trained on full feedback (where the table
    has rows of a train split) and the oracle. Rows with a missing cell are left out. On a log
    each policy's value is estimated doubly robust, with the router's outcome model, which saw
    none of these rows, and with the log's propensities, recorded or cross-fitted.

    Where the data name splits, only rows of "test" are evaluated.

    Args:
      router: fitted.
      data: table or log with embeddings of the router's encoder.
      cost_weights: λ to evaluate at, within the fitted range; by default the fitted ones.
      log: the log the router was fitted on, for the kNN plug-in on a table.
      execution: Progress, devices and checkpoints of the full-feedback router's training.
      progress: Whether to show a bar for everything that is trained, in a terminal or a notebook.

    Raises:
      InputError: a cost weight out of range, models or embeddings that are not the router's.
    """
    cost_weights = tuple(dict.fromkeys(map(float, cost_weights or router.cost_weights)))
    if data.quality_range != router.quality_range:
        raise InputError(
            f"quality lies in {list(data.quality_range)} here and in "
            f"{list(router.quality_range)} in the router; give the same --quality-range",
            source=data.source,
        )
    for cost_weight in cost_weights:
        check_range(cost_weight, router.cost_weights)
    with watched(execution, progress) as execution:
        if isinstance(data, Table):
            log = _encoded(log, router) if log is not None else None
            return _on_table(router, _encoded(data, router), cost_weights, log, execution)
        evaluated = _evaluated(_encoded(data, router))
        return _on_log(router, evaluated, len(data) - len(evaluated), cost_weights, execution)


def _encoded(data: Record, router: Router) -> Record:
    """The data with embeddings of the router's own encoder."""
    if data.embeddings is None and router.encoder is None:
        problem = "holds prompts alone, and the router was fitted on ready-made embeddings"
        raise InputError(f"{problem}; give them with --embeddings", source=data.source)
    data = encoded(data, encoder=router.encoder or data.encoder or "")
    width = data.features.shape[1]
    if width != router.dimensions:
        problem = f"embeddings hold {width} numbers a row; this router takes {router.dimensions}"
        raise InputError(problem, source=data.source)
    return data


def _evaluated(data: Record) -> Record:
    """Rows of the test split, where there is one."""
    return data.in_split("test") if data.split and "test" in data.split else data


def _on_table(
    router: Router,
    data: Table,
    cost_weights: tuple[float, ...],
    log: Log | None,
    execution: Execution,
) -> Evaluation:
    evaluated = _evaluated(data).with_models(router.models).complete()
    cells = evaluated.estimates
    choices = _router_choices(router, evaluated.features, cost_weights)
    choices["best-single-hindsight"] = [
        np.full(len(evaluated), best_single(cells, cost_weight=each)) for each in cost_weights
    ]
    if log is not None:
        near = knn_outcomes(log.with_models(router.models), evaluated.features)
        choices["knn-plug-in"] = [greedy(near, cost_weight=each) for each in cost_weights]
    reference = _full_feedback(router, data, cost_weights, execution)
    if reference is not None:
        choices["full-feedback"] = reference(evaluated.features)
    choices["oracle"] = [greedy(cells, cost_weight=each) for each in cost_weights]
    notes = []
    if log is None:
        notes.append("knn-plug-in is left out: it needs the log the router was fitted on (--log)")
    if reference is None:
        notes.append("full-feedback is left out: it needs rows of a train split in the table")
    return Evaluation(
        kind="table",
        source=data.source,
        rows=len(evaluated),
        left_out=len(data) - len(evaluated),
        fingerprint=evaluated.fingerprint,
        quality_range=data.quality_range,
        notes=tuple(notes),
        lines=_lines(choices, cells, cost_weights),
    )


def _router_choices(router: Router, embeddings: np.ndarray, cost_weights) -> Choices:
    """The router's own choices, and those of what it carries with it."""
    expected = router.expected(embeddings)
    fitted = np.asarray(router.cost_weights)
    nearest = [router.best_single[int(abs(fitted - each).argmin())] for each in cost_weights]
    rows, models = len(embeddings), len(router.models)
    return {
        "router": list(router.choices(embeddings, cost_weights=cost_weights)),
        "random": [random_choice(rows, models) for _ in cost_weights],
        "best-single-log": [np.full(rows, router.models.index(name)) for name in nearest],
        "regression-plug-in": [greedy(expected, cost_weight=each) for each in cost_weights],
    }


def _lines(choices: Choices, cells: Estimates, cost_weights) -> tuple[Line, ...]:
    """Score every choice by known cells."""
    lines = []
    for k, cost_weight in enumerate(cost_weights):
        base = outcome(choices["best-single-log"][k], cells, cost_weight=cost_weight).utility
        for method, choice in choices.items():
            got = outcome(choice[k], cells, cost_weight=cost_weight)
            lines.append(
                Line(
                    method=method,
                    cost_weight=cost_weight,
                    utility=mean_interval(got.utility),
                    regret=mean_interval(got.regret),
                    quality=mean_interval(got.quality),
                    cost=mean_interval(got.cost),
                    advantage=mean_interval(got.utility - base),
                )
            )
    return tuple(lines)


def _full_feedback(
    router: Router, data: Table, cost_weights: tuple[float, ...], execution: Execution
) -> Callable[[np.ndarray], list[Choice]] | None:
    """The router's architecture trained on the table's train rows; None where it has none."""
    if data.split is None or "train" not in data.split:
        return None
    train = data.in_split("train", *VALIDATION_NAMES).with_models(router.models).complete()
    config, key = router.config, jax.random.key(router.config.seed)
    splits = member_splits(
        len(train),
        members=config.router.members,
        held_out=config.validation,
        seed=config.seed,
        groups=train.groups,
    )
    prepared = prepare(
        train, config, nuisance_key=key, training_key=key, splits=splits, execution=execution
    )
    policy, _ = train_router(
        prepared.problem("dr"),
        cost_weights=router.cost_weights,
        quality_width=train.quality_width,
        config=config.router,
        execution=execution,
    )

    def choose(embeddings: np.ndarray) -> list[Choice]:
        x, expected = prepared.predict(embeddings)
        return list(policy.at(x, expected, cost_weights=cost_weights).argmax(axis=-1))

    return choose


def _on_log(
    router: Router,
    log: Log,
    left_out: int,
    cost_weights: tuple[float, ...],
    execution: Execution,
) -> Evaluation:
    if log.fingerprint == router.provenance["data_fingerprint"]:
        warnings.warn(
            f"{log.source}: these are the rows the router was fitted on; its value on them is "
            "optimistic",
            DataWarning,
            stacklevel=3,
        )
    log, config = log.with_models(router.models), router.config
    propensities = propensities_of(
        log,
        router.arrays.scaling,
        key=jax.random.key(config.seed),
        config=config.nuisance,
        execution=execution,
    )
    warn_of_overlap(overlap(log, propensities, floor=config.floor))
    given: dict[str, Any] = {
        "log": log,
        "predicted": router.expected(log.features),
        "propensities": propensities,
        "floor": config.floor,
    }
    choices = _router_choices(router, log.features, cost_weights)
    return Evaluation(
        kind="log",
        source=log.source,
        rows=len(log),
        left_out=left_out,
        fingerprint=log.fingerprint,
        quality_range=log.quality_range,
        notes=("values are doubly robust estimates from the log, not observations",),
        lines=_lines_on_log(
            choices,
            functools.partial(policy_scores, **given),
            functools.partial(value, **given),
            cost_weights,
        ),
    )


def _lines_on_log(
    choices: Choices,
    scored: Callable[[Choice], Scores],
    worth: Callable[..., Value],
    cost_weights: tuple[float, ...],
) -> tuple[Line, ...]:
    """The value of every choice; regret is left out, a maximum over noise."""
    lines = []
    for k, cost_weight in enumerate(cost_weights):
        base = scored(choices["best-single-log"][k])
        for method, choice in choices.items():
            got = worth(choice[k], cost_weight=cost_weight, over=base)
            assert got.advantage is not None
            lines.append(
                Line(
                    method=method,
                    cost_weight=cost_weight,
                    utility=got.utility,
                    regret=None,
                    quality=got.quality,
                    cost=got.cost,
                    advantage=got.advantage,
                    effective_sample_size=got.effective_sample_size,
                )
            )
    return tuple(lines)
