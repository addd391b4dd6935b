"""Files and folders that appear whole or not at all, on Linux and macOS alike.

All rests on one step that both systems make whole: renaming a file over another. Renaming a
folder over one that holds something is no such step anywhere, and exchanging two is another call
on each system and none on some file systems. So there are three ways to write:

- `new_file`: a file is written under a temporary name beside it and renamed over it.
- `new_version`: a folder that readers may be reading. What is written goes into it under a name
  that was never there, then its marker, a file that says this name, is renamed over the old one.
  A reader that follows the marker finds the old state whole or the new one whole; where the old
  one went while it read, the marker has changed, and it reads again.
- `new_folder`: a folder of results, whose files have fixed names. It is made beside and renamed;
  an older one is put aside for that moment.

Whatever a killed process leaves of these goes, or is put back, the next time the same place is
written. Only one process writes a place at a time (`routerjax.support.locks`).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from routerjax.errors import InputError
from routerjax.support.locks import locked

TOKEN = "[0-9a-f]{16}"
SPARE = 32
"""Bytes that are added to a name, at most, beside it: `.NAME.lock`, `NAME.checkpoints`."""
LEAST = 1 << 20
"""Free bytes without which a disk counts as full."""


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name in its folder and rename it into place."""
    with new_file(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        settle(file)


def settle(file: IO[Any]) -> None:
    """Return when what was written to an open file is on disk: some disks are full only then."""
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, with its suffix, that takes its place if the block ends well.

    Raises:
      InputError: the folder cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise _unwritten(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_version(path: Path, *, marker: str, name: str) -> Iterator[Path]:
    """A name in the folder `path` for what the block writes there, before it replaces the marker.

    When the block ends, by an error or not, what the marker names is kept and other versions go,
    so that a block that fails changes nothing. To be called in `claimed`.

    Args:
      path: the folder, which is made where there is none.
      marker: the file in it that names the version.
      name: as in "parameters.safetensors", of which a version is parameters-0123456789abcdef…

    Raises:
      InputError: the folder cannot be written; an OSError of the block counts as that.
    """
    stem, _, suffix = name.partition(".")
    is_new = not path.exists()
    try:
        path.mkdir(exist_ok=True)
        _sweep(path, marker, name)
        yield path / f"{stem}-{secrets.token_hex(8)}.{suffix}"
    except OSError as error:
        raise _unwritten(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            _sweep(path, marker, name)
            if is_new and not (path / marker).exists():
                path.rmdir()


def is_version(found: str, *, name: str) -> bool:
    """Whether `new_version` of `name` may have given this file its name."""
    stem, _, suffix = name.partition(".")
    return re.fullmatch(rf"{re.escape(stem)}-{TOKEN}\.{re.escape(suffix)}", found) is not None


def _is_left(found: str, marker: str, name: str) -> bool:
    """Whether a file of this name is a version, or a marker under its temporary name."""
    stem, dot, suffix = marker.partition(".")
    temporary = rf"\.{re.escape(stem)}\.\d+{re.escape(dot + suffix)}"
    return is_version(found, name=name) or re.fullmatch(temporary, found) is not None


def _sweep(path: Path, marker: str, name: str) -> None:
    """Remove what no marker names. A version from before there were names goes with the first."""
    try:
        named = (path / marker).read_bytes()
    except FileNotFoundError:
        named = b""
    found = [file for file in path.iterdir() if _is_left(file.name, marker, name)]
    kept = [file for file in found if file.name.encode() in named]
    for file in found:
        if file not in kept:
            file.unlink()
    if kept:
        shutil.rmtree(path / name.partition(".")[0], ignore_errors=True)


@contextlib.contextmanager
def new_folder(path: Path, *, marker: str, overwrite: bool) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place if the block ends well.

    Args:
      path: the folder to be.
      marker: file by which an older folder of the same kind is known; nothing else is replaced.
      overwrite: whether an older one may be replaced.

    Raises:
      InputError: `path` is taken, or it cannot be written; an OSError of the block counts as
        that.
    """
    path = path.absolute()  # "." has no name of its own
    with claimed(path, marker=marker, overwrite=overwrite):
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            temporary.mkdir()
            yield temporary
            if path.exists():
                path.rename(_aside(path))
            temporary.rename(path)
        except OSError as error:
            raise _unwritten(path, error) from error
        finally:
            with contextlib.suppress(OSError):
                _recover(path)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


def _recover(path: Path) -> None:
    """Put back, or remove, what is left of writing the folder `path`, now or by a killed process.

    To be called with the lock.
    """
    old = _aside(path)
    if old.exists() and not path.exists():
        old.rename(path)
    shutil.rmtree(old, ignore_errors=True)
    begun = re.compile(rf"\.{re.escape(path.name)}\.{TOKEN}")
    for found in list(path.parent.iterdir()):
        if begun.fullmatch(found.name):
            shutil.rmtree(found, ignore_errors=True)


def folder_digest(path: Path, *, without: str = "") -> str:
    """Sixteen hex digits of the SHA-256 of the names and contents of all files in a folder.

    Args:
      path: the folder.
      without: name of a file in it that does not count.
    """
    sha = hashlib.sha256()
    files = (file for file in path.rglob("*") if file.is_file() and file != path / without)
    for file in sorted(files):
        content = file.read_bytes()
        sha.update(f"{file.relative_to(path).as_posix()}\0{len(content)}\0".encode())
        sha.update(content)
    return sha.hexdigest()[:16]


@contextlib.contextmanager
def claimed(path: Path, *, marker: str, overwrite: bool, name: str | None = None) -> Iterator[None]:
    """A block that alone writes the folder `path`, which is free or may be replaced.

    To be opened before long work starts, around it.

    Args:
      path: a folder to be.
      marker, overwrite, name: As in `check_free`.

    Raises:
      InputError: another process writes it, it cannot be written, or it is taken.
    """
    check_free(path, marker=marker, overwrite=overwrite, name=name)
    with locked(path):
        try:
            _recover(path.absolute())
        except OSError as error:
            raise _unwritten(path, error) from error
        check_free(path, marker=marker, overwrite=overwrite, name=name)
        yield


def check_place(path: Path) -> None:
    """Raise InputError where nothing can be written at `path`; called before long work starts."""
    if "\0" in str(path):
        raise InputError("a path cannot hold a null character", source=repr(str(path)))
    try:
        place = path.absolute()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(place)  # too long a path
        folder = next((parent for parent in place.parents if parent.exists()), place)
        if not folder.is_dir():
            raise InputError(f"cannot be written ({folder} is not a folder)", source=str(path))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"cannot be written (no permission in {folder})", source=str(path))
        longest = max(
            (len(os.fsencode(part)) for part in place.relative_to(folder).parts), default=0
        )
        if longest + SPARE > os.pathconf(folder, "PC_NAME_MAX"):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        if shutil.disk_usage(folder).free < LEAST:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise _unwritten(path, error) from error


def check_free(path: Path, *, marker: str, overwrite: bool, name: str | None = None) -> None:
    """Raise InputError where the folder `path` may not be written.

    Args:
      path: a folder to be.
      marker: file by which an older folder of the same kind is known.
      overwrite: whether an older one may be replaced.
      name: of what `new_version` writes in it; a folder that holds nothing but that, and no
        marker, was left by a killed process and is free.
    """
    check_place(path)
    try:
        place = path if os.path.lexists(path) else _aside(path.absolute())
        if not os.path.lexists(place):
            return
        is_folder = place.is_dir()
        found = [entry.name for entry in place.iterdir()] if is_folder else []
    except OSError as error:
        raise _unwritten(path, error) from error
    left = all(name is not None and _is_left(each, marker, name) for each in found)
    if not is_folder or not (left or marker in found):
        problem = f"exists and is not a folder that routerjax wrote (no {marker} in it)"
        raise InputError(f"{problem}; choose another", source=str(path))
    if not left and not overwrite:
        raise InputError("exists already; choose another or add --overwrite", source=str(path))
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError(f"cannot be written (no permission in {place})", source=str(path))


def _unwritten(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot be written ({error.strerror or error})", source=str(path))
