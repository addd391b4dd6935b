"""A router beside its baselines: on a table by every model's cells, on a log by dr."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from routerjax.artefacts.cost_units import warn_of_costs
from routerjax.artefacts.newcomer import newcomers, without_newcomers
from routerjax.artefacts.router import Router
from routerjax.baselines.knn import knn_outcomes
from routerjax.baselines.policies import best_single_of, greedy
from routerjax.data.checks.drift import drift_notes
from routerjax.errors import InputError
from routerjax.estimators.defaults import floor_of
from routerjax.estimators.folds import make_folds, member_splits
from routerjax.estimators.overlap import Overlap, overlap
from routerjax.estimators.utility import check_range
from routerjax.evaluation.intervals import mean_interval
from routerjax.evaluation.metrics import Choice, outcome
from routerjax.pipelines import retiring
from routerjax.pipelines.evaluated import encoded_for, test_rows, unseen
from routerjax.pipelines.evidence import Evidence
from routerjax.pipelines.gold import gold_propensities, gold_rows, of_gold_rows, warn_of_judges
from routerjax.pipelines.lines import Evaluation, Line, Retiring
from routerjax.pipelines.overlap import check_propensities, warn_of_overlap
from routerjax.pipelines.page import LIMITED, Choices, page, router_choices
from routerjax.pipelines.paired import corrected_log, has_pairs
from routerjax.pipelines.prepare import prepare
from routerjax.pipelines.propensities import fit_propensities
from routerjax.pipelines.repeats import said_once
from routerjax.pipelines.uncorrected import warn_of_uncorrected
from routerjax.records.logs import Log
from routerjax.records.repricing import PriceChange, repriced
from routerjax.records.tables import Table
from routerjax.records.validation import VALIDATION_NAMES
from routerjax.support.compilation import keep_compiled, seeded_key
from routerjax.training.execution import Execution, watched
from routerjax.training.routing import train_router


def evaluate(
    router: Router,
    data: Table | Log | str | os.PathLike[str],
    *,
    cost_weights: Sequence[float] | None = None,
    log: Log | None = None,
    gold: str | None = None,
    trust_propensities: bool = False,
    prices: Mapping[str, PriceChange] | None = None,
    exclude: Sequence[str] = (),
    execution: Execution = Execution(),
    progress: bool = False,
) -> Evaluation:
    """Evaluate a router on data it was not fitted on, beside the baselines of its kind.

    On a table every cell is known: utility, regret, quality and cost, beside random, best
    single model (as picked from the log, and in hindsight), the regression plug-in, the kNN
    plug-in (where `log` is given), the same router trained on full feedback (where the table
    has rows of a train split) and the oracle. Rows with a missing cell are left out. On a log
    each policy's value is estimated doubly robust, with the router's outcome model, which saw
    none of these rows, and with the log's propensities, recorded or cross-fitted. Recorded ones
    are tested first. The policy that wrote the log, "today", stands beside the others.

    Where the data name splits, only rows of "test" are evaluated, and of these none whose group has
    rows that the router learnt from. Rows of queries that the router
    was fitted on are left out, and a log's rows that were logged twice are taken once. Standard
    errors count groups (`Log.groups`).

    Args:
      router: fitted.
      data: table or log with embeddings of the router's encoder, or with prompts; or the path of
        a file, which `read_table` or `read_log` takes without further rules.
      cost_weights: λ to evaluate at, within the fitted range; by default the fitted ones.
      log: the log the router was fitted on, for the kNN plug-in on a table.
      gold: Value of the log's `scored_by` that marks gold scores; the value is then that of gold
        scores, whatever bias other judges have. None takes every score as it is, but for a log
        with `gold_quality`, whose judge's scores are corrected (`pipelines.paired`).
      trust_propensities: Whether recorded propensities that cannot be right are taken as they are.
      prices: Model → what it costs from now on. The router, the data and the log are taken at
        these prices, as `Router.with_prices` and `repriced` do; None leaves them as recorded.
      exclude: Models that are to be retired; `Evaluation.retiring` says what that costs.
      execution: Progress, devices and checkpoints of the full-feedback router's training.
      progress: Whether to show a bar for everything that is trained, in a terminal or a notebook.

    Raises:
      InputError: a cost weight out of range, models or embeddings that are not the router's, no
        row of a query that the router was not fitted on, recorded propensities that cannot be
        right, or gold scores that hardly any row has.
    """
    keep_compiled()
    if isinstance(data, str | os.PathLike):
        data = _read(os.fspath(data), router)
    cost_weights = tuple(dict.fromkeys(map(float, cost_weights or router.cost_weights)))
    if data.quality_range != router.quality_range:
        raise InputError(
            f"quality lies in {list(data.quality_range)} here and in "
            f"{list(router.quality_range)} in the router; give the same --quality-range",
            source=data.source,
        )
    for cost_weight in cost_weights:
        check_range(cost_weight, router.cost_weights)
    if isinstance(data, Table):  # which may be older than a newcomer, whom no query is routed to
        router = without_newcomers(router, [x for x in newcomers(router) if x not in data.models])
    retiring.check_exclude(router, exclude)
    if prices:
        router = router.with_prices(prices)
        data = repriced(data, _of_models(prices, data.models))
        log = None if log is None else repriced(log, _of_models(prices, log.models))
    warn_of_costs(router, data)
    with watched(execution, progress) as execution:
        if isinstance(data, Table):
            log = encoded_for(log, router) if log is not None else None
            data = encoded_for(data, router)
            return _on_table(router, data, cost_weights, log, exclude, execution)
        known = test_rows(encoded_for(data, router), router).with_models(router.models)
        evaluated = unseen(router, said_once(known))
        left_out = len(data) - len(evaluated)
        with execution.step("log's policy"):
            evidence, covered, notes = _evidence(router, evaluated, gold, trust_propensities)
        with execution.step("value of the router"):
            choices, fell_back = router_choices(
                router, evaluated.features, cost_weights, evaluated.available
            )
            found = page(
                choices,
                evidence,
                covered,
                left_out=left_out,
                cost_weights=cost_weights,
                notes=(*notes, *fell_back),
            )
        if not exclude:
            return found
        lost = retiring.on_log(router, evidence, cost_weights=cost_weights, exclude=exclude)
        return dataclasses.replace(found, retiring=lost)


def _read(path: str, router: Router) -> Table | Log:
    """The table or log in a file, of the router's range of quality and form of prompts."""
    from routerjax.data.columns.schema import Schema
    from routerjax.data.io.files import read_rows  # which reads by pyarrow

    rules = Schema(prompt_form=router.prompt_form)
    return read_rows(path, schema=rules, quality_range=router.quality_range)


