"""Which part of the queries has support: by propensities, outside holes, and beyond cuts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.estimators.cuts import Cut, along, fit_cut
from routerjax.estimators.discriminants import Discriminants
from routerjax.estimators.folds import Folds
from routerjax.estimators.holes import Holes, find_holes, in_holes
from routerjax.estimators.regions import Regions, find_regions, in_regions
from routerjax.estimators.steps import DEVIATIONS, deviations, edge_of_step
from routerjax.estimators.support import (
    PRIOR_HITS,
    PRIOR_HITS_OF_CUTS,
    edge_of_cut,
    support_threshold,
)
from routerjax.models.outcomes import over_blocks
from routerjax.models.propensity import Cuts
from routerjax.records.on_disk import Stored, read

MOST_ROWS = 8192
"""Rows on which a cut is fitted."""
ROWS_OF_HOLES = (4096, 16_384)
"""Rows among which holes are found: these at least and at most, and between them"""
ROWS_OF_HOLES_A_MODEL = 256
"""as many a model; drawn where there are more."""


class Asked(NamedTuple):
    """What the log says of where its policy asked which arm.

    Attributes:
      hits: [n, m] 1 where the arm answered, or its recorded propensity.
      rows: [n, m] True on the rows that count for the arm.
      level: [m] propensity from which there is support.
      prior_hits: [m] as of `support_threshold`.
    """

    hits: Float[np.ndarray, "n m"]
    rows: Bool[np.ndarray, "n m"]
    level: Float[np.ndarray, " m"]
    prior_hits: Float[np.ndarray, " m"]

    def of(self, arm: int, scores: Float[np.ndarray, " n"]) -> dict[str, Any]:
        """An arm's arguments for `support_threshold` and `edge_of_cut`, of all rows' scores."""
        own = self.rows[:, arm]
        return {
            "scores": scores[own],
            "hits": self.hits[own, arm],
            "level": self.level[arm],
            "models": len(self.level),
            "prior_hits": self.prior_hits[arm],
        }


def thresholds(scores: Float[np.ndarray, "n m"], asked: Asked) -> Float[np.ndarray, " m"]:
    """The score from which each arm has support, by its rows; infinity where it has none."""
    found = np.full(scores.shape[1], np.inf)
    for arm in np.flatnonzero(asked.rows.any(axis=0)):
        found[arm] = support_threshold(**asked.of(int(arm), scores[:, arm]))
    return found


def never_asked_of(
    asked: Asked, x: Float[np.ndarray, "n d"] | Stored, *, groups: Int[np.ndarray, " n"]
) -> tuple[Holes | None, Regions | None, Bool[np.ndarray, "n m"]]:
    """Boxes and regions of queries of which an arm was never asked, and [n, m] True on the rows in
    them.

    Regions are looked for among the rows outside the boxes.

    Args:
      asked: by all rows on which the policy could have chosen the arm.
      x: [n, d] scaled embeddings.
      groups: [n] numbers of what is independent.
    """
    most = int(np.clip(ROWS_OF_HOLES_A_MODEL * len(asked.level), *ROWS_OF_HOLES))
    rows = _some(np.flatnonzero(asked.rows.any(axis=1)), most)
    together = len(groups) / len(np.unique(groups))
    features = np.asarray(read(x[rows]))
    hits, could, level = asked.hits[rows], asked.rows[rows], asked.level
    if not (level > 0).any():
        return None, None, np.zeros(asked.hits.shape, bool)
    holes = find_holes(features, hits, could, level, together=together)
    if holes is not None:
        could = could & ~in_holes(holes, features)
    regions = find_regions(features, hits, could, level, together=together)
    apart = np.zeros(asked.hits.shape, bool)
    if holes is not None:
        apart |= over_blocks(lambda rows, _: in_holes(holes, rows), x)
    if regions is not None:
        apart |= over_blocks(lambda rows, _: in_regions(regions, rows), x)
    return holes, regions, apart


def cuts_of(
    asked: Asked,
    left: Bool[np.ndarray, "n m"],
    arms: Int[np.ndarray, " n"],
    x: Float[np.ndarray, "n d"] | Stored,
    folds: Folds,
    found: Discriminants,
    *,
    groups: Int[np.ndarray, " n"],
) -> tuple[Cuts | None, Bool[np.ndarray, "n m"]]:
    """Cuts along sums of many numbers of the query, which trees and boxes see in part only.

    An arm has a cut where the rows lowest along its discriminant have no support, by
    `PRIOR_HITS_OF_CUTS` prior hits, and those of them that are left have none by its own. Its
    direction is then fitted again (`fit_cut`), and its edge is `edge_of_cut` among the rows that
    are left, or that of a step where it lies further in. An arm whose answers are too few for that
    has one where those that are left show a step along the discriminant (`edge_of_step`), unless it
    is known to be explored.

    Args:
      asked: by all rows on which the policy could have chosen the arm.
      left: [n, m] True on those of them that have support by trees and holes.
      arms: [n] arm that answered.
      x: [n, d] scaled embeddings.
      folds: of the rows.
      found: discriminants of the arms.
      groups: [n] numbers of what is independent.

    Returns:
      The cuts, None where no arm has any, and [n, m] True on the side with support.
    """
    models = len(asked.level)
    if not (asked.level > 0).any():
        return None, np.ones(asked.hits.shape, bool)
    answered = np.arange(models) == arms[:, None]
    together = len(groups) / len(np.unique(groups))  # rows that count as one
    every, rest = (
        own._replace(prior_hits=np.maximum(asked.prior_hits, least) * together)
        for own, least in ((asked, PRIOR_HITS_OF_CUTS), (asked._replace(rows=left), 0.0))
    )
    cut_off = [np.isfinite(thresholds(found.scores, each)) for each in (every, rest)]
    columns = np.flatnonzero(found.directions.any(axis=(0, 2)))
    directions, least = np.zeros((x.shape[1], models)), np.full(models, -np.inf)
    inside = np.ones(asked.hits.shape, bool)
    steps = is_told(asked) & ~(asked.prior_hits > PRIOR_HITS)
    off = [
        deviations(found.scores[own, arm], answered[own, arm], together=together)
        for arm, own in enumerate(left.T)
    ]
    parts = _Parts(asked, rest, left, answered, x, columns, folds)
    for arm in range(models):
        starts = found.directions[:, columns, arm]
        if cut_off[0][arm] and cut_off[1][arm]:
            cut, edge, distances = _clear_cut(parts, arm, starts)
        elif steps[arm] and off[arm] >= DEVIATIONS:
            cut, edge, distances = _step(parts, arm, starts)
        else:
            continue
        if np.isfinite(edge):
            directions[columns, arm] = cut.directions.mean(axis=0)
            least[arm] = edge - cut.offsets.mean()
            inside[:, arm] = distances >= edge
    if not np.isfinite(least).any():
        return None, inside
    return Cuts(directions.astype(np.float32), least.astype(np.float32)), inside


def is_told(asked: Asked) -> Bool[np.ndarray, " m"]:
    """Whether all that is known of an arm is where it answered, and no recorded propensity."""
    hits = asked.hits
    found: np.ndarray = ((hits == 0) | (hits == 1)).all(axis=0)
    return found


class _Parts(NamedTuple):
    """What a cut is looked for in, as in `cuts_of`; `rest` is `asked` of the rows left."""

    asked: Asked
    rest: Asked
    left: Bool[np.ndarray, "n m"]
    answered: Bool[np.ndarray, "n m"]
    x: Float[np.ndarray, "n d"] | Stored
    columns: Int[np.ndarray, " c"]
    folds: Folds

    def features(self, rows: Int[np.ndarray, " r"]) -> Float[np.ndarray, "r c"]:
        """Of rows, in double precision."""
        return np.asarray(read(self.x[rows]), np.float64)[:, self.columns]


_Found = tuple[Cut, float, np.ndarray]
"""A cut, its edge, −infinity where there is none, and [n] distances of all rows if there is one."""


def _clear_cut(parts: _Parts, arm: int, starts: Float[np.ndarray, "k c"]) -> _Found:
    """Of an arm without answers below: its direction fitted again, its edge by isotonic rates.

    Of few answers these are rough, so that the edge of a step is taken where it lies further in.
    """
    rows = _some(np.flatnonzero(parts.asked.rows[:, arm]), MOST_ROWS)
    features, own = parts.features(rows), parts.answered[rows, arm]
    cut = fit_cut(features, own, parts.folds.of_row[rows], starts)
    distances = _distances(cut, parts.x, parts.columns, parts.folds)
    error = cut.standard_error(features)
    edge = edge_of_cut(**parts.rest.of(arm, distances), error=error)
    if np.isfinite(edge):
        rows = _some(np.flatnonzero(parts.left[:, arm]), MOST_ROWS)
        own = parts.answered[rows, arm]
        edge = max(edge, edge_of_step(distances[rows], own, error=error))
    return cut, edge, distances


def _step(parts: _Parts, arm: int, starts: Float[np.ndarray, "k c"]) -> _Found:
    """Of an arm with few answers: along its discriminant; all rows are read for a step alone."""
    rows = _some(np.flatnonzero(parts.left[:, arm]), MOST_ROWS)
    features, cut = parts.features(rows), along(starts)
    own = cut.distances(features)[parts.folds.of_row[rows], np.arange(len(rows))]
    answered, error = parts.answered[rows, arm], cut.standard_error(features)
    edge = edge_of_step(own, answered, error=error)
    if not np.isfinite(edge):
        return cut, edge, own
    return cut, edge, _distances(cut, parts.x, parts.columns, parts.folds)


def _some(rows: Int[np.ndarray, " n"], most: int) -> Int[np.ndarray, " r"]:
    """So many of the rows at most, drawn: a step through them may keep time with the log."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False))


def _distances(
    cut: Cut, x: Float[np.ndarray, "n d"] | Stored, columns: Int[np.ndarray, " c"], folds: Folds
) -> Float[np.ndarray, " n"]:
    """Of each row from the cut that was fitted outside its fold."""

    def block(rows: np.ndarray, place: slice) -> np.ndarray:
        return folds.own(cut.distances(rows[:, columns]), place)

    found: np.ndarray = over_blocks(block, x)
    return found
