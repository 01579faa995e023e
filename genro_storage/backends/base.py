"""The contract of a storage technology: six methods to write, the rest derived.

A backend never sees mount names, permissions or our exceptions: it takes relative normalised
paths (``""`` is its root), raises what its technology raises (``FileNotFoundError``,
``PermissionError`` …), and only a ``Mount`` calls it.
"""

from __future__ import annotations

import contextlib
import io
import shutil
from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from ..capabilities import BackendCapabilities
from ..exceptions import locating
from ..hearing import note_bytes, note_gone
from ..paths import order_key, parent_of
from .optional import OptionalVerbs
from .transferring import TransferVerbs

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from ..info import Attributes, Checksum, FileInfo
    from .batches import Batch
    from .context import Place

__all__ = ["COPY_CHUNK", "Backend", "WriteHandle", "resize"]

COPY_CHUNK = 1024 * 1024

_Level = tuple[str, "Iterator[FileInfo]", "set[str] | None"]


class WriteHandle(io.RawIOBase):
    """A write in the making: ``close()`` makes it visible whole, ``abort()`` forgets it.

    A subclass writes ``write``, ``_commit`` and ``_abort``. A failed ``write`` poisons the handle,
    so that no later ``close()`` can publish a part; a handle that is dropped without ``close()``
    is aborted. ``new_path`` is set after the commit where the content decides the path (base64).
    """

    new_path: str | None = None
    committed: bool = False
    """Whether the content has become visible."""
    _failed = False
    _done = False

    @abstractmethod
    def _commit(self) -> None:
        """Make what was written visible."""

    @abstractmethod
    def _abort(self) -> None:
        """Remove every trace of what was written."""

    def writable(self) -> bool:
        return True

    def random_access(self) -> int | None:
        """A descriptor that any thread may write to, at any position, instead of ``write``.

        None where ``write`` is the only way. The file is open for reading, too.
        """
        return None

    def fail(self) -> None:
        """Remember that a write went wrong: from now on closing means aborting."""
        self._failed = True

    def close(self) -> None:
        if self._done:
            return
        if self._failed:
            self.abort()
            return
        try:
            self._commit()
        except BaseException:
            self.abort()
            raise
        self._done = True
        self.committed = True
        super().close()

    def abort(self) -> None:
        """Leave everything as it was before the handle was opened. Never raises twice."""
        if self._done:
            return
        self._done = True
        try:
            self._abort()
        finally:
            super().close()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        # Losing the last reference says nothing about the content being whole.
        if not self._done:
            with contextlib.suppress(Exception):
                self.abort()


