"""What a plug-in router of a log with a judge's and gold scores is worth, by every row of the log.

The router of a fold may know nothing of the fold's gold scores, and a judge's score of another fold
plus τ̂ knows of all of them. So the labels are made anew for every fold: rows outside fold k have
τ̂ from rows outside fold k and outside their own. Where gold scores are a column of their own the
corrected outcomes by which the router of fold k is evaluated have τ̂ from pairs outside fold k, too;
where they are rows of the log it is evaluated by these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.data.checks.drift import drift_notes
from routerjax.models.policy import Policy
from routerjax.pipelines.crossed import CROSSED, crossed_choices, own_predictions, widening
from routerjax.pipelines.evidence import Evidence
from routerjax.pipelines.gold import FEWEST_GOLD, gold_propensities, gold_rows, of_gold_rows
from routerjax.pipelines.judge_scores import scores_without
from routerjax.pipelines.lines import Evaluation
from routerjax.pipelines.nuisance import folds_of, outcomes_of
from routerjax.pipelines.on_log import Saved
from routerjax.pipelines.page import page
from routerjax.pipelines.paired import (
    corrected_log,
    gold_scores,
    label_range,
    pair_bias,
    pairs_of,
)
from routerjax.pipelines.prepare import Prepared
from routerjax.records.logs import Log


class Scores(NamedTuple):
    """A log of a judge's and gold scores, as it was before labels were made of them.

    Attributes:
      log: n rows.
      key: of the nuisances of what was learnt from it.
      gold: value of `scored_by` that marks gold scores; None where they are a column of their own.
    """

    log: Log
    key: jax.Array
    gold: str | None = None

    @property
    def known(self) -> Bool[np.ndarray, " n"]:
        """[n] True where a row's gold score tells of the judge's bias."""
        return pairs_of(self.log) if self.gold is None else gold_rows(self.log, self.gold)


def paired_page(
    policy: Policy,
    prepared: Prepared,
    scores: Scores,
    *,
    cost_weights: Sequence[float],
    saved: Saved | None = None,
) -> Evaluation | None:
    """The page of a plug-in router on the log that it is fitted on.

    Args:
      policy: the plug-in.
      prepared: the log with labels, as the router that is saved learnt from it.
      scores: the same rows with their scores.
      cost_weights: λ.
      saved: what the router that is fitted on all rows chooses; None leaves it out.

    Returns:
      The page; None where a fold's routers have too few gold scores to learn from.
    """
    nuisances, log, config = prepared.nuisances, scores.log, prepared.config.nuisance
    assert nuisances is not None and nuisances.of_row is not None
    folds = folds_of(log, key=scores.key, config=config)
    assert np.array_equal(folds.of_row, nuisances.of_row)
    count = int(folds.of_row.max()) + 1
    known = scores.known
    own = np.bincount(folds.of_row[known], minlength=count)
    if own.sum() - np.sort(own)[-2:].sum() < FEWEST_GOLD:
        return None
    learnt = [
        _learnt(prepared, scores, label, folds.of_row != fold)
        for fold, label in enumerate(_labels(scores, folds.of_row))
    ]
    evidence = Evidence(
        log=log,
        predicted=own_predictions(learnt),
        propensities=nuisances.propensities.of_own_choices,
        floor=nuisances.overlap.floor,
        widening=widening(count),
    )
    if scores.gold is None:
        corrected = corrected_log(log, folds)
        evidence, note = evidence._replace(corrected=corrected), corrected.note
    else:
        chance = gold_propensities(log, prepared.x, folds, known)
        evidence = evidence._replace(gold=(known, chance))
        note = of_gold_rows(known)
    return page(
        crossed_choices(policy, learnt, cost_weights),
        evidence,
        nuisances.overlap,
        left_out=0,
        cost_weights=cost_weights,
        notes=(CROSSED, note, *drift_notes(log)),
        saved=saved,
    )


def _labels(scores: Scores, of_row: Int[np.ndarray, " n"]) -> Iterable[Float[np.ndarray, " n"]]:
    """[n] what the router of each fold learns from, in turn."""
    if scores.gold is None:
        return (fold_labels(scores.log, of_row, fold) for fold in range(int(of_row.max()) + 1))
    return scores_without(scores.log, scores.known, of_row, key=scores.key)


def _learnt(
    prepared: Prepared,
    scores: Scores,
    label: Float[np.ndarray, " n"],
    outside: Bool[np.ndarray, " n"],
) -> Prepared:
    """The log as the router of a fold learns from it, with outcome models of its labels."""
    assert prepared.nuisances is not None and isinstance(prepared.record, Log)
    low, high = label_range(scores.log, label[outside])
    record = prepared.record.replace(
        quality=np.clip(label, low, high).astype(np.float32), quality_range=(low, high)
    )
    found = outcomes_of(
        record,
        prepared.scaling,
        key=scores.key,
        config=prepared.config.nuisance,
        propensities=prepared.nuisances.propensities,
    )
    nuisances = prepared.nuisances._replace(
        predicted=found.predicted, model=found.model, posterior=found.posterior
    )
    return prepared._replace(
        record=record, predicted=found.predicted, model=found.model, nuisances=nuisances
    )


def fold_labels(log: Log, of_row: Int[np.ndarray, " n"], fold: int) -> Float[np.ndarray, " n"]:
    """[n] gold scores, and judge's plus τ̂, that no gold score of a fold has a part in.

    Rows of the fold itself have the label of a judge's score, whatever their gold score is.

    Args:
      log: n rows with embeddings and `gold_quality`.
      of_row: [n] fold of each row.
      fold: the fold.
    """
    others = pairs_of(log) & (of_row != fold)
    train = np.stack([others & (of_row != each) for each in range(int(of_row.max()) + 1)])
    bias = pair_bias(log, train)[of_row, np.arange(len(log))]
    judged = np.asarray(log.quality, np.float64) + bias
    gold = gold_scores(log)
    kept: np.ndarray = np.where(np.isnan(gold) | (of_row == fold), judged, gold)
    low, high = label_range(log, kept[of_row != fold])
    return np.clip(kept, low, high)
