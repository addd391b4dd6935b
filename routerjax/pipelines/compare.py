"""Two routers on a log that neither was fitted on: how much more the one is worth, by dr."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from routerjax.artefacts.router import Router
from routerjax.errors import InputError
from routerjax.estimators.defaults import floor_of
from routerjax.estimators.overlap import overlap
from routerjax.estimators.utility import check_range
from routerjax.evaluation.intervals import Interval
from routerjax.pipelines.evidence import (
    Evidence,
    Scored,
    difference,
    interval,
    scored,
    unsupported_share,
)
from routerjax.pipelines.nuisance import propensities_of
from routerjax.pipelines.overlap import check_propensities
from routerjax.records.logs import Log
from routerjax.records.tables import Table
from routerjax.support.compilation import seeded_key


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A new router beside an old one at one cost weight; means per query with 95 % intervals.

    Where the log does not support a choice, an interval reaches over the whole quality range there.

    Attributes:
      cost_weight: λ.
      rows, groups: of the log.
      advantage: paired difference in utility, the new one's minus the old one's.
      new, old: utility.
      quality_change, cost_change: paired differences in quality and in dollars.
      same: share of the rows on which both choose the same model.
      unsupported: share on which the log does not support the new one's choice.
    """

    cost_weight: float
    rows: int
    groups: int
    advantage: Interval
    new: Interval
    old: Interval
    quality_change: Interval
    cost_change: Interval
    same: float
    unsupported: float


def compare(
    new: Router, old: Router, log: Log, *, cost_weight: float, exclude: Sequence[str] = ()
) -> Comparison:
    """Compare two routers on a log.

    Args:
      new: whose outcome model predicts, too.
      old: of the same unit of quality and the same embeddings.
      log: n rows that neither was fitted on, with embeddings.
      cost_weight: λ within both fitted ranges.
      exclude: models that neither may choose: they were there when the log was written, and are
        not offered any more.

    Raises:
      InputError: a row was answered by a model that `new` does not have, `old` chooses one, the
        cost weight is outside a range, or recorded propensities cannot be right.
    """
    for router in (new, old):
        check_range(cost_weight, router.cost_weights)
    log = log.with_models(new.models)
    evidence = _evidence(new, log)
    mine, chosen = (
        router.choices(
            log.features,
            cost_weights=(cost_weight,),
            available=could_be_chosen(log, router.models, exclude=exclude),
        )[0]
        for router in (new, old)
    )
    theirs = _renumbered(chosen, old, new)
    ours, others = scored(mine, evidence), scored(theirs, evidence)
    groups = log.groups

    def utility(own: Scored) -> Interval:
        return interval(own.low.utility(cost_weight), own.high.utility(cost_weight), groups)

    def change(low: np.ndarray, high: np.ndarray) -> Interval:
        same = mine == theirs
        return interval(np.where(same, 0.0, low), np.where(same, 0.0, high), groups)

    return Comparison(
        cost_weight=cost_weight,
        rows=len(log),
        groups=int(groups.max()) + 1,
        advantage=interval(*difference(ours, others, cost_weight=cost_weight), groups),
        new=utility(ours),
        old=utility(others),
        quality_change=change(
            ours.low.quality - others.high.quality, ours.high.quality - others.low.quality
        ),
        cost_change=change(ours.high.cost - others.low.cost, ours.low.cost - others.high.cost),
        same=float(np.mean(mine == theirs)),
        unsupported=unsupported_share(mine, evidence),
    )


def _evidence(router: Router, log: Log) -> Evidence:
    """What the log says: its propensities, and the router's predictions of rows it never saw."""
    config = router.config
    propensities = propensities_of(
        log,
        router.arrays.scaling,
        key=seeded_key(config.seed),
        config=config.nuisance,
        support=config.support,
    )
    floor = floor_of(config.floor, models=len(log.models), recorded=propensities.recorded)
    covered = overlap(log, propensities.answered, floor=floor, supported=propensities.supported)
    check_propensities(log, covered, trust=False, known=propensities)
    return Evidence(log, router.expected(log.features), propensities, floor)


def could_be_chosen(
    log: Log | Table, models: Sequence[str], *, exclude: Sequence[str] = ()
) -> np.ndarray | None:
    """[n, m] which of a router's models can be chosen; None where every one can.

    One that a log does not know could be, and a choice of it is refused.

    Args:
      log: n rows of a log or a table.
      models: m of a router.
      exclude: of these, those that are not offered any more.

    Raises:
      InputError: a row is left without any model.
    """
    if log.available is None and not exclude:
        return None
    everywhere, known = np.ones(len(log), bool), {}
    if log.available is not None:
        known = dict(zip(log.models, np.asarray(log.available).T, strict=True))
    found = np.stack(
        [known.get(name, everywhere) & (name not in exclude) for name in models], axis=1
    )
    if not found.any(axis=1).all():
        problem = f"no model is left for a query without {', '.join(exclude)}"
        raise InputError(problem, source=log.source, row=int(found.any(axis=1).argmin()))
    return found


def _renumbered(arms: np.ndarray, old: Router, new: Router) -> np.ndarray:
    """Arms of one router as positions among another's models."""
    names = sorted({old.models[arm] for arm in np.unique(arms)} - set(new.models))
    if names:
        problem = f"the router in service chooses {', '.join(names)}, which answered no row"
        raise InputError(f"{problem}; a log that explores would have tried it")
    position = {name: arm for arm, name in enumerate(new.models)}
    return np.array([position.get(name, 0) for name in old.models])[arms]
