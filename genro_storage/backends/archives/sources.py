"""Where the bytes of an archive come from: an open file, ranged requests, or a spool of our own.

A source is what one reader of an archive holds. Several sources of one archive know nothing of
each other, so that any number of threads may read at once.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from ...temporary_files import TemporaryFile, naming_tempdir
from ..fsspec_write import SPOOL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..context import Place

__all__ = [
    "BytesSource",
    "FileSource",
    "RangeSource",
    "Source",
    "Spool",
    "SpoolPart",
    "SpoolSource",
]

#: What a ranged request asks for at least, and at most where a reader goes on and on (bytes).
_SMALLEST = 64 * 1024
_LARGEST = 8 * 1024 * 1024


class Source(ABC):
    """Random access to the bytes of one state of an archive."""

    #: Length in bytes.
    size: int
    #: Whether the bytes cannot change under the reader's hands.
    pinned: ClassVar[bool] = True

    @abstractmethod
    def read_at(self, offset: int, count: int, limit: int | None = None) -> bytes:
        """``count`` bytes from ``offset``; fewer only at the end.

        ``limit`` is where the part ends that the reader is interested in, so that nothing beyond
        is fetched ahead.
        """

    def read_exactly(self, offset: int, count: int, limit: int | None = None) -> bytes:
        """As ``read_at``; ``OSError`` where the archive ends before."""
        data = self.read_at(offset, count, limit)
        if len(data) != count:
            raise OSError(errno.EIO, "the archive is cut short")
        return data

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """What lies between, in pieces of a MiB or so."""
        while start < end:
            piece = self.read_exactly(start, min(end - start, 1024 * 1024), end)
            yield piece
            start += len(piece)

    def close(self) -> None:
        """Let go of what is open."""


class BytesSource(Source):
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size: int = len(data)

    def read_at(self, offset: int, count: int, limit: int | None = None) -> bytes:
        return self._data[offset : offset + count]


class FileSource(Source):
    """An open file, which keeps its content also when another one takes its name."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._descriptor = _descriptor_of(stream)
        self._lock = threading.Lock()
        self.size = size

    def read_at(self, offset: int, count: int, limit: int | None = None) -> bytes:
        if self._descriptor is not None:
            return _read_at(self._descriptor, offset, count)
        with self._lock:
            self._stream.seek(offset)
            return self._stream.read(count)

    def close(self) -> None:
        self._descriptor = None
        self._stream.close()


def _descriptor_of(stream: BinaryIO) -> int | None:
    if not hasattr(os, "pread"):
        return None
    try:
        return stream.fileno()
    except io.UnsupportedOperation:
        return None


def _read_at(descriptor: int, offset: int, count: int) -> bytes:
    data = os.pread(descriptor, count, offset)
    if len(data) == count or not data:
        return data
    parts = [data]  # one call reads 2 GiB at most
    missing = count - len(data)
    while missing and (data := os.pread(descriptor, missing, offset + count - missing)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)


class RangeSource(Source):
    """Ranged requests, with a growing read-ahead where they go on and on.

    Unless told that whoever reads checks the content (``checked``), each request is followed by
    a look whether the archive is still the same: parts of two states are no content.
    """

    pinned: ClassVar[bool] = False

    def __init__(self, place: Place, size: int, unchanged: Callable[[], bool]) -> None:
        self._place = place
        self._unchanged = unchanged
        self._ahead = _SMALLEST
        self._start = 0
        self._window = b""
        self._lock = threading.Lock()
        self.size = size
        self.checked: bool = False

    def read_at(self, offset: int, count: int, limit: int | None = None) -> bytes:
        end = min(offset + count, self.size)
        if end <= offset:
            return b""
        with self._lock:
            held = self._start + len(self._window)
            if not (self._start <= offset and end <= held):
                self._fetch(offset, end, self.size if limit is None else min(limit, self.size))
            return self._window[offset - self._start : end - self._start]

    def _fetch(self, offset: int, end: int, limit: int) -> None:
        held = self._start + len(self._window)
        goes_on = bool(self._window) and self._start <= offset <= held
        self._ahead = min(self._ahead * 2, _LARGEST) if goes_on else _SMALLEST
        until = max(end, min(offset + self._ahead, limit))
        # What is there already need not come again.
        kept = self._window[offset - self._start :] if goes_on else b""
        fetched = self._place.read_bytes(offset + len(kept), until)
        if not self.checked and not self._unchanged():
            raise OSError(errno.EAGAIN, "the archive changed while it was being read; try again")
        self._window, self._start = (kept + fetched if kept else fetched), offset

    def prefetch(self, offset: int, end: int) -> None:
        """Get a part in one request, if it is not large."""
        if end - offset <= _LARGEST:
            self.read_at(offset, end - offset)


class Spool:
    """Bytes that are collected once and read often: in memory, or in a file without a name.

    The file goes with the last reference, also where the process is killed. A write that fails
    (a full disk, an interrupt) leaves what was there before.
    """

    def __init__(self) -> None:
        self._memory = bytearray()
        self._descriptor: int | None = None
        self._lock = threading.Lock()
        self.size: int = 0

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self._descriptor is None and len(self._memory) + len(view) > SPOOL:
            self._spill()
        if self._descriptor is None:
            self._memory += view
        else:
            os.lseek(self._descriptor, self.size, os.SEEK_SET)  # over what a failed write left
            _write_all(self._descriptor, view)
        self.size += len(view)
        return len(view)

    def _spill(self) -> None:
        with TemporaryFile() as file:
            _write_all(file.fileno(), memoryview(bytes(self._memory)))
            self._descriptor = os.dup(file.fileno())
        self._memory = bytearray()

    def read_at(self, offset: int, count: int) -> bytes:
        """``count`` bytes; fewer only at the end."""
        count = max(0, min(count, self.size - offset))  # a failed write may have left more
        if self._descriptor is None:
            return bytes(self._memory[offset : offset + count])
        if hasattr(os, "pread"):
            return _read_at(self._descriptor, offset, count)
        with self._lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, count)

    def part(self) -> SpoolPart:
        """What is collected from now on; one part at a time."""
        return SpoolPart(self)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


def _write_all(descriptor: int, left: memoryview) -> None:
    with naming_tempdir():
        while left:
            left = left[os.write(descriptor, left) :]


class SpoolPart:
    """What was written to a spool by way of this part, one piece behind the other."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._start = spool.size
        self.size: int = 0

    def write(self, data: Any) -> None:
        """Add to the end, of the part and of the spool."""
        self.size += self._spool.write(data)

    def pieces(self) -> Iterator[bytes]:
        """All of it, in pieces of a MiB at most."""
        offset = 0
        while offset < self.size:
            piece = self._spool.read_at(self._start + offset, min(self.size - offset, 1024 * 1024))
            if not piece:
                raise OSError(errno.EIO, "a temporary file has lost its end")
            yield piece
            offset += len(piece)


class SpoolSource(Source):
    """A reader of a spool, which lives as long as one of them does."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.size: int = spool.size

    def read_at(self, offset: int, count: int, limit: int | None = None) -> bytes:
        return self._spool.read_at(offset, min(count, max(0, self.size - offset)))
