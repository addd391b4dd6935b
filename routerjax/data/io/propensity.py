"""Propensities that a log recorded: of the model that answered, or of every model by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from routerjax.data.columns.arrays import NO_NUMBER, is_text, quoted
from routerjax.data.columns.paths import loaded
from routerjax.data.columns.source_file import SourceFile

NAME = "propensity"


def propensity_of(
    file: SourceFile, answered: Sequence[str | None], aliases: Mapping[str, str]
) -> np.ndarray | None:
    """[n] probability of the model that answered, NaN where missing; None where none is recorded.

    A cell is a number, or an object from model to probability, nested or as JSON in text.

    Args:
      file: read, n rows.
      answered: name of the model that answered each row.
      aliases: other spelling → name; chances of the spellings of a model add up.

    Raises:
      InputError: a cell that is neither, or an object without the model that answered.
    """
    if NAME not in file:
        return None
    column = file.column(NAME)
    if _is_by_model(column):
        pairs = enumerate(zip(column.to_pylist(), answered, strict=True))
        chances = [_chance(file, row, cell, model, aliases) for row, (cell, model) in pairs]
        values = np.array(chances, np.float64)
    else:
        values = file.numbers(NAME)
    return None if np.isnan(values).all() else values


def _is_by_model(column: pa.ChunkedArray) -> bool:
    kind = column.type
    if not is_text(column):
        return bool(pa.types.is_struct(kind) or pa.types.is_map(kind))
    first = next((text for text in column.to_pylist() if text and text.strip()), "")
    return isinstance(loaded(first), dict)


def _chance(
    file: SourceFile, row: int, cell: Any, model: str | None, aliases: Mapping[str, str]
) -> float:
    if cell is None or not model:
        return math.nan
    if isinstance(cell, str):
        if cell.strip().lower() in NO_NUMBER:
            return math.nan
        cell = loaded(cell)
    elif isinstance(cell, list):  # of pairs: a map
        cell = dict(cell)
    named = cell.items() if isinstance(cell, dict) else ()
    names = [(str(name).strip(), chance) for name, chance in named if chance is not None]
    own = [chance for name, chance in names if aliases.get(name, name) == model]
    if not own or any(isinstance(each, bool) or not isinstance(each, int | float) for each in own):
        problem = f"names no probability of {quoted(model)}, which answered"
        raise file.fail(problem, field=NAME, row=row)
    return float(sum(own))
