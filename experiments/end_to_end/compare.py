"""The estimand: utility of a router trained end to end less that of predict-then-choose.

Both see the same rows, folds and outcome predictions, and the difference is paired draw by draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from experiments.end_to_end.config import CENTRE, EMBEDDED, EndToEndConfig
from experiments.end_to_end.methods import PLUG_IN, REFERENCES, base_of, methods_of
from routerjax.evaluation.intervals import student_quantile

Record = dict[str, Any]

CONFIDENCE = 0.95
"""Of the intervals, by Student's t; a mean counts as ahead or behind where it leaves out 0."""


class Cell(NamedTuple):
    """The draws of one setting of one table.

    Attributes:
      table: its name, or "embedded".
      setting: what differs from the centre.
      draws: by seed.
      queries: of the table, which all draws share; None where every draw has queries of its own.
      methods: names in the order of the draws' values.
    """

    table: str
    setting: str
    draws: list[Record]
    queries: int | None
    methods: list[str]

    @property
    def seeds(self) -> list[int]:
        """Of its draws."""
        return [each["seed"] for each in self.draws]


class Difference(NamedTuple):
    """A mean of paired differences.

    Attributes:
      mean: of the draws, in quality.
      error: its standard error, with the part that a table's own queries add; NaN of one draw.
      seeds: Number of seeds that the error is from.
    """

    mean: float
    error: float
    seeds: int

    @property
    def margin(self) -> float:
        """Half-width of its interval; NaN of one seed."""
        if self.seeds < 2:
            return float("nan")
        return student_quantile(0.5 + CONFIDENCE / 2, self.seeds - 1) * self.error

    @property
    def verdict(self) -> int:
        """1 where its interval lies above 0, −1 where below, else 0."""
        return int(self.mean > self.margin) - int(self.mean < -self.margin)

    def __str__(self) -> str:
        return f"{self.mean:+.4f}" + ("" if np.isnan(self.error) else f" ± {self.error:.4f}")


def cells_of(results: Record) -> list[Cell]:
    """Every table and setting, in the order in which they first come."""
    config = results["provenance"]["config"]
    methods = methods_of(
        EndToEndConfig(
            surrogates=tuple(config["surrogates"]),
            estimators=tuple(config["estimators"]),
            starts=tuple(config["starts"]),
        )
    )
    queries = {each["name"]: each["rows"] for each in results["tables"]}
    found: dict[tuple[str, str], list[Record]] = {}
    for each in results["draws"]:
        found.setdefault((each["table"], each["setting"]), []).append(each)
    tables = list(dict.fromkeys([EMBEDDED, *(table for table, _ in found)]))
    return [
        Cell(*key, sorted(draws, key=lambda each: each["seed"]), queries.get(key[0]), methods)
        for key, draws in sorted(found.items(), key=lambda item: tables.index(item[0][0]))
    ]


def values(cell: Cell, method: str) -> Float[np.ndarray, " s"]:
    """Mean test utility of a method, averaged over cost weights, draw by draw."""
    place = cell.methods.index(method)
    return np.array([each["values"][place] for each in cell.draws])


def differences(cell: Cell, method: str, *, over: str | None = None) -> Float[np.ndarray, " s"]:
    """Of a method and another, by default predict-then-choose with what the method knows."""
    return values(cell, method) - values(cell, over or base_of(method))


def difference(cell: Cell, method: str) -> Difference:
    """A router less predict-then-choose, with its standard error."""
    return joined([cell], method)


def joined(cells: Sequence[Cell], method: str) -> Difference:
    """The mean over cells of one kind: all of the embedded world, or of one table.

    Its standard error is over seeds that all cells have, since cells of a seed share queries:

        SE² = s² / J + v̄ / N,

    s² the variance over the J seeds. The second term is for tables alone, whose N queries are
    those of every draw: J draws test on the same queries again and again, and s²/J would fall to
    0 with more seeds. v̄ is the mean over draws of the variance over test rows of the paired
    difference, so that v̄/N is what N queries can tell at best. It holds what queries and logs
    have in common to be the queries' alone, and errs to the wide side there; that logs of a table
    share rows is in neither term.
    """
    shared = set.intersection(*(set(each.seeds) for each in cells))
    by_seed = np.mean(
        [_of_seeds(each, differences(each, method), shared) for each in cells], axis=0
    )
    mean = float(np.mean([differences(each, method).mean() for each in cells]))
    if len(by_seed) < 2:
        return Difference(mean, float("nan"), len(by_seed))
    square = by_seed.var(ddof=1) / len(by_seed)
    queries = cells[0].queries
    if queries is not None:
        square += np.mean([row_variance(each, method) for each in cells]) / queries
    return Difference(mean, float(np.sqrt(square)), len(by_seed))


def _of_seeds(cell: Cell, found: Float[np.ndarray, " s"], seeds: set[int]) -> np.ndarray:
    kept: np.ndarray = found[[seed in seeds for seed in cell.seeds]]
    return kept


def row_variance(cell: Cell, method: str) -> float:
    """Variance over test rows of the difference, mean over draws."""
    place = cell.methods.index(method) - len(REFERENCES)
    return float(np.mean([each["row_deviations"][place] ** 2 for each in cell.draws]))


def over_tables(cells: Sequence[Cell], method: str) -> Difference | None:
    """The mean over tables of `joined`; tables share no queries. None where there are none."""
    names = list(dict.fromkeys(each.table for each in cells))
    if not names:
        return None
    each = [joined([cell for cell in cells if cell.table == name], method) for name in names]
    square = sum(own.error**2 for own in each) / len(each) ** 2
    mean, seeds = float(np.mean([own.mean for own in each])), min(own.seeds for own in each)
    return Difference(mean, float(np.sqrt(square)), seeds)


def beside_default(cells: Sequence[Cell], method: str) -> list[tuple[Cell, Difference]]:
    """A router on another outcome model less predict-then-choose with the default one.

    Of every setting whose outcome model is not the default's and whose twin, the same but for
    that, was run too: what a better outcome model would have been worth instead. Both are of the
    same log and test rows.
    """
    by_name = {(each.table, each.setting): each for each in cells}
    found = []
    for cell in cells:
        parts = cell.setting.split(", ")
        others = [part for part in parts if not part.startswith("outcomes=")]
        twin = by_name.get((cell.table, ", ".join(others) or CENTRE))
        if twin is None or len(others) == len(parts):
            continue
        shared = set(cell.seeds) & set(twin.seeds)
        own = _of_seeds(cell, values(cell, method), shared)
        own = own - _of_seeds(twin, values(twin, PLUG_IN), shared)
        many = len(own) > 1
        error = float(own.std(ddof=1) / np.sqrt(len(own))) if many else float("nan")
        found.append((cell, Difference(float(own.mean()), error, len(own))))
    return found


def kept_start(cells: Sequence[Cell], method: str) -> float:
    """Share of the draws in which held-out rows kept the router's start."""
    place = cells[0].methods.index(method) - len(REFERENCES)
    return float(np.mean([each["epochs"][place] == 0 for cell in cells for each in cell.draws]))
