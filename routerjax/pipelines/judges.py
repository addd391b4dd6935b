"""The judges of a log: who they are, whether they score on one scale, and what they are told by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from routerjax.errors import InputError
from routerjax.records.logs import Log

FEWEST_JUDGED = 50
"""Rows of a judge with fewer of which its bias is taken to be that of all judges together."""
FARTHEST = 3.0
"""Times the largest gold score that a judge's largest may be, or the reverse, on one scale."""


class Judge(NamedTuple):
    """A judge and its rows.

    Attributes:
      name: the value of `scored_by`.
      rows: [n] True for its rows.
      alone: whether these are enough to learn a bias of its own from.
    """

    name: str
    rows: Bool[np.ndarray, " n"]
    alone: bool


def judges_of(log: Log, judged: Bool[np.ndarray, " n"]) -> list[Judge]:
    """The judges of some rows, in order of first appearance; one where nothing names them."""
    names = np.asarray([""] * len(log) if log.scored_by is None else log.scored_by, object)
    every = [(name, judged & (names == name)) for name in dict.fromkeys(names[judged].tolist())]
    return [
        Judge(str(name), own, len(every) == 1 or own.sum() >= FEWEST_JUDGED) for name, own in every
    ]


def check_scales(log: Log, gold: Bool[np.ndarray, " n"], judges: Sequence[Judge]) -> None:
    """Raise InputError where a judge's scores are on another scale than the gold ones."""
    largest = float(np.abs(log.quality[gold]).max())
    for judge in judges:
        own = float(np.abs(log.quality[judge.rows]).max())
        far = max(own, largest) > FARTHEST * min(own, largest)
        if far and own > 0 and largest > 0 and judge.rows.sum() >= FEWEST_JUDGED:
            raise InputError(
                f"the largest score of {judge.name!r} is {own:g} and the largest gold one "
                f"{largest:g}; bring all scores to one scale first",
                source=log.source,
            )


def judge_features(log: Log, judged: Bool[np.ndarray, " n"]) -> Float[np.ndarray, "n f"]:
    """[n, f] the judge's score q and, of J judges, q, who scored, and q times who, f = 1 + 2 J.

    q is standardised among the scores of its judge, or of all where it scored too few rows, whose
    indicators are 0 then. J is 0 where there is only one.

    Args:
      log: n rows.
      judged: [n] True where a judge scored the row.
    """
    judges = [judge for judge in judges_of(log, judged) if judge.alone]
    score = standardised(log.quality)
    if len(judges) < 2:
        return score[:, None]
    who = np.stack([judge.rows for judge in judges], axis=1).astype(np.float64)
    for judge in judges:
        score[judge.rows] = standardised(log.quality[judge.rows])
    return np.concatenate([score[:, None], who, who * score[:, None]], axis=1)


def standardised(values: np.ndarray) -> np.ndarray:
    """The values less their mean, over their standard deviation."""
    values = np.asarray(values, np.float64)
    scaled: np.ndarray = (values - values.mean()) / max(float(values.std()), 1e-6)
    return scaled