class Backend(OptionalVerbs, TransferVerbs, ABC):
    """One storage technology. Thread-safe: any method may run in several threads at once."""

    capabilities: BackendCapabilities
    #: True where the path *is* the content (base64), so that nobody may normalise it.
    opaque_paths: ClassVar[bool] = False
    #: True where ``address`` names the file itself: two such backends never show one file under
    #: two addresses, as wrapped filesystems do, or a bucket that is known by two credentials.
    address_is_sure: ClassVar[bool] = False
    #: By the name of a capability that is not declared, where another configuration would have it:
    #: a clause for messages that says so and names the key.
    why_not: Mapping[str, str] = MappingProxyType({})
    #: The one file somewhere else that all of this storage is in (an archive), if any.
    place: Place | None = None

    # -- essential: a new backend writes these six ------------------------------------------

    @abstractmethod
    def stat(self, path: str) -> FileInfo:
        """What is at ``path``; ``FileNotFoundError`` where nothing is. A 403 is not "missing"."""

    @abstractmethod
    def scan(self, path: str) -> Iterator[FileInfo]:
        """The entries of a directory, one level, in any order, with full paths.

        ``FileNotFoundError`` or ``NotADirectoryError`` is raised at the latest by the first step.
        """

    @abstractmethod
    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        """A binary stream from the start of the file; ``IsADirectoryError`` on a directory."""

    @abstractmethod
    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        """A handle whose ``close()`` makes the content visible whole; parents are created.

        ``append`` adds to the end of what is there. ``if_absent`` raises ``FileExistsError``, here
        or at the commit, where the name is taken.
        """

    @abstractmethod
    def mkdir(self, path: str) -> None:
        """Make one directory; ``FileExistsError``, or ``FileNotFoundError`` for its parent."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove one file, link (never what it leads to) or empty directory; never a pattern."""

    # -- derived: override where the technology can do better --------------------------------

    def exists(self, path: str) -> bool:
        """Whether something is there, a link that leads nowhere excepted.

        Raises where that cannot be found out, and may raise what ``stat`` does for "not there".
        """
        return self.stat(path).type != "link"

    def find(
        self, path: str, *, enter: Callable[[FileInfo], bool] | None = None
    ) -> Iterator[FileInfo]:
        """Everything below a directory, directories included, in key order (``paths.order_key``).

        A directory for which ``enter`` says no is yielded and not listed. Memory is bounded by
        the largest directories on the way down, and the number of links to directories.

        A link to a directory is walked like one, with two exceptions that are yielded as ``link``:
        one that leads to a directory above it, and one below another link, where a link below
        that same link leads to the same directory. Otherwise directories that link each other
        would be walked once for every way through them, of which there are exponentially many.
        """
        # A stack rather than recursion: trees may be deeper than Python's call stack. The third
        # is where links have led since the outermost one, None outside of any.
        levels: list[_Level] = []
        real = self._real_directory(path)
        levels.append((real, iter(self._level(path, real, levels, None)), None))
        while levels:
            _, entries, followed = levels[-1]
            info = next(entries, None)
            if info is None:
                levels.pop()
                continue
            if info.type != "directory":
                yield info
                continue
            # What somebody removed meanwhile holds nothing any more.
            below: list[FileInfo] = []
            try:
                with locating(info.path):
                    real = self._real_directory(info.path)
                    if info.symlink and followed is None:
                        followed = {real}
                    if enter is None or enter(info):
                        below = self._level(info.path, real, levels, followed)
            except FileNotFoundError:
                note_gone(info.path)
            yield info
            levels.append((real, iter(below), followed))

    def _level(
        self, path: str, real: str, above: list[_Level], followed: set[str] | None
    ) -> list[FileInfo]:
        """One sorted level of ``find``, in which links that it does not walk are called so."""
        level = sorted(self._scan_real(path, real), key=order_key)
        renamed = False
        for position, info in enumerate(level):
            if not (info.symlink and info.type == "directory"):
                continue
            try:
                there = self._real_directory(info.path)
            except FileNotFoundError:
                continue
            if (
                there == real
                or any(there == seen for seen, _, _ in above)
                or (followed is not None and there in followed)
            ):
                level[position] = info._replace(type="link")
                renamed = True
            elif followed is not None:
                followed.add(there)
        # A link sorts as a file, by its bare name.
        return sorted(level, key=order_key) if renamed else level

    def open_whole(self, path: str) -> BinaryIO:
        """As ``open_read``, for whoever will read all of a large file, from its start on.

        The stream may have ``drain(sink)``, which brings everything by several threads at once.
        """
        return self.open_read(path)

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        """The bytes from ``start`` up to, not including, ``end`` (None: to the end of the file)."""
        with self.open_read(path, version=version) as stream:
            if start:
                if stream.seekable():
                    stream.seek(start)
                else:
                    _skip(stream, start)
            if end is None:
                return stream.read()
            return _read_exactly(stream, max(0, end - start))

    def write_bytes(
        self,
        path: str,
        data: bytes,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        """Replace the whole content; returns the new path where the content is the path."""
        with self.open_write(path, if_absent=if_absent, attributes=attributes) as handle:
            view = memoryview(data)
            while view:
                view = view[handle.write(view) or 0 :]
        return handle.new_path

    def download(self, path: str, target: Path, *, version: str | None = None) -> None:
        """Copy the content into the local file ``target``, which the caller owns."""
        with self.open_read(path, version=version) as stream, target.open("wb") as sink:
            shutil.copyfileobj(stream, sink, COPY_CHUNK)

    def upload(
        self,
        source: str | os.PathLike[str],
        path: str,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        """Copy the local file ``source`` to ``path``; returns what ``write_bytes`` returns."""
        with (
            open(source, "rb") as stream,
            self.open_write(path, if_absent=if_absent, attributes=attributes) as handle,
        ):
            while chunk := stream.read(COPY_CHUNK):
                view = memoryview(chunk)
                while view:
                    view = view[handle.write(view) or 0 :]
                note_bytes(len(chunk))
        return handle.new_path

    def copy(self, source: str, target: str) -> None:
        """Copy one file inside this store without the bytes passing through this process."""
        raise self._unsupported("copy inside the store")

    def move(self, source: str, target: str) -> None:
        """Rename one file or directory inside this store, replacing a file at ``target``."""
        raise self._unsupported("rename inside the store")

    def remove_many(self, paths: Iterable[str]) -> None:
        """Remove several files; one that is already gone is no error."""
        for path in paths:
            with locating(path), contextlib.suppress(FileNotFoundError):
                self.remove(path)

    def remove_tree(self, path: str) -> None:
        """Remove a file, a link, or a directory with everything below it."""
        here = self.stat(path)
        if here.type == "directory" and not here.symlink:
            for info in list(self.scan(path)):
                # What another client has removed already needs no removing.
                with locating(info.path), contextlib.suppress(FileNotFoundError):
                    self.remove_tree(info.path)
        self.remove(path)

    def make_parents(self, path: str) -> None:
        """Make the directories above ``path`` that are missing."""
        missing: list[str] = []
        above = parent_of(path)
        while above:
            try:
                found = self.stat(above).type
            except FileNotFoundError:
                missing.append(above)
                above = parent_of(above)
                continue
            if found != "directory":
                raise NotADirectoryError(f"{above!r} is not a directory")
            break
        for directory in reversed(missing):
            # Another thread may be making the same directories.
            with contextlib.suppress(FileExistsError):
                self.mkdir(directory)

    def begin_batch(self) -> Batch | None:
        """Somewhere to write many files, which is cheaper than writing one after the other.

        None, as here, where it would not be.
        """
        return None

    def checksum(self, info: FileInfo) -> Checksum | None:
        """A content digest known from metadata alone; None rather than reading the file."""
        return info.checksum

    # -- places and housekeeping --------------------------------------------------------------

    def local_path(self, path: str) -> str | None:
        """The real path on this machine, existing or not; None where there is none."""
        return None

    def check(self) -> None:
        """Ask the storage itself whether it is there and lets us in; raises what is wrong.

        One request or a few, never one that transfers contents or changes anything.
        """
        if self.capabilities.list_dir:
            next(iter(self.scan("")), None)
        else:
            self.stat("")

    def cleanup(self, path: str, older_than: float) -> int:
        """Remove what killed writers left below ``path`` at least ``older_than`` seconds ago.

        Returns how many files went, best as a ``CleanupCount``.
        """
        return 0

    def address(self, path: str) -> tuple[object, str] | None:
        """A value that is equal for the same place seen through another backend object.

        The first part names the store, the second the path in it. None: only this very object
        is known to be the same store.
        """
        return None

    def close(self) -> None:
        """Release connections and the like.

        Its mount is no longer in the manager, but a node of before may still come: open again then.
        """

    # -- for subclasses -----------------------------------------------------------------------

    def _real_directory(self, path: str) -> str:
        """One name for a directory by whatever links it is reached; ``find`` knows circles by it."""
        return path

    def _scan_real(self, path: str, real: str) -> Iterator[FileInfo]:
        """As ``scan``, for a directory whose ``_real_directory`` is known."""
        return self.scan(path)


def _skip(stream: BinaryIO, count: int) -> None:
    while count > 0:
        chunk = stream.read(min(count, COPY_CHUNK))
        if not chunk:
            return
        count -= len(chunk)


def _read_exactly(stream: BinaryIO, count: int) -> bytes:
    """``count`` bytes or all there are: a raw stream may give fewer than asked at a time."""
    parts: list[bytes] = []
    while count > 0:
        chunk = stream.read(min(count, 8 * COPY_CHUNK))
        if not chunk:
            break
        parts.append(chunk)
        count -= len(chunk)
    return b"".join(parts)


def resize(buffer: io.BytesIO, size: int | None) -> int:
    """``truncate`` as files do it: a larger size adds zeros, which ``BytesIO`` does not."""
    length = buffer.tell() if size is None else size
    buffer.truncate(length)
    missing = length - len(buffer.getbuffer())
    if missing > 0:
        position = buffer.tell()
        buffer.seek(0, io.SEEK_END)
        buffer.write(bytes(missing))
        buffer.seek(position)
    return length
