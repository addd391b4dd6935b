"""Public tables of models by name: RouterBench and SPROUT, from the disk or the hub."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Mapping
from pathlib import Path

from routerjax.data.io import hub
from routerjax.data.io.arrow import first_line
from routerjax.data.public.prices import Price, read_prices
from routerjax.data.public.source import Source
from routerjax.errors import InputError
from routerjax.records.tables import Table
from routerjax.support.cache import cache_folder

PATIENCE = 1.2  # seconds for the hub to answer: offline, all is said within two


def _registered() -> dict[str, Source]:
    """The tables of every file of this folder."""
    modules = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    found: dict[str, Source] = {}
    for name in modules:
        if name != "tables":
            found |= getattr(importlib.import_module(f"routerjax.data.public.{name}"), "TABLES", {})
    return found


PUBLIC_TABLES: Mapping[str, Source] = _registered()
"""Every public table by name."""


def load_public_table(
    name: str,
    *,
    path: str | os.PathLike[str] | None = None,
    prices: str | os.PathLike[str] | Mapping[str, Price] | None = None,
) -> Table:
    """Load a public table of models: ``routerbench``, ``routerbench-5shot`` or ``sprout``.

    The files are looked for at `path`, if one is given; else in ``datasets/<name>`` of the cache
    folder (``$ROUTERJAX_CACHE``), in the hub's own cache, and on the hub, whose files stay in
    its cache. Missing cells stay missing; `Table.complete` leaves their rows out.

    Args:
      name: one of `PUBLIC_TABLES`.
      path: the pickle of RouterBench; a parquet file of SPROUT or the folder of its three.
      prices: file or mapping of model to dollars per million tokens, for SPROUT, whose own
        prices are those of its authors.

    Raises:
      InputError: an unknown name, files that are nowhere or cannot be read, prices for a table
        that records its costs, or a model without a price.
    """
    source = _source(name)
    if prices is not None and not source.priced:
        raise InputError(f"{name} records its costs; leave out the prices", source="prices")
    place = _found(name, source) if path is None else Path(path).expanduser()
    if not source.priced:
        return source.read(place)
    own = prices if prices is None or isinstance(prices, Mapping) else read_prices(prices)
    return source.read(place, prices=own)


def own_folder(name: str) -> Path:
    """The folder in which the files of a public table may be put by hand."""
    return cache_folder() / "datasets" / name


def _source(name: str) -> Source:
    if name not in PUBLIC_TABLES:
        raise InputError(f"no data set '{name}'; known are {', '.join(PUBLIC_TABLES)}")
    return PUBLIC_TABLES[name]


def _found(name: str, source: Source) -> Path:
    """The pickle or the folder of parquet files of a table."""
    place = source.found(own_folder(name)) or _in_hub(source, local_only=True)
    if place is not None:
        return place
    if hub.is_offline():
        raise _nowhere(name, source, "HF_HUB_OFFLINE is set")
    if not hub.is_reachable(PATIENCE):
        raise _nowhere(name, source, "the Hugging Face hub cannot be reached")
    try:
        place = _in_hub(source, local_only=False)
    except Exception as error:  # the hub's own errors share no narrower base
        reason = first_line(error)
        raise _nowhere(name, source, f"the Hugging Face hub refuses it: {reason}") from None
    if place is None:
        raise _nowhere(name, source, "the Hugging Face hub does not have it")
    return place


def _in_hub(source: Source, *, local_only: bool) -> Path | None:
    """The same in the hub's cache, fetched into it unless `local_only`."""
    import huggingface_hub

    try:
        folder = huggingface_hub.snapshot_download(
            source.repository,
            repo_type="dataset",
            revision=source.revision,
            allow_patterns=list(source.files),
            local_files_only=local_only,
        )
    except huggingface_hub.errors.LocalEntryNotFoundError:
        if not local_only:
            raise
        return None
    return source.found(Path(folder))


def _nowhere(name: str, source: Source, reason: str) -> InputError:
    return InputError(
        f"{source.wanted} (data set {source.repository}) not found on this disk, and "
        f"{reason}; put it into {own_folder(name)}, or give its path",
        source=name,
    )
