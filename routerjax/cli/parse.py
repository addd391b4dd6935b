"""Text of the command line as values: numbers, lists, pairs, by the type of the setting."""

from __future__ import annotations

import math
import types
import typing
from pathlib import Path
from typing import Any

from routerjax.data.columns.names import LOG_NAMES, TABLE_NAMES, check_names
from routerjax.errors import InputError

NAMES = {float: "a number", int: "a whole number", str: "text"}
EXAMPLES = {float: "0,10,100", int: "500,2000", str: "this,that"}


def parse(hint: Any, text: str) -> Any:
    """The value of a setting from its text.

    Args:
      hint: its type: a number, text, a path, a tuple of these (written with commas), or a union.
      text: what was given.

    Raises:
      ValueError: the text is no such value; the message says what would be one.
    """
    kinds = typing.get_args(hint) if _is_union(hint) else (hint,)
    tuples = [kind for kind in kinds if typing.get_origin(kind) is tuple]
    single = [kind for kind in kinds if kind in (int, float, str, Path)]
    if tuples and (not single or "," in text):
        return _many(typing.get_args(tuples[0]), text)
    return _one(single[0] if single else str, text)


def metavar(hint: Any) -> str:
    """What the help writes for a value of a setting: N a whole number, X a number, and so on."""
    kinds = typing.get_args(hint) if _is_union(hint) else (hint,)
    words = {int: "N", float: "X", Path: "PATH"}
    for kind in kinds:
        if typing.get_origin(kind) is tuple:
            parts = typing.get_args(kind)
            word = words.get(_element(parts[0]), "NAME")
            return f"{word},{word}" + (",..." if parts[-1] is Ellipsis else "")
    return next((words[kind] for kind in kinds if kind in words), "TEXT")


