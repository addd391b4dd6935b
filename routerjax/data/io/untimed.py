"""Columns of times without a role over which a log's models and scores change, in one without."""

from __future__ import annotations

import re
import shlex
import warnings

import numpy as np
import pyarrow as pa

from routerjax.data.checks.over_time import Together, changed_together
from routerjax.data.columns.arrays import is_text
from routerjax.data.columns.source_file import SourceFile
from routerjax.data.columns.synonyms import named, plain
from routerjax.data.columns.times import times_of
from routerjax.data.io.ungrouped import free_columns
from routerjax.errors import DataWarning, InputError
from routerjax.records.logs import Log

TIMES = re.compile(
    r"(?:^|[._])(?:time|timestamp|date|datetime|ts|at|on|unix|epoch|created|logged|started|ended|"
    r"finished|updated)(?:$|[._])"
)
"""What columns are called whose numbers may be times."""
DAY = re.compile(r"\s*\d{4}-\d{2}-\d{2}")
"""How a time in text begins, whatever its column is called."""
MOST_ROWS = 50_000  # that are looked at
SAMPLE = 50  # values that tell whether a column holds times
MOSTLY = 0.9  # share of the rows that have one


class TimeWarning(DataWarning):
    """Shares and scores change over a column of times that no one named; `column` is its path."""

    def __init__(self, text: str, column: str) -> None:
        super().__init__(text)
        self.column = column


class TimeError(InputError):
    """The same of a file whose schema is strict."""

    def __init__(self, text: str, column: str, *, source: str) -> None:
        super().__init__(text, source=source)
        self.column = column


def warn_of_times(file: SourceFile, log: Log, rows: np.ndarray) -> None:
    """Warn where no time is named and a model's share changes with the scores over a column.

    One model was then asked when answers of all were better (`data.checks.over_time`), and seems
    better than it is. Of several such columns the one that sounds most like a time is named.

    Args:
      file: that the log was read from.
      log: n rows.
      rows: [n] the file's row for every row of the log.

    Raises:
      TimeError: there is such a column, and the schema is strict.
    """
    if log.time is not None or len(log.models) < 2:
        return
    picked = np.unique(np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.int64))
    columns = dict(free_columns(file))
    if "time" in file:  # it has the name, which gives it no role
        columns["time"] = file.column("time")
    for path in sorted(columns, key=lambda path: -named("time", path)):
        time = _times(path, columns[path], rows[picked])
        found = None if time is None else _found(log, time, picked)
        if time is None or found is None:
            continue
        said = _said(path, found, log, whole=bool(np.isfinite(time).all()))
        if file.schema.strict:
            raise TimeError(said, path, source=file.source)
        warnings.warn(TimeWarning(f"{file.source}: {said}", path), stacklevel=5)
        return


def _found(log: Log, time: np.ndarray, picked: np.ndarray) -> Together | None:
    """What changed over the times of some rows, NaN where there is none."""
    picked, time = picked[np.isfinite(time)], time[np.isfinite(time)]
    scores = np.asarray(log.quality)[picked]
    scored = np.isfinite(scores)
    picked, time, scores = picked[scored], time[scored], scores[scored]
    if not len(picked):
        return None
    return changed_together(
        time,
        np.asarray(log.arms)[picked],
        scores,
        np.asarray(log.cost, np.float64)[picked],
        width=log.quality_width,
        groups=None if log.group is None else len({log.group[row] for row in picked}),
    )


def _said(path: str, found: Together, log: Log, *, whole: bool) -> str:
    """The warning; without `whole`, rows that have no time must leave."""
    model, before, after = log.models[found.arm], *found.shares
    way, much = "rose" if found.change > 0 else "fell", abs(found.change)
    off = "too high" if found.bias > 0 else "too low"
    if found.what == "quality":
        changed = f"the scores of the same models {way} by {much:.2g}"
        bias = f"score is {abs(found.bias):.2g} {off}"
    else:
        changed = f"the costs of the same models {way} by {much:.0%}"
        bias = f"cost is {abs(found.bias):.0%} {off}"
    option = f"--time {shlex.quote(path)}{'' if whole else ' --drop-missing'}"
    return (
        f"over '{path}' {model}'s share went from {before:.0%} to {after:.0%} and {changed}, so "
        f"that its mean {bias} for when it was asked; {option} (in Python "
        f'columns={{"time": "{path}"}}) compares models at the same time'
    )


def _times(path: str, cells: pa.ChunkedArray, rows: np.ndarray) -> np.ndarray | None:
    """[r] seconds of some rows of a column, NaN where missing; None where it holds no times."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    kind = cells.type
    dated = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    if not (dated or is_text(cells) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    try:
        if not dated:
            some = cells.take(pa.array(rows[:: max(1, len(rows) // SAMPLE)])).drop_null()
            as_text = is_text(cells) and all(DAY.match(value) for value in some.to_pylist())
            if not len(some) or not (as_text or TIMES.search(plain(path))):
                return None
            times_of(some)
        time, _ = times_of(cells.take(pa.array(rows)))
    except (InputError, UnicodeDecodeError, pa.ArrowException):
        return None
    return time if float(np.isfinite(time).mean()) >= MOSTLY else None
