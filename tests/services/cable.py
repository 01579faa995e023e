"""A cable between a client and a server: it counts what passes, and can be pulled out."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = ["Cable"]


class Cable:
    """Forwards connections to ``target``, a port of this machine, from a port of its own.

    ``passed`` counts bytes, ``accepted`` connections.

    ``after(n, action)`` calls ``action`` once, when ``n`` more bytes have passed in both
    directions together: the way to do something in the middle of a transfer, whatever the speed.
    ``cut`` breaks all connections and refuses new ones until ``mend``; ``mute`` swallows
    everything, so that both sides wait.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.passed = 0
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._plan: tuple[int, Callable[[], object]] | None = None
        self._is_cut = False
        self._is_mute = False
        threading.Thread(target=self._accept, daemon=True).start()

    def after(self, count: int, action: Callable[[], object]) -> None:
        """Call ``action`` when ``count`` more bytes have passed."""
        with self._lock:
            self._plan = (self.passed + count, action)

    @property
    def is_due(self) -> bool:
        """Whether the action of ``after`` has not been called yet."""
        return self._plan is not None

    def cut(self) -> None:
        """Break every connection; refuse new ones."""
        with self._lock:
            self._is_cut = True
            hanging, self._open = self._open, set()
        for each in hanging:
            _end(each)

    def mend(self) -> None:
        """Let everything pass again."""
        with self._lock:
            self._is_cut = self._is_mute = False

    def mute(self) -> None:
        """Swallow everything from now on, in both directions."""
        self._is_mute = True

    def close(self) -> None:
        """End of the cable."""
        self.cut()
        _end(self._listener)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self._is_cut:
                    raise ConnectionRefusedError
                server = socket.create_connection(("127.0.0.1", self.target), 10)
                server.settimeout(None)
            except OSError:
                _end(client)
                continue
            self.accepted += 1
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=ends, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if self._is_mute:
                    continue
                due = None
                with self._lock:
                    self.passed += len(data)
                    if self._plan is not None and self.passed >= self._plan[0]:
                        due, self._plan = self._plan[1], None
                if due is not None:
                    due()
                sink.sendall(data)
        for each in (source, sink):
            with self._lock:
                self._open.discard(each)
            _end(each)


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
