"""Policies on a log they did not write: value, bounds where support ends, advantage over today's.

Everything is scored row by row, so that differences are paired and standard errors count groups.
A choice that the log does not support has a quality somewhere in the quality range, and so a
policy has two scores a row, a lowest and a highest, which are one where support is everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from routerjax.evaluation.intervals import Interval, mean_interval, simultaneous_band
from routerjax.evaluation.metrics import Choice, shares
from routerjax.evaluation.ope import (
    Scores,
    effective_sample_size,
    logged_scores,
    policy_scores,
)
from routerjax.pipelines.lines import Line, Single
from routerjax.pipelines.paired import Corrected
from routerjax.pipelines.propensities import Propensities
from routerjax.records.tables import Estimates, Log

FIXED = ("today", "random")
"""Policies that nothing is fitted for."""


class Evidence(NamedTuple):
    """A log as what speaks of policies.

    Attributes:
      log: n rows that no policy was fitted on.
      predicted: [n, m] outcomes, by models that never saw the rows.
      propensities: of the rows, with support.
      floor: propensities below it are taken as it.
      gold: (which rows' scores are gold, probability that a row's is), where sources are mixed.
      corrected: outcomes of rows with a judge's score, corrected by gold ones; None where the log's
        own qualities are outcomes.
      widening: by which standard errors of policies are multiplied that were fitted on this log,
        each on other rows than those it is evaluated on; 1 where no row was fitted on.
    """

    log: Log
    predicted: Estimates
    propensities: Propensities
    floor: float
    gold: tuple[Bool[np.ndarray, " n"], Float[np.ndarray, " n"]] | None = None
    corrected: Corrected | None = None
    widening: float = 1.0

    @property
    def outcomes(self) -> Log:
        """The log with qualities that have the mean of gold scores."""
        if self.corrected is None:
            return self.log
        quality = self.corrected.quality.astype(np.float32)
        low, high = self.log.quality_range
        wide = (min(low, float(quality.min())), max(high, float(quality.max())))
        return self.log.replace(quality=quality, quality_range=wide)

    def widening_of(self, method: str) -> float:
        """`widening`, of a policy that does not depend on the log 1."""
        return 1.0 if method in FIXED else self.widening

    @property
    def chance(self) -> Float[np.ndarray, " n"]:
        """[n] probability that the row's outcome is known; infinite where it does not count."""
        answered = np.maximum(np.asarray(self.propensities.answered, np.float64), self.floor)
        if self.gold is None:
            return answered
        known, probability = self.gold
        return np.where(known, answered * probability, np.inf)


class Scored(NamedTuple):
    """A policy's lowest and highest scores, [n] each; `choice` is None for the log's own."""

    low: Scores
    high: Scores
    choice: Choice | None


def scored(choice: Choice, evidence: Evidence) -> Scored:
    """Score a choice: doubly robust where the log supports it, the quality range elsewhere."""
    supported, (lowest, highest) = evidence.propensities.supported, evidence.log.quality_range
    if choice.ndim == 1:
        known = supported[np.arange(len(choice)), choice]
        found = _scores(choice, evidence)
        if known.all():
            return Scored(found, found, choice)
        price = np.asarray(evidence.predicted.cost, np.float64)[np.arange(len(choice)), choice]
        quality, cost = np.where(known, found.quality, 0.0), np.where(known, found.cost, price)
        missing = (~known).astype(np.float64)
    else:
        if supported.all():
            found = _scores(choice, evidence)
            return Scored(found, found, choice)
        found = _scores(choice * supported, evidence)
        quality, missing = found.quality, (choice * ~supported).sum(axis=1)
        cost = found.cost + (choice * ~supported * evidence.predicted.cost).sum(axis=1)
    low, high = (Scores(quality + missing * end, cost) for end in (lowest, highest))
    return Scored(low, high, choice)


