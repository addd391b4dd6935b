"""Numbers of which a file holds the parts: ``cost=input_cost+output_cost``."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routerjax.data.columns import paths
from routerjax.data.columns.names import COST
from routerjax.data.columns.notation import notation_of
from routerjax.data.columns.schema import Schema
from routerjax.data.columns.values import numbers
from routerjax.errors import InputError

SIGN = "+"
SUMMED = ("cost", "input_tokens", "output_tokens")
"""Columns of which a row's number may be the sum of several."""


def parts_of(name: str, path: str) -> tuple[str, ...]:
    """The paths of which a path is the sum; nothing where `name` is no sum.

    >>> parts_of("cost", "usage.input_cost + usage.output_cost")
    ('usage.input_cost', 'usage.output_cost')
    """
    if SIGN not in path or not (name in SUMMED or name.startswith(COST)):
        return ()
    parts = tuple(part.strip() for part in path.split(SIGN))
    return parts if all(parts) else ()


def sum_of(
    table: pa.Table, name: str, path: str, schema: Schema, kept: np.ndarray | None
) -> pa.ChunkedArray | None:
    """[n] float64, the sum of the columns of a path, null where a row lacks one of them.

    Args:
      table: of n rows.
      name: routerjax's name of the column.
      path: paths with a + between them.
      schema: says how numbers are written.
      kept: [n] bool, rows that are read; None where all are.

    Returns:
      None where the path is no sum, or the file lacks one of its columns.

    Raises:
      InputError: a cell that is no number.
    """
    parts = parts_of(name, path)
    columns = [paths.column(table, part) for part in parts]
    if not parts or any(cells is None for cells in columns):
        return None
    total = np.zeros(table.num_rows)
    for part, cells in zip(parts, columns, strict=True):
        assert cells is not None
        if kept is not None:
            cells = pc.if_else(pa.array(kept), cells, pa.scalar(None, cells.type))
        try:
            total += numbers(cells, notation_of(name, schema))
        except InputError as error:
            raise InputError(error.problem, field=part, row=error.row) from None
    return pa.chunked_array([pa.array(total, from_pandas=True)])
