"""What routerjax says when its input is wrong: one sentence, exit code 2."""

from __future__ import annotations


class InputError(ValueError):
    """Input that cannot be used: one sentence that names the place and what would be right.

    Args:
      problem: what is wrong and what would be right, without the place.
      source: file, folder or argument in which the input was found.
      field: the record's own name of the column (``quality``, ``cost:gpt-4`` ...).
      row: zero-based row, where one row is at fault.
    """

    def __init__(
        self,
        problem: str,
        *,
        source: str | None = None,
        field: str | None = None,
        row: int | None = None,
    ):
        super().__init__(problem)
        self.problem = problem
        self.source = source
        self.field = field
        self.row = row

    def __str__(self) -> str:
        place = [self.source] if self.source else []
        if self.field is not None:
            place.append(f"column '{self.field}'")
        if self.row is not None:
            place.append(f"row {self.row}")
        return f"{', '.join(place)}: {self.problem}" if place else self.problem


class DataWarning(UserWarning):
    """Input that can be used but is probably not what was meant."""
