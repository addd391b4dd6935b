"""Arrow tables written as parquet, delimited text or JSON lines, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from routerjax.data.formats.arrow import BATCH
from routerjax.data.formats.kinds import PACKED, kind_of
from routerjax.support import atomic


def save(table: pa.Table, path: str | os.PathLike[str]) -> None:
    """Write a table by the suffix of `path`, whole or not at all; .gz and .zst are packed.

    Raises:
      InputError: an unknown suffix, or a folder that cannot be written.
    """
    place, kind = Path(path).expanduser(), kind_of(path)
    with atomic.new_file(place) as temporary, _opened(temporary) as file:
        if kind == "parquet":
            pyarrow.parquet.write_table(table, file)
        elif kind == "delimited":
            _write_delimited(table, file, "\t" if ".tsv" in place.suffixes else ",")
        else:
            for part in _parts(table):
                file.writelines(_json_lines(part))


def _opened(place: Path) -> IO[bytes]:
    packed = PACKED.get(place.suffix.lower())
    if packed is None:
        return open(place, "wb")
    return pa.output_stream(str(place), compression=packed)


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    # As text, the numbers of a whole table may be more bytes than one Arrow array can hold.
    return (table.slice(start, BATCH) for start in range(0, table.num_rows, BATCH))


def _write_delimited(table: pa.Table, file: IO[bytes], separator: str) -> None:
    options = pyarrow.csv.WriteOptions(delimiter=separator)
    schema = _flat(table.slice(0, 0)).schema
    with pyarrow.csv.CSVWriter(file, schema, write_options=options) as writer:
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
