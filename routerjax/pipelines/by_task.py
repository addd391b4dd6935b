"""Propensities given the query and its task, where a log tells the task.

A policy that chooses by a kind of query which embeddings tell in part alone confounds: a model
meets the queries that suit it, more of them than the query's propensities account for. A log with a
column `task` tells what was left out:

    e(m | x, g) ∝ e(m | x) · (N_gm + c·s_m) / (E_gm + c·s_m)

N_gm are the rows of task g that model m answered, E_gm = Σ e(m | x) over the rows of that task,
both of other folds, s_m the model's share of all rows and c the rows by which the ratio of a task
is drawn to 1. Where a model answered fewer rows of a task than support asks for, N_gm < level·R_gm
of the R_gm on which it could be asked, what it would be worth there the log does not say.

The row itself is in neither sum. The models behind e(m | x_j) of other folds have met it, as one of
their many rows; and whether the task tells is asked once, of all rows together.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.estimators.calibration import likelihood_gain
from routerjax.estimators.folds import Folds
from routerjax.records.logs import Log

PRIOR_ROWS = 5.0
"""c."""
FEWEST_ROWS = 5
"""Rows of a task below which its ratio is 1: so few say nothing."""
ERRORS, LEAST_TOTAL = 4.0, 10.0
"""Standard errors, and nats of all rows together, by which the task must foretell better which
model answered than the query alone."""
LEAST_EXPECTED = 3.0
"""Rows that a task must be expected to have of a model with the least support, before too few of
them count as none: asked just so often, one task in e³ has no row at all."""


class TaskRatios(NamedTuple):
    """How much more often than the query tells each model was asked.

    Attributes:
      names: of g tasks.
      of_fold: [k, g + 1, m] by the rows outside each fold; the last is 1, of any other task.
      asked: [g + 1, m] False where the model was hardly asked in the task; the last is True.
    """

    names: tuple[str, ...]
    of_fold: Float[np.ndarray, "k g1 m"]
    asked: Bool[np.ndarray, "g1 m"]

    def told(self, log: Log) -> Bool[np.ndarray, "n m"] | None:
        """[n, m] False where the row's task hardly met the model; None of a log without tasks."""
        return None if log.task is None else self.asked[_places(self.names, log.task)]

    def given(
        self, log: Log, every: Float[np.ndarray, "n m"], of_row: Int[np.ndarray, " n"] | None = None
    ) -> Float[np.ndarray, "n m"]:
        """[n, m] propensities given query and task from those given the query.

        Args:
          log: n rows, with their tasks or without.
          every: [n, m] given the query.
          of_row: [n] fold of each row; None for rows of another log, by the mean over folds.
        """
        if log.task is None:
            return every
        task = _places(self.names, log.task)
        ratio = self.of_fold.mean(axis=0)[task] if of_row is None else self.of_fold[of_row, task]
        found: np.ndarray = every * ratio
        return (found / found.sum(axis=1, keepdims=True)).astype(every.dtype)


def task_ratios(
    log: Log,
    every: Float[np.ndarray, "n m"],
    folds: Folds,
    could: Bool[np.ndarray, "n m"],
    level: Float[np.ndarray, " m"],
) -> TaskRatios | None:
    """The ratios of a log's tasks; None where the task tells nothing beside the query.

    Args:
      log: n rows, m models.
      every: [n, m] propensities given the query, by models that never saw the row.
      folds: of the rows.
      could: [n, m] True where the log's policy could choose the model; nowhere in a row that a
        user pinned.
      level: [m] propensity from which a model has support.
    """
    if log.task is None:
        return None
    counts = sorted(collections.Counter(log.task).items())
    names = tuple(name for name, count in counts if count >= FEWEST_ROWS)
    if not names or len(counts) < 2:
        return None
    task = _places(names, log.task)
    chosen: np.ndarray = np.asarray(could.any(axis=1))
    of_fold = _by_fold(task, len(names), log, every, folds, chosen)
    found = TaskRatios(names, of_fold, _asked(task, len(names), log, could, level))
    rows, arms = np.flatnonzero(chosen), np.asarray(log.arms)[chosen]
    before, after = (each[rows, arms] for each in (every, found.given(log, every, folds.of_row)))
    gain = likelihood_gain(before, after, groups=log.groups[rows])
    # A rule that every row follows alike leaves no spread, and an error that is not known.
    sure = gain.errors > ERRORS or gain.errors == 0
    return found if sure and gain.total > LEAST_TOTAL else None


def _places(names: Sequence[str], task: Sequence[str]) -> Int[np.ndarray, " n"]:
    """[n] place of each task among the names, their number for any other."""
    place = {name: own for own, name in enumerate(names)}
    return np.fromiter((place.get(own, len(names)) for own in task), np.int64, len(task))


def _by_fold(
    task: Int[np.ndarray, " n"],
    count: int,
    log: Log,
    every: Float[np.ndarray, "n m"],
    folds: Folds,
    chosen: Bool[np.ndarray, " n"],
) -> Float[np.ndarray, "k g1 m"]:
    """Ratios by the rows outside each fold."""
    models = every.shape[1]
    asked, due = np.eye(models)[np.asarray(log.arms)] * chosen[:, None], every * chosen[:, None]
    prior = PRIOR_ROWS * asked.mean(axis=0) + 1e-9
    found = np.ones((folds.train.shape[0], count + 1, models))
    for fold, outside in enumerate(folds.outside()):
        met, expected = (_sums(own[outside], task[outside], count) for own in (asked, due))
        found[fold, :count] = (met + prior) / (expected + prior)
    return found


def _asked(
    task: Int[np.ndarray, " n"],
    count: int,
    log: Log,
    could: Bool[np.ndarray, "n m"],
    level: Float[np.ndarray, " m"],
) -> Bool[np.ndarray, "g1 m"]:
    """False where a model answered fewer rows of a task than it must to have support there."""
    hits = np.eye(could.shape[1])[np.asarray(log.arms)] * np.asarray(could.any(axis=1))[:, None]
    met, least = _sums(hits, task, count), level * _sums(could.astype(float), task, count)
    few = (met < least) & (least >= LEAST_EXPECTED)
    return np.concatenate([~few, np.ones((1, could.shape[1]), bool)])


def _sums(
    values: Float[np.ndarray, "r m"], task: Int[np.ndarray, " r"], count: int
) -> Float[np.ndarray, "g m"]:
    """Sums of the columns by task; those of rows of none are left out."""
    return np.stack([np.bincount(task, own, count + 1)[:count] for own in values.T], axis=1)
