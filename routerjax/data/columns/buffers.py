"""Columns of numbers and truth values as NumPy arrays, read from Arrow's own memory.

`to_numpy` of a column, and a Python value among the arguments of a compute function, make pyarrow
import pandas where it is installed: a quarter of a second for nothing.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def reals(column: pa.ChunkedArray | pa.Array, kind: type[np.floating] = np.float64) -> np.ndarray:
    """[n] numbers of a column of this kind, NaN where one is missing; a view where it can be.

    Args:
      column: of `pa.float64()`, or what `kind` says.
      kind: np.float64 or np.float32.
    """
    parts = [_reals_of(chunk, kind) for chunk in _chunks(column)]
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, kind), *parts])


def _reals_of(chunk: pa.Array, kind: type[np.floating]) -> np.ndarray:
    known, values = chunk.buffers()
    if values is None or not len(chunk):
        return np.full(len(chunk), np.nan, kind)
    found = np.frombuffer(values, kind)[chunk.offset : chunk.offset + len(chunk)]
    if not chunk.null_count:
        return found
    return np.where(_bits(known, chunk), found, kind(np.nan))


def truths(column: pa.ChunkedArray | pa.Array, *, missing: bool) -> np.ndarray:
    """[n] bool of a column of truth values, `missing` where there is none."""
    parts = [_truths_of(chunk, missing) for chunk in _chunks(column)]
    return np.concatenate([np.empty(0, bool), *parts])


def _truths_of(chunk: pa.Array, missing: bool) -> np.ndarray:
    known, values = chunk.buffers()
    if values is None or not len(chunk):
        return np.full(len(chunk), missing)
    found = _bits(values, chunk)
    return np.where(_bits(known, chunk), found, missing) if chunk.null_count else found


def _chunks(column: pa.ChunkedArray | pa.Array) -> list[pa.Array]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def _bits(buffer: pa.Buffer, chunk: pa.Array) -> np.ndarray:
    """[n] of a bitmap, whose first bit is the lowest."""
    count = chunk.offset + len(chunk)
    found = np.unpackbits(np.frombuffer(buffer, np.uint8), count=count, bitorder="little")
    return found[chunk.offset :].astype(bool)
