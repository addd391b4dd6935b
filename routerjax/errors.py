"""What routerjax says when its input is wrong: one sentence, exit code 2."""

from __future__ import annotations

import re

LONGEST_SOURCE = 200  # characters of a path that a message repeats
LONGEST_FIELD = 80
LONGEST_PROBLEM = 560
LONGEST_CELL = 60  # of a text in quotes, or without a space, in a problem that is longer
CELL = re.compile(r"(?<!\w)'[^']*'(?!\w)|(?<!\w)\"[^\"]*\"(?!\w)|\S+")
"""What of a sentence comes from a file, if it is long: names and cells, not advice."""


def printable(text: str, most: int | None = None) -> str:
    """The text as it may stand on a terminal: one line, control characters escaped.

    Args:
      text: any.
      most: characters it may have; of a longer text the middle is left out.
    """
    if most is not None:
        text = _middle_out(text, most)
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _middle_out(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 3]}...{text[len(text) - tail :]}"


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
        """The sentence on one line, its parts shortened where a file's content made them long."""
        place = [printable(self.source, LONGEST_SOURCE)] if self.source else []
        if self.field is not None:
            place.append(f"column '{printable(self.field, LONGEST_FIELD)}'")
        if self.row is not None:
            place.append(f"row {self.row}")
        problem = printable(_short(self.problem), LONGEST_PROBLEM)
        return f"{', '.join(place)}: {problem}" if place else problem


def _short(problem: str) -> str:
    """A problem that is too long with its long cells cut, so that what is advised is read whole."""
    if len(problem) <= LONGEST_PROBLEM:
        return problem
    return CELL.sub(lambda match: _middle_out(match[0], LONGEST_CELL), problem)


class DataWarning(UserWarning):
    """Input that can be used but is probably not what was meant."""
