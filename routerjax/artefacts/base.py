"""Folders of fitted routers: a manifest in JSON and arrays, told apart by their kind."""

from __future__ import annotations

import abc
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Float, PyTree, Shaped

from routerjax.errors import InputError
from routerjax.support.atomic import folder_digest, new_folder
from routerjax.support.provenance import dumps

MANIFEST = "router.json"
ARRAYS = "parameters"
FORMAT = 4
READS = (1, 2, 3, 4)
"""Formats of the manifest that this version reads; 1 is that of version 0.1.0."""


Own = TypeVar("Own", bound="Saved")  # not Self, which beartype takes in decorated classes alone


class Saved(abc.ABC):
    """What the routers share, frozen dataclasses all: their folder and what they are asked.

    Attributes:
      kind: told in the manifest; "router" where it is silent.
      encoder: name of the text encoder, None for ready-made embeddings.
      dimensions: d of the embeddings.
      arrays: pytree of parameters, shaped as `template()`.
    """

    kind: ClassVar[str]
    encoder: str | None
    dimensions: int
    arrays: PyTree
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    @abc.abstractmethod
    def template(self) -> PyTree:
        """The shapes of `arrays`, from the other fields."""

    def stored(self) -> PyTree:
        """`arrays` as they are written, in the structure of `template()`."""
        return self.arrays

    def restored(self, arrays: PyTree) -> PyTree:
        """What was read in the structure of `template()` as `arrays`."""
        return arrays

    @classmethod
    def unread(cls) -> PyTree:
        """What stands in the place of `arrays` until they are read."""
        return None

    @classmethod
    def from_manifest(cls, fields: dict[str, Any], *, version: int) -> dict[str, Any]:
        """Fields of a manifest of any format that is read, as this version's."""
        del version
        return fields

    def embed(self, queries: Sequence[str] | Shaped[np.ndarray, "*_"]) -> Float[np.ndarray, "n d"]:
        """Embeddings [n, d] of n prompts, by the router's own encoder; embeddings stay.

        Raises:
          InputError: embeddings of another width or not finite, or prompts for a router that
            was fitted on ready-made embeddings.
        """
        if not isinstance(queries, np.ndarray):
            if self.encoder is None:
                raise InputError(
                    "this router was fitted on ready-made embeddings and cannot encode prompts; "
                    f"give it embeddings of {self.dimensions} numbers"
                )
            from routerjax.data.encoders.encoding import encode

            queries = encode(queries, encoder=self.encoder)
        return self.checked(queries)

    def checked(
        self, embeddings: Shaped[np.ndarray, "*_"], *, first: int = 0
    ) -> Float[np.ndarray, "n {self.dimensions}"]:
        """Embeddings in single precision; errors as in `embed`, rows counted from `first`."""
        embeddings = np.asarray(embeddings, np.float32)
        if embeddings.ndim != 2 or embeddings.shape[1] != self.dimensions:
            made_by = f"made by {self.encoder!r}" if self.encoder else "of the log's own kind"
            raise InputError(
                f"embeddings have shape {embeddings.shape}; this router takes rows of "
                f"{self.dimensions} numbers {made_by}"
            )
        bad = ~np.isfinite(embeddings).all(axis=1)
        if bad.any():
            raise InputError("an embedding is not finite", row=first + int(bad.argmax()))
        return embeddings

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the router as a folder: router.json and the parameters.

        Raises:
          InputError: the folder exists and is not a router, or `overwrite` is not set.
        """
        from routerjax.training.checkpoint import digest, save_arrays

        with new_folder(Path(path), marker=MANIFEST, overwrite=overwrite) as folder:
            stored = self.stored()
            save_arrays(folder / ARRAYS, stored)
            fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
            del fields["arrays"]
            sums = {"arrays": digest(stored), "files": folder_digest(folder / ARRAYS)}
            manifest = {"format": FORMAT, "kind": self.kind, "sha256": sums, **fields}
            (folder / MANIFEST).write_text(dumps(manifest, indent=2) + "\n")

    @classmethod
    def load(cls: type[Own], path: str | Path) -> Own:
        """Read a router from its folder.

        Raises:
          InputError: no such folder, or it is damaged, incomplete, of another version or of
            another kind of router.
        """
        from routerjax.training.checkpoint import digest, load_arrays

        folder = Path(path)
        manifest = _read_manifest(folder)
        sums, kind = manifest.pop("sha256", None), manifest.pop("kind", "router")
        if kind != cls.kind:
            problem = f"{MANIFEST} is of kind {kind!r}, where {cls.kind!r} is needed"
            raise InputError(problem, source=str(folder))
        if not isinstance(sums, dict):
            raise InputError(f"{MANIFEST} is damaged", source=str(folder))
        try:
            version = manifest.pop("format")
            fields = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in manifest.items()
            }
            fields = cls.from_manifest(fields, version=version)
            blank = cls(**{**fields, "arrays": cls.unread()})
            template = blank.template()
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            problem = f"{MANIFEST} is damaged or was written by another version"
            raise InputError(problem, source=str(folder)) from error
        if folder_digest(folder / ARRAYS) != sums.get("files"):  # orbax is loud about damage
            raise InputError("the saved arrays are missing or damaged", source=str(folder))
        arrays = load_arrays(folder / ARRAYS, template)
        if digest(arrays) != sums.get("arrays"):
            raise InputError(f"the saved arrays do not match {MANIFEST}", source=str(folder))
        return dataclasses.replace(blank, arrays=blank.restored(arrays))


def listed(names: Sequence[str], *, most: int = 12) -> str:
    """Names for one line, no more than `most` of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def kind_of(path: str | Path) -> str:
    """Kind of the router in a folder: "gains" by `fit --gains`, else "router".

    A folder that cannot be read counts as "router"; loading it says what is wrong.
    """
    try:
        return str(_read_manifest(Path(path)).get("kind", "router"))
    except InputError:
        return "router"


def _read_manifest(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise InputError("no such folder, where a fitted router was expected", source=str(folder))
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except OSError as error:
        problem = f"not a router that `routerjax fit` finished ({MANIFEST} is missing)"
        raise InputError(problem, source=str(folder)) from error
    except ValueError as error:
        raise InputError(f"{MANIFEST} is damaged", source=str(folder)) from error
    if not isinstance(manifest, dict) or manifest.get("format") not in READS:
        known = " or ".join(map(str, READS))
        problem = f"{MANIFEST} is not of format {known}, which this version reads"
        raise InputError(problem, source=str(folder))
    return manifest
