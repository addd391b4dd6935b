"""Points and commas in numbers: which one stands before the decimals, told by the whole column."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from routerjax.data.columns.arrays import quoted
from routerjax.errors import InputError

POINT, COMMA = ".", ","
OPEN = re.compile(r"[1-9]\d{0,2}([.,])\d{3}")
"""What may be thousands or a number with three decimals."""

GROUPED = {
    POINT: re.compile(r"[1-9]\d{0,2}(?:,\d{3})+\.\d*|[1-9]\d{0,2}(?:,\d{3}){2,}"),
    COMMA: re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+,\d*|[1-9]\d{0,2}(?:\.\d{3}){2,}"),
}
"""Sign before decimals → numbers that show it by their groups of thousands."""

SINGLE = re.compile(r"\d*([.,])\d*(?:e[+-]?\d+)?", re.IGNORECASE)


BLANKS = re.compile(r"(?<![\d.,])\d{1,3}(?:[ \u00a0\u202f'\u2019]\d{3})+(?!\d)")
"""Groups of thousands that a blank or an apostrophe parts, which can mean nothing else."""


class Seen(NamedTuple):
    """What the numbers of a column show; each is one of them as an example, or None.

    Attributes:
      point: a number that shows a point before its decimals, as 0.5 and 1,234.5 do.
      comma: one that shows a comma there, as 0,5 and 1.234,5.
      open_point: one that may be thousands, 1.234.
      open_comma: likewise, 1,234.
    """

    point: str | None = None
    comma: str | None = None
    open_point: str | None = None
    open_comma: str | None = None


def seen(texts: Iterable[str]) -> Seen:
    """What numbers written as text show; other texts and whole numbers show nothing."""
    found = Seen()
    for text in texts:
        number = text.strip().lstrip("+-")
        if not number.strip("0123456789"):
            continue
        name = _shows(number)
        if name is not None and getattr(found, name) is None:
            found = found._replace(**{name: text.strip()})
    return found


def without_blanks(text: str) -> str:
    """The text, thousands in it no more parted by blanks or apostrophes.

    >>> without_blanks("1 234,50 €")
    '1234,50 €'
    """
    return BLANKS.sub(lambda match: re.sub(r"\D", "", match[0]), text)


def _shows(number: str) -> str | None:
    for name, sign in (("point", POINT), ("comma", COMMA)):
        if GROUPED[sign].fullmatch(number):
            return name
    if match := OPEN.fullmatch(number):
        return "open_point" if match[1] == POINT else "open_comma"
    if match := SINGLE.fullmatch(number):
        return "point" if match[1] == POINT else "comma"
    return None


def sign_of(found: Seen, given: str | None = None, *, whole: bool = False) -> str:
    """The sign before the decimals of a column's numbers.

    A column that shows one has it, whatever the others of its file have; where it shows none, what
    is given counts, and groups of three digits in whole numbers are thousands.

    Args:
      found: what the numbers of a column show.
      given: the sign that a reader was told, "." or ",".
      whole: whether they are whole numbers.

    >>> sign_of(seen(["1,234", "0.5"])), sign_of(seen(["1,234"]), ",")
    ('.', ',')

    Raises:
      Undecided: a number that may be two.
    """
    commas = found.comma or found.open_comma
    if given == COMMA:
        if found.point and not commas:
            return POINT
        if found.open_point and (found.point or not commas) and not whole:
            raise Undecided(found.open_point, given)
        return COMMA
    if given == POINT or found.point:
        return POINT
    if whole and found.open_point and not commas:
        return COMMA
    if found.open_comma and not (found.comma or whole):
        raise Undecided(found.open_comma, None)
    return POINT


class Undecided(InputError):
    """A number such as 1,234 that may be two, in a column that does not tell.

    Attributes:
      text: the number.
    """

    def __init__(self, text: str, given: str | None) -> None:
        self.text = text
        sign = POINT if given == COMMA else COMMA
        thousands, decimals = text.replace(sign, ""), text.replace(sign, POINT)
        problem = (
            f"{quoted(text)} may be {thousands} or {decimals}, and no cell of the column tells"
        )
        if given == COMMA:
            advice = "write it without the point"
        else:
            advice = (
                f"--decimal . (decimal='.') reads it as {thousands}, --decimal , (decimal=',') as "
                f"{decimals}"
            )
        super().__init__(f"{problem}; {advice}")
