"""Requests for large contents by urllib3, whose caller reads the socket itself.

obstore hands a body over from task to task, a few KiB at a time. On two cores that takes so much of
both that none is left to compare a digest, or for a server on the same machine. With small contents
it is the other way round: there the parsing of headers is what counts.
"""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING, NamedTuple

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from .failures import Failure, FailureKind, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from urllib3.response import BaseHTTPResponse

__all__ = ["Answer", "Connections", "InsecureError", "Server"]

#: Bytes of the text of an error that are read.
_LARGEST = 64 * 1024
#: So many connections wait for the next request.
_KEPT = 16


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


class Connections:
    """Those to one server. Thread-safe."""

    def __init__(self, server: Server) -> None:
        timeout = urllib3.Timeout(connect=server.connect, read=server.silence)
        # In brackets an address of IPv6 is one for every version of urllib3.
        host = f"[{server.host}]" if ":" in server.host else server.host
        self._pool = (
            urllib3.HTTPConnectionPool(host, server.port, maxsize=_KEPT, timeout=timeout)
            if server.tls is None
            else urllib3.HTTPSConnectionPool(
                host, server.port, maxsize=_KEPT, timeout=timeout, ssl_context=server.tls()
            )
        )

    def get(self, target: str, headers: Mapping[str, str]) -> Answer:
        """Ask for ``target``, a path with its query; the answer with a content still to be read.

        ``RequestError`` where there is none, ``InsecureError``.
        """
        try:
            response = self._pool.urlopen(
                "GET",
                target,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
            if response.status < 300:
                return Answer(response)
            text = response.read(_LARGEST, decode_content=False).decode("utf-8", "replace")
            response.close()  # its connection, too, unless it was read to its end
        except SSLError as error:
            raise InsecureError(str(error)) from error
        except (HTTPError, OSError) as error:
            raise RequestError(Failure(_kind(error), None, "GET")) from error
        raise RequestError(Failure.of_answer(response.status, "GET", text))


def _kind(error: Exception) -> FailureKind:
    # A connection that fails is a timeout by its class.
    if isinstance(error, NameResolutionError):
        return "nameless"
    if isinstance(error, NewConnectionError):
        return "unreachable"
    if isinstance(error, ConnectTimeoutError):
        return "unanswered"
    return "timeout" if isinstance(error, ReadTimeoutError | TimeoutError) else "broken"


class Answer:
    """An answer with a content; read by one thread. Its connection is closed if it is forgotten."""

    def __init__(self, response: BaseHTTPResponse) -> None:
        self._response = response
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        #: Bytes of the content, None where it is not told.
        self.length: int | None = response.length_remaining
        self._left = self.length or 0
        self._reading = threading.Lock()

    def next(self, most: int) -> bytes:
        """As many bytes, fewer at the end, none after it. ``RequestError`` where it breaks."""
        with self._reading:
            if not self._left:
                return b""
            try:
                data = self._response.read(min(most, self._left), decode_content=False)
            except (HTTPError, OSError) as error:
                self._end()
                raise RequestError(Failure(_kind(error), None, "GET")) from error
            if not data:
                self._end()
                raise RequestError(Failure("broken", None, "GET"))
            self._left -= len(data)
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
        # At its end it has given its connection back, and closes it no more.
        self._left = 0
        self._response.close()
        self._response.release_conn()
