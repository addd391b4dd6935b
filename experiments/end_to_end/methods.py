"""The two ways on one draw: predict then choose, and routers trained end to end.

All see the same rows, folds and outcome predictions. Predict-then-choose picks the arm of highest
predicted utility; the routers are trained on utilities that are estimated with the very same
predictions, and start from them or from nothing. No test row is used before the end.
"""

from __future__ import annotations

import dataclasses
import time
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from experiments.end_to_end.config import FULL, OUTCOMES, EndToEndConfig, Setting
from experiments.log_size.data import Draw
from experiments.log_size.methods import arm_means, greedy, single
from routerjax.estimators.counterfactual import estimate
from routerjax.estimators.defaults import floor_of
from routerjax.estimators.folds import member_splits
from routerjax.models.heads import Scaling
from routerjax.pipelines.nuisance import propensities_of
from routerjax.pipelines.outcomes import fit_all_outcomes
from routerjax.pipelines.prepare import Prepared
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates, Table
from routerjax.training.config import FitConfig, RouterConfig
from routerjax.training.routing import Problem, train_routers

PLUG_IN, FULL_PLUG_IN = "predict-then-choose", "predict-then-choose, full"
BEST, ORACLE = "best single", "oracle"
REFERENCES = (PLUG_IN, FULL_PLUG_IN, BEST, ORACLE)

LENGTHS = 64
"""Numbers of training and of held-out rows are filled up to multiples of this."""

Choices = Int[np.ndarray, "w t"]


class Chosen(NamedTuple):
    """What every method chooses on a draw.

    Attributes:
      choices: method → [w, t] arms of the test rows.
      epochs: trained router → the epoch that was kept; 0 is its start.
      seconds: part of the work → CPU seconds.
    """

    choices: dict[str, Choices]
    epochs: dict[str, int]
    seconds: dict[str, float]


def name_of(surrogate: str, target: str, start: str) -> str:
    """A trained router's name."""
    return f"{surrogate}, {target}, {start}"


WARM = name_of("softmax_regret", "dr", "plug-in")
COLD = name_of("softmax_regret", "dr", "random")
FULL_COLD = name_of("softmax_regret", FULL, "random")
SHOWN = (WARM, COLD, FULL_COLD)
"""Routers that are told of setting by setting and cost weight by cost weight."""


def methods_of(config: EndToEndConfig) -> list[str]:
    """All methods, in the order of the results."""
    return [*REFERENCES, *(name_of(*each) for each in config.routers)]


def base_of(method: str) -> str:
    """Predict-then-choose with what the method knows."""
    return FULL_PLUG_IN if f", {FULL}, " in method else PLUG_IN


def chosen(
    made: Draw,
    setting: Setting,
    config: EndToEndConfig,
    cost_weights: tuple[float, ...],
    *,
    seed: int,
) -> Chosen:
    """Fit every method to a log and choose for the test rows.

    Args:
      made: log, the same rows with all cells, test rows; of arms that the log holds.
      setting: outcome model, width, propensities.
      config: of the study.
      cost_weights: quality per dollar.
      seed: of folds, held-out rows, starting values and shuffles.
    """
    begun = time.process_time()
    on_log, on_table = _prepared(made, setting, config, seed=seed)
    features = np.asarray(made.test.features)
    x, predicted = on_log.predict(features)
    _, full_predicted = on_table.predict(features)
    found = {
        PLUG_IN: greedy(predicted, cost_weights),
        FULL_PLUG_IN: greedy(full_predicted, cost_weights),
        BEST: single(arm_means(made.log), cost_weights, len(made.test)),
        ORACLE: greedy(made.test.estimates, cost_weights),
    }
    seconds = {"nuisances": time.process_time() - begun}
    targets = [*config.estimators, FULL]
    propensities = _propensities(on_log, seed=seed)
    problems = [
        on_table.problem("dr") if name == FULL else _problem(on_log, propensities, name)
        for name in targets
    ]
    starts = [full_predicted if name == FULL else predicted for name in targets]
    epochs: dict[str, int] = {}
    for surrogate in config.surrogates:
        begun = time.process_time()
        for start in config.starts:
            trained = train_routers(
                problems,
                cost_weights=cost_weights,
                quality_width=made.table.quality_width,
                config=router_of(config, setting, surrogate, start),
            )
            for target, own, each in zip(targets, starts, trained, strict=True):
                name = name_of(surrogate, target, start)
                scores = each.policy.at(x, own, cost_weights=cost_weights)
                found[name] = np.asarray(scores).argmax(axis=-1)
                epochs[name] = max(each.epochs["endpoints"])
        seconds[surrogate] = time.process_time() - begun
    return Chosen(found, epochs, seconds)


