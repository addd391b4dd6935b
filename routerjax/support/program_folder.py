"""Where compiled programs are kept: a folder for one state of this package, JAX and the processor.

Another state has another folder, so that no program outlives the source it was made of; folders
that were not used for long go.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
import stat
import time
from importlib.metadata import version
from pathlib import Path

FOLDER = "programs"
UNUSED_DAYS = 30
"""Days after which the programs of another state of the source go."""

_chosen: list[Path] = []
"""The folder of `keep_in`, once it was called."""


def keep_in(folder: Path) -> None:
    """Keep programs of this process in a folder, of which others may not write anything.

    On a system that does not say whose a file is, nothing is kept.
    """
    if hasattr(os, "getuid") and hasattr(os, "O_NOFOLLOW"):
        _chosen[:] = [folder]
        program_folder.cache_clear()


@functools.cache
def program_folder() -> Path | None:
    """The folder for this state of source, JAX and processor; None where nothing is kept."""
    if not _chosen:
        return None
    found = _chosen[0] / FOLDER / _state()
    try:
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(found)
        _sweep(found)
        return found if is_private(os.stat(found, follow_symlinks=False)) else None
    except OSError:
        return None


def is_private(found: os.stat_result) -> bool:
    """Whether a file or folder is the user's own, and nobody else may write it."""
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _sweep(own: Path) -> None:
    """Remove the folders of other states that were not used for long."""
    for other in own.parent.iterdir():
        if other != own and time.time() - other.stat().st_mtime > UNUSED_DAYS * 86_400:
            shutil.rmtree(other, ignore_errors=True)


def _state() -> str:
    """A name for the source of this package, the versions below it and the processor."""
    import jax

    told = hashlib.sha256()
    package = Path(__file__).parent.parent
    for path in sorted(package.rglob("*.py")):
        told.update(f"\0{path.relative_to(package)}\0".encode() + path.read_bytes())
    flags = os.environ.get("XLA_FLAGS", "")
    for each in (jax.__version__, version("jaxlib"), platform.python_version(), flags):
        told.update(f"\0{each}".encode())
    told.update(_processor().encode())
    return told.hexdigest()[:32]


def _processor() -> str:
    """What the processor can do; where the system does not say it, which machine this is."""
    with contextlib.suppress(OSError):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            first = "".join(
                line for line, _ in zip(iter(lines.readline, "\n"), range(64), strict=False)
            )
        told = re.findall(r"^(?:model name|flags|Features|CPU part)\s*:.*$", first, re.MULTILINE)
        if told:
            return platform.machine() + "\n".join(told)
    return " ".join(platform.uname())
