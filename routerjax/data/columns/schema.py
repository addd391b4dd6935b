"""How a file says what routerjax needs: a record of rules, and the small TOML file that holds them.

A rule names a column by its name or by a path into it (`routerjax.data.columns.paths`). Where
several names are given for one column, a row takes the first that it has, and none need be there;
a single name must be.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any

from routerjax.data.columns.names import LOG_NAMES, PAIR_NAMES, TABLE_NAMES, check_names
from routerjax.data.columns.prompts import CONVERSATION, LAST_USER
from routerjax.data.columns.times import split_by
from routerjax.errors import InputError

FORMS = (LAST_USER, CONVERSATION)
LAYOUTS = ("rows", "otel", "arena", "python-lists")
REPEATS = ("refuse", "first", "last")
ZERO_COSTS = ("refuse", "keep", "missing")
BOTH_BAD = ("leave-out", "tie")
UNITS = {"usd": 1.0, "cents": 1e-2, "per-1k": 1e-3, "per-1m": 1e-6}

NAMES = (*LOG_NAMES, *TABLE_NAMES, *PAIR_NAMES)

Names = str | tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Join:
    """A second file whose columns are added to a row by an id that both have.

    Attributes:
      file: its path.
      on: column or path of the id in the first file.
      other: that of the id in the second file; the same as `on` where None.
      repeats: what an id that is there twice means: "refuse", or take its "first" or "last" row.
    """

    file: str
    on: str
    other: str | None = None
    repeats: str = "refuse"

    def __post_init__(self) -> None:
        _check_word("repeats", self.repeats, REPEATS)


@dataclasses.dataclass(frozen=True)
class Schema:
    """How to read a file.

    Attributes:
      columns: routerjax's name of a column to the file's, or to a path such as
        ``messages.-1.content``; several names are tried in turn. In a table ``score:*`` and
        ``cost:*`` may be patterns, ``{"score:*": "*", "cost:*": "*|total_cost"}``: the models are
        the names that can stand for ``*`` in all of them.
      values: routerjax's name of a column to what its words are worth,
        ``{"quality": {"up": 1, "down": 0}}``.
      cost_unit: what costs are counted in: "usd", "cents", a currency with its price in dollars
        such as "eur:1.08", or dollars "per-1k" or "per-1m" queries.
      decimal: the sign before the decimals of a number, "." or ","; the other one then parts
        thousands. None: a point, and a comma that parts thousands where the column shows it.
      money: whether costs may carry a currency sign, as in "$0.0031".
      ratings: whether qualities may be written "8/10" or "Rating: [[8]]", which are 8.
      joins: second files.
      where: column or path to the text that it must equal; other rows are left out.
      prompt_form: what becomes of a list of messages: the "last-user" turn, or the "conversation".
      aliases: a model's name to other spellings of it.
      failed: what says that a call failed, "status=500" or "status!=success"; several may.
      failed_quality: the quality of a failed call, and of a quality below the range; None: missing.
      quality_range: lowest and highest quality there can be; None stands for 0 to 1.
      prices: path of a table of prices per million tokens, for costs from `input_tokens` and
        `output_tokens` where the file has no cost.
      zero_cost: what a cost of 0 means: "refuse" a model that never costs anything where others do,
        "keep" zeros as they are, or take them for "missing".
      strict: whether numbers that cannot be true are an error, not a warning, and a column whose
        rows belong together where no group is named.
      layout: "rows", or a layout that is put in rows first: "otel" spans, "arena" pairs, prompts
        as "python-lists".
      both_bad: an arena pair in which both answers are bad: "leave-out", or "tie".
      split_by: "time", or "time:0.3": the last share of the rows, 0.2 if none is said, is the test
        split. Groups stay whole: one that began before stays in the train split.

    Raises:
      InputError: a value that a field cannot have.
    """

    columns: Mapping[str, Names] = dataclasses.field(default_factory=dict)
    values: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    cost_unit: str = "usd"
    decimal: str | None = None
    money: bool = False
    ratings: bool = False
    joins: tuple[Join, ...] = ()
    where: Mapping[str, str] = dataclasses.field(default_factory=dict)
    prompt_form: str = FORMS[0]
    aliases: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    failed: Names = ()
    failed_quality: float | None = None
    quality_range: tuple[float, float] | None = None
    prices: str | None = None
    zero_cost: str = ZERO_COSTS[0]
    strict: bool = False
    layout: str = LAYOUTS[0]
    both_bad: str = BOTH_BAD[0]
    split_by: str | None = None

    def __post_init__(self) -> None:
        check_names(self.columns, NAMES)
        check_names(self.values, NAMES)
        cost_unit(self.cost_unit)
        _check_word("decimal", self.decimal or ".", (".", ","))
        _check_word("prompt_form", self.prompt_form, FORMS)
        _check_word("zero_cost", self.zero_cost, ZERO_COSTS)
        _check_word("layout", self.layout, LAYOUTS)
        _check_word("both_bad", self.both_bad, BOTH_BAD)
        for text in each(self.failed):
            condition(text)
        if self.split_by is not None:
            split_by(self.split_by)
        if self.quality_range is not None:
            low, high = self.quality_range
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                problem = f"{low:g}:{high:g} must be two finite numbers, low to high"
                raise InputError(problem, source="quality range")
        _check_aliases(self.aliases)

    def over(self, other: Schema) -> Schema:
        """These rules laid over those of another schema, where they are not as by default."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        own = {name: getattr(self, name) for name in defaults}
        return other.having(**{k: None if v == defaults[k] else v for k, v in own.items()})

    def having(self, **rules: Any) -> Schema:
        """The schema with other rules laid over its own; those that are None are not given.

        Columns, values, conditions and aliases are replaced one by one, the rest as a whole.
        """
        changes: dict[str, Any] = {
            name: {**getattr(self, name, {}), **rule} if isinstance(rule, Mapping) else rule
            for name, rule in rules.items()
            if rule is not None
        }
        return dataclasses.replace(self, **changes)


