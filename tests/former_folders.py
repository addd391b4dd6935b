"""Router folders as formats before 5 were: arrays by orbax, no sum of the manifest."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import orbax.checkpoint

from routerjax.artefacts.base import Saved
from routerjax.support.atomic import folder_digest
from routerjax.support.provenance import dumps
from routerjax.training.checkpoint import digest


def write_format_4(router: Saved, folder: Path) -> dict[str, Any]:
    """Write a router's folder of format 4; its manifest, for older ones to be made of it."""
    folder.mkdir()
    with orbax.checkpoint.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(folder / "parameters", router.stored())
    fields = {f.name: getattr(router, f.name) for f in dataclasses.fields(router)}
    del fields["arrays"]
    sums = {"arrays": digest(router.stored()), "files": folder_digest(folder / "parameters")}
    manifest = {"format": 4, "kind": router.kind, "sha256": sums, **fields}
    (folder / "router.json").write_text(dumps(manifest))
    return json.loads(dumps(manifest))
