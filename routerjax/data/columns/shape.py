"""A file's table put in the shape that a schema describes: which cells are which column."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routerjax.data.columns import layouts, paths
from routerjax.data.columns.arrays import is_text, quoted
from routerjax.data.columns.join import joined
from routerjax.data.columns.names import nearest
from routerjax.data.columns.prompts import Prompts
from routerjax.data.columns.schema import Names, Schema, condition, each
from routerjax.data.columns.sums import parts_of, sum_of
from routerjax.data.columns.values import same, words
from routerjax.data.formats import loading, several
from routerjax.data.formats.frames import SOURCE, Frame, is_frame
from routerjax.data.formats.frames import load as load_frame
from routerjax.errors import InputError, printable

MOST_LISTED = 30  # columns of a file that a message lists
LONGEST_LIST = 160  # characters of that list
LONGEST_FIELD = 60  # characters of a name in it
PICKLES = (".pkl", ".pickle")
DEEPEST = 6  # levels of objects in which columns of models are looked for
MOST_VALUES = 5  # values of a column that a message lists

Cells = tuple[pa.ChunkedArray, ...]


def load(path: loading.Paths | Frame, schema: Schema, in_memory: int) -> tuple[pa.Table, str]:
    """The rows of a file or a data frame, with what its second files add; and its name."""
    if is_frame(path):
        source, table = SOURCE, load_frame(path)
    elif isinstance(path, str | os.PathLike | list | tuple):
        source, table = several.title(path), _file(path, in_memory)
    else:
        what = type(path).__name__
        raise InputError(
            f"a {what} is neither a path, a list of paths nor a data frame that Arrow can read "
            "(pandas from 2.2, polars, pyarrow, DuckDB)"
        )
    table = layouts.in_rows(table, schema, source=source)
    for join in schema.joins:
        table = joined(table, join, source=source)
    return table, source


def columns_of(
    table: pa.Table, schema: Schema, rows: np.ndarray | None = None
) -> tuple[dict[str, str], dict[str, Cells]]:
    """routerjax's names of the columns to the file's, in the file's order, and to their cells.

    Args:
      table: of n rows.
      schema: the names.
      rows: [n] bool, those that are read, of `kept`; None where all are.

    Raises:
      InputError: the schema names a column that the file does not have, or adds up cells that are
        no numbers.
    """
    wanted = _without_patterns(table, schema)
    names: dict[str, str] = {}
    cells: dict[str, Cells] = {}
    taken = {
        part
        for name, columns in wanted.items()
        for part in (each(columns)[0], *parts_of(name, each(columns)[0]))
    }
    for name, columns in wanted.items():
        found = _cells(table, name, each(columns), schema, rows)
        if found:
            names[name] = " or ".join(found)
            cells[name] = tuple(found.values())
        elif isinstance(columns, str):
            absent = _absent(table, name, columns)
            raise InputError(f"no column '{absent}' to read {name} from; {_nearby(table, absent)}")
    for column in table.column_names:
        if column not in taken and column not in wanted:  # a renamed one has lost its own name
            names[column], cells[column] = column, (table[column],)
    order = {column: place for place, column in enumerate(table.column_names)}
    # In the file's order, which is the order of a table's models.
    names = dict(sorted(names.items(), key=lambda item: order.get(item[1], len(order))))
    return names, cells


def kept(table: pa.Table, schema: Schema) -> np.ndarray | None:
    """[n] bool: rows that the schema keeps; None where it keeps all.

    Raises:
      InputError: a condition on a column that the file does not have, or that no row meets.
    """
    mask: np.ndarray | None = None
    for column, wanted in schema.where.items():
        texts = _texts(table, column)
        own = np.array([same(text, wanted) for text in texts])
        mask = own if mask is None else mask & own
        if not mask.any():
            there = list(dict.fromkeys(text for text in texts if text))[:MOST_VALUES]
            shown = ", ".join(map(quoted, there)) or "nothing"
            raise InputError(f"no row is {quoted(wanted)}; it holds {shown}", field=column)
    return mask


def conditions(
    table: pa.Table, schema: Schema, source: str
) -> Iterator[tuple[pa.ChunkedArray, bool, str]]:
    """Cells, whether they must equal it, and the text, of what says that a call failed.

    Raises:
      InputError: the one condition of a schema names a column that the file does not have.
    """
    for text in each(schema.failed):
        column, equal, wanted = condition(text)
        cells = paths.column(table, column)
        if cells is not None and not pa.types.is_nested(cells.type):
            yield cells, equal, wanted
        elif isinstance(schema.failed, str):
            raise InputError(f"no column '{column}'; {_nearby(table, column)}", source=source)


def first_of(cells: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """[n] in each row the first cell that is not null; as text where types differ."""
    kinds = {column.type for column in cells}
    if len(kinds) > 1:
        cells = [pa.chunked_array([pa.array(words(column), pa.string())]) for column in cells]
    return pc.coalesce(*(column.combine_chunks() for column in cells))


def first_prompts(found: Sequence[Prompts]) -> Prompts:
    """In each row the first prompt there is."""
    first = found[0]
    for other in found[1:]:
        texts = [a if a is not None else b for a, b in zip(first.texts, other.texts, strict=True)]
        first = Prompts(
            texts,
            first.conversations + other.conversations,
            first.systems + other.systems,
            {**other.parts, **first.parts},
        )
    return first


def listed(table: pa.Table) -> str:
    """The columns of a file, for a message."""
    names = [printable(name, LONGEST_FIELD) for name in table.column_names]
    if len(names) == 1:
        by = several.separator_of(table)
        asked = "" if by is None else "; its cells are not separated by commas, tabs, ; or |"
        return f"its only column is {names[0]}{asked}"
    shown = names[:MOST_LISTED]
    while len(shown) > 1 and len(", ".join(shown)) > LONGEST_LIST:
        shown.pop()
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"its columns are {', '.join(shown)}{more}"


def _file(path: loading.Paths, in_memory: int) -> pa.Table:
    if isinstance(path, str | os.PathLike) and str(path).lower().endswith(PICKLES):
        from routerjax.data.public.safe_pickle import read_columns

        columns = read_columns(path)
        return pa.table({name: _unpickled(each) for name, each in columns.items()})
    return loading.load(path, in_memory=in_memory)


def _unpickled(values: np.ndarray) -> pa.ChunkedArray:
    """A column of a pickled data frame, whose NaN are nulls."""
    if values.dtype != object:
        return pa.chunked_array([pa.array(values, from_pandas=True)])
    return paths.as_column([None if cell != cell else cell for cell in values.tolist()])


def _cells(
    table: pa.Table, name: str, columns: Sequence[str], schema: Schema, rows: np.ndarray | None
) -> dict[str, pa.ChunkedArray]:
    """Those of the columns that can be `name`, by their names in the file."""
    found = {}
    for column in columns:
        cells = paths.column(table, column)
        if cells is None:
            cells = sum_of(table, name, column, schema, rows)
        if cells is None:
            continue
        if len(columns) > 1:  # what may be there must be of the right kind
            is_fit = name in ("prompt", "embedding") or not pa.types.is_nested(cells.type)
            if not is_fit or cells.null_count == len(cells):
                continue
        found[column] = cells
    return found


def _absent(table: pa.Table, name: str, path: str) -> str:
    """The first part of a sum that the file does not have, or the path."""
    return next((p for p in parts_of(name, path) if paths.column(table, p) is None), path)


def _without_patterns(table: pa.Table, schema: Schema) -> dict[str, Names]:
    """The columns of a schema, ``score:*`` written out for every model of the file."""
    patterns = {
        name: columns
        for name, columns in schema.columns.items()
        if name.endswith(":*") and isinstance(columns, str)
    }
    wanted = {name: columns for name, columns in schema.columns.items() if name not in patterns}
    if not patterns:
        return wanted
    models: list[str] | None = None
    every = [*table.column_names, *_inside(table)]
    for name, pattern in patterns.items():
        before, star, after = pattern.partition("*")
        if not star:
            raise InputError(f"'{pattern}' for {name} has no * where the model's name stands")
        fit = [
            column[len(before) : len(column) - len(after)]
            for column in every
            if column.startswith(before)
            and column.endswith(after)
            and len(column) > len(before) + len(after)
        ]
        models = fit if models is None else [model for model in models if model in fit]
    if not models:
        shown = " and ".join(f"'{pattern}'" for pattern in patterns.values())
        raise InputError(f"no model has columns {shown}; {listed(table)}")
    for name, pattern in patterns.items():
        wanted |= {name[:-1] + model: pattern.replace("*", model, 1) for model in models}
    return wanted


def _inside(table: pa.Table) -> list[str]:
    """Paths of what columns of objects hold, ``scores.large``."""
    found: list[str] = []
    left = [(field.name, field.type, 0) for field in table.schema]
    while left:
        name, kind, depth = left.pop(0)
        if pa.types.is_struct(kind) and depth < DEEPEST:
            inner = [kind.field(at) for at in range(kind.num_fields)]
            left += [(f"{name}.{each.name}", each.type, depth + 1) for each in inner]
        if depth:
            found.append(name)
    return found


def _texts(table: pa.Table, column: str) -> list[str | None]:
    cells = paths.column(table, column)
    if cells is None:
        raise InputError(f"no column '{column}'; {_nearby(table, column)}")
    try:
        return words(cells)
    except InputError as error:
        raise InputError(error.problem, field=column) from None


def _nearby(table: pa.Table, path: str) -> str:
    """What there is where a path leads nowhere, for a message."""
    base = paths.longest(path, table.column_names)
    if base is None:
        like = nearest(path, table.column_names)
        return (f"did you mean '{like}'? " if like else "") + listed(table)
    kind = table[base].type
    if pa.types.is_struct(kind):
        fields = [kind.field(i).name for i in range(min(kind.num_fields, MOST_LISTED))]
        return f"'{base}' holds {', '.join(fields) or 'nothing'}"
    if is_text(table[base]):
        return f"'{base}' holds text in which no row has it"
    return f"'{base}' holds {str(kind)[:80]}"
