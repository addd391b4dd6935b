"""Embeddings left on disk: rows are read where they are used, and scaled as they are read."""

from __future__ import annotations

import dataclasses
import mmap
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

BLOCK = 1 << 16
"""Rows read at a time where all are wanted one after another."""


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """A matrix [n, d] in a file, of which rows are read when asked for; for NumPy an array.

    Indexing picks rows and reads nothing; `np.asarray` reads. A log or table built on it is
    never in memory as a whole, and training reads each epoch's rows (training/streaming.py).

    Attributes:
      values: [N, d] memory-mapped floats, as by `numpy.load(path, mmap_mode="r")`.
      index: [n] positions of the rows in `values`; None is all of them in order.
      scaling: (centre [d], scale) of a `Scaling`; rows read as (value − centre) / scale.
    """

    values: np.ndarray
    index: np.ndarray | None = None
    scaling: tuple[np.ndarray, np.ndarray] | None = None

    dtype = np.dtype(np.float32)
    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return len(self), self.values.shape[1]

    def __len__(self) -> int:
        return len(self.values) if self.index is None else len(self.index)

    def __getitem__(self, rows: Any) -> Stored:
        index = np.arange(len(self))[rows] if self.index is None else self.index[rows]
        return dataclasses.replace(self, index=index)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        chosen = self.values if self.index is None else self.values[self.index]
        with np.errstate(over="ignore"):  # what overflows is infinite, and records refuse it
            rows = np.asarray(chosen, np.float32)
        if self.scaling is not None:
            centre, scale = self.scaling
            own = None if self.index is None else rows  # picked rows are a copy, and ours
            rows = np.subtract(rows, centre, out=own)
            rows *= np.float32(1) / scale  # the bits of XLA, which divides so
        return np.asarray(rows, dtype)

    def scaled(self, centre: np.ndarray, scale: np.ndarray) -> Stored:
        """The same rows, centred and divided by `scale` as they are read."""
        return dataclasses.replace(self, scaling=(centre, scale))


def stored(tree: Any) -> bool:
    """Whether anything in a pytree stays on disk."""
    return any(isinstance(leaf, Stored) for leaf in jax.tree.leaves(tree))


def read(values: Any) -> Any:
    """The rows of a `Stored` as an array; anything else as it is."""
    return np.asarray(values) if isinstance(values, Stored) else values


def blocks(values: Any, rows: int = BLOCK) -> Iterator[np.ndarray]:
    """An array or `Stored` a block of rows at a time.

    Of a mapped file no more than a block stays in memory: what was read is let go.
    """
    mapped = _mapped(values) if len(values) > rows else None
    for first in range(0, len(values), rows):
        yield np.asarray(values[first : first + rows])
        if mapped is not None:
            mapped.let_go(first, min(first + rows, len(values)))


class _Mapped(NamedTuple):
    """Rows of a file in memory.

    Attributes:
      file: the mapping.
      start: byte of the first row.
      width: bytes of a row.
    """

    file: mmap.mmap
    start: int
    width: int

    def let_go(self, first: int, last: int) -> None:
        """Take whole pages of these rows out of memory; they are read again when wanted."""
        page = mmap.PAGESIZE
        low = -(-(self.start + first * self.width) // page) * page
        high = (self.start + last * self.width) // page * page
        if high > low:
            self.file.madvise(mmap.MADV_DONTNEED, low, high - low)


def _mapped(values: Any) -> _Mapped | None:
    """Where the rows of a matrix lie in a mapped file whose pages can be read again; None where
    they do not, or are picked from it."""
    if isinstance(values, Stored):
        values = values.values if values.index is None else None
    if not isinstance(values, np.ndarray) or not values.flags.c_contiguous:
        return None
    base: Any = values
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.mode == "c":  # what was written is nowhere else
            return None
        base = base.base
    if not isinstance(base, mmap.mmap) or not hasattr(base, "madvise"):
        return None
    begin = np.frombuffer(base, np.uint8, 1).__array_interface__["data"][0]
    start = values.__array_interface__["data"][0] - begin
    return _Mapped(base, start, values.strides[0])


def memory() -> int:
    """Bytes of embeddings that are held in memory unless told otherwise: a quarter of it."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
