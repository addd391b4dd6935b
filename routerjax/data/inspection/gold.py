"""Which column holds gold scores beside a judge's: filled on few rows, and of the same scale."""

from __future__ import annotations

import re
from collections.abc import Sequence

from routerjax.data.columns.synonyms import named, plain
from routerjax.data.inspection.fields import Field

WORDS = ("human", "gold", "expert", "person", "people", "annotator", "annotation", "ground_truth")
"""What gold scores, or their source, are called by."""
JUDGES = re.compile(r"(?:^|[._])(?:judge|judged|llm|auto|autorater|grader|model)(?:$|[._])")
"""What a column of a judge's scores is called by."""
GRADERS = ("judge", "grader", "autorater")
"""What alone makes a column of numbers one of scores."""
MOST, FEWEST = 0.6, 10
"""Share of the rows below which a column of gold scores is filled, and rows that it needs."""


def scores_by(fields: Sequence[Field], quality: Field) -> tuple[Field, Field | None]:
    """The column of a judge's scores, and that of gold scores beside it, None where none seems so.

    A column of gold scores is filled on fewer rows than the judge's and on less than `MOST` of
    them, and named as one, or as a score of any kind where the other's name says that it is a
    judge's.

    Args:
      fields: that may hold scores, those that play other parts left out.
      quality: the field that seems to be the quality.
    """
    scores = [field for field in fields if field is not quality and _is_score(field)]
    if _is_score(quality) and quality.filled < MOST:  # the judge's may be another
        judges = of_judges(scores)
        if judges and not _is_judges(quality) and _enough(quality):
            return judges[0], quality  # of several judges the first; a note names the others
    found = [each for each in scores if _beside(each, quality)]
    return quality, found[0] if len(found) == 1 else None


def of_judges(fields: Sequence[Field]) -> list[Field]:
    """The columns of judges' scores, which most rows have."""
    return [each for each in fields if _is_score(each) and _is_judges(each) and each.filled >= MOST]


def _beside(field: Field, quality: Field) -> bool:
    if not _enough(field) or not field.filled < min(MOST, quality.filled):
        return False
    if re.search(r"[,=]", field.path):
        return False
    called = any(word in plain(field.path) for word in WORDS)
    return called or (_is_judges(quality) and not _is_judges(field))


def _enough(field: Field) -> bool:
    return field.filled * len(field.values) >= FEWEST


def _is_score(field: Field) -> bool:
    if field.kind != "number" or field.notation not in ("", "plain"):
        return False
    name = plain(field.path).rsplit(".", 1)[-1]
    parts = name.split("_")
    return named("quality", field.path) > 0 or any(word in parts for word in (*WORDS, *GRADERS))


def _is_judges(field: Field) -> bool:
    return JUDGES.search(plain(field.path)) is not None
