"""Holes: boxes of queries of which a log's policy never asked an arm.

Where one of many arms is missing, the likelihood of all of them hardly changes, and trees that are
grown for all arms together pass over it. Whether a box of queries has fewer answers of an arm than
chance allows is a plain test, however many arms there are, and all boxes are tested at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from routerjax.estimators.chance import ALONE, enough_share, log_chance
from routerjax.estimators.support import support_threshold

BOXES = 4
"""Boxes of an arm at most."""
HALVES_AT = (1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8, 15 / 16)
"""Quantiles of a view at which boxes of one side end."""
CORNERS_AT = tuple(place / 8 for place in range(1, 8))
"""Quantiles at which boxes of two sides end."""
MOST_COLUMNS = 512
"""Columns of wider features that boxes of one side are tried on: those that vary most."""
MOST_PAIRED = 20
"""Columns that boxes of two sides are tried on, likewise."""
COLUMNS_AT_ONCE = 16
ROWS_OF_QUANTILES = 2048
"""Rows of which the quantiles are."""


class Holes(NamedTuple):
    """Boxes of every arm, h each: a query lies in one where sign · view < edge on both sides.

    Attributes:
      column: [m, h, 2] which of the `views` each side bounds.
      sign: [m, h, 2] 1 where it bounds it from above, −1 from below.
      edge: [m, h, 2] in units of sign · view; infinite where a box has one side only, −infinite
        where there is no box.
    """

    column: Int[Array | np.ndarray, "m h 2"]
    sign: Float[Array | np.ndarray, "m h 2"]
    edge: Float[Array | np.ndarray, "m h 2"]


class _Family(NamedTuple):
    """Boxes that are tried: every side alone, or every two of them.

    Attributes:
      column, sign, edge: [s] of the sides, as in `Holes`.
      along, at: [c, n] the views that they bound, and [c, q] where; first all sides from above.
      paired: whether two sides make a box.
    """

    column: Int[np.ndarray, " s"]
    sign: Float[np.ndarray, " s"]
    edge: Float[np.ndarray, " s"]
    along: Float[np.ndarray, "c n"]
    at: Float[np.ndarray, "c q"]
    paired: bool

    @property
    def tried(self) -> float:
        """How many boxes there are."""
        sides = len(self.column)
        return sides * (sides - 1) / 2 if self.paired else float(sides)

    def counts(self, weights: Float[np.ndarray, "c n"]) -> Float[np.ndarray, "c t"]:
        """Sums of weights within every box; of two sides each box comes twice."""
        alike = (weights == weights[:1]).all()
        own = weights[:1] if alike else weights
        sums = self._of_pairs(own) if self.paired else self._of_sides(own)
        return np.broadcast_to(sums, (len(weights), sums.shape[1]))

    def _of_sides(self, weights: Float[np.ndarray, "c n"]) -> Float[np.ndarray, "c t"]:
        """By some views at a time, in one piece of memory: new memory costs more than the sums."""
        (count, rows), width = self.along.shape, self.at.shape[1]
        piece = np.empty((2, min(COLUMNS_AT_ONCE, count), width, rows), np.float32)
        sums = np.empty((len(weights), 2, count, width), np.float32)
        for first in range(0, count, COLUMNS_AT_ONCE):
            place = slice(first, first + COLUMNS_AT_ONCE)
            member = self._members(place, piece)
            found = weights @ member.reshape(-1, rows).T
            sums[:, :, place] = found.reshape(len(weights), *member.shape[:3])
        return sums.reshape(len(weights), -1)

    def _of_pairs(self, weights: Float[np.ndarray, "c n"]) -> Float[np.ndarray, "c t"]:
        count, rows = self.along.shape
        piece = np.empty((2, count, self.at.shape[1], rows), np.float32)
        member = self._members(slice(0, count), piece).reshape(-1, rows)
        found = []
        for each in weights:
            own = member[:, each > 0]
            found.append(((own * each[None, each > 0]) @ own.T).ravel())
        return np.stack(found)

    def _members(
        self, views: slice, piece: Float[np.ndarray, "2 c q n"]
    ) -> Float[np.ndarray, "2 _ q n"]:
        """1 where a row is within a side of these views, else 0, in a piece of memory."""
        along, at = self.along[views, None], self.at[views, :, None]
        found = np.ascontiguousarray(piece[:, : len(at)])
        np.less(along, at, out=found[0])
        np.greater(along, at, out=found[1])
        return found

    def box(self, place: int) -> _Box:
        """The box of that count."""
        sides = list(divmod(place, len(self.column))) if self.paired else [place, place]
        edge = self.edge[sides].astype(np.float64)
        if not self.paired:
            edge[1] = np.inf
        return _Box(self.column[sides], self.sign[sides], edge)


class _Box(NamedTuple):
    """A box, as in `Holes`: [2] each."""

    column: Int[np.ndarray, 2]
    sign: Float[np.ndarray, 2]
    edge: Float[np.ndarray, 2]

    def hold(self, v: Float[np.ndarray, "n w"]) -> Bool[np.ndarray, " n"]:
        """Which rows are in the box."""
        found: np.ndarray = np.logical_and(*self.sides(v).T)
        return found

    def sides(self, v: Float[np.ndarray, "n w"]) -> Bool[np.ndarray, "n 2"]:
        """Which rows are within which side."""
        found: np.ndarray = np.less(v[:, self.column] * self.sign, self.edge)
        return found


_Counts = tuple[np.ndarray, ...]
"""[t] each: of rows and of hits within every box."""


class _Asked(NamedTuple):
    """What is known of an arm.

    Attributes:
      rows: [n] 1 where it could be asked, else 0.
      hits: [n] 1 where it answered, or its recorded propensity; 0 where it could not be asked.
      level: propensity from which there is support.
      enough: share c of the rows that it must be asked of.
      together: rows that count as one.
    """

    rows: Float[np.ndarray, " n"]
    hits: Float[np.ndarray, " n"]
    level: float
    enough: float
    together: float

    def outside(self, inside: Bool[np.ndarray, " n"]) -> _Asked:
        """The same without the rows inside a box."""
        return self._replace(hits=self.hits * ~inside, rows=self.rows * ~inside)


def views(x: Any) -> Any:
    """[n, d + 1] what a box bounds: the features, and their mean square, how far out a query lies.

    Of JAX or of NumPy, as x [n, d] is.
    """
    far = (x**2).mean(axis=1, keepdims=True)
    joined: Any = jnp.concatenate if isinstance(x, jax.Array) else np.concatenate
    return joined([x, far], axis=1)


def in_holes(holes: Holes, x: Any) -> Any:
    """[n, m] True where a query x [n, d] lies in a box of the arm; of JAX or NumPy, as x is."""
    found = views(x)[:, holes.column] * holes.sign[None] < holes.edge[None]
    return found.all(axis=-1).any(axis=-1)


def find_holes(
    x: Float[np.ndarray, "n d"],
    hits: Float[np.ndarray, "n m"],
    could: Bool[np.ndarray, "n m"],
    level: Float[np.ndarray, " m"],
    *,
    together: float = 1.0,
) -> Holes | None:
    """Find the boxes where an arm has no support, one after another among the rows that are left.

    A box of N rows, h of them answered by the arm, is a hole where h < level · N and

        P(Binomial(N, c) ≤ h) ≤ α / (2 · arms · boxes of the family),

    c = min(5 · level, share of the arm). So arms that are asked of every query with a probability
    of 5 · level or more, or of all alike, have a hole with a probability of α at most (Bonferroni;
    the share is estimated, and recorded propensities are taken for answers). Of those the box of
    the least chance is taken, and each of its sides is moved to the `support_threshold` of its view
    among the rows within the other. There are two families: boxes of one side, on every view, and
    of two, on the views that vary most; both may bound the same view, which makes an interval.

    Args:
      x: [n, d] scaled features.
      hits: [n, m] 1 where the arm answered, or its recorded propensity.
      could: [n, m] True where the policy could have chosen it.
      level: [m] propensity from which an arm has support; 0 switches its holes off.
      together: rows that count as one, where several are of one group.

    Returns:
      The boxes; None where no arm has any.

    Reference: Friedman, Fisher (1999), Bump Hunting in High-Dimensional Data, for boxes that are
    taken one after another; Kulldorff (1997), A Spatial Scan Statistic, for testing all at once.
    """
    v, models = np.asarray(views(x), np.float32), len(level)
    families = (
        _family(v, MOST_COLUMNS, HALVES_AT, paired=False),
        _family(v, MOST_PAIRED, CORNERS_AT, paired=True),
    )
    rows = could.T.astype(np.float32)
    hits = hits.T.astype(np.float32) * rows
    counts = [(family.counts(rows), family.counts(hits)) for family in families]
    enough = enough_share(rows.sum(axis=1), hits.sum(axis=1), level)
    found: list[list[_Box]] = [[] for _ in range(models)]
    for arm in np.flatnonzero(enough > 0):
        asked = _Asked(rows[arm], hits[arm], float(level[arm]), float(enough[arm]), together)
        own = [(may[arm], did[arm]) for may, did in counts]
        found[arm] = _boxes(v, asked, families, own, models)
    return _stacked(found)


def _stacked(found: list[list[_Box]]) -> Holes | None:
    """The boxes of every arm, filled up to as many as the arm of most has."""
    most = max(map(len, found))
    if most == 0:
        return None
    none = _Box(np.zeros(2, int), np.ones(2), np.array([-np.inf, np.inf]))
    boxes = [[*own, *[none] * (most - len(own))] for own in found]
    column, sign, edge = (np.array([[box[i] for box in own] for own in boxes]) for i in range(3))
    return Holes(column.astype(np.int32), sign.astype(np.float32), edge.astype(np.float32))


def _family(
    v: Float[np.ndarray, "n w"], most: int, quantiles: tuple[float, ...], *, paired: bool
) -> _Family:
    """Sides on the features that vary most, and on the mean square, which is the last view."""
    some = v[:: max(1, -(-len(v) // ROWS_OF_QUANTILES))]
    spread = some[:, :-1].var(axis=0)
    columns = np.append(np.sort(np.argsort(-spread, kind="stable")[:most]), v.shape[1] - 1)
    edges = np.quantile(some[:, columns], quantiles, axis=0).T.astype(np.float32)  # [c, q]
    along = np.ascontiguousarray(v[:, columns].T)
    column, sign = np.tile(columns.repeat(len(quantiles)), 2), np.repeat([1.0, -1.0], edges.size)
    edge = np.concatenate([edges.ravel(), -edges.ravel()])
    return _Family(column, sign, edge, along, edges, paired)


def _boxes(
    v: np.ndarray,
    asked: _Asked,
    families: Sequence[_Family],
    counts: Sequence[_Counts],
    models: int,
) -> list[_Box]:
    """The holes of an arm, `BOXES` at most; `counts` are those of its rows and hits by family."""
    found: list[_Box] = []
    while len(found) < BOXES:
        box = _least_likely(asked, families, counts, models)
        if box is None:
            break
        found.append(_fitted(v, asked, box, models))
        asked = asked.outside(found[-1].hold(v))
        own = asked.rows[None], asked.hits[None]
        counts = [tuple(family.counts(each)[0] for each in own) for family in families]
    return found


def _least_likely(
    asked: _Asked, families: Sequence[_Family], counts: Sequence[_Counts], models: int
) -> _Box | None:
    """The box whose few answers are least by chance, every other tried; None where they may be."""
    least, box = float(np.log(ALONE / len(families))), None
    for family, own in zip(families, counts, strict=True):
        tried = float(np.log(family.tried * models))
        rows, hits = own
        none = np.log1p(-asked.enough) / asked.together  # a row's, of the log chance of no answer
        some = np.flatnonzero((hits < asked.level * rows) & (rows * none < least - tried))
        if len(some):
            chance = tried + log_chance(
                hits[some] / asked.together, rows[some] / asked.together, asked.enough
            )
            best = int(chance.argmin())
            if chance[best] < least:
                least, box = float(chance[best]), family.box(int(some[best]))
    return box


def _fitted(v: np.ndarray, asked: _Asked, box: _Box, models: int) -> _Box:
    """The box with every side where support begins, among the rows within the other."""
    edge = np.array(box.edge)
    for side in np.flatnonzero(np.isfinite(edge)):
        others = box._replace(edge=edge).sides(v)
        rows = others[:, 1 - side] & (asked.rows > 0)
        scores = v[rows, box.column[side]] * box.sign[side]
        begins = support_threshold(scores, asked.hits[rows], level=asked.level, models=models)
        edge[side] = begins if np.isfinite(begins) else edge[side]
    return box._replace(edge=edge)
