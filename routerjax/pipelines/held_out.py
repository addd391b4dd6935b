"""What a fit says its router is worth, by rows that nothing was fitted on or chosen by."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from routerjax.artefacts.router import Router
from routerjax.data.checks.drift import drift_notes
from routerjax.estimators.defaults import floor_of
from routerjax.estimators.overlap import overlap
from routerjax.pipelines.crossed import crossed_page
from routerjax.pipelines.crossed_pairs import Scores, paired_page
from routerjax.pipelines.evidence import Evidence
from routerjax.pipelines.gold import FEWEST_GOLD, gold_rows, of_gold_rows
from routerjax.pipelines.lines import Evaluation
from routerjax.pipelines.on_log import Saved
from routerjax.pipelines.page import page, router_choices
from routerjax.pipelines.paired import Corrected
from routerjax.pipelines.prepare import Prepared
from routerjax.pipelines.propensities import applied
from routerjax.pipelines.verdict import expectations
from routerjax.records.logs import Log
from routerjax.support.provenance import plain
from routerjax.training.config import FitConfig

EXPECTED = (
    "what is expected is the outcome models' own account; its standard deviation leaves out costs, "
    "the error of what the policy's asking tells of the models, "
    "and what these models cannot represent"
)
SHARE = 0.2
"""Of the groups that are set apart where a router is trained."""


def share_apart(config: FitConfig) -> float | None:
    """Share of the groups to set apart; None where the evaluation is cross-fitted instead."""
    if config.evaluation is not None:
        return config.evaluation
    crossed = not config.is_trained and config.router.start == "plug-in"
    return None if crossed else SHARE


def set_apart(log: Log, *, share: float, seed: int) -> tuple[Log, Log | None]:
    """A log without a random share of its groups, and these; None where the share is 0.

    A model that only they hold is of no use there: the groups with its rows go back to the log.

    Args:
      log: n rows.
      share: of the groups.
      seed: Seed of the draw.
    """
    apart = rows_apart(log, share=share, seed=seed)
    return (log.rows(~apart), log.rows(apart)) if apart.any() else (log, None)


def rows_apart(log: Log, *, share: float, seed: int) -> Bool[np.ndarray, " n"]:
    """[n] True for the rows that `set_apart` takes out."""
    if share == 0:
        return np.zeros(len(log), bool)
    count = int(log.groups.max()) + 1
    chosen = np.random.default_rng([seed, 1]).permutation(count)[: max(1, round(share * count))]
    apart = np.isin(log.groups, chosen)
    learnt = np.bincount(log.arms[~apart], minlength=len(log.models)) > 0
    back = np.unique(log.groups[apart & ~learnt[log.arms]])
    return apart & ~np.isin(log.groups, back)


def fit_report(
    router: Router,
    prepared: Prepared,
    kept: Log | None,
    *,
    gold: str | None,
    crossed: bool,
    corrected: Corrected | None = None,
    scores: Scores | None = None,
    expected: Sequence[Mapping[str, Any]] = (),
    saved: Saved | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Overlap of the log, its sizes, and the page of what the router is worth.

    Of rows set apart the page is of the router that is saved, by its own outcome and propensity
    models, which never saw them. Where the evaluation is cross-fitted, it is of the routers of the
    folds, each on the rows that it never saw, and every row counts.

    Args:
      router: fitted.
      prepared: the log it was fitted on.
      kept: rows set apart; None where there are none.
      gold: value of `scored_by` that marks gold scores, or None.
      crossed: whether the evaluation is cross-fitted.
      corrected: outcomes of the rows set apart, where a judge's scores are corrected by gold ones.
      scores: of the log's rows, where they are a judge's and gold ones.
      expected: what choosing by query is expected to add, by cost weight.
      saved: what the router chooses on the log's rows, where the evaluation is cross-fitted.
      notes: what a reader must know of the log.

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
    if crossed:
        found = (
            crossed_page(router.policy, prepared, cost_weights=router.cost_weights, saved=saved)
            if scores is None
            else paired_page(
                router.policy, prepared, scores, cost_weights=router.cost_weights, saved=saved
            )
        )
        if found is None:
            return {**report, "why": "too few rows have a gold score"}
        return {**report, "evaluation": _said(found, expected, notes)}
    if kept is None or not len(kept):
        return {**report, "why": "no rows were set apart (--evaluation 0)"}
    why = _not_enough(kept, gold, corrected)
    if why is not None:
        return {**report, "why": why}
    found = _page_of_apart(router, prepared, prepared.record, kept, gold, corrected)
    return {**report, "evaluation": _said(found, expected, notes)}


def _not_enough(kept: Log, gold: str | None, corrected: Corrected | None) -> str | None:
    """Why rows set apart cannot say what a router is worth; None where they can."""
    if kept.pinned is not None and kept.pinned.all():
        return "a user pinned the model of every row that was set apart"
    if gold is not None and (count := (kept.scored_by or ()).count(gold)) < FEWEST_GOLD:
        return f"only {count} of the rows set apart have a gold score"
    if corrected is not None and (few := int(corrected.gold.sum())) < FEWEST_GOLD:
        return f"only {few} of the rows set apart have a gold score"
    return None


def _page_of_apart(
    router: Router,
    prepared: Prepared,
    learnt: Log,
    kept: Log,
    gold: str | None,
    corrected: Corrected | None,
) -> Evaluation:
    """The page of the router that is saved, by rows set apart."""
    assert prepared.nuisances is not None
    kept = kept.with_models(router.models)
    scaled = router.arrays.scaling(kept.features)
    known = applied(prepared.nuisances.propensities, kept, scaled)
    floor = floor_of(router.config.floor, models=len(router.models), recorded=known.recorded)
    evidence = Evidence(
        log=kept,
        predicted=router.expected(kept.features),
        propensities=known.of_own_choices,
        floor=floor,
        gold=None if gold is None else _gold(kept, gold, learnt),
        corrected=corrected,
    )
    covered = overlap(kept, known.answered, floor=floor, supported=known.supported)
    choices, fell_back = router_choices(router, kept.features, router.cost_weights, kept.available)
    return page(
        choices,
        evidence,
        covered,
        left_out=0,
        cost_weights=router.cost_weights,
        notes=(*_of_scores(evidence), *fell_back, *drift_notes(learnt)),
    )


def _of_scores(evidence: Evidence) -> tuple[str, ...]:
    """What a reader must know of a judge's and gold scores."""
    if evidence.corrected is not None:
        return (evidence.corrected.note,)
    return () if evidence.gold is None else (of_gold_rows(evidence.gold[0]),)


def _said(found: Evaluation, expected: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> Any:
    """The page for a report, with what is expected beside what was seen."""
    verdict = (*found.verdict, *expectations(expected, found))
    notes = (*found.notes, *notes, *([EXPECTED] if expected else []))
    return plain(dataclasses.replace(found, verdict=verdict, notes=notes))


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
