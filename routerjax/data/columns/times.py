"""Columns of times as seconds since 1970 (UTC), and splits by time."""

from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routerjax.data.columns.arrays import is_text, kind_of, quoted
from routerjax.data.columns.buffers import reals
from routerjax.errors import InputError
from routerjax.records.periods import written

UNITS = (
    ("seconds", 1e8, 1.0),
    ("milliseconds", 1e11, 1e3),
    ("microseconds", 1e14, 1e6),
    ("nanoseconds", 1e17, 1e9),
)
"""Units since 1970: name, the number from which it is that unit (1973 in seconds), units a
second."""
LATEST = 4102444800.0  # 2100-01-01
TEST_SHARE = 0.2
"""Of the rows, the last, that a split by time tests on."""


def times_of(column: pa.ChunkedArray) -> tuple[np.ndarray, str]:
    """[n] float64 seconds since 1970 (UTC), NaN where missing, and what the column counts in.

    Dates and times as such; numbers since 1970 in the unit that their size tells; ISO 8601 in text,
    with its offset or in UTC.

    Raises:
      InputError: a cell that is no time, in one sentence that names the row.

    >>> times_of(pa.chunked_array([[1700000000000, None]]))
    (array([1.7e+09,     nan]), 'milliseconds')
    """
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        whole = column.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False)
        return _scaled(whole.cast(pa.int64()), 1e6), "dates"
    if is_text(column):
        return _of_text(column)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _since_1970(_scaled(column, 1.0), column)
    raise InputError(f"holds {kind_of(column)}, not times")


def moment(value: Any) -> float | None:
    """Seconds since 1970 of one value: a time, a number in the unit that its size tells, or ISO
    text; None if it is none."""
    try:
        if isinstance(value, datetime.datetime):
            found = value
        elif isinstance(value, datetime.date):
            found = datetime.datetime(value.year, value.month, value.day)
        elif isinstance(value, int | float) or str(value).replace(".", "", 1).isdigit():
            seconds = float(value)
            return seconds / (_unit(seconds)[1] if math.isfinite(seconds) else math.nan)
        else:
            found = datetime.datetime.fromisoformat(str(value).strip())
        return found.replace(tzinfo=found.tzinfo or datetime.UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def split_by(text: str) -> float:
    """The share of the last rows that ``time`` or ``time:0.3`` tests on.

    Raises:
      InputError: neither, or no share between 0 and 1.
    """
    name, colon, share = text.partition(":")
    try:
        found = float(share) if colon else TEST_SHARE
    except ValueError:
        found = math.nan
    if name.strip() != "time" or not 0 < found < 1:
        problem = f"'{text}' is neither time nor time:SHARE, as in time:0.3"
        raise InputError(problem, source="split by")
    return found


def split_of(time: np.ndarray, groups: np.ndarray, share: float) -> list[str]:
    """n splits: "test" for the groups that begin among the last rows, "train" for the others.

    Rows of a group stay together, so that the test may hold fewer rows than the share.

    Args:
      time: [n] seconds.
      groups: [n] numbers of what is independent.
      share: of the rows.

    Raises:
      InputError: no group begins among the last rows, or all do.
    """
    order = np.sort(time)
    cut = order[min(max(round((1 - share) * len(time)), 0), len(time) - 1)]
    first = np.full(int(groups.max()) + 1, np.inf)
    np.minimum.at(first, groups, time)
    test = first[groups] >= cut
    if not test.any() or test.all():
        where = "no group of rows begins after" if not test.any() else "every row is at or after"
        problem = f"{where} {written(float(cut))}, the time of the last {share:.0%} of the rows"
        raise InputError(f"{problem}; nothing can be split off", field="time")
    return ["test" if own else "train" for own in test]


def _of_text(column: pa.ChunkedArray) -> tuple[np.ndarray, str]:
    try:
        return _since_1970(_scaled(column.cast(pa.float64()), 1.0), column)
    except pa.ArrowInvalid:
        pass
    for zone in (None, "UTC"):
        try:
            whole = pc.utf8_trim_whitespace(column).cast(pa.timestamp("us", tz=zone))
            return _scaled(whole.cast(pa.int64()), 1e6), "ISO 8601"
        except pa.ArrowInvalid:
            continue
    known: dict[str, float] = {}
    found = np.full(len(column), np.nan)
    for row, text in enumerate(column.to_pylist()):
        if text is None or not text.strip():
            continue
        if text not in known:
            seconds = moment(text)
            if seconds is None:
                raise InputError(f"{quoted(text)} is not a time, as 2024-05-01T12:00:00Z", row=row)
            known[text] = seconds
        found[row] = known[text]
    return found, "ISO 8601"


def _since_1970(values: np.ndarray, column: pa.ChunkedArray) -> tuple[np.ndarray, str]:
    known = values[np.isfinite(values)]
    name, size = _unit(float(np.median(known))) if known.size else ("seconds", 1.0)
    seconds = values / size
    with np.errstate(invalid="ignore"):
        wrong = np.isinf(values) | (seconds < UNITS[0][1]) | (seconds > LATEST)
    if wrong.any():
        row = int(wrong.argmax())
        problem = f"{quoted(str(column[row].as_py()))} is not a time in {name} since 1970"
        raise InputError(f"{problem}, as most cells would be", row=row)
    return seconds, name


def _unit(size: float) -> tuple[str, float]:
    """Name of the unit of a number since 1970, and units a second."""
    fit = [(name, scale) for name, least, scale in UNITS if abs(size) >= least]
    return fit[-1] if fit else UNITS[0][::2]


def _scaled(column: pa.ChunkedArray, size: float) -> np.ndarray:
    return reals(column.cast(pa.float64(), safe=False)) / size
