"""What both ways of reading an object as a stream have in common: a window that moves over it."""

from __future__ import annotations

import io
from abc import abstractmethod
from typing import TYPE_CHECKING

from ..object_stores.verifying import Known
from ..positioned import PositionedStream
from .codes import server_code
from .transfer import PART, S3Transfers

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import S3Client

__all__ = ["FIRST", "ObjectWindow"]

#: Bytes of the first request; many files end here.
FIRST = 256 * 1024

#: The first bytes of an object, its size, its ETag, and what is known of the whole.
_Opened = tuple[bytes, int, str | None, Known]


class ObjectWindow(PositionedStream):
    """One content of one object, of which ``_data`` from ``_start`` on is here.

    A subclass passes what opens it, and writes ``_advance``.
    """

    def __init__(self, client: S3Client, key: str, opened: Callable[[], _Opened]) -> None:
        super().__init__()
        self._client = client
        self._key = key
        self._start = 0
        self._data = b""
        self._size = 0
        self._etag: str | None = None
        #: What the server says of the whole content.
        self.known: Known = Known()
        try:
            self._data, self._size, self._etag, self.known = opened()
        except OSError as error:
            # Nothing begins at its beginning: it is empty.
            if server_code(error) not in ("InvalidRange", "416"):
                raise

    @abstractmethod
    def _advance(self, at: int, wanted: int) -> None:
        """Have the bytes from there on, so many if that is no effort."""

    @property
    def size(self) -> int:
        """Bytes of the whole content."""
        return self._size

    def _end(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """``size`` bytes, or all that are left; fewer only at the end."""
        self._require_open()
        rest = max(0, self._size - self._position)
        wanted = rest if size < 0 else min(size, rest)
        if wanted > 2 * PART:
            return self._read_large(wanted)
        parts: list[bytes] = []
        at = self._position
        while wanted:
            offset = at - self._start
            if not 0 <= offset < len(self._data):
                self._advance(at, wanted)
                offset = at - self._start
            part = self._data[offset : offset + wanted]
            parts.append(part)
            at += len(part)
            wanted -= len(part)
        self._position = at  # not before: who is interrupted, or fails, reads it again
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_large(self, wanted: int) -> bytes:
        """In parts, by botocore."""
        sink = io.BytesIO()
        start, etag = self._position, self._etag
        work = S3Transfers(self._client).fetch
        # Whoever reads the stream compares what comes.
        self._client.run(
            lambda: work(self._key, sink, start, start + wanted, etag=etag, verify=False)
        )
        self._position += wanted
        return sink.getvalue()

    def close(self) -> None:
        super().close()
        self._data = b""
