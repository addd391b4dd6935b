"""Scores that carry a name: which say how bad an answer was, and which are of several kinds."""

from __future__ import annotations

from collections.abc import Sequence

from routerjax.data.columns.arrays import quoted
from routerjax.data.columns.synonyms import NO_QUALITY, OF_SCORE, says_how_bad
from routerjax.data.inspection.fields import WORDS, Field

VALUE, EVALUATED = "value", "gen_ai.evaluation.score.value"
MOST_SHOWN = 3  # names of scores that a sentence lists


def wrong_scores(field: Field, fields: Sequence[Field]) -> str | None:
    """What is lacking where a field of values has names beside it that make it no quality."""
    names = _names(field, fields)
    if not names:
        return None
    shown = ", ".join(map(quoted, names[:MOST_SHOWN]))
    if len(names) == 1:
        if not says_how_bad(names[0]):
            return None
        turned = ""
        if field.kind == "number" and set(field.numbers.tolist()) == {0.0, 1.0}:
            turned = f" (--columns quality={field.path} --values quality:0=1,1=0 turns it around)"
        return (
            f"how good the answer was: {quoted(field.path)} holds {shown}, how bad it was{turned}"
        )
    return (
        f"scores of one name: {quoted(field.path)} holds those of {shown}; keep the rows of one, "
        "or write a column for each"
    )


def has_wrong_scores(fields: Sequence[Field]) -> bool:
    """Whether a preset, which asks no score for its name, might take one that is no quality."""
    named = [match[1] for match in (OF_SCORE.search(field.path) for field in fields) if match]
    by_path = any(says_how_bad(name) or NO_QUALITY.search(name) for name in named)
    return by_path or any(wrong_scores(field, fields) is not None for field in fields)


def _names(field: Field, fields: Sequence[Field]) -> list[str]:
    """The names of the scores that a field holds; none where nothing beside it names them."""
    path = field.path
    if path.rpartition(".")[2] != VALUE or field.kind not in ("number", "bool"):
        return []
    beside = f"{path.removesuffix(VALUE)}name"
    if path.endswith(EVALUATED):
        beside = path.removesuffix("score.value") + "name"
    found = next((each for each in fields if each.path == beside and each.kind == "text"), None)
    return sorted(set(found.texts)) if found is not None and found.distinct <= WORDS else []
