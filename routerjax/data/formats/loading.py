"""Files of rows as Arrow tables: which reader reads which, and what is said where none can.

Parquet that fits in memory is read by Arrow itself, what is to be mapped by `datasets`, which takes
half a second to import; delimited text and JSON are read by `delimited` and `json_rows`.
"""

from __future__ import annotations

import glob
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa

from routerjax.data.formats import delimited, hub, json_rows, several
from routerjax.data.formats.arrow import first_line, quiet
from routerjax.data.formats.kinds import ACCEPTED, KINDS, may_be_json, suffix_of
from routerjax.data.formats.named import public_file
from routerjax.data.formats.opening import blocks, compression, located
from routerjax.errors import InputError
from routerjax.support.cache import scratch

UNREADABLE = (pa.ArrowException, ValueError, TypeError, KeyError, OSError, Warning)

OTHERS = {
    b"PAR1": "is a parquet file; give it the suffix .parquet",
    b"PK\x03\x04": "is a workbook or an archive; save it as .csv",
    b"\xd0\xcf\x11\xe0": "is a workbook; save it as .csv",
    b"%PDF": "is a PDF; save it as .csv",
}
"""What files that are no text begin with."""

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def load(paths: Paths, *, in_memory: int = sys.maxsize) -> pa.Table:
    """The rows of local files, one after another, or of a hub data set ``owner/name[:split]``.

    Args:
      paths: a file, a pattern such as ``logs/*.jsonl`` (its files in the order of their names),
        several of these, or a name on the hub. Files are .parquet, .csv, .tsv, .jsonl, .ndjson
        or .json, each also packed as .gz or .zst. JSON may stand in a .txt or .log file, or
        in one without a suffix.
      in_memory: a parquet file of more bytes is not held in memory but mapped, as Arrow.

    Returns:
      A table of at least one row. Columns of delimited text are strings, null where a cell is
      empty; nested values of JSON stay structures and lists. Of several files a column that one
      of them lacks is null there, and `several.parts` tells which rows are whose.

    Raises:
      InputError: nothing there, an unknown or corrupt format, or no rows.
    """
    names = several.expanded(paths)
    return several.joined([(name, _table(name, in_memory)) for name in names])


def _table(name: str, in_memory: int) -> pa.Table:
    place = located(public_file(name) or name or ".")
    if not place.exists():
        if not hub.is_name(name):
            raise InputError("no such file", source=name)
        table = hub.load(name)
    else:
        kind = _kind(place, name)
        try:
            table = _read(place, kind, in_memory)
        except InputError as error:
            raise InputError(error.problem, source=name, field=error.field, row=error.row) from None
        except MemoryError:
            raise InputError("is too large for the memory of this machine", source=name) from None
        except UNREADABLE as error:
            told = suffix_of(place)[1:] if suffix_of(place) in KINDS else kind
            problem = f"cannot be read as {told}: {first_line(error)}"
            raise InputError(problem[:200], source=name) from None
    if table.num_rows == 0:
        raise InputError("there are no rows; at least one is needed", source=name)
    return table


def _entries(folder: Path) -> list[str]:
    """The names in a folder; none where it cannot be looked into."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _kind(place: Path, name: str) -> str:
    if place.is_dir():
        inside = sorted({suffix_of(Path(each)) for each in _entries(place)} & KINDS.keys())
        like = f"{name.rstrip('/')}/*{inside[0] if inside else '.jsonl'}"
        raise InputError(f"is a folder; name its files, as in {like}", source=name)
    kind = KINDS.get(suffix_of(place))
    try:
        with open(place, "rb") as file:
            head = file.read(4)
        if kind is None and head and may_be_json(place) and _begins_as_json(place):
            return "json"
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(f"cannot be read ({reason})", source=name) from None
    if kind is None and head in OTHERS:
        raise InputError(OTHERS[head], source=name)
    if kind is None:
        no_json = "does not begin as JSON does, and has the " if head and may_be_json(place) else ""
        raise InputError(f"{no_json}unknown suffix '{suffix_of(place)}'; {ACCEPTED}", source=name)
    if not head:
        raise InputError("the file is empty", source=name)
    if kind != "parquet" and head in OTHERS:
        raise InputError(f"{OTHERS[head]}", source=name)
    return kind


def _begins_as_json(place: Path) -> bool:
    """Whether the first sign of a file is that of a JSON object or array."""
    head = next(blocks(place), b"").lstrip()
    return head[:1] in (b"{", b"[")


def _read(place: Path, kind: str, in_memory: int) -> pa.Table:
    if kind == "delimited":
        table, separator = delimited.read(place, suffix=suffix_of(place))
        return several.noted(table, separator=separator)
    if kind == "json":
        return json_rows.read(place)
    if compression(place) is not None:
        with tempfile.NamedTemporaryFile(dir=scratch(), suffix=".parquet") as file:
            return _parquet(_unpacked(place, file), in_memory)
    return _parquet(place, in_memory)


def _unpacked(place: Path, file: IO[bytes]) -> Path:
    file.writelines(blocks(place))
    file.flush()
    return Path(file.name)


def _parquet(place: Path, in_memory: int) -> pa.Table:
    if place.stat().st_size > in_memory:
        # The name is a pattern to the library: unescaped, "log[1].parquet" would read another.
        return _mapped(glob.escape(str(place.resolve())))
    from pyarrow import parquet

    with parquet.ParquetFile(place) as file:
        return file.read()


def _mapped(pattern: str) -> pa.Table:
    """A parquet file as memory-mapped Arrow; the file of it is gone from the folder at once."""
    import datasets

    shown = sys.stderr.isatty() and datasets.are_progress_bars_enabled()
    with quiet(), tempfile.TemporaryDirectory(dir=scratch()) as folder:
        if not shown:
            datasets.disable_progress_bars()
        try:
            return datasets.Dataset.from_parquet(pattern, cache_dir=folder).data.table
        finally:
            if not shown:
                datasets.enable_progress_bars()
