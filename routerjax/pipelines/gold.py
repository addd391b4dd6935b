"""Logs whose scores come from mixed sources, evaluated by their gold scores alone.

A judge's score is not an outcome. What is evaluated is the score that a gold-standard reading of
the answer would have given, known on the gold rows. A row is gold with probability e(x, t), so
that its outcome stands for 1/e rows. The judge's scores serve through the outcome model ŷ(x, m)
of the router, which learnt from them; whatever ŷ is, the value is right if e is, and its interval
shrinks with the number of gold rows and not with the judge's.
"""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import chdtrc

from routerjax.errors import DataWarning, InputError
from routerjax.estimators.folds import Folds
from routerjax.pipelines.propensities import fit_propensities
from routerjax.records.logs import Log
from routerjax.records.on_disk import Stored, read

CERTAIN = 2.0
"""Standard errors by which what tells gold rows apart must be likelier than their share."""
CHANCE = 0.05
"""Probability below which that models differ so much in their shares of gold rows is not chance."""
FEWEST_GOLD = 10
"""Gold rows with fewer of which nothing can be said."""


def of_gold_rows(gold: Bool[np.ndarray, " n"]) -> str:
    """What a reader of a page by gold rows must know."""
    return (
        f"qualities are those of the {int(gold.sum())} gold scores among {len(gold)} rows, and "
        "intervals are as wide as these make them; which rows have one is taken to be random given "
        "the query and the model, and not to depend on a judge's score"
    )


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
    Where gold rows were picked at random, or for all that the rows say, it is their share, of each
    model where models differ in it (`scaled_by_model`).
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
    found = np.clip(found, 1.0 / len(log), 1.0 - 1.0 / len(log))
    plain = np.full(len(log), gold.mean())
    arms = np.asarray(log.arms)
    found, plain = (scaled_by_model(each, gold, arms) for each in (found, plain))
    counted = np.bincount(arms, gold)[arms] > 0
    return np.asarray(found if _told_apart(found, plain, gold, counted) else plain)


def scaled_by_model(
    chance: Float[np.ndarray, " n"], gold: Bool[np.ndarray, " n"], arms: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """[n] probabilities of a gold score that add up to a model's gold rows, where models differ.

    Of the rows of model m, g_m are gold and G_m = Σ e are due. Where these differ by more than
    chance has it, by a χ² of Σ_m (g_m − G_m)² / Σ e(1 − e), probabilities of m are multiplied by
    g_m / G_m: its gold rows then stand for its own rows, and not for those of a model with hardly
    any. Those of a model without gold rows stay as they are.

    >>> arms = np.repeat([0, 1, 2], 100)
    >>> chances, gold = np.full(300, 0.2), np.tile(np.arange(100) < 20, 3)
    >>> scaled_by_model(chances, gold, arms)[::100].tolist()
    [0.2, 0.2, 0.2]
    >>> gold = np.concatenate([np.arange(100) < count for count in (28, 28, 4)])
    >>> scaled_by_model(chances, gold, arms)[::100].round(3).tolist()
    [0.28, 0.28, 0.04]
    """
    count, due = np.bincount(arms, gold), np.bincount(arms, chance)
    noise = due - np.bincount(arms, chance**2)
    off = np.divide((count - due) ** 2, noise, out=np.zeros_like(due), where=noise > 0)
    if chdtrc((noise > 0).sum() - 1, off.sum()) > CHANCE:
        return chance
    factor = np.divide(count, due, out=np.ones_like(due), where=count > 0)
    return np.minimum(chance * factor[arms], 1.0)


def _told_apart(
    found: Float[np.ndarray, " n"],
    plain: Float[np.ndarray, " n"],
    gold: Bool[np.ndarray, " n"],
    counted: Bool[np.ndarray, " n"],
) -> bool:
    """Whether the rows that are counted speak for the probabilities found, and not the plain ones.

    They must be likelier, out of fold, by `CERTAIN` standard errors: where gold rows were picked at
    random, trees that found something by chance cost a third of an interval's width.
    """
    one, other = (np.clip(each[counted], 1e-12, 1 - 1e-12) for each in (found, plain))
    better = np.log(np.where(gold[counted], one / other, (1 - one) / (1 - other)))
    return bool(better.mean() > CERTAIN * better.std() / np.sqrt(len(better)))


def judges(log: Log) -> tuple[str, ...]:
    """What scored the rows, in order of first appearance."""
    return () if log.scored_by is None else tuple(dict.fromkeys(log.scored_by))


def warn_of_judges(log: Log, does: str) -> tuple[str, ...]:
    """Warn where scores come from several sources and none is said to be gold; what a page says.

    Args:
      log: with or without `scored_by`.
      does: what naming the gold scores does, for the warning.
    """
    found = judges(log)
    if len(found) < 2:
        return ()
    told = f"scores come from {', '.join(found)}; taken as they are, they carry every judge's bias"
    warnings.warn(
        f"{log.source}: {told} (--gold-column COLUMN=VALUE {does})", DataWarning, stacklevel=4
    )
    return (told,)
