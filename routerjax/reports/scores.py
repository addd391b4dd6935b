"""Scores of whole routers, one a seed, from result records and the records of references."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from routerjax.errors import InputError
from routerjax.evaluation.curves import (
    Curve,
    Span,
    area,
    cost_to_reach,
    curve,
    peak,
    span,
)
from routerjax.evaluation.metrics import collapse, shares
from routerjax.evaluation.two_models import TwoModels, area_over_calls, call_curve
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


@dataclasses.dataclass(frozen=True)
class OneSeed:
    """The records of one method and seed, and what they are compared with.

    Attributes:
      records: on the grid of cost weights, λ rising.
      cost_weights: the whole grid; a record may be missing.
      reference: the seed's reference record, None where there is none.
    """

    records: Results
    cost_weights: Sequence[float]
    reference: Mapping[str, Any] | None

    def allows(self, need: str) -> bool:
        """Whether there is a reference, "two models" with shares, or a field in every record."""
        if need == "reference":
            return self.reference is not None
        if need == "two models":
            return self.allows("shares") and len(self.records[0]["shares"]) == 2
        return all(need in record for record in self.records)

    def mean(self, metric: str) -> float:
        """Mean of a metric over the grid, NaN where a cost weight is missing."""
        known = {record["cost_weight"]: record[metric] for record in self.records}
        return float(np.mean([known.get(each, np.nan) for each in self.cost_weights]))

    def values(self, metric: str) -> np.ndarray:
        """[w] a metric, or [w, m] the shares, λ rising."""
        return np.array([record[metric] for record in self.records])

    @property
    def compared(self) -> Mapping[str, Any]:
        """The reference record, where there must be one."""
        assert self.reference is not None
        return self.reference

    @property
    def within(self) -> Span:
        """The cost range of the seed."""
        return span_of(self.compared)

    @property
    def curve(self) -> Curve:
        """The cost–quality curve."""
        return curve(self.values("cost"), self.values("quality"), self.within)

    @property
    def two_models(self) -> TwoModels:
        """Mean quality of the two models; the strong one is the dearer."""
        quality, strong = self.compared["mean_quality"], self._strong
        return TwoModels(quality[1 - strong], quality[strong])

    @property
    def calls(self) -> np.ndarray:
        """[w] share of queries that the strong model answers, λ rising."""
        return self.values("shares")[:, self._strong]

    @property
    def _strong(self) -> int:
        return int(np.argmax(self.compared["mean_cost"]))


class Score(NamedTuple):
    """One column of a table: how it is computed and how it is shown.

    Attributes:
      title: head of its column.
      sign: 1 where more is better, −1 where less is, 0 where it only describes.
      of: its value for one method and seed.
      needs: what it is computed from, as `OneSeed.allows` knows it.
      scale: what its numbers are multiplied by.
      digits: after the point.
    """

    title: str
    sign: int
    of: Callable[[OneSeed], float]
    needs: tuple[str, ...]
    scale: float = 1.0
    digits: int = 3


def _utility(own: OneSeed) -> float:
    return own.mean("utility")


def _regret(own: OneSeed) -> float:
    return own.mean("regret")


def _area(own: OneSeed) -> float:
    return area(own.curve, own.within)


def _peak(own: OneSeed) -> float:
    return peak(own.values("quality"))


def _cost_to_best_single(own: OneSeed) -> float:
    return cost_to_reach(own.curve, max(own.compared["mean_quality"]))


def _most_used(own: OneSeed) -> float:
    return float(own.values("shares").max(axis=1).mean())


def _collapse(own: OneSeed) -> float:
    reference = own.compared
    oracle = dict(zip(reference["cost_weights"], reference["oracle_shares"], strict=True))
    shares = zip(own.records, own.values("shares"), strict=True)
    return float(np.mean([collapse(row, oracle[r["cost_weight"]]) for r, row in shares]))


def _area_over_calls(own: OneSeed) -> float:
    found = call_curve(own.calls, own.values("quality"), own.two_models)
    return area_over_calls(found, own.two_models)


_COMPARED, _SHARES = ("reference",), ("reference", "shares")
_TWO = ("reference", "two models")

SCORES = {
    "utility": Score("mean utility", 1, _utility, ("utility",)),
    "regret": Score("mean regret", -1, _regret, ("regret",)),
    "area": Score("area", 1, _area, _COMPARED),
    "peak": Score("peak quality", 1, _peak, _COMPARED),
    "cost_to_best_single": Score(
        "$/1000 to best single", -1, _cost_to_best_single, _COMPARED, scale=1000.0
    ),
    "most_used": Score("most used model, %", 0, _most_used, _SHARES, scale=100.0, digits=0),
    "collapse": Score("less oracle's, %", 0, _collapse, _SHARES, scale=100.0, digits=0),
    "area_over_calls": Score("area over calls", 1, _area_over_calls, _TWO),
}
"""Our own, in the order of a table's columns. A score that is added here is a column of every table
whose records hold what it needs. Other authors' are in `published_scores`."""

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


def scores(
    results: Results, references: Results, *, columns: Mapping[str, Score] = SCORES
) -> Scores:
    """Every score the records allow: name → method → [s] by seed, NaN where a seed is missing.

    Args:
      results: records of one logging policy, strength and number of rows.
      references: reference records of that logging policy; empty for utility and regret alone.
      columns: the scores by name.
    """
    results = on_grid(results)
    seeds, cost_weights = seeds_of(results), cost_weights_of(results)
    found: dict[str, dict[str, np.ndarray]] = {}
    for method in methods_of(results):
        own = where(results, method=method)
        rows = {}
        for seed in seeds_of(own):
            records = sorted(where(own, seed=seed), key=lambda record: record["cost_weight"])
            reference = reference_of(references, seed) if references else None
            rows[seed] = OneSeed(records, cost_weights, reference)
        for name, score in columns.items():
            column = [_value(score, rows.get(seed)) for seed in seeds]
            if not all(value is None for value in column):
                values = [np.nan if value is None else value for value in column]
                found.setdefault(name, {})[method] = np.array(values, np.float64)
    return {name: found[name] for name in columns if name in found}


def _value(score: Score, own: OneSeed | None) -> float | None:
    """The score of one seed, None where the records do not allow it."""
    if own is None or not all(own.allows(need) for need in score.needs):
        return None
    return score.of(own)
