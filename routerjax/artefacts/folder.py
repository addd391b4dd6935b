"""A router's folder on disk: ``router.json``, its manifest, and the file of parameters it names.

The manifest is the folder's pointer: a save writes the parameters under a new name and then
replaces the manifest, in one step (`routerjax.support.atomic.new_version`). The manifest holds a
sum of the parameters and one of itself with that sum in it, so that nothing in the folder can
change unseen. The sums tell damage; they are no signature, and whoever can write the folder can
write them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from jaxtyping import PyTree

from routerjax.artefacts import tensors
from routerjax.errors import InputError
from routerjax.support import atomic
from routerjax.support.provenance import dumps

MANIFEST = "router.json"
PARAMETERS = "parameters.safetensors"
FORMER_PARAMETERS = "parameters"
"""A folder that orbax wrote, in formats before 5."""
FORMAT = 5
READS = (1, 2, 3, 4, 5)
"""Formats of the manifest that this version reads; 1 is that of version 0.1.0."""
LARGEST = 1 << 26
"""Bytes of a manifest at most."""
TRIES = 100
"""How often a folder is read that is replaced each time."""

Read = TypeVar("Read")


def check_free(path: str | Path, *, overwrite: bool) -> None:
    """Raise InputError where a router folder cannot be written at `path`, or may not be."""
    atomic.check_free(Path(path), marker=MANIFEST, overwrite=overwrite, name=PARAMETERS)


def claimed(path: str | Path, *, overwrite: bool) -> contextlib.AbstractContextManager[None]:
    """A block that alone writes the router folder `path`; to be opened before a fit, around it.

    Raises:
      InputError: another process writes it, it cannot be written, or it is taken.
    """
    return atomic.claimed(Path(path), marker=MANIFEST, overwrite=overwrite, name=PARAMETERS)


def write(path: Path, fields: dict[str, Any], arrays: PyTree, *, overwrite: bool) -> None:
    """Write a router's folder; an older one is there, whole, until the new one is.

    Args:
      path: the folder.
      fields: of the manifest, beside its format and sums.
      arrays: the parameters.
      overwrite: whether an older router may be replaced.

    Raises:
      InputError: the folder is taken or is being written, or it cannot be written.
    """
    from routerjax.training.checkpoint import digest

    with (
        claimed(path, overwrite=overwrite),
        atomic.new_version(path, marker=MANIFEST, name=PARAMETERS) as place,
    ):
        tensors.save(place, arrays)
        sums = {"arrays": digest(arrays)}
        manifest = {"format": FORMAT, "sha256": sums, "parameters": place.name, **fields}
        sums["manifest"] = _sum(json.loads(dumps(manifest)))
        atomic.write_text(path / MANIFEST, dumps(manifest, indent=2) + "\n")


def read(path: Path, made: Callable[[dict[str, Any]], Read]) -> Read:
    """What is made of a router's folder, of one state of it even where it is replaced meanwhile.

    Args:
      path: the folder.
      made: of the manifest; it may read the parameters, which are gone if the folder is replaced.

    Raises:
      InputError: as `made` raises it, or there is no manifest that this version reads.
    """
    manifest = read_manifest(path)
    for _ in range(TRIES):
        try:
            return made(manifest)
        except InputError:
            now = read_manifest(path)
            if now == manifest:
                raise
            manifest = now
    raise InputError("is replaced faster than it can be read", source=str(path))


def read_arrays(path: Path, manifest: dict[str, Any], template: PyTree) -> PyTree:
    """The parameters that a manifest names, shaped as `template`.

    Raises:
      InputError: they are missing or damaged, are others, or have other shapes.
    """
    from routerjax.training.checkpoint import digest, load_arrays

    sums = manifest["sha256"]
    if manifest["format"] < 5:
        place = path / FORMER_PARAMETERS
        if atomic.folder_digest(place) != sums.get("files"):  # orbax is loud about damage
            raise InputError("the saved arrays are missing or damaged", source=str(path))
        arrays = load_arrays(place, template)
    else:
        name = manifest.get("parameters")
        if not isinstance(name, str) or not atomic.is_version(name, name=PARAMETERS):
            raise InputError(f"{MANIFEST} names no file of parameters", source=str(path))
        arrays = tensors.load(path / name, template)
    if digest(arrays) != sums.get("arrays"):
        raise InputError(f"the saved arrays do not match {MANIFEST}", source=str(path))
    return arrays


def kind_of(path: str | Path) -> str:
    """Kind of the router in a folder: "gains" by `fit --gains`, else "router".

    A folder that cannot be read counts as "router"; loading it says what is wrong.
    """
    try:
        return str(read_manifest(Path(path)).get("kind", "router"))
    except InputError:
        return "router"


def stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a folder is written: its manifest is replaced as a whole; None without."""
    try:
        found = os.stat(path / MANIFEST)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a router's folder, of a format that is read and as it was written.

    Raises:
      InputError: there is none, or it is damaged.
    """
    if not path.is_dir():
        raise InputError("no such folder, where a fitted router was expected", source=str(path))
    try:
        with open(path / MANIFEST, encoding="utf-8") as file:
            manifest = _parsed(file.read(LARGEST))
    except OSError as error:
        problem = f"not a router that `routerjax fit` finished ({MANIFEST} is missing)"
        raise InputError(problem, source=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{MANIFEST} is damaged", source=str(path)) from error
    if not isinstance(manifest, dict) or manifest.get("format") not in READS:
        known = " or ".join(map(str, READS))
        problem = f"{MANIFEST} is not of format {known}, which this version reads"
        raise InputError(problem, source=str(path))
    sums = manifest.get("sha256")
    if not isinstance(sums, dict):
        raise InputError(f"{MANIFEST} is damaged", source=str(path))
    if manifest["format"] >= 5 and sums.get("manifest") != _sum(manifest):
        problem = f"{MANIFEST} is not as it was written; fit again, or fetch the folder again"
        raise InputError(problem, source=str(path))
    return manifest


def _parsed(text: str) -> Any:
    return json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _sum(manifest: dict[str, Any]) -> str:
    """Sixteen hex digits of the SHA-256 of a manifest without this sum, however it is laid out."""
    sums = {name: value for name, value in manifest["sha256"].items() if name != "manifest"}
    text = json.dumps({**manifest, "sha256": sums}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
