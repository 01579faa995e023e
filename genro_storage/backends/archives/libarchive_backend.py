"""Whatever libarchive reads, as a mount: 7z, RAR, ISO images, cab, cpio, lha, xar."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from .backend import ArchiveBackend, ArchiveIndex
from .libarchive_calls import Found, Walk, load
from .streams import EntryStream
from .tree import BrokenArchiveError, Entry, Limits, Tree, safe_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr

    from ...info import EntryType
    from ..context import Place
    from .sources import Source
    from .streams import Decoder

__all__ = ["LibarchiveBackend"]

_KINDS: dict[int, EntryType] = {0o100000: "file", 0o040000: "directory", 0o120000: "link"}
_STEP = 1024 * 1024


class _Numbered(Entry):
    """One entry, and the how-manieth it is."""

    __slots__ = ("encrypted", "number")

    def __init__(self, found: Found, number: int) -> None:
        kind = _KINDS.get(found.kind, "file" if found.kind == 0 else "other")
        name = found.name or ""
        if kind == "file" and name.endswith("/"):
            kind = "directory"
        super().__init__(name, kind, None, found.mtime)
        self.number = number
        self.encrypted = found.encrypted
        if kind == "file":
            self.size = found.size
        elif kind == "link":
            self.link = found.symlink


class LibarchiveBackend(ArchiveBackend):
    """One archive of any format that libarchive reads.

    libarchive walks an archive from its start. A walk that has read one entry waits for a later
    one, so that reading all entries in their order costs one walk.
    """

    def __init__(
        self, place: Place, limits: Limits, mount: str, *, password: SecretStr | None = None
    ) -> None:
        super().__init__(place, limits, mount)
        self._password = password
        self._lock = threading.Lock()
        self._waiting: tuple[ArchiveIndex, Walk] | None = None

    def _walk(self, source: Source) -> Walk:
        secret = None if self._password is None else self._password.get_secret_value().encode()
        return Walk(load(self._mount), source, secret)

    # -- the index ----------------------------------------------------------------------------

    def _load(self, source: Source) -> ArchiveIndex:
        if source.size == 0:
            raise BrokenArchiveError("the file is empty")
        walk = self._walk(source)
        try:
            entries = list(self._entries(walk))
        finally:
            walk.rewind()
        total = sum(entry.size or 0 for entry in entries if entry.hard is None)
        self._limits.check_total(total, source.size)
        self._limits.check_ratio("the whole archive", total, source.size)
        return ArchiveIndex(Tree(entries, self._limits))

    def _entries(self, walk: Walk) -> Iterator[_Numbered]:
        seen: dict[str, _Numbered] = {}
        measured = 0
        while (found := walk.next()) is not None:
            self._limits.check_count(walk.at + 1)
            entry = _Numbered(found, walk.at)
            if found.hardlink is not None and not found.size:
                _resolve(entry, found.hardlink, seen)
            elif entry.type == "file" and entry.size is None:
                entry.size = self._measure(walk, measured)
                measured += entry.size
            path = safe_path(entry.name)
            if path is not None:
                seen[path] = entry
            yield entry

    def _measure(self, walk: Walk, before: int) -> int:
        """The size of an entry that the archive does not say: nobody can know without reading."""
        size = 0
        while piece := walk.read(_STEP):
            size += len(piece)
            self._limits.check_total(before + size, walk.source.size)
            self._limits.check_ratio("the whole archive", before + size, walk.source.size)
        return size

    # -- reading ------------------------------------------------------------------------------

    def _stream(
        self, index: ArchiveIndex, source: Source, entry: Any, *, whole: bool
    ) -> EntryStream:
        walk = self._take(index, entry.number)
        if walk is None:
            walk = self._walk(source)
        else:
            source.close()
        return _WalkStream(self, index, walk, entry)

    def _take(self, index: ArchiveIndex, number: int) -> Walk | None:
        """The walk that waits, if it waits before this entry of the same state of the archive."""
        with self._lock:
            if self._waiting is None or self._waiting[0] is not index:
                return None
            walk = self._waiting[1]
            if walk.at >= number:
                return None
            self._waiting = None
            walk.waits = False
            return walk

    def _give_back(self, index: ArchiveIndex, walk: Walk) -> None:
        walk.waits = True
        with self._lock:
            before, self._waiting = self._waiting, (index, walk)
        if before is not None:
            before[1].close()

    def _checked(self, source: Source) -> ArchiveIndex:
        self._dismiss()  # it walks through a state that is gone
        return super()._checked(source)

    def _dismiss(self) -> None:
        with self._lock:
            before, self._waiting = self._waiting, None
        if before is not None:
            before[1].close()

    def check(self) -> None:
        load(self._mount)
        super().check()

    def close(self) -> None:
        self._dismiss()
        super().close()


class _WalkStream(EntryStream):
    """The content of one entry; its walk goes on to the next one when it is closed."""

    def __init__(
        self, backend: LibarchiveBackend, index: ArchiveIndex, walk: Walk, entry: _Numbered
    ) -> None:
        def decode() -> Decoder:
            walk.go_to(entry.number, entry.name)
            return walk

        super().__init__(
            walk.source, entry.name, entry.size or 0, decode, encrypted=entry.encrypted
        )
        self._backend = backend
        self._index = index
        self._walk = walk
        self._whole = True

    def _read(self, count: int) -> bytes:
        try:
            return super()._read(count)
        except BaseException:
            self._whole = False  # where it stands now is unknown
            raise

    def close(self) -> None:
        if self.closed:
            return
        self._owned = not self._whole
        if self._whole:
            self._backend._give_back(self._index, self._walk)
        else:
            self._walk.rewind()
        super().close()


def _resolve(entry: _Numbered, link: str, seen: dict[str, _Numbered]) -> None:
    """Another name of an entry that precedes it."""
    path = safe_path(link)
    target = None if path is None else seen.get(path)
    if target is None or target.type == "directory":
        entry.type, entry.size = "link", None
    else:
        entry.hard, entry.type, entry.size = target, target.type, target.size
