"""Several files as one table: patterns, columns that differ, and which row is whose."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from routerjax.data.formats.json_columns import common, fitted
from routerjax.data.formats.opening import located
from routerjax.errors import InputError

PARTS, SEPARATOR = b"routerjax.parts", b"routerjax.separator"


class Part(NamedTuple):
    """A file of several that were read as one: its name, and the number of its rows."""

    name: str
    rows: int


def expanded(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
    """The names of all files, patterns such as ``logs/*.jsonl`` replaced by what they match.

    A file whose own name holds ``*`` or ``[`` is that file. Matches are in the order of names.

    Raises:
      InputError: no path at all, a pattern that matches nothing, or a file that is named twice.
    """
    several = [paths] if isinstance(paths, str | os.PathLike) else paths
    names = [name for path in several for name in _matches(str(path))]
    if not names:
        raise InputError("no file is named")
    for name in names:
        if names.count(name) > 1:
            raise InputError("is named twice; its rows would count twice", source=name)
    return names


def title(paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> str:
    """What messages call these paths together."""
    if isinstance(paths, str | os.PathLike):
        return str(paths)
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return "".join(map(str, paths[:1])) + more


def _matches(name: str) -> list[str]:
    if not glob.has_magic(name) or located(name).exists():
        return [name]
    folder, pattern = os.path.split(os.path.expanduser(name))
    found = glob.glob(os.path.join(folder, pattern))
    found = found or glob.glob(os.path.join(glob.escape(folder), pattern))  # "logs [2026]/*.csv"
    files = [each for each in sorted(found) if os.path.isfile(each)]
    if not files:
        raise InputError("no file matches this pattern", source=name)
    return files


def joined(tables: Sequence[tuple[str, pa.Table]]) -> pa.Table:
    """One table of all rows, in order; a column that a file lacks is null there.

    A column that has no type in common is text.

    Args:
      tables: the name of a file, and its rows.
    """
    if len(tables) == 1:
        return tables[0][1]
    kinds: dict[str, pa.DataType] = {}
    for _, table in tables:
        for field in table.schema:
            kinds[field.name] = common(kinds.get(field.name, field.type), field.type)
    rows = [pa.table(_columns(table, kinds)) for _, table in tables]
    parts = [Part(name, len(table)) for name, table in tables]
    first = tables[0][1].schema.metadata or {}
    metadata = {**first, PARTS: json.dumps(parts).encode()}
    return pa.concat_tables(rows).replace_schema_metadata(metadata)


def _columns(table: pa.Table, kinds: dict[str, pa.DataType]) -> dict[str, pa.ChunkedArray]:
    return {
        name: fitted(table[name], kind)
        if name in table.column_names
        else pa.chunked_array([pa.nulls(len(table), kind)])
        for name, kind in kinds.items()
    }


def noted(table: pa.Table, *, separator: str) -> pa.Table:
    """The table with a note of what separates its cells in the file."""
    return table.replace_schema_metadata({SEPARATOR: separator.encode()})


def separator_of(table: pa.Table) -> str | None:
    """What separates the cells of the file that the table was read from; None in other formats."""
    note = (table.schema.metadata or {}).get(SEPARATOR)
    return None if note is None else note.decode()


def parts(table: pa.Table) -> tuple[Part, ...]:
    """The files that the table was read from, in order; none if it is a single one."""
    note = (table.schema.metadata or {}).get(PARTS)
    return () if note is None else tuple(Part(*part) for part in json.loads(note))


def place_of(table: pa.Table, row: int, *, source: str) -> tuple[str, int]:
    """The file that holds a row, and the row in it.

    Args:
      table: of one file or of several.
      row: of the table.
      source: the name of the file, where it is a single one.
    """
    for part in parts(table):
        if row < part.rows:
            return part.name, row
        row -= part.rows
    return source, row
