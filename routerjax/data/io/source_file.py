"""One file's columns under routerjax's names, and errors under the file's own."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from routerjax.data.io import columns, formats, several
from routerjax.data.io.arrow import first_line
from routerjax.data.io.frames import SOURCE, Frame, is_frame
from routerjax.data.io.frames import load as load_frame
from routerjax.errors import InputError, printable
from routerjax.records.on_disk import Stored, memory
from routerjax.support.cache import scratch

SCORE, COST = "score:", "cost:"  # a table's columns: one of each a model
LOG_NAMES = (
    *("prompt", "embedding", "model", "quality", "cost", "propensity", "task", "split"),
    *("group", "scored_by"),
)
TABLE_NAMES = ("prompt", "embedding", SCORE, COST, "task", "split", "group")
MOST_LISTED = 30  # columns of a file that a message lists
LONGEST_LIST = 160  # characters of that list
LONGEST_FIELD = 60  # characters of a name in it


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """A file or a data frame that has been read, n rows.

    Attributes:
      table: its columns.
      source: its path, or "frame", for messages.
      names: routerjax's name of a column to the file's.
      embeddings: path of the .npy file that holds the embeddings instead of a column, or None.
      in_memory: bytes of embeddings that are held in memory; more stay on disk.
    """

    table: pa.Table
    source: str
    names: Mapping[str, str]
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

    def numbers(self, name: str) -> np.ndarray:
        """[n] float64, NaN where missing."""
        with self.place(name):
            return columns.numbers(self.table[self.names[name]])

    def texts(self, name: str) -> list[str | None]:
        """n strings, None where missing."""
        with self.place(name):
            return columns.texts(self.table[self.names[name]])

    def matrix(self) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings as [n, d] floats, and [n] bool: True where there is one."""
        with self.place("embedding"):
            if self.embeddings is not None:
                return load_matrix(self.embeddings, len(self)), np.ones(len(self), bool)
            return columns.matrix(self.table[self.names["embedding"]], empty=self._empty)

    def features(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray | Stored:
        """These rows of a `matrix` in single precision; left on disk if it is too large."""
        if isinstance(values, np.memmap) and values.size * 4 > self.in_memory:
            stored = Stored(values)
            return stored if len(rows) == len(values) else stored[rows]
        # every row, the usual case, needs no copy of the largest array there is
        return columns.single(values if len(rows) == len(values) else values[rows])

    def _empty(self, shape: tuple[int, int]) -> np.ndarray:
        if math.prod(shape) * 4 <= self.in_memory:
            return np.empty(shape, np.float32)
        with tempfile.TemporaryFile(dir=scratch()) as file:  # gone from the folder, not from us
            return np.memmap(file, np.float32, "w+", shape=shape)


def open_file(
    path: formats.Paths | Frame,
    renames: Mapping[str, str],
    embeddings: str | os.PathLike[str] | None,
    *,
    in_memory: int | None = None,
) -> SourceFile:
    """Read a file or a data frame, columns renamed by `renames`: routerjax's name to the file's.

    Embeddings of more than `in_memory` bytes, by default a quarter of the machine's memory,
    stay on disk.

    Raises:
      InputError: the file cannot be read, or `renames` names a column that neither side has.
    """
    check_names(renames, (*LOG_NAMES, *TABLE_NAMES))
    in_memory = memory() if in_memory is None else in_memory
    if is_frame(path):
        source, table = SOURCE, load_frame(path)
    elif isinstance(path, str | os.PathLike | list | tuple):
        source, table = several.title(path), formats.load(path, in_memory=in_memory)
    else:
        what = type(path).__name__
        raise InputError(
            f"a {what} is neither a path, a list of paths nor a data frame that Arrow can read "
            "(pandas from 2.2, polars, pyarrow, DuckDB)"
        )
    for name, column in renames.items():
        if column not in table.column_names:
            problem = f"no column '{column}' to read {name} from; {found(table)}"
            raise InputError(problem, source=source)
    names = dict(renames)
    for column in table.column_names:
        if column not in renames.values():  # a column that was renamed has lost its own name
            names.setdefault(column, column)
    # In the file's order, which is the order of a table's models.
    names = dict(sorted(names.items(), key=lambda item: table.column_names.index(item[1])))
    matrix = None if embeddings is None else str(embeddings)
    return SourceFile(table, source, names, matrix, in_memory)


def check_names(names: Mapping[str, str], allowed: Sequence[str]) -> None:
    """Raise unless every key of `names` is in `allowed`, or begins with a prefix that is.

    Raises:
      InputError: an unknown name; the message lists those allowed.
    """
    prefixes = tuple(name for name in allowed if name.endswith(":"))
    for name in names:
        if name in prefixes or (name not in allowed and not name.startswith(prefixes)):
            listed = dict.fromkeys(
                f"{each}<model>" if each.endswith(":") else each for each in allowed
            )
            raise InputError(
                f"'{name}' is not a column that can be named here; these are {', '.join(listed)}",
                source="columns",
            )


def found(table: pa.Table) -> str:
    """The columns of a file, for a message."""
    names = [printable(name, LONGEST_FIELD) for name in table.column_names]
    if len(names) == 1:
        by = several.separator_of(table)
        asked = "" if by is None else "; its cells are not separated by commas, tabs, ; or |"
        return f"its only column is {names[0]}{asked}"
    shown = names[:MOST_LISTED]
    while len(shown) > 1 and len(", ".join(shown)) > LONGEST_LIST:
        shown.pop()
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"its columns are {', '.join(shown)}{more}"


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
