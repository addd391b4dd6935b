"""The lines of a decision log: which are events, and of which server's router each is."""

from __future__ import annotations

import collections
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from routerjax.errors import InputError

SUFFIX = ".decisions.jsonl"
LARGEST = 1 << 26
"""Characters of a line at most."""


def events(
    folder: Path, counts: collections.Counter[str]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The events of all files, each with the ``start`` of its router in its file, else the one
    before it; lines that are none are counted."""
    try:
        files = sorted(folder.glob(f"*{SUFFIX}"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", source=str(folder)) from None
    if not files:
        problem = f"holds no decision log (*{SUFFIX}), which `routerjax serve --log` writes"
        raise InputError(problem, source=str(folder))
    for file in files:
        starts: dict[str, dict[str, Any]] = {}
        last: dict[str, Any] = {}
        try:
            with open(file, "rb") as lines:
                for line in lines:
                    event = _event(line)
                    if event is None:
                        counts["damaged lines"] += bool(line.strip())
                        continue
                    router = str(event.get("router"))
                    if event["event"] == "start":
                        last = starts[router] = event
                    yield event, starts.get(router, last)
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", source=str(file)) from None


def _event(line: bytes) -> dict[str, Any] | None:
    """An event, or None where the line is cut off or is none."""
    if not line.endswith(b"\n") or len(line) > LARGEST:
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not is_number(event.get("time")):
        return None
    named = event.get("event") == "start" or isinstance(event.get("id"), str)
    return event if named and isinstance(event.get("event"), str) else None


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)
