"""A name as an object: one of ours by its name, or a user's own by ``file.py:function``."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from routerjax.errors import InputError


def named(name: str, known: Mapping[str, Any], *, kind: str, record: type | None = None) -> Any:
    """Find what a name stands for.

    Args:
      name: a key of `known`, or a path to a Python file, a colon and a name in that file.
      known: ours by name.
      kind: what it is, for messages, as in "surrogate".
      record: a type whose objects a file may hold in place of a function.

    Returns:
      The object. One state of a file gives one object, however often it is asked for, so that a
      program compiled for it serves all its uses.

    Raises:
      InputError: no such name, file or function, or the file does not run.
    """
    if name in known:
        return known[name]
    path, _, function = name.rpartition(":")
    if not path.endswith(".py"):
        listed = ", ".join(known)
        raise InputError(f"no {kind} {name!r}; known are {listed}, or name your_file.py:function")
    file = Path(path)
    if not file.is_file():
        raise InputError(f"no such file, where a {kind} was expected", source=path)
    found = _own(path, function, (file.resolve(), file.stat().st_mtime_ns))
    if not (callable(found) or (record is not None and isinstance(found, record))):
        raise InputError(f"the file has no function {function!r}", source=path)
    return found


@functools.lru_cache
def _own(path: str, function: str, state: tuple[Path, int]) -> Any:
    del state  # only tells apart
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"the file does not run ({reason})", source=path) from error
    return getattr(module, function, None)
