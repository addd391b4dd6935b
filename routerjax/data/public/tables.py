"""Public tables by name: as records, and as wide files that every command reads by their name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from routerjax.data.public.catalogue import LABELS, TABLE, Entry, catalogue
from routerjax.data.public.fetch import files_of, own_folder
from routerjax.data.public.prices import Price, read_prices
from routerjax.data.public.readers import PRICED, READERS
from routerjax.errors import InputError
from routerjax.records.tables import Table
from routerjax.support import atomic
from routerjax.support.cache import cache_folder

PUBLIC_TABLES: Mapping[str, Entry] = catalogue()
"""Every public table by name, and the files of labels."""


def load_public_table(
    name: str,
    *,
    path: str | os.PathLike[str] | None = None,
    prices: str | os.PathLike[str] | Mapping[str, Price] | None = None,
) -> Table:
    """Load a public table of models by its name, as `routerjax data list` prints them.

    The files are looked for at `path`, if one is given; else in ``datasets/<name>`` of the cache
    folder (``$ROUTERJAX_CACHE``), in the hub's own cache, and where they are published. Missing
    cells stay missing; `Table.complete` leaves their rows out.

    Args:
      name: one of `PUBLIC_TABLES`.
      path: a file of its layout, or the folder of several.
      prices: file or mapping of model to dollars per million tokens, for SPROUT, whose own
        prices are those of its authors.

    Raises:
      InputError: an unknown name, labels in place of a table, files that are nowhere or cannot be
        read, prices for a table that does not count tokens, or a model without a price.
    """
    entry = entry_of(name)
    if entry.kind != TABLE:
        problem = "holds labels of gains, not a table; read it with read_labels, or fit --gains"
        raise InputError(problem, source=name)
    priced = entry.layout in PRICED
    if prices is not None and not priced:
        problem = f"{name} does not count tokens; leave out the prices"
        raise InputError(problem, source="prices")
    place = files_of(entry) if path is None else Path(path).expanduser()
    if not priced:
        return READERS[entry.layout](place)
    own = prices if prices is None or isinstance(prices, Mapping) else read_prices(prices)
    return READERS[entry.layout](place, prices=own)


def get_public_table(
    name: str,
    *,
    path: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Path:
    """Write a public table as a wide file (or a file of labels), which every command reads.

    Args:
      name: one of `PUBLIC_TABLES`.
      path: as in `load_public_table`.
      out: the file to write, by its suffix; by default that which stands for the name.

    Returns:
      The file.

    Raises:
      InputError: as `load_public_table`, or a place that cannot be written.
    """
    from routerjax.data.formats import kinds
    from routerjax.data.formats.writing import save
    from routerjax.data.io.writing import write_table

    entry = entry_of(name)
    place = own_wide_file(name) if out is None else Path(out).expanduser()
    kinds.kind_of(place)
    atomic.check_place(place)
    if entry.kind == LABELS:
        from routerjax.data.public.components import read_components

        save(read_components(files_of(entry) if path is None else path), place)
    else:
        write_table(load_public_table(name, path=path), place)
    return place


def wide_file(name: str) -> Path:
    """The file of `get_public_table` that stands for a name, made if there is none yet.

    Raises:
      InputError: as `get_public_table`.
    """
    place = own_wide_file(name)
    return place if place.is_file() else get_public_table(name)


def own_wide_file(name: str) -> Path:
    """Where the wide file of a name lies, whether or not it has been made."""
    return cache_folder() / "tables" / f"{name}.parquet"


def entry_of(name: str) -> Entry:
    """What the catalogue says of a name.

    Raises:
      InputError: it has none of this name.
    """
    if name not in PUBLIC_TABLES:
        raise InputError(f"no data set '{name}'; known are {', '.join(PUBLIC_TABLES)}")
    return PUBLIC_TABLES[name]


__all__ = [
    "PUBLIC_TABLES",
    "entry_of",
    "get_public_table",
    "load_public_table",
    "own_folder",
    "own_wide_file",
    "wide_file",
]
