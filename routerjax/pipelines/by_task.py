"""Propensities given the query and its task, where a log tells the task.

A policy that chooses by a kind of query which embeddings tell in part alone confounds: a model
meets the queries that suit it, more of them than the query's propensities account for. A log with a
column `task` tells what was left out:

    e(m | x, g) ∝ e(m | x) · (N_gm + c·s_m) / (E_gm + c·s_m)

N_gm are the rows of task g that model m answered, E_gm = Σ e(m | x) over the rows of that task,
both of other folds, s_m the model's share of all rows and c the rows by which the ratio of a task
is drawn to 1. Where a model answered fewer rows of a task than support asks for, N_gm < level·R_gm
of the R_gm on which it could be asked, what it would be worth there the log does not say. Where the
task tells nothing else, that must be beyond chance, of all tasks and models (`estimators/cells`).

The row itself is in neither sum. The models behind e(m | x_j) of other folds have met it, as one of
their many rows; and whether the task tells is asked once, of all rows together.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.artefacts.base import listed
from routerjax.errors import printable
from routerjax.estimators.calibration import likelihood_gain
from routerjax.estimators.cells import never_asked
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

MOST_NAMED = 3
"""Models, and tasks of each, that a sentence names."""


class ByTask(NamedTuple):
    """Which models were asked in which task, and how much more often than the query tells.

    Attributes:
      names: of g tasks.
      asked: [g + 1, m] False where the model was hardly asked in the task; the last, of any other
        task, is True.
      ratios: [k, g + 1, m] by the rows outside each fold; the last is 1. None where the task does
        not foretell better than the query alone.
    """

    names: tuple[str, ...]
    asked: Bool[np.ndarray, "g1 m"]
    ratios: Float[np.ndarray, "k g1 m"] | None

    def told(self, log: Log) -> Bool[np.ndarray, "n m"] | None:
        """[n, m] False where the row's task hardly met the model; None of a log without tasks."""
        return None if log.task is None else self.asked[_places(self.names, log.task)]

    def unasked(self, models: Sequence[str]) -> str:
        """Models and the tasks in which each was hardly asked, for a sentence; "" for none."""
        few = ~self.asked[: len(self.names)]
        arms = np.flatnonzero(few.any(axis=0)).tolist()
        tasks = [[printable(self.names[g]) for g in np.flatnonzero(few[:, arm])] for arm in arms]
        parts = [
            f"{printable(models[arm])} in {listed(own, most=MOST_NAMED)}"
            for arm, own in zip(arms, tasks, strict=True)
        ]
        return "; ".join(parts[:MOST_NAMED]) + (" and others" if parts[MOST_NAMED:] else "")

    def given(
        self, log: Log, every: Float[np.ndarray, "n m"], of_row: Int[np.ndarray, " n"] | None = None
    ) -> Float[np.ndarray, "n m"]:
        """[n, m] propensities given query and task from those given the query.

        Args:
          log: n rows, with their tasks or without.
          every: [n, m] given the query.
          of_row: [n] fold of each row; None for rows of another log, by the mean over folds.
        """
        if log.task is None or self.ratios is None:
            return every
        task = _places(self.names, log.task)
        ratio = self.ratios.mean(axis=0)[task] if of_row is None else self.ratios[of_row, task]
        found: np.ndarray = every * ratio
        return (found / found.sum(axis=1, keepdims=True)).astype(every.dtype)


def asked_by_task(
    log: Log,
    every: Float[np.ndarray, "n m"],
    folds: Folds,
    could: Bool[np.ndarray, "n m"],
    level: Float[np.ndarray, " m"],
) -> ByTask | None:
    """What a log's tasks tell; None where they tell nothing beside the query.

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
    ratios = _by_fold(task, len(names), log, every, folds, chosen)
    rows_of, hits = _cells(task, len(names), log, could)
    together = _together(task[chosen], log.groups[chosen], len(names))
    due = level * rows_of / together[:, None]
    few = (hits < level * rows_of) & (due >= LEAST_EXPECTED)
    found = ByTask(names, _asked(few), ratios)
    rows, arms = np.flatnonzero(chosen), np.asarray(log.arms)[chosen]
    before, after = (each[rows, arms] for each in (every, found.given(log, every, folds.of_row)))
    gain = likelihood_gain(before, after, groups=log.groups[rows])
    # A rule that every row follows alike leaves no spread, and an error that is not known.
    sure = gain.errors > ERRORS or gain.errors == 0
    if sure and gain.total > LEAST_TOTAL:
        return found
    never = never_asked(rows_of, hits, level, together=together)
    return ByTask(names, _asked(never), None) if never.any() else None


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


def _cells(
    task: Int[np.ndarray, " n"], count: int, log: Log, could: Bool[np.ndarray, "n m"]
) -> tuple[Float[np.ndarray, "g m"], Float[np.ndarray, "g m"]]:
    """Rows of each task on which each model could be asked, and those of them that it answered."""
    hits = np.eye(could.shape[1])[np.asarray(log.arms)] * could
    return _sums(could.astype(float), task, count), _sums(hits, task, count)


def _together(
    task: Int[np.ndarray, " r"], groups: Int[np.ndarray, " r"], count: int
) -> Float[np.ndarray, " g"]:
    """Rows of each task that count as one, Σ n² / Σ n over the groups that have n of them."""
    pairs, sizes = np.unique(np.stack([task, groups]), axis=1, return_counts=True)
    own = pairs[0] < count
    squares, rows = (
        np.bincount(pairs[0][own], each[own].astype(float), count) for each in (sizes**2, sizes)
    )
    return np.where(rows > 0, squares / np.maximum(rows, 1), 1.0)


def _asked(few: Bool[np.ndarray, "g m"]) -> Bool[np.ndarray, "g1 m"]:
    """Where a model was asked in a task, and in any other one."""
    return np.concatenate([~few, np.ones((1, few.shape[1]), bool)])


def _sums(
    values: Float[np.ndarray, "r m"], task: Int[np.ndarray, " r"], count: int
) -> Float[np.ndarray, "g m"]:
    """Sums of the columns by task; those of rows of none are left out."""
    return np.stack([np.bincount(task, own, count + 1)[:count] for own in values.T], axis=1)
