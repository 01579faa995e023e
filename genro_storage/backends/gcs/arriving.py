"""The content of an object as it comes: one answer of the JSON API, read by and by."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

from ..object_stores.whole import Answer
from .attributes import known_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from .service import GcsService

__all__ = ["arriving", "range_of"]

#: Bytes of a step.
_STEP = 1024 * 1024


def range_of(headers: Mapping[str, str]) -> tuple[str, str]:
    """Which bytes an answer has, and of how many."""
    where, _, total = headers.get("Content-Range", "").rpartition("/")
    return where, total


def arriving(
    service: GcsService, key: str, start: int, end: int | None, pin: str | None
) -> Answer | None:
    """The bytes from ``start`` up to ``end``; None where the answer is not the one to a range.

    ``FileNotFoundError`` where there is no object, or not this generation.
    """
    with contextlib.ExitStack() as failing:
        response = failing.enter_context(service._content(key, start, end, pin))
        where, total = range_of(response.headers)
        name = response.headers.get("X-Goog-Generation", "")
        if response.status_code != 206 or not total.isdigit() or not name:
            return None
        stop = int(total) if end is None else min(end, int(total))
        if where != f"bytes {start}-{stop - 1}":
            return None
        stack = failing.pop_all()
    body = _Arriving(service, stack, response, key, (start, stop, name))
    return Answer(body, int(total), name, known_of(response.headers))


class _Arriving:
    """A body; closing it before its end gives up the connection."""

    def __init__(
        self,
        service: GcsService,
        stack: contextlib.ExitStack,
        response: requests.Response,
        key: str,
        about: tuple[int, int, str],
    ) -> None:
        self._service = service
        self._stack = stack
        self._response = response
        self._key = key
        self.start, self.stop, self.etag = about
        self._left = self.stop - self.start

    def next(self) -> bytes:
        if not self._left:
            return b""
        try:
            with self._service._explained(self._key):
                data: bytes = self._response.raw.read(min(_STEP, self._left), decode_content=False)
            if not data:
                raise ConnectionError(errno.ECONNRESET, "the answer ended too early")
        except BaseException:
            self.close()
            raise
        self._left -= len(data)
        if not self._left:
            self.close()  # and the connection can be used again
        return data

    def close(self) -> None:
        self._left = 0
        self._stack.close()
