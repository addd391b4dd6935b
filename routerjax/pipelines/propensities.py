"""Propensities of a log: of the model that answered, and of every model, with its support."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from routerjax.estimators.discriminants import Discriminants, discriminants
from routerjax.estimators.folds import Folds
from routerjax.estimators.leaning import Leaning, leaning_there, leanings
from routerjax.estimators.stabilised import stabilised_weights
from routerjax.estimators.support import PRIOR_HITS, PRIOR_HITS_EXPLORED, explored, support_level
from routerjax.models.outcomes import over_blocks
from routerjax.models.propensity import (
    PropensityModel,
    asked_alike,
    asked_there,
    supported_rows,
)
from routerjax.pipelines.by_task import ByTask, asked_by_task
from routerjax.pipelines.circumstances import Circumstances, check_chosen, chosen_rows
from routerjax.pipelines.logging_policy import by_fold, fit_logging_policy, known_surely
from routerjax.pipelines.support import Asked, cuts_of, never_asked_of, thresholds
from routerjax.records.logs import Log
from routerjax.records.on_disk import Stored

ROUNDING = 1e-4
"""A recorded propensity that is the level, but for rounding, is support."""


class Propensities(NamedTuple):
    """With what probabilities the log's policy chose.

    Attributes:
      answered: [n] of the arm that answered: as recorded, estimated where nothing is.
      every: [n, m] of every arm, recorded or out-of-fold.
      supported: [n, m] True where the log's policy asked the arm often enough of such queries.
      model: for queries that the log does not hold.
      recorded: share of the rows whose propensity was recorded.
      by_query: [n] of the arm that answered, estimated from the query whatever is recorded, by
        trees that never saw the row; against it recorded ones are tested.
      circumstances: what the policy depended on beside the query; None where on nothing.
      by_task: what the log's column `task` tells beside the query; where it foretells better which
        arm answered, estimates of `answered` are given both. None where it tells nothing.
      told: [n, m] False where the row's task hardly met the arm, or where the arm leans away: what
        it would be worth there the log does not say, though a router may choose it. None where it
        says so everywhere.
      weights: [n] stabilised weights by which rows count in outcome models, which are given the
        query alone; None for 1, where the task tells nothing.
      near: [n, m] True near an edge of a sharp policy, on the side that has support; None where
        there is none.
      leaning: arms that were asked the less the further a query lies in a direction, where nothing
        tells whether they were asked there at all; none beside a logit, which tells that.
      found: discriminants of the arms, along which they lean; None of rows that had no part in it.
    """

    answered: Float[np.ndarray, " n"]
    every: Float[np.ndarray, "n m"]
    supported: Bool[np.ndarray, "n m"]
    model: PropensityModel
    recorded: float
    by_query: Float[np.ndarray, " n"] | None = None
    circumstances: Circumstances | None = None
    by_task: ByTask | None = None
    told: Bool[np.ndarray, "n m"] | None = None
    weights: Float[np.ndarray, " n"] | None = None
    near: Bool[np.ndarray, "n m"] | None = None
    leaning: tuple[Leaning, ...] = ()
    found: Discriminants | None = None

    @property
    def of_own_choices(self) -> Propensities:
        """As what a router that they let choose is evaluated by: nothing is told near an edge."""
        if self.near is None:
            return self
        told = ~self.near if self.told is None else self.told & ~self.near
        return self._replace(told=told)


def fit_propensities(
    log: Log, x: np.ndarray | Stored, folds: Folds, *, support: float
) -> Propensities:
    """Fit the log's policy, out of fold, and find where it supports which arm.

    Args:
      log: n rows, m models.
      x: [n, d] scaled embeddings.
      folds: Folds of the rows; row i's propensities are by models of its fold
        (`pipelines/logging_policy`).
      support: share of an even share, 1/m, from which an arm is supported; 0 switches it off.

    Raises:
      InputError: a user pinned the model of every row, or of all but those of one group.
    """
    check_chosen(log)
    models, chosen = len(log.models), chosen_rows(log)
    could = np.broadcast_to(chosen[:, None], (len(log), models))
    could = could if log.available is None else could & np.asarray(log.available)
    found = discriminants(
        x, np.arange(models) == np.asarray(log.arms)[:, None], could, folds.of_row
    )
    model, around, estimated, sure, surest, by_trees = fit_logging_policy(
        log, x, folds, could, found
    )
    arms, recorded = np.asarray(log.arms), log.logged_propensities
    level = support_level(
        models, support=support, arms=arms, recorded=_where(recorded, chosen, np.nan)
    )
    small = explored(models, support=support, arms=arms, recorded=_where(recorded, chosen, np.nan))
    hits = np.eye(models)[arms]
    every = estimated
    if log.propensities is not None and log.propensities.ndim == 2:
        known = np.isfinite(log.propensities).all(axis=1, keepdims=True)
        hits = np.where(known, log.propensities, hits)
        every = np.where(known, log.propensities, estimated)
    prior = np.where(small, PRIOR_HITS_EXPLORED, PRIOR_HITS)
    asked = Asked(hits, could, level, prior)
    threshold = thresholds(estimated, asked)
    holes, regions, apart = never_asked_of(asked, x, groups=log.groups)
    seen = threshold if by_trees is estimated else thresholds(by_trees, asked)
    left = could & (by_trees >= seen[None]) & ~apart
    cuts, inside = cuts_of(asked, left, arms, x, folds, found, groups=log.groups)
    support_of = supported_rows(sure, threshold, log.available, inside & ~apart)
    estimated_support = support_of
    if every is not estimated:
        by_record = supported_rows(every, level * (1 - ROUNDING), log.available)
        support_of = np.where(known, by_record, support_of)
        estimated_support = support_of & ~known
    by_query = estimated[np.arange(len(arms)), arms]
    by_task = asked_by_task(log, estimated, folds, could, level)
    both = estimated if by_task is None else by_task.given(log, estimated, folds.of_row)
    by_both = both[np.arange(len(arms)), arms]
    answered, share = _answered(recorded, by_both)
    by_both = _where(by_both, chosen, by_query)
    together = len(log) / len(np.unique(log.groups))
    counted = could if every is estimated else could & ~known
    leaning: tuple[Leaning, ...] = ()
    if share < 1 and model.logit is None:  # a logit finds the edges of a policy of scores
        leaning = leanings(found.scores, hits == 1, counted, together=together)
    by_tasks = None if by_task is None or share == 1 else by_task.told(log)
    return Propensities(
        answered=_where(answered, chosen, np.inf),
        every=every,
        supported=support_of,
        model=model._replace(
            threshold=threshold.astype(np.float32), cuts=cuts, holes=holes, regions=regions
        ),
        recorded=share,
        by_query=by_query,
        circumstances=around,
        by_task=by_task,
        told=_told(by_tasks, leaning, models),
        weights=None
        if by_task is None or by_task.ratios is None
        else stabilised_weights(by_query, by_both, arms, models=models),
        near=_near(estimated_support, sure, None if share == 1 else surest, threshold),
        leaning=leaning,
        found=found,
    )


def _told(
    by_tasks: Bool[np.ndarray, "n m"] | None, leaning: Sequence[Leaning], models: int
) -> Bool[np.ndarray, "n m"] | None:
    """Where the log tells what an arm is worth, though it has support; None for everywhere."""
    if not leaning:
        return by_tasks
    told = np.ones((len(leaning[0].unknown), models), bool) if by_tasks is None else by_tasks.copy()
    for each in leaning:
        told[:, each.arm] &= ~each.unknown
    return told


def _near(
    supported: Bool[np.ndarray, "n m"],
    sure: Float[np.ndarray, "n m"],
    surest: Float[np.ndarray, "n m"] | None,
    threshold: Float[np.ndarray, " m"],
) -> Bool[np.ndarray, "n m"] | None:
    """Where an arm has support, and would have none by what is surest; None for nowhere."""
    if surest is None:
        return None
    near: np.ndarray = supported & (sure >= threshold) & (surest < threshold)
    return near if near.any() else None


def withheld(
    known: Propensities,
    arms: Bool[np.ndarray, " m"],
    available: Bool[np.ndarray, "n m"] | None,
) -> Propensities:
    """The same with support for some arms nowhere, but where no other could answer a query.

    Args:
      known: of n rows and m models.
      arms: [m] True for the arms that lose their support.
      available: [n, m] True where the arm could be chosen; None where every arm could.
    """
    if not arms.any():
        return known
    threshold = np.where(arms, np.inf, known.model.threshold).astype(np.float32)
    enough = known.supported & ~arms[None]
    could = known.every if available is None else known.every * available
    fallen = supported_rows(could, np.where(arms, np.inf, 2.0))
    return known._replace(
        supported=np.where(enough.any(axis=1, keepdims=True), enough, fallen),
        model=known.model._replace(threshold=threshold),
    )


def _where(values: np.ndarray | None, chosen: np.ndarray, other: float | np.ndarray) -> Any:
    """The values, another one on rows whose model a user pinned."""
    return values if values is None or chosen.all() else np.where(chosen, values, other)


def applied(fitted: Propensities, log: Log, x: np.ndarray | Stored) -> Propensities:
    """Propensities of rows that a fit never saw; recorded ones of the arm that answered.

    Args:
      fitted: of another log of the same policy.
      log: n rows.
      x: [n, d] scaled embeddings.
    """
    model, circumstances, by_task = fitted.model, fitted.circumstances, fitted.by_task

    def block(rows: np.ndarray, place: slice) -> tuple[np.ndarray, ...]:
        found = by_fold(model, log, rows, place, circumstances)
        return known_surely(model, found, found.mean(axis=0))

    every, sure, *rest = over_blocks(block, x)
    inside = None
    if not asked_alike(model):
        inside = over_blocks(lambda rows, _: np.asarray(asked_there(model, rows)), x)
    by_query = every[np.arange(len(log)), np.asarray(log.arms)]
    both = every if by_task is None else by_task.given(log, every)
    own = both[np.arange(len(log)), np.asarray(log.arms)]
    answered, share = _answered(log.logged_propensities, own)
    supported = supported_rows(sure, np.asarray(model.threshold), log.available, inside)
    answered = _where(answered, chosen_rows(log), np.inf)
    by_tasks = None if by_task is None or share == 1 else by_task.told(log)
    leaning: tuple[Leaning, ...] = ()
    if fitted.leaning and share < 1:
        assert (found := fitted.found) is not None
        scores: np.ndarray = over_blocks(lambda rows, _: found.scores_of(rows), x)
        leaning = leaning_there(fitted.leaning, scores)
    return Propensities(
        answered=answered,
        every=every,
        supported=supported,
        model=model,
        recorded=share,
        by_query=by_query,
        circumstances=circumstances,
        by_task=by_task,
        told=_told(by_tasks, leaning, every.shape[1]),
        near=_near(
            supported,
            sure,
            rest[0] if rest and share < 1 else None,
            np.asarray(model.threshold),
        ),
        leaning=leaning,
    )


def _answered(
    recorded: np.ndarray | None, estimated: np.ndarray
) -> tuple[Float[np.ndarray, " n"], float]:
    """Recorded propensities, estimated where there are none, and the share of the recorded."""
    if recorded is None:
        return estimated, 0.0
    known = np.isfinite(recorded)
    return np.where(known, recorded, estimated), float(known.mean())
