"""Costs that are logged in parts: of what went in, and of what came out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from routerjax.data.columns.sums import SIGN, parts_of
from routerjax.data.columns.synonyms import is_of_part, plain
from routerjax.data.inspection.fields import Field

PAIRS = (("input", "output"), ("prompt", "completion"), ("prompt", "response"))
OF_COSTS = re.compile(r"(?:^|[._])(?:cost|costs|spend|usd|price)(?:[._]|$)")
OF_TOKENS = re.compile(r"(?:^|[._])per(?:[._]|$)")
LISTED = re.compile(r"(?:^|[._])(?:price|rate)(?:[._]|$)")
"""What columns are called that hold the price of a token, and that may hold a price list's."""
ORDER = ("rating", "money", "comma", "plain", "")


def cost_parts(fields: Sequence[Field]) -> list[Field]:
    """The fields that hold the costs of parts of a call."""
    numbers = [f for f in fields if f.kind == "number" and not OF_TOKENS.search(plain(f.path))]
    pair = _pair(numbers) or ()
    alone = [f for f in numbers if is_of_part(f.path) and OF_COSTS.search(plain(f.path))]
    return [*pair, *(field for field in alone if field not in pair)]


def whole_cost(fields: Sequence[Field]) -> Field | None:
    """The sum of two columns as a field, where these are all the parts that a cost has.

    None where a third part may be among the two, as what was read from a cache is among the input.
    """
    parts = cost_parts(fields)
    listed = [part for part in parts if LISTED.search(plain(part.path))]
    if len(parts) != 2 or listed or _pair(parts) is None:
        return None
    return sum_of_fields(f"{parts[0].path}{SIGN}{parts[1].path}", fields)


def sum_of_fields(path: str, fields: Sequence[Field]) -> Field | None:
    """The field of a sum ``A+B`` of costs, with the values of its parts; None where one lacks."""
    found = {field.path: field for field in fields}
    parts = parts_of("cost", path)
    if not parts or not all(part in found for part in parts):
        return None
    return as_one([found[part] for part in parts], path)


def as_one(fields: Sequence[Field], path: str) -> Field:
    """One field of the values of several, written as the least plain of them."""
    values = [value for field in fields for value in field.values]
    return Field(path, "number", values, min((field.notation for field in fields), key=ORDER.index))


def _pair(fields: Sequence[Field]) -> tuple[Field, Field] | None:
    """Two fields whose names differ by input and output alone."""
    named = {plain(field.path): field for field in fields if OF_COSTS.search(plain(field.path))}
    for name, field in named.items():
        for one, other in PAIRS:
            second = named.get(re.sub(rf"(?<![a-z]){one}(?![a-z])", other, name))
            if second is not None and second is not field:
                return field, second
    return None