def _scores(choice: Choice, evidence: Evidence) -> Scores:
    log, predicted, groups = evidence.outcomes, evidence.predicted, evidence.log.groups
    found = policy_scores(choice, log, predicted, evidence.chance, floor=0.0, groups=groups)
    if evidence.gold is None:
        return found
    every = evidence._replace(gold=None).chance  # every row knows its cost
    costs = policy_scores(choice, log, predicted, every, floor=0.0, groups=groups)
    return Scores(found.quality, costs.cost)


def today(evidence: Evidence) -> Scored:
    """Scores of the policy that wrote the log: the outcomes it met, of gold rows where they count.

    q̃_i = ŷ(x_i, t_i) + s_i/e_i·(r_i − ŷ(x_i, t_i)) where scores come from mixed sources, and y_i
    of `pipelines.paired` where rows have a judge's score and some a gold one beside it.
    """
    found = logged_scores(evidence.outcomes)
    if evidence.gold is not None:
        known, probability = evidence.gold
        rows = np.arange(len(known))
        expected = np.asarray(evidence.predicted.quality, np.float64)[rows, evidence.log.arms]
        residual = np.where(known, found.quality - expected, 0.0) / probability
        found = Scores(expected + residual, found.cost)
    return Scored(found, found, None)


def interval(
    low: np.ndarray, high: np.ndarray, groups: np.ndarray, *, widening: float = 1.0
) -> Interval:
    """From the end of the lower scores' interval to the end of the higher ones'."""
    first = widened(mean_interval(low, groups=groups, heavy_tails=True), widening)
    if low is high or np.array_equal(low, high):
        return first
    last = widened(mean_interval(high, groups=groups, heavy_tails=True), widening)
    return Interval(
        mean=(first.mean + last.mean) / 2,
        standard_error=max(first.standard_error, last.standard_error),
        low=first.low,
        high=last.high,
        n=first.n,
    )


def widened(own: Interval, by: float) -> Interval:
    """The interval with its standard error and both arms multiplied."""
    return own._replace(
        standard_error=own.standard_error * by,
        low=own.mean - (own.mean - own.low) * by,
        high=own.mean + (own.high - own.mean) * by,
    )


