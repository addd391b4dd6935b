"""Records as options: a setting is written once, where its record stands.

The name, the type, the default and the help text of an option are those of a record's field; the
text is the field's entry under "Attributes:" in the record's docstring. Nested records are gone
into: `FitConfig.nuisance.folds` is `--nuisance.folds`.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from routerjax.cli.parse import metavar

Record = TypeVar("Record")
Path = tuple[str, ...]

PLAIN = ("router",)
"""Records whose settings need no prefix: `fit` fits a router, and --members is of its networks."""

SHORT = {("router", "schedule", "max_epochs"): "--epochs"}
"""Settings with a name of their own beside that of their place."""


class Setting(NamedTuple):
    """One setting of a record.

    Attributes:
      path: names of the fields that lead to it.
      hint: its type.
      default: its value in the record.
      text: what it does.
      required: whether it must be given.
      parse: text → value, where the type alone does not tell; None where it does.
      metavar: what the help writes for a value.
      name: its name on the command line, where that is not made of its path.
      repeated: whether it may be given more than once, for a tuple of values.
    """

    path: Path
    hint: Any
    default: Any
    text: str
    required: bool
    parse: Any
    metavar: str
    name: str | None
    repeated: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names on the command line, the one to show first."""
        if self.name is not None:
            return (self.name,)
        nested = self.path[0] in PLAIN and len(self.path) > 1
        path = self.path[1:] if nested else self.path
        plain = "--" + ".".join(part.replace("_", "-") for part in path)
        return (SHORT[self.path], plain) if self.path in SHORT else (plain,)


def settings_of(record: Any, *, before: Path = ()) -> list[Setting]:
    """All settings of a record, those of nested records in their place.

    Args:
      record: a frozen record that holds the defaults.
      before: path that leads to the record.
    """
    kind: type[Any] = type(record)
    hints, texts = typing.get_type_hints(kind), texts_of(kind)
    found: list[Setting] = []
    for field in dataclasses.fields(record):
        value, path = getattr(record, field.name), (*before, field.name)
        if dataclasses.is_dataclass(value):
            found += settings_of(value, before=path)
            continue
        found.append(
            Setting(
                path=path,
                hint=hints[field.name],
                default=value,
                text=texts.get(field.name, ""),
                required=field.metadata.get("required", False),
                parse=field.metadata.get("parse"),
                metavar=field.metadata.get("metavar") or metavar(hints[field.name]),
                name=field.metadata.get("name"),
                repeated=field.metadata.get("repeated", False),
            )
        )
    return found


def texts_of(record: type[Any]) -> dict[str, str]:
    """Help texts by field, from "Attributes:" of the docstrings of a record and its bases."""
    import docstring_parser

    texts: dict[str, str] = {}
    for kind in reversed(record.__mro__):
        for entry in docstring_parser.parse(kind.__doc__ or "").params:
            text = " ".join((entry.description or "").split())
            texts |= dict.fromkeys(entry.arg_name.split(", "), text)
    return texts


def laid_over(record: Record, given: Mapping[Path, Any]) -> Record:
    """The record with the settings that were given in the place of its own."""
    changes: dict[str, Any] = {path[0]: value for path, value in given.items() if len(path) == 1}
    for name in dict.fromkeys(path[0] for path in given if len(path) > 1):
        inner = {path[1:]: value for path, value in given.items() if path[0] == name}
        changes[name] = laid_over(getattr(record, name), inner)
    return dataclasses.replace(record, **changes)  # type: ignore[type-var]


def shown(value: Any) -> str:
    """A default as it would be typed; nothing for one that says nothing."""
    if isinstance(value, bool) or value in (None, "", ()):
        return ""
    if isinstance(value, tuple):
        return ",".join(shown(part) or "all" for part in value)
    return f"{value:g}" if isinstance(value, float) else str(getattr(value, "__name__", value))
