"""Delimited text (CSV, TSV) as an Arrow table of strings; the separator is found out."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from routerjax.data.formats.opening import AS_UTF_8, BLOCK, Joined, blocks
from routerjax.errors import InputError, printable

SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "pipe"}
HEAD = 1 << 18  # bytes at the beginning of which the separator is sought
SEEN = 200  # rows of them that are counted
ADVICE = "text that holds the separator or a line break belongs in double quotes"
MISFIT = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+): (.*)", re.DOTALL)
TOLD = re.compile(r"sep=(.)\r?\n")  # what Excel writes before the header
END = (
    b"\n\r\n\r\r\n\n\r"  # empty lines after the last row, or the end of a cell whose quote is open
)
TITLE = (
    "the first line, {}, names one column where there are {} cells; leave out lines above the "
    "header"
)
LONGEST_NAME = 1 << 12  # characters of a header's cell; a longer one is no name


def read(place: Path, *, suffix: str = ".csv") -> tuple[pa.Table, str]:
    """The rows of a delimited file, and its separator.

    Every cell is text, null where it is empty: left to guess, a prompt "NA" would be missing and
    "007" a number. Lines end at \\n, \\r\\n or \\r; empty lines are no rows.

    Args:
      place: the file.
      suffix: .csv or .tsv; a .tsv is by tabs where its header has some.

    Raises:
      InputError: a column that is named twice, a row that has more or fewer cells than the
        header, bytes that are not UTF-8, or no header.
    """
    content = blocks(place)
    first = next(content, b"").lstrip(b"\r\n")
    while first and len(first) < HEAD and (more := next(content, b"")):
        first += more
    head = first[:HEAD].decode("utf-8", "replace")
    if _is_json(head):
        raise InputError("holds JSON, not cells; give it the suffix .jsonl or .json")
    told = TOLD.match(head)
    if told:
        head, first = head[told.end() :], first[len(told.group().encode()) :]
    whole = len(first) <= HEAD
    separator = told.group(1) if told else sniffed(head, whole=whole, suffix=suffix)
    names = _header(head, separator)
    parts = itertools.chain([first], content, [END])
    columns = [_text(column, name) for name, column in _cells(parts, separator, names)]
    return pa.table(columns, names=names), separator


def _is_json(head: str) -> bool:
    """Whether a text begins as objects of JSON do."""
    return re.match(r"\s*(?:\[\s*)?\{\s*\"(?:[^\"\\]|\\.)*+\"\s*:", head) is not None


def sniffed(head: str, *, whole: bool, suffix: str = ".csv") -> str:
    """The separator of a text: the one by which most rows have as many cells as the header.

    Args:
      head: its beginning.
      whole: whether that is all; else the last row may be torn and is not counted.
      suffix: breaks a tie: .tsv for tabs, .csv for commas.
    """
    order = "\t,;|" if suffix == ".tsv" else ",\t;|"
    return max(order, key=lambda each: _agreement(head, each, whole=whole))


def _agreement(head: str, separator: str, *, whole: bool) -> tuple[float, int]:
    rows = _rows(head, separator, SEEN)
    rows = rows if whole or len(rows) < 2 else rows[:-1]
    widths = Counter(map(len, rows[1:]))
    width = len(rows[0]) if rows else 0
    if width < 2:
        return 0.0, 0
    return (widths[width] / widths.total() if widths else 1.0), width


def _rows(text: str, separator: str, most: int) -> list[list[str]]:
    found = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows: list[list[str]] = []
    try:
        for row in found:
            if row:
                rows.append(row)
            if len(rows) > most:
                break
    except csv.Error:  # a cell of more than 128 KiB
        pass
    return rows


def _header(head: str, separator: str) -> list[str]:
    rows = _rows(head, separator, 0)
    if not rows:
        raise InputError("there is no header: the first line must name the columns")
    names = [name.strip() or f"column {position}" for position, name in enumerate(rows[0])]
    if any(len(name) > LONGEST_NAME for name in names):
        raise InputError("the first line is no header: a name in it is far too long")
    if any("\0" in name or "\ufffd" in name for name in names):
        raise InputError(f"the header is not UTF-8 text; {AS_UTF_8}")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        problem = (
            "the header names this column twice; rename one, so that it is told which is meant"
        )
        raise InputError(problem, field=repeated[0])
    unnamed = sum(not name.strip() for name in rows[0])
    if len(names) - unnamed == 1 < unnamed:
        named = next(name.strip() for name in rows[0] if name.strip())
        raise InputError(f"{TITLE.format(repr(printable(named, 40)), len(names))}")
    return names


def _cells(
    parts: Iterator[bytes], separator: str, names: list[str]
) -> Iterator[tuple[str, pa.ChunkedArray]]:
    try:
        table = pyarrow.csv.open_csv(
            Joined(parts),
            read_options=pyarrow.csv.ReadOptions(
                column_names=names,
                skip_rows_after_names=1,
                block_size=BLOCK,
                use_threads=False,  # with threads, a row that does not fit has no number
            ),
            parse_options=pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.binary()), strings_can_be_null=False
            ),
        ).read_all()
    except pa.ArrowInvalid as error:
        misfit = MISFIT.search(str(error))
        if misfit:
            raise _misfit(misfit, separator, names) from None
        if "straddl" in str(error):
            problem = f"a double quote is left open, or a row is longer than {BLOCK >> 20} MiB"
            raise InputError(problem) from None
        raise
    last = table.columns[-1][-1].as_py() if len(table) else b""
    if last.endswith(END):
        raise InputError("a double quote is opened here and never closed", row=len(table) - 1)
    return zip(names, table.columns, strict=True)


def _misfit(found: re.Match[str], separator: str, names: list[str]) -> InputError:
    number, width, count, text = found.groups()
    if width == "1":
        problem = TITLE.format(repr(printable(names[0], 40)), count)
        return InputError(f"{problem}; {ADVICE}", row=int(number) - 2)
    cells = "1 cell" if count == "1" else f"{count} cells"
    by = SEPARATORS.get(separator, repr(separator))
    problem = f"has {cells} where the header has {width} (by {by})"
    if text.count('"') % 2 or "\n" in text:
        problem += "; is a double quote left open?"
    else:
        problem += f"; {ADVICE}"
    return InputError(problem, row=int(number) - 2)


def _text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """The column as strings, null where a cell is empty."""
    try:
        text = column.cast(pa.string())
    except pa.ArrowInvalid:
        row = next(row for row, cell in enumerate(column) if not _is_utf_8(cell.as_py()))
        problem = f"is not UTF-8 text; {AS_UTF_8}"
        raise InputError(problem, field=name, row=row) from None
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _is_utf_8(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True
