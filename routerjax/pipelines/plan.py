"""What a log is still missing: rows, gold scores, or random traffic."""

from __future__ import annotations

import math

import numpy as np

from routerjax.data.encoders.encoding import encoded
from routerjax.errors import InputError
from routerjax.estimators.defaults import SUPPORT, floor_of
from routerjax.estimators.overlap import overlap
from routerjax.evaluation.intervals import Interval, mean_interval
from routerjax.evaluation.power import (
    detectable,
    gold_needed,
    gold_variance,
    groups_needed,
    least_share,
    traffic_variance,
)
from routerjax.models.heads import Scaling
from routerjax.pipelines.evidence import (
    Evidence,
    Scored,
    difference,
    interval,
    scored,
    today,
    unsupported_share,
)
from routerjax.pipelines.gold import gold_propensities, gold_rows, warn_of_judges
from routerjax.pipelines.nuisance import folds_of
from routerjax.pipelines.overlap import check_propensities
from routerjax.pipelines.paired import corrected_log, has_pairs
from routerjax.pipelines.plan_records import Plan, Standing, Traffic
from routerjax.pipelines.propensities import fit_propensities
from routerjax.pipelines.quick_outcomes import quick_outcomes
from routerjax.pipelines.repeats import said_once
from routerjax.pipelines.uncorrected import FEWEST_OF_MODEL, warn_of_uncorrected
from routerjax.records.logs import Log
from routerjax.records.tables import Table
from routerjax.support.compilation import seeded_key, split_keys
from routerjax.training.config import FitConfig, NuisanceConfig

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)
TODAY = "today"
NOTES = (
    "the next rows are taken to be like the log's: the same queries, models, scores and groups",
    "propensities are estimated where the log does not record them, and count as known here",
    "the better model was picked on these rows, so that its difference is a little optimistic",
)


def plan(
    log: Log,
    *,
    models: tuple[str, str] | None = None,
    cost_weight: float = 0.0,
    detect: float | None = None,
    next_rows: int | None = None,
    gold: str | None = None,
    trust_propensities: bool = False,
    encoder: str = FitConfig.encoder,
) -> Plan:
    """Say what a log knows of its models, and how many rows or random answers would say more.

    Nothing is fitted that costs time: predictions are ridges (`quick_outcomes`), cross-fitted.
    The equations are those of `routerjax.evaluation.power`.

    Args:
      log: n rows with prompts or embeddings.
      models: The two policies whose difference counts, names of models or "today"; by default
        the best single model but the most used one, and today's policy.
      cost_weight: λ of the utility q − λ·c.
      detect: The half-width that is asked for and the difference to find; by default half of
        each half-width, and the difference that the log estimates.
      next_rows: N, of which a share is sent at random; by default as many as the log has.
      gold: Value of `scored_by` that marks gold scores; None takes every score as it is, but for
        a log with `gold_quality`.
      trust_propensities: Whether recorded propensities that cannot be right are taken as they are.
      encoder: of prompts, where the log has no embeddings.

    Raises:
      InputError: a table, unknown models, too few rows or gold rows, numbers out of range, or
        recorded propensities that cannot be right.
    """
    _check(log, models, cost_weight, detect, next_rows)
    log = said_once(encoded(log, encoder=log.encoder or encoder))
    evidence = _evidence(log, gold, trust_propensities)
    own: dict[str, Scored] = {TODAY: today(evidence)}
    for arm, model in enumerate(log.models):
        own[model] = scored(np.full(len(log), arm), evidence)
    policies = tuple(_standing([name], own, evidence, cost_weight, detect) for name in own)
    pair = models or _default_pair(log, policies)
    between = _standing(pair, own, evidence, cost_weight, detect)
    even = scored(np.full((len(log), len(log.models)), 1 / len(log.models)), evidence)
    lost = difference(own[TODAY], even, cost_weight=cost_weight)
    loss = interval(*lost, log.groups)
    count, sought = next_rows or len(log), abs(detect or between.utility.mean)
    traffic, least = _traffic(
        pair, [own[name] for name in pair], evidence, cost_weight, count, sought, loss.mean
    )
    return Plan(
        source=log.source,
        rows=len(log),
        groups=int(log.groups.max()) + 1,
        models=log.models,
        cost_weight=float(cost_weight),
        gold_rows=_gold_rows(evidence),
        policies=policies,
        difference=between,
        next_rows=count,
        detect=sought,
        traffic=traffic,
        least_share=least,
        random_loss=loss,
        notes=NOTES if models is None else NOTES[:2],
        uncorrected=evidence.uncorrected,
    )


