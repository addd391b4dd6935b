"""From a log to a router: nuisances, counterfactual estimates, training."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from routerjax.artefacts.router import Arrays, Router
from routerjax.baselines.policies import best_single
from routerjax.data.encoders.encoding import encoded
from routerjax.errors import DataWarning, InputError
from routerjax.estimators.counterfactual import resolve_estimator
from routerjax.models.outcomes import predict
from routerjax.models.policy import Policy
from routerjax.pipelines.circumstances import chosen_rows
from routerjax.pipelines.crossed_pairs import Scores
from routerjax.pipelines.expected import Expected, expected_advantages, least_means
from routerjax.pipelines.held_out import fit_report, rows_apart, set_apart, share_apart
from routerjax.pipelines.judge_scores import corrected_scores
from routerjax.pipelines.overlap import check_propensities, warn_of_overlap
from routerjax.pipelines.paired import has_pairs, learnt_log
from routerjax.pipelines.prepare import Prepared, prepare
from routerjax.pipelines.repeats import said_once
from routerjax.records.groups import salt_of, seen_queries
from routerjax.records.parted import example, parted
from routerjax.records.tables import Estimates, Log
from routerjax.records.validation import VALIDATION_NAMES, check_seed
from routerjax.support.compilation import keep_compiled, split_keys
from routerjax.support.provenance import provenance
from routerjax.training.architecture import outcome_head_of
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig
from routerjax.training.execution import Execution, watched
from routerjax.training.routing import Problem, check_config, train_router

SMALLEST_LOG = 50
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
    _check(config)
    keep_compiled()
    if not isinstance(log, Log):
        from routerjax.data.io.files import read_log  # which reads by pyarrow

        log = read_log(log)
    given = said_once(encoded(_usable(log, drop_unlogged), encoder=config.encoder))
    pairs = has_pairs(given, gold)
    share = share_apart(config)
    log, kept = set_apart(given, share=share or 0.0, seed=config.seed)
    key, correction, corrected = jax.random.key(config.seed), None, None
    learnt = log
    if pairs:
        apart = rows_apart(given, share=share or 0.0, seed=config.seed)
        log, corrected, correction = learnt_log(given, apart, key=jax.random.fold_in(key, 2))
    elif gold is not None:  # the router keeps the range that was given, and so its unit of quality
        log, correction = corrected_scores(log, gold, key=jax.random.fold_in(key, 2))
    cost_weights = config.cost_weights or default_cost_weights(learnt)
    cost_weights = tuple(sorted({float(cost_weight) for cost_weight in cost_weights}))
    nuisance_key, training_key = split_keys(key)
    with watched(execution, progress) as execution:
        prepared = prepare(
            log, config, nuisance_key=nuisance_key, training_key=training_key, execution=execution
        )
        assert prepared.nuisances is not None
        check_propensities(log, prepared.nuisances.overlap, trust=config.trust_propensities)
        warn_of_overlap(log, prepared.nuisances.overlap)
        problem = prepared.problem(config.estimator)
        trained = train_router(
            problem,
            cost_weights=cost_weights,
            quality_width=given.quality_width,
            config=config.router,
            execution=execution,
        )
    policy, epochs, settings = trained.policy, trained.epochs, trained.settings
    means, expected = _on_all_rows(policy, prepared, problem, cost_weights)
    best = [best_single(means[None], cost_weight=each) for each in cost_weights]
    log_policy = prepared.nuisances.propensities.model
    salt = salt_of(given.fingerprint, config.seed)
    seen = seen_queries(learnt, salt=salt)
    router = Router(
        models=log.models,
        cost_weights=cost_weights,
        encoder=log.encoder,
        dimensions=int(log.features.shape[1]),
        quality_range=given.quality_range,
        config=config,
        mean_cost=float(policy.unit.mean_cost),
        best_single=tuple(log.models[arm] for arm in best),
        report={},
        provenance=provenance(config=config, seed=config.seed, data=given.fingerprint),
        arrays=Arrays(
            prepared.scaling,
            policy.params,
            policy.constant or _no_means(len(log.models)),
            prepared.model,
            log_policy,
            seen,
        ),
        arm_quality=tuple(means.quality.tolist()),
        arm_cost=tuple(means.cost.tolist()),
        seen=len(seen),
        salt=salt,
        kept=() if expected is None else tuple(expected.kept.tolist()),
        prompt_form=given.prompt_form or Router.prompt_form,
        cuts=log_policy.cuts is not None,
    )
    told = [] if expected is None else expected.named(log.models, cost_weights)
    report = fit_report(
        router,
        prepared,
        kept,
        gold=gold,
        crossed=share is None,
        corrected=corrected,
        scores=Scores(given, nuisance_key, gold) if pairs or gold is not None else None,
        expected=told,
    )
    report |= {"epochs": epochs, "expected": told}
    if settings:
        report["settings"] = settings
    if correction is not None:
        report["correction"] = correction
    return dataclasses.replace(router, report=report)


def _check(config: FitConfig) -> None:
    """Raise InputError where a setting cannot be used, before anything is trained."""
    given, largest = config.cost_weights, float(np.finfo(np.float32).max)
    rates, epochs = np.atleast_1d(config.router.learning_rate), config.router.schedule.max_epochs
    if given is not None and not (given and all(0 <= each <= largest for each in given)):
        listed = ", ".join(f"{each:g}" for each in given)
        raise InputError(f"cost weights are {listed or 'none'}; each must be finite, 0 or more")
    resolve_estimator(config.estimator)
    check_config(config.router)
    if config.components is not None and config.components < 0:
        raise InputError(f"components is {config.components}; it must be 0 or more")
    if config.floor is not None and not 0 <= config.floor < 1:
        raise InputError(f"floor is {config.floor:g}; it must be 0 or more and below 1")
    if config.evaluation is not None and not 0 <= config.evaluation < 1:
        problem = f"share kept for the evaluation is {config.evaluation:g}"
        raise InputError(f"{problem}; it must be 0 or more and below 1")
    if not 0 <= config.support < 1:
        problem = f"support is {config.support:g}; it must be 0 or more and below 1"
        raise InputError(problem)
    if not 0 < config.validation < 1:
        raise InputError(f"validation share is {config.validation:g}; it must lie between 0 and 1")
    for rate in rates:
        if not 0 < rate <= largest:
            raise InputError(f"learning rate is {rate:g}; it must be finite and above 0")
    if epochs < 1:
        raise InputError(f"epochs is {epochs}; at least 1 is needed")
    check_seed(config.seed)
    _check_used(config)


def _check_used(config: FitConfig) -> None:
    """Raise InputError where a setting is given that the chosen kind of router does not use."""
    router, nuisance = config.router, config.nuisance
    plain_router, plain_nuisance = RouterConfig(), NuisanceConfig()
    used = {"architecture", "start", "start_sharpness"}
    if router.architecture == plain_router.architecture:
        given = _changed(router, plain_router, used)
        of_training = {"estimator", "validation"}
        others = {field.name for field in dataclasses.fields(config)} - of_training
        given += _changed(config, FitConfig(), others)
        if given:
            problem = f"{', '.join(given)} would have no effect: a plug-in router is not trained"
            raise InputError(f'{problem}; choose an architecture that is, such as "interval"')
    used = {"outcomes", "folds", "held_out", "components", "landmarks"}
    if nuisance.outcomes == plain_nuisance.outcomes:
        given = _changed(nuisance, plain_nuisance, used)
        if given:
            problem = f"{', '.join(given)} of the outcome models would have no effect"
            raise InputError(f'{problem}: pooled ones are closed forms; choose outcomes "network"')


def _changed(own: Any, plain: Any, used: set[str]) -> list[str]:
    """Settings that differ from the plain ones, without those in `used`."""
    names = [field.name for field in dataclasses.fields(plain) if field.name not in used]
    return [name for name in names if getattr(own, name) != getattr(plain, name)]


def _usable(log: Log, drop_unlogged: bool) -> Log:
    if log.split is not None:
        if not set(log.split) - {"test"}:
            raise InputError("every row is in the test split", source=log.source, field="split")
        log = _unparted(log.in_split("train", *VALIDATION_NAMES))
    unlogged = [log.models[arm] for arm in np.flatnonzero(log.arm_counts == 0)]
    if unlogged and not drop_unlogged:
        raise InputError(
            f"no row was answered by {', '.join(unlogged)}; nothing can be learnt of a model "
            "that never answered: leave it out with --drop-unlogged",
            source=log.source,
        )
    log = log.without_unlogged()
    if len(log) < SMALLEST_LOG:
        problem = f"{len(log)} rows to learn from are too few; at least {SMALLEST_LOG} are needed"
        raise InputError(problem, source=log.source)
    chosen_rows(log)
    return log


def _unparted(log: Log) -> Log:
    """The log with validation rows of groups that are learnt from as rows to learn from."""
    both = parted(log, of=VALIDATION_NAMES, learnt=("train",))
    if not both.any():
        return log
    warnings.warn(
        f"{log.source}: {both.sum()} rows of the validation split are of groups with rows to learn "
        f"from, such as {example(log, both)}, and are learnt from instead",
        DataWarning,
        stacklevel=4,
    )
    assert log.split is not None
    return log.replace(split=tuple(np.where(both, "train", log.split).tolist()))


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
) -> tuple[Estimates, Expected | None]:
    """[m] mean quality and cost of every model, and what routing is expected to add to the best.

    Outcome models in closed form shrink the means; of others they are means of dr estimates.
    """
    nuisances, record = prepared.nuisances, prepared.record
    assert nuisances is not None
    supported, lowest = nuisances.propensities.supported, record.quality_range[0]
    if nuisances.posterior is None:
        means = least_means(problem.selection, supported, lowest=lowest, available=record.available)
        return means, None
    head = outcome_head_of(prepared.config.nuisance, len(record.models), prepared.x.shape[1])
    predicted = predict(head, prepared.model, prepared.x)
    means = least_means(predicted, supported, lowest=lowest, available=record.available)
    if policy.architecture.stages or policy.constant is not None:
        return means, None
    _, expected = expected_advantages(policy, prepared, predicted, cost_weights=cost_weights)
    return means, expected


def _no_means(models: int) -> Estimates:
    zero = np.zeros(models, np.float32)
    return Estimates(quality=zero, cost=zero)
