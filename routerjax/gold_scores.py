"""Gold scores among a judge's: what `fit(log, gold=...)` does before anything is learnt."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from routerjax.errors import InputError
from routerjax.mixed_logs import correct_log
from routerjax.records import Log


def corrected_scores(log: Log, gold: str, *, key: jax.Array) -> tuple[Log, dict[str, Any]]:
    """Correct the scores that are not gold, and report on it.

    Args:
      log: with embeddings and `scored_by`.
      gold: value of `scored_by` that marks gold scores; all others, also missing ones, are the
        judge's.
      key: of folds and regressions.

    Returns:
      The log with its judge's scores corrected and its quality range widened to hold them, and
      a report: gold and judge rows, gold rows by model, the mean correction of the judge's
      scores in the log's unit of quality, and the overlap of gold and judge.

    Raises:
      InputError: the log has no `scored_by`, or too few rows or none are gold.
    """
    if log.scored_by is None:
        problem = "no column says how each row was scored, so that gold scores cannot be told"
        raise InputError(problem, source=log.source, field="scored_by")
    is_gold = np.array([value == gold for value in log.scored_by])
    try:
        corrected = correct_log(log, is_gold, key=key)
    except InputError as error:
        raise InputError(error.problem, source=log.source, field="scored_by") from None
    report = {
        "gold": gold,
        "gold_rows": int(is_gold.sum()),
        "judge_rows": int((~is_gold).sum()),
        "gold_rows_by_model": corrected.gold_rows.tolist(),
        "mean_correction": float(corrected.bias[~is_gold].mean()),
        "overlap": dataclasses.asdict(corrected.overlap),
    }
    return corrected.log, report
