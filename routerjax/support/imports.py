"""Importing large libraries quickly."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Import within it, at the start of a process: what is imported is not searched for garbage.

    An import makes hundreds of thousands of objects that stay; the cyclic collector would visit
    them again and again, a good part of the time of a short command.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
