"""Every model's quality and cost on every query: `Table` of a record, `Estimates` of a method.

Both are frozen pytrees, as a `Log` (`records/logs`) is. The arrays are leaves; names, prompts and
ranges are static. A record is validated where it is built from NumPy arrays; inside jit it is
passed on as it is.

Quality keeps the unit in which it was declared (`quality_range`), so that every utility,
regret and cost weight a user sees is in that unit; models and losses divide by its width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from routerjax.errors import InputError
from routerjax.records import validation as check
from routerjax.records.on_disk import Stored
from routerjax.records.rows import Array, Rows, matrix, pair, record, strings


@record(data=("quality", "cost"))
class Estimates:
    """Quality and cost of every arm for every query: known, predicted or counterfactual.

    Attributes:
      quality: [n, m] quality q̃, in the unit of the record it came from.
      cost: [n, m] cost c̃, dollars per query.
    """

    quality: Array
    cost: Array

    def utilities(self, cost_weight: Array | float) -> Array:
        """u_λ(x, m) = q(x, m) − λ·c(x, m), shape [n, m], for one cost weight λ."""
        return self.quality - cost_weight * self.cost

    def __repr__(self) -> str:
        shape = getattr(self.quality, "shape", None)
        return f"Estimates(quality and cost of shape {shape})"

    def __getitem__(self, rows: Any) -> Estimates:
        return Estimates(quality=self.quality[rows], cost=self.cost[rows])


@record(data=("quality", "cost", "embeddings", "available", "time"))
class Table(Rows):
    """Full feedback: every model's quality and cost on every query.

    Attributes:
      quality: [n, m] float, NaN where a cell is missing.
      cost: [n, m] float, US dollars per query, NaN where a cell is missing.
      models: m names, in column order.
      embeddings: [n, d] float, an array or `Stored` on disk; None until the prompts are encoded.
      prompts, task, split: n strings each, or None.
      group: n strings that are equal where rows depend on each other (a user, a session), or None:
        then rows of equal queries do.
      quality_range: declared (lowest, highest) quality.
      encoder: name of the encoder that made the embeddings, None where they came ready-made.
      source: where the rows came from, for messages.
      available: [n, m] bool, True where the model could be chosen; None where every model could
        be on every row.
      time: [n] float64, when each row was logged, in seconds since 1970 (UTC); None if unknown.

    Raises:
      InputError: fewer than two models, no rows, quality outside its range, negative cost,
        infinite numbers, or fields of different length.
    """

    quality: Array
    cost: Array
    models: tuple[str, ...]
    embeddings: Array | None = None
    prompts: tuple[str, ...] | None = None
    task: tuple[str, ...] | None = None
    split: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None
    quality_range: tuple[float, float] = (0.0, 1.0)
    encoder: str | None = None
    source: str = "table"
    available: Array | None = None
    time: Array | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.quality, np.ndarray) or not isinstance(self.cost, np.ndarray):
            return  # inside jit, or a pytree of something else than rows
        check.check_table(self)

    @classmethod
    def from_arrays(
        cls,
        quality: np.ndarray,
        cost: np.ndarray,
        *,
        models: Sequence[str],
        embeddings: np.ndarray | Stored | None = None,
        prompts: Sequence[str] | None = None,
        task: Sequence[str] | None = None,
        split: Sequence[str] | None = None,
        group: Sequence[str] | None = None,
        quality_range: tuple[float, float] = (0.0, 1.0),
        encoder: str | None = None,
        source: str = "table",
        available: np.ndarray | None = None,
        time: np.ndarray | None = None,
        warn: bool = True,
    ) -> Table:
        """Build a table from arrays, [n, m] quality and cost; warns of odd cost units if `warn`."""
        table = cls(
            quality=np.asarray(quality, np.float32),
            cost=np.asarray(cost, np.float32),
            models=tuple(models),
            embeddings=matrix(embeddings),
            prompts=strings(prompts),
            task=strings(task),
            split=strings(split),
            group=strings(group),
            quality_range=pair(quality_range),
            encoder=encoder,
            source=source,
            available=None if available is None else np.asarray(available),
            time=None if time is None else np.asarray(time, np.float64),
        )
        if warn:
            check.warn_of_cost_unit(table)
        return table

    def with_models(self, models: Sequence[str]) -> Table:
        """The table with its model columns picked and ordered as `models`.

        Raises:
          InputError: the table lacks one of them.
        """
        lacking = [model for model in models if model not in self.models]
        if lacking:
            raise InputError(f"no column for {', '.join(lacking)}", source=self.source)
        columns = [self.models.index(model) for model in models]
        return self.replace(
            models=tuple(models),
            quality=self.quality[:, columns],
            cost=self.cost[:, columns],
            available=None if self.available is None else self.available[:, columns],
        )

    def _facts(self) -> list[str]:
        if not isinstance(self.quality, np.ndarray) or not self.missing:
            return []
        return [f"cells missing: {self.missing:,}"]

    @property
    def missing(self) -> int:
        """Number of cells without a quality or without a cost."""
        return int((~np.isfinite(self.quality) | ~np.isfinite(self.cost)).sum())

    def complete(self, *, where_available: bool = False) -> Table:
        """The rows in which no cell is missing.

        Args:
          where_available: whether a cell may be missing where its model could not be chosen.

        Raises:
          InputError: every row has a missing cell.
        """
        known = np.isfinite(self.quality) & np.isfinite(self.cost)
        if where_available and self.available is not None:
            known |= ~np.asarray(self.available, bool)
        whole = known.all(axis=1)
        if whole.all():
            return self
        if not whole.any():
            problem = "every row has a missing cell; at least one complete row is needed"
            raise InputError(problem, source=self.source)
        return self.rows(whole)

    @property
    def estimates(self) -> Estimates:
        """The table's own cells as `Estimates`."""
        return Estimates(quality=self.quality, cost=self.cost)
