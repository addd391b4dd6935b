"""Policies on a log they did not write: a log as what speaks of them, and their scores on it.

Everything is scored row by row, so that differences are paired and standard errors count groups.
A choice that the log does not support has a quality somewhere in the quality range and a cost
somewhere among those that the log saw of the model, and so a policy has two scores a row, a worst
and a best, which are one where support is everywhere. A range of costs is no bound as the quality
range is: what a model was never asked may cost more than all that it was asked, and pages say so.
So it is for a model whose judge's scores no gold ones correct (`pipelines.uncorrected`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from routerjax.evaluation.intervals import Interval, mean_interval
from routerjax.evaluation.metrics import Choice
from routerjax.evaluation.ope import Scores, logged_scores, policy_scores
from routerjax.pipelines.paired import Corrected
from routerjax.pipelines.propensities import Propensities
from routerjax.pipelines.uncorrected import (
    ENOUGH_OF_MODEL,
    Uncorrected,
    uncorrected_arms,
    uncorrected_models,
    unseen_share,
)
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates

FIXED = ("today", "random")
"""Policies that nothing is fitted for."""
FEWEST_COSTS = 10
"""Answers of a model from which their costs are a range; of fewer it is that of all models."""


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

    @property
    def flags(self) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """[n] rows whose gold score tells of the judge's bias, and rows without a gold score."""
        if self.gold is not None:
            return self.gold[0], ~self.gold[0]
        if self.corrected is not None:
            known, judged = self.corrected.gold, self.log.judged
            return known if judged is None else known & np.asarray(judged), ~known
        every = np.ones(len(self.log), bool)
        return every, ~every

    @property
    def uncorrected(self) -> tuple[Uncorrected, ...]:
        """Models whose judge's scores no gold ones correct."""
        return uncorrected_models(self.log, *self.flags)

    @property
    def untold(self) -> Bool[np.ndarray, " m"]:
        """[m] True for these models."""
        models = len(self.log.models)
        return uncorrected_arms(np.asarray(self.log.arms), *self.flags, models=models)

    @property
    def supported(self) -> Bool[np.ndarray, "n m"]:
        """[n, m] True where the log says what the model's answer would be worth."""
        told = self.propensities.told
        known = self.propensities.supported if told is None else self.propensities.supported & told
        return known & ~self.untold[None]

    @property
    def unseen(self) -> Float[np.ndarray, " m"]:
        """[m] what a judge may be off by that few gold scores never saw off, 0 elsewhere."""
        log, models = self.log, len(self.log.models)
        if self.corrected is None or log.gold_quality is None:
            return np.zeros(models)
        (telling, unknown), arms = self.flags, np.asarray(log.arms)
        off = telling & (np.asarray(log.gold_quality) != np.asarray(log.quality))
        every, wrong, more = (
            np.bincount(arms[rows], minlength=models) for rows in (telling, off, unknown)
        )
        agreed = (every > 0) & (every < ENOUGH_OF_MODEL) & (wrong == 0) & (more > 0)
        return np.where(agreed, log.quality_width * unseen_share(every), 0.0)

    @property
    def unknown(self) -> Bool[np.ndarray, " n"]:
        """[n] True where not even what the logged answer was worth is known."""
        return self.flags[1] & self.untold[np.asarray(self.log.arms)]

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
    """A policy's worst and best scores, [n] each; `choice` is None for the log's own.

    Attributes:
      low: lowest quality, highest cost.
      high: highest quality, lowest cost.
    """

    low: Scores
    high: Scores
    choice: Choice | None


def seen_costs(log: Log) -> Float[np.ndarray, "2 m"]:
    """The least and the greatest cost that the log saw of every model."""
    cost, arms = np.asarray(log.cost, np.float64), np.asarray(log.arms)
    ends = np.repeat([[cost.min()], [cost.max()]], len(log.models), axis=1)
    for arm in np.flatnonzero(log.arm_counts >= FEWEST_COSTS):
        own = cost[arms == arm]
        ends[:, arm] = own.min(), own.max()
    return ends


def scored(choice: Choice, evidence: Evidence) -> Scored:
    """Score a choice: doubly robust where the log supports it, by its ranges elsewhere.

    A judge that was never seen to be off on a model may be off by `Evidence.unseen` on it. What an
    uncorrected model costs is known all the same.
    """
    supported, asked = evidence.supported, evidence.propensities.supported
    lowest, highest = evidence.log.quality_range
    unseen = evidence.unseen
    if choice.ndim == 1:
        known = supported[np.arange(len(choice)), choice]
        found, slack = _scores(choice, evidence), unseen[choice] * known
        if known.all() and not slack.any():
            return Scored(found, found, choice)
        seen = asked[np.arange(len(choice)), choice]
        quality, cost = np.where(known, found.quality, 0.0), np.where(seen, found.cost, 0.0)
        missing, ends = (~known).astype(np.float64), seen_costs(evidence.log)[:, choice] * ~seen
    else:
        slack = (choice * supported) @ unseen
        if supported.all() and not slack.any():
            found = _scores(choice, evidence)
            return Scored(found, found, choice)
        quality, cost = _scores(choice * supported, evidence)
        if evidence.untold.any():
            cost = _scores(choice * asked, evidence).cost
        missing = (choice * ~supported).sum(axis=1)
        ends = seen_costs(evidence.log) @ (choice * ~asked).T
    low = Scores(quality + missing * lowest - slack, cost + ends[1])
    high = Scores(quality + missing * highest + slack, cost + ends[0])
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
    of `pipelines.paired` where rows have a judge's score and some a gold one beside it. Of an
    uncorrected model's rows each stands for itself, and those without a gold score for the whole
    quality range.
    """
    found = logged_scores(evidence.outcomes)
    if evidence.gold is not None:
        known, probability = evidence.gold
        rows = np.arange(len(known))
        expected = np.asarray(evidence.predicted.quality, np.float64)[rows, evidence.log.arms]
        residual = np.where(known, found.quality - expected, 0.0) / probability
        found = Scores(expected + residual, found.cost)
    own = evidence.untold[np.asarray(evidence.log.arms)]
    if not own.any() and not evidence.unseen.any():
        return Scored(found, found, None)
    low, high = _ends(found.quality, own, evidence)
    return Scored(Scores(low, found.cost), Scores(high, found.cost), None)


def _ends(
    quality: np.ndarray, own: Bool[np.ndarray, " n"], evidence: Evidence
) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest quality of logged answers, those of uncorrected models by gold alone."""
    if evidence.gold is None:
        alone = np.asarray(evidence.log.gold_quality, np.float64)
    else:
        alone = np.asarray(evidence.log.quality, np.float64)
    known = np.where(own, alone, quality)
    slack = evidence.unseen[np.asarray(evidence.log.arms)] * evidence.flags[1]
    (lowest, highest), unknown = evidence.log.quality_range, evidence.unknown
    return np.where(unknown, lowest, known - slack), np.where(unknown, highest, known + slack)


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


def unsupported_share(choice: Choice | None, evidence: Evidence) -> float:
    """Share of the queries on which the log does not say what the choice is worth."""
    supported = evidence.supported
    if choice is None:
        return float(evidence.unknown.mean())
    if choice.ndim == 1:
        return float(1 - supported[np.arange(len(choice)), choice].mean())
    return float((choice * ~supported).sum(axis=1).mean())
