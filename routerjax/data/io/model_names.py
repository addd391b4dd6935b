"""The names of the models of a log, whose spellings are merged."""

from __future__ import annotations

import warnings

from routerjax.data.columns.arrays import quoted
from routerjax.data.columns.schema import Schema
from routerjax.data.columns.source_file import SourceFile
from routerjax.errors import DataWarning


def models_of(file: SourceFile, column: str = "model") -> list[str | None]:
    """n names of the models in a column: without blanks at the ends, aliases as one name.

    Names that differ by such blanks alone are merged, which a `DataWarning` says.
    """
    names = file.texts(column)
    spelt: dict[str, set[str]] = {}
    for name in set(names) - {None}:
        assert name is not None
        spelt.setdefault(name.strip(), set()).add(name)
    merged = {name: sorted(each) for name, each in spelt.items() if len(each) > 1}
    if merged:
        listed = "; ".join(", ".join(map(quoted, each)) for each in merged.values())
        problem = f"names of models that differ by blanks alone are taken for one: {listed}"
        warnings.warn(f"{file.source}: {problem}", DataWarning, stacklevel=4)
    aliases = aliases_of(file.schema)
    known = {name: aliases.get(name.strip(), name.strip()) for name in set(names) if name}
    return [known.get(name) or None if name else None for name in names]


def aliases_of(schema: Schema) -> dict[str, str]:
    """Every spelling that a schema knows → the name of the model."""
    return {
        other.strip(): name for name, others in schema.aliases.items() for other in (name, *others)
    }
