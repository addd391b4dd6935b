"""From a log to a router: nuisances, counterfactual estimates, training."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import jax
import numpy as np

from routerjax.artefacts.router import Arrays, Router
from routerjax.baselines.policies import best_single
from routerjax.data.encoders.encoding import encoded
from routerjax.errors import DataWarning, InputError
from routerjax.estimators.counterfactual import DEFAULT_FLOOR, ESTIMATORS, Overlap, estimate
from routerjax.estimators.folds import member_splits
from routerjax.evaluation.intervals import mean_interval
from routerjax.evaluation.metrics import outcome
from routerjax.models.heads import Scaling
from routerjax.pipelines.judge_scores import corrected_scores
from routerjax.pipelines.nuisance import NuisanceConfig, Nuisances, fit_nuisances
from routerjax.records.tables import Estimates, Log
from routerjax.records.validation import check_seed
from routerjax.support.provenance import provenance
from routerjax.training.execution import Execution
from routerjax.training.routing import Problem, RouterConfig, check_config, train_router

FEW_ROWS = 30  # below this effective sample size a model's estimates deserve a warning
VALIDATION_NAMES = ("validation", "valid", "val", "dev")
SMALLEST_LOG = 50


@dataclasses.dataclass(frozen=True)
class FitConfig:
    """How a router is fitted to a log.

    Attributes:
      cost_weights: grid of λ, quality per dollar; None chooses one from the log's costs.
      encoder: of the prompts, where the log has no embeddings.
      estimator: "dr", "ips" or "direct" estimates for training.
      floor: propensities are clipped from below here.
      validation: share of the rows that chooses a member's epoch, where the log names no
        validation split.
      seed: of folds, splits, starting values and shuffling.
      router, nuisance: of the two trainings.
    """

    cost_weights: tuple[float, ...] | None = None
    encoder: str = "wordllama"
    estimator: str = "dr"
    floor: float = DEFAULT_FLOOR
    validation: float = 0.2
    seed: int = 0
    router: RouterConfig = RouterConfig()
    nuisance: NuisanceConfig = NuisanceConfig()


def fit(
    log: Log,
    *,
    gold: str | None = None,
    config: FitConfig = FitConfig(),
    drop_unlogged: bool = False,
    execution: Execution = Execution(),
) -> Router:
    """Learn from a log which model should answer which query.

    Rows whose split is "test" are left alone; rows of a validation split choose the epoch,
    or a random share of the rows where there is none. A log with prompts and without
    embeddings is encoded first.

    Args:
      log: one model's answer per query.
      gold: value of the log's `scored_by` that marks gold scores; the scores of all other rows
        are corrected for their judge's bias first. None takes every score as it is.
      config: cost weights, estimator, architecture, optimiser, seed.
      drop_unlogged: leave out models that never answered, instead of an error.
      execution: progress, devices, checkpoints.

    Returns:
      Router, with `report` on overlap and on the validation rows.

    Raises:
      InputError: neither embeddings nor prompts, models never logged, too few rows, an unknown
        split, estimator, architecture or surrogate, a setting out of its range, or `gold` with
        no column `scored_by` or too few gold rows.
    """
    _check(config)
    given = log = encoded(_prepared(log, drop_unlogged), encoder=config.encoder)
    key, correction = jax.random.key(config.seed), None
    if gold is not None:  # the router keeps the range that was given, and so its unit of quality
        log, correction = corrected_scores(log, gold, key=jax.random.fold_in(key, 2))
    train, held_out = _splits(log, config)
    cost_weights = config.cost_weights or default_cost_weights(given)
    cost_weights = tuple(sorted({float(weight) for weight in cost_weights}))
    keys = jax.random.split(key, 2)
    scaling = Scaling.of(log.features)
    nuisances = fit_nuisances(
        log,
        scaling,
        key=keys[0],
        config=config.nuisance,
        floor=config.floor,
        execution=execution,
    )
    warn_of_overlap(nuisances.overlap)
    target, judge = (
        estimate(log, nuisances.predicted, nuisances.propensities, estimator=e, floor=config.floor)
        for e in (config.estimator, "dr")
    )
    x = scaling(log.features)
    policy, epochs = train_router(
        Problem(x, target, judge, nuisances.predicted, train, held_out, keys[1]),
        cost_weights=cost_weights,
        quality_width=given.quality_width,
        config=config.router,
        execution=execution,
    )
    arms = [best_single(judge, cost_weight=weight) for weight in cost_weights]
    router = Router(
        models=log.models,
        cost_weights=cost_weights,
        encoder=log.encoder,
        dimensions=int(log.features.shape[1]),
        quality_range=given.quality_range,
        policy_widths=config.router.widths,
        outcome_widths=config.nuisance.widths,
        folds=config.nuisance.folds,
        members=config.router.members,
        architecture=config.router.architecture,
        separate_trunks=config.router.separate_trunks,
        start=config.router.start,
        gain=config.router.start_gain,
        mean_cost=float(policy.unit.mean_cost),
        best_single=tuple(log.models[arm] for arm in arms),
        report={},
        provenance=provenance(config=config, seed=config.seed, data=given.fingerprint),
        arrays=Arrays(
            scaling, policy.params, policy.constant or _no_means(len(log.models)), nuisances.model
        ),
    )
    report = _report(router, log, nuisances, judge, held_out, arms, epochs)
    if correction is not None:
        report["correction"] = correction
    return dataclasses.replace(router, report=report)


def _check(config: FitConfig) -> None:
    """Raise InputError where a setting cannot be used, before anything is trained."""
    weights, largest = config.cost_weights, float(np.finfo(np.float32).max)
    rates, epochs = np.atleast_1d(config.router.learning_rate), config.router.schedule.max_epochs
    if weights is not None and not (weights and all(0 <= each <= largest for each in weights)):
        listed = ", ".join(f"{each:g}" for each in weights)
        raise InputError(f"cost weights are {listed or 'none'}; each must be finite, 0 or more")
    if config.estimator not in ESTIMATORS:
        known = ", ".join(ESTIMATORS)
        raise InputError(f"no estimator {config.estimator!r}; known are {known}")
    check_config(config.router)
    if not 0 <= config.floor < 1:
        raise InputError(f"floor is {config.floor:g}; it must be 0 or more and below 1")
    if not 0 < config.validation < 1:
        raise InputError(f"validation share is {config.validation:g}; it must lie between 0 and 1")
    for rate in rates:
        if not 0 < rate <= largest:
            raise InputError(f"learning rate is {rate:g}; it must be finite and above 0")
    if epochs < 1:
        raise InputError(f"epochs is {epochs}; at least 1 is needed")
    check_seed(config.seed)


def _prepared(log: Log, drop_unlogged: bool) -> Log:
    if log.split is not None:
        known = ("train", "test", *VALIDATION_NAMES)
        strange = sorted(set(log.split) - set(known))
        if strange:
            problem = f"unknown split {strange[0]!r}; known are {', '.join(known)}"
            raise InputError(problem, source=log.source, field="split")
        if not set(log.split) - {"test"}:
            raise InputError("every row is in the test split", source=log.source, field="split")
        log = log.in_split("train", *VALIDATION_NAMES)
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
    return log


def _splits(log: Log, config: FitConfig) -> tuple[np.ndarray, np.ndarray]:
    """[b, ·] rows to train each member on, and rows that choose its epoch."""
    if log.split is not None and len(set(log.split) & {"train", *VALIDATION_NAMES}) > 1:
        held_out = np.isin(np.asarray(log.split), VALIDATION_NAMES)
        if held_out.any() and not held_out.all():
            members = config.router.members
            shuffled = np.random.default_rng(config.seed).permutation(len(log))
            rows = (shuffled[~held_out[shuffled]], shuffled[held_out[shuffled]])
            return np.tile(rows[0], (members, 1)), np.tile(rows[1], (members, 1))
    return member_splits(
        len(log), members=config.router.members, held_out=config.validation, seed=config.seed
    )


def default_cost_weights(log: Log) -> tuple[float, ...]:
    """A grid of λ from where cost hardly counts to where it decides, with 0 before it.

    Round numbers (1, 2, 5 times a power of ten) between 0.02 and 5 quality widths per mean
    cost of the dearest model; 0 alone where every cost is 0.
    """
    total = np.bincount(log.arms, weights=log.cost, minlength=len(log.models))
    dearest = float((total / np.maximum(log.arm_counts, 1)).max())
    if dearest == 0:
        return (0.0,)
    low, high = (share * log.quality_width / dearest for share in (0.02, 5.0))
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    rounded = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
    return (0.0, *(weight for weight in rounded if low <= weight <= high))


def warn_of_overlap(overlap: Overlap) -> None:
    """Warn where a model has hardly been logged or many propensities are clipped."""
    model, size = overlap.weakest
    if size < FEW_ROWS:
        warnings.warn(
            f"{model} answered so few rows (effective sample size {size:.0f}) that what the "
            "router believes of it is weak",
            DataWarning,
            stacklevel=2,
        )
    if overlap.share_clipped > 0.05:
        warnings.warn(
            f"{overlap.share_clipped:.0%} of the propensities lie below {overlap.floor:g} and "
            "were clipped; dr and ips estimates are biased there",
            DataWarning,
            stacklevel=2,
        )


def _report(
    router: Router,
    log: Log,
    nuisances: Nuisances,
    judge: Estimates,
    held_out: np.ndarray,
    best_arms: list[int],
    epochs: dict[str, list[int]],
) -> dict[str, Any]:
    """Overlap, and dr utility of router and best single model on rows held out of training.

    Each member is judged on its own held-out rows, so that no row judges a network trained on
    it; rows held out of several members count once, with the mean of their scores.
    """
    choices = _held_out_choices(router, log, nuisances.predicted, held_out)
    rows = np.flatnonzero((choices >= 0).any(axis=(0, 1)))
    lines = []
    for position, (weight, arm) in enumerate(zip(router.cost_weights, best_arms, strict=True)):
        shares = _arm_shares(choices[:, position][:, rows], len(router.models))
        routed = outcome(shares, judge[rows], cost_weight=weight)
        single = outcome(np.full(len(rows), arm), judge[rows], cost_weight=weight)
        lines.append(
            {
                "cost_weight": weight,
                "router": mean_interval(routed.utility)._asdict(),
                "best_single": mean_interval(single.utility)._asdict(),
                "gain": mean_interval(routed.utility - single.utility)._asdict(),
                "best_single_model": router.models[arm],
                "quality": float(routed.quality.mean()),
                "cost": float(routed.cost.mean()),
            }
        )
    return {
        "overlap": dataclasses.asdict(nuisances.overlap),
        "rows": {"log": len(log), "held_out": len(rows), "members": len(held_out)},
        "epochs": epochs,
        "held_out": lines,
    }


def _held_out_choices(
    router: Router, log: Log, predicted: Estimates, held_out: np.ndarray
) -> np.ndarray:
    """[b, w, n] arm each member chooses for the rows held out of it; −1 elsewhere."""
    choices = np.full((len(held_out), len(router.cost_weights), len(log)), -1, np.int32)
    for member, rows in enumerate(held_out):
        x = router.arrays.scaling(log.features[rows])
        own = router.policy.member(member)
        probabilities = own.at(x, predicted[rows], cost_weights=router.cost_weights)
        choices[member][:, rows] = probabilities.argmax(axis=-1)
    return choices


def _no_means(models: int) -> Estimates:
    zero = np.zeros(models, np.float32)
    return Estimates(quality=zero, cost=zero)


def _arm_shares(choices: np.ndarray, models: int) -> np.ndarray:
    """[n, m] share of the members' choices [b, n] that fell on each arm, −1 left out."""
    votes = (choices[..., None] == np.arange(models)).sum(axis=0)
    return votes / votes.sum(axis=1, keepdims=True)
