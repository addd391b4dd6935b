"""Scores and costs that come cell by cell, gathered into a table."""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np

from routerjax.data.columns.arrays import quoted
from routerjax.data.public.left_out import without_prompt
from routerjax.errors import InputError
from routerjax.records.tables import Table


class Query(NamedTuple):
    """What a row is besides its cells.

    Attributes:
      prompt: text, or None.
      task: its source.
      split: "train", "validation" or "test", or "".
    """

    prompt: str | None
    task: str
    split: str = ""


class Cells:
    """A table in the making: queries by key, and their cells, in the order in which they come."""

    def __init__(self, source: str):
        self._source = source
        self._queries: dict[Hashable, Query] = {}
        self._models: dict[str, dict[Hashable, tuple[float, float]]] = {}

    def add(self, key: Hashable, query: Query, model: str, score: Any, cost: Any = 0.0) -> None:
        """A model's score and cost on a query; None is a missing one.

        Raises:
          InputError: neither a number nor None.
        """
        self._queries.setdefault(key, query)
        values = self._number(score, "score", model), self._number(cost, "cost", model)
        self._models.setdefault(model, {})[key] = values

    def table(self) -> Table:
        """The table.

        Raises:
          InputError: there are no cells, or no prompts.
        """
        if not self._models:
            raise InputError("there are no scores", source=self._source)
        rows = {key: row for row, key in enumerate(self._queries)}
        shape = (len(rows), len(self._models))
        quality, cost = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
        for arm, cells in enumerate(self._models.values()):
            places = [rows[key] for key in cells]
            quality[places, arm], cost[places, arm] = np.array(list(cells.values())).T
        queries = list(self._queries.values())
        kept = without_prompt([query.prompt for query in queries], self._source)
        split = [queries[row].split for row in kept]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*every cost is 0")
            return Table.from_arrays(
                quality[kept],
                cost[kept],
                models=list(self._models),
                prompts=[queries[row].prompt or "" for row in kept],
                task=[queries[row].task for row in kept],
                split=split if any(split) else None,
                source=self._source,
            )

    def _number(self, value: Any, what: str, model: str) -> float:
        if value is None:
            return math.nan
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            problem = f"the {what} {quoted(str(value))} of {quoted(model)} is not a number"
            raise InputError(problem, source=self._source) from None
