"""JSON objects, one a line or in an array, as one Arrow table; nested values are kept."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json

from routerjax.data.formats.json_columns import joined, known_after, table_of
from routerjax.data.formats.json_shapes import unwrapped
from routerjax.data.formats.opening import AS_UTF_8, BLOCK, blocks
from routerjax.errors import InputError, printable

FIRST = 1 << 18  # bytes whose types are found by hand, and expected of what follows
PART = 1 << 12  # rows of an array that become Arrow at once
DEEPEST = 100  # brackets inside each other
LARGEST = 1 << 31  # bytes of an array, which is held in memory whole
LONGEST = 4 * BLOCK  # bytes of a line
MOST_DIGITS = 40  # of a whole number that is kept to the last digit

OF_QUERY = ("prompt", "messages", "content", "role", "parts")
"""Keys of text or a list in an object that is a query itself, and does not hold rows."""

BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)
BLANK = re.compile(r"[ \t\r\n,]*")
NOTHING = " \t\r\n"


def read(place: Path) -> pa.Table:
    """The rows of a file of JSON objects: one a line, one after another, or an array of them.

    Objects and lists stay structures and lists. A column of mixed types becomes text, where
    what was no text is written as JSON. NaN is null; a string never becomes a date. A file
    of one object that holds its rows in a list, ``{"data": [...]}``, or by their ids, is read as
    these rows (`json_shapes`).

    Raises:
      InputError: no valid JSON, a value that is not an object, a key that stands twice in one
        object, more than `DEEPEST` nested brackets, or bytes that are not UTF-8.
    """
    content = blocks(place)
    first = next(content, b"")
    while first and not first.strip():
        first = next(content, b"")
    if first.lstrip().startswith(b"[") or not _is_by_line(first):
        return joined(_of_values(_whole(first, content)))
    return joined(_of_lines(_cut(first, content)))


def values(place: Path) -> list[Any]:
    """The values of a file of JSON of any kind: one a line, one after another, or in an array.

    Raises:
      InputError: as `read`, but for values that are no objects.
    """
    content = blocks(place)
    first = next(content, b"")
    text = _whole(first, content)
    if text.lstrip().startswith("["):
        return list(_items(text, objects=False))
    by_line = _is_by_line(first)
    found = _lines(text, 0, objects=False) if by_line else list(_items(text, objects=False))
    alone = found[0] if len(found) == 1 and isinstance(found[0], dict) else {}
    is_query = any(isinstance(alone.get(key), str | list) for key in OF_QUERY)
    return found if is_query else unwrapped(found)


def _is_by_line(first: bytes) -> bool:
    """Whether the first line is an object of its own, or fails as one: not `{` and a line break."""
    line = first.lstrip().partition(b"\n")[0].strip()
    return not (line in (b"{", b"") or (line[:1] == b"{" and line[-1:] in (b",", b"{", b"[")))


def _whole(first: bytes, content: Iterator[bytes]) -> str:
    parts, size = [first], len(first)
    for block in content:
        parts.append(block)
        size += len(block)
        if size > LARGEST:
            problem = f"is an array of more than {LARGEST >> 30} GiB; write one object a line"
            raise InputError(f"{problem} (.jsonl)")
    return _decoded(b"".join(parts), None)


def _of_values(text: str) -> Iterator[pa.Table]:
    """The objects of an array, or one after another, in tables of a few thousand."""
    rows: list[Any] = []
    done = 0
    for value in _items(text):
        rows.append(value)
        if len(rows) == PART:
            yield table_of(rows, first=done)
            done, rows = done + len(rows), []
    yield table_of(rows if done else unwrapped(rows), first=done)


def _items(text: str, *, objects: bool = True) -> Iterator[Any]:
    """The values of an array, or one after another."""
    is_array = text.lstrip().startswith("[")
    at = _after_blanks(text, text.index("[") + 1 if is_array else 0)
    row = 0
    while at < len(text) and not (is_array and text[at] == "]"):
        value, at = _value(text, at, row, objects=objects)
        yield value
        at, row = _after_blanks(text, at), row + 1
    if is_array and at == len(text):
        raise InputError("is not valid JSON: the array has no end, the file may be cut short")
    if text[at + 1 :].strip(NOTHING):
        raise InputError("is not valid JSON: something follows the end of the array")


def _after_blanks(text: str, at: int) -> int:
    blank = BLANK.match(text, at)
    return at if blank is None else blank.end()


def _cut(first: bytes, content: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines: a few at first, for their types, then about `BLOCK` bytes of them at once."""
    cut = first.rfind(b"\n", 0, FIRST) + 1
    if cut:
        yield first[:cut]
    parts, size = [first[cut:]], len(first) - cut
    for block in content:
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join([*parts, block[:end]])
            parts, size = [block[end:]], len(block) - end
        else:
            parts.append(block)
            size += len(block)
        if size > LONGEST:
            raise InputError(f"holds a line of more than {LONGEST >> 20} MiB")
    yield b"".join(parts)


