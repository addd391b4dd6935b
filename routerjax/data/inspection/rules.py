"""What the cells of a quality, a cost and a status say of how they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from routerjax.data.columns import separators
from routerjax.data.columns.arrays import quoted
from routerjax.data.columns.schema import Schema
from routerjax.data.columns.synonyms import plain
from routerjax.data.columns.values import same
from routerjax.data.inspection.fields import Field
from routerjax.data.inspection.roles import Guess
from routerjax.data.inspection.word_scales import words_of

WELL = {"200", "ok", "success", "succeeded", "completed", "complete", "stop", "true"}
"""What a status says of a call that went well."""

MOST_TOLD = 50  # different values of which each may have been given a worth
MANY = 0.1  # share of ratings of 0 that may stand for none
RANGES = ((0.0, 1.0), (0.0, 5.0), (0.0, 10.0), (0.0, 100.0), (0.0, 1000.0))
CURRENCIES = {"eur": "euro", "gbp": "pound", "chf": "franc", "jpy": "yen", "inr": "rupee"}

NOTHING = Schema()


def _become(given: Schema) -> str:
    """What becomes of rows of failed calls."""
    worth = given.failed_quality
    return "are left out" if worth is None else f"count with a quality of {worth:g}"


def quality_rules(field: Field, notes: list[str], given: Schema = NOTHING) -> dict[str, object]:
    """How qualities are written, their range, and what stands for none, with notes of guesses."""
    worth = given.values.get("quality", {})
    if field.kind == "bool" or _is_told(field, worth):
        ends = (min(worth.values(), default=0.0), max(worth.values(), default=1.0))
        return {"quality_range": ends} if ends[0] < 0 or ends[1] > 1 else {}
    if field.kind == "text":
        scale = words_of(field)
        if scale is None:
            return {"values": {"quality": {}}}
        if scale.note:
            notes.append(scale.note)
        bounds = {"quality_range": scale.quality_range} if scale.quality_range else {}
        return {"values": {"quality": scale.worth}, **bounds}
    rules: dict[str, object] = {}
    if field.notation == "rating":
        rules["ratings"] = True
    values = np.unique(field.numbers)
    if not values.size:
        return rules
    counted = dict(zip(*np.unique(field.numbers, return_counts=True), strict=True))
    if set(values.tolist()) == {-1.0, 0.0, 1.0}:
        zeros = counted[0.0] / field.numbers.size
        if zeros >= 0.6:
            if not given.failed:
                notes.append(
                    f"quality is 0 in {zeros:.0%} of the rows and -1 or 1 in the others: 0 is "
                    f"taken for no feedback at all, and such rows {_become(given)}"
                )
            rules["failed"] = (f"{field.path}=0",)
        return {**rules, "quality_range": (-1.0, 1.0)}
    code = values[0] < 0 and len(values) > 3 and values[1] >= 0
    if code:
        if not given.failed:
            advice = "; --failed-quality counts it as the lowest quality instead"
            notes.append(
                f"quality is {values[0]:g} in {counted[values[0]]} of {field.numbers.size} rows "
                "and never else below 0: it is taken for calls that failed, whose rows "
                f"{_become(given)}{advice if given.failed_quality is None else ''}"
            )
        rules["failed"] = (f"{field.path}={values[0]:g}",)
        values = values[1:]
    low, high = _range(field, values)
    if high in (5.0, 10.0) and values[0] == 0 and values.size > 2 and values[1] >= 1:
        zeros = counted[0.0] / field.numbers.size
        if zeros >= MANY and not given.failed and low == 0:
            notes.append(
                f"quality is 0 in {zeros:.0%} of the rows and {values[1]:g} to {values[-1]:g} in "
                f"the others: if 0 stands for no rating, --failed {field.path}=0 says so"
            )
    return rules if (low, high) == (0.0, 1.0) else {**rules, "quality_range": (low, high)}


def _is_told(field: Field, worth: Mapping[str, float]) -> bool:
    """Whether it was given what every value is worth."""
    if not worth or field.distinct > MOST_TOLD:
        return False
    return all(any(same(text, word) for word in worth) for text in set(field.texts))


def _range(field: Field, values: np.ndarray) -> tuple[float, float]:
    low, high = float(values[0]), float(values[-1])
    whole = bool((values == np.round(values)).all())
    if low < 0:
        bound = max(-low, high)
        return (-1.0, 1.0) if bound <= 1 else (-float(np.ceil(bound)), float(np.ceil(bound)))
    if field.notation == "rating":
        ends = [re.search(r"/\s*(\d+)\s*$", text) for text in field.texts]
        out_of = [float(end[1]) for end in ends if end]
        out_of += [100.0 for text in field.texts if text.rstrip().endswith("%")]
        if out_of and max(out_of) >= high:
            return 0.0, max(out_of)
    if whole and low >= 1 and high > 1:
        for end in (5.0, 10.0):
            if high <= end:
                return 1.0, end
    return next((each for each in RANGES if high <= each[1]), (0.0, float(np.ceil(high))))


def cost_rules(
    field: Field, currency: Guess | None, notes: list[str], lacks: list[str]
) -> dict[str, object]:
    """How costs are written and in which unit; a currency's price is lacking."""
    rules: dict[str, object] = {}
    if field.notation == "money":
        rules["money"] = True
    words = set(re.split(r"[._]", plain(field.path)))
    signs = "".join(field.texts[:20]) if field.notation == "money" else ""
    said = {text.strip().lower() for text in currency.field.texts} if currency else set()
    cents = sum("¢" in text for text in field.texts)
    words |= {"cents"} if "¢" in field.path else set()
    if 0 < cents < len(field.texts):
        lacks.append(f"one unit: {cents} of {len(field.texts)} costs are in cents, by their sign")
        return rules
    if cents or words & {"cents", "cent"}:
        rules["cost_unit"] = "cents"
        by = "their sign" if cents else f"the name of the column {quoted(field.path)}"
        notes.append(f"costs are in cents, by {by}")
        return rules
    if words & {"micros", "micro", "microdollars"}:
        rules["cost_unit"] = "per-1m"
        notes.append(f"costs are millionths, by the name of the column {quoted(field.path)}")
        return rules
    foreign = sorted((words | said) & CURRENCIES.keys())
    signs += field.path
    foreign += [name for sign, name in (("€", "eur"), ("£", "gbp"), ("¥", "jpy")) if sign in signs]
    if len(said) > 1:
        lacks.append(f"one currency: costs are in {', '.join(sorted(said))}, one of them a file")
    elif foreign:
        name = foreign[0]
        lacks.append(
            f"the price of a {CURRENCIES[name]} in dollars, as in --cost-unit {name}:1.08: costs "
            f"are in {name.upper()}"
        )
    return rules


