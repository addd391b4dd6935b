"""Paths into nested columns: ``messages.-1.content`` or ``scores[name=thumb].value``.

A path names a column, then step by step what lies in it: a key of an object, the position of an
entry of a list (from 0, or from the end with -1), or in brackets ``[key=value]`` the first entry
of a list whose key has this value. Keys may hold dots themselves: at each object the longest key
that fits is taken, as in ``attributes.gen_ai.request.model``. Cells of text are read as JSON, or as
Python prints lists and dictionaries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routerjax.data.columns.arrays import is_list, is_text
from routerjax.data.formats.json_columns import cleaned
from routerjax.data.formats.nested_text import nested

POSITION = re.compile(r"(?:\[(-?\d{1,9})\]|(-?\d{1,9})(?=[.\[]|$))")
CHOICE = re.compile(r"\[([^\[\]=]+)=([^\[\]]*)\]")


def column(table: pa.Table, path: str) -> pa.ChunkedArray | None:
    """The cells that a path leads to, null where a row has none; None where no row can have one."""
    name = longest(path, table.column_names)
    return None if name is None else _within(table[name], path[len(name) :].removeprefix("."))


def value(cell: Any, path: str) -> Any:
    """What a path leads to in Python's own lists and dictionaries; None where it leads nowhere."""
    while path:
        if isinstance(cell, str):
            cell = loaded(cell)
        if isinstance(cell, dict):
            name = longest(path, cell)
            if name is None:
                return None
            cell, path = cell[name], path[len(name) :].removeprefix(".")
        elif isinstance(cell, list):
            step = _entry_step(path)
            if step is None:
                return None
            position, choice, path = step
            cell = _entry(cell, position, choice)
        else:
            return None
    return cell


def longest(path: str, names: Collection[str]) -> str | None:
    """The longest of the names with which the path begins."""
    if path in names:
        return path
    ends = [at for at, sign in enumerate(path) if sign in ".["]
    return next((path[:end] for end in reversed(ends) if path[:end] in names), None)


def loaded(text: str) -> Any:
    """What a text holds in JSON, or as Python prints it; None where it holds nothing nested."""
    return cleaned(nested(text))


def as_column(values: list[Any]) -> pa.ChunkedArray:
    """Values of Python as a column; of mixed types, as text, objects and lists in JSON."""
    try:
        return pa.chunked_array([pa.array(values)])
    except (pa.ArrowException, OverflowError, TypeError):
        return pa.chunked_array([pa.array([_as_text(each) for each in values], pa.string())])


def _as_text(cell: Any) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    return json.dumps(cell, ensure_ascii=False, default=str)


def _within(column: pa.ChunkedArray, path: str) -> pa.ChunkedArray | None:
    if not path:
        return column
    kind = column.type
    if pa.types.is_struct(kind):
        name = longest(path, [kind.field(i).name for i in range(kind.num_fields)])
        if name is None:
            return None
        return _within(pc.struct_field(column, [name]), path[len(name) :].removeprefix("."))
    if is_list(kind):
        step = _entry_step(path)
        if step is None:
            return None
        position, choice, rest = step
        chunks = [_entries(chunk, position, choice) for chunk in column.chunks]
        found = [chunk for chunk in chunks if chunk is not None]
        if len(found) < len(chunks) or not chunks:
            return None
        return _within(pa.chunked_array(found), rest)
    if is_text(column) or pa.types.is_map(kind):
        cells = column.to_pylist()
        if pa.types.is_map(kind):
            cells = [None if cell is None else dict(cell) for cell in cells]
        found = [value(cell, path) for cell in cells]
        return None if all(each is None for each in found) else as_column(found)
    return None


def _entry_step(path: str) -> tuple[int, tuple[str, str] | None, str] | None:
    """Position or (key, value) of the entry of a list that a path asks for, and the rest."""
    position = POSITION.match(path)
    if position:
        rest = path[position.end() :].removeprefix(".")
        return int(position[1] or position[2]), None, rest
    choice = CHOICE.match(path)
    if choice:
        return 0, (choice[1].strip(), choice[2].strip()), path[choice.end() :].removeprefix(".")
    return None


def _entry(cells: list[Any], position: int, choice: tuple[str, str] | None) -> Any:
    if choice is None:
        return cells[position] if -len(cells) <= position < len(cells) else None
    key, wanted = choice
    return next((cell for cell in cells if _as_text(value(cell, key)) == wanted), None)


def _entries(lists: pa.Array, position: int, choice: tuple[str, str] | None) -> pa.Array | None:
    """[n] the entry of each list, null where it has none."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths)
    flat = pc.list_flatten(lists)
    if choice is None:
        at = ends + position if position < 0 else ends - lengths + position
        missing = (lengths <= position) if position >= 0 else (lengths < -position)
        return flat.take(pa.array(np.where(missing, 0, at), mask=missing))
    keys = _within(pa.chunked_array([flat]), choice[0])
    if keys is None:
        return None
    same = np.flatnonzero([_as_text(key) == choice[1] for key in keys.to_pylist()])
    rows, first = np.unique(np.searchsorted(ends, same, side="right"), return_index=True)
    at, missing = np.zeros(len(lists), np.int64), np.ones(len(lists), bool)
    at[rows], missing[rows] = same[first], False
    return flat.take(pa.array(at, mask=missing))
