"""Whether settings can be used and a log can be learnt from, before anything is learnt."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np

from routerjax.errors import DataWarning, InputError
from routerjax.estimators.counterfactual import resolve_estimator
from routerjax.pipelines.circumstances import chosen_rows
from routerjax.records.logs import Log
from routerjax.records.parted import example, parted
from routerjax.records.validation import VALIDATION_NAMES, check_seed
from routerjax.training.config import FitConfig, NuisanceConfig, RouterConfig
from routerjax.training.routing import check_config

SMALLEST_LOG = 50


def check_settings(config: FitConfig) -> None:
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
    used = {"outcomes", "folds", "held_out", "components", "landmarks", "tasks"}
    if nuisance.outcomes == plain_nuisance.outcomes:
        given = _changed(nuisance, plain_nuisance, used)
        if given:
            problem = f"{', '.join(given)} of the outcome models would have no effect"
            raise InputError(f'{problem}: pooled ones are closed forms; choose outcomes "network"')
    elif nuisance.tasks != plain_nuisance.tasks:
        problem = (
            "tasks of the outcome models would have no effect: networks do not tell them apart"
        )
        raise InputError(f'{problem}; choose outcomes "pooled"')


def _changed(own: Any, plain: Any, used: set[str]) -> list[str]:
    """Settings that differ from the plain ones, without those in `used`."""
    names = [field.name for field in dataclasses.fields(plain) if field.name not in used]
    return [name for name in names if getattr(own, name) != getattr(plain, name)]


def usable(log: Log, drop_unlogged: bool) -> Log:
    """The rows of a log that a fit may learn from, and the models that answered any.

    Args:
      log: as it was read.
      drop_unlogged: leave out models that never answered, instead of an error.

    Raises:
      InputError: too few rows or none but of the test split, a model that never answered, or users
        pinned every row.

    Warns:
      DataWarning: rows of the validation split are of groups with rows to learn from.
    """
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
