"""From the options that say how a file is read to a schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routerjax.cli.options import Reading
from routerjax.cli.parse import parse_columns, parse_range

if TYPE_CHECKING:
    from routerjax.data.columns.schema import Schema


def schema_of(reading: Reading, *, columns: str | None = None) -> Schema:
    """What the options of a command say, laid over the schema that they name.

    Args:
      reading: the options.
      columns: names of columns in place of those of `reading`.

    Raises:
      InputError: a value that a rule cannot have, or a schema that cannot be read.
    """
    from routerjax.data.columns.schema import Join, resolved

    return resolved(reading.schema).having(
        columns=parse_columns(reading.columns if columns is None else columns),
        values=dict(reading.values),
        cost_unit=reading.cost_unit,
        decimal=reading.decimal,
        money=reading.money or None,
        ratings=reading.ratings or None,
        prices=reading.prices,
        zero_cost=reading.zero_cost,
        strict=reading.strict or None,
        joins=tuple(Join(*join) for join in reading.join) or None,
        where=dict(reading.where),
        prompt_form=reading.prompt_form,
        aliases=dict(reading.alias),
        failed=(reading.failed if len(reading.failed) != 1 else reading.failed[0]) or None,
        failed_quality=reading.failed_quality,
        quality_range=parse_range(reading.quality_range) if reading.quality_range else None,
        both_bad=reading.both_bad,
        split_by=reading.split_by,
    )
