"""Embeddings kept on disk, by encoder and prompt.

Every encoder has one SQLite file: the SHA-256 of a prompt → its vector and how many of its tokens
were left out. Prompts themselves are not kept. The files are the user's alone (0600, in a folder
of 0700), a transaction is written whole or not at all, and what has not been used for longest goes
first once the folder is over its limit. Whatever is wrong with the cache costs time, nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

LIMIT_VARIABLE = "ROUTERJAX_EMBEDDINGS_GIB"
LIMIT = 2.0  # GiB of all files together
TOGETHER = 500  # prompts of one query
PATIENCE = 5.0  # seconds for another process to finish its transaction
DAY = 86_400
TABLE = (
    "CREATE TABLE IF NOT EXISTS vectors "
    "(digest BLOB PRIMARY KEY, vector BLOB NOT NULL, dropped INTEGER NOT NULL, used INTEGER)"
)


class Kept(NamedTuple):
    """An embedding that was kept.

    Attributes:
      vector: [d] float32.
      dropped: tokens of the prompt that the encoder left out.
    """

    vector: np.ndarray
    dropped: int


class Cache(NamedTuple):
    """The file of one encoder.

    Attributes:
      file: its path, which need not exist.
      limit: bytes that all files of its folder may take together.
    """

    file: Path
    limit: int

    def find(self, texts: Sequence[str]) -> Iterator[tuple[int, Kept]]:
        """The places among `texts` that were kept, each with its embedding."""
        if not self.file.is_file():
            return
        for start in range(0, len(texts), TOGETHER):
            some = texts[start : start + TOGETHER]
            places = {digest(text): start + i for i, text in enumerate(some)}
            for key, vector, dropped in self._rows(list(places)):
                kept = _checked(vector, dropped)
                if kept is not None and key in places:
                    yield places[key], kept

    def keep(self, texts: Sequence[str], vectors: np.ndarray, dropped: Sequence[int]) -> None:
        """Keep embeddings, and leave out what has not been used for longest if room is short."""
        today = int(time.time() // DAY)
        rows = [
            (digest(text), np.ascontiguousarray(vector, np.float32).tobytes(), int(count), today)
            for text, vector, count in zip(texts, vectors, dropped, strict=True)
        ]
        with self._open(write=True) as connection:
            if connection is not None:
                connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)", rows)
        self._trim()

    def _rows(self, keys: list[bytes]) -> list[tuple[bytes, bytes, int]]:
        chosen = f"digest IN ({','.join('?' * len(keys))})"
        today = int(time.time() // DAY)
        rows: list[tuple[bytes, bytes, int]] = []
        with self._open(write=False) as connection:
            if connection is not None:
                select = f"SELECT digest, vector, dropped FROM vectors WHERE {chosen}"
                rows = connection.execute(select, keys).fetchall()
        if rows:  # a day is exact enough, and most look-ups then write nothing
            with self._open(write=True) as connection:
                if connection is not None:
                    mark = f"UPDATE vectors SET used = ? WHERE used < ? AND {chosen}"
                    connection.execute(mark, [today, today, *keys])
        return rows

    @contextlib.contextmanager
    def _open(self, *, write: bool) -> Iterator[sqlite3.Connection | None]:
        """A transaction; None where the file cannot be used. A damaged file is begun anew."""
        try:
            if write:
                _make_private(self.file)
            connection = sqlite3.connect(self.file, timeout=PATIENCE)
        except (OSError, sqlite3.Error):
            yield None
            return
        try:
            with contextlib.closing(connection), connection:
                if write:
                    connection.execute("PRAGMA auto_vacuum = FULL")
                    connection.execute("PRAGMA synchronous = NORMAL")
                    connection.execute(TABLE)
                yield connection
        except sqlite3.OperationalError:
            pass  # busy, read-only, or the disk is full
        except sqlite3.DatabaseError:
            with contextlib.suppress(OSError):
                self.file.unlink()

    def _trim(self) -> None:
        with contextlib.suppress(OSError):
            others = [file for file in self.file.parent.glob("*.sqlite") if file != self.file]
            for file in sorted(others, key=_last_used):
                if self._excess() <= 0:
                    return
                file.unlink()
            excess = self._excess()
            if excess <= 0:
                return
            with self._open(write=True) as connection:
                if connection is not None:
                    (count,) = connection.execute("SELECT count(*) FROM vectors").fetchone()
                    share = excess / self.file.stat().st_size
                    oldest = "SELECT rowid FROM vectors ORDER BY used, rowid LIMIT ?"
                    gone = math.ceil(count * min(1.0, 1.1 * share))
                    connection.execute(f"DELETE FROM vectors WHERE rowid IN ({oldest})", [gone])

    def _excess(self) -> int:
        """Bytes over the limit."""
        sizes = [file.stat().st_size for file in self.file.parent.glob("*.sqlite")]
        return sum(sizes) - self.limit


def cache_in(folder: Path, encoder: str, recipe: str) -> Cache:
    """The cache of an encoder in a folder.

    Args:
      folder: of the files of all encoders.
      encoder: its name.
      recipe: what makes its vectors what they are beside its name, as the version.
    """
    name = re.sub("[^A-Za-z0-9.-]+", "-", encoder)[-40:]
    key = hashlib.sha256(f"{encoder}\0{recipe}".encode()).hexdigest()[:16]
    return Cache(folder / f"{name}-{key}.sqlite", limit())


def limit() -> int:
    """Bytes that embeddings on disk may take: ``$ROUTERJAX_EMBEDDINGS_GIB``, 2 GiB by default."""
    try:
        value = float(os.environ.get(LIMIT_VARIABLE) or LIMIT)
    except ValueError:
        value = LIMIT
    return int((value if 0 <= value < math.inf else LIMIT) * 2**30)


def digest(text: str) -> bytes:
    """The SHA-256 of a prompt."""
    return hashlib.sha256(text.encode()).digest()


def _make_private(file: Path) -> None:
    """The folder and the file, of which nobody but the user may read anything."""
    if not file.parent.is_dir():
        file.parent.mkdir(parents=True, mode=0o700)
        file.parent.chmod(0o700)
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    if file.stat().st_mode & 0o077:
        file.chmod(0o600)


def _last_used(file: Path) -> float:
    return file.stat().st_mtime


def _checked(content: bytes, dropped: int) -> Kept | None:
    """An embedding, unless it is no unit vector and not zeros: then the file was damaged."""
    if not isinstance(content, bytes) or not content or len(content) % 4:
        return None
    vector = np.frombuffer(content, np.float32)
    norm = float(np.linalg.norm(vector))
    return Kept(vector, int(dropped)) if norm == 0 or abs(norm - 1) < 1e-3 else None
