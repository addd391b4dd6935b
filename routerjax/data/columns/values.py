"""Cells as the numbers they stand for: words, currency signs, decimal commas, ratings."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from routerjax.data.columns import arrays, separators
from routerjax.data.columns.arrays import NO_NUMBER, is_text, quoted
from routerjax.errors import InputError

CENTS = "cents"
PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
NUMBER = r"[+-]?(?:\d+(?:[.,]\d+)?|[.,]\d+)"
RATING = re.compile(
    rf"(?:[a-z ]+[:=]\s*)?(?:\[\[\s*({NUMBER})\s*\]\]|({NUMBER}))"
    rf"(?:\s*(?:/|out of|of)\s*({NUMBER})(?:\s*stars?)?|\s*(%))?\.?",
    re.IGNORECASE,
)
SIGNS = {
    **dict.fromkeys(("$", "us$", "usd"), "usd"),
    **{"¢": CENTS, "€": "eur", "eur": "eur", "£": "gbp", "gbp": "gbp"},
}
MONEY = re.compile(
    r"([+-]?)\s*(us\$|usd|\$|eur|€|gbp|£)?\s*([\d.,e+-]+?)\s*(usd|eur|gbp|[$€£¢])?", re.I
)
GROUPS = {
    ".": re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?"),
    ",": re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?"),
}
MOST_WORDS = 6  # different words of a column that can be given a worth
WORDS = {"true": 1.0, "false": 0.0}


@dataclasses.dataclass(frozen=True)
class Notation:
    """How the numbers of a column are written.

    Attributes:
      name: of the column in routerjax, for advice.
      worth: what words are worth; numbers stand for themselves where it holds words alone.
      decimal: the sign before the decimals, "." or ","; None: as the column shows it, no comma.
      currency: whose sign may stand beside a number; None: none may.
      ratings: whether "8/10" and "Rating: [[8]]" are 8, and "93%" is 93.
      whole: whether they count something, so that 1.234 is no number with decimals.
    """

    name: str
    worth: Mapping[str, float] = dataclasses.field(default_factory=dict)
    decimal: str | None = None
    currency: str | None = None
    ratings: bool = False
    whole: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as programs write them."""
        return not (self.worth or self.decimal == "," or self.currency or self.ratings)


def numbers(column: pa.ChunkedArray, notation: Notation) -> np.ndarray:
    """[n] float64 of a column, NaN where a cell is missing.

    Raises:
      InputError: a cell that stands for no number; it names the row, and the option that reads it.
    """
    if not notation.worth and not is_text(column):
        return arrays.numbers(column)
    if notation.is_plain and not (notation.whole and _seen(column, notation).open_point):
        try:
            return arrays.numbers(column)
        except InputError as error:
            if error.row is None:
                raise
            if not _has_thousands(column, notation):
                text = column[error.row].as_py()
                advice = _advice(text, notation) or _of_words(column, notation)
                raise InputError(error.problem + advice, row=error.row) from None
    if notation.ratings and len(scales := _scales(column)) > 1:
        listed = " and ".join(f"{scale:g}" for scale in sorted(scales)[:2])
        raise InputError(f"holds ratings out of {listed}, which are no one scale")
    texts = words(column)
    notation = _told(texts, notation)
    known: dict[str | None, float] = {None: math.nan}
    values = np.empty(len(texts))
    for row, text in enumerate(texts):
        if text not in known:
            try:
                known[text] = number(text or "", notation)
            except InputError as error:
                raise InputError(error.problem, row=row) from None
        values[row] = known[text]
    return values


def _seen(column: pa.ChunkedArray, notation: Notation) -> separators.Seen:
    return separators.seen(
        _digits(text, notation) for text in pc.unique(column).to_pylist() if text
    )


def _has_thousands(column: pa.ChunkedArray, notation: Notation) -> bool:
    """Whether a number in it has, or may have, groups of thousands."""
    found = _seen(column, notation)
    texts = pc.unique(column).to_pylist()
    blanks = any(text and separators.without_blanks(text) != text for text in texts)
    return bool(blanks or found.open_comma or (found.point and "," in found.point))


def _told(texts: list[str | None], notation: Notation) -> Notation:
    """The notation with the sign before the decimals that a column has."""
    if notation.ratings:
        return notation
    found = separators.seen(_digits(text, notation) for text in dict.fromkeys(texts) if text)
    try:
        sign = separators.sign_of(found, notation.decimal, whole=notation.whole)
    except separators.Undecided as error:
        row = next(
            row for row, text in enumerate(texts) if text and _digits(text, notation) == error.text
        )
        raise InputError(error.problem, row=row) from None
    return dataclasses.replace(notation, decimal=sign)


def _digits(text: str, notation: Notation) -> str:
    """The text of a cell without blanks and the sign of a currency."""
    text = separators.without_blanks(text.strip())
    match = MONEY.fullmatch(text) if notation.currency else None
    return text if match is None else match[1] + match[3]


def number(text: str, notation: Notation) -> float:
    """The number that a text stands for, NaN where it says that there is none.

    >>> number("0,0031 $", Notation("cost", decimal=",", currency="usd"))
    0.0031

    Raises:
      InputError: it stands for none.
    """
    plain = text.strip()
    low = plain.lower()
    if notation.worth:
        found = _worth(plain, notation.worth)
        if found is not None:
            return found
    if low in NO_NUMBER:
        return math.nan
    if notation.worth and not _words_alone(notation.worth):
        raise InputError(f"{quoted(text)} is none of {_listed(notation.worth)}")
    if notation.ratings:
        return _rating(text)
    plain = separators.without_blanks(plain)
    found = WORDS.get(low) if not notation.worth else None
    if found is None and notation.currency:
        plain = _without_sign(plain, notation)
    found = _decimal(plain, notation) if found is None else found
    if found is None:
        problem = f"{quoted(text)} is not a number"
        if notation.worth:
            problem = f"{quoted(text)} is neither a number nor one of {_listed(notation.worth)}"
        raise InputError(problem + _advice(text, notation))
    return found


