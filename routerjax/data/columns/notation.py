"""How a schema says that the numbers of a column are written."""

from __future__ import annotations

from routerjax.data.columns.names import AVAILABLE, COST, PROPENSITY, SCORE
from routerjax.data.columns.schema import Schema, cost_unit
from routerjax.data.columns.values import CENTS, Notation


def notation_of(name: str, schema: Schema) -> Notation:
    """The notation of the column that has this name in routerjax."""
    is_cost = name == "cost" or name.startswith(COST)
    is_quality = name in ("quality", "gold_quality") or name.startswith(SCORE)
    general = "cost" if is_cost else "quality" if is_quality else name
    general = "available" if name.startswith(AVAILABLE) else general
    general = "propensity" if name.startswith(PROPENSITY) else general
    return Notation(
        name=general,
        worth=schema.values.get(name, schema.values.get(general, {})),
        decimal=schema.decimal,
        currency=_sign(schema.cost_unit) if is_cost and schema.money else None,
        ratings=schema.ratings and is_quality,
        whole=name in ("input_tokens", "output_tokens"),
    )


def _sign(unit: str) -> str:
    """The currency whose sign may stand beside a cost in this unit."""
    return CENTS if unit.strip().lower() == CENTS else cost_unit(unit)[1]
