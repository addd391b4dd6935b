"""Other prices of models, in a log or a table: costs are an affine function of those recorded."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from routerjax.errors import InputError
from routerjax.records.logs import Log
from routerjax.records.rows import Rows

Record = TypeVar("Record", bound=Rows)


class PriceChange(NamedTuple):
    """What a model's queries cost from now on: scale·c, or a fixed sum in the place of c.

    Attributes:
      scale: what the cost so far is multiplied by; 0.5 is half the price.
      dollars: US dollars that every query costs, whatever it cost before; None where `scale` tells.
    """

    scale: float = 1.0
    dollars: float | None = None


def check_changes(changes: Mapping[str, PriceChange], models: Sequence[str]) -> None:
    """Raise InputError where a change is of no model that is there, or is no price."""
    for model, change in changes.items():
        if model not in models:
            near = difflib.get_close_matches(model, models, n=1, cutoff=0.4)
            hint = f" (did you mean {near[0]!r}?)" if near else f"; known are {', '.join(models)}"
            raise InputError(f"no model {model!r} to price{hint}", source="price")
        given = change.scale if change.dollars is None else change.dollars
        if not (np.isfinite(given) and given >= 0):
            problem = f"the price of {model!r} is {given:g}; it must be finite and 0 or more"
            raise InputError(problem, source="price")


def factors(
    changes: Mapping[str, PriceChange], models: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """(scale, dollars) of every model, [m] each, so that c' = scale·c + dollars."""
    whole = [changes.get(model, PriceChange()) for model in models]
    scale = [each.scale if each.dollars is None else 0.0 for each in whole]
    dollars = [each.dollars or 0.0 for each in whole]
    return np.array(scale, np.float32), np.array(dollars, np.float32)


def repriced(record: Record, changes: Mapping[str, PriceChange]) -> Record:
    """A log or a table with the costs that it would have had at other prices.

    Args:
      record: a log or a table.
      changes: model → its change; other models keep their costs.

    Raises:
      InputError: a model that the record does not have, or a price that is none.
    """
    check_changes(changes, record.models)
    scale, dollars = factors(changes, record.models)
    if isinstance(record, Log):
        scale, dollars = scale[np.asarray(record.arms)], dollars[np.asarray(record.arms)]
    cost = np.asarray(record.cost) * scale + dollars  # a missing cell stays missing
    return record.replace(cost=cost)