def _of_models(prices: Mapping[str, PriceChange], models: Sequence[str]) -> dict[str, PriceChange]:
    """The changes of models that are in the data: one that answered no row has no cost there."""
    return {model: price for model, price in prices.items() if model in models}


def _on_table(
    router: Router,
    data: Table,
    cost_weights: tuple[float, ...],
    log: Log | None,
    exclude: Sequence[str],
    execution: Execution,
) -> Evaluation:
    own = unseen(router, test_rows(data, router).with_models(router.models))
    evaluated = own.complete(where_available=True)
    cells = evaluated.estimates
    could = evaluated.available
    every = np.ones(cells.quality.shape, bool) if could is None else could
    choices, fell_back = router_choices(router, evaluated.features, cost_weights, could)
    choices["best-single-hindsight"] = [
        best_single_of(cells, cost_weight=each, available=every) for each in cost_weights
    ]
    if log is not None:
        near = knn_outcomes(log.with_models(router.models), evaluated.features)
        choices["knn-plug-in"] = [
            greedy(near, cost_weight=each, available=could) for each in cost_weights
        ]
    reference = _full_feedback(router, data, cost_weights, execution)
    if reference is not None:
        choices["full-feedback"] = reference(evaluated.features, could)
    choices["oracle"] = [greedy(cells, cost_weight=each, available=could) for each in cost_weights]
    notes = [*fell_back] if could is None else [*fell_back, LIMITED]
    if log is None:
        notes.append("knn-plug-in is left out: it needs the log the router was fitted on (--log)")
    if reference is None:
        notes.append("full-feedback is left out: it needs rows of a train split in the table")
    notes += drift_notes(evaluated)
    lost: tuple[Retiring, ...] = ()
    if exclude:
        lost = retiring.on_table(router, evaluated, cost_weights=cost_weights, exclude=exclude)
    return Evaluation(
        kind="table",
        source=data.source,
        rows=len(evaluated),
        groups=int(evaluated.groups.max()) + 1,
        left_out=len(data) - len(evaluated),
        fingerprint=evaluated.fingerprint,
        quality_range=data.quality_range,
        notes=tuple(notes),
        lines=_lines(choices, evaluated, cost_weights),
        retiring=lost,
    )


