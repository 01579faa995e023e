"""Reading an object as a stream by obstore: a first range, and then one answer to the end."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ..object_stores.downloads import WINDOW, MemorySink, download
from ..object_stores.engine import Unfit
from ..object_stores.onward import Onward
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
        self._onward = Onward(self._again, client.bounds)  # what comes after the data
        self._fit = True

        def opened() -> tuple[bytes, int, str | None, Known]:
            body, data = self._whole(client, key) if whole else self._begin(key)
            if data is None:
                self._onward = Onward(self._again, client.bounds, body)
            return data or b"", body.facts.size, body.facts.etag, known(body.facts)

        super().__init__(client, key, opened)

    def _begin(self, key: str) -> tuple[Body, bytes | None]:
        """The first range; of a server that does not send it as one, all, to be read on from."""
        if not self._engine.sends_whole:
            try:
                return self._engine.read(key, 0, FIRST)
            except Unfit:
                if not self._engine.sends_whole:
                    raise
        return self._engine.read(key, at_once=FIRST)

    def _whole(self, client: S3Client, key: str) -> tuple[Body, None]:
        """An answer with all of it, or its beginning, and nothing read of it yet."""
        body = repeated(client.bounds, lambda _: self._engine.begin(key, WINDOW))
        if (body.start, body.stop) not in ((0, body.facts.size), (0, WINDOW)):
            raise Unfit("a range came that nobody has asked for")
        return body, None

    def _read_large(self, wanted: int) -> bytes:
        start, etag, bounds = self._position, self._etag, self._client.bounds
        self._onward.drop()
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
        if self._position or self._start or not self._is_fit():
            return False
        try:
            self._onward.drain(sink, self._data, self._size, self._etag)
        except Unfit:
            self._fit = False
            return False
        self._position = self._size
        return True

    def _is_fit(self) -> bool:
        """Whether obstore may be used, as it may not after a fork."""
        return self._fit and self._engine.can(self._key)

    def _again(self, start: int, end: int | None, etag: str | None) -> Body:
        return self._engine.open(self._key, start, end, etag)

    def _advance(self, at: int, wanted: int) -> None:
        if self._is_inherited:
            self._onward.abandon()
            self._adopt()
        follows = at == self._start + len(self._data)
        goes_on = follows and (at > 0 or self._onward.is_open)
        if not goes_on:
            self._onward.drop()
        try:
            if not self._is_fit():
                raise Unfit
            if goes_on:
                data = self._onward.next(at, self._size, self._etag)
            else:
                data = repeated(self._client.bounds, lambda _: self._piece(at))
        except Unfit:
            self._fit = False
            self._onward.drop()
            end = min(at + PART, self._size)
            data = self._client.run(lambda: self._client.fetch(self._key, at, end, self._etag)).data
        if not data:
            raise OSError(errno.EIO, "the server sent less than there is")
        self._start, self._data = at, data

    def _piece(self, at: int) -> bytes:
        """Some bytes from here on, for a look."""
        body = self._again(at, min(at + FIRST, self._size), self._etag)
        if body.start != at:
            raise Unfit
        return body.all()

    def close(self) -> None:
        super().close()
        self._onward.drop()
