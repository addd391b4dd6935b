"""The cost weight at which a router spends what it may, or asks a model as often as it may.

Calibrated on a log: at each of many cost weights the router chooses for the log's queries, and
what its choices cost, or how often they are the model, is estimated with an interval. The answer
is the smallest cost weight that keeps to the budget, which gives most quality.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool

from routerjax.artefacts.router import Router
from routerjax.errors import InputError
from routerjax.estimators.defaults import floor_of
from routerjax.estimators.folds import Folds, make_folds
from routerjax.estimators.overlap import overlap
from routerjax.evaluation.intervals import Interval, mean_interval
from routerjax.pipelines.evidence import Evidence, interval, scored
from routerjax.pipelines.observed import Observed, arm_means
from routerjax.pipelines.overlap import check_propensities
from routerjax.pipelines.propensities import fit_propensities
from routerjax.records.logs import Log
from routerjax.records.tables import Estimates
from routerjax.support.compilation import seeded_key

PLACES = 8
"""Cost weights asked for in every bracket of the fitted ones."""


@dataclasses.dataclass(frozen=True)
class Calibrated:
    """A cost weight for a budget, with what it is expected to come to.

    Attributes:
      cost_weight: λ.
      low, high: the cost weights at which the interval's ends keep to the budget: the least that
        may do, and one that does in all likelihood.
      spent: dollars per query at λ, or the share of the queries that go to the model.
      budget: asked for, in the same unit.
    """

    cost_weight: float
    low: float
    high: float
    spent: Interval
    budget: float


def cost_weight_for(
    router: Router,
    log: Log,
    *,
    dollars: float | None = None,
    share: tuple[str, float] | None = None,
    offered: Bool[np.ndarray, " m"] | None = None,
) -> Calibrated:
    """Calibrate a cost weight on a log.

    Args:
      router: fitted.
      log: of queries like those to come, with embeddings. Rows that the router was fitted on may
        be among them: costs are predicted by the models' means in other folds, not by the router.
        That the router knows these rows is in no interval.
      dollars: per query on average.
      share: a model, and the share of the queries that may go to it.
      offered: [m] models of the router that are offered at all; None: all are. Rows where none of
        these could be chosen are left out.

    Raises:
      InputError: neither or both, a model that the router does not have, a share outside [0, 1],
        a row answered by a model the router does not have, recorded propensities that cannot be
        right, no row that is left, or a budget that no cost weight keeps.
    """
    if (dollars is None) == (share is None):
        raise InputError("give one of a budget in dollars per query and a share of a model")
    fitted = np.arange(len(router.cost_weights), dtype=np.float64)
    steps = np.linspace(0, fitted[-1], PLACES * (len(fitted) - 1) + 1)
    grid = np.interp(steps, fitted, router.cost_weights)
    log = log.with_models(router.models)
    if offered is not None:
        log = log.rows(_could(log, offered).any(axis=1))
    may = log.available if offered is None else _could(log, offered)
    choices = router.choices(log.features, cost_weights=grid.tolist(), available=may)
    if share is not None:
        model, budget = share
        if model not in router.models or not 0 <= budget <= 1:
            known = ", ".join(router.models)
            raise InputError(f"'{model}={budget:g}' is no share from 0 to 1 of one of {known}")
        arm, groups = router.models.index(model), log.groups
        spent = [mean_interval(1.0 * (own == arm), groups=groups) for own in choices]
    else:
        assert dollars is not None
        budget, spent = dollars, _costs(router, log, choices)
    return _kept(grid, spent, budget)


def _could(log: Log, offered: Bool[np.ndarray, " m"]) -> Bool[np.ndarray, "n m"]:
    """[n, m] models that could be chosen on a row, of those that are offered."""
    available = np.ones((len(log), len(offered)), bool) if log.available is None else log.available
    return np.asarray(available & offered)


def _costs(router: Router, log: Log, choices: np.ndarray) -> list[Interval]:
    """Dollars per query of each choice, by dr."""
    config = router.config
    folds = make_folds(
        np.asarray(log.arms),
        folds=config.nuisance.folds,
        held_out=config.nuisance.held_out,
        key=seeded_key(config.seed),
        groups=log.groups,
    )
    x = router.arrays.scaling(log.features)
    propensities = fit_propensities(log, x, folds, support=config.support)
    floor = floor_of(config.floor, models=len(log.models), recorded=propensities.recorded)
    covered = overlap(log, propensities.answered, floor=floor, supported=propensities.supported)
    check_propensities(log, covered, trust=False, known=propensities)
    evidence = Evidence(log, _means(log, folds), propensities, floor)
    found: list[Interval] = []
    for k, own in enumerate(choices):
        if k and np.array_equal(own, choices[k - 1]):
            found.append(found[-1])
            continue
        scores = scored(own, evidence)
        found.append(interval(scores.high.cost, scores.low.cost, log.groups))
    return found


def _means(log: Log, folds: Folds) -> Estimates:
    """[n, m] mean quality and cost of every model over the rows outside each row's fold."""
    observed, models = Observed.of(log), len(log.models)
    quality, cost = (
        arm_means(values[:, None], observed, folds, models, prior_rows=1.0)[folds.of_row]
        for values in (np.asarray(log.quality, np.float64), np.asarray(log.cost, np.float64))
    )
    return Estimates(quality=quality.astype(np.float32), cost=cost.astype(np.float32))


def _kept(grid: np.ndarray, spent: list[Interval], budget: float) -> Calibrated:
    """The smallest cost weight from which on the budget is kept, by the mean and by both ends."""

    def first(values: list[float]) -> int | None:
        over = np.flatnonzero(~(np.asarray(values) <= budget))
        place = int(over[-1]) + 1 if len(over) else 0
        return place if place < len(grid) else None

    place = first([own.mean for own in spent])
    if place is None:
        least = min(own.mean for own in spent)
        problem = f"no fitted cost weight keeps to {budget:g}; the least is {least:.3g}"
        raise InputError(f"{problem} (fit again with larger --cost-weights)")
    low = first([_or(own.low, own.mean) for own in spent])
    high = first([_or(own.high, own.mean) for own in spent])
    return Calibrated(
        cost_weight=float(grid[place]),
        low=float(grid[place if low is None else low]),
        high=float(grid[-1] if high is None else grid[high]),
        spent=spent[place],
        budget=budget,
    )


def _or(value: float, other: float) -> float:
    return value if np.isfinite(value) else other
