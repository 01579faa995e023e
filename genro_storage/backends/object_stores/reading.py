"""How the mounts of object stores read: a look at the beginning, pieces, or one answer to the end."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from ...info import Loaded
from ..errors import RootNotFoundError
from .attributes import StoreAttributes
from .client import ObjectClient
from .downloads import MemorySink, download
from .engine import Unfit
from .reader import FIRST, PIECE, Chunk, ObjectReader
from .target import Target
from .verifying import VerifiedReader, Verifier, VerifyingSink, verifier_for
from .whole import WholeReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .downloads import PositionedSink, Ranges, Streamed
    from .verifying import Known
    from .whole import Answer

__all__ = ["StoreReading"]

T = TypeVar("T")


class StoreReading(StoreAttributes):
    """Contents, on the requests of an ``ObjectClient``."""

    def _read(self, path: str, start: int, end: int) -> Chunk:
        """Bytes of a file; the right error where there is none."""
        return self._begun(
            path, lambda client: _read_whole(client, self._full(path), start, end, None)
        )

    def _begun(self, path: str, step: Callable[[ObjectClient], T]) -> T:
        if not path:
            self._require_file(path)
        try:
            return self._ask(step)
        except RootNotFoundError:
            raise
        except FileNotFoundError as error:
            self._require_file(path)  # raises, except for a file that has come meanwhile
            raise FileNotFoundError(errno.ENOENT, "not found", path) from error

    def _rest(self, path: str, start: int, end: int, pin: str) -> bytes:
        """Bytes that are there, of the content that ``pin`` names."""

        def whole() -> bytes:
            full = self._full(path)
            try:
                found = self._remote.once(
                    lambda client: _read_whole(cast("ObjectClient", client), full, start, end, pin)
                )
            except FileNotFoundError as error:
                raise _replaced() from error
            if len(found.data) != end - start:
                raise _replaced()  # it is that long no more
            return found.data

        return self._again(whole)

    def _ranges(self, path: str, pin: str) -> Ranges:
        """The same as it comes, asked once."""

        def again(start: int, end: int | None, _: str | None) -> Streamed:
            full = self._full(path)
            try:
                found = self._remote.once(
                    lambda client: cast("ObjectClient", client).stream(full, start, end, pin)
                )
            except FileNotFoundError as error:
                raise _replaced() from error
            return found.body

        return again

    def _fill(self, path: str, first: Chunk, sink: PositionedSink, start: int, end: int) -> None:
        """``first`` and what follows it up to ``end`` into ``sink``, whose beginning is ``start``."""
        sink.write(0, first.data)
        begin = start + len(first.data)
        if begin >= end:
            return
        again = self._ranges(path, first.pin)
        body = self._again(lambda: again(begin, end, first.pin))
        try:
            download(body, again, sink, self._bounds, base=start)
        except Unfit:
            # obstore has failed in the middle, as the service's own client may not.
            for at in range(begin, end, PIECE):
                sink.write(at - start, self._rest(path, at, min(at + PIECE, end), first.pin))

    def _verifier(self, first: Chunk | Answer) -> Verifier | None:
        """What compares the whole of which this is the beginning."""
        return verifier_for(first.known, first.size) if self._keeping.verify else None

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        self._refuse_version(version)
        first = self._read(path, 0, FIRST)
        reader = ObjectReader(first, lambda start, end: self._rest(path, start, end, first.pin))
        return self._guarded(reader, first)

    def _guarded(self, reader: ObjectReader, first: Chunk | Answer) -> BinaryIO:
        verifier, kept = self._verifier(first), first.known.kept
        return cast("BinaryIO", VerifiedReader(reader, self._guard, verifier, kept))

    def open_whole(self, path: str) -> BinaryIO:
        first = self._begun(path, lambda client: client.stream(self._full(path), 0, None, None))
        reader = WholeReader(
            first,
            self._ranges(path, first.pin),
            lambda start, end: self._rest(path, start, end, first.pin),
            self._bounds,
        )
        return self._guarded(reader, first)

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        self._refuse_version(version)
        if end is not None and end <= start:
            self._require_file(path)
            return b""
        return self._fetched(path, start, end)[0]

    def load(self, path: str) -> Loaded:
        data, known = self._fetched(path, 0, None)
        kept = known.kept
        if kept.metadata is None:
            info = self._ask(lambda client: client.head(self._full(path)))
            kept = kept._replace(content_type=info.content_type, metadata=info.metadata)
        return Loaded(data, kept)

    def _fetched(self, path: str, start: int, end: int | None) -> tuple[bytes, Known]:
        """The bytes from ``start`` up to ``end``, compared, and what their answer has told."""
        limit = start + PIECE if end is None else min(end, start + PIECE)
        first = self._read(path, start, limit)
        last = first.size if end is None else min(end, first.size)
        verifier = self._verifier(first) if (start, last) == (0, first.size) else None
        if limit >= last:
            if verifier is not None:
                verifier.feed(0, first.data)
                verifier.finish()
            return first.data, first.known
        memory = MemorySink()
        self._fill(path, first, memory, start, last)
        data = memory.value()
        if verifier is not None:
            verifier.feed(0, data)
            verifier.finish()
        return data, first.known

    def download(self, path: str, target: Path, *, version: str | None = None) -> None:
        self._refuse_version(version)
        first = self._read(path, 0, PIECE)
        verifier = self._verifier(first)
        with Target(target) as sink:
            if verifier is None:
                self._fill(path, first, sink, 0, first.size)
                return
            verifying = VerifyingSink(sink, verifier)
            self._fill(path, first, verifying, 0, first.size)
            verifying.finish()


def _read_whole(client: ObjectClient, key: str, start: int, end: int, pin: str | None) -> Chunk:
    found = client.read(key, start, end, pin)
    if len(found.data) < min(end, found.size) - start:
        raise ConnectionError(errno.ECONNRESET, "the answer ended too early")
    return found


def _replaced() -> OSError:
    return OSError(errno.ESTALE, "it was replaced or deleted while it was read; read it again")
