"""Pairs of answers of which the better is known, as gains of one model over the other."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from routerjax.data.columns.arrays import is_text, quoted
from routerjax.data.columns.values import same, words
from routerjax.errors import DataWarning, InputError

BOTH_GOOD = ("tie (bothgood)", "tie (both good)", "both_good", "bothgood", "both good")
TIES = ("tie", "draw", "equal", *BOTH_GOOD)
BOTH_BAD = ("tie (bothbad)", "tie (both bad)", "both_bad", "bothbad", "both bad")
FIRST, SECOND = ("model_a", "a", "left"), ("model_b", "b", "right")
ONE_HOT = ("winner_model_a", "winner_model_b", "winner_tie")
"""Columns of 0 and 1 in place of one column of words."""


def gains(
    pairs: tuple[list[str | None], list[str | None]],
    verdicts: list[str | None],
    *,
    models: tuple[str, str],
    both_bad: str,
    source: str,
) -> np.ndarray:
    """[n] gain of the primary: 1 where its answer is the better, −1, or 0 for a tie; else NaN.

    NaN are pairs of other models, pairs without a verdict and, unless `both_bad` is "tie", pairs
    of which both answers are bad; a `DataWarning` counts them.

    Args:
      pairs: n names of the first models, and of the second.
      verdicts: n words: "model_a", "model_b", "tie", "both good", "both bad" and their like.
      models: primary and alternative.
      both_bad: "leave-out" or "tie".
      source: of the file, for messages.

    Raises:
      InputError: another word, or no pair of these models.
    """
    values = np.full(len(verdicts), np.nan)
    counts = {"of other models": 0, "without a verdict": 0, "of which both are bad": 0}
    for row, (first, second, verdict) in enumerate(zip(*pairs, verdicts, strict=True)):
        word = (verdict or "").strip().lower()
        if {first, second} != set(models):
            counts["of other models"] += 1
        elif not word:
            counts["without a verdict"] += 1
        elif word in BOTH_BAD and both_bad != "tie":
            counts["of which both are bad"] += 1
        elif word in (*TIES, *BOTH_BAD):
            values[row] = 0.0
        elif word in (*FIRST, *SECOND) or verdict in models:
            winner = verdict if verdict in models else first if word in FIRST else second
            values[row] = 1.0 if winner == models[0] else -1.0
        else:
            problem = (
                f"{quoted(verdict or '')} is none of model_a, model_b, tie, both good, both bad"
            )
            raise InputError(problem, source=source, row=row)
    if counts["of other models"] == len(values):
        raise InputError(_no_pair(pairs, models), source=source)
    left = {reason: count for reason, count in counts.items() if count}
    if left:
        said = ", ".join(f"{count} {reason}" for reason, count in left.items())
        problem = f"{source}: left out of {len(values)} pairs: {said}"
        warnings.warn(problem, DataWarning, stacklevel=2)
    return values


def verdicts_of(table: pa.Table) -> list[str | None] | None:
    """Words of the three columns of 0 and 1 that some files have; None where it has none."""
    if not all(name in table.column_names for name in ONE_HOT):
        return None
    flags = [words(table[name]) for name in ONE_HOT]
    names = ("model_a", "model_b", "tie")
    found: list[str | None] = []
    for row in zip(*flags, strict=True):
        one = [name for name, flag in zip(names, row, strict=True) if _is_set(flag)]
        found.append(one[0] if len(one) == 1 else None)
    return found


def _is_set(flag: str | None) -> bool:
    return same(flag, "1") or same(flag, "true")


def is_words(column: pa.ChunkedArray) -> bool:
    """Whether a column of verdicts holds words, not gains."""
    if not is_text(column):
        return False
    known = {*TIES, *BOTH_BAD, *FIRST, *SECOND}
    return any((text or "").strip().lower() in known for text in column.to_pylist())


def both_sides(texts: Iterable[str]) -> bool:
    """Whether words say now that the first answer is the better, now the second."""
    found = {text.strip().lower() for text in texts}
    return bool(found & set(FIRST)) and bool(found & set(SECOND))


def _no_pair(pairs: tuple[list[str | None], list[str | None]], models: tuple[str, str]) -> str:
    there = {tuple(sorted((a or "", b or ""))) for a, b in zip(*pairs, strict=True)}
    a, b = sorted(there)[0]
    example = (
        f"--models {a},{b}" if len(there) == 1 else f"of its {len(there)} pairs, --models {a},{b}"
    )
    return f"no pair is of {models[0]} and {models[1]}; name the dear model first, as in {example}"
