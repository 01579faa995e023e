"""A web server that answers as it is told: for refusals that no emulator can be made to give."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Self

__all__ = ["Answer", "AnswerServer", "Headers", "Request"]


class Headers(dict[str, str]):
    """Headers as they were sent, found by their names in whatever letters."""

    def _name(self, name: object) -> object:
        wanted = str(name).lower()
        return next((each for each in self if each.lower() == wanted), name)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(self._name(name))

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(str(self._name(name)))

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(str(self._name(name)), default)


class Request(NamedTuple):
    """What a client has sent."""

    method: str
    path: str
    headers: Headers
    body: bytes
    #: When it came, in seconds since the epoch: before its body was read.
    arrived: float


class Answer(NamedTuple):
    """What it gets."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    #: Whether it says how long the body is; otherwise the connection ends with it.
    says_length: bool = True


class _Server(http.server.ThreadingHTTPServer):
    def __init__(self, host: str, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        self.address_family, *_, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        self.accepted = 0
        self.open: set[Any] = set()
        super().__init__(address, handler)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        # A small buffer, so that a pause is felt at the other end.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.accepted += 1
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.open.discard(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a client may leave when it likes."""


class AnswerServer:
    """Answers every request by calling ``answer``, and notes it in ``requests``."""

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        *,
        pause: float = 0.0,
        ahead: float = 0.0,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """``pause`` seconds pass for every 256 KiB received; its clock is ``ahead`` seconds ahead.

        ``tls``: it speaks that.
        """
        self.requests: list[Request] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else a body waits 40 ms for the client to acknowledge the headers.
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                arrived = time.time()
                body = b""
                left = int(self.headers.get("Content-Length") or 0)
                while left > len(body):
                    time.sleep(pause)
                    part = self.rfile.read(min(256 * 1024, left - len(body)))
                    if not part:  # the client has left in the middle of its request
                        self.close_connection = True
                        return
                    body += part
                if self.headers.get("Transfer-Encoding") == "chunked":
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                headers = Headers(self.headers.items())
                request = Request(self.command, self.path, headers, body, arrived)
                outer.requests.append(request)
                given = answer(request)
                self.send_response(given.status)
                for name, value in given.headers:
                    self.send_header(name, value)
                if given.says_length:
                    self.send_header("Content-Length", str(len(given.body)))
                else:
                    self.send_header("Connection", "close")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(given.body)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any  # noqa: N815

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string((timestamp or time.time()) + ahead)

            def log_message(self, *args: object) -> None:
                """Nothing: the requests are noted."""

        self._server = _Server(host, Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        named = f"[{host}]" if ":" in host else host
        self.url = f"{'http' if tls is None else 'https'}://{named}:{self.port}"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def connections(self) -> int:
        """How many connections it was given so far."""
        return self._server.accepted

    @property
    def open_connections(self) -> int:
        """How many of them have not ended."""
        return len(self._server.open)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
