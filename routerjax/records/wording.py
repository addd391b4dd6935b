"""The wording of a prompt: what two prompts have in common that are one query written twice."""

from __future__ import annotations

import re
import unicodedata

UNSEEN = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
"""Characters that are not seen: of no width, soft hyphens, and marks of direction."""


def wording(text: str) -> str:
    """The text as far as it tells queries apart: without case, spacing or unseen characters.

    A retry may have a blank at its end, other line breaks, or capitals, and is the same query all
    the same: its rows are one group, and not independent. Runs of white space count as one blank,
    and none at the ends; letters as Unicode folds their case, of one code point or of several;
    characters without width not at all. What is encoded is the text as it is.

    >>> wording("  What is\\n\\tRust? ")
    'what is rust?'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", UNSEEN.sub("", text))
    return " ".join(text.casefold().split())
