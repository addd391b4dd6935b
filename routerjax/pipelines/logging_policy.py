"""The log's policy as a model: trees, added to a logit where that foretells more."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.estimators.boosting import TreeRows, grow
from routerjax.estimators.calibration import likelihood_gain
from routerjax.estimators.discriminants import Discriminants
from routerjax.estimators.exploring import explored_logit
from routerjax.estimators.folds import Folds
from routerjax.estimators.logit import Logit, fit_logit, logit_odds, tells
from routerjax.estimators.softmax import softmax
from routerjax.models.outcomes import on_rows, over_blocks
from routerjax.models.propensity import (
    PropensityModel,
    propensities_by_fold,
    surely,
    tree_odds_by_fold,
    without_unused_trees,
)
from routerjax.pipelines.circumstances import Circumstances, chosen_rows, circumstances_of
from routerjax.records.logs import Log
from routerjax.records.on_disk import Stored, read
from routerjax.support.kept_programs import kept_program

MOST_ROWS = 2048
"""Rows of a fold's training part on which its trees are grown."""
OWN_ERRORS = 3.0
"""Standard errors that must be taken off a propensity of a sharp policy before it tells of a router
that it let choose: where propensities err the router goes, and they are no judge of that."""
BETTER = 2.0
"""Standard errors by which trees on a logit must foretell better than trees alone."""


class LoggingPolicy(NamedTuple):
    """How the log's policy chose.

    Attributes:
      model: for other queries, its thresholds not set: every arm has support everywhere.
      circumstances: what the policy depended on beside the query; None where on nothing.
      estimated: [n, m] propensities of the rows, each by the model of its own fold.
      sure: [n, m] the same as far as they are sure, by which arms have support.
      surest: [n, m] likewise, less `OWN_ERRORS` standard errors; None where no logit allows for
        what is drawn at random.
      by_trees: [n, m] those of trees alone, beside which cuts are looked for.
    """

    model: PropensityModel
    circumstances: Circumstances | None
    estimated: Float[np.ndarray, "n m"]
    sure: Float[np.ndarray, "n m"]
    surest: Float[np.ndarray, "n m"] | None
    by_trees: Float[np.ndarray, "n m"]


def fit_logging_policy(
    log: Log,
    x: Float[np.ndarray, "n d"] | Stored,
    folds: Folds,
    could: Bool[np.ndarray, "n m"],
    found: Discriminants,
) -> LoggingPolicy:
    """Fit trees, and where discriminants tell anything a logit with trees on it; keep the better.

    The logit is one on discriminants, or `explored_logit` where that foretells better. Trees alone
    never saw the row. A row's log odds by the logit of its own fold are offsets of the trees of all
    other folds, so that beside a logit a row has a part, as one of many, in the offsets on which
    its own fold's trees are grown, and in its own logit as `fit_logit` says. Whether a logit is
    tried and kept is asked once each, by the likelihood of all rows out of fold.

    Args:
      log: n rows, m models.
      x: [n, d] scaled embeddings.
      folds: of the rows.
      could: [n, m] True where the policy could have chosen the arm.
      found: discriminants of the arms.
    """
    arms = np.where(chosen_rows(log), np.asarray(log.arms), -1)
    starts = _starts(arms, folds.train[:, :MOST_ROWS], len(log.models))
    around = circumstances_of(log, folds, starts)
    alone = _with_trees(log, x, folds, arms, around, None, starts)
    asked = np.arange(len(log.models)) == arms[:, None]
    if not tells(found, asked, could, log.groups):
        return alone
    logit = fit_logit(found, arms, could, folds.of_row)
    sharper = explored_logit(logit, x, arms, could, folds.of_row, log.groups)
    both = _with_trees(log, x, folds, arms, around, logit if sharper is None else sharper, starts)
    rows = np.flatnonzero(arms >= 0)
    before, after = (each.estimated[rows, arms[rows]] for each in (alone, both))
    gain = likelihood_gain(before, after, groups=log.groups[rows])
    return both._replace(by_trees=alone.by_trees) if gain.errors > BETTER else alone