def _check(log, models, cost_weight, detect, next_rows) -> None:
    if isinstance(log, Table):
        problem = "is a table of every model's answers; plan reads a log of one answer a row"
        raise InputError(f"{problem} (routerjax simulate draws one)", source=log.source)
    if not (math.isfinite(cost_weight) and cost_weight >= 0):
        raise InputError(f"cost weight is {cost_weight:g}; it must be finite, 0 or more")
    if detect is not None and not (math.isfinite(detect) and detect > 0):
        raise InputError(f"difference to detect is {detect:g}; it must be finite and above 0")
    if next_rows is not None and next_rows < 2:
        raise InputError(f"next rows are {next_rows}; at least 2 are needed")
    if models is None:
        return
    for name in models:
        if name not in (*log.models, TODAY):
            known = ", ".join((*log.models, TODAY))
            raise InputError(f"no model {name!r} in the log; known are {known}", source=log.source)
    if models[0] == models[1]:
        raise InputError(f"{models[0]} is compared with itself; two policies are needed")


def _evidence(log: Log, gold: str | None, trust: bool) -> Evidence:
    """Propensities, gold rows and predictions of a log, each row's without its own fold."""
    pairs = has_pairs(log, gold)
    known = None if gold is None else gold_rows(log, gold)
    of_nuisances, _ = split_keys(seeded_key(FitConfig.seed))  # as `fit` has them by default
    folds = folds_of(log, key=of_nuisances, config=NuisanceConfig())
    x = Scaling.of(log.features)(log.features)
    propensities = fit_propensities(log, x, folds, support=SUPPORT)
    floor = floor_of(None, models=len(log.models), recorded=propensities.recorded)
    covered = overlap(log, propensities.answered, floor=floor, supported=propensities.supported)
    check_propensities(log, covered, trust=trust, known=propensities)
    warn_of_uncorrected(log, gold)
    if gold is None and not pairs:
        warn_of_judges(log, "plans with gold scores")
    evidence = Evidence(
        log=log,
        predicted=quick_outcomes(log, folds, gold=known),
        propensities=propensities,
        floor=floor,
        gold=None if known is None else (known, gold_propensities(log, x, folds, known)),
        corrected=corrected_log(log, folds) if pairs else None,
    )
    if evidence.corrected is None:
        return evidence
    return evidence._replace(predicted=quick_outcomes(evidence.outcomes, folds))


def _gold_rows(evidence: Evidence) -> int | None:
    if evidence.corrected is not None:
        return int(evidence.corrected.gold.sum())
    return None if evidence.gold is None else int(evidence.gold[0].sum())


def _default_pair(log: Log, policies: tuple[Standing, ...]) -> tuple[str, str]:
    most = log.models[int(np.asarray(log.arm_counts).argmax())]
    others = [each for each in policies[1:] if each.name != most]
    return max(others, key=lambda each: each.utility.mean).name, TODAY


def _standing(names, own, evidence: Evidence, cost_weight: float, detect) -> Standing:
    """Of one policy, or of the difference of two."""
    log = evidence.log
    if len(names) == 1:
        ends = own[names[0]].low.utility(cost_weight), own[names[0]].high.utility(cost_weight)
    else:
        ends = difference(own[names[0]], own[names[1]], cost_weight=cost_weight)
    found = interval(*ends, log.groups)
    width = float((ends[1] - ends[0]).mean())
    now = (found.high - found.low) / 2
    asked = detect or now / 2
    if not asked > 0:  # nothing varies, so that nothing is missing
        return Standing(" minus ".join(names), found, width, 0.0, asked, 0, 0)
    needed = groups_needed(found.standard_error, found.n, half_width=asked, width=width)
    more = None if needed is None else max(0, needed - found.n)
    share, gold = _gold(names, evidence, found, now, width)
    return Standing(
        name=" minus ".join(names),
        utility=found,
        width=width,
        unsupported=max(unsupported_share(own[name].choice, evidence) for name in names),
        half_width=asked,
        more_rows=None if more is None else math.ceil(more * len(log) / found.n),
        more_groups=more,
        gold_share=share,
        more_gold=gold,
    )


