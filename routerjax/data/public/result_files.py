"""LLMRouterBench: one JSON file per data set and model, in a .tar.gz or a folder.

A file lies at `bench/<dataset>/<split>/<model>/<time>.json` and holds `records`, each with
`index`, `origin_query`, `prompt`, `score` and `cost` in US dollars.

Reference: Li et al. (2026), LLMRouterBench (arXiv 2601.07206).
"""

from __future__ import annotations

import json
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from routerjax.data.public.cells import Cells, Query
from routerjax.errors import InputError
from routerjax.records.tables import Table

TIME = re.compile(r"\d{8}_\d{6}")
DEPTH = 4  # dataset, split, model, file

File = tuple[PurePosixPath, Callable[[], bytes]]


def read_result_files(path: str | os.PathLike[str]) -> Table:
    """Read LLMRouterBench as a table; a model that did not answer a data set has missing cells.

    `task` is the data set. Of several files of one model, data set and split the latest by its
    name is taken. Nothing is unpacked to the disk.

    Args:
      path: ``bench-release.tar.gz``, or a folder of what is in it.

    Raises:
      InputError: nothing there of this form, or a file that cannot be read.
    """
    source = str(path)
    place = Path(path).expanduser()
    cells = Cells(source)
    try:
        if place.is_dir():
            _gather(cells, _of_folder(place), source)
        else:
            with tarfile.open(place, "r:*") as archive:
                _gather(cells, _of_archive(archive), source)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"cannot be read ({reason})", source=source) from None
    return cells.table()


def _of_folder(place: Path) -> Iterator[File]:
    for file in sorted(place.rglob("*.json")):
        yield PurePosixPath(file.relative_to(place.parent).as_posix()), file.read_bytes


def _of_archive(archive: tarfile.TarFile) -> Iterator[File]:
    for member in archive.getmembers():
        if member.isfile() and member.name.endswith(".json"):
            yield PurePosixPath(member.name), _reader(archive, member)


def _reader(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        content = archive.extractfile(member)
        return b"" if content is None else content.read()

    return read


def _gather(cells: Cells, files: Iterator[File], source: str) -> None:
    latest: dict[tuple[str, ...], File] = {}
    for name, read in files:
        if len(name.parts) < DEPTH:
            continue
        key = name.parts[-DEPTH:-1]
        if key not in latest or _time(latest[key][0]) <= _time(name):
            latest[key] = (name, read)
    if not latest:
        problem = "has no <dataset>/<split>/<model>/<time>.json"
        raise InputError(problem, source=source)
    for (dataset, split, model), (name, read) in latest.items():
        try:
            content: dict[str, Any] = json.loads(read())
            if content.get("demo"):
                continue
            for record in content["records"]:
                prompt = _text(record.get("origin_query")) or _text(record.get("prompt"))
                key = (dataset, split, str(record["index"]))
                cells.add(
                    key, Query(prompt, dataset), model, record["score"], record.get("cost", 0.0)
                )
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            problem = f"{name} is no file of results ({type(error).__name__})"
            raise InputError(problem, source=source) from None


def _time(name: PurePosixPath) -> str:
    """What a file's name says of its time, so that later ones compare as larger."""
    found = TIME.findall(name.name)
    return found[-1] if found else ""


def _text(value: Any) -> str | None:
    """A prompt as text: messages and other structures as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
