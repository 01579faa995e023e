"""Reading an object piece by piece: seekable, in bounded memory, and of one generation only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..positioned import PositionedStream
from .verifying import Known

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FIRST", "PIECE", "Chunk", "ObjectReader"]

#: Bytes that opening fetches at once: enough for most files, little for a look at a header.
FIRST = 1024 * 1024
#: Bytes of one request of a long transfer.
PIECE = 8 * 1024 * 1024
_AFTER_A_SEEK = 256 * 1024
_GROWTH = 4


class Chunk(NamedTuple):
    """Some bytes of an object, its whole size, and what names this very content of it."""

    data: bytes
    size: int
    pin: str
    known: Known = Known()


class ObjectReader(PositionedStream):
    """A stream over ranged requests, which grow while they are read one after the other.

    ``first`` is what the object begins with; ``read(start, end)`` gets more of the same content,
    and fails where it has been replaced meanwhile. At most ``PIECE`` bytes are held.
    """

    def __init__(self, first: Chunk, read: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._read = read
        self._size = first.size
        self._piece = first.data
        self._piece_at = 0
        self._window = FIRST

    def _end(self) -> int:
        return self._size

    def readinto(self, buffer: Any) -> int:
        self._require_open()
        view = memoryview(buffer).cast("B")
        if self._position >= self._size or not view:
            return 0
        if not 0 <= self._position - self._piece_at < len(self._piece):
            self._fill()
        start = self._position - self._piece_at
        data = self._piece[start : start + len(view)]
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _fill(self) -> None:
        goes_on = self._position == self._piece_at + len(self._piece)
        self._window = min(self._window * _GROWTH, PIECE) if goes_on else _AFTER_A_SEEK
        end = min(self._position + self._window, self._size)
        self._piece = b""  # not two at a time
        data = self._read(self._position, end)
        self._piece, self._piece_at = data, self._position

    def close(self) -> None:
        self._piece = b""
        super().close()
