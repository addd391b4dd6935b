"""Data sets of the Hugging Face hub, and whether the hub can be reached at all."""

from __future__ import annotations

import os
import re
import socket
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from routerjax.data.formats.arrow import first_line, gather, quiet
from routerjax.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

PATIENCE = 1.5  # seconds for the hub to answer
NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(:\w[\w.-]*)?")
SUFFIX = re.compile(r"\.[A-Za-z]\w{0,7}$")  # "x/log.parquet" is a file, "x/gpt-4.1" may be a name
LOCAL = "a local .parquet, .csv or .jsonl path works without the hub"


def is_name(path: str) -> bool:
    """Whether `path` reads as ``owner/name`` or ``owner/name:split``."""
    return NAME.fullmatch(path) is not None and SUFFIX.search(path) is None


def load(name: str) -> pa.Table:
    """The rows of the data set ``owner/name`` or of its split ``owner/name:split``.

    Rows are streamed and nothing of them is kept on disk. Where ``HF_HUB_OFFLINE`` is set they
    are read from the copy in the user's cache, which ``datasets.load_dataset`` leaves there.

    Raises:
      InputError: the hub cannot be reached or does not have the data set, or the data set has
        several splits and none is named.
    """
    repository, _, split = name.partition(":")
    if not is_offline() and not is_reachable():
        raise InputError(
            f"no such file, and the Hugging Face hub, where it might be a data set, cannot be "
            f"reached; {LOCAL}",
            source=name,
        )
    with quiet(), tempfile.TemporaryDirectory() as scratch:
        try:
            parts = _cached(repository) if is_offline() else _streamed(repository, scratch)
            return gather(parts[_chosen(list(parts), split, repository)])
        except InputError:
            raise
        except Exception as error:  # the library's own errors share no narrower base
            reason = first_line(error).split(". ")[0]
            where = "in the cache (HF_HUB_OFFLINE is set)" if is_offline() else "on the hub"
            raise InputError(
                f"no such file, and no data set {where} that can be read ({reason}); {LOCAL}",
                source=name,
            ) from None


def is_offline() -> bool:
    """Whether the user asked Hugging Face libraries to stay off the network."""
    switches = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in switches)


def is_reachable(patience: float = PATIENCE, address: str | None = None) -> bool:
    """Whether the hub, or the server of an address, answers within `patience` seconds.

    The library itself retries for half a minute before it gives up, so this is asked first.
    """
    endpoint = address or os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    answers: list[bool] = []
    # Resolving a name has no timeout of its own; a thread can be left behind.
    probe = threading.Thread(target=lambda: answers.append(_answers(endpoint)), daemon=True)
    probe.start()
    probe.join(patience + 0.2)
    return any(answers)


def _answers(endpoint: str) -> bool:
    url = urllib.parse.urlsplit(endpoint)
    host = url.hostname or ""
    try:
        if url.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
            request = urllib.request.Request(endpoint, method="HEAD")
            urllib.request.build_opener().open(request, timeout=PATIENCE).close()
        else:
            port = url.port or (443 if url.scheme == "https" else 80)
            socket.create_connection((host, port), timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return True  # an answer, if not a friendly one
    except (OSError, ValueError):
        return False
    return True


def _streamed(repository: str, scratch: str) -> Mapping[str, Any]:
    import datasets

    return datasets.load_dataset(repository, cache_dir=scratch, streaming=True)


def _cached(repository: str) -> Mapping[str, Any]:
    import datasets
    from datasets.packaged_modules.cache.cache import Cache

    # Not by `load_dataset`, which heeds HF_HUB_OFFLINE only where it was set before the import.
    builder = Cache(
        cache_dir=str(datasets.config.HF_DATASETS_CACHE),
        dataset_name=repository.split("/")[-1],
        repo_id=repository,
        version="auto",
        hash="auto",
    )
    return builder.as_dataset(in_memory=True)


def _chosen(splits: list[Any], split: str, repository: str) -> str:
    if split in splits or (not split and len(splits) == 1):
        return split or splits[0]
    names = ", ".join(map(str, splits))
    wrong = f"has no split '{split}'" if split else "has several splits"
    raise InputError(
        f"the data set {wrong}; name one of {names} as {repository}:{splits[0]}",
        source=repository,
    )
