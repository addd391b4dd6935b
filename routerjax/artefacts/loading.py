"""A fitted router from its folder, whichever kind it is."""

from __future__ import annotations

from pathlib import Path

from routerjax.artefacts.base import kind_of
from routerjax.artefacts.gains import SavedGains
from routerjax.artefacts.router import Router


def load(path: str | Path) -> Router | SavedGains:
    """Load a fitted router of either kind from its folder.

    Args:
      path: the folder that `Router.save`, `SavedGains.save` or `routerjax fit` wrote.

    Returns:
      A `Router` learnt from a log, or the `SavedGains` of a pair of models.

    Raises:
      InputError: there is no such folder, or it is damaged, incomplete or of another version.
    """
    return SavedGains.load(path) if kind_of(path) == SavedGains.kind else Router.load(path)
