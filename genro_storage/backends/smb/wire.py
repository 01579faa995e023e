"""The bytes under a connection: what comes is received here, and never more than can be meant."""

from __future__ import annotations

import contextlib
import logging
import select
import time
from typing import Any

from smbprotocol.exceptions import SMBException
from smbprotocol.transport import Tcp

__all__ = ["NO_SERVER"]

NO_SERVER = "it does not answer as an SMB server does; check 'host' and 'port'"

# The library tells its logger of what is raised as well; a program that has configured no logging
# would have that on its error output.
logging.getLogger("smbprotocol").addHandler(logging.NullHandler())


class _Watched:
    """A socket that remembers when something last moved on it."""

    def __init__(self, inner: Any) -> None:
        self._socket = inner
        self.moved: float = time.monotonic()

    def recv(self, size: int) -> bytes:
        data: bytes = self._socket.recv(size)
        self.moved = time.monotonic()
        return data

    def send(self, data: bytes) -> int:
        count: int = self._socket.send(data)
        self.moved = time.monotonic()
        return count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class _Wire(Tcp):  # type: ignore[misc]  # the library has no annotations
    """The transport, with a way of receiving that every process and every server can have.

    The library's own asks ``select``, which knows no descriptor above 1023, and takes as much
    memory as whatever answers says, which may be no SMB server at all.
    """

    def connect(self) -> None:
        super().connect()
        self._sock: Any = _Watched(self._sock)
        self._sock.settimeout(self.timeout)

    def recv(self, timeout: float) -> bytes:
        """One message; nothing where the connection has ended, ``TimeoutError`` for none at all."""
        head = self._take(4, timeout, idle=True)
        if not head:
            return b""
        length = int.from_bytes(head, "big")
        if not 0 < length <= self.MAX_SIZE:
            raise SMBException(NO_SERVER)
        return self._take(length, timeout)

    def _take(self, length: int, timeout: float, *, idle: bool = False) -> bytes:
        received = bytearray()
        while len(received) < length:
            # The lock is what close() waits for, so that nobody listens on a closed socket.
            with self._close_lock:
                if not self.connected:
                    return b""
                data = b""
                if _comes(self._sock, timeout):
                    with contextlib.suppress(OSError):
                        data = self._sock.recv(length - len(received))
                elif idle and not received:
                    raise TimeoutError("nothing is received")
            if not data:
                self.close()
                return b""
            received += data
        return bytes(received)


def _comes(sock: Any, timeout: float) -> bool:
    """Whether anything comes on a socket, its end included, within so many seconds."""
    if not hasattr(select, "poll"):  # Windows, whose select() has no such bound
        return bool(select.select([sock], [], [], timeout)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(timeout * 1000))
