"""Propensities that a log recorded: of the model that answered, or of every model by name."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from routerjax.data.columns.arrays import NO_NUMBER, is_text, quoted
from routerjax.data.columns.names import PROPENSITY
from routerjax.data.columns.paths import loaded
from routerjax.data.columns.source_file import SourceFile
from routerjax.errors import DataWarning

NAME = "propensity"
SUM_OFF, EXACT = 0.01, 1e-3
"""How far from 1 a row's probabilities may sum without a word, and to be kept as those of every
model."""
ROUNDED = 1e-5
"""The same of single precision, where they are taken as they are."""
MOST_OFF = 0.05
"""The same where they are rounded to two digits, half of the last one for each, at most."""


class Recorded(NamedTuple):
    """Probabilities as a file has them.

    Attributes:
      answered: [n] of the model that answered, NaN where missing.
      by_model: n objects from model to probability, None where missing; None where cells are
        numbers.
    """

    answered: np.ndarray
    by_model: tuple[dict[str, float] | None, ...] | None = None

    def of(self, rows: np.ndarray, models: Sequence[str]) -> np.ndarray:
        """[k, m] of every model, where the objects name all that was asked; else [k] as answered.

        Args:
          rows: [k] that are kept.
          models: m names.
        """
        answered = self.answered[rows]
        if self.by_model is None:
            return answered
        kept = [self.by_model[row] or {} for row in rows]
        every = np.array([[each.get(name, 0.0) for name in models] for each in kept])
        every[np.isnan(answered)] = np.nan
        known = every[~np.isnan(answered)]
        total = known.sum(axis=1)
        objects = [each for each, own in zip(kept, answered, strict=True) if not np.isnan(own)]
        named = np.array([sum(each.values()) for each in objects])  # others than models, too
        off = np.array([_off(len(each), _rounding(known), EXACT) for each in objects])
        if (known < 0).any() or (abs(named - total) > EXACT).any() or (abs(total - 1) > off).any():
            return answered
        exact = abs(total - 1) <= ROUNDED  # numbers that were written stay the same bits
        every[~np.isnan(answered)] = known / np.where(exact, 1.0, total)[:, None]
        return every


def recorded_of(
    file: SourceFile, answered: Sequence[str | None], aliases: Mapping[str, str]
) -> Recorded | None:
    """What is recorded of the log's policy; None where nothing is.

    A cell is a number, or an object from model to probability, nested or as JSON in text; or there
    is a column ``propensity:MODEL`` of numbers for every model.

    Args:
      file: read, n rows.
      answered: name of the model that answered each row.
      aliases: other spelling → name; chances of the spellings of a model add up.

    Raises:
      InputError: a cell that is neither, an object without the model that answered, or one whose
        probabilities sum to more than 1; both kinds of columns.
    """
    columns = [name for name in file.names if name.startswith(PROPENSITY)]
    if NAME not in file:
        return _by_column(file, columns, answered, aliases) if columns else None
    if columns:
        problem = f"is given beside the column '{file.names[columns[0]]}'; one of the two says it"
        raise file.fail(problem, field=NAME)
    column = file.column(NAME)
    if _is_by_model(column):
        return _of_objects(file, column.to_pylist(), answered, aliases)
    found = Recorded(file.numbers(NAME))
    return None if np.isnan(found.answered).all() else found


def _of_objects(
    file: SourceFile,
    cells: Sequence[Any],
    answered: Sequence[str | None],
    aliases: Mapping[str, str],
) -> Recorded | None:
    """Of n objects from model to probability."""
    pairs = enumerate(zip(cells, answered, strict=True))
    objects = tuple(_chances(file, row, cell, model, aliases) for row, (cell, model) in pairs)
    _check_sums(file, objects)
    own = zip(objects, answered, strict=True)
    values = np.array([each[model or ""] if each else math.nan for each, model in own], np.float64)
    return None if np.isnan(values).all() else Recorded(values, objects)


def _by_column(
    file: SourceFile,
    columns: Sequence[str],
    answered: Sequence[str | None],
    aliases: Mapping[str, str],
) -> Recorded | None:
    """Of a column a model; a row without any number records nothing."""
    models = [name.removeprefix(PROPENSITY) for name in columns]
    values = np.stack([file.numbers(name) for name in columns], axis=1)
    cells = [
        {model: chance for model, chance in zip(models, row, strict=True) if not math.isnan(chance)}
        for row in values.tolist()
    ]
    return _of_objects(file, [cell or None for cell in cells], answered, aliases)


def _is_by_model(column: pa.ChunkedArray) -> bool:
    kind = column.type
    if not is_text(column):
        return bool(pa.types.is_struct(kind) or pa.types.is_map(kind))
    first = next((text for text in column.to_pylist() if text and text.strip()), "")
    return isinstance(loaded(first), dict)


def _chances(
    file: SourceFile, row: int, cell: Any, model: str | None, aliases: Mapping[str, str]
) -> dict[str, float] | None:
    """Probability by model; None where nothing is recorded."""
    if cell is None or not model:
        return None
    if isinstance(cell, str):
        if cell.strip().lower() in NO_NUMBER:
            return None
        cell = loaded(cell)
    elif isinstance(cell, list):  # of pairs: a map
        cell = dict(cell)
    found: dict[str, float] = {}
    for name, chance in cell.items() if isinstance(cell, dict) else ():
        name = aliases.get(str(name).strip(), str(name).strip())
        if chance is None:
            continue
        if isinstance(chance, bool) or not isinstance(chance, int | float):
            chance = math.nan
        found[name] = found.get(name, 0.0) + chance
    if math.isnan(found.get(model, math.nan)):
        problem = f"names no probability of {quoted(model)}, which answered"
        raise file.fail(problem, field=NAME, row=row)
    return found


def _rounding(chances: np.ndarray) -> float:
    """0.01 where every probability is a multiple of it, else 0."""
    return 0.01 if (abs(100 * chances - np.round(100 * chances)) < 1e-4).all() else 0.0


def _off(count: int, rounding: float, least: float) -> float:
    """How far from 1 so many probabilities may sum."""
    return max(least, min(rounding * count / 2, MOST_OFF))


def _check_sums(file: SourceFile, objects: Sequence[dict[str, float] | None]) -> None:
    """Refuse probabilities that sum to more than 1, and say where they sum to less.

    Those rounded to two digits may be off by half of the last one each.
    Rows with numbers that are no probabilities are left to `records.validation`, which knows units.
    """
    sums, off = {}, {}
    told = [(row, [*each.values()]) for row, each in enumerate(objects) if each]
    rounding = _rounding(np.array([chance for _, every in told for chance in every]))
    for row, every in told:
        if all(0 <= chance <= 1 for chance in every):
            sums[row], off[row] = sum(every), _off(len(every), rounding, SUM_OFF)
    for row, total in sums.items():
        if total > 1 + off[row]:
            problem = f"probabilities of its models sum to {total:.3g}; they must sum to 1"
            raise file.fail(problem, field=NAME, row=row)
    less = [row for row, total in sums.items() if total < 1 - off[row]]
    if less:
        warnings.warn(
            f"{file.source}: the probabilities of a row's models sum to less than 1 in "
            f"{len(less)} of {len(sums)} rows, such as {sums[less[0]]:.3g} in row {less[0]}; those "
            "of the models that answered are taken",
            DataWarning,
            stacklevel=2,
        )
