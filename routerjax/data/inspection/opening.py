"""Files read for an inspection: the table of the calls, its fields, and what is joined to it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pyarrow as pa

from routerjax.data.columns import layouts, otel, paths, shape
from routerjax.data.columns.join import key_of
from routerjax.data.columns.schema import Join, Schema
from routerjax.data.columns.synonyms import named
from routerjax.data.columns.values import words
from routerjax.data.formats import loading, several
from routerjax.data.formats.frames import Frame
from routerjax.data.inspection.fields import Field, fields_of
from routerjax.data.inspection.joining import FEWEST, are_parts, join_files
from routerjax.data.inspection.roles import guess_roles
from routerjax.errors import DataWarning, InputError

Path = str | os.PathLike[str]
FEWEST_IDS = 0.1  # share of different values among ids that are called so: several scores of one
NEEDED = ({"prompt", "embedding"}, {"model"}, {"quality"})
"""Parts of a log, in names of roles."""


class Together(NamedTuple):
    """Files that belong together.

    Attributes:
      main: names of the files that a command names; the others are joined.
      table: their rows as they are in the file.
      rows: how many rows there are by the layout.
      fields: of all files, by the layout.
      joins: how the others are added.
      layout: of a schema that reads the rows: "rows", or "otel" where they are exports of spans.
    """

    main: list[str]
    table: pa.Table
    rows: int
    fields: list[Field]
    joins: tuple[Join, ...]
    layout: str


def loaded(source: Path | Frame, name: str, tell: Callable[[str], None]) -> pa.Table:
    """The rows of a file or a data frame as they are."""
    tell(f"reading {name}")
    return shape.load(source, Schema(), sys.maxsize)[0]


def together(names: Sequence[str], tables: Sequence[pa.Table], *, layout: str) -> Together:
    """Files as parts of one log, or as one that holds a row a call and others joined to it.

    Args:
      names: of the files.
      tables: their rows.
      layout: of the schema that is known; exports of spans are known as such without it.

    Raises:
      InputError: files that do not belong together.
    """
    main, are_one = list(names), len(tables) == 1
    are_exports = all(map(otel.is_exports, tables))
    alike = not are_one and are_parts([table.column_names for table in tables])
    if not are_one and (are_exports or (alike and not _are_beside(tables))):
        tables, are_one = [loading.load(main)], True
    shaped = [_in_rows(table, layout) for table in tables]
    if are_one and otel.evaluations(tables[0]) is not None:
        otel.calls(tables[0], source=several.title(main))  # says which file they lack
    fields = [fields_of(rows) for rows, _ in shaped]
    at, every = 0, fields[0]
    joins: tuple[Join, ...] = ()
    if not are_one:
        ids = [_ids(rows, own) for (rows, _), own in zip(shaped, fields, strict=True)]
        at, joins, every = join_files(names, fields, ids)
        main = [names[at]]
    rows, found = shaped[at]
    return Together(main, tables[at], rows.num_rows, every, joins, found)


def _are_beside(tables: Sequence[pa.Table]) -> bool:
    """Whether files of which one lacks a part that another has are about the same calls."""
    if len({frozenset(table.column_names) for table in tables}) == 1:
        return False
    fields = [fields_of(table) for table in tables]
    roles = [guess_roles(own).keys() for own in fields]
    if all(need & own for own in roles for need in NEEDED):
        return False
    ids = [_ids(table, own) for table, own in zip(tables, fields, strict=True)]
    common = set.intersection(*(set(own) for own in ids))
    return any(
        len(set.intersection(*(own[path] for own in ids))) >= max(FEWEST, len(ids[0][path]) / 2)
        for path in common
        if named("request_id", path)
    )


def _in_rows(table: pa.Table, layout: str) -> tuple[pa.Table, str]:
    """A table with a call a row where it holds exports of spans, and the layout that says so."""
    if layout == "otel" or otel.is_exports(table):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # the reader will say it
            try:
                return otel.calls(table, source=""), "otel"
            except InputError:
                pass
    return layouts.in_answers(table), Schema().layout


def _ids(table: pa.Table, fields: Sequence[Field]) -> dict[str, set[str]]:
    """Paths of fields that may be an id, and all their values."""
    found = {}
    for field in fields:
        share = field.distinct / max(len(field.texts), 1)
        varied = share > (FEWEST_IDS if named("request_id", field.path) else 0.5)
        if field.kind in ("text", "number") and varied and max(map(len, field.texts)) <= 100:
            column = paths.column(table, field.path)
            if column is not None:
                found[field.path] = {key for word in words(column) if (key := key_of(word))}
    return found
