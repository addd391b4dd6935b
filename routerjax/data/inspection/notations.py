"""How numbers are written in the cells of an unknown file, and which numbers they are."""

from __future__ import annotations

import math
import re
from typing import Any

from routerjax.data.columns.separators import COMMA, POINT, without_blanks

SIGN = r"(?:us\$|[$€£¥¢]|usd|eur|gbp)"
MONEY = re.compile(rf"^(-?)\s*{SIGN}\s*(-?[\d.,]+)$|^(-?)([\d.,]+)\s*{SIGN}$")
SEPARATED = re.compile(
    r"^-?(?:\d+,\d+(?:e[+-]?\d+)?|[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?|[1-9]\d{0,2}(?:\.\d{3})+,\d*)$"
)
NUMBER = r"(-?\d+(?:[.,]\d+)?)"
RATING = re.compile(
    rf"^{NUMBER}\s*(?:/|out of)\s*\d+(?:\s*stars?)?$|^(?:[a-z ]+[:=])?\s*\[\[{NUMBER}\]\]$"
    rf"|^[a-z ]+[:=]\s*{NUMBER}$|^{NUMBER}\s*%$"
)


def digits(text: str) -> str:
    """The text of a number, without the sign of its currency and blanks between thousands."""
    text = without_blanks(text.strip().lower())
    match = MONEY.match(text)
    return text if match is None else "".join(part for part in match.groups() if part)


def number(value: Any, sign: str = POINT) -> tuple[float, str]:
    """The number that a value is or that its text holds, NaN if none, and how it is written.

    Args:
      value: of a cell.
      sign: before the decimals, "." or ",".

    Returns:
      The number, and "plain", "comma" (it has one), "money", "rating" or the empty text.
    """
    if isinstance(value, bool | int | float):
        return float(value), "plain"
    text = without_blanks(str(value).strip().lower())
    if match := RATING.match(text):
        return float(next(part for part in match.groups() if part).replace(",", ".")), "rating"
    for name, is_so in (("money", MONEY.match(text)), ("comma", SEPARATED.match(text))):
        if is_so:
            return _parsed(digits(text), sign), name
    found = _parsed(text, sign) if sign == COMMA else _float(text)
    return found, "" if math.isnan(found) and text != "nan" else "plain"


def _parsed(text: str, sign: str) -> float:
    if sign == COMMA and COMMA not in text and text.count(POINT) == 1:
        after = text.partition(POINT)[2]
        return _float(text.replace(POINT, "") if len(after) == 3 else text)
    other = POINT if sign == COMMA else COMMA
    return _float(text.replace(other, "").replace(sign, POINT))


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
