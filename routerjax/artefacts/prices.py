"""A fitted router at other prices: what is affine in cost moves, what networks learnt stays."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from routerjax.artefacts.cost_units import warn_of_prices
from routerjax.errors import DataWarning
from routerjax.models.outcomes import at_prices
from routerjax.records.repricing import PriceChange, check_changes, factors
from routerjax.records.tables import Estimates

if TYPE_CHECKING:
    from routerjax.artefacts.router import Router


def with_prices(router: Router, changes: Mapping[str, PriceChange]) -> Router:
    """The router at other prices; arguments, warning and errors as of `Router.with_prices`."""
    check_changes(changes, router.models)
    warn_of_prices(router, changes)
    if router.policy.architecture.stages:
        warnings.warn(
            f"the networks of this router ({router.config.router.architecture}) were trained at "
            "the old prices and keep what they learnt; fit it again at the new ones for more "
            "than a first answer",
            DataWarning,
            stacklevel=3,
        )
    scale, dollars = factors(changes, router.models)
    mean = router.arrays.constant
    constant = Estimates(quality=mean.quality, cost=np.asarray(mean.cost) * scale + dollars)
    outcomes = at_prices(router.arrays.outcomes, scale, dollars)

    def priced_of(costs: tuple[float, ...]) -> tuple[float, ...]:
        return tuple((np.asarray(costs) * scale + dollars).tolist()) if costs else ()

    told = {model: change._asdict() for model, change in changes.items()}
    priced = dataclasses.replace(
        router,
        arrays=router.arrays._replace(outcomes=outcomes, constant=constant),
        arm_cost=priced_of(router.arm_cost),
        logged_cost=priced_of(router.logged_cost),
        provenance={**router.provenance, "prices": told},
    )
    best = tuple(priced.best_single_at(each) for each in router.cost_weights)
    return dataclasses.replace(priced, best_single=best)
