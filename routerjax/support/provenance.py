"""What every result file carries: versions, commit, seed, configuration, data."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("routerjax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "datasets")


def provenance(*, config: Any, seed: int, data: str) -> dict[str, Any]:
    """Record of how a result came about.

    Args:
      config: frozen dataclass of the run.
      seed: its seed.
      data: fingerprint of the data it read.
    """
    import jax

    return {
        "config": plain(config),
        "seed": seed,
        "data_fingerprint": data,
        "versions": versions(),
        "git_commit": git_commit(),
        "devices": [device.device_kind for device in jax.devices()],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        told = getattr(sys.modules.get(package.replace("-", "_")), "__version__", None)
        if isinstance(told, str):  # what was imported says it faster than its metadata
            found[package] = told
            continue
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def git_commit() -> str | None:
    """Commit of the checkout routerjax runs from, '+' behind it where files differ from it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", __file__)  # installed elsewhere, git knows it not
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def plain(value: Any) -> Any:
    """The value as JSON can hold it: dataclasses as objects, arrays as lists, NaN as null.

    A function, such as a surrogate of one's own, goes by its name.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__"):
        return plain(np.asarray(value).tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if callable(value):  # a function given as a setting goes by its name
        return f"{value.__module__}.{getattr(value, '__qualname__', type(value).__name__)}"
    if isinstance(value, Path):
        return str(value)
    return value


def dumps(value: Any, *, indent: int | None = None) -> str:
    """One JSON document; floats keep their exact value."""
    return json.dumps(plain(value), indent=indent, allow_nan=False)
