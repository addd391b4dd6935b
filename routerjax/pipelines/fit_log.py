"""From a log to a router: nuisances, counterfactual estimates, training."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from routerjax.artefacts.router import Arrays, Router
from routerjax.baselines.singles import Singles
from routerjax.data.encoders.encoding import encoded
from routerjax.models.outcomes import predict, tasks_of
from routerjax.models.policy import Policy
from routerjax.pipelines.crossed_pairs import Scores
from routerjax.pipelines.expected import (
    Expected,
    expected_advantages,
    least_means,
    singles_by,
)
from routerjax.pipelines.fit_checks import check_settings, usable
from routerjax.pipelines.gold import warn_of_judges
from routerjax.pipelines.held_out import fit_report, rows_apart, set_apart, share_apart
from routerjax.pipelines.judge_scores import corrected_scores
from routerjax.pipelines.on_log import Saved
from routerjax.pipelines.overlap import check_propensities, warn_of_overlap
from routerjax.pipelines.paired import Corrected, has_pairs, learnt_log
from routerjax.pipelines.prepare import Prepared, prepare
from routerjax.pipelines.propensities import withheld
from routerjax.pipelines.repeats import said_once
from routerjax.pipelines.uncorrected import gold_flags, uncorrected_arms, warn_of_uncorrected
from routerjax.records.logs import Log
from routerjax.records.seen import salt_of, seen_queries
from routerjax.records.tables import Estimates
from routerjax.support.compilation import keep_compiled, seeded_key, split_keys
from routerjax.support.provenance import provenance
from routerjax.training.config import FitConfig
from routerjax.training.execution import Execution, watched
from routerjax.training.routing import Problem, train_router

TELLING = 5  # rows of a model from which its median cost says something


def fit(
    log: Log | str | os.PathLike[str],
    *,
    gold: str | None = None,
    config: FitConfig = FitConfig(),
    drop_unlogged: bool = False,
    execution: Execution = Execution(),
    progress: bool = False,
) -> Router:
    """Learn from a log which model should answer which query.

    Rows whose split is "test" are left alone; rows of a validation split choose the epoch,
    or a random share of the rows where there is none. What the report says the router is worth
    rests on rows that nothing was fitted on or chosen by: a share of the groups, set apart first,
    or for a plug-in router every row, by models that did not see it. Where a plug-in router is not
    expected to add to the best single model, it is that model. Rows logged twice are taken once. A
    log with prompts and without embeddings is encoded.

    Args:
      log: one model's answer per query; or the path of a file, or of the decision log of a served
        router, which `read_log` takes without further rules.
      gold: value of the log's `scored_by` that marks gold scores; the scores of all other rows
        are corrected for their judge's bias first. None takes every score as it is, but for a log
        with `gold_quality`, whose judge's scores are corrected by the pairs (`pipelines.paired`).
      config: cost weights, estimator, architecture, optimiser, seed.
      drop_unlogged: leave out models that never answered, instead of an error.
      execution: progress, devices, checkpoints.
      progress: show a bar for everything that is trained, in a terminal or a notebook.

    Returns:
      Router, with `report` on overlap and, as `evaluate` gives it, on what it is worth.

    Raises:
      InputError: neither embeddings nor prompts, models never logged, too few rows, an unknown
        split, estimator, architecture or surrogate, a setting out of its range, or `gold` with
        no column `scored_by`; too few gold rows; recorded propensities that cannot be right; a
        log whose models users pinned on every row.
    """
    check_settings(config)
    keep_compiled()
    if not isinstance(log, Log):
        from routerjax.data.io.files import read_log  # which reads by pyarrow

        log = read_log(log)
    given = said_once(encoded(usable(log, drop_unlogged), encoder=config.encoder))
    key = seeded_key(config.seed)
    rows = _parts(given, gold, config, key=key)
    cost_weights = config.cost_weights or default_cost_weights(rows.logged)
    cost_weights = tuple(sorted({float(cost_weight) for cost_weight in cost_weights}))
    nuisance_key, training_key = split_keys(key)
    with watched(execution, progress) as execution:
        prepared = prepare(
            rows.learnt,
            config,
            nuisance_key=nuisance_key,
            training_key=training_key,
            execution=execution,
        )
        assert prepared.nuisances is not None
        covered, known = prepared.nuisances.overlap, prepared.nuisances.propensities
        check_propensities(rows.learnt, covered, trust=config.trust_propensities, known=known)
        warn_of_overlap(rows.learnt, covered)
        warn_of_uncorrected(rows.logged, gold)
        told_by = (
            ()
            if rows.correction is not None
            else warn_of_judges(rows.logged, "corrects the others")
        )
        prepared = _corrected_only(prepared, rows.logged, gold)
        problem = prepared.problem(config.estimator)
        trained = train_router(
            problem,
            cost_weights=cost_weights,
            quality_width=given.quality_width,
            config=config.router,
            execution=execution,
        )
        with execution.step("value of the router"):
            singles, expected, saved = _on_all_rows(trained.policy, prepared, problem, cost_weights)
            router = _router(given, rows, prepared, trained.policy, singles, expected, cost_weights)
            told = [] if expected is None else expected.named(router.models, cost_weights)
            report = fit_report(
                router,
                prepared,
                rows.apart,
                gold=gold,
                crossed=share_apart(config) is None,
                corrected=rows.corrected,
                scores=None if rows.correction is None else Scores(given, nuisance_key, gold),
                expected=told,
                saved=saved,
                notes=told_by,
            )
    report |= {"epochs": trained.epochs, "expected": told}
    if trained.settings:
        report["settings"] = trained.settings
    if rows.correction is not None:
        report["correction"] = rows.correction
    return dataclasses.replace(router, report=report)


class _Parts(NamedTuple):
    """A log's rows to learn from and those set apart.

    Attributes:
      learnt: rows to learn from, a judge's scores corrected.
      logged: the same, as they were logged.
      apart: rows set apart, as they were logged; None where there are none.
      corrected: outcomes of the rows set apart, where pairs of scores correct the judge's.
      correction: report on that; None where every score is taken as it is.
    """

    learnt: Log
    logged: Log
    apart: Log | None
    corrected: Corrected | None = None
    correction: dict[str, Any] | None = None


def _parts(given: Log, gold: str | None, config: FitConfig, *, key: jax.Array) -> _Parts:
    share = share_apart(config) or 0.0
    logged, apart = set_apart(given, share=share, seed=config.seed)
    if has_pairs(given, gold):
        away = rows_apart(given, share=share, seed=config.seed)
        own = jax.random.fold_in(key, 2)
        learnt, corrected, correction = learnt_log(given, away, key=own)
        return _Parts(learnt, logged, apart, corrected, correction)
    if gold is None:
        return _Parts(logged, logged, apart)
    learnt, correction = corrected_scores(logged, gold, key=jax.random.fold_in(key, 2))
    return _Parts(learnt, logged, apart, correction=correction)


def _corrected_only(prepared: Prepared, logged: Log, gold: str | None) -> Prepared:
    """Without support for models of which hardly any gold score tells what the judge is off by."""
    flags, nuisances = gold_flags(logged, gold), prepared.nuisances
    if flags is None:
        return prepared
    assert nuisances is not None
    arms = uncorrected_arms(np.asarray(logged.arms), *flags, models=len(logged.models))
    known = withheld(nuisances.propensities, arms, logged.available)
    return prepared._replace(nuisances=nuisances._replace(propensities=known))


def _router(
    given: Log,
    rows: _Parts,
    prepared: Prepared,
    policy: Policy,
    singles: Singles,
    expected: Expected | None,
    cost_weights: tuple[float, ...],
) -> Router:
    """The router without its report; it keeps the range of quality, and so the unit, of `given`."""
    assert prepared.nuisances is not None
    config, models = prepared.config, rows.learnt.models
    best = [singles.best(each) for each in cost_weights]
    log_policy = prepared.nuisances.propensities.model
    salt = salt_of(given.fingerprint, config.seed)
    seen = seen_queries(rows.logged, prepared.x, salt=salt)
    return Router(
        models=models,
        cost_weights=cost_weights,
        encoder=given.encoder,
        dimensions=int(given.features.shape[1]),
        quality_range=given.quality_range,
        config=config,
        mean_cost=float(policy.unit.mean_cost),
        best_single=tuple(models[arm] for arm in best),
        report={},
        provenance=provenance(config=config, seed=config.seed, data=given.fingerprint),
        arrays=Arrays(
            prepared.scaling,
            policy.params,
            policy.constant or _no_means(len(models)),
            prepared.model,
            log_policy,
            seen,
        ),
        arm_quality=_listed(singles.means.quality),
        arm_cost=_listed(singles.means.cost),
        arm_deviation=_listed(singles.deviation),
        logged_quality=_listed(None if singles.logged is None else singles.logged.quality),
        logged_cost=_listed(None if singles.logged is None else singles.logged.cost),
        seen=len(seen),
        salt=salt,
        kept=() if expected is None else tuple(expected.kept.tolist()),
        prompt_form=given.prompt_form or Router.prompt_form,
        cuts=log_policy.cuts is not None,
        holes=0 if log_policy.holes is None else log_policy.holes.edge.shape[1],
        logit=log_policy.logit is not None,
        tasks=tasks_of(prepared.model),
        regions=0 if log_policy.regions is None else len(log_policy.regions.centres),
    )


def default_cost_weights(log: Log) -> tuple[float, ...]:
    """Cost weights from where cost hardly counts to where it decides, with 0 before them.

    Round numbers (1, 2, 5 times a power of ten) between 0.02 and 5 quality widths per median cost
    of the dearest model, so that no single row moves them; 0 alone where every cost is 0. Rows
    that cost nothing (cache hits) and models of hardly a row do not count.
    """
    paid = [log.cost[(log.arms == arm) & (log.cost > 0)] for arm in range(len(log.models))]
    told = [own for own in paid if len(own) >= TELLING] or [own for own in paid if len(own)]
    dearest = max((float(np.median(own)) for own in told), default=0.0)
    if dearest == 0:
        return (0.0,)
    low, high = (share * log.quality_width / dearest for share in (0.02, 5.0))
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    rounded = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
    return (0.0, *(cost_weight for cost_weight in rounded if low <= cost_weight <= high))


def _on_all_rows(
    policy: Policy, prepared: Prepared, problem: Problem, cost_weights: Sequence[float]
) -> tuple[Singles, Expected | None, Saved | None]:
    """What the log tells of its single models, what routing is expected to add, and its choices.

    Outcome models in closed form shrink the means; of others they are means of dr estimates.
    """
    nuisances, record = prepared.nuisances, prepared.record
    assert nuisances is not None
    supported, lowest = nuisances.propensities.supported, record.quality_range[0]
    if nuisances.posterior is None:
        means = least_means(problem.selection, supported, lowest=lowest, available=record.available)
        return Singles(means), None, None
    predicted = predict(prepared.head, prepared.model, prepared.x)
    singles = singles_by(prepared, predicted, supported, available=record.available)
    if policy.architecture.stages or policy.constant is not None:
        return singles, None, None
    choices, expected = expected_advantages(policy, prepared, predicted, cost_weights=cost_weights)
    return singles, expected, Saved(choices, expected.single, expected.fell_back)


def _listed(values: np.ndarray | None) -> tuple[float, ...]:
    return () if values is None else tuple(values.tolist())


def _no_means(models: int) -> Estimates:
    zero = np.zeros(models, np.float32)
    return Estimates(quality=zero, cost=zero)
