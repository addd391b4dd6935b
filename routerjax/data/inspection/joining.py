"""Several files: parts of one log, or a log and what stands beside it, joined by an id."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from routerjax.data.columns.schema import Join
from routerjax.data.columns.synonyms import named
from routerjax.data.inspection.fields import Field
from routerjax.data.inspection.roles import guess_roles
from routerjax.errors import InputError

FEWEST = 5  # ids in common
ALIKE = 0.5  # share of columns in common from which files are parts of one log
SHARED = 0.02  # share of the ids of the smaller file that the other has


class Joined(NamedTuple):
    """Files that belong together.

    Attributes:
      main: position of the file that holds a row a call.
      joins: how the others are added to it.
      fields: of all of them, as the joined table names them.
    """

    main: int
    joins: tuple[Join, ...]
    fields: list[Field]


def are_parts(names: Sequence[Sequence[str]]) -> bool:
    """Whether files with these columns are parts of one log."""
    first = set(names[0])
    return all(len(first & set(other)) >= ALIKE * len(first | set(other)) for other in names[1:])


def join_files(
    paths: Sequence[str], fields: Sequence[list[Field]], ids: Sequence[dict[str, set[str]]]
) -> Joined:
    """How files of different columns belong together.

    Args:
      paths: of the files.
      fields: of each.
      ids: of each, path of a field that may be an id → its values, all rows.

    Raises:
      InputError: a file that shares no id with the one that holds the calls.
    """
    main = max(range(len(paths)), key=lambda at: _calls(fields[at]))
    has_time = "time" in guess_roles(fields[main])
    joins: list[Join] = []
    every = list(fields[main])
    for at, path in enumerate(paths):
        if at == main:
            continue
        on, other = _shared(ids[main], ids[at], paths[main], path)
        joins.append(Join(path, on, None if on == other else other))
        taken = {_column(field) for field in every}
        for field in fields[at]:
            if field.path != other and not (has_time and named("time", field.path)):
                clash = _column(field) in taken
                named_so = f"{Path(path).stem}.{field.path}" if clash else field.path
                every.append(dataclasses.replace(field, path=named_so))
    return Joined(main, tuple(joins), every)


def _column(field: Field) -> str:
    """The column of a file that a field is, or is a part of."""
    return re.split(r"[.\[]", field.path, maxsplit=1)[0]


def _calls(fields: list[Field]) -> int:
    roles = guess_roles(fields)
    return sum(name in roles for name in ("model", "prompt", "embedding", "cost", "input_tokens"))


def _shared(
    main: dict[str, set[str]], other: dict[str, set[str]], path: str, second: str
) -> tuple[str, str]:
    """The pair of fields with the most values in common, those that sound like ids first."""
    best = (0.0, "", "")
    for one, values in main.items():
        for two, others in other.items():
            common = len(values & others) / max(min(len(values), len(others)), 1)
            sounds = 0.1 * (one == two) + 0.01 * named("request_id", one)
            if common >= SHARED and len(values & others) >= FEWEST:
                best = max(best, (common + sounds, one, two))
    if not best[1]:
        raise InputError(
            f"shares no id with {path}; name the columns with --join '{second} on ID=ID'",
            source=second,
        )
    return best[1], best[2]
