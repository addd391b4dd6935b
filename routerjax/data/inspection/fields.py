"""The fields of a file: columns, and the parts of nested ones, each with a path and a kind."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import functools
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from routerjax.data.columns import separators
from routerjax.data.columns.arrays import DASHES, UNRATED
from routerjax.data.columns.synonyms import says_how_bad
from routerjax.data.formats.nested_text import nested
from routerjax.data.inspection.notations import digits, number
from routerjax.errors import InputError

SAMPLE = 2000  # rows that are looked at
DEEPEST = 6  # levels of a nested value
MOST_FIELDS = 400
LONGEST_JSON = 100_000  # characters of a cell that is tried as JSON
LONGEST_WORD = 30  # characters of a word of feedback
WORDS = 12  # different texts at most of a field of words

FLOAT = r"-?\d+(?:\.\d*)?(?:e[+-]?\d+)?"
SPACED = re.compile(rf"^\s*\[\s*{FLOAT}(?:\s+(?:{FLOAT}|\.\.\.))+\s*\]\s*$")
PLAIN_NAME = re.compile(r"^[^\[\]=,]{1,60}$")
DAY = re.compile(r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}|$)")
MISSING = ("", "na", "n/a", "nan", "null", "none", *DASHES, *UNRATED)
TURN_KEYS = ({"role", "content"}, {"role", "parts"}, {"from", "value"}, {"role", "text"})


@dataclasses.dataclass(frozen=True)
class Field:
    """A column, or a part of a nested one.

    Attributes:
      path: as a `Schema` names it, ``usage.totalCost`` or ``scores[0].value``.
      kind: "text", "number", "bool", "time", "messages", "vector", "list" or "empty".
      values: of the rows that were looked at, None where missing.
      notation: of numbers that are written as text: "plain", "money", "comma", "rating"; "" where
        they are no text, or no numbers.
    """

    path: str
    kind: str
    values: Sequence[Any] = dataclasses.field(repr=False)
    notation: str = ""

    @property
    def filled(self) -> float:
        """Share of the rows that have a value."""
        return float(np.mean([value is not None for value in self.values]))

    @functools.cached_property
    def texts(self) -> list[str]:
        """The values that are there, as text."""
        return [str(value) for value in self.values if value is not None]

    @functools.cached_property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(set(self.texts))

    @functools.cached_property
    def numbers(self) -> np.ndarray:
        """The values that are numbers, however written; finite alone."""
        seen = self.signs
        by_comma = (seen.comma or seen.open_comma) and not seen.point
        sign = separators.COMMA if by_comma else separators.POINT
        found = [number(value, sign)[0] for value in self.values if value is not None]
        return np.array([each for each in found if math.isfinite(each)], np.float64)

    @functools.cached_property
    def signs(self) -> separators.Seen:
        """What numbers that are written as text show of the sign before their decimals."""
        written = {value for value in self.values if isinstance(value, str)}
        is_so = self.kind == "number" and self.notation != "rating"
        return separators.seen(map(digits, sorted(written) if is_so else ()))

    @property
    def example(self) -> str:
        """The first value, for a reader; messages and lists are not written out."""
        for value in self.values:
            if value is not None and str(value).strip():
                return str(value)
        return ""


def fields_of(table: pa.Table) -> list[Field]:
    """The fields of a table, columns in order, parts of nested ones after each other."""
    rows = table.num_rows
    if rows > SAMPLE:
        picked = np.unique(np.linspace(0, rows - 1, SAMPLE).astype(np.int64))
        table = table.take(pa.array(picked))
    found: list[Field] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            values = column.to_pylist()
        except UnicodeDecodeError:
            raise InputError("holds bytes that are no UTF-8 text", field=name) from None
        for field in _walk(name, values, 0):
            if len(found) < MOST_FIELDS:
                found.append(field)
    return found


def _walk(path: str, values: list[Any], depth: int) -> Iterator[Field]:
    values = [None if _is_missing(value) else value for value in values]
    there = [value for value in values if value is not None]
    if not there:
        yield Field(path, "empty", values)
        return
    if _most(there, lambda value: isinstance(value, str) and SPACED.match(value) is not None):
        yield Field(path, "vector", values)
        return
    if _opened(there):
        values = [None if value is None else _parsed(value) for value in values]
        there = [value for value in values if value is not None]
    if all(isinstance(value, dict) for value in there) and depth < DEEPEST:
        if _most(there, lambda value: isinstance(value.get("messages"), list)):
            yield from _walk(f"{path}.messages", _parts(values, "messages"), depth + 1)
        for key in dict.fromkeys(key for value in there for key in value):
            if key != "messages" or not isinstance(there[0].get("messages"), list):
                yield from _walk(f"{path}.{key}", _parts(values, key), depth + 1)
    elif all(isinstance(value, list | tuple) for value in there):
        yield from _walk_lists(path, values, there, depth)
    else:
        yield _leaf(path, values, there)


def _walk_lists(path: str, values: list[Any], there: list[Any], depth: int) -> Iterator[Field]:
    full = [value for value in there if len(value)]
    if _most(full, _is_conversation):
        yield Field(path, "messages", values)
    elif full and all(len(value) == 1 for value in full) and _is_score([v[0] for v in full]):
        first = [value[0] if value else None for value in values]
        yield _leaf(f"{path}[0]", first, [value[0] for value in full])
    elif full and all(isinstance(each, int | float) for value in full[:50] for each in value):
        kind = "vector" if len({len(value) for value in full}) == 1 and len(full[0]) > 1 else "list"
        yield Field(path, kind, values)
    elif full and depth < DEEPEST and all(isinstance(value[0], dict) for value in full):
        for step, entries in _entries(values, full).items():
            yield from _walk(f"{path}{step}", entries, depth + 1)
    elif full and all(isinstance(value[0], str) and len(value) == 1 for value in full):
        yield _leaf(path, [value[0] if value else None for value in values], full)
    else:
        yield Field(path, "list", values)


def _is_score(there: list[Any]) -> bool:
    """Whether the values are numbers, or one of a few words, as a list holds a single score."""
    if all(isinstance(value, int | float) for value in there):
        return True
    return all(isinstance(value, str) for value in there) and (
        len(set(there)) <= WORDS < len(there) and max(map(len, there)) <= LONGEST_WORD
    )


def _entries(values: list[Any], full: list[Any]) -> dict[str, list[Any]]:
    """The entries of lists of objects: the first, or those of each name where names differ.

    Or where the one name is that of a score of which a lower one is better.
    """
    every = [entry for value in full for entry in value]
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in every]
    told = sorted({name for name in names if isinstance(name, str) and PLAIN_NAME.match(name)})
    told = told if len(told) > 1 or any(map(says_how_bad, told)) else []
    if any(name not in told for name in names) or not 0 < len(told) <= WORDS:
        return {"[0]": [value[0] if value else None for value in values]}
    return {
        f"[name={name}]": [
            next((entry for entry in value or () if entry.get("name") == name), None)
            for value in values
        ]
        for name in told
    }


def _leaf(path: str, values: list[Any], there: list[Any]) -> Field:
    if all(isinstance(value, bool) for value in there):
        return Field(path, "bool", values)
    if all(isinstance(value, int | float | decimal.Decimal) for value in there):
        return Field(path, "number", values)
    if all(isinstance(value, datetime.date) for value in there):
        return Field(path, "time", values)
    if not all(isinstance(value, str) for value in there):
        return Field(path, "text", [None if value is None else str(value) for value in values])
    if _most(there, lambda value: DAY.match(value) is not None):
        return Field(path, "time", values)
    lowered = {value.strip().lower() for value in there}
    if lowered <= {"true", "false"}:
        return Field(path, "bool", values)
    notations = [number(value)[1] for value in there]
    known = [notation for notation in notations if notation]
    if len(known) >= 0.95 * len(there):
        order = ("rating", "money", "comma", "plain")
        return Field(path, "number", values, next(name for name in order if name in known))
    return Field(path, "text", values)


def _is_missing(value: Any) -> bool:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str) and value.strip().lower() in MISSING


def _opened(there: list[Any]) -> bool:
    """Whether the values are JSON or Python text of something nested."""
    return _most(there, lambda value: isinstance(value, str) and value.lstrip()[:1] in "[{") and (
        _most(there[:20], lambda value: isinstance(_parsed(value), list | dict))
    )


def _parsed(value: Any) -> Any:
    if not isinstance(value, str) or len(value) > LONGEST_JSON:
        return value
    found = nested(value)
    return found if isinstance(found, list | dict) else None


def _parts(values: list[Any], key: str) -> list[Any]:
    return [None if value is None else value.get(key) for value in values]


def _most(values: Sequence[Any], holds: Any) -> bool:
    return bool(values) and sum(map(bool, map(holds, values))) >= 0.9 * len(values)


def _is_conversation(value: Any) -> bool:
    return all(
        isinstance(turn, dict) and any(keys <= turn.keys() for keys in TURN_KEYS) for turn in value
    )
