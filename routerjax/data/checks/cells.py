"""What a log and a table have in common for the tests: one cell a known answer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from routerjax.records.logs import Log
from routerjax.records.tables import Table

PROMPTS = 2000  # prompts whose length is looked at


class Cells(NamedTuple):
    """Known answers, c of them.

    Attributes:
      arms: [c] position of the model that answered.
      quality: [c] score of the answer.
      cost: [c] its cost in dollars.
      rows: [c] row of the record.
      models: m names.
      quality_range: declared lowest and highest quality.
      scored_by: c strings, how an answer was scored, or None.
      letters: median length of a prompt in characters, 0 where there is none.
      wide: whether they are of a table.
    """

    arms: np.ndarray
    quality: np.ndarray
    cost: np.ndarray
    rows: np.ndarray
    models: tuple[str, ...]
    quality_range: tuple[float, float]
    scored_by: tuple[str, ...] | None
    letters: float
    wide: bool

    def only(self, kept: np.ndarray) -> Cells:
        """The cells of a mask [c]."""
        own = {name: getattr(self, name)[kept] for name in ("arms", "quality", "cost", "rows")}
        if self.scored_by is not None:
            own["scored_by"] = tuple(np.asarray(self.scored_by, object)[kept])
        return self._replace(**own)

    def column(self, name: str, model: str | None) -> str:
        """The column "quality" or "cost" of the record; a table has one of each a model."""
        if not self.wide or model is None:
            return name
        return f"{'score' if name == 'quality' else name}:{model}"


def cells_of(record: Log | Table) -> Cells:
    """The known answers of a log (every row) or a table (every cell that is not missing)."""
    quality, cost = np.asarray(record.quality), np.asarray(record.cost)
    if isinstance(record, Log):
        arms, rows = np.asarray(record.arms), np.arange(len(record))
        scored_by = record.scored_by
    else:
        known = np.isfinite(quality) & np.isfinite(cost)
        rows, arms = np.nonzero(known)
        quality, cost, scored_by = quality[known], cost[known], None
    return Cells(
        arms=arms,
        quality=quality.astype(np.float64),
        cost=cost.astype(np.float64),
        rows=rows,
        models=record.models,
        quality_range=record.quality_range,
        scored_by=scored_by,
        letters=_letters(record.prompts),
        wide=isinstance(record, Table),
    )


def by_group(groups: np.ndarray, count: int) -> list[np.ndarray]:
    """Positions of the cells of every group 0 … count − 1, in order."""
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.searchsorted(groups[order], np.arange(1, count)))


def _letters(prompts: tuple[str, ...] | None) -> float:
    if not prompts:
        return 0.0
    step = max(len(prompts) // PROMPTS, 1)
    return float(np.median([len(prompt) for prompt in prompts[::step]]))
