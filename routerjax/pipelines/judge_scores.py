"""Logs whose scores come from mixed sources: correct the judge's, then estimate as usual.

Some rows of the log carry a gold score, most a judge's. The judge's bias τ(x, t) depends on
the query and on the model that answered; it is learnt from the source as in
`routerjax.estimators.bias`, out of fold, and added to the judge's scores. What comes out is a
log like any other, and dr estimates follow.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from routerjax.errors import InputError
from routerjax.estimators.bias import Learner
from routerjax.estimators.cross_fit import FOLDS, Regress, source_overlap
from routerjax.estimators.integrative import corrected_label
from routerjax.estimators.overlap import Overlap
from routerjax.pipelines.judge_bias import COMPONENTS, biases_without, learnt_bias
from routerjax.pipelines.judges import Judge, check_scales, judges_of
from routerjax.pipelines.regressions import learner_named, regression_named
from routerjax.records.logs import Log
from routerjax.records.on_disk import read

FEWEST_GOLD = 2 * FOLDS


class CorrectedLog(NamedTuple):
    """A log whose judge's scores are corrected.

    Attributes:
      log: the log, gold scores as they were. Its quality range is widened to hold the
        corrected scores: cutting them off at the old range would put a bias back in.
      bias: [n] estimated bias τ̂(x, t) of every row, also of gold rows.
      gold_rows: [m] gold rows of each model.
      overlap: report on P(gold | x, t).
    """

    log: Log
    bias: np.ndarray
    gold_rows: np.ndarray
    overlap: Overlap


def corrected_scores(log: Log, gold: str, *, key: jax.Array) -> tuple[Log, dict[str, Any]]:
    """Correct the scores that are not gold, each judge's by a bias of its own, and report on it.

    Args:
      log: with embeddings and `scored_by`.
      gold: value of `scored_by` that marks gold scores; each other value names a judge. A judge
        of fewer than `judges.FEWEST_JUDGED` rows is corrected by the bias of all judges together.
      key: Random key of folds and regressions.

    Returns:
      The log with its judges' scores corrected and its quality range widened to hold them, and
      a report: gold and judged rows, gold rows by model, the mean correction of the judged
      scores in the log's unit of quality, and the overlap of gold and judge; of several judges
      also each one's rows and mean correction, and then the overlap is that of the judge for
      whom the gold rows count least.

    Raises:
      InputError: the log has no `scored_by`, too few rows or none are gold, or the scores of a
        judge are on another scale than the gold ones.
    """
    if log.scored_by is None:
        problem = "no column says how each row was scored, so that gold scores cannot be told"
        raise InputError(problem, source=log.source, field="scored_by")
    is_gold = np.array([value == gold for value in log.scored_by])
    judges = judges_of(log, ~is_gold)
    try:
        _check(log, is_gold, None)
        check_scales(log, is_gold, judges)
        found = _by_judge(log, is_gold, judges, key=key)
    except InputError as error:
        raise InputError(error.problem, source=log.source, field="scored_by") from None
    bias = np.select([judge.rows for judge in judges], [each.bias for each in found])
    scored = corrected_label(
        jnp.asarray(log.quality), jnp.asarray(is_gold), jnp.asarray(bias, log.quality.dtype)
    )
    report = {
        "gold": gold,
        "gold_rows": int(is_gold.sum()),
        "judge_rows": int((~is_gold).sum()),
        "gold_rows_by_model": found[0].gold_rows.tolist(),
        "mean_correction": float(bias[~is_gold].mean()),
        "overlap": dataclasses.asdict(min((each.overlap for each in found), key=_effective)),
    }
    if len(judges) > 1:
        report["judges"] = [
            {
                "judge": judge.name,
                "rows": int(judge.rows.sum()),
                "mean_correction": float(bias[judge.rows].mean()),
                "alone": judge.alone,
            }
            for judge in judges
        ]
    return _rescored(log, np.asarray(scored)), report


def _effective(overlap: Overlap) -> float:
    """What the gold rows count for."""
    return float(overlap.effective_sample_size[overlap.models.index("gold")])


def _by_judge(
    log: Log, gold: np.ndarray, judges: list[Judge], *, key: jax.Array
) -> list[CorrectedLog]:
    """A correction a judge, its bias [n] that of the judge on its own rows and on gold ones."""
    if len(judges) == 1:
        return [correct_log(log, gold, key=key)]
    found, together = [], None
    for place, judge in enumerate(judges):
        if not judge.alone:
            together = together or correct_log(log, gold, key=key)
            found.append(together)
            continue
        rows = np.flatnonzero(judge.rows | gold)
        own = correct_log(log.rows(rows), gold[rows], key=jax.random.fold_in(key, place))
        bias = np.zeros(len(log), own.bias.dtype)
        bias[rows] = own.bias
        found.append(own._replace(bias=bias))
    return found


def _rescored(log: Log, quality: np.ndarray) -> Log:
    """The log with other scores, its quality range widened to hold them."""
    low, high = log.quality_range
    wide = (min(low, float(quality.min())), max(high, float(quality.max())))
    return log.replace(quality=quality, quality_range=wide)


def correct_log(
    log: Log,
    gold: Bool[np.ndarray, " n"],
    *,
    key: PRNGKeyArray,
    propensity: Float[np.ndarray, " n"] | None = None,
    learner: str | Learner = "dr",
    nuisance: str | Regress = "ridge",
    folds: int = FOLDS,
    components: int = COMPONENTS,
) -> CorrectedLog:
    """Add the estimated bias τ̂(x, t) to every score that is not gold.

    τ(x, t) = E[gold score | x, t] − E[judge's score | x, t] is learnt on the features
    (x, 1{t}, x·1{t}), so that models share what they have in common and few gold rows a model
    suffice. A row's correction comes from models that never saw its fold; rows of one prompt
    share a fold.

    Args:
      log: n rows with embeddings.
      gold: [n] True where the row's score is gold-standard.
      key: Random key of folds and regressions.
      propensity: [n] known probability of a gold score, or None to estimate P(gold | x, t).
      learner: a name of `routerjax.pipelines.LEARNERS`, or a `Learner`.
      nuisance: the regression of the nuisances and of τ̂: a name of
        `routerjax.pipelines.REGRESSIONS`, or a `Regress`.
      folds: of the cross-fitting.
      components: principal components of the embeddings.

    Returns:
      CorrectedLog.

    Raises:
      InputError: no gold rows or too few of them, no other rows, no embeddings, or lengths
        that do not fit; an unknown learner or nuisance.
    """
    gold = np.asarray(gold, bool)
    _check(log, gold, propensity)
    fit = functools.partial(
        learnt_bias,
        models=len(log.models),
        learner=learner_named(learner),
        regress=regression_named(nuisance),
        folds=folds,
        components=min(components, log.features.shape[1]),
        limit=log.quality_width,
    )
    known = None if propensity is None else jnp.asarray(propensity)
    embeddings = jnp.asarray(read(log.features))  # principal components need all of them
    every = np.ones(len(log), np.float32)
    bias, used = jax.jit(fit)(
        every, embeddings, log.arms, log.quality, gold, known, log.groups, key
    )
    quality = np.asarray(corrected_label(jnp.asarray(log.quality), jnp.asarray(gold), bias))
    return CorrectedLog(
        log=_rescored(log, quality),
        bias=np.asarray(bias),
        gold_rows=np.bincount(log.arms[gold], minlength=len(log.models)),
        overlap=source_overlap(gold, np.asarray(used), known=known is not None),
    )


def scores_without(
    log: Log,
    gold: Bool[np.ndarray, " n"],
    of_row: Int[np.ndarray, " n"],
    *,
    key: PRNGKeyArray,
) -> Float[np.ndarray, "k n"]:
    """[k, n] scores, each judge's corrected as by `corrected_scores` without the rows of a fold.

    Rows of the fold itself have no say in them and stand in nothing that is learnt from them.

    Args:
      log, gold, key: as of `correct_log`.
      of_row: [n] fold of each row, 0, 1, …, k − 1.
    """
    kept = of_row[None] != np.arange(int(of_row.max()) + 1)[:, None]
    found = np.broadcast_to(np.asarray(log.quality, np.float64), kept.shape).copy()
    judges = judges_of(log, ~gold)
    for place, judge in enumerate(judges):
        whole = len(judges) == 1 or not judge.alone
        rows = np.arange(len(log)) if whole else np.flatnonzero(judge.rows | gold)
        own = key if whole else jax.random.fold_in(key, place)
        bias = biases_without(log.rows(rows), gold[rows], kept[:, rows], key=own)
        scored = judge.rows[rows]
        found[:, rows[scored]] += bias[:, scored]
    return found


def _check(log: Log, gold: np.ndarray, propensity) -> None:
    def fail(problem: str):
        raise InputError(problem, source=log.source, field="source")

    if gold.shape != (len(log),):
        fail(f"the gold flags have shape {gold.shape}, not ({len(log)},)")
    if not gold.any():
        fail(
            "no row has a gold score; a judge's bias cannot be learnt without some, so leave "
            "the gold column out or score a few answers by hand"
        )
    if gold.sum() < FEWEST_GOLD:
        fail(f"only {gold.sum()} rows have a gold score; at least {FEWEST_GOLD} are needed")
    if gold.all():
        fail("every row has a gold score; there is nothing to correct")
    if log.embeddings is None:
        fail("the log has no embeddings yet; encode its prompts first")
    if propensity is not None:
        values = np.asarray(propensity)
        if values.shape != gold.shape or not ((values > 0) & (values < 1)).all():
            fail("known propensities must be one a row, strictly between 0 and 1")
