"""Queries to route: prompts from a file or standard input, embeddings from .npy or rows."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from routerjax.data.columns import paths
from routerjax.data.columns.arrays import matrix, quoted, single
from routerjax.data.columns.prompts import LAST_USER, prompt_of
from routerjax.data.columns.source_file import load_matrix
from routerjax.data.formats import json_rows, loading
from routerjax.data.formats.arrow import first_line
from routerjax.data.formats.json_columns import cleaned
from routerjax.data.formats.kinds import KINDS, suffix_of
from routerjax.data.formats.opening import blocks, blocks_of, located
from routerjax.data.io.availability import names_of
from routerjax.errors import InputError

HELD = ("prompt", "messages")
"""Columns that hold the prompts of a table, in order of precedence."""
EMBEDDED = "embedding"


def read_prompts(path: str, *, form: str = LAST_USER) -> list[str]:
    """Prompts of a file, or of standard input ("-"), by the one rule for prompts.

    Text holds one prompt a line; lines end at \\n or \\r\\n and nowhere else. JSON (.jsonl,
    .ndjson, .json) holds strings, lists of messages, or objects with one of them under "prompt"
    or "messages"; of parquet, CSV and TSV the column of that name is taken.

    Args:
      path: of the file; UTF-8, or UTF-16 with its mark, packed or not.
      form: what is made of messages, as in `routerjax.data.columns.prompts`.

    Raises:
      InputError: no such file, not text, a line or a row without a prompt, or none at all.
    """
    name = "standard input" if path == "-" else path
    kind = None if path == "-" else KINDS.get(suffix_of(path))
    try:
        if kind is None:
            values: list[Any] = list(_lines(path))
        elif kind == "json":
            values = json_rows.values(located(path))
        else:
            values = _column(loading.load(path), path)
        if not values:
            raise InputError("is empty; one prompt a line is needed")
        return [_prompt(value, row, form) for row, value in enumerate(values)]
    except InputError as error:
        raise InputError(error.problem, source=name, field=error.field, row=error.row) from None
    except OSError as error:
        problem = f"cannot be read ({error.strerror or first_line(error)})"
        raise InputError(problem, source=name) from error


def _lines(path: str) -> list[str]:
    """The lines of a text, without their ends; the last one need not have an end."""
    if path != "-" and (place := located(path)).is_file():
        content = b"".join(blocks(place))
    elif path != "-":
        with open(located(path), "rb") as file:  # once: it may be a pipe
            content = b"".join(blocks_of(file))
    elif isinstance(sys.stdin, io.TextIOWrapper):
        content = b"".join(blocks_of(sys.stdin.buffer))
    else:
        content = sys.stdin.read().encode()
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start)
        raise InputError("is not UTF-8 text, one prompt a line", row=row) from None
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def _column(table: pa.Table, path: str) -> list[Any]:
    for name in HELD:
        if name in table.column_names:
            return table[name].to_pylist()
    raise InputError("has no column 'prompt' or 'messages'; a plain text needs another suffix")


def _prompt(value: Any, row: int, form: str) -> str:
    try:
        text = prompt_of(cleaned(value), form=form).text
    except InputError as error:
        where = "; its text is looked for under 'prompt'" if isinstance(value, dict) else ""
        raise InputError(error.problem + where, field=error.field, row=row) from None
    if text is None and isinstance(value, str) and not value.strip():
        raise InputError("the line is empty; a prompt is needed", row=row)
    if text is None:
        what = quoted(value) if isinstance(value, str) else "what stands here"
        raise InputError(f"{what} is no prompt; one is needed", row=row)
    return text


def read_available(
    path: str, column: str, *, models: Sequence[str], rows: int
) -> list[tuple[str, ...]] | None:
    """The models that can be chosen for each prompt of a file; None where it has no such column.

    Args:
      path: of a table of prompts, or of JSON objects.
      column: its name or path; cells as in `routerjax.data.io.availability`. An empty one says that
        every model can be chosen.
      models: all that there are.
      rows: prompts of the file.

    Raises:
      InputError: cells that hold no names, or none of `models`.
    """
    if path == "-" or KINDS.get(suffix_of(path)) is None:
        return None
    try:
        cells = paths.column(loading.load(path), column)
    except InputError:
        return None  # strings alone, say, which `read_prompts` has read
    if cells is None or len(cells) != rows:
        return None
    try:
        return [tuple(models) if each is None else each for each in names_of(cells)]
    except InputError as error:
        raise InputError(error.problem, source=path, field=column, row=error.row) from None


def _embedded(table: pa.Table) -> np.ndarray:
    name = EMBEDDED
    if name not in table.column_names:
        vectors = [each for each in table.column_names if _is_of_vectors(table[each])]
        if len(vectors) != 1:
            raise InputError(f"has no column '{EMBEDDED}'")
        name = vectors[0]
    try:
        values, present = matrix(table[name])
    except InputError as error:
        raise InputError(error.problem, field=name, row=error.row) from None
    if not present.all():
        raise InputError("holds no embedding", field=name, row=int(present.argmin()))
    return values


def _is_of_vectors(column: pa.ChunkedArray) -> bool:
    """Whether the first cell of a column is a vector: two numbers or more."""
    try:
        values, present = matrix(column.slice(0, 1))
    except InputError:
        return False
    return bool(present.all()) and values.shape[1] > 1


def read_embeddings(path: str) -> np.ndarray:
    """Embeddings [n, d] of an .npy file, or of the column 'embedding' of a file of rows.

    In a file without this column it is the one that holds vectors, where there is only one.

    Raises:
      InputError: no such file, not a matrix of finite floats, or no rows.
    """
    try:
        if KINDS.get(suffix_of(path)) is None:
            values = single(load_matrix(path, None))
        else:
            values = _embedded(loading.load(path))
    except InputError as error:
        raise InputError(error.problem, source=path, field=error.field, row=error.row) from None
    if not len(values):
        raise InputError("holds no rows", source=path)
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise InputError("not a finite number", source=path, row=int(bad.argmax()))
    return values
