"""Reading an object as a stream by obstore: a first range, and then one answer to the end."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ..object_stores.downloads import MemorySink, download
from ..object_stores.engine import Unfit
from ..remote import repeated
from .transfer import PART
from .window import FIRST, ObjectWindow

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..object_stores.downloads import PositionedSink
    from ..object_stores.engine import Body, Engine, Facts
    from ..object_stores.verifying import Known
    from .client import S3Client

__all__ = ["FastStream"]


class FastStream(ObjectWindow):
    """One content of one object: reading fails where another has taken its place.

    Opening it is one request, which is all for a small file or a look at a header. Who reads on
    from there gets a second, to the end, whose bytes come as they are read; going elsewhere leaves
    it and begins anew. A connection that breaks is replaced where it was. Who will read all of it
    (``whole``) gets that one answer at once.
    """

    def __init__(
        self,
        engine: Engine,
        client: S3Client,
        key: str,
        known: Callable[[Facts], Known],
        *,
        whole: bool = False,
    ) -> None:
        """``known``: what the headers of the first answer say of the whole."""
        self._engine = engine
        self._body: Body | None = None  # what comes after the data
        self._body_at = 0  # and from which byte on
        self._fit = True
        self._of_parent: Body | None = None

        def opened() -> tuple[bytes, int, str | None, Known]:
            body, data = self._whole(client, key) if whole else engine.read(key, 0, FIRST)
            self._body = body if whole else None
            return data or b"", body.facts.size, body.facts.etag, known(body.facts)

        super().__init__(client, key, opened)

    def _whole(self, client: S3Client, key: str) -> tuple[Body, None]:
        """One answer with all of it, and nothing read of it yet."""
        body = repeated(client.bounds, lambda _: self._engine.open(key))
        if (body.start, body.stop) != (0, body.facts.size):
            raise Unfit("a range came that nobody has asked for")
        return body, None

    def _read_large(self, wanted: int) -> bytes:
        start, etag, bounds = self._position, self._etag, self._client.bounds
        self._body = None
        memory = MemorySink()
        try:
            if not self._is_fit():
                raise Unfit
            body = repeated(bounds, lambda _: self._again(start, start + wanted, etag))
            download(body, self._again, memory, bounds)
        except Unfit:
            return super()._read_large(wanted)
        self._position += wanted
        return memory.value()

    def drain(self, sink: PositionedSink) -> bool:
        """All of the content into ``sink``, by more connections where that is faster.

        False where it is to be read instead, for which nothing has changed. The sink must then
        forget what it has.
        """
        self._require_open()
        start, size, etag = len(self._data), self._size, self._etag
        if self._position or self._start or not self._is_fit():
            return False
        body, self._body = self._body, None
        sink.write(0, self._data)
        if start < size:
            try:
                if body is None or body.start != start:
                    body = repeated(self._client.bounds, lambda _: self._again(start, size, etag))
                if (body.start, body.stop) != (start, size):
                    raise Unfit
                download(body, self._again, sink, self._client.bounds, base=0)
            except Unfit:
                self._fit = False
                return False
        self._position = size
        return True

    def _is_fit(self) -> bool:
        """Whether obstore may be used, as it may not after a fork."""
        return self._fit and self._engine.can(self._key)

    def _again(self, start: int, end: int | None, etag: str | None) -> Body:
        return self._engine.open(self._key, start, end, etag)

    def _advance(self, at: int, wanted: int) -> None:
        if self._is_inherited:
            # Kept, since what it belongs to is in the parent, and has no thread here.
            self._of_parent, self._body = self._body, None
            self._adopt()
        follows = at == self._start + len(self._data)
        goes_on = follows and (at > 0 or self._body is not None)
        if not goes_on:
            self._body = None
        try:
            if not self._is_fit():
                raise Unfit
            data = repeated(self._client.bounds, lambda _: self._next(at, goes_on))
        except Unfit:
            self._fit, self._body = False, None
            end = min(at + PART, self._size)
            data = self._client.run(lambda: self._client.fetch(self._key, at, end, self._etag)).data
        if not data:
            raise OSError(errno.EIO, "the server sent less than there is")
        self._start, self._data = at, data

    def _next(self, at: int, goes_on: bool) -> bytes:
        """The next bytes of the answer that is being read, or of another from here on."""
        body, self._body = self._body, None
        if body is None or self._body_at != at:  # whoever was interrupted has lost some of it
            end = self._size if goes_on else min(at + FIRST, self._size)
            body = self._again(at, end, self._etag)
            if body.start != at:
                raise Unfit
        data = body.next() if goes_on else body.all()
        if goes_on:
            self._body_at = at + len(data)
            self._body = body  # not where it has failed
        return data

    def close(self) -> None:
        super().close()
        self._body = None
