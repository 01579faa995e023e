"""What webdav and github share: an httpx client that threads, forks and the end of a mount leave whole."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["WebClient", "whole"]

#: Bytes of a body that is read at once: one without an end would fill the memory.
_LARGEST = 256 * 1024 * 1024
#: Headers that speak of a body on its way, not of the one that has arrived.
_ON_THE_WAY = ("content-encoding", "content-length", "transfer-encoding")


@dataclass(eq=False)
class _Shared:
    """A client, how many requests are under way on it, and whether it is to end after them."""

    client: httpx.Client
    users: int = 0
    is_retired: bool = False


class WebClient:
    """The client of one mount, made at the first request, and anew after ``close``.

    Closing one of httpx breaks the connections of other threads off, even under their hands: here
    it waits for those who use it. After a fork two processes would talk on one connection: the
    child gets a client of its own.
    """

    def __init__(self, make: Callable[[], httpx.Client]) -> None:
        self._make = make
        # The collector may close a stream, which gives the client back, at any moment.
        self._lock = threading.RLock()
        self._shared: _Shared | None = None
        self._inherited: list[_Shared] = []
        _clients.add(self)

    def stream(self, method: str, url: str, **options: Any) -> httpx.Response:
        """The answer, whatever it is, with its body still to be read; the caller closes it."""
        shared = self._borrow()
        try:
            request = shared.client.build_request(method, url, **options)
            answer = shared.client.send(request, stream=True)
        except BaseException:
            self._give_back(shared)
            raise
        assert isinstance(answer.stream, httpx.SyncByteStream)
        answer.stream = _Lent(answer.stream, functools.partial(self._give_back, shared))
        return answer

    def close(self) -> None:
        """Drop the connections, those in use when they are not any more."""
        with self._lock:
            shared, self._shared = self._shared, None
            if shared is None:
                return
            shared.is_retired = True
            is_unused = shared.users == 0
        if is_unused:
            shared.client.close()

    def leave_behind(self) -> None:
        """In a forked child: the client is the parent's, and so is whoever holds the lock."""
        self._lock = threading.RLock()
        if self._shared is not None:
            self._inherited.append(self._shared)
            self._shared = None

    def _borrow(self) -> _Shared:
        with self._lock:
            if self._shared is None:
                self._shared = _Shared(self._make())
                weakref.finalize(self, self._shared.client.close).atexit = False
            self._shared.users += 1
            return self._shared

    def _give_back(self, shared: _Shared) -> None:
        with self._lock:
            shared.users -= 1
            is_last = shared.is_retired and shared.users == 0
        if is_last:
            shared.client.close()


class _Lent(httpx.SyncByteStream):
    """The body of an answer, which gives the client back when it is closed."""

    def __init__(self, body: httpx.SyncByteStream, done: Callable[[], None]) -> None:
        self._body = body
        self._done: Callable[[], None] | None = done

    def __iter__(self) -> Iterator[bytes]:
        yield from self._body

    def close(self) -> None:
        done, self._done = self._done, None
        try:
            self._body.close()
        finally:
            if done is not None:
                done()


def whole(answer: httpx.Response) -> httpx.Response:
    """The same answer with its body, which is not compressed any more; ``OSError`` without an end.

    Closes the one that it was given.
    """
    parts: list[bytes] = []
    size = 0
    with contextlib.closing(answer):
        for part in answer.iter_bytes():
            size += len(part)
            if size > _LARGEST:
                raise OSError(
                    errno.EMSGSIZE,
                    f"the server's answer has more than {_LARGEST // (1024 * 1024)} MiB",
                )
            parts.append(part)
    kept = [each for each in answer.headers.multi_items() if each[0].lower() not in _ON_THE_WAY]
    return httpx.Response(
        answer.status_code, headers=kept, content=b"".join(parts), request=answer.request
    )


_clients: weakref.WeakSet[WebClient] = weakref.WeakSet()


def _leave_all_behind() -> None:
    for client in list(_clients):
        client.leave_behind()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_behind)
