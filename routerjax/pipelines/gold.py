"""Logs whose scores come from mixed sources, evaluated by their gold scores alone.

A judge's score is not an outcome. What is evaluated is the score that a gold-standard reading of
the answer would have given, known on the gold rows. A row is gold with probability e(x, t), so
that its outcome stands for 1/e rows. The judge's scores serve through the outcome model ŷ(x, m)
of the router, which learnt from them; whatever ŷ is, the value is right if e is, and its interval
shrinks with the number of gold rows and not with the judge's.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from routerjax.errors import InputError
from routerjax.estimators.folds import Folds
from routerjax.pipelines.propensities import fit_propensities
from routerjax.records.logs import Log
from routerjax.records.on_disk import Stored, read

CERTAIN = 2.0
"""Standard errors by which what tells gold rows apart must be likelier than their share."""
FEWEST_GOLD = 10
"""Gold rows with fewer of which nothing can be said."""


def gold_rows(log: Log, gold: str) -> Bool[np.ndarray, " n"]:
    """[n] True where `scored_by` is `gold`.

    Raises:
      InputError: there is no such column, or too few or no other rows.
    """
    if log.scored_by is None:
        problem = "no column says how each row was scored, so that gold scores cannot be told"
        raise InputError(problem, source=log.source, field="scored_by")
    found = np.array([value == gold for value in log.scored_by])
    if found.sum() < FEWEST_GOLD:
        problem = (
            f"only {found.sum()} rows are scored by {gold!r}; at least {FEWEST_GOLD} are needed"
        )
        raise InputError(problem, source=log.source, field="scored_by")
    return found


def gold_propensities(
    log: Log, x: np.ndarray | Stored, folds: Folds, gold: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """[n] probability e(x, t) that a row's score is gold, out of fold.

    It is estimated as the log's policy is, by trees on the query and on the model that answered.
    Where gold rows were picked at random, or for all that the rows say, it is their share.
    """
    if gold.all():
        return np.ones(len(log))
    answered = np.eye(len(log.models), dtype=np.float32)[log.arms]
    features = np.concatenate([np.asarray(read(x)), answered], axis=1)
    sources = dataclasses.replace(
        log,
        arms=gold.astype(np.int32),
        models=("judge", "gold"),
        propensities=None,
        embeddings=features,
    )
    found = fit_propensities(sources, features, folds, support=0.0).every[:, 1]
    return _told_apart(np.clip(found, 1.0 / len(log), 1.0 - 1.0 / len(log)), gold)


def _told_apart(
    found: Float[np.ndarray, " n"], gold: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """The probabilities found, or the share of gold rows if the rows do not speak for them.

    They must be likelier, out of fold, by `CERTAIN` standard errors: where gold rows were picked at
    random, trees that found something by chance cost a third of an interval's width.
    """
    share = np.full(len(gold), gold.mean())
    better = np.log(np.where(gold, found / share, (1 - found) / (1 - share)))
    certain = better.mean() > CERTAIN * better.std() / np.sqrt(len(gold))
    return np.asarray(found if certain else share)


def judges(log: Log) -> tuple[str, ...]:
    """What scored the rows, in order of first appearance."""
    return () if log.scored_by is None else tuple(dict.fromkeys(log.scored_by))
