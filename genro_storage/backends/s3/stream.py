"""Reading an object as a stream: ranges that grow while it is read in order, the next one ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .transfer import PART
from .window import FIRST, ObjectWindow

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ..object_stores.verifying import Known
    from .client import S3Client
    from .fetched import Fetched

__all__ = ["S3Stream"]


class S3Stream(ObjectWindow):
    """One content of one object: reading fails where another has taken its place.

    Opening it is one request. Each further one is bounded and repeated where the network fails,
    so that a long reading outlives a broken connection.
    """

    def __init__(self, client: S3Client, key: str) -> None:
        self._window = FIRST
        self._ahead: tuple[int, Any] | None = None  # where the part begins that is on its way

        def opened() -> tuple[bytes, int, str | None, Known]:
            first = client.run(lambda: client.fetch(key, 0, FIRST))
            return first.data, first.total, first.etag, first.known

        super().__init__(client, key, opened)

    def _advance(self, at: int, wanted: int) -> None:
        """Have the bytes from there on: those that are on their way, or others."""
        in_order = at == self._start + len(self._data)
        ahead = self._take_ahead()
        if ahead is not None and ahead[0] == at:
            found: Fetched = _result(ahead[1])
        else:
            if ahead is not None:
                ahead[1].cancel()
            self._window = self._window if in_order else FIRST
            length = min(max(self._window, wanted), PART)
            found = self._client.run(lambda: self._fetch(at, length))
        if not found.data:
            raise OSError("the server sent less than there is")
        self._start, self._data = at, found.data
        after = at + len(found.data)
        if in_order:
            self._window = min(2 * self._window, PART)
            if after < self._size:
                window = self._window
                self._ahead = (after, self._client.begin(lambda: self._fetch(after, window)))

    def _fetch(self, start: int, length: int) -> Coroutine[Any, Any, Fetched]:
        end = min(start + length, self._size)
        return self._client.fetch(self._key, start, end, self._etag)

    def _take_ahead(self) -> tuple[int, Any] | None:
        """The part that is on its way; after a fork it comes to the parent, and never here."""
        ahead, self._ahead = self._ahead, None
        if not self._is_inherited:
            return ahead
        self._adopt()
        return None

    def close(self) -> None:
        super().close()
        ahead = self._take_ahead()
        if ahead is not None:
            ahead[1].cancel()


def _result(future: Any) -> Fetched:
    try:
        found: Fetched = future.result()
    except BaseException:
        future.cancel()
        raise
    return found
