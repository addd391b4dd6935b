"""A fitted router from its folder, whichever kind it is."""

from __future__ import annotations

from pathlib import Path

from routerjax.artefacts.folder import kind_of
from routerjax.artefacts.gains import SavedGains
from routerjax.artefacts.hub import local_folder
from routerjax.artefacts.router import Router


def load(path: str | Path, *, trust_encoder: bool = False) -> Router | SavedGains:
    """Load a fitted router of either kind from its folder.

    Args:
      path: the folder that `Router.save`, `SavedGains.save` or `routerjax fit` wrote; or
        ``hub:owner/name`` or ``hub:owner/name@revision``, what `push_to_hub` wrote.
      trust_encoder: Take a text encoder that is none of routerjax's own: a folder or a name of
        the hub, from which a model is loaded that may bring code along.

    Returns:
      A `Router` learnt from a log, or the `SavedGains` of a pair of models.

    Raises:
      InputError: there is no such folder, or it is damaged, incomplete or of another version, or
        its encoder is not trusted; or the hub has no such router.
    """
    folder = local_folder(path)
    kind = SavedGains if kind_of(folder) == SavedGains.kind else Router
    return kind.load(folder, trust_encoder=trust_encoder)
