"""Which models could be chosen on a row: a mask [n, m], its checks, and masks from names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from routerjax.errors import InputError

Available = np.ndarray | Sequence[str] | Sequence[Sequence[str]]
"""A mask [n, m] or [m], the names for every row, or the names of each row."""


def check_available(
    available: np.ndarray,
    *,
    models: Sequence[str],
    rows: int,
    arms: np.ndarray | None = None,
    source: str | None = None,
) -> None:
    """Raise InputError unless a mask [n, m] can be: its shape, a model in every row, the one asked.

    Args:
      available: True where the model could be chosen.
      models: m names.
      rows: n.
      arms: [n] model that answered, which must have been available; None in a table.
      source: of the record, for the message.
    """
    if available.shape != (rows, len(models)) or available.dtype != bool:
        problem = f"holds {available.dtype} of shape {available.shape}, not bool"
        raise InputError(f"{problem} of ({rows}, {len(models)})", source=source, field="available")
    if arms is not None and rows:
        lacking = ~available[np.arange(rows), arms]
        if lacking.any():
            row, count = int(lacking.argmax()), int(lacking.sum())
            counted = "the only such row" if count == 1 else f"{count} such rows"
            problem = (
                f"'{models[arms[row]]}' answered and is not among the models that were available "
                f"({counted}); the column must name every model that could be chosen"
            )
            raise InputError(problem, source=source, field="available", row=row)
    empty = ~available.any(axis=1)
    if empty.any():
        problem = "no model is available here; at least one must be"
        raise InputError(problem, source=source, field="available", row=int(empty.argmax()))


def available_mask(
    available: Available, *, models: Sequence[str], rows: int
) -> Bool[np.ndarray, "n m"]:
    """The mask [n, m] of what may be given as available models.

    Args:
      available: a mask [n, m] or [m], names that hold for every row, or n collections of names.
      models: m names that there are.
      rows: n.

    Raises:
      InputError: a name that is not of `models`, another number of rows, or a row without any.
    """
    if isinstance(available, np.ndarray) and available.dtype == bool:
        mask = np.broadcast_to(available, (rows, len(models))) if available.ndim == 1 else available
    elif all(isinstance(name, str) for name in available):
        mask = np.tile(_named([str(name) for name in available], models, None), (rows, 1))
    else:
        if len(available) != rows:
            problem = f"holds {len(available)} rows for {rows} queries"
            raise InputError(problem, field="available")
        each = [_named(list(names), models, row) for row, names in enumerate(available)]
        mask = np.stack(each) if each else np.ones((0, len(models)), bool)
    check_available(mask, models=models, rows=rows)
    return np.asarray(mask)


def _named(names: list[str], models: Sequence[str], row: int | None) -> np.ndarray:
    for name in names:
        if name not in models:
            near = difflib.get_close_matches(str(name), models, n=1, cutoff=0.4)
            hint = f" (did you mean {near[0]!r}?)" if near else f"; known are {', '.join(models)}"
            raise InputError(f"no model {str(name)!r}{hint}", field="available", row=row)
    return np.isin(np.asarray(models), np.asarray(names, dtype=object).astype(str))
