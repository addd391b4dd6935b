"""Arrow columns as NumPy arrays and strings.

Every function takes one column and raises an `InputError` that names the row at fault, without
the file and the column, which the caller knows. Work is done on whole columns.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routerjax.data.columns.buffers import reals, truths
from routerjax.errors import InputError, printable

DASHES = ("-", "--", "\u2013", "\u2014", "#n/a", "#na", "<na>", "n.a.", "(null)", "nil")
"""What spreadsheets and people write where there is no number."""
UNRATED = (
    "no feedback",
    "no_feedback",
    "no rating",
    "not rated",
    "not_rated",
    "unrated",
    "no vote",
)
"""What stands in the place of feedback that nobody gave."""
NO_NUMBER = ("", "na", "n/a", "nan", "null", "none", "{}", "[]", *DASHES, *UNRATED)
LONGEST_KIND = 60  # characters of a type that a message names
LONGEST_QUOTE = 40  # characters of a cell that a message repeats


def _in_memory(shape: tuple[int, int]) -> np.ndarray:
    return np.empty(shape, np.float32)


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """[n] float64 of a column of numbers, booleans (0 and 1) or numbers in text form.

    Missing values are NaN: nulls, and in text ``""``, ``NA``, ``N/A``, ``NaN``, ``null``, ``None``,
      ``{}``, ``[]``, and what spreadsheets write, a dash or ``#N/A``.

      Raises:
        InputError: text that is no number, or a type that holds none.
    """
    if is_text(column):
        column = _parsed(column)
    elif not _is_numeric(column.type):
        raise InputError(f"holds {kind_of(column)}, not numbers")
    return reals(column.cast(pa.float64(), safe=False))


def texts(column: pa.ChunkedArray) -> list[str | None]:
    """n strings of a column, None where one is missing; numbers are written out.

    Raises:
      InputError: lists, structures or bytes that are not UTF-8.
    """
    if not is_text(column):
        if pa.types.is_nested(column.type):
            raise InputError(f"holds {kind_of(column)}, not text")
        try:
            column = column.cast(pa.string())
        except pa.ArrowException:
            raise InputError(f"holds {kind_of(column)}, not text") from None
    return column.to_pylist()


def matrix(
    column: pa.ChunkedArray, *, empty: Callable[[tuple[int, int]], np.ndarray] = _in_memory
) -> tuple[np.ndarray, np.ndarray]:
    """A column of lists of numbers as ([n, d] float32, [n] bool: True where there is a list).

    Lists may be written as text, ``[0.1, 0.2]`` or as NumPy prints them, ``[0.1 0.2]``. Rows
    without a list are NaN.

    Args:
      column: of n rows, read a chunk at a time.
      empty: makes the float32 array [n, d] to be filled, in memory or in a file.

    Raises:
      InputError: lists of different length, no list at all, or something else than numbers.
    """
    if is_text(column):
        column = _split(column)
    if not is_list(column.type):
        raise InputError(f"holds {kind_of(column)}, not lists of numbers")
    lengths = reals(pc.list_value_length(column).cast(pa.float64()))
    present = ~np.isnan(lengths)
    if not present.any():
        raise InputError("holds no embedding in any row")
    width = int(lengths[present][0])
    ragged = present & (lengths != width)
    if ragged.any():
        row = int(ragged.argmax())
        raise InputError(
            f"holds {int(lengths[row])} numbers where the rows before hold {width}", row=row
        )
    if width == 0:
        raise InputError("holds empty lists")
    values, first = empty((len(present), width)), 0
    for chunk in column.chunks:
        own = present[first : first + len(chunk)]
        into = values[first : first + len(chunk)]
        into[~own] = np.nan
        try:
            into[own] = _entries(pa.chunked_array([pc.list_flatten(chunk)])).reshape(-1, width)
        except InputError as error:
            at = None if error.row is None else first + int(np.flatnonzero(own)[error.row // width])
            raise InputError(error.problem, row=at) from None
        first += len(chunk)
    return values, present


def single(values: np.ndarray) -> np.ndarray:
    """The values as float32; those too large for it become infinite, which records refuse."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)


def is_text(column: pa.ChunkedArray) -> bool:
    """Whether the column holds strings."""
    kind = column.type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def kind_of(column: pa.ChunkedArray) -> str:
    """The type of a column for a message, shortened: a structure's lists its keys."""
    return printable(str(column.type), LONGEST_KIND)


def quoted(value: str) -> str:
    """The value in quotes for a message, shortened."""
    return repr(value if len(value) <= LONGEST_QUOTE else value[: LONGEST_QUOTE - 3] + "...")


def _entries(flat: pa.ChunkedArray) -> np.ndarray:
    # The common case of single precision is spared the way through double.
    is_single = pa.types.is_float32(flat.type)
    return reals(flat, np.float32) if is_single else single(numbers(flat))


def _parsed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.float64())  # plain numbers, many times faster than what follows
    except pa.ArrowInvalid:
        pass
    text = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    missing = pc.is_in(text, value_set=pa.array(NO_NUMBER, text.type))
    text = pc.if_else(missing, pa.scalar(None, text.type), text)
    for word, number in (("true", "1"), ("false", "0")):
        text = pc.if_else(pc.equal(text, word), pa.scalar(number, text.type), text)
    try:
        return text.cast(pa.float64())
    except pa.ArrowInvalid:
        row = next(i for i, value in enumerate(text.to_pylist()) if not _is_number(value))
        raise InputError(f"{quoted(column[row].as_py())} is not a number", row=row) from None


def _is_number(value: str | None) -> bool:
    try:
        pa.scalar(value, pa.string()).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _is_numeric(kind: pa.DataType) -> bool:
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return number or pa.types.is_boolean(kind) or pa.types.is_null(kind)


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is of lists."""
    found = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return found or pa.types.is_fixed_size_list(kind)


def _split(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The lists of a column that writes them as text, ``[0.1, 0.2]``, or NumPy's ``[0.1 0.2]``."""
    text = pc.utf8_trim_whitespace(column)
    lists = pc.and_(pc.starts_with(text, "["), pc.ends_with(text, "]"))
    wrong = ~truths(lists, missing=True)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{quoted(column[row].as_py())} is not a list of numbers such as [0.1, 0.2]", row=row
        )
    cut = truths(pc.match_substring(text, "..."), missing=False)
    if cut.any():
        problem = "NumPy left numbers out of this text ('...'); write embeddings by .tolist()"
        raise InputError(problem, row=int(cut.argmax()))
    inner = pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(text, 1, -1))
    with_commas = pc.match_substring(inner, ",")
    spaced = pc.replace_substring_regex(inner, r"\s+", ",")
    return pc.split_pattern(pc.if_else(with_commas, inner, spaced), ",")
