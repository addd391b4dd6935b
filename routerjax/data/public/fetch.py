"""The files of a public table: on this disk, or fetched from where they are published."""

from __future__ import annotations

import hashlib
import http.client
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from routerjax.data.formats import hub
from routerjax.data.formats.arrow import first_line
from routerjax.data.public.catalogue import Entry
from routerjax.errors import InputError
from routerjax.support import atomic
from routerjax.support.cache import cache_folder

PATIENCE = 1.2  # seconds for a server to answer: offline, all is said within two
TIMEOUT = 60.0  # seconds without a byte
BLOCK = 1 << 20
SUMS = "downloaded.json"


def own_folder(name: str) -> Path:
    """The folder in which the files of a public table may be put by hand."""
    return cache_folder() / "datasets" / name


def files_of(entry: Entry) -> Path:
    """The file of a table, or the folder of its files, fetched if they are not on this disk.

    Raises:
      InputError: they are nowhere, or not what was downloaded first.
    """
    place = located(entry, own_folder(entry.name))
    if place is None and entry.hub is not None:
        place = _in_hub(entry, local_only=True)
    if place is not None:
        return place
    place = _fetched(entry)
    if place is None:
        raise _nowhere(entry, f"{entry.published} does not have it")
    return place


def located(entry: Entry, folder: Path) -> Path | None:
    """What the reader of a table is given of a folder: its one file, or the folder of several.

    None where a file is missing. The files may lie as where they are published, or side by side.
    """
    found = [_matches(folder, pattern) for pattern in entry.files]
    if not all(found):
        return None
    one = len(entry.files) == 1 and not any(sign in entry.files[0] for sign in "*?[")
    return found[0][0] if one else folder


def _matches(folder: Path, pattern: str) -> list[Path]:
    beside = pattern.rsplit("/", maxsplit=1)[-1]
    for each in (pattern, beside):
        files = [file for file in sorted(folder.glob(each)) if file.is_file()]
        files = [file for file in files if file.name != SUMS]
        if files:
            return files
    return []


def _fetched(entry: Entry) -> Path | None:
    if entry.hub is not None:
        return _from_hub(entry)
    if entry.url is None:
        raise _nowhere(entry, "nobody is known to publish it")
    host = urllib.parse.urlsplit(entry.url).hostname
    if not hub.is_reachable(PATIENCE, entry.url):
        raise _nowhere(entry, f"{host} cannot be reached")
    folder = own_folder(entry.name)
    with _bar(len(entry.files), entry.title) as advance:
        for name in entry.files:
            file = folder / name.rsplit("/", maxsplit=1)[-1]
            if not file.exists():
                _download(entry, urllib.parse.urljoin(entry.url, name), file)
            advance()
    return located(entry, folder)


def _download(entry: Entry, url: str, file: Path) -> None:
    """One file, whole or not at all, with its sum."""
    digest, size, name = hashlib.sha256(), 0, url.rsplit("/", maxsplit=1)[-1]
    try:
        # An opener of its own: the process's keeps the proxies that it first met.
        asked = urllib.request.build_opener().open(url, timeout=TIMEOUT)
        with asked as answer, atomic.new_file(file) as part:
            promised = answer.headers.get("Content-Length")
            with open(part, "wb") as out:
                while block := answer.read(BLOCK):
                    digest.update(block)
                    size += len(block)
                    out.write(block)
            if promised is not None and promised.isdigit() and size != int(promised):
                raise InputError(f"{size} of {promised} bytes came", source=url)
            _compare(entry, file, digest.hexdigest(), size, url)
    except InputError:
        raise
    except urllib.error.HTTPError as error:
        error.close()
        raise _nowhere(entry, f"{name} cannot be had (status {error.code})") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _nowhere(entry, f"{name} cannot be had ({first_line(error)})") from None


def _from_hub(entry: Entry) -> Path | None:
    if hub.is_offline():
        raise _nowhere(entry, "HF_HUB_OFFLINE is set")
    if not hub.is_reachable(PATIENCE):
        raise _nowhere(entry, "the Hugging Face hub cannot be reached")
    try:
        place = _in_hub(entry, local_only=False)
    except Exception as error:  # the hub's own errors share no narrower base
        reason = first_line(error)
        raise _nowhere(entry, f"the Hugging Face hub refuses it: {reason}") from None
    if place is None:
        raise _nowhere(entry, "the Hugging Face hub does not have it")
    if entry.revision is None:
        for file in _files(entry, place):
            digest, size = _sum(file)
            _compare(entry, file, digest, size, f"{entry.hub}")
    return place


def _in_hub(entry: Entry, *, local_only: bool) -> Path | None:
    """The same in the hub's cache, fetched into it unless `local_only`."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    assert entry.hub is not None
    try:
        folder = huggingface_hub.snapshot_download(
            entry.hub,
            repo_type="dataset",
            revision=entry.revision,
            allow_patterns=list(entry.files),
            local_files_only=local_only,
        )
    except LocalEntryNotFoundError:
        if not local_only:
            raise
        return None
    return located(entry, Path(folder))


def _files(entry: Entry, place: Path) -> Sequence[Path]:
    if place.is_file():
        return [place]
    return [file for pattern in entry.files for file in _matches(place, pattern)]


def _compare(entry: Entry, file: Path, digest: str, size: int, source: str) -> None:
    """Note the sum of a file that was downloaded first; later ones must have the same.

    Raises:
      InputError: another sum than the first.
    """
    place = own_folder(entry.name) / SUMS
    try:
        sums: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        sums = {}
    first = sums.get(file.name)
    if isinstance(first, dict) and first.get("sha256") not in (None, digest):
        raise InputError(
            f"{file.name} of {source} is not the file that was downloaded first (SHA-256 "
            f"{digest[:16]}…, then {first['sha256'][:16]}…, {first.get('on')}); delete {place} to "
            "take it all the same",
            source=entry.name,
        )
    if first is None:
        on = datetime.now(UTC).date().isoformat()
        sums[file.name] = {"sha256": digest, "bytes": size, "from": source, "on": on}
        atomic.write_text(place, json.dumps(sums, indent=2) + "\n")


def _sum(file: Path) -> tuple[str, int]:
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        while block := content.read(BLOCK):
            digest.update(block)
    return digest.hexdigest(), file.stat().st_size


@contextmanager
def _bar(total: int, title: str) -> Iterator[Any]:
    """A progress bar over files on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(escape(title), total=total)
        yield lambda: bar.advance(task)


def _nowhere(entry: Entry, reason: str) -> InputError:
    return InputError(
        f"{entry.wanted} ({entry.place}) not found on this disk, and {reason}; put it into "
        f"{own_folder(entry.name)}, or give its path",
        source=entry.name,
    )
