"""Costs that are so far from those a router was fitted on that their unit is another one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from routerjax.errors import DataWarning
from routerjax.records.logs import Log
from routerjax.records.repricing import PriceChange
from routerjax.records.tables import Table

if TYPE_CHECKING:
    from routerjax.artefacts.router import Router

FAR = 20.0
"""Times as dear, or as cheap, that prices and prompts hardly become."""
FAR_PRICE = 100.0
"""Times as dear as the dearest model, or as before, that a new price hardly is."""


def warn_of_costs(router: Router, data: Log | Table) -> None:
    """Warn where models cost more than `FAR` times what they cost in the router's log, or less.

    With r_m the mean cost of model m here over that in the router's log, the median of r_m over the
    models that cost something in both; a single model may have another price.
    """
    if not router.arm_cost:
        return
    here = dict(zip(data.models, _mean_costs(data), strict=True))
    before = dict(zip(router.models, router.arm_cost, strict=True))
    told = [here[m] / before[m] for m in here if here[m] > 0 and before.get(m, 0.0) > 0]
    if not told:
        return
    factor = float(np.median(told))
    if not 1 / FAR <= factor <= FAR:
        warnings.warn(
            f"{data.source}: models cost {_times(factor)} what they cost in the log that the "
            f"router was fitted on, and its cost weights are per dollar; is the unit of cost "
            "another one (--cost-unit)?",
            DataWarning,
            stacklevel=3,
        )


def _mean_costs(data: Log | Table) -> Float[np.ndarray, " m"]:
    """[m] mean cost of every model's rows, NaN of none."""
    cost, models = np.asarray(data.cost, np.float64), len(data.models)
    if isinstance(data, Log):
        arms = np.asarray(data.arms)
        count, total = np.bincount(arms, minlength=models), np.bincount(arms, cost, models)
    else:
        count, total = np.isfinite(cost).sum(axis=0), np.nansum(cost, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def warn_of_prices(router: Router, changes: Mapping[str, PriceChange]) -> None:
    """Warn of a price that is far from the model's own, or above all that the router knows."""
    known = dict(zip(router.models, router.arm_cost, strict=False))
    dearest = max(known.values(), default=0.0)
    for model, change in changes.items():
        if change.dollars is not None:
            if dearest > 0 and change.dollars > FAR_PRICE * dearest:
                _warn(
                    f"the price of {model!r} is {change.dollars:g} dollars per query, "
                    f"{_times(change.dollars / dearest)} what the dearest model of the router "
                    f"costs ({dearest:.3g}); is it a price per million tokens?"
                )
        elif change.scale > 0 and not 1 / FAR_PRICE <= change.scale <= FAR_PRICE:
            _warn(f"the price of {model!r} is {_times(change.scale)} what it was; is that meant?")


def warn_of_own_costs(name: str, factor: float, *, source: str) -> None:
    """Warn where a newcomer's own rows cost `FAR` times what is expected of it, or less.

    Args:
      name: of the newcomer.
      factor: mean cost of its rows over what its price says.
      source: of the rows.
    """
    if factor > 0 and not 1 / FAR <= factor <= FAR:
        _warn(
            f"{source}: rows of {name!r} cost {_times(factor)} what its price says; is the unit of "
            "cost another one (--cost-unit), or the price wrong (--price)?"
        )


def _warn(problem: str) -> None:
    warnings.warn(problem, DataWarning, stacklevel=4)


def _times(factor: float) -> str:
    """1,000 times; 1/50 of."""
    return f"{factor:,.0f} times" if factor >= 1 else f"1/{1 / factor:,.0f} of"
