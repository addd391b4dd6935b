"""What a file lacks, each a clause with the option that says it."""

from __future__ import annotations

import collections
import math
import shlex
from collections.abc import Mapping, Sequence

from routerjax.data.columns.arena import both_sides
from routerjax.data.columns.arrays import quoted
from routerjax.data.columns.synonyms import NO_QUALITY, is_of_part, named, plain, says_how_bad
from routerjax.data.inspection.fields import Field
from routerjax.data.inspection.notations import number
from routerjax.data.inspection.roles import Guess

MOST_WORDS = 6  # different words of a column whose worth is asked for
MOST_CANDIDATES = 4
COSTS = (
    "what the two models cost (routerjax fit FILE{} --gains --models {} --costs DOLLARS,DOLLARS, "
    "the dear one first)"
)


PREFERENCE = "a column of cheap verdicts beside the gold ones of people (--preference COLUMN)"
FIRST, SECOND = ("model_a", "left_model"), ("model_b", "right_model")


def lacking(roles: Mapping[str, Guess], fields: Sequence[Field]) -> list[str]:
    """What a log lacks, by the roles that its fields play."""
    lacks = []
    if not {"prompt", "embedding"} & roles.keys():
        lacks.append("the prompt (--columns prompt=COLUMN)")
    if "model" not in roles:
        lacks.append("the model that answered (--columns model=COLUMN)")
    if "quality" not in roles:
        lacks.append(_worth(roles, fields))
    if "cost" not in roles and not {"input_tokens", "output_tokens"} <= roles.keys():
        lacks.append(
            "what the answer cost (--columns cost=COLUMN, in dollars per query; or input_tokens "
            "and output_tokens beside --prices)"
            f"{_of_parts(fields) or _no_numbers('cost', roles, fields)}"
        )
    return lacks


def _of_parts(fields: Sequence[Field]) -> str:
    """That columns hold the costs of parts of a call, whose sum is needed."""
    ends = ("cost", "price", "usd", "spend")
    parts = [field.path for field in fields if field.kind == "number" and is_of_part(field.path)]
    parts = [path for path in parts if any(end in plain(path) for end in ends)]
    shown = " and ".join(map(quoted, parts[:3]))
    return f"; {shown} are costs of parts: add a column of their sum" if len(parts) > 1 else ""


def _no_numbers(role: str, roles: Mapping[str, Guess], fields: Sequence[Field]) -> str:
    """That a column sounds like a role and holds no numbers, which is why it does not play it."""
    played = [guess.field.path for guess in roles.values()]
    for field in fields:
        if field.kind == "text" and field.path not in played and named(role, field.path) > 9:
            wrong = [text for text in field.texts if math.isnan(number(text)[0])]
            if wrong:
                return f"; {quoted(wrong[0])} in column {quoted(field.path)} is no number"
    return ""


def _worth(roles: Mapping[str, Guess], fields: Sequence[Field]) -> str:
    """What to give for the quality: what the words of a column are worth, or a column."""
    played = [guess.field.path for guess in roles.values()]
    for field in fields:
        is_words = field.kind == "text" and 1 < field.distinct <= MOST_WORDS
        if is_words and field.path not in played and named("quality", field.path):
            worth = ",".join(f"{word}=X" for word in sorted({*field.texts}))
            option = shlex.quote(f"quality:{worth}")
            return f"what words are worth (--columns quality={field.path} --values {option})"
    bad = next((each.path for each in fields if _may_be_turned(each, played)), None)
    turned = "" if bad is None else f"; {quoted(bad)} seems to say how bad it was"
    if bad is not None and next(f for f in fields if f.path == bad).distinct == 2:
        turned += f", which --columns quality={bad} --values quality:0=1,1=0 turns around"
    return (
        "how good the answer was (--columns quality=COLUMN, or a second file that holds scores)"
        f"{turned or _no_numbers('quality', roles, fields) or _candidates(roles, fields)}"
    )


def _candidates(roles: Mapping[str, Guess], fields: Sequence[Field]) -> str:
    """Columns of numbers that play no other part, of which one may be the quality."""
    played = [guess.field.path for guess in roles.values()]
    found = [
        field.path
        for field in fields
        if field.kind in ("number", "bool") and field.path not in played and field.distinct > 1
        if not NO_QUALITY.search(field.path)
    ]
    shown = ", ".join(quoted(path) for path in found[:MOST_CANDIDATES])
    return f"; columns of numbers without a part are {shown}" if found else ""


def _may_be_turned(field: Field, played: Sequence[str]) -> bool:
    """Whether a field holds scores of which a lower one is better."""
    is_scores = field.kind in ("number", "bool") and 1 < field.distinct
    return is_scores and field.path not in played and says_how_bad(field.path)


def of_pairs(fields: Sequence[Field]) -> tuple[str, ...]:
    """What is lacking of pairs of answers: costs, and cheap verdicts where no column holds them."""
    verdicts = _verdicts(fields)
    beside = "" if verdicts is None else f" --preference {verdicts}"
    known = verdicts is not None or any(field.path == "PL" for field in fields)
    return (_pair(fields, beside), *(() if known else (PREFERENCE,)))


def _verdicts(fields: Sequence[Field]) -> str | None:
    """A column of verdicts beside that of the winner; None where there is none."""
    for field in fields:
        if field.path != "winner" and field.kind == "text" and both_sides(field.texts):
            return field.path
    return None


def _pair(fields: Sequence[Field], beside: str) -> str:
    """What is lacking of pairs of answers, with the two models that are met most often."""
    sides = [field.texts for field in fields if field.path in (*FIRST, *SECOND)]
    counted = collections.Counter(tuple(sorted(pair)) for pair in zip(*sides, strict=False))
    pairs = [pair for pair, _ in counted.most_common() if len(set(pair)) == 2]
    pair = ",".join(pairs[0]) if pairs else "PRIMARY,OTHER"
    return COSTS.format(f" --schema arena{beside}", pair)
