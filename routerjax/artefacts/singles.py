"""The best single model by the log of a router's fit, and where the router is that model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from routerjax.baselines.policies import first_available
from routerjax.baselines.singles import Singles
from routerjax.records.tables import Estimates

if TYPE_CHECKING:
    from routerjax.artefacts.router import Router

MOST_KEPT = 256
"""Cost weights of which a router keeps the order of its models."""


def single_ranks(router: Router, cost_weight: float) -> Float[np.ndarray, " m"]:
    """[m] numbers that order the models by the log (`Singles.ranks`), or 1 for the best alone.

    Models that were added after the fit come last: no log speaks of them. What was found for a cost
    weight is kept, since queries are routed one by one at few of them.
    """
    kept = router._ranks
    found = kept.get(cost_weight)
    if found is None:
        if len(kept) >= MOST_KEPT:
            kept.clear()
        found = kept[cost_weight] = _ranks(router, cost_weight)
        found.setflags(write=False)
    return found


def _ranks(router: Router, cost_weight: float) -> Float[np.ndarray, " m"]:
    if not router.arm_quality:
        nearest = int(abs(np.asarray(router.cost_weights) - cost_weight).argmin())
        return np.equal(router.models, router.best_single[nearest]).astype(np.float64)
    known = ~np.isin(router.models, [*router.provenance.get("newcomers", {})])
    ranks = _singles(router, known).ranks(cost_weight)
    found = np.full(len(known), ranks.min() - 1.0)
    found[known] = ranks
    return found


def _singles(router: Router, known: Bool[np.ndarray, " m"]) -> Singles:
    """What the log told of its models; routers of before know no deviations and no plain means."""

    def of_known(values: tuple[float, ...]) -> np.ndarray:
        return np.asarray(values, np.float64)[known]

    means = Estimates(quality=of_known(router.arm_quality), cost=of_known(router.arm_cost))
    if not router.arm_deviation:
        return Singles(means)
    deviation = of_known(router.arm_deviation)
    if not router.logged_quality:
        return Singles(means, deviation)
    logged = Estimates(quality=of_known(router.logged_quality), cost=of_known(router.logged_cost))
    return Singles(means, deviation, logged)


def keeps(router: Router, cost_weight: float) -> bool:
    """Whether the router is its best single model for every query.

    Between two fitted cost weights it is, where it is at both.
    """
    if not router.kept:
        return False
    above = int(np.searchsorted(router.cost_weights, cost_weight))
    above = min(above, len(router.kept) - 1)
    below = above if router.cost_weights[above] <= cost_weight else max(above - 1, 0)
    return router.kept[above] and router.kept[below]


def kept_arms(
    router: Router, cost_weights: Sequence[float], available: Bool[np.ndarray, "n m"] | None
) -> Int[np.ndarray, "*kept"]:
    """Arms that the router is for every query, −1 where it chooses by query.

    Args:
      router: fitted.
      cost_weights: k of them.
      available: [n, m] True where a model can be chosen; None where every model can.

    Returns:
      [k], or [k, n] where not every model is available: the next best that is.
    """
    own = [keeps(router, each) for each in cost_weights]
    if available is None or not own:
        both = zip(own, cost_weights, strict=True)
        best = [single_ranks(router, each).argmax() if kept else -1 for kept, each in both]
        return np.array(best, np.int64)
    there = [first_available(single_ranks(router, each), available) for each in cost_weights]
    return np.where(np.array(own)[:, None], np.stack(there), -1)
