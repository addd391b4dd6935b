"""The rows inside the only object of a JSON file: a list of them, columns, or rows by id."""

from __future__ import annotations

import collections
from collections.abc import Container, Iterable, Mapping
from typing import Any

WRAPPERS = ("data", "rows", "records", "results", "items", "logs", "traces", "spans", "value")
"""Keys under which pages of an API hold their rows."""

KEYS = ("id", "key")
"""What the column of the keys of rows is called: the first that no row has itself."""

FEWEST_SHARED, NEARLY_ALL = 2, 0.9  # keys that rows share, and share of the rows that have them
SURE = 10  # rows that need not share half of their keys

Row = dict[str, Any]


def unwrapped(rows: list[Any]) -> list[Any]:
    """The rows inside the only object of a file, or the objects themselves.

    They are a list of objects under a usual key, or an object from id to object, which may stand
    under such a key too; or every key is a column and holds a list, or an object from row to value,
    which is what pandas writes unless told otherwise. Or ``columns`` names the cells of every row
    in ``data``, as it writes when told "split".
    """
    if len(rows) != 1 or not isinstance(rows[0], dict):
        return rows
    inside = [each for key, value in rows[0].items() if key in WRAPPERS if (each := _held(value))]
    if len(inside) == 1:
        return inside[0]
    return _of_cells(rows[0]) or _of_columns(rows[0]) or by_id(rows[0]) or rows


def by_id(value: Mapping[str, Any]) -> list[Row]:
    """The rows of ``{"req_1": {...}, "req_2": {...}}``, the key of each in its column ``id``.

    The column is ``key`` where rows have an ``id`` of their own that is another one.

    Returns:
      The rows; none where the values are no objects of one kind, which share two keys at least, and
      half of all keys if they are few.
    """
    rows = list(value.values())
    if len(rows) < 2 or not all(isinstance(row, dict) for row in rows):
        return []
    counts = collections.Counter(name for row in rows for name in row)
    shared = sum(count >= NEARLY_ALL * len(rows) for count in counts.values())
    if shared < FEWEST_SHARED or (len(rows) < SURE and 2 * shared < len(counts)):
        return []
    return _with_keys(rows, list(value), counts)


def _with_keys(rows: list[Row], keys: list[str], known: Container[str]) -> list[Row]:
    """The rows with their keys beside, unless a column holds these already."""
    for name in KEYS:
        if name not in known:
            return [{name: key, **row} for key, row in zip(keys, rows, strict=True)]
        if [str(row.get(name)) for row in rows] == keys:
            break
    return rows


def _held(value: Any) -> list[Any]:
    """The rows that stand under a usual key; none where they are no rows."""
    if isinstance(value, dict):
        return by_id(value)
    is_rows = isinstance(value, list) and all(isinstance(each, dict) for each in value)
    return value if is_rows else []


def _of_cells(value: Mapping[str, Any]) -> list[Row]:
    """The rows of lists of cells whose names stand apart; none where it is no such object."""
    names, cells = value.get("columns"), value.get("data")
    if not (isinstance(names, list) and isinstance(cells, list)):
        return []
    if not all(isinstance(row, list) and len(row) == len(names) for row in cells):
        return []
    named = all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    return [dict(zip(names, row, strict=True)) for row in cells] if named else []


def _of_columns(value: Mapping[str, Any]) -> list[Row]:
    """The rows of an object of columns; none where it is none."""
    columns = list(value.values())
    if len(columns) < 2:
        return []
    keys: list[str] = []
    if all(isinstance(column, dict) and column for column in columns):
        keys = list(columns[0])
        if any(list(column) != keys for column in columns) or not _is_by_column(columns, keys):
            return []
        columns = [list(column.values()) for column in columns]
    lengths = {len(column) if isinstance(column, list) else 0 for column in columns}
    if len(lengths) != 1 or lengths.pop() < 2:
        return []
    rows = [dict(zip(value, cells, strict=True)) for cells in zip(*columns, strict=True)]
    is_numbered = not keys or all(key == str(at) for at, key in enumerate(keys))
    return rows if is_numbered else _with_keys(rows, keys, value)


def _is_by_column(columns: list[Row], keys: list[str]) -> bool:
    """Whether objects with the same keys are columns, of one kind of values each, and not rows."""
    if all(key.isdecimal() for key in keys):
        return True
    within = all(len(_kinds(column.values())) < 2 for column in columns)
    across = all(len(_kinds(column[key] for column in columns)) < 2 for key in keys)
    return within and (not across or len(keys) > len(columns))


def _kinds(values: Iterable[Any]) -> set[type]:
    there = (value for value in values if value is not None)
    return {float if isinstance(value, int | float) else type(value) for value in there}
