"""Routers on the Hugging Face hub: published with a card, loaded by ``hub:owner/name``."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from routerjax.artefacts.card import card
from routerjax.artefacts.folder import MANIFEST, PARAMETERS
from routerjax.artefacts.gains import SavedGains
from routerjax.artefacts.router import Router
from routerjax.data.formats import hub
from routerjax.errors import InputError

SCHEME = "hub:"
NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
VERSIONS = PARAMETERS.replace(".", "-*.")
CARD = "README.md"


def push_to_hub(
    router: Router | SavedGains,
    name: str,
    *,
    licence: str,
    private: bool = True,
    token: str | None = None,
) -> str:
    """Publish a router on the Hugging Face hub, in one commit, with a card made from its report.

    An older router of this name is replaced by the commit; earlier commits keep it. Where the log
    lay on this machine is left out of what is published.

    Args:
      router: of either kind.
      name: owner/name of a model on the hub, which is made where there is none.
      licence: of the router, as the hub abbreviates it, such as "apache-2.0" or "other".
      private: Whether a model that is made can be seen by its owner alone.
      token: of the hub; None takes the one that the user logged in with.

    Returns:
      The commit's address.

    Raises:
      InputError: a name or a licence that cannot be, or the hub cannot be reached or refuses.
    """
    _check_name(name)
    text = card(router, name=name, licence=licence)
    if hub.is_offline() or not hub.is_reachable():
        raise InputError("the Hugging Face hub cannot be reached", source=name)
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=token, library_name="routerjax")
    with tempfile.TemporaryDirectory() as scratch, _told(name, "published"):
        folder = Path(scratch) / "router"
        _without_places(router).save(folder)
        (folder / CARD).write_text(text, encoding="utf-8")
        api.create_repo(name, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=name,
            folder_path=folder,
            delete_patterns=[VERSIONS],
            commit_message="Router written by routerjax",
        )
    return str(done.commit_url)


def local_folder(path: str | Path) -> Path:
    """The folder of a router on this disk; one named ``hub:owner/name`` is fetched first.

    Args:
      path: a folder, or ``hub:owner/name`` or ``hub:owner/name@revision``. What was fetched before
        is taken from the user's cache where the hub cannot be reached.

    Raises:
      InputError: a name that cannot be, or no such model on the hub or in the cache.
    """
    text = str(path)
    if not text.startswith(SCHEME):
        return Path(path)
    name, _, revision = text.removeprefix(SCHEME).partition("@")
    _check_name(name)
    from huggingface_hub import snapshot_download

    with _told(text, "fetched"):
        found = snapshot_download(
            name,
            revision=revision or None,
            allow_patterns=[MANIFEST, VERSIONS],
            endpoint=os.environ.get("HF_ENDPOINT"),
            local_files_only=hub.is_offline() or not hub.is_reachable(),
            library_name="routerjax",
        )
    return Path(found)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of the hub; it must be owner/name")


def _without_places(router: Any) -> Any:
    """The router with the name of the log's file in its report, and not where it lay."""
    found = router.report.get("evaluation")
    if not isinstance(found, dict) or not isinstance(found.get("source"), str):
        return router
    evaluation = {**found, "source": Path(found["source"]).name}
    return dataclasses.replace(router, report={**router.report, "evaluation": evaluation})


@contextlib.contextmanager
def _told(source: str, done: str) -> Iterator[None]:
    """A block whose errors, which share no base, are one sentence each; nothing else is told."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    were_shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # of the library, of HTTP, and of the system
        while error.__cause__ is not None and str(error.__cause__):
            error = error.__cause__  # type: ignore[assignment]
        reason = (str(error) or type(error).__name__).strip().splitlines()[0][:200].rstrip(".")
        raise InputError(f"cannot be {done} ({reason})", source=source) from None
    finally:
        if were_shown:
            enable_progress_bars()
