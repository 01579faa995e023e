"""Connections for large contents: Python's own HTTP client, whose thread reads what has come itself.

obstore hands a body over from task to task, a few KiB at a time. On two cores that takes so much of
both that none is left to compare a digest, or for a server on the same machine. With small contents
it is the other way round: there the parsing of headers is what counts.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
import time
import weakref
from typing import TYPE_CHECKING, NamedTuple

from .failures import Failure, FailureKind, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Answer", "ConnectionPool", "InsecureError", "Server"]

#: Bytes of the text of an error that are read.
_LARGEST = 64 * 1024
#: So many connections wait for the next request, and seconds for how long they may.
_MOST_IDLE = 16
_IDLE = 15.0
#: Seconds that a step of connecting gets at least.
_LEAST = 0.1


class InsecureError(Exception):
    """No secure connection; another client shall say why."""


class Server(NamedTuple):
    """Where to connect. ``tls`` makes the context, None for plain HTTP; times in seconds.

    ``silence`` is how long the next bytes may take.
    """

    host: str
    port: int
    tls: Callable[[], ssl.SSLContext] | None
    connect: float
    silence: float


class ConnectionPool:
    """Connections to one server, each used by one thread at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._context: ssl.SSLContext | None = None
        self._idle: list[tuple[http.client.HTTPConnection, float]] = []
        weakref.finalize(self, _close_all, self._idle)

    def get(self, target: str, headers: Mapping[str, str]) -> Answer:
        """Ask for ``target``, a path with its query; the answer with a content still to be read.

        ``RequestError`` where there is none, ``InsecureError``.
        """
        connection = self._unused() or self._connected()
        try:
            connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            if answer.status < 300:
                return Answer(answer, connection, self)
            text = answer.read(_LARGEST).decode("utf-8", "replace")
        except BaseException as error:
            connection.close()
            kind = _kind(error)
            if kind is None:
                raise
            raise RequestError(Failure(kind, None, "GET")) from error
        self.give_back(connection, answer)
        raise RequestError(Failure.of_answer(answer.status, "GET", text))

    def give_back(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> None:
        """Nobody reads on: it is for the next request, if it is at the end of the answer."""
        if answer.isclosed() and not answer.will_close and len(self._idle) < _MOST_IDLE:
            self._idle.append((connection, time.monotonic()))
        else:
            answer.close()
            connection.close()

    def _unused(self) -> http.client.HTTPConnection | None:
        while True:
            try:
                found, since = self._idle.pop()
            except IndexError:
                return None
            if time.monotonic() - since < _IDLE and _is_silent(found.sock):
                return found
            found.close()

    def _connected(self) -> http.client.HTTPConnection:
        server = self._server
        made = http.client.HTTPConnection(server.host, server.port)
        made.auto_open = 0  # it would do so without TLS
        made.sock = self._socket()
        made.sock.settimeout(server.silence)
        return made

    def _socket(self) -> socket.socket:
        """A connected one, over TLS where that is wanted; all of it within the time there is."""
        server = self._server
        until = time.monotonic() + server.connect
        found: socket.socket | None = None
        try:
            found = _reached(server, until)
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if server.tls is not None:
                if self._context is None:
                    self._context = server.tls()
                found.settimeout(max(_LEAST, until - time.monotonic()))
                found = self._context.wrap_socket(found, server_hostname=server.host)
        except OSError as error:
            if found is not None:
                found.close()
            if isinstance(error, ssl.SSLError):
                raise InsecureError(str(error)) from error
            kind: FailureKind = "unreachable"
            if isinstance(error, TimeoutError):
                kind = "unanswered"
            elif isinstance(error, socket.gaierror):
                kind = "nameless"
            raise RequestError(Failure(kind, None, "GET")) from error
        return found


def _reached(server: Server, until: float) -> socket.socket:
    """Connected to one of the addresses, each of which gets its part of the time that is left."""
    addresses = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    failure: OSError = ConnectionRefusedError("the name has no address")
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        made = socket.socket(family, kind, protocol)
        left = until - time.monotonic()
        made.settimeout(max(_LEAST, left / (len(addresses) - number)))
        try:
            made.connect(address)
        except OSError as error:
            made.close()
            failure = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise failure


def _kind(error: BaseException) -> FailureKind | None:
    if isinstance(error, TimeoutError):
        return "timeout"
    return "broken" if isinstance(error, OSError | http.client.HTTPException) else None


def _is_silent(sock: socket.socket) -> bool:
    """Whether nothing has come since the last answer, as the end of the connection would."""
    if not hasattr(select, "poll"):
        return not select.select([sock], [], [], 0)[0]
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)


def _close_all(idle: list[tuple[http.client.HTTPConnection, float]]) -> None:
    while idle:
        idle.pop()[0].close()


class Answer:
    """An answer with a content; read by one thread. Its connection is closed if it is forgotten."""

    def __init__(
        self,
        answer: http.client.HTTPResponse,
        connection: http.client.HTTPConnection,
        pool: ConnectionPool,
    ) -> None:
        self._answer = answer
        self._connection: http.client.HTTPConnection | None = connection
        self._pool = pool
        self.status: int = answer.status
        #: Bytes of the content, None where it is not told.
        self.length: int | None = answer.length
        self._left = answer.length or 0
        self._reading = threading.Lock()
        if self.length == 0:
            self.close()

    def headers(self) -> list[tuple[str, str]]:
        """In their order, the names as they were sent."""
        return self._answer.getheaders()

    def header(self, name: str) -> str | None:
        """One of them, the first of its name."""
        return self._answer.headers.get(name)

    def next(self, most: int) -> bytes:
        """As many bytes, fewer at the end, none after it. ``RequestError`` where it breaks."""
        with self._reading:
            if not self._left:
                return b""
            try:
                data = self._answer.read(min(most, self._left))
            except (OSError, http.client.HTTPException) as error:
                self._end()
                raise RequestError(Failure(_kind(error) or "broken", None, "GET")) from error
            if not data:
                self._end()
                raise RequestError(Failure("broken", None, "GET"))
            self._left -= len(data)
            if not self._left:
                self._end()
            return data

    def close(self) -> None:
        """Nobody reads on."""
        # After an interrupt another thread may still do, for which nobody shall wait. It is closed
        # when that has forgotten it.
        if self._reading.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._reading.release()

    def _end(self) -> None:
        is_whole = self.length is not None and not self._left
        self._left = 0
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if is_whole:
            self._pool.give_back(connection, self._answer)
        else:
            self._answer.close()
            connection.close()

    def __del__(self) -> None:
        self.close()
