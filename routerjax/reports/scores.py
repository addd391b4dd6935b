"""Scores of whole routers, one a seed, from result records and the records of references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from routerjax.errors import InputError
from routerjax.evaluation.curves import (
    Curve,
    Span,
    TwoModels,
    area,
    average_gap_recovered,
    call_curve,
    calls_for_gap,
    cost_to_reach,
    curve,
    peak,
    span,
)
from routerjax.evaluation.metrics import collapse, shares
from routerjax.records.tables import Estimates
from routerjax.reports.selection import (
    Results,
    by_seed,
    cost_weights_of,
    methods_of,
    on_grid,
    seeds_of,
    where,
)


class Score(NamedTuple):
    """How a score is shown.

    Attributes:
      title: head of its column.
      sign: 1 where more is better, −1 where less is, 0 where it only describes.
      scale: what its numbers are multiplied by.
      digits: after the point.
    """

    title: str
    sign: int
    scale: float = 1.0
    digits: int = 3


SCORES = {
    "utility": Score("mean utility", 1),
    "regret": Score("mean regret", -1),
    "area": Score("area", 1),
    "peak": Score("peak quality", 1),
    "cost_to_best_single": Score("$/1000 to best single", -1, 1000.0, 3),
    "most_used": Score("most used model, %", 0, 100.0, 0),
    "collapse": Score("less oracle's, %", 0, 100.0, 0),
    "apgr": Score("APGR", 1),
    "cpt50": Score("CPT(50 %), %", -1, 100.0, 0),
    "cpt80": Score("CPT(80 %), %", -1, 100.0, 0),
}
"""In the order of a table's columns; the last five as far as the records hold shares."""

Scores = Mapping[str, Mapping[str, np.ndarray]]


def reference_record(
    outcomes: Estimates,
    *,
    models: Sequence[str],
    cost_weights: Sequence[float],
    logging: str,
    seed: int,
) -> dict[str, Any]:
    """What the scores of one seed refer to: single models, cheapest, dearest, oracle.

    Args:
      outcomes: [n, m] known outcomes of the test rows, as the policies are evaluated by.
      models: m names.
      cost_weights: all at which policies are evaluated.
      logging, seed: of the run.
    """
    within = span(outcomes)
    best = [
        np.asarray(outcomes.utilities(cost_weight)).argmax(axis=1) for cost_weight in cost_weights
    ]
    return {
        "record": "reference",
        "logging": logging,
        "seed": seed,
        "models": list(models),
        "mean_cost": np.asarray(outcomes.cost, np.float64).mean(axis=0).tolist(),
        "mean_quality": np.asarray(outcomes.quality, np.float64).mean(axis=0).tolist(),
        "cheapest_cost": within.low,
        "dearest_cost": within.high,
        "cheapest_quality": within.floor,
        "cost_weights": [float(cost_weight) for cost_weight in cost_weights],
        "oracle_shares": [shares(arms, len(models)).tolist() for arms in best],
    }


def span_of(reference: Mapping[str, Any]) -> Span:
    """The cost range that a reference record holds.

    Raises:
      InputError: one of its three numbers is missing.
    """
    names = ("cheapest_cost", "dearest_cost", "cheapest_quality")  # as reference_record has them
    lacking = [name for name in names if name not in reference]
    if lacking:
        seed = reference.get("seed")
        raise InputError(f"reference of seed {seed} lacks {', '.join(lacking)}", source="results")
    return Span(*(float(reference[name]) for name in names))


def reference_of(references: Results, seed: int) -> Mapping[str, Any]:
    """The reference record of a seed.

    Raises:
      InputError: there is none.
    """
    found = where(references, seed=seed)
    if not found:
        raise InputError(f"no reference record of seed {seed}", source="results")
    return found[0]


def curves(results: Results, references: Results, method: str) -> dict[int, Curve]:
    """A method's cost–quality curve by seed, over the grid of cost weights as trained."""
    own = where(on_grid(results), method=method)
    cost, quality = (by_seed(own, method, metric=name) for name in ("cost", "quality"))
    return {
        seed: curve(cost[row], quality[row], span_of(reference_of(references, seed)))
        for row, seed in enumerate(seeds_of(own))
    }


def scores(results: Results, references: Results) -> Scores:
    """Every score the records allow: name → method → [s] by seed, NaN where a seed is missing.

    Args:
      results: records of one logging policy, strength and number of rows.
      references: reference records of that logging policy; empty for utility and regret alone.
    """
    results = on_grid(results)
    seeds, cost_weights = seeds_of(results), cost_weights_of(results)
    found: dict[str, dict[str, np.ndarray]] = {}
    for method in methods_of(results):
        own = where(results, method=method)
        for name in ("utility", "regret"):
            if all(name in r for r in own):
                values = by_seed(own, method, metric=name, seeds=seeds, cost_weights=cost_weights)
                found.setdefault(name, {})[method] = values.mean(axis=1)
        if not references:
            continue
        rows = {seed: _of_seed(own, seed, reference_of(references, seed)) for seed in seeds_of(own)}
        for name in next(iter(rows.values())):
            column = [rows[seed].get(name, np.nan) if seed in rows else np.nan for seed in seeds]
            found.setdefault(name, {})[method] = np.array(column, np.float64)
    return {name: found[name] for name in SCORES if name in found}


def _of_seed(own: Results, seed: int, reference: Mapping[str, Any]) -> dict[str, float]:
    """Scores of one method and seed that refer to single models or to the oracle."""
    own = sorted(where(own, seed=seed), key=lambda r: r["cost_weight"])
    cost, quality = (np.array([r[name] for r in own]) for name in ("cost", "quality"))
    within = span_of(reference)
    line = curve(cost, quality, within)
    found = {
        "area": area(line, within),
        "peak": peak(quality),
        "cost_to_best_single": cost_to_reach(line, max(reference["mean_quality"])),
    }
    if not all("shares" in r for r in own):
        return found
    used = np.array([r["shares"] for r in own])
    oracle = dict(zip(reference["cost_weights"], reference["oracle_shares"], strict=True))
    pairs = [(row, oracle[r["cost_weight"]]) for r, row in zip(own, used, strict=True)]
    found["most_used"] = float(used.max(axis=1).mean())
    found["collapse"] = float(np.mean([collapse(mine, best) for mine, best in pairs]))
    return found | (_of_two_models(used, quality, reference) if used.shape[1] == 2 else {})


def _of_two_models(
    used: np.ndarray, quality: np.ndarray, reference: Mapping[str, Any]
) -> dict[str, float]:
    """APGR and CPT; the strong model is the dearer one."""
    strong = int(np.argmax(reference["mean_cost"]))
    models = TwoModels(reference["mean_quality"][1 - strong], reference["mean_quality"][strong])
    line = call_curve(used[:, strong], quality, models)
    return {
        "apgr": average_gap_recovered(line, models),
        "cpt50": calls_for_gap(line, models, share=0.5),
        "cpt80": calls_for_gap(line, models, share=0.8),
    }
