"""Columns without a role whose rows seem to belong together, in a log without groups."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routerjax.data.checks.belonging import Belonging, belonging
from routerjax.data.columns.arrays import is_text
from routerjax.data.columns.names import AVAILABLE, LOG_NAMES, PROPENSITY
from routerjax.data.columns.source_file import SourceFile
from routerjax.data.columns.synonyms import named, plain
from routerjax.errors import DataWarning, InputError
from routerjax.records.logs import Log

IDS = re.compile(
    r"(?:^|[._])(?:(?:u|s|c|user|session|customer|chat|client)?ids?|uuid|guid|user|username|session|"
    r"customer|client|account|tenant|thread|"
    r"conversation|chat|member|visitor|org|organisation|organization|team|workspace|device|person|"
    r"student|patient|employee|author|owner|caller|who|key|api_key|ip|email|host)(?:$|[._])"
)
"""What columns of ids are called."""
OTHERS = re.compile(
    r"(?:^|[._])(?:tokens?|latency|ms|msec|seconds?|secs?|duration|elapsed|length|len|chars?|words?|"
    r"count|num|n|size|temperature|top_p|seed|hour|day|date|week|month|year|weekday|version|release|"
    r"rank|position|turn|turns|step|index|idx|attempt|retries|provider|endpoint|region|deployment|"
    r"engine|model|models|llm|answer|response|output|completion|reply|reference|expected|target|"
    r"error|finish_reason|reason|language|lang|country|locale|type|kind|class|difficulty|level|"
    r"topic|category|subject|domain|fold|bucket|cluster)(?:$|[._])"
)
"""What columns are called that say something of a call, a query or an answer."""
NO_IDS = (
    *("model", "quality", "cost", "input_tokens", "output_tokens", "time", "propensity", "split"),
    *("scored_by", "status", "task", "available", "pinned", "currency", "prompt"),
)
"""Roles by whose names no column holds ids."""
DAY = re.compile(r"^\d{4}-\d{2}|^\d{1,2}[:/.]\d{1,2}")
LONGEST = 64  # characters of a typical id
SAMPLE = 500  # values of a column that are looked at
NEARLY = 0.9  # share from which a column without the look of ids is named


class GroupWarning(DataWarning):
    """A column of the file seems to be the group; `column` is its path."""

    def __init__(self, text: str, column: str) -> None:
        super().__init__(text)
        self.column = column


class GroupError(InputError):
    """The same of a file whose schema is strict."""

    def __init__(self, text: str, column: str, *, source: str) -> None:
        super().__init__(text, source=source)
        self.column = column


def warn_of_groups(file: SourceFile, log: Log, rows: np.ndarray) -> None:
    """Warn where no group is named and rows of one value of a column belong together.

    Such a column repeats its values, and these nearly always have one model, or scores that are
    alike (`data.checks.belonging`). The one of fewest values is named, of users and their sessions
    the users; none whose values lie within groups that the log has anyway, as equal queries do.

    Args:
      file: that the log was read from.
      log: n rows.
      rows: [n] the file's row for every row of the log.

    Raises:
      GroupError: there is such a column, and the schema is strict.
    """
    if log.group is not None:
        return
    arms, quality = np.asarray(log.arms), np.asarray(log.quality)
    found: list[tuple[int, str, Belonging, np.ndarray]] = []
    for path, column in free_columns(file):
        try:
            labels = _labels(column)
            is_id = None if labels is None else _look_of_ids(path, labels[1])
            if labels is None or is_id is None:
                continue
            codes = _codes(labels[0], rows)
        except (UnicodeDecodeError, pa.ArrowException):
            continue  # bytes that are no text, in a column that nobody asked for
        seen = belonging(codes, arms, quality)
        if seen is not None and (
            (seen.sticky and (is_id or seen.share >= NEARLY)) or (seen.alike and is_id)
        ):
            found.append((seen.values, path, seen, codes))
    for _, path, seen, codes in sorted(found, key=lambda each: each[0]):
        if not _within(codes, log):
            if file.schema.strict:
                raise GroupError(_said(path, seen), path, source=file.source)
            warnings.warn(GroupWarning(f"{file.source}: {_said(path, seen)}", path), stacklevel=5)
            return


def _said(path: str, seen: Belonging) -> str:
    if seen.sticky:
        what = (
            f"rows of the same '{path}' mostly have the same model ({seen.share:.0%} of them "
            f"have its most frequent one, {seen.by_chance:.0%} would by chance)"
        )
    else:
        what = (
            f"scores of rows of the same '{path}' are alike (their intra-class correlation is "
            f"{seen.correlation:.2f})"
        )
    return (
        f"{what}, so they are not independent and intervals are too narrow; if it is a user or a "
        f"session, --group {shlex.quote(path)} keeps its rows together"
    )


def free_columns(file: SourceFile) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """Columns, and fields of objects, that play no role: path and cells."""
    by_model = (AVAILABLE, PROPENSITY)
    known = [name for name in file.names if name in LOG_NAMES or name.startswith(by_model)]
    taken = {path for name in known for path in file.names[name].split(" or ")}
    for name in file.table.column_names:
        column = file.table[name]
        inner = column.type if pa.types.is_struct(column.type) else ()
        parts = {f"{name}.{field.name}": field.name for field in inner}
        for path in parts or (name,):
            if path not in taken:
                yield path, pc.struct_field(column, [parts[path]]) if parts else column


def _codes(cells: pa.ChunkedArray, rows: np.ndarray) -> np.ndarray:
    """[n] numbers of the values, -1 where there is none."""
    if pa.types.is_floating(cells.type):
        cells = cells.cast(pa.int64(), safe=False)
    if is_text(cells):
        cells = pc.utf8_trim_whitespace(cells)
        cells = pc.if_else(pc.equal(cells, ""), pa.scalar(None, cells.type), cells)
    coded = pa.chunked_array([cells.combine_chunks()]).dictionary_encode().combine_chunks()
    coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
    codes: np.ndarray = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    return codes[rows].astype(np.int64)


def _labels(cells: pa.ChunkedArray) -> tuple[pa.ChunkedArray, list[str]] | None:
    """Cells that may be labels, text or whole numbers, and some of them as text."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    kind = cells.type
    if not (is_text(cells) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    if pa.types.is_floating(kind):
        cells = pc.if_else(pc.is_finite(cells), cells, pa.scalar(None, kind))
    picked = np.unique(np.linspace(0, len(cells) - 1, SAMPLE).astype(np.int64))
    some = [value for value in cells.take(pa.array(picked)).to_pylist() if value is not None]
    if pa.types.is_floating(kind):
        if not all(float(value).is_integer() for value in some):
            return None
        some = [int(value) for value in some]
    shown = [text for text in (str(value).strip() for value in some) if text]
    if not shown or float(np.median([len(text) for text in shown])) > LONGEST:
        return None
    return cells, shown


def _look_of_ids(path: str, values: list[str]) -> bool | None:
    """Whether a column looks like ids by name or values; None where it is surely something else."""
    name = plain(path)
    if OTHERS.search(name) or any(named(role, path) for role in NO_IDS):
        return None
    if any(text[:1] in "{[" or DAY.match(text) for text in values[:20]):
        return None
    if any(" " in text for text in values[:20]) and not IDS.search(name):
        return None
    if IDS.search(name):
        return True
    numbers = all(text.lstrip("-").isdigit() for text in values)
    return not numbers and float(np.mean([bool(re.search(r"\d", text)) for text in values])) > 0.9


def _within(codes: np.ndarray, log: Log) -> bool:
    """Whether rows of every value are of one group anyway."""
    there = codes >= 0
    pairs = np.stack([codes[there], np.asarray(log.groups)[there]], axis=1)
    return len(np.unique(pairs, axis=0)) == len(np.unique(codes[there]))
