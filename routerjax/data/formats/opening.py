"""A file's bytes as UTF-8, block by block, whatever compressed or encoded it."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from routerjax.errors import InputError

BLOCK = 1 << 24
"""Bytes that are read at once, and the longest row of a text file is four times as long."""

MOST_TIMES, MUCH = 250, 1 << 28
"""A packed file is no file of rows if it unpacks to more than both: so many times its own size, and
so many bytes. A gigabyte of zeros is a thousand times its own."""

COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}  # by the first bytes of a file

UTF_8 = codecs.BOM_UTF8
AS_UTF_8 = "save the file as UTF-8 (iconv -f WINDOWS-1252 -t UTF-8 does, if it is from Windows)"
"""What to do with a file that is no UTF-8 text."""
WIDE = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class Readable(Protocol):
    """What bytes can be read from."""

    def read(self, size: int, /) -> bytes: ...


def located(path: str | os.PathLike[str]) -> Path:
    """The place of a path, ``~`` expanded.

    Raises:
      InputError: a path that names no place: too long, a zero byte, or ``~`` of no such user.
    """
    try:
        place = Path(path).expanduser()
        os.stat(place)
    except FileNotFoundError:
        pass
    except RuntimeError:
        raise InputError("no such file: there is no such user", source=str(path)) from None
    except ValueError:
        raise InputError("no such file: a path holds no zero bytes", source=str(path)) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", source=str(path)) from None
    return place


def compression(place: Path) -> str | None:
    """ "gzip", "zstd" or None, by the first bytes: browsers unpack a file and leave its name."""
    with open(place, "rb") as file:
        head = file.read(4)
    return next((name for mark, name in COMPRESSED.items() if head.startswith(mark)), None)


def blocks(place: Path) -> Iterator[bytes]:
    """The content as UTF-8 without a byte order mark, in blocks of about `BLOCK` bytes.

    UTF-16 and UTF-32 are known by their byte order mark. Without one the bytes are taken as they
    are, and whoever reads them says where they are not UTF-8.

    Raises:
      InputError: wide text that cannot be decoded, or a packed file that unpacks to far more than
        rows do.
      OSError: a file that cannot be read or unpacked.
    """
    packed = compression(place)
    most = max(MOST_TIMES * os.stat(place).st_size, MUCH)
    with pa.input_stream(str(place), compression=packed) as stream:
        for unpacked in blocks_of(stream):
            most -= len(unpacked)
            if packed is not None and most < 0:
                raise InputError(
                    f"unpacks to more than {MOST_TIMES} times its size, which files of rows do "
                    "not; if this one does, unpack it yourself"
                )
            yield unpacked


def blocks_of(stream: Readable) -> Iterator[bytes]:
    """The content of an open stream, as `blocks`."""
    block = stream.read(BLOCK)
    wide = next((name for mark, name in WIDE.items() if block.startswith(mark)), None)
    decoder = None if wide is None else codecs.getincrementaldecoder(wide)()
    block = block.removeprefix(UTF_8)
    while block:
        yield block if decoder is None else _decoded(decoder, block, last=False)
        block = stream.read(BLOCK)
    if decoder is not None:
        yield _decoded(decoder, b"", last=True)


def _decoded(decoder: codecs.IncrementalDecoder, block: bytes, *, last: bool) -> bytes:
    try:
        return decoder.decode(block, last).encode()
    except UnicodeDecodeError as error:
        raise InputError(f"begins as {error.encoding.upper()} but goes on as something else") from (
            None
        )


class Joined(io.RawIOBase):
    """Blocks of bytes as one file to read from."""

    def __init__(self, parts: Iterator[bytes]):
        super().__init__()
        self._parts, self._rest = parts, memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer) -> int:
        """Fill the buffer as far as the current block reaches."""
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = memoryview(part)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
