"""One process at a time writes a folder: a lock that the system releases when its holder ends.

The lock on ``ROUTER`` is the file ``.ROUTER.lock`` beside it, held by ``flock``. The system frees
it however the process ends, so that what a killed one leaves behind bars nobody: the file alone
means nothing. It goes with the lock; a file system that knows no locks gives none.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from routerjax.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

UNKNOWN_TO = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
"""What a file system that knows no locks answers."""

_threads: dict[Path, threading.RLock] = {}
_held: dict[Path, int] = {}  # by the process of this number, which a fork is not


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """A block that alone writes `path`; the folder of `path` is made where there is none.

    Within the block the same thread may take the lock again.

    Raises:
      InputError: another process holds it, which is named, or the lock file cannot be written.
    """
    place = Path(os.path.realpath(path))
    place = place.with_name(f".{place.name}.lock")
    own = _threads.setdefault(place, threading.RLock())
    if not own.acquire(blocking=False):
        raise _busy(path, "another thread of this process")
    try:
        if _held.get(place) == os.getpid():
            yield
            return
        file = _taken(place, path)
        _held[place] = os.getpid()
        try:
            yield
        finally:
            del _held[place]
            _let_go(place, file)
    finally:
        own.release()


def _taken(place: Path, path: Path) -> int:
    """The open lock file, held and with our number in it."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(place, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if not _hold(file):
                    raise _busy(path, _holder(file))
            except BaseException:
                os.close(file)
                raise
            if not _is_at(place, file):  # its holder took it away between the two
                os.close(file)
                continue
            try:
                os.ftruncate(file, 0)
                os.write(file, f"{os.getpid()} {socket.gethostname()}".encode())
            except BaseException:
                _let_go(place, file)
                raise
            return file
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", source=str(path)) from error


def _let_go(place: Path, file: int) -> None:
    with contextlib.suppress(OSError):
        place.unlink()  # while it is held: nobody else can have it by this name
    os.close(file)


def _hold(file: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in UNKNOWN_TO
    return True


def _is_at(place: Path, file: int) -> bool:
    """Whether the file of this name is still the one that is open."""
    try:
        return os.path.samestat(os.stat(place), os.fstat(file))
    except FileNotFoundError:
        return False


def _holder(file: int) -> str:
    """Who wrote the lock file, in words."""
    number, _, host = os.pread(file, 300, 0).decode(errors="replace").partition(" ")
    if not number.isdecimal():  # it has only just taken the lock
        return "another process"
    return f"process {number}" + ("" if host == socket.gethostname() else f" on {host}")


def _busy(path: Path, holder: str) -> InputError:
    problem = f"is being written by {holder}; wait until that ends, or choose another folder"
    return InputError(problem, source=str(path))
