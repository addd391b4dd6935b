"""What a public table is: where its files are, and what reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from routerjax.records.tables import Table


class Source(NamedTuple):
    """A public table. A file of this folder that has `TABLES`, name → `Source`, adds its own.

    Attributes:
      repository: data set on the Hugging Face hub.
      revision: commit to take; None takes the newest.
      files: names or patterns of its files on the hub.
      found: what is to be read in a folder that may hold the files; None if it does not.
      read: makes the table of what `found` gives, or of a path that the user gives. Where
        `priced`, it takes ``prices``: a mapping of model to `Price`, or None for its own.
      wanted: the files in words, for messages.
      priced: whether costs come from a price list.
    """

    repository: str
    revision: str | None
    files: tuple[str, ...]
    found: Callable[[Path], Path | None]
    read: Callable[..., Table]
    wanted: str
    priced: bool = False
