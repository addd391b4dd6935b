"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from routerjax.errors import InputError


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name in its folder and rename it into place."""
    with new_file(path) as temporary:
        temporary.write_text(text)


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
        raise InputError(f"cannot be written ({error.strerror})", source=str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


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
    check_free(path, marker=marker, overwrite=overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", source=str(path)) from error
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            old = temporary.with_suffix(".old")
            path.rename(old)
            temporary.rename(path)
            shutil.rmtree(old)
        else:
            temporary.rename(path)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", source=str(path)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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


def check_place(path: Path) -> None:
    """Raise InputError where nothing can be written at `path`; called before long work starts."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise InputError(f"cannot be written ({folder} is not a folder)", source=str(path))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot be written (no permission in {folder})", source=str(path))


def check_free(path: Path, *, marker: str, overwrite: bool) -> None:
    """Raise InputError where `path` may not be written; called before long work starts."""
    check_place(path)
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / marker).is_file():
        problem = f"exists and is not a folder that routerjax wrote (no {marker} in it)"
        raise InputError(f"{problem}; choose another", source=str(path))
    if not overwrite:
        raise InputError("exists already; choose another or add --overwrite", source=str(path))
