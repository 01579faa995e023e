"""Who will read all of a large object: one answer to its end, and more beside it where that is slow."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple

from .engine import Unfit
from .onward import Onward
from .reader import Chunk, ObjectReader
from .verifying import Known

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..remote import Bounds
    from .client import ObjectClient
    from .downloads import PositionedSink, Ranges, Streamed

__all__ = ["Answer", "WholeReader", "in_pieces"]

#: Bytes of one request, for a client that fetches what it asks for before it shows any of it.
_PIECE = 4 * 1024 * 1024


class Answer(NamedTuple):
    """Bytes of an object that are still to be read, its whole size, and what names the content."""

    body: Streamed
    size: int
    pin: str
    known: Known = Known()


class WholeReader(ObjectReader):
    """A stream that goes on with the answer it was opened by, as long as it is read in its order.

    Whoever goes elsewhere has ranged requests from there on, as ``ObjectReader`` makes them.
    """

    def __init__(
        self, answer: Answer, again: Ranges, read: Callable[[int, int], bytes], bounds: Bounds
    ) -> None:
        super().__init__(Chunk(b"", answer.size, answer.pin), read)
        self._pin = answer.pin
        self._onward = Onward(again, bounds, answer.body)

    def _fill(self) -> None:
        self._look_around()
        at = self._position
        if self._onward.is_open and at == self._piece_at + len(self._piece):
            try:
                data = self._onward.next(at, self._size, self._pin)
            except Unfit:
                data = b""
            if data:
                self._piece, self._piece_at = data, at
                return
        self._onward.drop()
        super()._fill()

    def drain(self, sink: PositionedSink) -> bool:
        """All of the content into ``sink``, by more connections where that is faster.

        False where it is to be read instead, for which nothing has changed. The sink must then
        forget what it has.
        """
        self._require_open()
        self._look_around()
        if self._position or self._piece_at:
            return False
        try:
            self._onward.drain(sink, self._piece, self._size, self._pin)
        except Unfit:
            return False
        self._position = self._size
        return True

    def _look_around(self) -> None:
        if self._is_inherited:
            self._onward.abandon()
            self._adopt()

    def close(self) -> None:
        self._onward.drop()
        super().close()


class _Pieces:
    """A body of several requests, one after the other."""

    def __init__(
        self, first: Chunk, start: int, stop: int, read: Callable[[int, int], Chunk]
    ) -> None:
        self.start = start
        self.stop = stop
        self._first: bytes = first.data
        self._at = start
        self._read = read
        self.etag: str = first.pin

    def next(self) -> bytes:
        data, self._first = self._first, b""
        if not data and self._at < self.stop:
            end = min(self._at + _PIECE, self.stop)
            data = self._read(self._at, end).data
            if len(data) != end - self._at:
                raise ConnectionError(errno.ECONNRESET, "the answer ended too early")
        self._at += len(data)
        return data

    def close(self) -> None:
        self._first = b""
        self._at = self.stop


def in_pieces(
    client: ObjectClient, key: str, start: int, end: int | None, pin: str | None
) -> Answer:
    """``ObjectClient.stream`` by its ``read``."""
    limit = start + _PIECE if end is None else min(end, start + _PIECE)
    first = client.read(key, start, limit, pin)
    stop = first.size if end is None else min(end, first.size)
    if len(first.data) != min(limit, stop) - start:
        raise ConnectionError(errno.ECONNRESET, "the answer ended too early")
    body = _Pieces(
        first, start, stop, lambda at, until: client.read(key, at, until, pin or first.pin)
    )
    return Answer(body, first.size, first.pin, first.known)
