"""A finding: numbers that are probably not what they were meant to be, and what would be right."""

from __future__ import annotations

import dataclasses

from routerjax.data.columns.arrays import quoted


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a test found.

    Attributes:
      name: of the test: "zero-cost", "outlying-cost", "cost-unit", "constant-quality",
        "edge-of-range", "failure-code", "mixed-scales", "missing-as-zero", "quality-range",
        "model-names", "parted-groups" or "outlying-embedding".
      column: routerjax's name of the column: "cost", "quality", "model", "split", "embedding"; of a
        table "score:<model>" or "cost:<model>".
      problem: what is the matter, as a clause.
      right: what would be right, as a clause that tells what to do.
      model: the model at fault, None where it is not one alone.
      share: of the rows that were looked at, those at fault, in (0, 1].
      row: an example, counted from zero; None where no row stands for the others.
      refused: whether the record is of no use as it is, so that a reader raises an error.
    """

    name: str
    column: str
    problem: str
    right: str
    model: str | None = None
    share: float = 1.0
    row: int | None = None
    refused: bool = False

    def __str__(self) -> str:
        example = "" if self.row is None else f" (for example row {self.row})"
        return f"{self.problem}{example}; {self.right}"


def listed(names: tuple[str, ...] | list[str], most: int = 4) -> str:
    """Names in quotes for a message, no more than `most`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(quoted(name) for name in names[:most]) + more
