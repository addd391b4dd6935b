"""Prices of models in US dollars per million tokens, from a file of one's own."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from routerjax.data.io import formats
from routerjax.data.io.columns import quoted
from routerjax.errors import InputError

FIELDS = ("model", "input", "output")
EXAMPLE = "a row is model,input,output with US dollars per million tokens, as in gpt-4o,2.5,10"


class Price(NamedTuple):
    """US dollars per million tokens of the prompt, and of the answer."""

    input: float
    output: float


def read_prices(path: str | os.PathLike[str]) -> dict[str, Price]:
    """Read a file of prices: model, input, output, in US dollars per million tokens.

    Args:
      path: .csv or .jsonl with these three columns, or .json, a list of such objects or
        ``{"gpt-4o": {"input": 2.5, "output": 10}}``.

    Raises:
      InputError: no such file, a column or a price missing, a price that is not a number of 0 or
        more, or a model priced twice.
    """
    source = str(path)
    prices: dict[str, Price] = {}
    for row, cells in enumerate(_rows(path)):
        for field in FIELDS:
            if cells.get(field) in (None, ""):
                raise InputError(f"no {field} here; {EXAMPLE}", source=source, row=row)
        model = str(cells["model"])
        if model in prices:
            raise InputError(f"{quoted(model)} is priced twice", source=source, row=row)
        numbers = [_dollars(cells[field], field, source=source, row=row) for field in FIELDS[1:]]
        prices[model] = Price(*numbers)
    return prices


def price_of(model: str, prices: Mapping[str, Price], *, source: str) -> Price:
    """The price of a model.

    Raises:
      InputError: it has none.
    """
    if model not in prices:
        raise InputError(f"no price for model '{model}'; {EXAMPLE}", source=source)
    return Price(*prices[model])


def _rows(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    place = Path(path).expanduser()
    if not place.is_file():
        raise InputError(f"no such file of prices; {EXAMPLE}", source=str(path))
    if place.suffix.lower() == ".json":
        with contextlib.suppress(ValueError):
            content = json.loads(place.read_text(encoding="utf-8-sig"))
            if isinstance(content, dict) and all(isinstance(c, dict) for c in content.values()):
                return [{**cells, "model": model} for model, cells in content.items()]
    return formats.load(path).to_pylist()


def _dollars(value: Any, field: str, *, source: str, row: int) -> float:
    try:
        price = float(value)
    except (TypeError, ValueError):
        price = math.nan
    if not (math.isfinite(price) and price >= 0):
        problem = f"{quoted(str(value))} is not a price of 0 or more"
        raise InputError(problem, source=source, field=field, row=row)
    return price
