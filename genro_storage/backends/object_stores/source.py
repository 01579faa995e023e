"""What an upload sends: content in memory or in a local file, piece by piece, from any thread."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ...exceptions import SourceChangedError
from ..base import COPY_CHUNK

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, Self

__all__ = ["BRIEF_QUEUE", "Region", "Source", "in_small_sends"]

_AT_ONCE = 64 * 1024

#: Options of a socket that is sent large bodies through. What lies in a queue of this machine,
#: which can be megabytes, counts as sent, and the answer is waited for from then on: on a slow
#: line it would be missing long before the server has the whole body.
BRIEF_QUEUE: list[tuple[int, int, int]] = (
    [(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 2 * _AT_ONCE)]
    if hasattr(socket, "TCP_NOTSENT_LOWAT")
    else []
)


def in_small_sends(body: bytes) -> bytes | io.BytesIO:
    """The body of a request, so that its timeout limits each step and not the whole transfer.

    Python counts the timeout of a socket for all of what ``sendall`` is given: bytes are sent by
    one such call, and a stream by one for every block.
    """
    return io.BytesIO(body) if len(body) > _AT_ONCE else body


class Source:
    """Content of a known size. ``piece`` may be called by several threads at once.

    Whoever comes after it was closed gets ``ValueError``, and never what another file holds that
    has the number of its descriptor by then.
    """

    def __init__(self, content: bytes | Path) -> None:
        self._data: memoryview | None = None
        self._file: io.FileIO | None = None
        self._lock = threading.Lock()
        if isinstance(content, Path):
            self._file = io.FileIO(content)
            self._before = self._state()
            self.size: int = self._before[0]
        else:
            self._data = memoryview(content)
            self.size = len(content)

    def _state(self) -> tuple[int, int]:
        assert self._file is not None
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns

    def piece(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to ``end``; ``OSError`` where the file has become shorter."""
        if self._data is not None:
            return bytes(self._data[start:end])
        assert self._file is not None
        parts: list[bytes] = []
        with self._lock:
            while start < end:
                part = os.pread(self._file.fileno(), end - start, start)
                if not part:
                    raise self._changed()
                parts.append(part)
                start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def body(self, start: int, end: int) -> Region:
        """The same as the body of a request, of which nothing is held in memory."""
        return Region(self, start, end)

    def md5(self) -> bytes:
        """The digest of the whole content, read once for it."""
        digest = hashlib.md5(usedforsecurity=False)
        for start in range(0, self.size, COPY_CHUNK):
            digest.update(self.piece(start, min(start + COPY_CHUNK, self.size)))
        return digest.digest()

    def require_unchanged(self) -> None:
        """Raise ``OSError`` where somebody has written into the file since it was opened."""
        if self._data is None and self._state() != self._before:
            raise self._changed()

    @staticmethod
    def _changed() -> OSError:
        return SourceChangedError()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with self._lock:
                self._file.close()


class Region(io.RawIOBase):
    """The bytes of a source from ``start`` up to ``end``; can be sent again from its beginning.

    ``failed`` is the error that reading it has ended with. An HTTP client that reads it while it
    sends takes that for one of its connection.
    """

    def __init__(self, source: Source, start: int, end: int) -> None:
        self._source = source
        self._start, self._end = start, end
        self._at = start
        self.failed: Exception | None = None

    @contextlib.contextmanager
    def sent(self) -> Generator[Region]:
        """While it is sent: what reading it has failed by is raised, not what was made of that."""
        try:
            yield self
        except Exception:
            if self.failed is not None:
                raise self.failed from None
            raise

    def __len__(self) -> int:
        return self._end - self._start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = min(len(view), self._end - self._at)
        try:
            view[:count] = self._source.piece(self._at, self._at + count)
        except Exception as error:
            self.failed = error
            raise
        self._at += count
        return count

    def tell(self) -> int:
        return self._at - self._start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: len(self)}[whence]
        self._at = self._start + min(max(base + offset, 0), len(self))
        return self.tell()
