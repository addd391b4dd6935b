"""Tables in wide form: which columns are whose scores and costs, and how these are written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from routerjax.data.columns.schema import Schema
from routerjax.data.columns.synonyms import MODEL_WORDS
from routerjax.data.inspection.fields import Field
from routerjax.data.inspection.parts import as_one
from routerjax.data.inspection.rules import cost_rules, decimal_rule, quality_rules

SIGNS = ("_", "|", ":", ".", " ")
SCORES = (
    *("score", "quality", "correct", "accuracy", "reward", "rating", "scores", "acc"),
    *("is_correct", "performance", "perf"),
)
COSTS_OF = ("cost", "price", "total_cost", "spend", "costs", "cost_usd", "usd")
COST_SUFFIXES = tuple(sign + name for sign in SIGNS for name in COSTS_OF[::-1])
SCORE_SUFFIXES = ("", *(sign + name for sign in SIGNS for name in SCORES))
PREFIXES = tuple(
    (score + sign, cost + sign) for sign in SIGNS for score in SCORES for cost in COSTS_OF
)
"""How columns of every model's scores and costs end or begin, the model's name beside."""

OWN = {"score:*": "score:*", "cost:*": "cost:*"}
"""Patterns of columns that are named as routerjax names them."""
WRITTEN = ("ratings", "quality_range", "money", "cost_unit")
"""Rules for the numbers of a log that a table has too."""


def patterns_of(fields: Sequence[Field]) -> dict[str, str] | None:
    """``score:*`` and ``cost:*`` to patterns of columns that differ by the model's name alone.

    Returns:
      None where there is no such table; nothing where its columns are named as routerjax does.
    """
    numbers = [field.path for field in numbers_of(fields)]
    if sum(path.startswith("score:") for path in numbers) >= 2:
        return {}
    for cost in COST_SUFFIXES:
        bases = [path.removesuffix(cost) for path in numbers if path.endswith(cost)]
        for score in SCORE_SUFFIXES:
            both = [base for base in bases if base + score in numbers]
            if len(both) >= 2:
                inside = _object(both)
                return {"score:*": f"{inside}*{score}", "cost:*": f"{inside}*{cost}"}
    for score, cost in PREFIXES:
        scored, priced = (
            {path.removeprefix(each) for path in numbers if path.startswith(each)}
            for each in (score, cost)
        )
        if len(scored & priced) >= 2:
            return {"score:*": f"{score}*", "cost:*": f"{cost}*"}
    return None


def _object(paths: Sequence[str]) -> str:
    """The path of the object in which all these paths lie, with its dot; the empty text if in none.

    A dot may also be a part of models' names, as in gpt-4.1 and gpt-4.1-mini.
    """
    common = os.path.commonprefix([path[: path.rfind(".") + 1] for path in paths])
    inside = common[: common.rfind(".") + 1]
    return "" if MODEL_WORDS.search(inside) or re.search(r"\d", inside) else inside


def numbers_of(fields: Sequence[Field]) -> list[Field]:
    """The fields that may be scores or costs."""
    return [field for field in fields if field.kind in ("number", "bool", "empty")]


def written(
    fields: Sequence[Field],
    patterns: Mapping[str, str],
    given: Schema,
    notes: list[str],
    lacks: list[str],
) -> dict[str, object]:
    """How scores and costs are written, and the range of scores, as rules of a schema."""
    told = dict(patterns) or OWN
    costs = _matching(fields, told["cost:*"])
    paths = [field.path for field in costs]
    scores = [each for each in _matching(fields, told["score:*"]) if each.path not in paths]
    rules: dict[str, object] = {}
    if scores:
        rules |= quality_rules(as_one(scores, scores[0].path), [], given)
    if costs:
        rules |= cost_rules(as_one(costs, costs[0].path), None, notes, lacks)
    rules = {name: rule for name, rule in rules.items() if name in WRITTEN}
    if given.decimal is None:
        rules |= decimal_rule([*scores, *costs], notes, lacks)
    return rules


def _matching(fields: Sequence[Field], pattern: str) -> list[Field]:
    before, _, after = pattern.partition("*")
    return [
        field
        for field in fields
        if field.kind == "number" and field.path.startswith(before) and field.path.endswith(after)
    ]