def each(names: Names) -> tuple[str, ...]:
    """One name or several as a tuple."""
    return (names,) if isinstance(names, str) else tuple(names)


def cost_unit(text: str) -> tuple[float, str]:
    """Dollars of one unit of cost, and the currency, as in 1.08 and "eur" for ``eur:1.08``.

    Raises:
      InputError: an unknown unit.
    """
    name = text.strip().lower()
    if name in UNITS:
        return UNITS[name], "usd"
    currency, _, price = name.partition(":")
    try:
        rate = float(price)
    except ValueError:
        rate = math.nan
    if currency.isalpha() and 0 < rate < math.inf:
        return rate, currency
    known = ", ".join(UNITS)
    problem = f"'{text}' is none of {known}, nor a currency with its price in dollars, eur:1.08"
    raise InputError(problem, source="cost unit")


def condition(text: str) -> tuple[str, bool, str]:
    """Column, whether it must equal, and the value of ``status=500`` or ``status!=success``.

    Raises:
      InputError: neither.
    """
    column, sign, value = text.partition("=")
    equal = not column.endswith("!")
    column, value = column.removesuffix("!").strip(), value.strip()
    if not (sign and column):
        problem = f"'{text}' is neither COLUMN=VALUE nor COLUMN!=VALUE, as in status!=success"
        raise InputError(problem, source="condition")
    return column, equal, value


def _check_word(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        what = name.replace("_", " ")
        raise InputError(f"'{value}' is none of {', '.join(known)}", source=what)


def _check_aliases(aliases: Mapping[str, tuple[str, ...]]) -> None:
    owners: dict[str, str] = {}
    for name, others in aliases.items():
        for other in others:
            if owners.setdefault(other, name) != name:
                problem = f"'{other}' is a spelling of both '{owners[other]}' and '{name}'"
                raise InputError(problem, source="aliases")


def resolved(schema: Schema | str | os.PathLike[str] | None) -> Schema:
    """A schema, the schema in a TOML file, or a preset by its name; None is a file as it should be.

    Raises:
      InputError: no such preset or file, or a file that is no schema.
    """
    from routerjax.data.columns.schema_file import named

    if schema is None:
        return Schema()
    return schema if isinstance(schema, Schema) else named(str(schema))
