"""A model is added to a router in service: the folder is replaced in one step, as by a refit."""

from __future__ import annotations

from pathlib import Path

from routerjax.artefacts.newcomer import SAME_PRICE, with_newcomer
from routerjax.artefacts.router import Router
from routerjax.data.encoders.encoding import encoded
from routerjax.errors import InputError
from routerjax.exploration.posterior import has_draws, load_draws, save_draws, with_newcomers
from routerjax.records.logs import Log
from routerjax.records.repricing import PriceChange
from routerjax.serving.refitting import put_in_service


def add_newcomer(
    folder: str | Path,
    name: str,
    *,
    like: str,
    price: PriceChange = SAME_PRICE,
    rows: Log | None = None,
    trust_encoder: bool = False,
) -> Router:
    """Add a model to the router in a folder; the router before can be brought back by `rollback`.

    Draws from the posterior that stand beside the router get the newcomer's, too.

    Args:
      folder: of the router.
      name, like, price: as of `routerjax.artefacts.newcomer.with_newcomer`.
      rows: a log whose rows of the new model are learnt from; prompts are encoded here.
      trust_encoder: as of `Router.load`.

    Returns:
      The router that is in the folder now.

    Raises:
      InputError: as `with_newcomer`, or rows without embeddings that the router could take.
    """
    path = Path(folder)
    old = Router.load(path, trust_encoder=trust_encoder)
    if rows is not None:
        rows = encoded(rows, encoder=old.encoder) if old.encoder is not None else rows
        if rows.embeddings is None:
            problem = "holds no embeddings, and this router cannot encode prompts"
            raise InputError(problem, source=rows.source)
    new = with_newcomer(old, name, like=like, price=price, rows=rows)
    if has_draws(path, old):
        save_draws(path, new, with_newcomers(load_draws(path, old), new))
    put_in_service(path, new, old)
    return new
