"""What is independent of what: groups of rows, equal queries, and rows that were logged twice.

A *group* is what repeats its own ways: a user, a session, or a query that was asked several
times. Rows of a group stay together in every split, and a standard error counts groups.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Int, UInt64

from routerjax.records.alike import alike
from routerjax.records.on_disk import Stored, blocks
from routerjax.records.wording import wording

if TYPE_CHECKING:
    from routerjax.records.logs import Log
    from routerjax.records.rows import Rows

QUICK_ROWS = 128
"""Rows that are digested together: they stay in a processor's cache."""
CHANCE = 0.01
"""Two answers of a model to different queries that agree less often than this in score and cost
agree by being the same answer."""


def group_numbers(groups: Sequence[Any] | np.ndarray) -> Int[np.ndarray, " n"]:
    """[n] int: 0, 1, … in order of first appearance, equal where `groups` is equal."""
    number: dict[Any, int] = {}
    values = groups.tolist() if isinstance(groups, np.ndarray) else groups
    return np.asarray([number.setdefault(value, len(number)) for value in values], np.int32)


def digests(
    values: Iterable[str] | np.ndarray | Stored, *, salt: str = ""
) -> UInt64[np.ndarray, " n"]:
    """[n] numbers of 64 bits, equal where strings, or rows of a matrix, are equal.

    Args:
      values: n strings, or a matrix [n, d], in memory or on disk.
      salt: without it nobody can tell from a digest whether it is that of a given value. Rows of a
        matrix have digests that are quicker to make where none is given.
    """
    given: Any = values
    matrix = hasattr(given, "shape")
    if matrix and len(given) and not salt:
        return np.concatenate([_quick(block) for block in blocks(given, QUICK_ROWS)])

    def digest(content: bytes) -> bytes:
        return hashlib.blake2b(content, digest_size=8, key=salt.encode()[:64]).digest()

    if matrix:
        found = [digest(row.tobytes()) for block in blocks(given) for row in block]
    else:
        found = [digest(value.encode("utf-8", "surrogatepass")) for value in given]
    return np.frombuffer(b"".join(found), np.uint64)


def _quick(rows: np.ndarray) -> UInt64[np.ndarray, " b"]:
    """Sums over a row's words of 64 bits, each stirred with a number of its own place.

    Nobody means rows to collide, and the finalizer of SplitMix64 leaves no bit of a word, as a
    sign, without a say in all others (Steele, Lea, Flood 2014, Fast Splittable Pseudorandom Number
    Generators).
    """
    content = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
    if content.shape[1] % 8:
        content = np.pad(content, ((0, 0), (0, -content.shape[1] % 8)))
    words = content.view(np.uint64)
    found: np.ndarray = stirred(words + _places(words.shape[1])).sum(axis=1, dtype=np.uint64)
    return stirred(found)


@functools.cache
def _places(words: int) -> UInt64[np.ndarray, " w"]:
    return np.random.default_rng(0).integers(0, 2**64, words, np.uint64)


def stirred(words: UInt64[np.ndarray, "*w"]) -> UInt64[np.ndarray, "*w"]:
    """The finalizer of SplitMix64, in place."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        words ^= words >> np.uint64(shift)
        words *= np.uint64(factor)
    return words


def query_digests(record: Rows, *, salt: str = "") -> UInt64[np.ndarray, " n"]:
    """[n] digest of each query: of its wording, or of its embedding where there are no prompts.

    Prompts that differ in case, white space or unseen characters alone are one query
    (`records.wording`). A record with neither prompts nor embeddings has queries of which nothing
    is known; each stands for itself.
    """
    if record.prompts is not None:
        return digests(map(wording, record.prompts), salt=salt)
    if record.embeddings is None:
        return np.arange(len(record), dtype=np.uint64)
    return digests(record.embeddings, salt=salt)


def groups_of(record: Rows) -> Int[np.ndarray, " n"]:
    """[n] group of each row, 0, 1, …: by the record's `group`, else by equal queries.

    Prompts of one wording, and embeddings that differ by noise alone (`alike`), are equal queries;
    rows of a log that are one answer logged again (`logged_again`) are a group as well.

    A row whose `group` is empty belongs with rows of the same query that have none either.
    """
    queries = record.origins
    if record.group is None:
        return group_numbers(queries)
    return group_numbers([name or int(query) for name, query in zip(record.group, queries)])  # noqa: B905


def queries_of(record: Rows) -> np.ndarray:
    """[n] numbers that are equal where queries are, up to the noise of embeddings."""
    found = query_digests(record)
    if record.prompts is not None or record.embeddings is None:
        return found
    return alike(record.embeddings, group_numbers(found))


def repeated(log: Log) -> Bool[np.ndarray, " n"]:
    """[n] True where a row says again what an earlier row said: a retry, or a row logged twice.

    Such rows agree in query, group, model, score, cost, and in how they were scored. Where scores
    and costs are coarse, two answers to one query may agree by chance, and leaving the second out
    would favour failures, and models that are seldom asked: rows whose ids differ are never
    repeats. Without ids, answers of a model to *different* queries tell how often that is, a
    share p of the pairs. Rows that agree are repeats if p is below `CHANCE`, or if of the pairs of
    answers of one model to one query at least (1 + p)/2 agree, half way from chance to certainty.
    """
    queries, arms = log.origins, np.asarray(log.arms)
    whose = queries if log.group is None else group_numbers(list(log.group))
    scored = arms if log.scored_by is None else group_numbers(list(log.scored_by))
    if log.ids is not None:
        whose = together(whose, group_numbers(list(log.ids)))
    asked = together(queries, whose, arms, scored)
    answered = together(arms, np.asarray(log.quality), np.asarray(log.cost))
    said = together(asked, answered)
    again = np.ones(len(log), bool)
    again[np.unique(said, return_index=True)[1]] = False
    if not again.any():
        return again
    chance = _pairs(answered) / max(_pairs(arms), 1.0)
    agreeing = _pairs(said) / max(_pairs(asked), 1.0)
    return again if chance < CHANCE or agreeing >= (1 + chance) / 2 else np.zeros(len(log), bool)


def together(*columns: np.ndarray) -> Int[np.ndarray, " n"]:
    """[n] numbers that are equal where all columns [n] are."""
    together = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, own = np.unique(column, return_inverse=True)
        together = np.unique(together * len(values) + own, return_inverse=True)[1]
    return together


def _pairs(numbers: np.ndarray) -> float:
    """Number of pairs of rows that have the same number."""
    counts = np.unique(numbers, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1) / 2).sum())
