"""Settings by flat names: what a result on disk was made with, and whether that is still wanted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from routerjax.errors import InputError
from routerjax.support.provenance import plain


def named(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Settings by name, flat: dataclasses and mappings within them are joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in plain(dict(settings)).items():
        if isinstance(value, dict):
            flat |= named(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def check_settings(made: dict[str, Any], wanted: dict[str, Any], folder: Path | str) -> None:
    """Raise InputError where flat settings differ; the first that does is named.

    Args:
      made: what the checkpoints in `folder` were made with.
      wanted: what is to be resumed.
      folder: for the message.
    """
    for name in [*wanted, *made]:
        if name not in made or name not in wanted or made[name] != wanted[name]:
            old, new = (json.dumps(settings.get(name)) for settings in (made, wanted))
            problem = f"these checkpoints were made with {name} {old}, not {new}"
            raise InputError(f"{problem}; take that or another folder", source=str(folder))
