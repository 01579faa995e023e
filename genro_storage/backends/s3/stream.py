"""Reading an object as a stream: ranges that grow while it is read in order, the next one ahead."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from ..object_stores.verifying import Known
from ..positioned import PositionedStream
from .codes import server_code
from .transfer import PART, S3Transfers

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from .client import Fetched, S3Client

__all__ = ["FIRST", "S3Stream"]

#: Bytes of the first request; many files end here.
FIRST = 256 * 1024


class S3Stream(PositionedStream):
    """One content of one object: reading fails where another has taken its place.

    Opening it is one request. Each further one is bounded and repeated where the network fails,
    so that a long reading outlives a broken connection.
    """

    def __init__(self, client: S3Client, key: str) -> None:
        super().__init__()
        self._client = client
        self._key = key
        self._window = FIRST
        self._ahead: tuple[int, Any] | None = None  # where the part begins that is on its way
        try:
            first = client.run(lambda: client.fetch(key, 0, FIRST))
        except OSError as error:
            if server_code(error) not in ("InvalidRange", "416"):
                raise
            self._start, self._data, self._size, self._etag = 0, b"", 0, None
            self.known: Known = Known()
        else:
            self._start, self._data = 0, first.data
            self._size, self._etag = first.total, first.etag
            self.known = first.known

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
        sink = io.BytesIO()
        start, etag = self._position, self._etag
        work = S3Transfers(self._client).fetch
        # Whoever reads the stream compares what comes.
        self._client.run(
            lambda: work(self._key, sink, start, start + wanted, etag=etag, verify=False)
        )
        self._position += wanted
        return sink.getvalue()

    def _advance(self, at: int, wanted: int) -> None:
        """Have the bytes from there on: those that are on their way, or others."""
        in_order = at == self._start + len(self._data)
        ahead = self._take_ahead()
        if ahead is not None and ahead[0] == at:
            found: Fetched = _result(ahead[1])
        else:
            if ahead is not None:
                ahead[1].cancel()
            self._window = self._window if in_order else FIRST
            length = min(max(self._window, wanted), PART)
            found = self._client.run(lambda: self._fetch(at, length))
        if not found.data:
            raise OSError("the server sent less than there is")
        self._start, self._data = at, found.data
        after = at + len(found.data)
        if in_order:
            self._window = min(2 * self._window, PART)
            if after < self._size:
                window = self._window
                self._ahead = (after, self._client.begin(lambda: self._fetch(after, window)))

    def _fetch(self, start: int, length: int) -> Coroutine[Any, Any, Fetched]:
        end = min(start + length, self._size)
        return self._client.fetch(self._key, start, end, self._etag)

    def _take_ahead(self) -> tuple[int, Any] | None:
        """The part that is on its way; after a fork it comes to the parent, and never here."""
        ahead, self._ahead = self._ahead, None
        if not self._is_inherited:
            return ahead
        self._adopt()
        return None

    def close(self) -> None:
        super().close()
        ahead = self._take_ahead()
        if ahead is not None:
            ahead[1].cancel()
        self._data = b""


def _result(future: Any) -> Fetched:
    try:
        found: Fetched = future.result()
    except BaseException:
        future.cancel()
        raise
    return found
