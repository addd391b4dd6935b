"""Texts of an Arrow array, taken from its buffers with every place compared with their size."""

from __future__ import annotations

import numpy as np

ENDS: dict[str, np.dtype[np.signedinteger]] = {
    "string": np.dtype("<i4"),
    "large_string": np.dtype("<i8"),
}
"""Arrow's name of a type of texts → how it writes where each text ends."""


def arrow_texts(
    kind: str, count: int, start: int, *, known: bytes | None, ends: bytes, letters: bytes
) -> list[str | None]:
    """The texts of an Arrow array, None where one is missing.

    Args:
      kind: a name in `ENDS`.
      count: number n of texts.
      start: number of texts before them in the buffers.
      known: a bit a text, the lowest of a byte first, 0 where it is missing; None: all are there.
      ends: where the texts begin and end in `letters`: n + 1 numbers or more.
      letters: UTF-8, all texts after each other.

    Raises:
      ValueError: another type, buffers that are too short for this many texts, places outside
        them, or letters that are no UTF-8.
    """
    if kind not in ENDS:
        raise ValueError(f"texts of the type {kind[:20]!r}")
    if type(count) is not int or type(start) is not int or min(count, start) < 0:
        raise ValueError("a number of texts that is none")
    stop, width = start + count, ENDS[kind].itemsize
    if len(ends) < (stop + 1) * width or (known is not None and 8 * len(known) < stop):
        raise ValueError(f"{count:,} texts in buffers of fewer")
    places = np.frombuffer(ends, ENDS[kind], count=stop + 1)[start:]
    if count and (places[0] < 0 or places[-1] > len(letters) or (np.diff(places) < 0).any()):
        raise ValueError("texts outside of their buffer")
    bits = None if known is None else np.frombuffer(known, np.uint8)
    there = np.ones(stop, bool) if bits is None else np.unpackbits(bits, bitorder="little")[:stop]
    cuts = places.tolist()
    return [
        letters[cuts[at] : cuts[at + 1]].decode() if there[start + at] else None
        for at in range(count)
    ]
