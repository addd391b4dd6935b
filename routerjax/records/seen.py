"""Salted digests of the queries that a router was fitted on, by which it knows them again."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt32, UInt64

from routerjax.records.alike import APART, CELL, CLOSE, FEWEST_COLUMNS, SHIFTS
from routerjax.records.groups import digests, query_digests, stirred
from routerjax.records.on_disk import Stored, blocks
from routerjax.records.rows import Rows

DIRECTIONS = 5
CROWDED = 1e-3
"""Share of queries that may share a cell with another one, for cells to tell queries
apart."""
PROMPTED, BARE = "with prompts ", "without "
"""Cells of queries whose prompts are known, and of those known by their embeddings alone."""

Scaled = Float[np.ndarray, "n d"] | Stored


def salt_of(fingerprint: str, seed: int) -> str:
    """The salt of a fit's digests: the same for the same data and seed."""
    return hashlib.blake2b(f"{fingerprint} {seed}".encode(), digest_size=8).hexdigest()


def seen_queries(record: Rows, x: Scaled, *, salt: str) -> UInt32[np.ndarray, "g 2"]:
    """[g, 2] digests of the record's distinct queries, in halves that JAX can hold.

    Beside digests of the prompts, or of the embeddings where there are none, those of cells of a
    grid in which the embeddings lie: the widest cells such that hardly any two queries of the
    record lie together even in cells `APART` times as wide. By them a query is known again whose
    embedding is rounded, or of another batch, or that comes without its prompt.

    Args:
      record: n rows.
      x: their embeddings, scaled as the router scales them.
      salt: of the digests.
    """
    found = query_digests(record, salt=salt)
    if x.shape[1] >= FEWEST_COLUMNS:
        places, first = _places(x, salt), np.unique(record.queries, return_index=True)[1]
        kind = PROMPTED if record.prompts is not None else BARE
        for close in CLOSE:
            wider = _cells(places[first], APART * close, salt)
            if all(_crowded(cell) <= CROWDED for cell in wider):
                found = np.concatenate([found, *_cells(places, close, kind + salt)])
                break
    return np.unique(found).view(np.uint32).reshape(-1, 2)


def among_seen(
    record: Rows, x: Scaled | None, seen: UInt32[np.ndarray, "g 2"], *, salt: str
) -> Bool[Any, " n"]:
    """[n] True where a query is one of those `seen` by a fit.

    Two records with prompts are compared by these alone, others by embeddings up to noise. Routers
    were saved with digests of prompts as they are; these are looked for too.

    Args:
      record: n rows.
      x: their embeddings, scaled as the router scales them; None where there are none.
      seen: of `seen_queries`.
      salt: of the digests.
    """
    known = np.sort(np.ascontiguousarray(np.asarray(seen, np.uint32)).view(np.uint64).ravel())
    if not len(known):
        return np.zeros(len(record), bool)
    found = _among(query_digests(record, salt=salt), known)
    if record.prompts is not None:
        found |= _among(digests(record.prompts, salt=salt), known)
        if record.embeddings is not None:
            found |= _among(digests(record.embeddings, salt=salt), known)
    if x is None or x.shape[1] < FEWEST_COLUMNS:
        return found
    places = _places(x, salt)
    for kind in (BARE,) if record.prompts is not None else (BARE, PROMPTED):
        for close in CLOSE:
            for cell in _cells(places, close, kind + salt):
                found |= _among(cell, known)
    return found


def _places(x: Scaled, salt: str) -> Float[np.ndarray, "n k"]:
    """[n, k] rows along random directions, about 1 long on average."""
    width = x.shape[1]
    directions = _random(salt).normal(size=(width, DIRECTIONS)).astype(np.float32) / width**0.5
    return np.concatenate([np.asarray(block, np.float32) @ directions for block in blocks(x)])


def _random(salt: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(salt.encode(), "big"))


def _cells(
    places: Float[np.ndarray, "n k"], close: float, salt: str
) -> list[UInt64[np.ndarray, " n"]]:
    """[n] digests of the cells that rows lie in, for every shift of the grid."""
    found = []
    for shift in SHIFTS:
        keys = _random(f"{salt} {close} {shift:.2f}").integers(0, 2**64, DIRECTIONS, np.uint64)
        cell = np.floor(places / (CELL * close) + shift).astype(np.int64).view(np.uint64)
        found.append(stirred(stirred(cell + keys).sum(axis=1, dtype=np.uint64)))
    return found


def _crowded(cell: UInt64[np.ndarray, " q"]) -> float:
    """Share of queries, a row each, that lie in a cell with another one."""
    _, place, count = np.unique(cell, return_inverse=True, return_counts=True)
    return float((count[place] > 1).mean())


def _among(values: UInt64[np.ndarray, " n"], known: UInt64[np.ndarray, " g"]) -> np.ndarray:
    """[n] True where a value is one of those known, which are in order."""
    place = np.searchsorted(known, values)
    found: np.ndarray = known[np.minimum(place, len(known) - 1)] == values
    return found
