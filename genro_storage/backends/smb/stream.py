"""The contents of files on a share: several requests under way, few pieces in memory."""

from __future__ import annotations

import contextlib
import errno
import io
from collections import deque
from typing import TYPE_CHECKING, Any

from smbprotocol.exceptions import EndOfFile, SMBException, SMBResponseException

from ..positioned import PositionedStream
from .client import CHUNK, WRITE_CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .client import Link

__all__ = ["SmbReader", "chunks_of", "write_all"]

#: How many pieces are asked for, or sent, before the first is answered.
_AHEAD = 4


class SmbReader(PositionedStream):
    """An open file that is read, ahead of the reader where that goes straight on.

    The size is that of the moment when it was opened: what others append later is not seen.
    """

    def __init__(self, link: Link, opened: Any) -> None:
        super().__init__()
        self._link = link
        self._opened = opened
        self._piece = min(CHUNK, link.max_read_size)
        self._sent: deque[tuple[int, int, Any]] = deque()
        self._rest = b""  # what was received and not read yet, from _position on
        self._straight = 0  # how many bytes were read in a row
        self.size: int = int(opened.end_of_file)

    def _end(self) -> int:
        return self.size

    def _move(self, position: int) -> None:
        ahead = position - self._position
        if 0 < ahead < len(self._rest):
            self._rest = self._rest[ahead:]
        else:
            self._rest = b""
            self._forget()
            self._straight = 0
        self._position = position

    def read(self, size: int = -1) -> bytes:
        """``size`` bytes, or what there is until the end."""
        self._require_open()
        wanted = max(0, self.size - self._position)
        if size >= 0:
            wanted = min(wanted, size)
        start = self._position
        parts: list[bytes] = []
        try:
            while wanted > 0:
                if not self._rest:
                    self._rest = self._next(wanted)
                    if not self._rest:
                        break  # somebody has cut the file short
                part, self._rest = self._rest[:wanted], self._rest[wanted:]
                parts.append(part)
                wanted -= len(part)
                self._position += len(part)
                self._straight += len(part)
        except BaseException:
            # Nothing of it has been handed out: whoever goes on reads it again.
            self._rest = b""
            self._position = start
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _next(self, wanted: int) -> bytes:
        """The piece at the position, which is what was asked for first."""
        if self._sent and self._sent[0][0] != self._position:
            self._forget()  # a read that was interrupted has left it
        following = self._sent[-1][0] + self._sent[-1][1] if self._sent else self._position
        # Ahead only of who reads on: a look at the beginning of a file should cost no more.
        until = self._position + wanted
        if self._straight >= self._piece // 4:
            until = max(until, self._position + _AHEAD * self._piece)
        until = min(until, self.size)
        while following < until and len(self._sent) < _AHEAD:
            length = min(self._piece, until - following)
            message = self._opened.read(following, length, send=False)
            self._sent.append((following, length, self._link.send(message)))
            following += length
        # Taken off only when it has been answered: an interrupted wait can be taken up again.
        _, length, sent = self._sent[0]
        try:
            data: bytes = self._link.answer(sent)
        except EndOfFile:
            data = b""
        except SMBResponseException:
            self._forget()
            raise
        self._sent.popleft()
        if len(data) < length:
            self._forget()
        return data

    def _forget(self) -> None:
        """Take the answers to what nobody wants to know any more."""
        while self._sent:
            with contextlib.suppress(SMBResponseException):
                self._link.answer(self._sent.popleft()[2])

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        self._rest = b""
        # Where the connection is gone, so is everything that was open or under way on it.
        with contextlib.suppress(SMBException, OSError):
            if not self._link.is_busy_here:
                self._forget()
        self._link.close_file(self._opened)


def write_all(link: Link, opened: Any, chunks: Iterable[bytes], start: int = 0) -> int:
    """Write at ``start`` and after; returns the number of bytes."""
    piece = min(WRITE_CHUNK, link.max_write_size)
    sent: deque[tuple[int, Any]] = deque()
    position = start
    try:
        for chunk in chunks:
            for begin in range(0, len(chunk), piece):
                data = chunk[begin : begin + piece]
                message = opened.write(data, offset=position, send=False)
                sent.append((len(data), link.send(message)))
                position += len(data)
                if len(sent) >= _AHEAD:
                    _acknowledged(link, sent[0])
                    sent.popleft()
        while sent:
            _acknowledged(link, sent[0])
            sent.popleft()
    except BaseException:
        # The full disk says so once for each piece; an answer that nobody takes is kept for ever.
        # And what is still under way must have been carried out before anybody undoes it.
        for _, request in sent:
            with contextlib.suppress(SMBException, OSError):
                link.answer(request)
        raise
    return position - start


def _acknowledged(link: Link, sent: tuple[int, Any]) -> None:
    length, request = sent
    if link.answer(request) != length:
        raise OSError(errno.EIO, "the server has written less than it was given")


def chunks_of(source: io.BufferedIOBase | Any) -> Iterator[bytes]:
    """A local file in pieces."""
    while chunk := source.read(CHUNK):
        yield chunk
