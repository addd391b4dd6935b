"""Prices of models from a file of one's own, and what a query costs by its tokens."""

from __future__ import annotations

import contextlib
import datetime
import difflib
import json
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from routerjax.data.columns.arrays import quoted
from routerjax.data.formats import loading
from routerjax.errors import InputError

TOKENS = ("input", "output")
FIELDS = (*TOKENS, "query", "date", "source")
MILLION = 1e6
EXAMPLE = "a row is model,input,output with US dollars per million tokens, as in gpt-4o,2.5,10"
ENTRY = (
    'an entry is ["gpt-4o"] with input = 2.5 and output = 10 (US dollars per million tokens), '
    'date = 2026-01-31 and source = "https://..."'
)


class Price(NamedTuple):
    """What a model costs.

    Attributes:
      input: US dollars per million tokens of the prompt.
      output: US dollars per million tokens of the answer.
      query: US dollars per query beside them.
      date: the day on which the price held, as written.
      source: where it was read.
    """

    input: float
    output: float
    query: float = 0.0
    date: str = ""
    source: str = ""


def read_prices(path: str | os.PathLike[str]) -> dict[str, Price]:
    """Read a file of prices.

    A .toml file has a table a model, whose name stands in quotes, with the US dollars per million
    tokens of `input` and `output`, or the US dollars per `query`, or all three, the `date` on
    which the price held and the `source` where it was read:

        ["vendor/model"]
        input = 2.5
        output = 10
        date = 2026-01-31
        source = "https://vendor.example/pricing"

    Args:
      path: such a .toml file; a .csv or .jsonl file with columns model, input and output, and where
        there are any query, date and source; or .json, a list of such objects or
        ``{"gpt-4o": {"input": 2.5, "output": 10}}``.

    Raises:
      InputError: no such file, a price missing, one that is not a number of 0 or more, a model
        priced twice, or in .toml an entry without date and source or with another field.
    """
    source = str(path)
    prices: dict[str, Price] = {}
    for row, cells in enumerate(_rows(path)):
        model = cells.pop("model", None)
        if model in (None, ""):
            raise InputError(f"no model here; {EXAMPLE}", source=source, row=row)
        model = str(model)
        if model in prices:
            raise InputError(f"{quoted(model)} is priced twice", source=source, row=row)
        place = model if _suffix(path) == ".toml" else None
        prices[model] = _price(cells, source=source, row=None if place else row, entry=place)
    if not prices:
        raise InputError(f"no price is in this file; {_example(source)}", source=source)
    return prices


def price_of(model: str, prices: Mapping[str, Price], *, source: str) -> Price:
    """The price of a model.

    Raises:
      InputError: it has none; the message holds the names that are nearest.
    """
    if model not in prices:
        raise InputError(
            f"no price for model {quoted(model)}{_nearest(model, prices)}; {_example(source)}",
            source=source,
        )
    return Price(*prices[model])


def cost_by_tokens(
    models: Sequence[str],
    input_tokens: np.ndarray | None,
    output_tokens: np.ndarray | None,
    *,
    prices: Mapping[str, Price],
    source: str,
) -> np.ndarray:
    """US dollars of n queries: query + (input·tokens of the prompt + output·of the answer) / 10⁶.

    Args:
      models: n names of the models that answered.
      input_tokens: [n] tokens of the prompts, NaN where they are not known; None where none are.
      output_tokens: [n] tokens of the answers, likewise.
      prices: of every model that occurs.
      source: name of the file of prices, for messages.

    Returns:
      [n] dollars; NaN where a price per token meets tokens that are not known.

    Raises:
      InputError: a model without a price.
    """
    named, position = np.unique(np.asarray(models, dtype=object), return_inverse=True)
    found = [price_of(str(model), prices, source=source) for model in named]
    rates = np.array([price[:3] for price in found], np.float64).reshape(-1, 3)[position]
    cost = rates[:, 2].copy()
    for tokens, rate in ((input_tokens, rates[:, 0]), (output_tokens, rates[:, 1])):
        known = np.full(len(cost), np.nan) if tokens is None else tokens
        cost += np.where(rate > 0, known, 0.0) * rate / MILLION
    return cost


