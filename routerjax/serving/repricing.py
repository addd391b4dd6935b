"""Prices of a router in service are changed: the folder is replaced in one step, as by a refit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from routerjax.artefacts.router import Router
from routerjax.errors import InputError
from routerjax.exploration.posterior import has_draws, load_draws, save_draws
from routerjax.records.repricing import PriceChange
from routerjax.serving.refitting import put_in_service


def change_prices(
    folder: str | Path, changes: Mapping[str, PriceChange], *, trust_encoder: bool = False
) -> Router:
    """Put the router in a folder at other prices; `rollback` brings back the one before.

    Nothing is fitted. Draws from the posterior of its quality that stand beside it stay its own.

    Args:
      folder: of the router.
      changes: as of `Router.with_prices`.
      trust_encoder: as of `Router.load`.

    Returns:
      The router that is in the folder now.

    Raises:
      InputError: no change, or as `Router.with_prices`.
    """
    if not changes:
        raise InputError("no price is given; --price MODEL=0.5x halves that of a model")
    path = Path(folder)
    old = Router.load(path, trust_encoder=trust_encoder)
    new = old.with_prices(changes)
    if has_draws(path, old):
        save_draws(path, new, load_draws(path, old))
    put_in_service(path, new, old)
    return new