def words(column: pa.ChunkedArray) -> list[str | None]:
    """Cells as text: whole numbers without a point, booleans as true and false, None where missing.

    Raises:
      InputError: lists or objects.
    """
    if pa.types.is_floating(column.type):
        return [_word(value) for value in column.to_pylist()]
    return arrays.texts(column)


def _word(value: float | None) -> str | None:
    if value is None or math.isnan(value):
        return None
    return str(int(value)) if value.is_integer() else repr(value)


def same(text: str | None, wanted: str) -> bool:
    """Whether a cell, as text, says what is wanted: equal text, or equal numbers, or truth."""
    if text is None:
        return wanted == ""
    text, wanted = text.strip(), wanted.strip()
    if text == wanted:
        return True
    if text.lower() in WORDS or wanted.lower() in WORDS:
        return text.lower() == wanted.lower()
    if PLAIN.fullmatch(text) and PLAIN.fullmatch(wanted):
        return math.isclose(float(text), float(wanted), rel_tol=1e-9, abs_tol=1e-12)
    return False


def _scales(column: pa.ChunkedArray) -> set[float]:
    """The numbers after the strokes of ratings such as "8/10"."""
    texts = pc.unique(column).to_pylist() if is_text(column) else []
    matches = [RATING.fullmatch(text.strip()) for text in texts if text]
    found = {float(match[3].replace(",", ".")) for match in matches if match and match[3]}
    return found | {100.0 for match in matches if match and match[4]}


def _worth(text: str, worth: Mapping[str, float]) -> float | None:
    if text in worth:
        return worth[text]
    return next((number for word, number in worth.items() if _alike(text, word)), None)


def _alike(text: str, word: str) -> bool:
    return text.casefold() == word.strip().casefold() or bool(text and same(text, word))


def _words_alone(worth: Mapping[str, float]) -> bool:
    return not any(PLAIN.fullmatch(word.strip()) for word in worth)


def _listed(worth: Mapping[str, float]) -> str:
    return ", ".join(repr(word) for word in list(worth)[:6])


def _rating(text: str) -> float:
    match = RATING.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{quoted(text)} is no rating such as 8/10 or [[8]]")
    return float((match[1] or match[2]).replace(",", "."))


def _without_sign(text: str, notation: Notation) -> str:
    match = MONEY.fullmatch(text)
    if match is None:
        return text
    for sign in filter(None, (match[2], match[4])):
        currency = SIGNS[sign.lower()]
        if currency in ("usd", CENTS) and currency != notation.currency:
            name = "dollars" if currency == "usd" else CENTS
            raise InputError(f"{quoted(text)} is in {name}, as --cost-unit {currency} says")
        if currency != notation.currency:
            raise InputError(
                f"{quoted(text)} is in {currency.upper()}; say what one is worth in dollars "
                f"with --cost-unit {currency}:1.08"
            )
    return match[1] + match[3]


def _decimal(text: str, notation: Notation) -> float | None:
    """The number in a text, None if there is none; thousands may be grouped."""
    sign = notation.decimal
    if sign is None:
        sign = separators.sign_of(separators.seen([text]), whole=notation.whole)
    if GROUPS[sign].fullmatch(text.lstrip("+-")):
        text = text.replace("." if sign == "," else ",", "")
    if sign == "," and text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    return float(text) if PLAIN.fullmatch(text) else None


def _advice(text: str, notation: Notation) -> str:
    """Which option would read a cell that is no number."""
    name, low = notation.name, text.strip().lower()
    if low == name:
        return "; the row seems to repeat the names of the columns: leave it out"
    money, rating = MONEY.fullmatch(low), RATING.fullmatch(low)
    if notation.name.startswith("cost") and money and (money[2] or money[4]):
        unit = f" with --cost-unit {CENTS}" if "¢" in low else ""
        return f"; --money (money=True) reads it{unit}" if notation.currency is None else ""
    if re.fullmatch(r"[+-]?\d*,\d+", low) and notation.decimal != ",":
        return "; --decimal , (decimal=',') reads it"
    if rating and rating[4] and name == "propensity":
        return f"; write a probability of {low} as {float(rating[2].replace(',', '.')) / 100:g}"
    is_score = name == "quality" and not notation.ratings
    if rating and (rating[1] or rating[3] or rating[4]) and is_score:
        return f"; --ratings (ratings=True) reads it as {rating[1] or rating[2]}"
    if low[:1] in ("{", "["):
        return f"; name the path of the number in it, as in --columns {name}=COLUMN[0].value"
    return ""


def _of_words(column: pa.ChunkedArray, notation: Notation) -> str:
    """That the words of a column can be given a worth, where they are few."""
    texts = [text.strip() for text in pc.unique(column).to_pylist() if text]
    found = [text for text in texts if re.fullmatch(r"[^\W\d][\w .-]{0,20}", text)]
    found = [text for text in found if text.lower() not in NO_NUMBER]
    if not 0 < len(found) <= MOST_WORDS:
        return ""
    shown = ",".join(f"{text}=X" for text in found)
    return f"; --values {notation.name}:{shown} says what words are worth"
