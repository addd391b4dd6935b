"""JSON values as Arrow columns: types found by hand, and tables of differing types joined."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from routerjax.errors import InputError

MOST_COLUMNS = 20_000
MOST_PATHS = 2_000  # keys inside the values of one column; with more it is kept as text
MOST_CELLS = 1 << 27  # of a table, unless the file holds as many values


def table_of(rows: Sequence[Mapping[str, Any]], *, first: int = 0) -> pa.Table:
    """A table of some objects, a column for every key, null where an object lacks it.

    Args:
      rows: n objects.
      first: the row of the first one in its file, for messages.

    Raises:
      InputError: more keys than a table can have.
    """
    names: dict[str, None] = {}
    filled = 0
    for row, values in enumerate(rows):
        names.update(dict.fromkeys(values))
        filled += len(values)
        if len(names) > MOST_COLUMNS:
            problem = f"the rows up to here have more than {MOST_COLUMNS:,} different keys"
            raise InputError(problem, row=first + row)
    if len(names) * len(rows) > max(MOST_CELLS, 100 * filled):
        problem = f"{len(names):,} different keys in {len(rows):,} rows, nearly all without"
        raise InputError(f"{problem} a value")
    columns = {clean(name): _column([values.get(name) for values in rows]) for name in names}
    return pa.table(columns if names or not rows else {"": pa.nulls(len(rows))})


def joined(tables: Iterable[pa.Table]) -> pa.Table:
    """The rows of all tables; columns that have no type in common become text."""
    parts = list(tables)
    schema: pa.Schema | None = None
    for part in parts:
        schema = known_after(schema, part.schema)
    if schema is None or len(parts) == 1:
        return parts[0] if parts else pa.table({})
    if len(schema) * sum(map(len, parts)) > max(MOST_CELLS, 100 * sum(map(_filled, parts))):
        raise InputError(f"its rows have {len(schema):,} different keys, nearly all without values")
    return pa.concat_tables(map(_as(schema), parts))


def known_after(known: pa.Schema | None, more: pa.Schema) -> pa.Schema:
    """The columns of both, each of a type that holds what both hold; text if there is none."""
    if known is None:
        return more
    fields = {field.name: field.type for field in known}
    for field in more:
        fields[field.name] = common(fields.get(field.name, field.type), field.type)
    return pa.schema(list(fields.items()))


def common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """The type that holds what both hold; text, for JSON, if there is none."""
    if one == other:
        return one
    try:
        (field,) = pa.unify_schemas(
            [pa.schema([("", one)]), pa.schema([("", other)])], promote_options="permissive"
        )
    except pa.ArrowException:
        return pa.string()
    return field.type


def fitted(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """The column as a type that `common` gave for it: cast, or written as JSON."""
    if column.type == kind:
        return column
    if kind == pa.string() and not pa.types.is_null(column.type):
        texts = [as_text(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    return column.cast(kind)


def as_text(value: Any) -> str | None:
    """Text as it is, nothing as nothing, anything else as JSON without the keys of nulls."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(_without_nulls(value), ensure_ascii=False, default=str)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _as(schema: pa.Schema) -> Any:
    def changed(table: pa.Table) -> pa.Table:
        if not len(schema):
            return table
        names = set(table.column_names)
        return pa.table(
            [
                fitted(table[field.name], field.type)
                if field.name in names
                else pa.nulls(len(table), field.type)
                for field in schema
            ],
            schema=schema,
        )

    return changed


def _filled(table: pa.Table) -> int:
    return sum(len(column) - column.null_count for column in table.columns)


def _column(values: list[Any]) -> pa.Array:
    if len(values) > 0 and _is_wide(values):
        return _texts(values)
    try:
        try:
            return pa.array(values)
        except UnicodeEncodeError:  # half a pair of surrogates, where a text was cut
            return pa.array(cleaned(values))
    except (pa.ArrowException, OverflowError):
        return _texts(values)


def _texts(values: list[Any]) -> pa.Array:
    """The values as text, what was none written as JSON."""
    texts = map(as_text, values)
    return pa.array([None if text is None else clean(text) for text in texts], pa.string())


def _is_wide(values: list[Any]) -> bool:
    """Whether the objects of a column have more keys than a structure should."""
    if not any(isinstance(value, dict | list) for value in values):
        return False
    paths: set[tuple[Any, ...]] = set()
    for value in values:
        for path in _paths(value):
            paths.add(path)
            if len(paths) > MOST_PATHS:
                return True
    return False


def _paths(value: Any) -> Iterator[tuple[Any, ...]]:
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            for key, each in value.items():
                yield (*path, key)
                if isinstance(each, dict | list):
                    waiting.append(((*path, key), each))
        elif isinstance(value, list) and value and isinstance(value[0], dict | list):
            waiting.extend(((*path, 0), each) for each in value)


def cleaned(value: Any) -> Any:
    """The value without halves of surrogate pairs in its texts."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): cleaned(each) for key, each in value.items()}
    return [cleaned(each) for each in value] if isinstance(value, list) else value


def clean(text: str) -> str:
    """The text with U+FFFD for halves of surrogate pairs, which no encoding can write."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