def _nearest(model: str, prices: Mapping[str, Price]) -> str:
    near = difflib.get_close_matches(model, list(prices), n=3, cutoff=0.5)
    tails = [name for name in prices if name.split("/")[-1] == model.split("/")[-1]]
    near = list(dict.fromkeys([*tails, *near]))[:3]
    return f" (the nearest are {', '.join(map(quoted, near))})" if near else ""


def _suffix(path: str | os.PathLike[str]) -> str:
    return Path(path).suffix.lower()


def _example(source: str) -> str:
    """What a price looks like in a file of this name."""
    return ENTRY if _suffix(source) == ".toml" else EXAMPLE


def _rows(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    place = Path(path).expanduser()
    if not place.is_file():
        raise InputError(f"no such file of prices; {_example(str(path))}", source=str(path))
    if _suffix(path) == ".toml":
        return _toml(place, str(path))
    if _suffix(path) == ".json":
        with contextlib.suppress(ValueError):
            content = json.loads(place.read_text(encoding="utf-8-sig"))
            if isinstance(content, dict) and all(isinstance(c, dict) for c in content.values()):
                return [{**cells, "model": model} for model, cells in content.items()]
    table = loading.load(path)
    kept = [name for name in table.column_names if name in ("model", *FIELDS)]
    return table.select(kept).to_pylist()


def _toml(place: Path, source: str) -> list[dict[str, Any]]:
    try:
        content = tomllib.loads(place.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", source=source) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"is not valid TOML: {error}", source=source) from None
    rows = []
    for model, cells in content.items():
        if not isinstance(cells, dict) or any(isinstance(cell, dict) for cell in cells.values()):
            problem = f"{quoted(model)} is no entry of a model, whose name stands in quotes"
            raise InputError(f"{problem}; {ENTRY}", source=source)
        strange = [name for name in cells if name not in FIELDS]
        if strange:
            problem = f"{quoted(model)} has a field {quoted(strange[0])}; known are"
            raise InputError(f"{problem} {', '.join(FIELDS)}", source=source)
        for field in ("date", "source"):
            if cells.get(field) in (None, ""):
                problem = f"{quoted(model)} has no {field}: a price is of a day and a place"
                raise InputError(f"{problem}; {ENTRY}", source=source)
        rows.append({**cells, "model": model})
    return rows


def _price(cells: Mapping[str, Any], *, source: str, row: int | None, entry: str | None) -> Price:
    given = {name: cells.get(name) for name in FIELDS if cells.get(name) not in (None, "")}
    of = "" if entry is None else f" of {quoted(entry)}"
    for field in () if "query" in given and not given.keys() & set(TOKENS) else TOKENS:
        if field not in given:
            example = EXAMPLE if entry is None else ENTRY
            raise InputError(f"no {field}{of} here; {example}", source=source, row=row)
    dollars = {
        name: _dollars(given[name], name, source=source, row=row)
        for name in (*TOKENS, "query")
        if name in given
    }
    date, place = given.get("date", ""), str(given.get("source", ""))
    if entry is not None and not isinstance(date, datetime.date):
        problem = f"date{of} is {quoted(str(date))}; it must be a day such as 2026-01-31"
        raise InputError(problem, source=source)
    return Price(
        input=dollars.get("input", 0.0),
        output=dollars.get("output", 0.0),
        query=dollars.get("query", 0.0),
        date=str(date),
        source=place,
    )


def _dollars(value: Any, field: str, *, source: str, row: int | None) -> float:
    try:
        price = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        price = math.nan
    if not (math.isfinite(price) and price >= 0):
        problem = f"{quoted(str(value))} is not a price of 0 or more"
        raise InputError(problem, source=source, field=field, row=row)
    return price
