"""Logs with a judge's score of every row and a gold score of some: outcomes corrected, with noise.

The judge's score says most of what a gold score would say, and a row with both says by how much
the judge is off. The corrected outcome

    y = q + τ̂(x, t, q) + s/e · (r − q − τ̂(x, t, q))

has the mean of gold scores whatever τ̂ is, if the probability e of a gold score is right: q the
judge's score, r the gold one, s = 1 where there is one. It carries the noise of the correction, so
that intervals shrink with the number of gold rows. τ̂ is learnt from rows with both scores, never
from the row's own. A row that no judge scored is a gold row, and its outcome is r.

Reference: Angelopoulos et al. (2023), Prediction-powered inference, of which a mean of y is the
case of a constant τ̂ and e the share of gold rows.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from routerjax.errors import InputError
from routerjax.estimators.components import fit_components
from routerjax.estimators.cross_fit import FOLDS, assign_folds, source_overlap
from routerjax.estimators.folds import Folds, make_folds
from routerjax.estimators.ridge import fit_ridge
from routerjax.models.heads import Scaling
from routerjax.pipelines.gold import FEWEST_GOLD, gold_propensities
from routerjax.pipelines.judge_bias import COMPONENTS, arm_features
from routerjax.pipelines.judges import judge_features, standardised
from routerjax.pipelines.own_scores import check_own_scores
from routerjax.records.logs import Log
from routerjax.records.on_disk import read

HARDLY, FEW_BARE = 0.1, 0.05
"""Of the share of gold rows, below which a row is like none that has a gold score; and the share of
such rows from which it is said."""


class Corrected(NamedTuple):
    """Outcomes of n rows whose judge's scores are corrected by gold ones.

    Attributes:
      quality: [n] y, in the log's unit; single rows may lie far outside the range of scores.
      gold: [n] True where the row has a gold score.
      chance: [n] e, probability that it has.
      residual: [n] r − q − τ̂, 0 where there is no gold score.
    """

    quality: Float[np.ndarray, " n"]
    gold: Bool[np.ndarray, " n"]
    chance: Float[np.ndarray, " n"]
    residual: Float[np.ndarray, " n"]

    def rows(self, index: np.ndarray) -> Corrected:
        """Those of some rows."""
        return Corrected(*(values[index] for values in self))

    @property
    def note(self) -> str:
        """What a reader of a page must know."""
        count, share = int(self.gold.sum()), self.gold.mean()
        said = (
            f"qualities are a judge's scores corrected by the {count} gold scores among "
            f"{len(self.gold)} rows; intervals carry the noise of the correction"
        )
        bare = (self.chance < HARDLY * share).mean()
        if bare <= FEW_BARE:
            return said
        return (
            f"{said}, but on {bare:.0%} of the rows hardly any answer like theirs has a gold "
            "score: what the judge is off by there is taken from the others"
        )


def corrected_outcomes(
    judge: Float[np.ndarray, " n"],
    gold: Float[np.ndarray, " n"],
    bias: Float[np.ndarray, " n"],
    chance: Float[np.ndarray, " n"],
) -> Corrected:
    """y = q + τ̂ + s/e · (r − q − τ̂), row by row.

    Args:
      judge: [n] q; where no judge scored the row anything finite, and e is 1.
      gold: [n] r, NaN where there is none.
      bias: [n] τ̂, learnt from other rows.
      chance: [n] e.

    >>> found = corrected_outcomes(*np.array([[0.5, 0.5], [np.nan, 0.4], [0.1] * 2, [0.25] * 2]))
    >>> found.quality.round(6).tolist()
    [0.6, -0.2]
    """
    q, r, e = (np.asarray(each, np.float64) for each in (judge, gold, chance))
    known = ~np.isnan(r)
    expected = q + np.asarray(bias, np.float64)
    residual = np.where(known, r - expected, 0.0)
    return Corrected(expected + residual / e, known, e, residual)


def has_pairs(log: Log, gold: str | None) -> bool:
    """Whether a log's gold scores stand beside the judge's.

    Raises:
      InputError: they do, and `gold` names rows scored by gold as well; they are too few; or they
        were filled into the judge's scores as well.
    """
    if log.gold_quality is None:
        return False
    if gold is not None:
        problem = "a column of gold scores and rows that are scored by gold are given; give one"
        raise InputError(problem, source=log.source, field="gold_quality")
    known = ~np.isnan(np.asarray(log.gold_quality))
    if known.sum() < FEWEST_GOLD:
        problem = f"only {known.sum()} rows have a gold score; at least {FEWEST_GOLD} are needed"
        raise InputError(problem, source=log.source, field="gold_quality")
    judge = np.asarray(log.quality, np.float64)
    check_own_scores(judge, gold_scores(log), pairs_of(log), source=log.source)
    return True


def corrected_log(log: Log, folds: Folds) -> Corrected:
    """Correct the judge's scores of a log by its gold scores, out of fold.

    Args:
      log: n rows with embeddings and `gold_quality`.
      folds: of the rows; row i's τ̂ and e are by models that never saw its fold.
    """
    pairs = pairs_of(log)
    train = np.stack([pairs & rows for rows in folds.outside()])
    bias = folds.own(pair_bias(log, train))
    return corrected_outcomes(log.quality, gold_scores(log), bias, gold_chance(log, folds))


def learnt_log(
    log: Log, apart: Bool[np.ndarray, " n"], *, key: jax.Array
) -> tuple[Log, Corrected | None, dict[str, Any]]:
    """Scores to learn from, and corrected outcomes of the rows that are set apart.

    A row is learnt from by its gold score, or by its judge's score plus τ̂, which the rows set
    apart have no part in; theirs is learnt from all the others.

    Args:
      log: n rows with embeddings and `gold_quality`.
      apart: [n] True for rows that nothing is learnt from.
      key: Random key of the folds.

    Returns:
      The log of the other rows with these scores, its quality range widened to hold them; the
      outcomes of the rows set apart, None where there are none; and a report as that of
      `judge_scores.corrected_scores`.

    Raises:
      InputError: too few gold rows are left to learn from.
    """
    pairs, gold, inside = pairs_of(log), gold_scores(log), ~apart
    if (pairs & inside).sum() < FEWEST_GOLD:
        problem = (
            f"only {(pairs & inside).sum()} rows to learn from have a judge's and a gold score"
        )
        raise InputError(
            f"{problem}; at least {FEWEST_GOLD} are needed", source=log.source, field="gold_quality"
        )
    deal, other = jax.random.split(key)
    fold = np.asarray(assign_folds(pairs, key=deal, folds=FOLDS, groups=log.groups))
    train = [pairs & inside & (fold != k) for k in range(FOLDS)]
    found = pair_bias(log, np.stack([*train, pairs & inside]))
    bias = np.where(apart, found[FOLDS], found[fold, np.arange(len(log))])
    folds = make_folds(
        np.asarray(log.arms), folds=FOLDS, held_out=0.15, key=other, groups=log.groups
    )
    chance = gold_chance(log, folds)
    outcomes = corrected_outcomes(log.quality, gold, bias, chance)
    known = ~np.isnan(gold)
    label = np.where(known, gold, np.asarray(log.quality, np.float64) + bias)
    wide = label_range(log, label[inside])
    learnt = log.rows(inside).replace(
        quality=label[inside].astype(np.float32), quality_range=wide, gold_quality=None, judged=None
    )
    counted = known & inside
    report = {
        "gold": "gold",
        "gold_rows": int(counted.sum()),
        "judge_rows": int((~known & inside).sum()),
        "gold_rows_by_model": np.bincount(
            np.asarray(log.arms)[counted], minlength=len(log.models)
        ).tolist(),
        "mean_correction": float(bias[~known & inside].mean()) if (~known & inside).any() else 0.0,
        "overlap": dataclasses.asdict(
            source_overlap(known[inside], np.clip(chance[inside], 1e-6, 1 - 1e-6), known=False)
        ),
    }
    return learnt, outcomes.rows(apart) if apart.any() else None, report


def label_range(log: Log, labels: Float[np.ndarray, " k"]) -> tuple[float, float]:
    """The quality range, widened to hold labels."""
    low, high = log.quality_range
    return min(low, float(labels.min())), max(high, float(labels.max()))


def pair_bias(log: Log, train: Bool[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
    """[k, n] τ̂(x, t, q) of every row, by ridges on the pairs of each training set.

    The features are those of `judge_bias`, (x, 1{t}, x·1{t}) with x principal components, and
    the judge's score, so that one who spreads scores too little or too much is corrected. Where
    `scored_by` names several judges, who scored and its product with the score are features too.

    Args:
      log: n rows with embeddings and `gold_quality`.
      train: [k, n] rows to learn from, each with a judge's and a gold score.
    """
    embeddings = jnp.asarray(read(log.features))
    width = min(COMPONENTS, embeddings.shape[1])
    difference = (
        np.nan_to_num(gold_scores(log) - np.asarray(log.quality, np.float64)) / log.quality_width
    )
    found = _ridges(
        embeddings,
        jnp.asarray(log.arms),
        jnp.asarray(judge_features(log, _judged(log)), embeddings.dtype),
        jnp.asarray(difference, embeddings.dtype),
        jnp.asarray(train, embeddings.dtype),
        models=len(log.models),
        components=width,
    )
    return np.asarray(found, np.float64) * log.quality_width


def gold_chance(log: Log, folds: Folds) -> Float[np.ndarray, " n"]:
    """[n] probability e that a row has a gold score, 1 where no judge scored it, out of fold.

    It may depend on the query, on the model that answered and on the judge's score: people look
    at what a judge finds bad.
    """
    known, judged = ~np.isnan(gold_scores(log)), _judged(log)
    if known[judged].all():
        return np.ones(len(log))
    own = log.rows(judged)
    scaled = np.asarray(read(Scaling.of(own.features)(own.features)))
    judge = standardised(own.quality)[:, None].astype(scaled.dtype)
    x = np.concatenate([scaled, judge], axis=1)
    kept = folds if judged.all() else _among(folds, judged)
    chance = np.ones(len(log))
    chance[judged] = gold_propensities(own, x, kept, known[judged])
    return chance


def _among(folds: Folds, kept: Bool[np.ndarray, " n"]) -> Folds:
    """The folds among some rows, numbered anew; −1 for a row that is not among them."""
    place = np.where(kept, np.cumsum(kept) - 1, -1)

    def moved(rows: np.ndarray) -> np.ndarray:
        new = np.where(rows >= 0, place[rows], -1)
        order = np.argsort(new < 0, axis=1, kind="stable")  # rows first, then none
        return np.take_along_axis(new, order, axis=1)

    return Folds(folds.of_row[kept], moved(folds.train), moved(folds.held_out))


def gold_scores(log: Log) -> Float[np.ndarray, " n"]:
    """[n] gold scores, NaN where there is none."""
    assert log.gold_quality is not None
    return np.asarray(log.gold_quality, np.float64)


def _judged(log: Log) -> Bool[np.ndarray, " n"]:
    return np.ones(len(log), bool) if log.judged is None else np.asarray(log.judged, bool)


def pairs_of(log: Log) -> Bool[np.ndarray, " n"]:
    """[n] True where a row has a judge's and a gold score."""
    return ~np.isnan(gold_scores(log)) & _judged(log)


@functools.partial(jax.jit, static_argnames=("models", "components"))
def _ridges(embeddings, arms, judge, difference, train, *, models: int, components: int):
    everyone = jnp.ones(embeddings.shape[0])
    x = fit_components(embeddings, everyone, components=components)(embeddings)
    features = jnp.concatenate([arm_features(x, arms, models=models), judge], axis=1)
    return jax.lax.map(lambda weights: fit_ridge(features, difference, weights)(features), train)