def _with_trees(
    log: Log,
    x: np.ndarray | Stored,
    folds: Folds,
    arms: Int[np.ndarray, " n"],
    around: Circumstances | None,
    logit: Logit | None,
    starts: Float[np.ndarray, "k m"],
) -> LoggingPolicy:
    """Trees grown on what circumstances and a logit tell already.

    A logit takes the place of the log shares `starts`, from which trees alone start.
    """
    models, count = len(log.models), len(folds.train)
    train, apart = folds.train[:, :MOST_ROWS], folds.held_out[:, :MOST_ROWS]
    linear = None if logit is None else _by_logit(logit, log, x, folds) - starts[folds.of_row]

    def offsets(fold: int, rows: Int[np.ndarray, " r"]) -> np.ndarray | None:
        own = None if around is None else around.offsets(log, fold, rows)
        if linear is None:
            return own
        return linear[rows] if own is None else own + linear[rows]

    parts = [
        TreeRows(*_picked(x, arms, train[k]), *_picked(x, arms, apart[k]))._replace(
            offsets=offsets(k, train[k]),
            held_out_offsets=offsets(k, apart[k]),
            held_out_groups=np.where(apart[k] >= 0, log.groups[apart[k]], -1),
        )
        for k in range(count)
    ]
    grown = grow(parts, models=models)
    if logit is not None:
        grown = grown._replace(start=(grown.start - starts).astype(np.float32))
    if around is not None:
        grown = grown._replace(start=grown.start + around.last.astype(np.float32))
    model = PropensityModel(grown, np.full(models, -np.inf, np.float32), logit=logit)
    estimated, *sure = _out_of_fold(model, log, x, folds, around)
    surest = sure[1] if len(sure) > 1 else None
    return LoggingPolicy(model, around, estimated, sure[0], surest, estimated)


def _by_logit(
    logit: Logit, log: Log, x: np.ndarray | Stored, folds: Folds
) -> Float[np.ndarray, "n m"]:
    """Log odds of each row by its own fold's logit."""

    def block(rows: np.ndarray, place: slice) -> np.ndarray:
        return folds.own(logit_odds(logit, np.asarray(rows), _available(log, place)), place)

    found: np.ndarray = over_blocks(block, x)
    return found


def _available(log: Log, place: slice) -> Bool[np.ndarray, "r m"] | None:
    """Which arms there were on some rows; None where all were on every row."""
    return None if log.available is None else np.asarray(log.available)[place]


def _starts(arms: np.ndarray, train: np.ndarray, models: int) -> Float[np.ndarray, "k m"]:
    """Log shares from which the trees of each fold start, as `boosting.grow` finds them."""
    own = [arms[rows[rows >= 0]] for rows in np.asarray(train)]
    counts = np.stack([np.bincount(each[each >= 0], minlength=models) for each in own]) + 0.5
    found: np.ndarray = np.log(counts / counts.sum(axis=1, keepdims=True))
    return found


def _picked(
    x: np.ndarray | Stored, arms: np.ndarray, index: np.ndarray
) -> tuple[Float[np.ndarray, "r d"], Int[np.ndarray, " r"]]:
    """Features [r, d] and arms [r] of rows [r], −1 for no row."""
    return np.asarray(read(x[index])), np.where(index >= 0, arms[index], -1)


def _out_of_fold(
    model: PropensityModel,
    log: Log,
    x: np.ndarray | Stored,
    folds: Folds,
    around: Circumstances | None,
) -> tuple[np.ndarray, ...]:
    """`known_surely` of each row by its own fold's model, in its circumstances."""

    def block(rows: np.ndarray, place: slice) -> tuple[np.ndarray, ...]:
        every = by_fold(model, log, rows, place, around)
        return known_surely(model, every, folds.own(every, place))

    found: tuple[np.ndarray, ...] = over_blocks(block, x)
    return found


def known_surely(
    model: PropensityModel, every: Float[np.ndarray, "k r m"], own: Float[np.ndarray, "r m"]
) -> tuple[np.ndarray, ...]:
    """[r, m] each: propensities, and the same less one standard error; beside a logit that allows
    for what is drawn at random also less `OWN_ERRORS` of them."""
    if model.logit is None:
        return own, own
    sure = surely(every, own)
    if not np.asarray(model.logit.random).any():
        return own, sure
    return own, sure, surely(every, own, OWN_ERRORS)


def by_fold(
    model: PropensityModel,
    log: Log,
    x: Float[np.ndarray, "r d"],
    place: slice,
    around: Circumstances | None,
) -> Float[np.ndarray, "k r m"]:
    """Propensities of some rows of a log by every fold's model, in their circumstances."""
    model = without_unused_trees(model)
    if around is None:
        found: np.ndarray = on_rows(_by_fold, model, x)
        return found
    odds = on_rows(_tree_odds_by_fold, model._replace(logit=None), x)
    if model.logit is not None:
        odds = odds + logit_odds(model.logit, np.asarray(x), _available(log, place))
    chances: np.ndarray = softmax(odds + around.since_last(log, place)).astype(np.float32)
    return chances


_by_fold = kept_program(propensities_by_fold)
_tree_odds_by_fold = kept_program(tree_odds_by_fold)
