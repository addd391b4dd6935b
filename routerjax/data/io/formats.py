"""Parquet, CSV and JSON lines as Arrow tables: reading through `datasets`, and writing.

Reading streams, because that alone leaves no copy of the data in the user's cache.
"""

from __future__ import annotations

import glob
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from routerjax.data.io import hub
from routerjax.data.io.arrow import BATCH, first_line, gather, quiet
from routerjax.errors import InputError
from routerjax.support import atomic
from routerjax.support.cache import scratch

KINDS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json"}
ACCEPTED = "use .parquet, .csv or .jsonl (one JSON object a line)"
CHUNK = 1 << 26  # bytes of JSON whose types are inferred together

UNREADABLE = (pa.ArrowException, ValueError, TypeError, KeyError, OSError, Warning)


def load(
    path: str | os.PathLike[str],
    *,
    text: Collection[str] = (),
    in_memory: int = sys.maxsize,
) -> pa.Table:
    """The rows of a local file, or of a hub data set ``owner/name[:split]``.

    Args:
      path: a .parquet, .csv, .jsonl, .ndjson or .json file, or a name on the hub.
      text: columns that hold text, for formats that would otherwise guess at dates.
      in_memory: a parquet file of more bytes is not held in memory but mapped, as Arrow.

    Returns:
      A table of at least one row. Columns of a CSV file are strings, null where a cell is empty.

    Raises:
      InputError: nothing there, an unknown or corrupt format, or no rows.
    """
    name, place = str(path) or ".", Path(path).expanduser()
    if not place.exists():
        if not hub.is_name(name):
            raise InputError("no such file", source=name)
        table = hub.load(name)
    else:
        kind = _kind(place, name)
        try:
            table = _read(place, kind, text, in_memory)
        except InputError as error:
            raise InputError(error.problem, source=name, field=error.field, row=error.row) from None
        except UNREADABLE as error:
            problem = f"cannot be read as {place.suffix.lower()[1:]}: {first_line(error)}"
            raise InputError(problem, source=name) from None
    if table.num_rows == 0:
        raise InputError("there are no rows; at least one is needed", source=name)
    return table


def save(table: pa.Table, path: str | os.PathLike[str]) -> None:
    """Write a table by the suffix of `path`, whole or not at all.

    Raises:
      InputError: an unknown suffix, or a folder that cannot be written.
    """
    place, kind = Path(path).expanduser(), kind_to_write(path)
    with atomic.new_file(place) as temporary, open(temporary, "wb") as file:
        if kind == "parquet":
            pyarrow.parquet.write_table(table, file)
        elif kind == "csv":
            _write_csv(table, file)
        else:
            for part in _parts(table):
                file.writelines(_json_lines(part))


def kind_to_write(path: str | os.PathLike[str]) -> str:
    """The format that the suffix of `path` asks for.

    Raises:
      InputError: an unknown suffix.
    """
    suffix = Path(path).suffix
    if suffix.lower() not in KINDS:
        raise InputError(f"unknown suffix '{suffix}'; {ACCEPTED}", source=str(path))
    return KINDS[suffix.lower()]


def _kind(place: Path, name: str) -> str:
    if place.is_dir():
        raise InputError(f"is a folder; {ACCEPTED}", source=name)
    kind = KINDS.get(place.suffix.lower())
    if kind is None:
        raise InputError(f"unknown suffix '{place.suffix}'; {ACCEPTED}", source=name)
    if place.stat().st_size == 0:
        raise InputError("the file is empty", source=name)
    return kind


def _read(place: Path, kind: str, text: Collection[str], in_memory: int) -> pa.Table:
    if kind == "parquet" and place.stat().st_size > in_memory:
        return _mapped(place)
    if kind == "parquet":
        # A batch size spares the reader of an empty file a division by its rows.
        return _stream(place, "parquet", {"batch_size": BATCH})
    return _read_csv(place) if kind == "csv" else _read_json(place, text)


def _mapped(place: Path) -> pa.Table:
    """A parquet file as memory-mapped Arrow; the file of it is gone from the folder at once."""
    import datasets

    shown = sys.stderr.isatty() and datasets.are_progress_bars_enabled()
    with quiet(), tempfile.TemporaryDirectory(dir=scratch()) as folder:
        if not shown:
            datasets.disable_progress_bars()
        try:
            rows = datasets.Dataset.from_parquet(
                glob.escape(str(place.resolve())), cache_dir=folder
            )
        finally:
            if not shown:
                datasets.enable_progress_bars()
        return rows.data.table


