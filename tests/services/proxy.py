"""A proxy before a server: it notes every request, and can refuse, throttle and break them.

It forwards heads unchanged (a signature covers ``Host``) and bodies in small pieces.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote

from .wire import Hangup, Head, Peer, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from .faults import Fault, Faults

__all__ = ["Asked", "Proxy", "Refusal"]


class Asked(NamedTuple):
    """A request as it arrived; ``headers`` have names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def operation(self) -> str:
        """What it is to S3: ``LIST``, ``HEAD``, ``GET``, ``PUT``, ``DELETE``, ``POST?delete`` …"""
        if self.method == "GET" and "list-type" in self.query:
            return "LIST"
        known = ("uploads", "uploadId", "delete", "tagging", "versioning", "versions", "location")
        part = next((name for name in known if name in self.query), None)
        return self.method if part is None else f"{self.method}?{part}"


class Refusal(NamedTuple):
    """An answer in place of the server's, in the words of S3."""

    status: int
    code: str
    message: str = "as the tests want it"

    def encode(self, method: str) -> bytes:
        """The bytes of the answer; one to a HEAD has no body."""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{self.code}</Code><Message>{self.message}</Message></Error>"
        ).encode()
        head = (
            f"HTTP/1.1 {self.status} {self.code}\r\nContent-Type: application/xml\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        return head if method == "HEAD" else head + body


_INTERNAL = Refusal(500, "InternalError")
_INSTEAD: dict[str, Refusal] = {"error": _INTERNAL, "slow_down": Refusal(503, "SlowDown")}


class Proxy:
    """Forwards requests to ``target``, a port of this machine, from a port of its own.

    ``requests`` are those that arrived, in order; ``gate`` may refuse one; ``faults`` decides
    what goes wrong; ``speed`` is how many bytes of bodies may pass in a second, in both directions
    together (None: as many as come). All can be changed while it runs.
    """

    def __init__(
        self,
        target: int,
        *,
        gate: Callable[[Asked], Refusal | None] | None = None,
        faults: Faults | None = None,
        speed: float | None = None,
    ) -> None:
        self.target = target
        self.gate = gate
        self.faults = faults
        self.speed = speed
        self.requests: list[Asked] = []
        #: Those of them that met a fault, and which.
        self.broken: list[tuple[Asked, Fault]] = []
        #: How many answers of the server itself said that it has failed (500 and more).
        self.failed = 0
        #: Bytes of bodies that have passed.
        self.passed = 0
        self._plan: tuple[int, Callable[[], object]] | None = None
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._open: set[Peer] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def after(self, count: int, action: Callable[[], object]) -> None:
        """Call ``action`` once, when ``count`` more bytes of bodies have passed."""
        with self._lock:
            self._plan = (self.passed + count, action)

    @contextlib.contextmanager
    def counting(self) -> Iterator[list[Asked]]:
        """What is asked in the block; the list is filled at its end."""
        found: list[Asked] = []
        before = len(self.requests)
        yield found
        found += self.requests[before:]

    def close(self) -> None:
        """End all connections, and listen no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            hanging, self._open = self._open, set()
        for each in hanging:
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- connections --------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                end, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(Peer(end),), daemon=True).start()

    def _serve(self, client: Peer) -> None:
        """One connection of a client, and one to the server behind it."""
        line = _Line(self, client)
        with self._lock:
            self._open.add(client)
        with contextlib.suppress(Hangup):
            while line.exchange():
                pass
        with self._lock:
            self._open.discard(client)
        line.close()

    def _pass(self, count: int) -> None:
        """Count bytes, and wait until as many may pass."""
        due = None
        with self._lock:
            self.passed += count
            if self._plan is not None and self.passed >= self._plan[0]:
                due, self._plan = self._plan[1], None
            pause = 0.0
            if self.speed is not None:
                now = time.monotonic()
                self._free_at = max(now, self._free_at) + count / self.speed
                pause = self._free_at - now
        if due is not None:
            due()
        if pause > 0:
            time.sleep(pause)


class _Line:
    """What one connection of a client goes through."""

    def __init__(self, proxy: Proxy, client: Peer) -> None:
        self.proxy = proxy
        self.client = client
        self.server: Peer | None = None

    def close(self) -> None:
        self.client.close()
        if self.server is not None:
            self.server.close()

    def exchange(self) -> bool:
        """One request and its answer; whether another may follow. ``Hangup`` where it breaks off."""
        head = self.client.head()
        asked = _asked(head)
        self.proxy.requests.append(asked)
        if head.fields.get("expect", "").lower() == "100-continue":
            self.client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        refusal = self.proxy.gate(asked) if self.proxy.gate is not None else None
        fault = self.proxy.faults.next() if self.proxy.faults is not None else None
        if fault is not None:
            self.proxy.broken.append((asked, fault))
        if fault == "reset_before" or (fault == "cut_upload" and not head.length):
            self.client.reset()
            return False
        if refusal is None and fault is not None:
            refusal = _INSTEAD.get(fault)
        if refusal is not None:
            self._upload(head, _drop)
            self.client.send(refusal.encode(asked.method))
            return head.keeps_open
        if fault == "delay":
            assert self.proxy.faults is not None
            time.sleep(self.proxy.faults.pause)
        server = self._behind()
        server.send(head.without("expect"))
        if fault == "cut_upload":
            assert head.length
            self.client.pour(head.length // 2, server.send)
            server.close()
            self.client.reset()
            return False
        self._upload(head, server.send)
        return self._answer(head, server, fault)

    def _behind(self) -> Peer:
        if self.server is None or self.server.is_stale:
            if self.server is not None:
                self.server.close()
            self.server = connect(self.proxy.target)
        return self.server

    def _upload(self, head: Head, sink: Callable[[bytes], object]) -> None:
        if head.is_chunked:
            self.client.pour_chunks(self._metered(sink))
        else:
            self.client.pour(head.length or 0, self._metered(sink))

    def _metered(self, sink: Callable[[bytes], object]) -> Callable[[bytes], object]:
        def step(data: bytes) -> None:
            self.proxy._pass(len(data))
            sink(data)

        return step

    def _answer(self, asked: Head, server: Peer, fault: Fault | None) -> bool:
        answer = server.head()
        while answer.first[1] == "100":
            answer = server.head()
        method, status = asked.first[0], answer.first[1]
        empty = method == "HEAD" or status in {"204", "304"} or answer.length == 0
        if fault == "reset_after" or (fault == "cut_download" and empty):
            self.client.reset()
            return False
        if fault == "lost_answer":
            self.client.send(_INTERNAL.encode(method))
            return self._left(answer, server, empty)
        if status >= "500":
            with self.proxy._lock:
                self.proxy.failed += 1
        self.client.send(answer.raw)
        if fault == "cut_download":
            server.pour((answer.length or 0) // 2, self.client.send)
            return False
        return self._left(answer, server, empty, self.client.send) and asked.keeps_open

    def _left(
        self,
        answer: Head,
        server: Peer,
        empty: bool,
        sink: Callable[[bytes], object] | None = None,
    ) -> bool:
        """The body; whether the connection goes on."""
        to = self._metered(sink or _drop)
        if empty:
            pass
        elif answer.is_chunked:
            server.pour_chunks(to)
        elif answer.length is not None:
            server.pour(answer.length, to)
        else:
            server.pour_rest(to)
            return False
        if not answer.keeps_open:
            # Told to the client with the head, unless the answer is not the server's.
            server.close()
            self.server = None
            return sink is None
        return True


def _drop(_: bytes) -> None:
    """Nobody gets it."""


def _asked(head: Head) -> Asked:
    method, target, _ = head.first
    path, _, query = target.partition("?")
    return Asked(method, unquote(path), dict(parse_qsl(query, keep_blank_values=True)), head.fields)
