"""A second file joined on an id: feedback that stands apart from the calls it is about."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa

from routerjax.data.columns import layouts, paths
from routerjax.data.columns.arrays import is_text, quoted
from routerjax.data.columns.schema import Join
from routerjax.data.columns.values import words
from routerjax.data.formats import loading
from routerjax.errors import DataWarning, InputError

WHOLE = re.compile(r"(\d+)\.0+")
"""A whole number as it is written where a column of floats held it."""


def joined(table: pa.Table, join: Join, *, source: str) -> pa.Table:
    """The table with the columns of a second file, row by row where both have the same id.

    Of a second file that holds OpenTelemetry's evaluations alone, the rows are those of
    `otel.evaluations`. A column whose name the table has already is added as ``STEM.NAME``, after
    the second file.
    Rows without a partner are counted in a `DataWarning` and have nulls.

    Raises:
      InputError: no such id in a file, an id that is twice in the second file where the join does
        not say which row counts, or no row with a partner.
    """
    second = layouts.in_answers(loading.load(join.file))
    keys = _keys(table, join.on, source)
    others = _keys(second, join.other or join.on, join.file)
    rows = _rows(others, join, _score_names(second))
    at = np.array([-1 if key is None else rows.get(key, -1) for key in keys], np.int64)
    found = at >= 0
    if not found.any():
        problem = f"no id of its '{join.other or join.on}' is one of '{join.on}' in {source}"
        raise InputError(problem, source=join.file)
    known = set(keys)
    alone = sum(other is None or other not in known for other in others)
    if alone or not found.all():
        warnings.warn(
            f"{source}: {len(at) - found.sum()} of {len(at)} rows have no row in {join.file} by "
            f"'{join.on}', and {alone} of its {len(others)} rows none here",
            DataWarning,
            stacklevel=2,
        )
    indices = pa.array(np.where(found, at, 0), mask=~found)
    for name in second.column_names:
        label = name if name not in table.column_names else f"{Path(join.file).stem}.{name}"
        if label not in table.column_names:
            table = table.append_column(label, second[name].take(indices))
    return table


def key_of(word: str | None) -> str | None:
    """An id as it is compared: without blanks around, and a whole number without a point.

    >>> key_of(" 1000.0"), key_of("")
    ('1000', None)
    """
    if not word:
        return None
    match = WHOLE.fullmatch(word.strip())
    return word.strip() if match is None else match[1]


def _keys(table: pa.Table, path: str, source: str) -> list[str | None]:
    column = paths.column(table, path)
    if column is None:
        listed = ", ".join(table.column_names[:30])
        raise InputError(f"no column '{path}' to join on; its columns are {listed}", source=source)
    try:
        return [key_of(key) for key in words(column)]
    except InputError as error:
        raise InputError(error.problem, source=source, field=path) from None


def _score_names(table: pa.Table) -> list[str]:
    """What scores are called in a file that holds one a row beside its name, two at most."""
    if not {"name", "value"} <= set(table.column_names) or not is_text(table["name"]):
        return []
    return sorted({name for name in table["name"].to_pylist() if name})[:2]


def _rows(keys: list[str | None], join: Join, names: list[str]) -> dict[str, int]:
    """The row of each id in the second file, in which scores may have several names."""
    rows: dict[str, int] = {}
    for row, key in enumerate(keys):
        if key is None:
            continue
        if key in rows:
            if join.repeats == "refuse":
                on = join.on if join.other is None else f"{join.on}={join.other}"
                right = f"say which counts, as in --join '{join.file} on {on} taking last'"
                if len(names) > 1:
                    shown = " and ".join(map(quoted, names))
                    right = f"join a file of the scores of one name (it holds {shown})"
                raise InputError(
                    f"the id {quoted(key)} is also in row {rows[key]}; {right}",
                    source=join.file,
                    field=join.other or join.on,
                    row=row,
                )
            if join.repeats == "first":
                continue
        rows[key] = row
    return rows
