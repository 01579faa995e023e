"""The content of a file on GitHub as a stream, which goes on where the network has failed."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from ..positioned import PositionedStream
from .github_client import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from .github_client import Api

__all__ = ["BlobStream"]

#: Bytes ahead that are rather read than asked for by a new request.
_NEAR = 1024 * 1024
_CHUNK = 256 * 1024


class BlobStream(PositionedStream):
    """The bytes of a blob up to ``stop``, from ``start`` on; both are absolute positions.

    A blob never changes, so that what is asked for again is the same.
    """

    def __init__(
        self, api: Api, blob: str, size: int, *, start: int = 0, stop: int | None = None
    ) -> None:
        super().__init__(start)
        self._api = api
        self._path = f"/git/blobs/{blob}"
        self._size = size
        self._stop = size if stop is None else min(stop, size)
        self._ranged = stop is not None
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._rest = b""
        #: Where in the content the next byte of ``_rest`` and ``_chunks`` is.
        self._reached = 0
        self._inherited: list[httpx.Response] = []

    def open(self) -> BlobStream:
        """Make the first request now, so that its error comes from opening."""
        if self._position < self._stop:
            self._api.repeated(lambda _: self._fill())
        return self

    def readinto(self, buffer: Any) -> int:
        self._require_open()
        view = memoryview(buffer).cast("B")
        if not view or self._position >= self._stop:
            return 0
        self._api.repeated(lambda _: self._fill())
        part = self._rest[: min(len(view), self._stop - self._position)]
        view[: len(part)] = part
        self._rest = self._rest[len(part) :]
        self._reached += len(part)
        self._position += len(part)
        return len(part)

    def _end(self) -> int:
        return self._size

    def close(self) -> None:
        if not self.closed:
            self._drop()
            super().close()

    # -- requests -----------------------------------------------------------------------------

    def _fill(self) -> None:
        """Have at least one byte at the position in ``_rest``, or raise."""
        if self._is_inherited:
            if self._response is not None:
                self._inherited.append(self._response)
            self._response = None
            self._adopt()
        try:
            with self._api.explained():
                if self._response is None or not 0 <= self._position - self._reached <= _NEAR:
                    self._ask()
                while self._reached + len(self._rest) <= self._position:
                    self._reached += len(self._rest)
                    self._rest = next(self._chunks, b"")
                    if not self._rest:
                        raise ConnectionError("the server has sent less than the whole file")
        except RefusedError as error:
            self._drop()
            raise self._api.missing(self._gone) from error
        except BaseException:
            self._drop()
            raise
        ahead = self._position - self._reached
        self._rest = self._rest[ahead:]
        self._reached = self._position

    @staticmethod
    def _gone() -> OSError:
        return FileNotFoundError(errno.ENOENT, "the content is no longer in the repository")

    def _ask(self) -> None:
        self._drop()
        stop = self._stop if self._ranged else None
        self._response, self._reached = self._api.stream(self._path, self._position, stop)
        announced = self._response.headers.get("Content-Length", "")
        end = self._size if self._response.status_code == 200 else self._stop
        if announced.isdecimal() and int(announced) != end - self._reached:
            raise OSError(errno.EIO, "the server sends something else than the file")
        self._chunks = self._response.iter_raw(_CHUNK)

    def _drop(self) -> None:
        response, self._response = self._response, None
        self._chunks, self._rest = iter(()), b""
        if response is not None and not self._is_inherited:
            response.close()