def _of_lines(parts: Iterator[bytes]) -> Iterator[pa.Table]:
    """A table for every part; Arrow reads those whose types are as in the parts before."""
    rows = _lines(_decoded(next(parts, b""), 0), 0)
    second = next(parts, b"")
    table = table_of(rows if second.strip() else unwrapped(rows))
    yield table
    known, done = table.schema, len(rows)
    for part in itertools.chain([second], parts):
        text = _decoded(part, done)
        found = _by_arrow(part, known)
        if found is None:
            found = table_of(_lines(text, done), first=done)
            known = known_after(known, found.schema)
        done += found.num_rows
        yield found


def _by_arrow(part: bytes, known: pa.Schema) -> pa.Table | None:
    """The rows, many times faster than by hand; None where a type or a key is a new one.

    A schema that is known bounds how deep Arrow's reader goes and how much memory it takes: left
    to infer, it dies of nested brackets and makes a column of every key.
    """
    try:
        return pyarrow.json.read_json(
            pa.BufferReader(part),
            read_options=pyarrow.json.ReadOptions(block_size=len(part) + 1),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=known, unexpected_field_behavior="error"
            ),
        )
    except pa.ArrowException:
        return None


def _decoded(content: bytes, first: int | None) -> str:
    """The text of some lines, of which the first is row `first`; None where rows are no lines."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].split(b"\n")[:-1]
        row = None if first is None else first + sum(bool(line.strip()) for line in before)
        problem = f"is not UTF-8 text (byte {content[error.start]:#04x})"
        raise InputError(f"{problem}; {AS_UTF_8}", row=row) from None


def _lines(text: str, first: int, *, objects: bool = True) -> list[Any]:
    """The values of some lines, of which the first is row `first`."""
    rows: list[Any] = []
    for line in text.split("\n"):
        at, line = 0, line.strip(NOTHING)
        while at < len(line):  # one, unless objects stand side by side
            value, at = _value(line, at, first + len(rows), one_line=True, objects=objects)
            rows.append(value)
            at += len(line) - at - len(line[at:].lstrip(NOTHING))
    return rows


class _Twice(ValueError):
    """A key that stands twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        raise _Twice(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return made


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


def _constant(name: str) -> float | None:
    return None if name == "NaN" else float(name)


DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_whole_number,
    parse_constant=_constant,
    strict=False,  # a tab inside a string, which Arrow takes too
)


def _value(
    text: str, at: int, row: int, *, one_line: bool = False, objects: bool = True
) -> tuple[Any, int]:
    """The value that begins at `at`, and where it ends."""
    if one_line:
        _check_depth(text, at, row)
    try:
        value, end = DECODER.raw_decode(text, at)
        if not one_line:
            _check_depth(text[at:end], 0, row)
    except _Twice as error:
        problem = f"the key '{printable(str(error), 40)}' stands twice in one object"
        raise InputError(problem, row=row) from None
    except json.JSONDecodeError as error:
        raise InputError(f"is not valid JSON: {_reason(error, text, at)}", row=row) from None
    except RecursionError:
        raise _too_deep(row) from None
    if objects and not isinstance(value, dict):
        raise InputError("is not a JSON object", row=row)
    return value, end


def _reason(error: json.JSONDecodeError, text: str, at: int) -> str:
    what = error.msg[:1].lower() + error.msg[1:]
    if error.pos >= len(text.rstrip(NOTHING)):
        return f"{what} at its end; it may be cut short"
    near = printable(text[error.pos : error.pos + 20], 20)
    return f"{what} at character {error.pos - at + 1}, before '{near}'"


def _check_depth(text: str, at: int, row: int) -> None:
    if text.count("[", at) + text.count("{", at) <= DEEPEST:
        return
    depth = 0
    for match in BRACKETS.finditer(text, at):
        mark = match.group()
        depth += mark in "[{"
        depth -= mark in "]}"
        if depth > DEEPEST:
            raise _too_deep(row)


def _too_deep(row: int) -> InputError:
    return InputError(f"brackets are nested more than {DEEPEST} deep", row=row)
