"""From the options of a command that reads rows to the rows, and from results to JSON."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from routerjax.cli.options import Prices, Reading
from routerjax.cli.rules import schema_of
from routerjax.errors import InputError
from routerjax.support.imports import quick_imports

if TYPE_CHECKING:
    from routerjax.records.logs import Log
    from routerjax.records.repricing import PriceChange
    from routerjax.records.tables import Table


Gold = tuple[str, str | None] | None
"""Of --gold-column: COLUMN and None, or COLUMN and VALUE."""


def read(
    reading: Reading,
    path: str | list[str],
    *,
    gold: Gold = None,
    prompt_form: str | None = None,
    models: Sequence[str] | None = None,
) -> Table | Log:
    """The table or log in a file.

    Args:
      reading: names of columns, range, embeddings.
      path: of the file, of several files, a pattern of names, or a hub id.
      gold: the column of gold scores and None, or the column that says how each row was scored and
        its value where the score is gold.
      prompt_form: what becomes of messages where the options do not say it.
      models: the arms, in order; by default those that occur.

    Raises:
      InputError: as `files.read_rows`, and for a column of gold scores without any.
    """
    from routerjax.data.columns.schema import Schema
    from routerjax.data.io import files

    schema = schema_of(reading)
    if reading.prompt_form is None and schema.prompt_form == Schema.prompt_form:
        schema = schema.having(prompt_form=prompt_form)
    columns = columns_of(reading)
    if gold is not None:
        columns["scored_by" if gold[1] is not None else "gold_quality"] = gold[0]
    try:
        found = files.read_rows(
            path,
            schema=schema,
            columns=columns,
            drop_missing=reading.drop_missing,
            embeddings=reading.embeddings,
            models=models,
            in_memory=reading.memory,
        )
    except InputError as error:
        if gold is None or gold[1] is not None or error.field != gold[0]:
            raise
        problem = f"{error.problem}; --gold-column {gold[0]}=VALUE is for a column of words"
        raise InputError(problem, source=error.source, field=error.field, row=error.row) from None
    if gold is not None and gold[1] is None and getattr(found, "gold_quality", 0) is None:
        raise InputError("no row has a gold score", source=found.source, field=gold[0])
    return found


def columns_of(reading: Reading) -> dict[str, str]:
    """Columns that have an option of their own."""
    own = {name: getattr(reading, name) for name in ("group", "available", "time", "pinned")}
    return {name: column for name, column in own.items() if column is not None}


def changes(prices: Prices) -> dict[str, PriceChange]:
    """Model → its change of price, of what --price said."""
    from routerjax.records.repricing import PriceChange

    return {model: PriceChange(scale, dollars) for model, scale, dollars in prices.price}


def keep_compiled() -> None:
    """Keep compiled programs on disk: compiling is most of a short command's time."""
    if "jax" not in sys.modules:
        with quick_imports():
            import jax  # noqa: F401
    from routerjax.support.compilation import keep_compiled

    keep_compiled()


def print_json(value: Any) -> None:
    """Print one JSON document; an object says under `warnings` what the command warned of."""
    from routerjax.cli.terminal import warned
    from routerjax.support.provenance import dumps

    print(dumps({**value, "warnings": warned()} if isinstance(value, Mapping) else value))
