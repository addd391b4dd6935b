"""Which task a query is of, as far as its embedding tells: a multinomial logit of a log's tasks.

Models differ by kinds of query more than along any direction of the embedding. Where a log has a
column `task`, all its rows, whoever answered them, teach the embedding to tell the kinds apart. A
new query needs no task: its probabilities of being of each are features of the outcome models.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from routerjax.estimators.logit import fitted_slopes
from routerjax.estimators.softmax import softmax
from routerjax.estimators.trees import NEVER

FEWEST_ROWS = 10
"""Rows below which a task is not told from the others."""
STEP = 8
"""Tasks are filled up to a multiple of it, so that compiled programs are shared."""
PRIOR_SPREAD = 1.0
"""Standard deviation of the logit's slopes, per standard deviation of a component."""


class TaskLogit(NamedTuple):
    """p(g | z) = softmax(b + z·B)_g over T places, of which the last may stand for no task.

    Attributes:
      slopes: [c, T] B.
      start: [T] b; so low where there is no task that its probability is 0.
      shares: [T] mean probabilities of the rows, with or without a task.
    """

    slopes: Float[np.ndarray, "c T"]
    start: Float[np.ndarray, " T"]
    shares: Float[np.ndarray, " T"]

    def probabilities(self, z: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n T"]:
        """p(g | z), in double precision."""
        return softmax(z.astype(np.float64) @ self.slopes + self.start)


def told_tasks(task: Sequence[str] | None, *, most: int) -> tuple[str, ...]:
    """The tasks to be told apart: the most common, of `FEWEST_ROWS` or more; none or at least two.

    >>> told_tasks(["code"] * 20 + ["mail"] * 10 + ["law"], most=8)
    ('code', 'mail')
    """
    if task is None:
        return ()
    counts = sorted(collections.Counter(task).items(), key=lambda each: (-each[1], each[0]))
    found = tuple(name for name, count in counts[:most] if count >= FEWEST_ROWS)
    return found if len(found) > 1 else ()


def places_for(count: int) -> int:
    """T for so many tasks."""
    return -(-count // STEP) * STEP


def fit_task_logit(
    z: Float[np.ndarray, "r c"],
    task: Int[np.ndarray, " r"],
    *,
    places: int,
    near: TaskLogit | None = None,
) -> TaskLogit:
    """Fit the logit to rows whose task is told.

    The slopes have a normal prior of spread `PRIOR_SPREAD` over the standard deviation of their
    component. Some hundred rows are learnt by heart all the same: what it says of the rows that it
    was fitted to is surer than what it says of others.

    Args:
      z: [r, c] components of the rows' embeddings.
      task: [r] place of the row's task; −1 of a row without one, which has no say.
      places: T. A place without rows has probability 0. Where no two have any, every probability
        is its share, so that it tells nothing.
      near: a logit of nearly the same rows, from which the search begins.
    """
    told = np.flatnonzero(np.bincount(task[task >= 0], minlength=places))
    nothing = TaskLogit(
        np.zeros((z.shape[1], places)), np.full(places, NEVER), np.full(places, 1.0 / places)
    )
    if len(told) < 2:
        return nothing
    own = np.flatnonzero(task >= 0)
    spread = z[own].std(axis=0, dtype=np.float64)
    scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1.0), 0.0)
    could = np.ones((len(own), len(told)), bool)
    start = np.zeros((1 + z.shape[1], len(told)))
    if near is not None:
        start[0], inverse = near.start[told], np.where(scale > 0, spread, 0.0)
        start[1:] = near.slopes[:, told] * inverse[:, None]
    found = fitted_slopes(
        z[own].astype(np.float64) * scale,
        np.searchsorted(told, task[own]),
        could,
        start,
        spread=PRIOR_SPREAD,
    )
    slopes, start, shares = nothing
    slopes[:, told], start[told] = scale[:, None] * found[1:], found[0]
    fitted = TaskLogit(slopes, start, shares)
    return fitted._replace(shares=fitted.probabilities(z).mean(axis=0))
