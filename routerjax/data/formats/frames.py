"""Data frames as Arrow tables: pandas, polars, pyarrow, DuckDB, whatever offers an Arrow stream."""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard, runtime_checkable

import pyarrow as pa

from routerjax.data.formats.arrow import first_line
from routerjax.errors import InputError

SOURCE = "frame"
"""What messages call a data frame, which has no path."""

UNREADABLE = (pa.ArrowException, ValueError, TypeError, KeyError)


@runtime_checkable
class Frame(Protocol):
    """A data frame of any library: it offers its columns as a stream of Arrow's C interface.

    pandas from 2.2, polars, pyarrow and DuckDB do.
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


def is_frame(data: Any) -> TypeGuard[Frame]:
    """Whether the data are a frame, not the path of a file."""
    return isinstance(data, Frame)


def load(frame: Frame) -> pa.Table:
    """The rows of a data frame, its columns of the types that a parquet file would have.

    Categories become their values, string views strings, and pandas' NaN a null.

    Raises:
      InputError: a column that Arrow cannot hold, a column name that repeats, or no rows.
    """
    try:
        table = pa.table(frame)
        for name in table.column_names:
            if table.column_names.count(name) > 1:
                raise InputError("there are two columns of this name", source=SOURCE, field=name)
        columns = [_plain(column) for column in table.columns]
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"cannot be read as Arrow: {first_line(error)}", source=SOURCE) from None
    if table.num_rows == 0:
        raise InputError("there are no rows; at least one is needed", source=SOURCE)
    return pa.table(columns, names=table.column_names)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column without encodings that files do not have."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
        return _plain(column)
    if pa.types.is_dictionary(kind):
        return pa.chunked_array([_values(chunk) for chunk in column.chunks])
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return column.cast(pa.large_list(kind.value_type))
    return column


def _values(chunk: pa.DictionaryArray) -> pa.Array:
    """The categories' values, row by row."""
    known = chunk.dictionary
    if pa.types.is_string_view(known.type):
        known = known.cast(pa.large_string())
    return known.take(chunk.indices)
