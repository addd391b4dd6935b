"""Arms that a policy asks the less the further a query lies in some direction.

Where few answers show a slope, an edge beyond which the arm is never asked cannot be told from it:
the direction is estimated, and an edge that is seen at an angle looks like a slope. On how many
queries the arm was then never asked can be told all the same: were it asked alike on the others,
on a share 1 − p/r, with p the share of all queries that it answered and r that of those where it is
asked most. What it would be worth on so many of the queries that lie last the log does not say.
The count is a little low, since among those where it is asked most are some of the others.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

LEVEL = 1e-3
"""Chance, over all arms, that one that is asked alike everywhere is said to lean."""
LAST, LEAST = 0.1, 0.6
"""Share of the queries that lie last, which are asked at most by this share of the mean rate."""


class Leaning(NamedTuple):
    """An arm that is seen to be asked less in a direction.

    Attributes:
      arm: index.
      rate, mean: share of the tenth of the rows that lies last, and of all, that the arm answered.
      never: 1 − p/r, with r the rate of the half of the rows that lies first.
      unknown: [n] True for so many of the rows that lie last.
      edge: score of the first of the others.
    """

    arm: int
    rate: float
    mean: float
    never: float
    unknown: Bool[np.ndarray, " n"]
    edge: float = float("-inf")

    def of_rows(self, rows: Bool[np.ndarray, " n"]) -> Leaning:
        """On some of the rows."""
        return self._replace(unknown=self.unknown[rows])


def leaning_there(
    known: tuple[Leaning, ...], scores: Float[np.ndarray, "r m"]
) -> tuple[Leaning, ...]:
    """The same of rows that had no part in it, by their scores along the arms' directions."""
    return tuple(each._replace(unknown=scores[:, each.arm] < each.edge) for each in known)


def leanings(
    scores: Float[np.ndarray, "n m"],
    answered: Bool[np.ndarray, "n m"],
    counted: Bool[np.ndarray, "n m"],
    *,
    together: float = 1.0,
) -> tuple[Leaning, ...]:
    """The arms whose rows lie high along their discriminant by more than chance (Mann–Whitney).

    Args:
      scores: [n, m] of every row along a direction that never saw it, high where the arm is asked.
      answered: [n, m] True where the arm answered.
      counted: [n, m] True where the arm could be asked.
      together: rows that count as one.

    Reference: Mann and Whitney (1947), On a Test of whether one of Two Random Variables is
    Stochastically Larger than the Other.
    """
    models, found = scores.shape[1], []
    enough = -NormalDist().inv_cdf(LEVEL / models)
    for arm in range(models):
        rows = np.flatnonzero(counted[:, arm])
        own = answered[rows, arm]
        ones, others = int(own.sum()), int((~own).sum())
        if min(ones, others) < 2:
            continue
        order = np.argsort(scores[rows, arm], kind="stable")
        ranks = np.empty(len(rows))
        ranks[order] = np.arange(1, len(rows) + 1)
        above = (ranks[own].sum() - ones * (ones + 1) / 2) / (ones * others)
        spread = np.sqrt((ones + others + 1) * together / (12 * ones * others))
        count = max(int(LAST * len(rows)), 1)
        rate, mean = float(own[order[:count]].mean()), float(own.mean())
        first = float(own[order[len(rows) // 2 :]].mean())
        if above - 0.5 > enough * spread and rate <= LEAST * mean:
            never = 1 - mean / first
            unknown, last = np.zeros(len(scores), bool), round(never * len(rows))
            unknown[rows[order[:last]]] = True
            edge = float(scores[rows[order[last]], arm])
            found.append(Leaning(arm, rate, mean, never, unknown, edge))
    return tuple(found)
