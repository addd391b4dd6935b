"""The user's cache folder: what may be lost and made again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$ROUTERJAX_CACHE``, else ``routerjax`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    own = os.environ.get("ROUTERJAX_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "routerjax"


def scratch() -> Path:
    """A folder for files larger than memory: beside the user's cache, since /tmp may be memory."""
    folder = cache_folder() / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
