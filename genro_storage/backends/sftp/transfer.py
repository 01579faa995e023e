"""Moving bytes over one SFTP session: many requests on the way at once, a bounded number of them."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct
from collections import deque
from typing import TYPE_CHECKING, Any, BinaryIO

from ..positioned import PositionedStream
from .packets import READ, WRITE, text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from .session import Session

__all__ = ["CHUNK", "WINDOW", "FileReader", "is_part_of", "read_chunks", "write_all"]

#: Bytes of one request: what every server accepts (draft-ietf-secsh-filexfer-02, section 3).
CHUNK = 32 * 1024
#: Requests on the way at once: 2 MiB, the window that OpenSSH gives to a channel.
WINDOW = 64


class _Ahead:
    """Reads on ahead of who consumes, first a little, then more: most files are small."""

    def __init__(self, session: Session, handle: bytes, start: int, end: int | None) -> None:
        self._session = session
        self._handle = text(handle)
        self._position = start
        self._end = end
        self._allowed = 2
        self._on_the_way: deque[tuple[int, int, int]] = deque()

    def _ask(self) -> None:
        while len(self._on_the_way) < self._allowed:
            length = CHUNK
            if self._end is not None:
                length = min(CHUNK, self._end - self._position)
                if length <= 0:
                    return
            self._on_the_way.append(self._request(self._position, length))
            self._position += length

    def _request(self, offset: int, length: int) -> tuple[int, int, int]:
        body = self._handle + struct.pack(">QI", offset, length)
        return self._session.send(READ, body), offset, length

    def next(self) -> bytes:
        """The next bytes of the file, none at its end."""
        self._ask()
        if not self._on_the_way:
            return b""
        number, offset, length = self._on_the_way.popleft()
        data = self._session.data(number)
        if not data:
            self.forget()
            self._end = offset
            return b""
        if len(data) < length:
            # Some servers answer with less than was asked: the rest comes before what follows.
            missing = self._request(offset + len(data), length - len(data))
            self._on_the_way.appendleft(missing)
        else:
            self._allowed = min(WINDOW, 2 * self._allowed)
        return data[:length]

    def forget(self) -> None:
        """Drop what is on the way."""
        self._session.forget(number for number, _, _ in self._on_the_way)
        self._on_the_way.clear()


def read_chunks(
    session: Session, handle: bytes, start: int = 0, end: int | None = None
) -> Iterator[bytes]:
    """The bytes from ``start`` up to ``end`` (None: the end of the file), piece by piece."""
    ahead = _Ahead(session, handle, start, end)
    try:
        while data := ahead.next():
            yield data
    finally:
        ahead.forget()


def write_all(session: Session, handle: bytes, source: BinaryIO, offset: int = 0) -> int:
    """Write all of ``source`` from ``offset`` on; returns how many bytes that were.

    Every answer is waited for before this returns. After an error nothing is known about the
    requests that came behind it.
    """
    field, start = text(handle), offset
    on_the_way: deque[int] = deque()
    try:
        while chunk := source.read(CHUNK):
            if len(on_the_way) >= WINDOW:
                session.done(on_the_way.popleft())
            head = field + struct.pack(">QI", offset, len(chunk))
            on_the_way.append(session.send(WRITE, head, chunk))
            offset += len(chunk)
        while on_the_way:
            session.done(on_the_way.popleft())
    finally:
        session.forget(on_the_way)
    return offset - start


def is_part_of(found: Iterable[bytes], source: BinaryIO) -> bool:
    """Whether it is what came of writing ``source``: of each request all, the beginning, or none."""
    pieces, rest = iter(found), b""
    while True:
        piece = source.read(CHUNK)
        while len(rest) < len(piece) and (more := next(pieces, b"")):
            rest += more
        if not rest or not piece:
            return not rest and not next(pieces, b"")
        if rest.startswith(piece):
            rest = rest[len(piece) :]
        else:
            same = itertools.takewhile(
                lambda pair: pair[0] == pair[1], zip(rest, piece, strict=False)
            )
            rest = rest[sum(1 for _ in same) :]


class FileReader(PositionedStream):
    """An open file of the server. ``release`` is called once, when it is closed."""

    def __init__(
        self, session: Session, handle: bytes, size: int | None, release: Callable[[], None]
    ) -> None:
        super().__init__()
        session.expect_drops()
        self._session = session
        self._handle = handle
        self._size = size
        self._release = release
        self._ahead: _Ahead | None = None
        self._rest = memoryview(b"")

    def readinto(self, buffer: Any) -> int:
        target = memoryview(buffer).cast("B")
        at = 0
        with self._staying_on_failure():
            for piece in self._take(len(target)):
                target[at : at + len(piece)] = piece
                at += len(piece)
        return at

    def read(self, size: int | None = -1, /) -> bytes:
        """All that was asked for, less only at the end of the file."""
        with self._staying_on_failure():
            return b"".join(self._take(None if size is None or size < 0 else size))

    @contextlib.contextmanager
    def _staying_on_failure(self) -> Generator[None]:
        """Whoever reads on after a failure must get what that reading would have given."""
        position = self._position
        try:
            yield
        except BaseException:
            self._stop()
            self._position = position
            raise

    def _take(self, size: int | None) -> Iterator[memoryview]:
        self._require_open()
        while size is None or size > 0:
            if not self._rest:
                if self._ahead is None:
                    self._ahead = _Ahead(self._session, self._handle, self._position, None)
                self._rest = memoryview(self._ahead.next())
                if not self._rest:
                    return
            piece = self._rest if size is None else self._rest[:size]
            self._rest = self._rest[len(piece) :]
            self._position += len(piece)
            if size is not None:
                size -= len(piece)
            yield piece

    def _end(self) -> int:
        if self._size is None:
            raise io.UnsupportedOperation("the server does not tell the size of the file")
        return self._size

    def _move(self, position: int) -> None:
        ahead = position - self._position
        if 0 <= ahead <= len(self._rest):
            self._rest = self._rest[ahead:]
        else:
            self._stop()
        self._position = position

    def close(self) -> None:
        if not self.closed:
            try:
                self._stop()
                self._session.drop_later(self._handle)
            finally:
                super().close()
                self._release()

    def _stop(self) -> None:
        self._rest = memoryview(b"")
        if self._ahead is not None:
            self._ahead.forget()
            self._ahead = None
