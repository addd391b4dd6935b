"""Words that stand for qualities: thumbs and their kind, stars drawn as signs, letter grades."""

from __future__ import annotations

import re
from typing import NamedTuple

from routerjax.data.columns.synonyms import (
    ASKS_HOW_GOOD,
    VALUES,
    YES_OR_NO,
    plain,
    unaccented,
)
from routerjax.data.inspection.fields import Field

SKIN = re.compile("[\U0001f3fb-\U0001f3ff\ufe0f]")
STARS = re.compile(r"[★⭐](?:\ufe0f?[★⭐])*\ufe0f?☆*|☆+")
TRUTH = {"true": 1.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "0": 0.0, "0.0": 0.0}
GRADE = re.compile(r"([A-DF])([+-]?)")
POINTS = {"A": 4.0, "B": 3.0, "C": 2.0, "D": 1.0, "F": 0.0}
STEP = {"": 0.0, "+": 0.3, "-": -0.3}
GRADED = {"grade", "grades", "quality", "score", "rating", "mark"}
"""Words in the name of a column that hold grades: a column of letters may be of answers."""


class Scale(NamedTuple):
    """What the words of a column are worth.

    Attributes:
      worth: word → quality.
      quality_range: of the scale; None is [0, 1].
      note: what is taken for granted; empty where nothing is.
    """

    worth: dict[str, float]
    quality_range: tuple[float, float] | None = None
    note: str = ""


def words_of(field: Field) -> Scale | None:
    """What the words of a field of feedback are worth; None where one is not known."""
    words = sorted({text.strip() for text in field.texts})
    if not words:
        return None
    return _stars(words) or _grades(words, field.path) or _feedback(words) or _truth(words)


def words_tell(field: Field) -> bool:
    """Whether words say by themselves that a column holds qualities: yes and no do not."""
    is_answer = {_key(text) for text in field.texts} <= YES_OR_NO
    is_asked = ASKS_HOW_GOOD.search(plain(field.path)) is not None
    return words_of(field) is not None and (is_asked or not is_answer)


def _key(word: str) -> str:
    """A word as `VALUES` has it: no capitals, accents or tones of skin."""
    key = SKIN.sub("", unaccented(word.strip().lower()))
    return re.sub(r"[\s-]+", "_", key) if len(key) > 2 else key


def _feedback(words: list[str]) -> Scale | None:
    worth = {word: VALUES.get(_key(word)) for word in words}
    found = {word: each for word, each in worth.items() if each is not None}
    return Scale(found) if len(found) == len(words) else None


def _truth(words: list[str]) -> Scale | None:
    """Truth values, some of them as numbers: of a JSON file that was written by two programs."""
    found = {word: TRUTH[word.lower()] for word in words if word.lower() in TRUTH}
    return Scale(found) if len(found) == len(words) else None


def _stars(words: list[str]) -> Scale | None:
    if not all(STARS.fullmatch(word) for word in words):
        return None
    worth = {word: float(len(re.findall("[★⭐]", word))) for word in words}
    drawn = [len(re.findall("[★⭐☆]", word)) for word in words]
    low, high = min(worth.values()), max(5.0, *drawn)
    return Scale(worth, (min(low, 1.0), float(high)))


def _grades(words: list[str], path: str) -> Scale | None:
    """Grade points of A to F, where the column's name says that it holds grades."""
    matches = [GRADE.fullmatch(word) for word in words]
    if len(words) < 2 or not GRADED & set(re.split(r"[._]", plain(path))):
        return None
    worth = {}
    for word, match in zip(words, matches, strict=True):
        if match is None:
            return None
        points = POINTS[match[1]] + (STEP[match[2]] if match[1] != "F" else 0.0)
        worth[word] = min(points, 4.0)
    note = f"letter grades of {path} are grade points, 4 for A to 0 for F: --values says otherwise"
    return Scale(worth, (0.0, 4.0), note)