def _lines(choices: Choices, table: Table, cost_weights: Sequence[float]) -> tuple[Line, ...]:
    """Score every choice by known cells."""
    cells, groups, lines = table.estimates, table.groups, []
    for k, cost_weight in enumerate(cost_weights):
        base = outcome(choices["best-single-log"][k], cells, cost_weight=cost_weight).utility
        for method, choice in choices.items():
            got = outcome(choice[k], cells, cost_weight=cost_weight, available=table.available)
            lines.append(
                Line(
                    method=method,
                    cost_weight=cost_weight,
                    utility=mean_interval(got.utility, groups=groups),
                    regret=mean_interval(got.regret, groups=groups),
                    quality=mean_interval(got.quality, groups=groups),
                    cost=mean_interval(got.cost, groups=groups),
                    advantage=mean_interval(got.utility - base, groups=groups),
                )
            )
    return tuple(lines)


def _full_feedback(
    router: Router, data: Table, cost_weights: tuple[float, ...], execution: Execution
) -> Callable[[np.ndarray, np.ndarray | None], list[Choice]] | None:
    """The router's architecture trained on the table's train rows; None where it has none."""
    if data.split is None or "train" not in data.split:
        return None
    train = data.in_split("train", *VALIDATION_NAMES).with_models(router.models).complete()
    config, key = router.config, seeded_key(router.config.seed)
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

    def choose(embeddings: np.ndarray, available: np.ndarray | None) -> list[Choice]:
        x, expected = prepared.predict(embeddings)
        chances = policy.at(x, expected, cost_weights=cost_weights, available=available)
        return list(chances.argmax(axis=-1))

    return choose


def _evidence(
    router: Router, log: Log, gold: str | None, trust_propensities: bool
) -> tuple[Evidence, Overlap, tuple[str, ...]]:
    """A log that the router was not fitted on as evidence, by propensities of its own; its overlap,
    and what a reader must know of it."""
    config, x = router.config, router.arrays.scaling(log.features)
    pairs = has_pairs(log, gold)
    known = gold_rows(log, gold) if gold is not None else None
    key = seeded_key(config.seed)
    folds = make_folds(
        np.asarray(log.arms),
        folds=config.nuisance.folds,
        held_out=config.nuisance.held_out,
        key=key,
        groups=log.groups,
    )
    propensities = fit_propensities(log, x, folds, support=config.support)
    floor = floor_of(config.floor, models=len(log.models), recorded=propensities.recorded)
    covered = overlap(log, propensities.answered, floor=floor, supported=propensities.supported)
    check_propensities(log, covered, trust=trust_propensities, known=propensities)
    warn_of_overlap(log, covered)
    warn_of_uncorrected(log, gold)
    evidence = Evidence(
        log=log,
        predicted=router.expected(log.features),
        propensities=propensities,
        floor=floor,
        gold=None if known is None else (known, gold_propensities(log, x, folds, known)),
        corrected=corrected_log(log, folds) if pairs else None,
    )
    notes = warn_of_judges(log, "evaluates by gold scores") if gold is None and not pairs else ()
    notes += () if evidence.corrected is None else (evidence.corrected.note,)
    notes += () if known is None else (of_gold_rows(known),)
    return evidence, covered, (*notes, *drift_notes(log))
