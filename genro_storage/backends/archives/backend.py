"""What every kind of archive shares: a fresh index before each use, reading, safe names."""

from __future__ import annotations

import copy
import logging
import time
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from ...capabilities import BackendCapabilities
from ..base import Backend
from .file import ArchiveFile, Kept, State
from .sources import BytesSource
from .tree import Entry, Limits, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import RawIOBase
    from typing import Self

    from ...info import Attributes, FileInfo
    from ..base import WriteHandle
    from ..context import Place
    from .sources import Source

__all__ = ["TRIES", "ArchiveBackend", "ArchiveIndex"]

T = TypeVar("T")

#: How often an archive may change under a reader's or writer's hands before that is an error.
TRIES = 5
#: Seconds for which a reader tries on: each change is a writer's success, and those come to an end.
_PATIENCE = 10.0

_log = logging.getLogger("genro_storage")


@dataclass(frozen=True)
class ArchiveIndex:
    """What is known of one state of an archive. ``layout`` is the format's own."""

    tree: Tree
    layout: Any = field(default=None, repr=False)


class ArchiveBackend(Backend):
    """An archive that is read. A format writes ``_load`` and ``_stream``."""

    def __init__(self, place: Place, limits: Limits, mount: str) -> None:
        self.place: Place | None = place
        self._place = place
        self._file = ArchiveFile(place)
        self._limits = limits
        self._mount = mount
        self._kept: Kept[ArchiveIndex] = Kept()
        self._pinned: ArchiveIndex | None = None
        self._warned: list[str] = []

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._place.label}>"

    @property
    def capabilities(self) -> BackendCapabilities:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What works: it depends on whoever keeps the archive, who may be replaced."""
        return BackendCapabilities(temporary=self._place.capabilities.temporary).without_writing()

    # -- for formats --------------------------------------------------------------------------

    @abstractmethod
    def _load(self, source: Source) -> ArchiveIndex:
        """Read the index of the archive."""

    @abstractmethod
    def _stream(self, index: ArchiveIndex, source: Source, entry: Any, *, whole: bool) -> RawIOBase:
        """The content of an entry of type file, which closes ``source`` with itself.

        ``whole``: all of it is about to be read.
        """

    def _empty(self) -> ArchiveIndex | None:
        """The index of an archive that does not exist yet; None where it must."""
        return None

    # -- the index ----------------------------------------------------------------------------

    def _index(self) -> ArchiveIndex:
        """The index of the archive as it is now."""
        if self._pinned is not None:
            return self._pinned
        state = self._file.state()
        if state is not None:
            found = self._kept.find(state)
            if found is not None:
                return found
        return self._with_source(lambda index, _source: index)

    def _checked(self, source: Source) -> ArchiveIndex:
        index = self._load(source)
        left = index.tree.left_out
        if left and left != self._warned:
            self._warned = left
            _log.warning(
                "mount %r: left out %d of the archive's entries, whose names lead out of it or mean "
                "nothing here; the first is %r",
                self._mount,
                len(left),
                left[0],
            )
        return index

    def _with_source(
        self, step: Callable[[ArchiveIndex, Source], T], *, hand_over: bool = False
    ) -> T:
        """``step`` on one state of the archive, again where it changed in the middle.

        ``hand_over``: where ``step`` succeeds, its result closes the source.
        """
        attempt, begun = 0, time.monotonic()
        while True:
            attempt += 1
            opened = self._file.open()
            if opened is None:
                empty = self._empty()
                if empty is None:
                    raise self._file.missing()
                return step(empty, BytesSource(b""))
            source, state = opened
            try:
                result = step(self._index_of(source, state), source)
            except BaseException as error:
                source.close()
                is_over = attempt >= TRIES and time.monotonic() - begun > _PATIENCE
                again = isinstance(error, OSError) and not source.pinned and not is_over
                if not again or self._file.state() == state:
                    raise
            else:
                if not hand_over:
                    source.close()
                return result

    def _index_of(self, source: Source, state: State) -> ArchiveIndex:
        found = self._kept.find(state)
        return self._kept.make(state, lambda: self._checked(source)) if found is None else found

    # -- looking ------------------------------------------------------------------------------

    def stat(self, path: str) -> FileInfo:
        return self._index().tree.stat(path)

    def scan(self, path: str) -> Iterator[FileInfo]:
        return self._index().tree.scan(path)

    def find(
        self, path: str, *, enter: Callable[[FileInfo], bool] | None = None
    ) -> Iterator[FileInfo]:
        """As everywhere, and of one state of the archive, however long the walk takes."""
        if self._pinned is None:
            return self._at(self._index()).find(path, enter=enter)
        return super().find(path, enter=enter)

    def _at(self, index: ArchiveIndex) -> Self:
        """The same backend, looking at one index."""
        twin = copy.copy(self)
        twin._pinned = index
        return twin

    def _real_directory(self, path: str) -> str:
        return self._index().tree.find(path)[1]

    def check(self) -> None:
        if self._file.state() is None and self._empty() is None:
            raise self._file.missing()
        self._index()

    # -- reading ------------------------------------------------------------------------------

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        self._refuse_version(version)

        def open_entry(index: ArchiveIndex, source: Source) -> BinaryIO:
            stream = self._stream(index, source, index.tree.file(path), whole=False)
            return cast("BinaryIO", stream)

        return self._with_source(open_entry, hand_over=True)

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        self._refuse_version(version)

        def read(index: ArchiveIndex, source: Source) -> bytes:
            entry: Entry = index.tree.file(path)
            size = entry.size or 0
            first, last = min(start, size), size if end is None else min(end, size)
            if first >= last and size:
                source.close()
                return b""
            whole = first == 0 and last == size
            with self._stream(index, source, entry, whole=whole) as stream:
                if whole:
                    return stream.readall()
                stream.seek(first)
                return _read(stream, last - first)

        return self._with_source(read, hand_over=True)

    def _refuse_version(self, version: str | None) -> None:
        if version is not None:
            raise self._unsupported("versioning")

    # -- changing: a format that can be written overrides these -------------------------------

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        raise self._unsupported("writing")

    def mkdir(self, path: str) -> None:
        raise self._unsupported("making directories")

    def remove(self, path: str) -> None:
        raise self._unsupported("deleting")

    # -- places -------------------------------------------------------------------------------

    def address(self, path: str) -> tuple[object, str] | None:
        # Below the file's own, so that nobody copies a directory into an archive that lies in it.
        found = self._place.address()
        return None if found is None else (found[0], f"{found[1]}/{path}")

    def close(self) -> None:
        self._kept.forget()
        close = getattr(self._place, "close", None)
        if callable(close):
            close()


def _read(stream: Any, count: int) -> bytes:
    parts: list[bytes] = []
    while count > 0:
        data = stream.read(min(count, 8 * 1024 * 1024))
        if not data:
            break
        parts.append(data)
        count -= len(data)
    return b"".join(parts)