def _residual_weights(name: str, evidence: Evidence) -> np.ndarray:
    """[n] how much a row's gold residual counts in a policy's score, but for 1/e."""
    log, arms = evidence.log, np.asarray(evidence.log.arms)
    if name == TODAY:
        return np.ones(len(log))
    arm = log.models.index(name)
    chance = np.maximum(evidence.propensities.answered, evidence.floor)
    weights: np.ndarray = (arms == arm) * evidence.supported[:, arm] / chance
    return weights


def _gold(names, evidence: Evidence, found: Interval, now: float, width: float):
    """Share of the variance that gold rows shrink, and how many more halve the interval."""
    if evidence.gold is None and evidence.corrected is None:
        return None, None
    log = evidence.log
    first = [x for x in evidence.uncorrected if x.model in names or TODAY in names]
    if first:  # of which nothing is known before
        return None, sum(FEWEST_OF_MODEL - own.gold for own in first)
    weights = [_residual_weights(name, evidence) for name in names]
    weight = weights[0] if len(weights) == 1 else weights[0] - weights[1]
    if evidence.corrected is not None:
        _, known, chance, off = evidence.corrected
    else:
        assert evidence.gold is not None
        known, chance = evidence.gold
        off = log.quality - np.asarray(evidence.predicted.quality)[np.arange(len(log)), log.arms]
    residual, variance = weight * off, found.standard_error**2
    gold = known.astype(np.float64)
    rest = max(gold_variance(variance, residual, gold, chance, times=1e12), 0.0)
    share = 1 - min(rest / variance, 1.0)
    reach = now - width / 2
    target = variance * (max(now / 2 - width / 2, 0.0) / reach) ** 2
    return share, gold_needed(variance, residual, gold, chance, target=target)


def _probabilities(name: str, log: Log, policy: np.ndarray) -> np.ndarray:
    if name == TODAY:
        return policy
    return np.broadcast_to(np.eye(len(log.models))[log.models.index(name)], policy.shape)


def _traffic(pair, own, evidence: Evidence, cost_weight, rows, sought, loss):
    """Lines at several shares of random traffic, and the least share that finds the difference."""
    log, known = evidence.log, evidence.propensities
    policy = np.where(known.supported, np.asarray(known.every, np.float64), 0.0)
    policy = policy / policy.sum(axis=1, keepdims=True)
    apart = _probabilities(pair[0], log, policy) - _probabilities(pair[1], log, policy)
    predicted = (apart * evidence.predicted.utilities(cost_weight)).sum(axis=1)
    noise = _noise(evidence, cost_weight)
    parts = (predicted, apart**2, noise, policy)
    independent = rows / _clustering(own, evidence, cost_weight)
    lines = []
    for share in SHARES:
        error = math.sqrt(traffic_variance(*parts, share=share) / independent)
        lines.append(Traffic(share, error, detectable(error), share * loss))
    least = None
    if sought > 0:
        least = least_share(*parts, rows=independent, difference=sought)
    return tuple(lines), least


def _clustering(own, evidence: Evidence, cost_weight: float) -> float:
    """How many times the clustered variance of the difference is that of independent rows."""
    low, _ = difference(*own, cost_weight=cost_weight)
    plain = mean_interval(low).standard_error
    clustered = mean_interval(low, groups=evidence.log.groups).standard_error
    return (clustered / plain) ** 2 if plain else 1.0


def _noise(evidence: Evidence, cost_weight: float) -> np.ndarray:
    """[m] mean squared residual of an arm's utility, where gold counts of gold rows over e."""
    log, rows = evidence.outcomes, np.arange(len(evidence.log))
    arms = np.asarray(log.arms)
    known, chance = evidence.gold or (np.ones(len(log), bool), np.ones(len(log)))
    quality, cost = (np.asarray(each) for each in (log.quality, log.cost))
    off = (quality - evidence.predicted.quality[rows, arms]) * known / chance
    off = off - cost_weight * (cost - evidence.predicted.cost[rows, arms])
    total = np.bincount(arms, off**2, minlength=len(log.models))
    noise: np.ndarray = total / np.maximum(np.asarray(log.arm_counts), 1)
    return noise
