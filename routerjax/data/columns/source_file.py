"""One file's columns under routerjax's names, and errors under the file's own."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routerjax.data.columns import arrays, prompts, shape
from routerjax.data.columns.notation import notation_of
from routerjax.data.columns.prompts import Prompts
from routerjax.data.columns.schema import Schema, cost_unit
from routerjax.data.columns.times import times_of
from routerjax.data.columns.values import numbers, same, words
from routerjax.data.formats import loading, several
from routerjax.data.formats.arrow import first_line
from routerjax.data.formats.frames import Frame
from routerjax.errors import InputError
from routerjax.records.on_disk import Stored, memory
from routerjax.support.cache import scratch


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """A file or a data frame that has been read, n rows.

    Attributes:
      table: its columns.
      source: its path, or "frame", for messages.
      names: routerjax's name of a column to the file's, or to a path into one.
      cells: routerjax's name of a column to its cells; several columns are tried in turn.
      schema: the rules by which it is read.
      kept: [n] bool, False in rows that the schema leaves out; None where it keeps all.
      embeddings: path of the .npy file that holds the embeddings instead of a column, or None.
      in_memory: bytes of embeddings that are held in memory; more stay on disk.
    """

    table: pa.Table
    source: str
    names: Mapping[str, str]
    cells: Mapping[str, tuple[pa.ChunkedArray, ...]]
    schema: Schema
    kept: np.ndarray | None = None
    embeddings: str | None = None
    in_memory: int = sys.maxsize

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __contains__(self, name: str) -> bool:
        return name in self.names or (name == "embedding" and self.embeddings is not None)

    def fail(self, problem: str, *, field: str | None = None, row: int | None = None) -> InputError:
        """The error to raise: `field` is routerjax's name, `row` the file's."""
        source, column = self.source, self.names.get(field or "", field)
        if field == "embedding" and self.embeddings is not None:
            source, column = self.embeddings, None
        elif row is not None:
            source, row = several.place_of(self.table, row, source=source)
        return InputError(problem, source=source, field=column, row=row)

    def require(self, *names: str) -> None:
        """Raise unless one of `names` is there."""
        if not any(name in self for name in names):
            wanted = " or ".join(f"'{name}'" for name in names)
            raise self.fail(f"no column {wanted}; {found(self.table)}")

    @contextlib.contextmanager
    def place(self, field: str | None = None, *, rows: np.ndarray | None = None) -> Iterator[None]:
        """Errors raised inside name this file, its own column and its own row.

        Args:
          field: routerjax's name of the column, where the error names none.
          rows: the file's row for every row of the record that is built inside.
        """
        try:
            yield
        except InputError as error:
            row = error.row if error.row is None or rows is None else int(rows[error.row])
            raise self.fail(error.problem, field=error.field or field, row=row) from None

    def column(self, name: str) -> pa.ChunkedArray:
        """The cells of a column, null in rows that are left out."""
        cells = self.cells[name]
        return self._of_kept(cells[0] if len(cells) == 1 else shape.first_of(cells))

    def numbers(self, name: str) -> np.ndarray:
        """[n] float64, NaN where missing."""
        with self.place(name):
            return numbers(self.column(name), notation_of(name, self.schema))

    def texts(self, name: str) -> list[str | None]:
        """n strings, None where missing."""
        with self.place(name):
            return arrays.texts(self.column(name))

    def prompts(self) -> Prompts:
        """The prompts by the one rule for them."""
        with self.place("prompt"):
            form = self.schema.prompt_form
            return shape.first_prompts(
                [
                    prompts.prompts_of(self._of_kept(each), form=form)
                    for each in self.cells["prompt"]
                ]
            )

    def costs(self, name: str) -> np.ndarray:
        """[n] US dollars per query, NaN where missing.

        Raises:
          InputError: a currency that the schema does not say the price of.
        """
        price, own = cost_unit(self.schema.cost_unit)
        if "currency" not in self:
            return self.numbers(name) * price
        rates = {"": price, "usd": 1.0 if own != "usd" else price, own: price}
        currencies = [(each or "").strip().lower() for each in self.texts("currency")]
        for row, currency in enumerate(currencies):
            if currency not in rates:
                raise self.fail(
                    f"the cost is in {currency.upper()[:10]}; say what one is worth in dollars, as "
                    f"in --cost-unit {currency[:10]}:1.08",
                    field="currency",
                    row=row,
                )
        return self.numbers(name) * np.array([rates[currency] for currency in currencies])

    def times(self) -> np.ndarray | None:
        """[n] seconds since 1970, NaN where missing; None where no column of times is named."""
        if "time" not in self.schema.columns:
            return None
        with self.place("time"):
            return times_of(self.column("time"))[0]

    def failed(self) -> np.ndarray:
        """[n] bool: rows that the schema says are failed calls."""
        failed = np.zeros(len(self), bool)
        for cells, equal, wanted in shape.conditions(self.table, self.schema, self.source):
            failed |= np.array([same(text, wanted) == equal for text in words(cells)])
        return failed

    def matrix(self) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings as [n, d] floats, and [n] bool: True where there is one."""
        with self.place("embedding"):
            if self.embeddings is not None:
                return load_matrix(self.embeddings, len(self)), np.ones(len(self), bool)
            return arrays.matrix(self.cells["embedding"][0], empty=self._empty)

    def features(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray | Stored:
        """These rows of a `matrix` in single precision; left on disk if it is too large."""
        if isinstance(values, np.memmap) and values.size * 4 > self.in_memory:
            stored = Stored(values)
            return stored if len(rows) == len(values) else stored[rows]
        # every row, the usual case, needs no copy of the largest array there is
        return arrays.single(values if len(rows) == len(values) else values[rows])

    def _of_kept(self, cells: pa.ChunkedArray) -> pa.ChunkedArray:
        if self.kept is None:
            return cells
        return pc.if_else(pa.array(self.kept), cells, pa.scalar(None, cells.type))

    def _empty(self, shape: tuple[int, int]) -> np.ndarray:
        if math.prod(shape) * 4 <= self.in_memory:
            return np.empty(shape, np.float32)
        with tempfile.TemporaryFile(dir=scratch()) as file:  # gone from the folder, not from us
            return np.memmap(file, np.float32, "w+", shape=shape)


def open_file(
    path: loading.Paths | Frame,
    schema: Schema,
    embeddings: str | os.PathLike[str] | None = None,
    *,
    in_memory: int | None = None,
) -> SourceFile:
    """Read a file or a data frame by a schema.

    Embeddings of more than `in_memory` bytes, by default a quarter of the machine's memory,
    stay on disk.

    Raises:
      InputError: the file cannot be read, or the schema names a column that it does not have.
    """
    in_memory = memory() if in_memory is None else in_memory
    table, source = shape.load(path, schema, in_memory)
    try:
        kept = shape.kept(table, schema)
        named, cells = shape.columns_of(table, schema, kept)
    except InputError as error:
        row = error.row
        if row is not None:
            source, row = several.place_of(table, row, source=source)
        raise InputError(error.problem, source=source, field=error.field, row=row) from None
    matrix = None if embeddings is None else str(embeddings)
    return SourceFile(table, source, named, cells, schema, kept, matrix, in_memory)


def found(table: pa.Table) -> str:
    """The columns of a file, for a message."""
    return shape.listed(table)


def load_matrix(path: str, rows: int | None) -> np.ndarray:
    """[rows, d] floats of an .npy file, left on disk until they are used; any rows if None."""
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError("no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot be read as .npy: {first_line(error)}") from None
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind != "f":
        raise InputError("must be one matrix of floats, a row for every row of the file")
    if rows is not None and len(values) != rows:
        raise InputError(f"holds {len(values)} rows where the file has {rows}")
    return values
