"""What the fitted routers share: how they are saved and loaded, and the queries they take."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Float, PyTree, Shaped

from routerjax.artefacts import folder
from routerjax.errors import InputError

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
        try:
            with np.errstate(over="ignore"):  # what single precision cannot hold is not finite
                embeddings = np.asarray(embeddings, np.float32)
        except (TypeError, ValueError):
            raise InputError("embeddings must be numbers") from None
        if embeddings.ndim != 2 or embeddings.shape[1] != self.dimensions:
            made_by = f"made by {self.encoder!r}" if self.encoder else "of the log's own kind"
            raise InputError(
                f"embeddings have shape {embeddings.shape}; this router takes rows of "
                f"{self.dimensions} numbers {made_by}"
            )
        finite = np.isfinite(embeddings)
        if not finite.all():
            row = first + int(finite.all(axis=1).argmin())
            raise InputError("an embedding is not finite", row=row)
        return embeddings

    @abc.abstractmethod
    def check(self) -> None:
        """Raise InputError where a field, of a manifest, is what it cannot be."""

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the router as a folder: router.json and the parameters.

        An older router is there, whole, until the new one is; files in the folder that are not
        a router's are left alone.

        Raises:
          InputError: the folder exists and is not a router, or `overwrite` is not set; another
            process is writing it; or it cannot be written.
        """
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del fields["arrays"]
        folder.write(Path(path), {"kind": self.kind, **fields}, self.stored(), overwrite=overwrite)

    @classmethod
    def load(cls: type[Own], path: str | Path, *, trust_encoder: bool = False) -> Own:
        """Read a router from its folder.

        Args:
          path: the folder, which may be replaced meanwhile: the router is the old one or the new.
          trust_encoder: Take a text encoder that is none of routerjax's own: a folder or a name
            of the hub, from which a model is loaded that may bring code along.

        Raises:
          InputError: no such folder, or it is damaged, incomplete, of another version or of
            another kind of router; or its encoder is not trusted.
        """
        own = Path(path)
        return folder.read(own, lambda found: cls._made(own, found, trust_encoder=trust_encoder))

    @classmethod
    def _made(cls: type[Own], own: Path, manifest: dict[str, Any], *, trust_encoder: bool) -> Own:
        """The router of a manifest and of the parameters in its folder."""
        kind = manifest.get("kind", "router")
        if kind != cls.kind:
            problem = f"{folder.MANIFEST} is of kind {kind!r}, where {cls.kind!r} is needed"
            raise InputError(problem, source=str(own))
        fields = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in manifest.items()
            if name not in ("format", "kind", "sha256", "parameters")
        }
        try:
            fields = cls.from_manifest(fields, version=manifest["format"])
            blank = cls(**{**fields, "arrays": cls.unread()})
            blank.check()
            template = blank.template()
        except InputError as error:
            problem = f"{folder.MANIFEST} cannot be used ({error})"
            raise InputError(problem, source=str(own)) from error
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            problem = f"{folder.MANIFEST} is damaged or was written by another version"
            raise InputError(problem, source=str(own)) from error
        if not trust_encoder:
            _check_encoder(blank.encoder, own)
        arrays = folder.read_arrays(own, manifest, template)
        return dataclasses.replace(blank, arrays=blank.restored(arrays))


def _check_encoder(encoder: str | None, own: Path) -> None:
    """Raise InputError unless a text encoder is routerjax's own."""
    from routerjax.data.encoders.known import is_known

    if encoder is not None and not is_known(encoder):
        problem = (
            f"names the encoder {encoder!r}, which is none of routerjax's own: what it loads may "
            "bring code along; if you trust it, add --trust-encoder (trust_encoder=True)"
        )
        raise InputError(problem, source=str(own))


def listed(names: Sequence[str], *, most: int = 12) -> str:
    """Names for one line, no more than `most` of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
