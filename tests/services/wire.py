"""As much of HTTP/1.1 (RFC 9112) as a proxy needs: heads, and bodies that pass in small pieces."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = ["Hangup", "Head", "Peer", "connect"]

#: Bytes that pass at once.
PIECE = 64 * 1024
_LONGEST_HEAD = 256 * 1024


class Hangup(Exception):  # noqa: N818 - an everyday event
    """The other side ended the connection before it was its turn."""


class Head(NamedTuple):
    """The first line and the header fields of a message, and the bytes that they came in.

    Names are in lower case; of a field that is repeated, the last one counts.
    """

    first: tuple[str, str, str]
    fields: dict[str, str]
    raw: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """From everything up to and with the empty line."""
        lines = raw.decode("latin-1").split("\r\n")
        a, b, c = (*lines[0].split(" ", 2), "", "")[:3]
        fields: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                fields[name.lower()] = value.strip()
        return cls((a, b, c), fields, raw)

    @property
    def is_chunked(self) -> bool:
        """Whether the body says its length piece by piece."""
        return self.fields.get("transfer-encoding", "").lower().endswith("chunked")

    @property
    def length(self) -> int | None:
        """The bytes of the body, None where the head does not say."""
        found = self.fields.get("content-length")
        return None if found is None else int(found)

    @property
    def keeps_open(self) -> bool:
        """Whether another message may follow on the connection."""
        version = self.first[0] if self.first[0].startswith("HTTP/") else self.first[2]
        wish = self.fields.get("connection", "").lower()
        return wish != "close" if version == "HTTP/1.1" else wish == "keep-alive"

    def without(self, name: str) -> bytes:
        """The bytes of the head without one field."""
        found = [
            line
            for line in self.raw.split(b"\r\n")
            if line.partition(b":")[0].lower() != name.encode()
        ]
        return b"\r\n".join(found)


class Peer:
    """One end of a connection, read through a buffer."""

    def __init__(self, end: socket.socket) -> None:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = end
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """All of it; ``Hangup`` where nobody listens any more."""
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Hangup from error

    def _more(self) -> bytes:
        try:
            data = self.socket.recv(PIECE)
        except OSError as error:
            raise Hangup from error
        if not data:
            raise Hangup
        return data

    def _until(self, mark: bytes) -> bytes:
        while (at := self._buffer.find(mark)) < 0:
            if len(self._buffer) > _LONGEST_HEAD:
                raise Hangup
            self._buffer += self._more()
        at += len(mark)
        found, self._buffer = self._buffer[:at], self._buffer[at:]
        return found

    def head(self) -> Head:
        """The next head."""
        return Head.parse(self._until(b"\r\n\r\n"))

    def pour(self, count: int, sink: Callable[[bytes], object]) -> None:
        """The next ``count`` bytes, to ``sink`` as they come."""
        while count > 0:
            data, self._buffer = self._buffer or self._more(), b""
            data, self._buffer = data[:count], data[count:]
            count -= len(data)
            sink(data)

    def pour_chunks(self, sink: Callable[[bytes], object]) -> None:
        """A body in chunks, with what stands around them."""
        size = 1
        while size:
            line = self._until(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            sink(line)
            self.pour(size, sink)
            if size:
                sink(self._until(b"\r\n"))
        while True:  # trailers
            line = self._until(b"\r\n")
            sink(line)
            if line == b"\r\n":
                return

    def pour_rest(self, sink: Callable[[bytes], object]) -> None:
        """Everything up to the end of the connection."""
        data, self._buffer = self._buffer, b""
        while data:
            sink(data)
            try:
                data = self._more()
            except Hangup:
                return

    @property
    def is_stale(self) -> bool:
        """Whether it was ended, or speaks out of turn, while nothing was asked."""
        return bool(self._buffer) or bool(select.select([self.socket], [], [], 0)[0])

    def close(self) -> None:
        """End the connection as one should."""
        with contextlib.suppress(OSError):  # it may have ended already
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def reset(self) -> None:
        """End it with a RST: what is under way is lost."""
        # On, for no time at all.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


def connect(port: int) -> Peer:
    """A connection to a server of this machine."""
    try:
        return Peer(socket.create_connection(("127.0.0.1", port), 60))
    except OSError as error:
        raise Hangup from error
