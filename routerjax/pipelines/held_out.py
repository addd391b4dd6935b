"""What a fit reports of rows that nothing was fitted on and nothing was chosen by."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from routerjax.artefacts.router import Router
from routerjax.estimators.overlap import overlap
from routerjax.pipelines.gold import FEWEST_GOLD, gold_rows
from routerjax.pipelines.on_log import Evidence
from routerjax.pipelines.page import page
from routerjax.pipelines.prepare import Prepared
from routerjax.pipelines.propensities import applied
from routerjax.records.tables import Log
from routerjax.support.provenance import plain


def set_apart(log: Log, *, share: float, seed: int) -> tuple[Log, Log | None]:
    """A log without a random share of its groups, and these; None where the share is 0.

    A model that only they hold is of no use there: the groups with its rows go back to the log.

    Args:
      log: n rows.
      share: of the groups.
      seed: Seed of the draw.
    """
    if share == 0:
        return log, None
    count = int(log.groups.max()) + 1
    chosen = np.random.default_rng([seed, 1]).permutation(count)[: max(1, round(share * count))]
    apart = np.isin(log.groups, chosen)
    learnt = np.bincount(log.arms[~apart], minlength=len(log.models)) > 0
    back = np.unique(log.groups[apart & ~learnt[log.arms]])
    apart &= ~np.isin(log.groups, back)
    return log.rows(~apart), log.rows(apart)


def fit_report(
    router: Router, prepared: Prepared, kept: Log | None, *, gold: str | None
) -> dict[str, Any]:
    """Overlap of the log, its sizes, and the page of the rows set apart.

    The router that is saved is what is evaluated. Outcome and propensity models are the router's
    own and never saw these rows.

    Args:
      router: fitted.
      prepared: the log it was fitted on.
      kept: rows set apart; None where there are none.
      gold: value of `scored_by` that marks gold scores, or None.

    Returns:
      overlap, rows and evaluation; where there is no evaluation, why.
    """
    assert prepared.nuisances is not None and isinstance(prepared.record, Log)
    sizes = {"log": len(prepared.record), "members": len(prepared.held_out)}
    report: dict[str, Any] = {
        "overlap": dataclasses.asdict(prepared.nuisances.overlap),
        "rows": {**sizes, "held_out": 0 if kept is None else len(kept)},
        "evaluation": None,
    }
    if kept is None or not len(kept):
        return {**report, "why": "no rows were set apart (--evaluation 0)"}
    if gold is not None and (count := (kept.scored_by or ()).count(gold)) < FEWEST_GOLD:
        return {**report, "why": f"only {count} of the rows set apart have a gold score"}
    kept, model = kept.with_models(router.models), router.arrays.propensities
    assert model is not None
    known = applied(model, kept, router.arrays.scaling(kept.features))
    evidence = Evidence(
        log=kept,
        predicted=router.expected(kept.features),
        propensities=known,
        floor=router.config.floor,
        gold=None if gold is None else _gold(kept, gold, prepared.record),
    )
    covered = overlap(kept, known.answered, floor=router.config.floor, supported=known.supported)
    found = page(router, evidence, covered, left_out=0, cost_weights=router.cost_weights)
    report["evaluation"] = plain(found)
    return report


def _gold(kept: Log, gold: str, learnt: Log) -> tuple[np.ndarray, np.ndarray]:
    """Gold rows, and the share of gold rows by model as the probability that a row is gold."""
    known = gold_rows(kept, gold)
    marks = np.array([value == gold for value in learnt.scored_by or ()])
    share = np.array(
        [
            (marks[learnt.arms == arm].sum() + 1) / ((learnt.arms == arm).sum() + 2)
            for arm in range(len(learnt.models))
        ]
    )
    return known, share[kept.arms]
