"""Columns that say which models could be chosen on a row, and on which rows a user chose."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from routerjax.data.columns.arrays import is_list, is_text, kind_of, quoted
from routerjax.data.columns.names import AVAILABLE, nearest
from routerjax.data.columns.source_file import SourceFile
from routerjax.errors import DataWarning, InputError

YES, NO = ("true", "yes", "y", "t", "1", "1.0"), ("false", "no", "n", "f", "0", "0.0", "")
MOST_NAMED = 5  # unknown names that a message lists


def available_of(
    file: SourceFile, rows: np.ndarray, models: Sequence[str], aliases: Mapping[str, str]
) -> np.ndarray | None:
    """[n, m] True where the model could be chosen; None where the file does not say.

    A column of names, as a list, as JSON or between commas; or a column ``available:MODEL`` of
    truth for some models, where others are always available. A row without an entry says nothing,
    and has every model. Names of models that answered no row are left out, which a `DataWarning`
    counts.

    Args:
      file: read.
      rows: [n] the file's rows that are kept.
      models: m names.
      aliases: other spelling → name.

    Raises:
      InputError: cells that hold no names, or both kinds of columns.
    """
    single = [name for name in file.names if name.startswith(AVAILABLE)]
    if "available" not in file.schema.columns:
        return _by_column(file, rows, models, single, aliases) if single else None
    if single:
        problem = f"is given beside the column '{file.names[single[0]]}'; one of the two says it"
        raise file.fail(problem, field="available")
    with file.place("available"):
        cells = names_of(file.column("available"))
    known: dict[Any, np.ndarray] = {None: np.ones(len(models), bool)}
    mask = np.ones((len(rows), len(models)), bool)
    strange: dict[str, None] = {}
    for at, row in enumerate(rows.tolist()):
        cell = cells[row]
        if cell not in known:
            named = {aliases.get(name, name) for name in cell}
            known[cell] = np.array([model in named for model in models])
            strange |= {name: None for name in cell if aliases.get(name, name) not in models}
        mask[at] = known[cell]
    _say_unknown(file, list(strange), models)
    return mask


def pinned_of(file: SourceFile, rows: np.ndarray) -> np.ndarray | None:
    """[n] True where a user chose the model, by words such as true and no; None if nobody did.

    Raises:
      InputError: a word of which that is not known.
    """
    if "pinned" not in file.schema.columns:
        return None
    if file.schema.values.get("pinned"):
        return _truth(np.nan_to_num(file.numbers("pinned"))[rows] != 0)
    texts = file.texts("pinned")
    found = np.zeros(len(texts), bool)
    for row, text in enumerate(texts):
        word = (text or "").strip().lower()
        if word in YES:
            found[row] = True
        elif word not in (*NO, "none", "null", "nan", "n/a"):
            problem = f"{quoted(text or '')} is neither yes nor no"
            advice = "say what the words are worth, as in --values pinned:user=1,router=0"
            raise file.fail(f"{problem}; {advice}", field="pinned", row=row)
    return _truth(found[rows])


def _truth(found: np.ndarray) -> np.ndarray | None:
    return found if found.any() else None


def _by_column(
    file: SourceFile,
    rows: np.ndarray,
    models: Sequence[str],
    single: Sequence[str],
    aliases: Mapping[str, str],
) -> np.ndarray:
    mask, said = np.ones((len(rows), len(models)), bool), np.zeros(len(rows), bool)
    strange = []
    for name in single:
        model = name.removeprefix(AVAILABLE)
        model = aliases.get(model, model)
        values = file.numbers(name)[rows]
        said |= ~np.isnan(values)
        if model in models:
            mask[:, models.index(model)] = np.nan_to_num(values) != 0
        else:
            strange.append(model)
    _say_unknown(file, strange, models)
    mask[~said] = True
    return mask


def _say_unknown(file: SourceFile, names: Sequence[str], models: Sequence[str]) -> None:
    if not names:
        return
    shown = []
    for name in names[:MOST_NAMED]:
        like = nearest(name, models)
        shown.append(quoted(name) + (f" (like '{like}', --alias merges them)" if like else ""))
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    warnings.warn(
        f"{file.source}: available models that are none of the models here are left out: "
        f"{', '.join(shown)}{more}",
        DataWarning,
        stacklevel=5,
    )


def names_of(column: pa.ChunkedArray) -> list[tuple[str, ...] | None]:
    """n tuples of names, None where nothing is said.

    Raises:
      InputError: cells that hold no names; it names the row.
    """
    kind = column.type
    nested = is_list(kind) or pa.types.is_struct(kind) or pa.types.is_map(kind)
    if not (nested or is_text(column) or pa.types.is_null(kind)):
        advice = "columns available:MODEL hold true or false"
        raise InputError(f"holds {kind_of(column)}, not names of models; {advice}")
    known: dict[str, tuple[str, ...] | None] = {}
    found: list[tuple[str, ...] | None] = []
    for row, cell in enumerate(column.to_pylist()):
        if not isinstance(cell, str):
            found.append(None if cell is None else _entries(cell, row))
            continue
        if cell not in known:
            known[cell] = _of_text(cell, row)
        found.append(known[cell])
    return found


def _of_text(text: str, row: int) -> tuple[str, ...] | None:
    plain = text.strip()
    if not plain or plain.lower() in ("null", "none", "n/a", "nan"):
        return None
    if plain[0] in "[{":
        try:
            found = json.loads(plain)
        except (ValueError, RecursionError):
            plain = plain.strip("[]{}()")  # as Python writes a list
        else:
            return _entries(found, row)
    parts = (part.strip().strip("'\"").strip() for part in re.split(r"[,;|\n]", plain))
    return tuple(filter(None, parts))


def _entries(cell: Any, row: int) -> tuple[str, ...]:
    """Names of a list, or those that are true of an object."""
    if isinstance(cell, dict):
        return tuple(str(name).strip() for name, there in cell.items() if there)
    pairs = [each for each in cell if isinstance(each, tuple) and len(each) == 2]
    if pairs and len(pairs) == len(cell):
        return tuple(str(name).strip() for name, there in pairs if there)
    if not all(isinstance(name, str) for name in cell):
        raise InputError("holds entries that are no names of models", row=row)
    return tuple(name.strip() for name in cell)