def _element(kind: Any) -> type:
    """The type of a part of a tuple, where it may also be None."""
    return next(k for k in (*typing.get_args(kind), kind) if k in (int, float, str))


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _one(kind: type, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {NAMES[kind]}") from None


def _many(kinds: tuple[Any, ...], text: str) -> tuple[Any, ...]:
    """A tuple of any length, or of as many parts as there are kinds."""
    first = _element(kinds[0])
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    try:
        values = tuple(first(part) for part in parts)
    except ValueError:
        what = "whole numbers" if first is int else "numbers"
        raise ValueError(f"{text!r} is not a list of {what}, as in {EXAMPLES[first]}") from None
    if kinds[-1] is not Ellipsis and len(values) != len(kinds):
        raise ValueError(f"{text!r} has {len(values)} parts; {len(kinds)} are needed")
    return values


def pair(text: str) -> tuple[str, str]:
    """COLUMN=VALUE."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise ValueError(f"{text!r} is not COLUMN=VALUE, as in source=human")
    return name, value


def parse_columns(text: str) -> dict[str, str]:
    """``"quality=score,model=llm"`` as ``{"quality": "score", "model": "llm"}``.

    Raises:
      InputError: a part that is not ``NAME=COLUMN``, or a name that is unknown or repeats.
    """
    names: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not (name and equals and column):
            raise InputError(
                f"'{part}' is not NAME=COLUMN, as in quality=score,model=llm", source="columns"
            )
        if name in names:
            raise InputError(f"'{name}' is named twice", source="columns")
        names[name] = column
    check_names(names, (*LOG_NAMES, *TABLE_NAMES))
    return names


def parse_range(text: str) -> tuple[float, float]:
    """``"0:10"`` as ``(0.0, 10.0)``.

    Raises:
      InputError: not two finite numbers, low to high.
    """
    try:
        low, high = (float(part) for part in text.split(":"))
        if math.isfinite(low) and math.isfinite(high) and low < high:
            return low, high
    except ValueError:
        pass
    raise InputError(
        f"'{text}' is not LO:HI, two numbers from low to high as in 0:10", source="quality range"
    )


def gold_scores(text: str) -> tuple[str, str | None]:
    """COLUMN, or COLUMN=VALUE."""
    return pair(text) if "=" in text else (text.strip(), None)


def worth(text: str) -> tuple[str, dict[str, float]]:
    """NAME:WORD=NUMBER,WORD=NUMBER."""
    name, colon, pairs = text.partition(":")
    numbers: dict[str, float] = {}
    try:
        for part in pairs.split(","):
            word, equals, number = (piece.strip() for piece in part.rpartition("="))
            if not (equals and word):
                raise ValueError
            numbers[word] = float(number)
    except ValueError:
        colon = ""
    if not (name.strip() and colon and all(map(math.isfinite, numbers.values()))):
        raise ValueError(f"{text!r} is not NAME:WORD=NUMBER,..., as in quality:up=1,down=0")
    return name.strip(), numbers


def joined(text: str) -> tuple[str, str, str | None, str]:
    """FILE on ID, FILE on ID=OTHER, FILE on ID taking last."""
    file, on, rest = (part.strip() for part in text.rpartition(" on "))
    ids, taking, repeats = (part.strip() for part in rest.partition(" taking "))
    first, equals, second = (part.strip() for part in ids.partition("="))
    wrong = not (file and on and first) or (equals and not second)
    if wrong or (taking and repeats not in ("first", "last")):
        raise ValueError(
            f"{text!r} is not 'FILE on ID', as in 'feedback.csv on request_id', with "
            "'taking first' or 'taking last' where an id repeats"
        )
    return file, first, second or None, repeats or "refuse"


def spellings(text: str) -> tuple[str, tuple[str, ...]]:
    """NAME=OTHER,OTHER."""
    name, equals, rest = (part.strip() for part in text.partition("="))
    others = tuple(filter(None, (part.strip() for part in rest.split(","))))
    if not (name and equals and others):
        raise ValueError(f"{text!r} is not NAME=OTHER,..., as in gpt-4o=openai/gpt-4o,GPT-4o")
    return name, others


def priced(text: str) -> tuple[str, float]:
    """PREFIX=DOLLARS."""
    prefix, _, dollars = text.partition("=")
    try:
        return prefix, float(dollars)
    except ValueError:
        raise ValueError(f"{text!r} is not PREFIX=DOLLARS, as in resp_chars=0.000001") from None


def price_changes(text: str) -> tuple[tuple[str, float, float | None], ...]:
    """MODEL=0.5x,MODEL=0.002 as (model, scale, dollars), dollars None where a factor is given.

    The last "=" of a part counts, so that a model's name may hold one.
    """
    found: list[tuple[str, float, float | None]] = []
    for part in text.split(","):
        model, equals, value = (piece.strip() for piece in part.rpartition("="))
        is_factor = value.endswith(("x", "X"))
        try:
            number = float(value[:-1] if is_factor else value)
        except ValueError:
            number = math.nan
        if not (model and equals and math.isfinite(number) and number >= 0):
            raise ValueError(
                f"{part!r} is neither MODEL=FACTORx nor MODEL=DOLLARS, as in gpt-4o=0.5x or "
                "gpt-4o=0.002"
            )
        if model in [name for name, _, _ in found]:
            raise ValueError(f"{model!r} is priced twice")
        found.append((model, number, None) if is_factor else (model, 1.0, number))
    return tuple(found)


def gibibytes(text: str) -> int:
    """Bytes of so many GiB."""
    try:
        size = float(text) * 2**30
    except ValueError:
        size = math.nan
    if not 0 < size < math.inf:
        raise ValueError(f"{text!r} is not a number of GiB above 0")
    return int(size)


def count_or_auto(text: str) -> str | int:
    """A whole number, or "auto"."""
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither auto nor a whole number") from None


def number_or_chosen(text: str) -> float | None:
    """A number, or None where it is to be "chosen"."""
    try:
        return None if text == "chosen" else float(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither a number nor 'chosen'") from None