def _stream(place: Path, kind: str, options: Mapping[str, Any]) -> pa.Table:
    import datasets

    # Not `load_dataset`, which tells a server of every file it reads and waits for the answer.
    read = getattr(datasets.IterableDataset, f"from_{kind}")
    # The name is a pattern to the library: unescaped, "log[1].csv" would read "log1.csv".
    pattern = glob.escape(str(place.resolve()))
    with quiet(), tempfile.TemporaryDirectory() as folder:
        if kind == "csv":
            import pandas

            warnings.simplefilter("error", pandas.errors.ParserWarning)  # a row too long
        return gather(read(pattern, cache_dir=folder, **options))


def _read_csv(place: Path) -> pa.Table:
    """Every cell as text: left to guess, a prompt "NA" is missing and "007" is a number."""
    import datasets
    import pandas

    head = pandas.read_csv(place, header=None, nrows=1, dtype=str, na_filter=False)
    names = [name or f"column {position}" for position, name in enumerate(head.iloc[0])]
    for name in names:
        if names.count(name) > 1:
            raise InputError("the header names this column twice", field=name)
    options = {
        "column_names": names,
        "header": 0,
        "index_col": False,  # else a row one cell too long is shifted by one column
        "na_filter": False,
        "features": datasets.Features({name: datasets.Value("string") for name in names}),
    }
    try:
        table = _stream(place, "csv", options)
    except (pandas.errors.ParserError, pandas.errors.ParserWarning) as error:
        reason = first_line(error).removeprefix("Error tokenizing data. C error: ")
        if isinstance(error, pandas.errors.ParserWarning):
            reason = "rows have more cells than the header"
        raise InputError(f"{reason}; text with commas belongs in double quotes") from None
    columns = [pc.if_else(pc.equal(column, ""), None, column) for column in table.columns]
    return pa.table(columns, names=table.column_names)


def _read_json(place: Path, text: Collection[str]) -> pa.Table:
    """Through `datasets`, and by hand where one type a column does not fit or is a wrong guess."""
    with open(place, "rb") as file:
        if file.read(64).lstrip().startswith(b"["):
            return _read_json_by_hand(place)
    options = {"on_mixed_types": None, "parse_agent_traces": False, "chunksize": CHUNK}
    try:
        table = _stream(place, "json", options)
    except UNREADABLE:
        return _read_json_by_hand(place)
    dates = {field.name for field in table.schema if pa.types.is_timestamp(field.type)}
    return _read_json_by_hand(place) if dates.intersection(text) else table


def _read_json_by_hand(place: Path) -> pa.Table:
    """Slower and exact: columns of mixed types become text, and a syntax error names its row."""
    content = place.read_text(encoding="utf-8-sig")
    if content.lstrip().startswith("["):
        rows = json.loads(content)
    else:
        rows = []
        for line in filter(str.strip, content.split("\n")):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise InputError(f"is not valid JSON: {error}", row=len(rows)) from None
    for row, values in enumerate(rows):
        if not isinstance(values, dict):
            raise InputError("is not a JSON object", row=row)
    names = dict.fromkeys(name for values in rows for name in values)
    return pa.table({name: _column([values.get(name) for values in rows]) for name in names})


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array(
            [
                value if value is None or isinstance(value, str) else json.dumps(value)
                for value in values
            ]
        )


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    # As text, the numbers of a whole table may be more bytes than one Arrow array can hold.
    return (table.slice(start, BATCH) for start in range(0, table.num_rows, BATCH))


def _write_csv(table: pa.Table, file: IO[bytes]) -> None:
    with pyarrow.csv.CSVWriter(file, _flat(table.slice(0, 0)).schema) as writer:
        for part in _parts(table):
            writer.write_table(_flat(part))


def _json_lines(table: pa.Table) -> Iterator[bytes]:
    cells = []
    for name, column in zip(table.column_names, _flat(table).columns, strict=True):
        is_string = pa.types.is_string(table[name].type)
        key = json.dumps(name, ensure_ascii=False)
        cells.append(
            [
                f"{key}: {json.dumps(value, ensure_ascii=False) if is_string else value or 'null'}"
                for value in column.cast(pa.string()).to_pylist()
            ]
        )
    for row in zip(*cells, strict=True):
        yield ("{" + ", ".join(row) + "}\n").encode()


def _flat(table: pa.Table) -> pa.Table:
    """The table with lists written as ``[0.1,0.2]``, for formats of text."""

    def flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
        if not pa.types.is_fixed_size_list(column.type):
            return column
        entries = column.cast(pa.list_(pa.float32())).cast(pa.list_(pa.string()))
        return pc.binary_join_element_wise("[", pc.binary_join(entries, ","), "]", "")

    return pa.table([flat(column) for column in table.columns], names=table.column_names)