def difference(one: Scored, other: Scored, *, cost_weight: float) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest per-row differences in utility; 0 where both choose the same model."""
    low = one.low.utility(cost_weight) - other.high.utility(cost_weight)
    high = one.high.utility(cost_weight) - other.low.utility(cost_weight)
    if one.choice is not None and other.choice is not None and one.choice.ndim == 1:
        if other.choice.ndim == 1:
            same = one.choice == other.choice
            low, high = np.where(same, 0.0, low), np.where(same, 0.0, high)
    return low, high


def policy_lines(
    choices: Mapping[str, Sequence[Choice]],
    evidence: Evidence,
    *,
    cost_weights: Sequence[float],
    base: str,
) -> tuple[Line, ...]:
    """A line for today's policy and every choice at every cost weight.

    Args:
      choices: method → its choice at every cost weight.
      evidence: of the log.
      cost_weights: λ.
      base: the method over which the advantage is.
    """
    own = {"today": [today(evidence)] * len(cost_weights)}
    for method, each in choices.items():
        own[method] = _once_each(each, evidence)
    bands = {
        method: _band(each, own["today"], evidence, cost_weights, evidence.widening_of(method))
        for method, each in own.items()
    }
    return tuple(
        _line(
            method,
            scores[k],
            own[base][k],
            own["today"][k],
            evidence,
            cost_weight,
            bands[method][k],
        )
        for k, cost_weight in enumerate(cost_weights)
        for method, scores in own.items()
    )


def _once_each(choices: Sequence[Choice], evidence: Evidence) -> list[Scored]:
    """Scores of choices; one that is the same as that before is scored once."""
    found: list[Scored] = []
    for choice in choices:
        same = found and np.array_equal(choice, found[-1].choice)  # type: ignore[arg-type]
        found.append(found[-1] if same else scored(choice, evidence))
    return found


def _band(
    scores: Sequence[Scored],
    others: Sequence[Scored],
    evidence: Evidence,
    cost_weights: Sequence[float],
    widening: float,
) -> list[tuple[float, float]]:
    """(lowest, highest) difference in utility at every cost weight, all at once."""
    low, high = (
        np.stack(each)
        for each in zip(
            *(
                difference(one, other, cost_weight=cost_weight)
                for one, other, cost_weight in zip(scores, others, cost_weights, strict=True)
            ),
            strict=True,
        )
    )
    count, groups = len(low), evidence.log.groups
    both = low if np.array_equal(low, high) else np.concatenate([low, high])
    band, middle = simultaneous_band(both, groups=groups, heavy_tails=True), both.mean(axis=1)
    lowest = middle - (middle - band.low) * widening
    highest = middle + (band.high - middle) * widening
    return list(zip(lowest[:count].tolist(), highest[-count:].tolist(), strict=True))


def _line(
    method: str,
    own: Scored,
    base: Scored,
    log_policy: Scored,
    evidence: Evidence,
    cost_weight: float,
    band: tuple[float, float],
) -> Line:
    groups, models = evidence.log.groups, evidence.log.models

    def between(low: np.ndarray, high: np.ndarray) -> Interval:
        return interval(low, high, groups, widening=evidence.widening_of(method))

    return Line(
        method=method,
        cost_weight=cost_weight,
        utility=between(own.low.utility(cost_weight), own.high.utility(cost_weight)),
        regret=None,
        quality=between(own.low.quality, own.high.quality),
        cost=between(own.low.cost, own.high.cost),
        advantage=between(*difference(own, base, cost_weight=cost_weight)),
        over_today=between(*difference(own, log_policy, cost_weight=cost_weight)),
        band=band,
        effective_sample_size=_effective(own.choice, evidence),
        unsupported=unsupported_share(own.choice, evidence),
        mostly=_mostly(own.choice, evidence.log, models),
    )


def _effective(choice: Choice | None, evidence: Evidence) -> float:
    log = evidence.log
    if choice is not None:
        return effective_sample_size(choice, log, evidence.chance, floor=0.0, groups=log.groups)
    counted = np.ones(len(log), bool) if evidence.gold is None else evidence.gold[0]
    return float(len(np.unique(log.groups[counted])))


def unsupported_share(choice: Choice | None, evidence: Evidence) -> float:
    """Share of the queries on which the log does not support the choice."""
    supported = evidence.propensities.supported
    if choice is None:
        return 0.0
    if choice.ndim == 1:
        return float(1 - supported[np.arange(len(choice)), choice].mean())
    return float((choice * ~supported).sum(axis=1).mean())


def _mostly(choice: Choice | None, log: Log, models: Sequence[str]) -> tuple[str, float]:
    found = shares(np.asarray(log.arms) if choice is None else choice, len(models))
    return models[int(found.argmax())], float(found.max())


def singles(evidence: Evidence) -> tuple[Single, ...]:
    """Every model asked for every query on which it was available."""
    found, groups = [], evidence.log.groups
    for arm, model in enumerate(evidence.log.models):
        choice, rows = np.full(len(evidence.log), arm), _could(evidence.log, arm)
        own = scored(choice, evidence)
        low, high = (each.quality[rows] for each in own[:2])
        known = evidence.propensities.supported[rows, arm]
        found.append(
            Single(
                model=model,
                quality=interval(low, high, groups[rows]),
                cost=interval(own.low.cost[rows], own.high.cost[rows], groups[rows]),
                unsupported=float(1 - known.mean()),
            )
        )
    return tuple(found)


def _could(log: Log, arm: int) -> np.ndarray | slice:
    """The rows on which a model was available; all of them where it never was."""
    if log.available is None or not np.asarray(log.available)[:, arm].any():
        return slice(None)
    return np.flatnonzero(np.asarray(log.available)[:, arm])
