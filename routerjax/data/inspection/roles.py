"""Which field plays which role: by its name, by its shape, and by what it holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from routerjax.data.columns.synonyms import (
    ANSWERS,
    BY_ENDING,
    MODEL_WORDS,
    NOT_PROMPTS,
    ROLES,
    named,
    plain,
    says_how_bad,
)
from routerjax.data.inspection.fields import Field
from routerjax.data.inspection.word_scales import words_of, words_tell
from routerjax.data.io.availability import NO, YES

ORDER = (
    *("model", "prompt", "embedding", "cost", "input_tokens", "output_tokens", "quality"),
    *("request_id", "propensity", "split", "scored_by", "time", "group", "status", "task"),
    *("currency", "available", "pinned"),
)
"""Roles, those whose content is most telling first: a field plays one alone."""

WIDE = 8  # numbers at least of a vector that is known by its shape alone
LONG = 12.0  # characters at least of a typical prompt that is known by its length alone
MOST_MODELS = 200
MOST_ARMS = 30  # models that go by numbers
MOST_WORDS = 13  # of a scale of words: grades from A+ to F
FEWEST_GROUPS = 5  # that a fit can part into folds
SPLITS = {"train", "training", "test", "validation", "valid", "val", "dev", "eval", "holdout"}


NO_GUESS = {"quality": "status", "embedding": "propensity"}
"""Role → another, by whose names no field plays it: a status says that a call went well, not how
well, and lists of probabilities are no vectors."""


class Guess(NamedTuple):
    """A role and the field that seems to play it.

    Attributes:
      role: routerjax's name, or "time" and "status".
      field: the field.
      by: "name", "shape" or "content": what tells.
    """

    role: str
    field: Field
    by: str


def guess_roles(fields: Sequence[Field]) -> dict[str, Guess]:
    """The field of every role that one seems to play, each field in one role at most."""
    found: dict[str, Guess] = {}
    left = [field for field in fields if field.kind != "empty"]
    for role in ORDER:
        scored = [
            (*_score(role, field), round(field.filled, 1), -at) for at, field in enumerate(left)
        ]
        if not scored:
            break
        best, by, _, at = max(scored, key=lambda each: (each[0], *each[2:]))
        if best > 0:
            field = left.pop(-at)
            found[role] = Guess(role, field, by)
    return found


def _score(role: str, field: Field) -> tuple[float, str]:
    """How well a field plays a role, 0 where it cannot, and what tells."""
    if not PLAYS[role](field):
        return 0.0, ""
    by_name = named(role, field.path)
    if role in NO_GUESS and named(NO_GUESS[role], field.path):
        return 0.0, ""
    if role == "prompt":
        return _prompt(field, by_name)
    if by_name:
        return by_name, "name"
    return {"model": _model, "quality": _quality, "cost": _cost, "embedding": _vector}.get(
        role, _by_name_alone
    )(field)


def _by_name_alone(field: Field) -> tuple[float, str]:
    return 0.0, ""


def _prompt(field: Field, by_name: float) -> tuple[float, str]:
    away = any(word in plain(field.path) for word in NOT_PROMPTS)
    if field.kind == "messages":
        return (1.0 if away else 8.0 + by_name / 5), "shape"
    if ANSWERS & set(plain(field.path).split(".")[:-1]):
        return 0.0, ""
    if by_name:
        return (0.0 if away and by_name <= BY_ENDING else by_name), "name"
    length = float(np.median([len(text) for text in field.texts]))
    varied = field.distinct > 0.2 * len(field.texts)
    phrased = float(np.mean([" " in text.strip() for text in field.texts[:500]])) > 0.5
    return (2.0, "content") if varied and phrased and length >= LONG and not away else (0.0, "")


def _model(field: Field) -> tuple[float, str]:
    names = set(field.texts)
    known = np.mean([MODEL_WORDS.search(name) is not None for name in names])
    fits = known >= 0.5 and 1 < len(names) <= MOST_MODELS and max(map(len, names)) < 80
    return (2.0, "content") if fits and not re.search(r"\s\S+\s", next(iter(names))) else (0.0, "")


def _quality(field: Field) -> tuple[float, str]:
    may_be = field.kind == "text" and field.distinct > 1 and not says_how_bad(field.path)
    return (2.0, "content") if may_be and words_tell(field) else (0.0, "")


def _cost(field: Field) -> tuple[float, str]:
    return (2.0, "content") if field.notation == "money" else (0.0, "")


def _vector(field: Field) -> tuple[float, str]:
    first = next((value for value in field.values if value is not None), ())
    is_one = field.kind == "vector" and len(first) >= WIDE and not named("quality", field.path)
    return (3.0, "shape") if is_one else (0.0, "")


def _is_model(field: Field) -> bool:
    """Text, or the numbers of arms where the name says so."""
    if field.kind == "number":
        whole = bool((field.numbers % 1 == 0).all()) and field.distinct <= MOST_ARMS
        return whole and named("model", field.path) > BY_ENDING
    return field.kind == "text" and field.distinct <= max(0.5 * len(field.texts), 2)


def _is_quality(field: Field) -> bool:
    if field.kind == "number" and plain(field.path).rsplit(".", 1)[-1] == "label":
        return bool((abs(field.numbers) <= 1).all())  # else it is the number of a class
    if field.kind in ("number", "bool"):
        return True
    return field.kind == "text" and field.distinct <= MOST_WORDS and words_of(field) is not None


def _is_text(field: Field) -> bool:
    return field.kind in ("text", "messages")


def _is_number(field: Field) -> bool:
    return field.kind == "number"


def _is_count(field: Field) -> bool:
    return field.kind == "number" and bool((field.numbers >= 0).all())


def _is_label(field: Field) -> bool:
    return field.kind in ("text", "number", "bool")


def _is_id(field: Field) -> bool:
    return field.kind in ("text", "number") and field.distinct > 0.5 * len(field.texts)


def _is_group(field: Field) -> bool:
    return field.kind in ("text", "number") and FEWEST_GROUPS <= field.distinct < len(field.texts)


def _is_time(field: Field) -> bool:
    if field.kind == "time":
        return True
    return field.kind == "number" and bool((field.numbers > 1e8).all())


def _is_split(field: Field) -> bool:
    return field.kind == "text" and {text.strip().lower() for text in field.texts} <= SPLITS


def _is_scorer(field: Field) -> bool:
    return field.kind == "text" and field.distinct <= 30 and named("quality", field.path) < 9


def _is_sets(field: Field) -> bool:
    """Names of models: lists, or text with several of them in most rows."""
    if field.kind == "list":
        return all(isinstance(name, str) for cell in field.values if cell for name in cell)
    several = [re.search(r"[,;|]", text) is not None for text in field.texts]
    return field.kind == "text" and bool(several) and float(np.mean(several)) > 0.3


def _is_mark(field: Field) -> bool:
    words = {text.strip().lower() for text in field.texts}
    return field.kind in ("bool", "text", "number") and words <= {*YES, *NO}


def _is_vector(field: Field) -> bool:
    return field.kind == "vector"


def _is_word(field: Field) -> bool:
    return field.kind == "text" and field.distinct <= 100


PLAYS: dict[str, Callable[[Field], bool]] = {
    "model": _is_model,
    "prompt": _is_text,
    "embedding": _is_vector,
    "cost": _is_number,
    "input_tokens": _is_count,
    "output_tokens": _is_count,
    "quality": _is_quality,
    "request_id": _is_id,
    "propensity": _is_number,
    "split": _is_split,
    "scored_by": _is_scorer,
    "time": _is_time,
    "group": _is_group,
    "status": _is_label,
    "task": _is_word,
    "currency": _is_word,
    "available": _is_sets,
    "pinned": _is_mark,
}
"""Role → whether a field can play it, whatever its name."""

assert PLAYS.keys() == ROLES.keys() == set(ORDER)