def router_of(config: EndToEndConfig, setting: Setting, surrogate: str, start: str) -> RouterConfig:
    """How one router is trained. A random start deserves no doubt: its best epoch is taken."""
    schedule = config.router.schedule
    if start == "random":
        schedule = dataclasses.replace(schedule, caution=0.0)
    return dataclasses.replace(
        config.router,
        surrogate=surrogate,
        start=start,
        widths=(setting.width,) if setting.width else (),
        schedule=schedule,
    )


def _prepared(
    made: Draw, setting: Setting, config: EndToEndConfig, *, seed: int
) -> tuple[Prepared, Prepared]:
    """Outcome models of the log, and of all cells of its rows, with the same rows held out."""
    width = made.log.features.shape[1]
    fit = FitConfig(
        components=setting.dimensions if setting.dimensions < width else None,
        seed=seed,
        validation=config.validation,
        router=config.router,
        nuisance=OUTCOMES[setting.outcomes],
    )
    groups = made.log.groups
    train, held_out = member_splits(
        len(made.log), members=1, held_out=config.validation, seed=seed, groups=groups
    )
    splits = of_one_length(train), of_one_length(held_out)
    keys = jax.random.split(jax.random.key(seed), 3)
    scaling = Scaling.of(made.log.features, components=fit.components)

    def of(record: Log | Table, key: jax.Array) -> Prepared:
        (fitted,) = fit_all_outcomes([record], [scaling], keys=[key], config=fit.nuisance)
        x = scaling(record.features)
        return Prepared(
            record, fit, scaling, x, fitted.predicted, fitted.model, None, *splits, keys[2]
        )

    return of(made.log, keys[0]), of(made.table, keys[1])


def of_one_length(rows: Int[np.ndarray, "b k"]) -> Int[np.ndarray, "b _"]:
    """Positions filled up with −1, which is no row, so that repeated prompts change no shape."""
    more = -rows.shape[1] % LENGTHS
    return np.pad(rows, ((0, 0), (0, more)), constant_values=-1)


def _propensities(on_log: Prepared, *, seed: int) -> Float[np.ndarray, " n"]:
    """Of the arms that answered: as recorded, or estimated out of fold where none are."""
    log, key = on_log.record, jax.random.fold_in(jax.random.key(seed), 4)
    assert isinstance(log, Log)
    if log.logged_propensities is not None:
        return log.logged_propensities
    return propensities_of(log, on_log.scaling, key=key, config=on_log.config.nuisance).answered


def _problem(on_log: Prepared, propensities: Float[np.ndarray, " n"], estimator: str) -> Problem:
    """What a router is trained on: estimates with the log's own outcome predictions.

    Held-out rows of the log choose the epoch by dr estimates, whatever the router is trained on.
    """
    log, predicted = on_log.record, on_log.predicted
    assert isinstance(log, Log)
    floor = floor_of(None, models=len(log.models), recorded=0.0)

    def estimated(name: str) -> Estimates:
        return estimate(log, predicted, propensities, estimator=name, floor=floor)

    return Problem(
        x=on_log.x,
        target=estimated(estimator),
        selection=estimated("dr"),
        predicted=predicted,
        train=on_log.train,
        held_out=on_log.held_out,
        key=on_log.key,
    )


def utilities(
    choices: Choices, test: Table, cost_weights: tuple[float, ...]
) -> Float[np.ndarray, "w t"]:
    """Utility q − λ·c of the chosen arms, row by row, each cost weight with its own choice."""
    rows = np.arange(choices.shape[1])
    quality, cost = (np.asarray(each, np.float64) for each in (test.quality, test.cost))
    return np.stack(
        [
            quality[rows, arms] - weight * cost[rows, arms]
            for arms, weight in zip(choices, cost_weights, strict=True)
        ]
    )
