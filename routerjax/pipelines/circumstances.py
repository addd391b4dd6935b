"""What the log's policy depended on beside the query: which models there were, and when.

Both enter its model as log odds that are added to a row's: `NEVER` for a model that could not be
chosen, and of a period by how much each model was chosen more or less than over all. A new query
is of the last period.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.errors import InputError
from routerjax.estimators.choice_sets import choice_odds
from routerjax.estimators.folds import Folds
from routerjax.estimators.trees import NEVER
from routerjax.records.logs import Log
from routerjax.records.periods import periods_of

PRIOR_ROWS = 5.0
"""Rows, of the odds of all periods, by which those of a period are drawn to them."""


class Circumstances(NamedTuple):
    """Log odds of models beside those of the query, by fold and period.

    Attributes:
      shift: [k, p, m] by the rows outside each fold.
      edges: [p − 1] first time of every period but the first.
    """

    shift: Float[np.ndarray, "k p m"]
    edges: Float[np.ndarray, " p_1"]

    @property
    def last(self) -> Float[np.ndarray, "k m"]:
        """Those of the last period, which are part of the model for new queries."""
        return self.shift[:, -1]

    def period(self, log: Log, rows: np.ndarray | slice) -> Int[np.ndarray, " r"]:
        """[r] period of some rows."""
        if log.time is None:
            return np.full(len(np.asarray(log.arms)[rows]), len(self.edges))
        return np.searchsorted(self.edges, np.asarray(log.time)[rows], side="right")

    def offsets(self, log: Log, fold: int, rows: np.ndarray) -> Float[np.ndarray, "r m"]:
        """Log odds to add to those of a fold's trees, [r, m] of rows; any for −1, no row."""
        return self.shift[fold, self.period(log, rows)] + blocked(log, rows)

    def since_last(self, log: Log, rows: slice) -> Float[np.ndarray, "k r m"]:
        """What to add to the log odds of the model, which holds those of the last period."""
        shift = self.shift - self.last[:, None]
        return shift[:, self.period(log, rows)] + blocked(log, rows)[None]


def blocked(log: Log, rows: np.ndarray | slice) -> Float[np.ndarray, "r m"]:
    """`NEVER` for the models that could not be chosen on these rows, else 0."""
    if log.available is None:
        return np.zeros((len(np.asarray(log.arms)[rows]), len(log.models)))
    return np.where(np.asarray(log.available)[rows], 0.0, NEVER)


def circumstances_of(
    log: Log, folds: Folds, starts: Float[np.ndarray, "k m"]
) -> Circumstances | None:
    """The circumstances of a log; None where every model was there on all rows, at all times alike.

    Args:
      log: n rows, m models.
      folds: of the rows; a fold's odds are by the rows outside it, pinned ones apart.
      starts: [k, m] log shares from which a fold's trees start.
    """
    limited = log.available is not None and not np.asarray(log.available).all()
    chosen = chosen_rows(log)
    edges = np.zeros(0)
    if log.time is not None:
        size = len(log) / (int(log.groups.max()) + 1)
        time, arms = np.asarray(log.time)[chosen], np.asarray(log.arms)[chosen]
        edges = periods_of(time, arms, rows_a_group=size)
    if not limited and not len(edges):
        return None
    period = np.searchsorted(edges, np.asarray(log.time), side="right") if len(edges) else None
    shift = np.stack(
        [
            _odds(log, outside & chosen, period, len(edges) + 1) - start
            for outside, start in zip(folds.outside(), starts, strict=True)
        ]
    )
    return Circumstances(shift, edges)


def chosen_rows(log: Log) -> Bool[np.ndarray, " n"]:
    """[n] True where the log's policy chose, not a user who pinned a model.

    Raises:
      InputError: a user pinned the model of every row.
    """
    chosen = np.ones(len(log), bool) if log.pinned is None else ~np.asarray(log.pinned)
    if not chosen.any():
        problem = "a user pinned the model of every row; nothing tells how the log's policy chose"
        raise InputError(problem, source=log.source, field="pinned")
    return chosen


def check_chosen(log: Log) -> None:
    """Whether a log tells how its policy chose.

    Raises:
      InputError: a user pinned the model of every row, or of all but those of one group.
    """
    chosen = chosen_rows(log)
    left = int(chosen.sum())
    if left < len(log) and len(np.unique(log.groups[chosen])) < 2:
        problem = f"a user pinned the model of every row but {left}, of one group; that does not"
        raise InputError(f"{problem} tell how the policy chose", source=log.source, field="pinned")


def _odds(
    log: Log, rows: np.ndarray, period: np.ndarray | None, periods: int
) -> Float[np.ndarray, "p m"]:
    """Log odds of every period, by some of its rows."""
    arms, models = np.asarray(log.arms), len(log.models)

    def among(own: np.ndarray, **more: object) -> np.ndarray:
        sets = None if log.available is None else np.asarray(log.available)[own]
        return choice_odds(arms[own], sets, models=models, **more)  # type: ignore[arg-type]

    whole = among(rows)
    if period is None:
        return np.log(whole)[None]
    return np.log(
        np.stack(
            [among(rows & (period == p), towards=whole, prior=PRIOR_ROWS) for p in range(periods)]
        )
    )
