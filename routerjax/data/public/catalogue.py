"""What is known of every public table, as the file catalogue.toml beside this one says it."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Mapping
from importlib import resources

TABLE, LABELS = "table", "labels"
FILE = "catalogue.toml"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A public table, or file of labels.

    Attributes:
      name: by which it is asked for.
      title: for people.
      kind: "table", or "labels" of the gain of one model over another.
      layout: name of its reader.
      files: names or patterns of its files where they are published.
      licence: as a source states it, or "not stated".
      citation: whom to cite.
      schema: columns of its files.
      hub: data set on the Hugging Face hub, or None.
      url: address behind which the names of the files are put, or None.
      revision: commit to take; None takes the newest.
      wanted: the files in words, for messages.
      rows, models: as a source counts them; None where none does.
      note: what a user should know.
    """

    name: str
    title: str
    kind: str
    layout: str
    files: tuple[str, ...]
    licence: str
    citation: str
    schema: str
    hub: str | None = None
    url: str | None = None
    revision: str | None = None
    wanted: str = ""
    rows: int | None = None
    models: int | None = None
    note: str = ""

    @property
    def published(self) -> str:
        """Where the files are published, in words."""
        if self.hub is not None:
            return f"data set {self.hub}"
        return self.url or "no known address"

    @property
    def place(self) -> str:
        """The same, short enough for a sentence."""
        return self.published if self.url is None else "/".join(self.url.split("/")[2:5])


@functools.cache
def catalogue() -> Mapping[str, Entry]:
    """Every entry by name, in the order of the file."""
    import tomllib

    text = resources.files("routerjax.data.public").joinpath(FILE).read_text(encoding="utf-8")
    return types.MappingProxyType(
        {name: _entry(name, fields) for name, fields in tomllib.loads(text).items()}
    )


def _entry(name: str, fields: dict) -> Entry:
    files = tuple(fields.pop("files"))
    names = [file.rsplit("/", maxsplit=1)[-1] for file in files]
    many = f"{names[0]} and {len(names) - 1} more"
    wanted = fields.pop("wanted", ", ".join(names) if len(names) < 4 else many)
    return Entry(name, files=files, wanted=wanted, **fields)
