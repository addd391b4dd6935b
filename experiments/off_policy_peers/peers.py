"""Other people's packages: taken where they are installed, named as missing where they are not."""

from __future__ import annotations

import importlib
import importlib.metadata
import warnings
from types import ModuleType

PEERS = {"sb-obp": "obp", "econml": "econml", "causalml": "causalml", "ppi-python": "ppi_py"}
"""Name at the package index → module."""

MISSING = "not installed"


def peer_versions() -> dict[str, str]:
    """Version of every peer, or that it is not installed."""
    found = {}
    for package in PEERS:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = MISSING
    return found


def module(name: str, package: str) -> ModuleType | None:
    """A module of a peer, or of ours that imports it; None where the peer is not installed.

    Args:
      name: of the module to import.
      package: the peer's name at the package index.
    """
    if peer_versions()[package] == MISSING:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, of later versions of other packages
        return importlib.import_module(name)
