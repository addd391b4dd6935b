"""Models of which hardly any gold score tells what the judge is off by.

A judge's bias on a model's answers is learnt from gold scores of that model's answers: judges
favour some models, their own kin for one, and what they are off by on others does not tell which.
A model with fewer gold scores than `FEWEST_OF_MODEL` is uncorrected. What its answers are worth the
log does not say, and it is taken as a model that the log does not support: no router chooses it,
and a value that rests on it is a bound.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.errors import DataWarning, printable
from routerjax.records.logs import Log

FEWEST_OF_MODEL = 5
"""Gold scores of a model with fewer of which its judge's scores are uncorrected."""
ENOUGH_OF_MODEL = 30
"""Gold scores of a model from which a judge that was right on all of them is taken to be right."""
MOST_NAMED, LONGEST_NAME = 3, 30
"""Models that a sentence names, and characters of a name."""


class Uncorrected(NamedTuple):
    """A model whose judge's scores are uncorrected.

    Attributes:
      model: its name.
      gold: answers that tell of the judge's bias.
      answers: of the model.
    """

    model: str
    gold: int
    answers: int


def uncorrected_arms(
    arms: Int[np.ndarray, " n"],
    telling: Bool[np.ndarray, " n"],
    unknown: Bool[np.ndarray, " n"],
    *,
    models: int,
) -> Bool[np.ndarray, " m"]:
    """[m] True for models with fewer telling rows than `FEWEST_OF_MODEL`, and unknown ones.

    Args:
      arms: [n] model that answered.
      telling: [n] True where a gold score tells of the judge's bias.
      unknown: [n] True where a row has no gold score.
      models: m.

    >>> telling = np.array([True] * 5 + [False] + [True] * 4 + [False] + [True])
    >>> uncorrected_arms(np.array([0] * 6 + [1] * 5 + [2]), telling, ~telling, models=4).tolist()
    [False, True, False, False]
    """
    few = np.bincount(arms[telling], minlength=models) < FEWEST_OF_MODEL
    return few & (np.bincount(arms[unknown], minlength=models) > 0)


def unseen_share(rows: Int[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """[m] share of answers on which a judge may be off that was right on so many, 1 − 0.05^(1/g).

    With 95 % confidence; about 3/g. Scores that agree everywhere show no spread of their own.

    Reference: Hanley, Lippman-Hand (1983), If nothing goes wrong, is everything all right?

    >>> unseen_share(np.array([5, 30])).round(3).tolist()
    [0.451, 0.095]
    """
    found: np.ndarray = 1 - 0.05 ** (1 / np.maximum(rows, 1))
    return found


def gold_flags(log: Log, gold: str | None) -> tuple[np.ndarray, np.ndarray] | None:
    """[n] telling and unknown rows of a log; None where no score is said to be gold.

    Args:
      log: n rows.
      gold: value of `scored_by` that marks gold scores; None where they are a column of their own.
    """
    if gold is not None:
        known = np.array([value == gold for value in log.scored_by or ()])
        return known, ~known
    if log.gold_quality is None:
        return None
    known = ~np.isnan(np.asarray(log.gold_quality))
    return known if log.judged is None else known & np.asarray(log.judged), ~known


def uncorrected_models(
    log: Log, telling: Bool[np.ndarray, " n"], unknown: Bool[np.ndarray, " n"]
) -> tuple[Uncorrected, ...]:
    """The uncorrected models of a log with their counts."""
    arms, models = np.asarray(log.arms), len(log.models)
    count, every = (np.bincount(each, minlength=models) for each in (arms[telling], arms))
    return tuple(
        Uncorrected(log.models[arm], int(count[arm]), int(every[arm]))
        for arm in np.flatnonzero(uncorrected_arms(arms, telling, unknown, models=models))
    )


def warn_of_uncorrected(log: Log, gold: str | None) -> None:
    """Warn of models whose judge's scores may be off by anything, and say what would help.

    Args:
      log, gold: as of `gold_flags`.
    """
    flags = gold_flags(log, gold)
    found = () if flags is None else uncorrected_models(log, *flags)
    if not found:
        return
    warnings.warn(
        f"{log.source}: {counted(found)} have a gold score, too few to tell what the judge is off "
        "by on the others; what these are worth the log does not say, and a router that is fitted "
        f"to it does not choose them: {advice(found)}",
        DataWarning,
        stacklevel=4,
    )


def advice(found: Sequence[Uncorrected]) -> str:
    """What would help."""
    whose = printable(found[0].model, LONGEST_NAME) if len(found) == 1 else "each"
    return f"score {FEWEST_OF_MODEL} or more answers of {whose} by gold"


def counted(found: Sequence[Uncorrected]) -> str:
    """How many answers of the models have a gold score, a few models by name."""
    listed = [
        f"{own.gold} of {own.answers} answers of {printable(own.model, LONGEST_NAME)}"
        for own in found[:MOST_NAMED]
    ]
    if len(found) > MOST_NAMED:
        listed.append(f"as few of {len(found) - MOST_NAMED} more models")
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"
