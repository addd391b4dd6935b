"""The writer of a decision log: one file a day and server, which nobody else writes.

A line is handed to the operating system before its decision is answered, so that a server that is
killed has lost none that it acknowledged; a thread brings the file to disk once a second, so that
a machine that stops loses at most the last one. Where the disk is full the decision is served all
the same, and the writer says so. `routerjax.data.io.decisions` says what the lines hold and reads
them.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from routerjax.data.io.decision_events import SUFFIX
from routerjax.errors import InputError
from routerjax.support.atomic import check_place

SETTLED_EVERY = 1.0
"""Seconds between two times that the file is brought to disk."""
SAID_EVERY = 60.0
"""Seconds between two complaints about the same disk."""


class DecisionLog:
    """The decision log of one server.

    Attributes:
      folder: of the log, which several servers may share.
      server: name of this one, in its files' names.
      lost: events that could not be written.
      problem: why the last one could not be, or None where it was.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        header: dict[str, Any],
        clock: Callable[[], float] = time.time,
        settled_every: float = SETTLED_EVERY,
    ) -> None:
        """Open the log.

        Args:
          folder: made where there is none.
          header: what each file begins with: encoder and quality range.
          clock: seconds since 1970.
          settled_every: seconds between two times that the file is brought to disk.

        Raises:
          InputError: the folder cannot be written.
        """
        self.folder = Path(folder).expanduser()
        self.server = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.lost = 0
        self.problem: str | None = None
        self._header, self._clock, self._latest = header, clock, 0.0
        self._day, self._file, self._is_cut, self._said = "", -1, False, -SAID_EVERY
        self._lock, self._closed = threading.Lock(), threading.Event()
        check_place(self.folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._open(self._now())
        except OSError as error:
            problem = f"cannot be written ({error.strerror or error})"
            raise InputError(problem, source=str(folder)) from error
        self._thread = threading.Thread(target=self._settle, args=(settled_every,), daemon=True)
        self._thread.start()

    def write(self, event: str, **fields: Any) -> bool:
        """Write an event; returns False where it could not be, and says so on standard error.

        Args:
          event: "decision", "answer" or "feedback".
          fields: of it.
        """
        with self._lock:
            now = self._now()
            line = _line({"event": event, "time": now, **fields})
            try:
                if _day(now) != self._day:
                    self._open(now)
                self._put(line)
            except OSError as error:
                self.lost += 1
                self._complain(error)
                return False
            self.problem = None
            return True

    def change(self, header: dict[str, Any]) -> None:
        """Begin again with another header, after the router has changed."""
        self._header = header
        self.write("start", server=self.server, **header)

    def close(self) -> None:
        """Bring all to disk and close the file."""
        self._closed.set()
        self._thread.join()
        with self._lock, contextlib.suppress(OSError):
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1

    def _now(self) -> float:
        """The time, which never goes back, whatever the clock does."""
        self._latest = max(self._latest, self._clock())
        return self._latest

    def _open(self, now: float) -> None:
        """Go on in the file of another day."""
        day = _day(now)
        path = self.folder / f"{day}.{self.server}{SUFFIX}"
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        former, self._file = self._file, file
        self._is_cut = os.fstat(file).st_size > 0  # opened again, after its first line was cut off
        if former >= 0:
            with contextlib.suppress(OSError):
                os.fsync(former)
                os.close(former)
        self._put(_line({"event": "start", "time": now, "server": self.server, **self._header}))
        self._day = day  # last: a file without its first line is opened again

    def _put(self, line: bytes) -> None:
        """Append a line; where a line before it was cut off, in one of its own."""
        if self._is_cut:
            line = b"\n" + line
        while line:
            written = os.write(self._file, line)
            line = line[written:]
            self._is_cut = bool(line)

    def _complain(self, error: OSError) -> None:
        self.problem = f"the decision log cannot be written ({error.strerror or error})"
        if time.monotonic() - self._said >= SAID_EVERY:
            self._said = time.monotonic()
            said = f"routerjax: {self.problem}; serving goes on, {self.lost} events are lost"
            with contextlib.suppress(OSError):  # which may be a file on the same disk
                print(said, file=sys.stderr, flush=True)

    def _settle(self, every: float) -> None:
        while not self._closed.wait(every):
            with self._lock:
                file = os.dup(self._file)
            try:
                os.fsync(file)
            except OSError as error:
                self._complain(error)
            finally:
                os.close(file)


def _day(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()


def _line(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":"), allow_nan=False).encode() + b"\n"
