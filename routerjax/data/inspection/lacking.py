"""What a file lacks, each a clause with the option that says it."""

from __future__ import annotations

import collections
import math
import re
import shlex
from collections.abc import Mapping, Sequence

from routerjax.data.columns.arena import both_sides
from routerjax.data.columns.arrays import quoted
from routerjax.data.columns.synonyms import NO_QUALITY, named, plain, says_how_bad
from routerjax.data.inspection.fields import Field
from routerjax.data.inspection.notations import number
from routerjax.data.inspection.parts import cost_parts
from routerjax.data.inspection.roles import Guess
from routerjax.data.inspection.word_scales import words_of

MOST_WORDS = 6  # different words of a column whose worth is asked for
MOST_CANDIDATES = 4
VALUE = re.compile(r"[+-]?\d+(?:\.\d+)?")
MILLIONS = ("1m", "1_m", "million", "m")
OF_MANY = re.compile(
    r"(?:cost|price|usd|spend)\w*_per_(1_?k|1000|thousand|1_?m|million|k|m)(?:_|$)"
)
COSTS = (
    "what the two models cost (routerjax fit FILE{} --gains --models {} --costs DOLLARS,DOLLARS, "
    "the dear one first)"
)


PREFERENCE = "a column of cheap verdicts beside the gold ones of people (--preference COLUMN)"
FIRST, SECOND = ("model_a", "left_model"), ("model_b", "right_model")


def lacking(
    roles: Mapping[str, Guess], fields: Sequence[Field], *, quality: str | None = None
) -> list[str]:
    """What a log lacks, by the roles that its fields play; `quality` where that is known."""
    lacks = []
    values = [field.path for field in fields if VALUE.fullmatch(field.path)]
    if values and not {"quality", "cost"} & roles.keys():
        lacks.append(
            f"a first line that names the columns: {quoted(values[-1])} seems to be a value"
        )
    if not {"prompt", "embedding"} & roles.keys():
        lacks.append("the prompt (--columns prompt=COLUMN)")
    if "model" not in roles:
        lacks.append("the model that answered (--columns model=COLUMN)")
    if "quality" not in roles:
        lacks.append(quality or _worth(roles, fields))
    if "cost" not in roles and not {"input_tokens", "output_tokens"} <= roles.keys():
        lacks.append(
            "what the answer cost (--columns cost=COLUMN, in dollars per query; or input_tokens "
            "and output_tokens beside --prices)"
            f"{_of_parts(fields) or _of_many(fields) or _no_numbers('cost', roles, fields)}"
        )
    return lacks


def _of_parts(fields: Sequence[Field]) -> str:
    """That columns hold the costs of parts of a call, whose sum is needed."""
    parts = [field.path for field in cost_parts(fields)][:3]
    if len(parts) < 2:
        return ""
    shown = " and ".join((", ".join(map(quoted, parts[:-1])), quoted(parts[-1])))
    return (
        f"; {shown} are costs of parts, which a plus adds, as in --columns cost={'+'.join(parts)}"
    )


def _of_many(fields: Sequence[Field]) -> str:
    """That a column holds what a thousand or a million of something cost, and of what."""
    for field in fields:
        match = OF_MANY.search(plain(field.path))
        if field.kind == "number" and match is not None:
            unit = "per-1m" if match[1] in MILLIONS else "per-1k"
            return (
                f"; {quoted(field.path)} is read by --columns cost={field.path} --cost-unit {unit} "
                "if it is the cost of so many queries; prices of tokens go into prices.toml"
            )
    return ""


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
    bad = next((each for each in fields if _may_be_turned(each, played)), None)
    turned = "" if bad is None else f"; {quoted(bad.path)} seems to say how bad it was"
    if bad is not None and bad.distinct == 2:
        worth = ",".join(f"{word}={value:g}" for word, value in _turned(bad).items())
        turned += f", which --columns quality={bad.path} --values quality:{worth} turns around"
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
    is_scores = field.kind in ("number", "bool") or words_of(field) is not None
    return (
        is_scores and field.distinct > 1 and field.path not in played and says_how_bad(field.path)
    )


def _turned(field: Field) -> dict[str, float]:
    """What the two values of a field are worth that says how bad an answer was."""
    if field.kind == "bool":
        return {"false": 1.0, "true": 0.0}
    scale = words_of(field) if field.kind == "text" else None
    if scale is None:
        low, high = sorted({*field.numbers.tolist()})
        return {f"{low:g}": 1.0, f"{high:g}": 0.0}
    return {word: 1.0 - worth for word, worth in scale.worth.items()}


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
