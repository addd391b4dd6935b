"""Which format a file is in, by its name."""

from __future__ import annotations

import os
from pathlib import Path

from routerjax.errors import InputError

KINDS = {
    ".parquet": "parquet",
    ".csv": "delimited",
    ".tsv": "delimited",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
}
UNTOLD = ("", ".txt", ".log")
"""Suffixes of files that are read if they hold JSON."""
PACKED = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
ACCEPTED = "use .parquet, .csv, .tsv, .jsonl or .json, each also with .gz or .zst"


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix that tells the format, in lower case and without that of a compression."""
    place = Path(path)
    packed = place.suffix.lower() in PACKED
    return Path(place.stem if packed else place.name).suffix.lower()


def may_be_json(path: str | os.PathLike[str]) -> bool:
    """Whether a name says nothing of the format, so that its content may: none, .txt, .log, .1."""
    suffix = suffix_of(path)
    return suffix in UNTOLD or suffix[1:].isdigit()


def kind_of(path: str | os.PathLike[str]) -> str:
    """ "parquet", "delimited" or "json", by the suffix of a path.

    Raises:
      InputError: an unknown suffix.
    """
    suffix = suffix_of(path)
    if suffix not in KINDS:
        raise InputError(f"unknown suffix '{suffix}'; {ACCEPTED}", source=str(path))
    return KINDS[suffix]