def decimal_rule(fields: Sequence[Field], notes: list[str], lacks: list[str]) -> dict[str, object]:
    """The sign before the decimals of the numbers of some columns, where it is not the usual one.

    A number such as 1,234 of a column that does not tell is read as other columns write theirs; if
    none tells, it is lacking.
    """
    commas = [field for field in fields if field.signs.comma and not field.signs.point]
    if commas:
        return {"decimal": separators.COMMA}
    told = next((field for field in fields if field.signs.point), None)
    for field in fields:
        try:
            separators.sign_of(field.signs)
        except separators.Undecided as error:
            if told is None:
                lacks.append(f"what a number of column {quoted(field.path)} is: {error.problem}")
                return {}
            notes.append(
                f"numbers such as {error.text} in {field.path} are read with a comma between "
                f"thousands, since {told.path} has a point before decimals: --decimal , where they "
                "are not"
            )
            return {"decimal": separators.POINT}
    return {}


def status_rules(field: Field, notes: list[str], given: Schema = NOTHING) -> dict[str, object]:
    """Which calls failed, where a status has one word for those that went well."""
    texts = [text.strip().lower() for text in field.texts]
    well = [text for text in set(texts) if text in WELL]
    lost = float(np.mean([text not in WELL for text in texts]))
    if len(well) != 1 or not 0 < lost < 0.5:
        return {}
    kept = next(text.strip() for text in field.texts if text.strip().lower() == well[0])
    if not given.failed:
        advice = "quality is missing; --failed-quality 0 counts it as 0 instead"
        if given.failed_quality is not None:
            advice = f"quality counts as {given.failed_quality:g}"
        notes.append(
            f"{field.path} is not {kept} in {lost:.0%} of the rows: these are calls that failed, "
            f"whose {advice}"
        )
    return {"failed": (f"{field.path}!={kept}",)}
