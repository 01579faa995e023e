"""Files in the memory of this process: a tree of dictionaries, gone with its manager."""

from __future__ import annotations

import contextlib
import errno
import io
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from ..capabilities import BackendCapabilities
from ..info import FileInfo
from ..paths import join, split
from .base import Backend
from .collected import CollectedWrite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from ..info import Attributes
    from .base import WriteHandle

__all__ = ["MemoryBackend", "MemoryStore"]


@dataclass(slots=True)
class _File:
    content: bytes
    mtime: float
    content_type: str | None = None


@dataclass(slots=True)
class _Directory:
    mtime: float
    entries: dict[str, _File | _Directory] = field(default_factory=dict)


class MemoryStore:
    """What one manager keeps under one mount name; several backends may look into it.

    Every method takes the lock once, so a reader sees a file whole, before or after a write.
    """

    def __init__(self) -> None:
        self._root = _Directory(time.time())
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def find(self, path: str) -> _File | _Directory:
        """The entry at ``path``; the caller holds the lock."""
        entry: _File | _Directory = self._root
        for part in split(path):
            if isinstance(entry, _File):
                raise NotADirectoryError(errno.ENOTDIR, "a part of the path is a file")
            try:
                entry = entry.entries[part]
            except KeyError:
                raise FileNotFoundError(errno.ENOENT, "not found") from None
        return entry

    def directory(self, path: str, *, make: bool = False) -> _Directory:
        """The directory at ``path``, made with its parents on request."""
        entry: _File | _Directory = self._root
        for part in split(path):
            if isinstance(entry, _File):
                break
            if part not in entry.entries and make:
                entry.mtime = time.time()
                entry.entries[part] = _Directory(entry.mtime)
            try:
                entry = entry.entries[part]
            except KeyError:
                raise FileNotFoundError(errno.ENOENT, "not found") from None
        if isinstance(entry, _File):
            raise NotADirectoryError(errno.ENOTDIR, "is a file, not a directory")
        return entry

    def put(self, path: str, file: _File, *, if_absent: bool = False) -> None:
        """Set the file at ``path``, making its parents."""
        parent, _, name = path.rpartition("/")
        if not name:
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        holder = self.directory(parent, make=True)
        there = holder.entries.get(name)
        if isinstance(there, _Directory):
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        if there is not None and if_absent:
            raise FileExistsError(errno.EEXIST, "already exists")
        holder.entries[name] = file
        if there is None:
            holder.mtime = time.time()


class _MemoryWriter(CollectedWrite):
    def __init__(
        self,
        backend: MemoryBackend,
        path: str,
        append: bool,
        if_absent: bool,
        attributes: Attributes | None,
    ) -> None:
        super().__init__(seekable=not append)
        self._backend = backend
        self._path = path
        self._append = append
        self._if_absent = if_absent
        self._attributes = attributes

    def _publish(self, content: bytes) -> None:
        self._backend.put(
            self._path,
            content,
            append=self._append,
            if_absent=self._if_absent,
            attributes=self._attributes,
        )


class MemoryBackend(Backend):
    """A view of a ``MemoryStore`` from ``root`` downwards."""

    capabilities: BackendCapabilities = BackendCapabilities(
        copy_optimization=True, append_mode=True, temporary=True
    )
    address_is_sure: ClassVar[bool] = True
    kept_attributes: frozenset[str] = frozenset({"mtime", "content_type"})

    def __init__(self, store: MemoryStore | None = None, root: str = "") -> None:
        self._store = MemoryStore() if store is None else store
        self._root = root
        if root:
            with self._store as held:
                held.directory(root, make=True)

    def _at(self, path: str) -> str:
        return join(self._root, path)

    def _file(self, held: MemoryStore, path: str) -> _File:
        entry = held.find(self._at(path))
        if isinstance(entry, _Directory):
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        return entry

    @staticmethod
    def _describe(path: str, entry: _File | _Directory) -> FileInfo:
        if isinstance(entry, _Directory):
            return FileInfo(path, "directory", None, entry.mtime)
        return FileInfo(
            path, "file", len(entry.content), entry.mtime, content_type=entry.content_type
        )

    def stat(self, path: str) -> FileInfo:
        with self._store as held:
            return self._describe(path, held.find(self._at(path)))

    def scan(self, path: str) -> Iterator[FileInfo]:
        with self._store as held:
            entries = held.directory(self._at(path)).entries
            found = [self._describe(join(path, name), entry) for name, entry in entries.items()]
        return iter(found)

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        return io.BytesIO(self.read_bytes(path, version=version))

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        if version is not None:
            raise self._unsupported("versioning")
        with self._store as held:
            content = self._file(held, path).content
        return content if start == 0 and end is None else content[start:end]

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        with self._store as held:
            self._require_writable(held, path, if_absent)
        return _MemoryWriter(self, path, append, if_absent, attributes)

    def _require_writable(self, held: MemoryStore, path: str, if_absent: bool) -> None:
        """Say early what the commit would say, so that nobody writes a gigabyte in vain."""
        try:
            entry = held.find(self._at(path))
        except FileNotFoundError:
            return
        if isinstance(entry, _Directory):
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        if if_absent:
            raise FileExistsError(errno.EEXIST, "already exists")

    def write_bytes(
        self,
        path: str,
        data: bytes,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        self.put(path, bytes(data), if_absent=if_absent, attributes=attributes)
        return None

    def put(
        self,
        path: str,
        data: bytes,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> None:
        """Publish a content in one step."""
        wanted = attributes.mtime if attributes is not None else None
        content_type = attributes.content_type if attributes is not None else None
        with self._store as held:
            if append:
                with contextlib.suppress(FileNotFoundError):
                    data = self._file(held, path).content + data
            mtime = time.time() if wanted is None else wanted
            held.put(self._at(path), _File(data, mtime, content_type), if_absent=if_absent)

    def copy(self, source: str, target: str) -> None:
        with self._store as held:
            file = self._file(held, source)
            held.put(self._at(target), _File(file.content, file.mtime, file.content_type))

    def move(self, source: str, target: str) -> None:
        with self._store as held:
            here, there = self._at(source), self._at(target)
            entry = held.find(here)
            if isinstance(entry, _File):
                held.put(there, entry)
            else:
                if there == here or there.startswith(here + "/"):
                    raise OSError(errno.EINVAL, "a directory cannot move into itself")
                parent, _, name = there.rpartition("/")
                holder = held.directory(parent, make=True)
                taken = holder.entries.get(name)
                if isinstance(taken, _File):
                    raise NotADirectoryError(errno.ENOTDIR, "is a file, not a directory")
                if taken is not None and taken.entries:
                    raise OSError(errno.ENOTEMPTY, "directory not empty")
                holder.entries[name] = entry
            if here != there:
                parent, _, name = here.rpartition("/")
                del held.directory(parent).entries[name]

    def mkdir(self, path: str) -> None:
        with self._store as held:
            parent, _, name = self._at(path).rpartition("/")
            holder = held.directory(parent)
            if not name or name in holder.entries:
                raise FileExistsError(errno.EEXIST, "already exists")
            holder.mtime = time.time()
            holder.entries[name] = _Directory(holder.mtime)

    def make_parents(self, path: str) -> None:
        with self._store as held:
            held.directory(self._at(path).rpartition("/")[0], make=True)

    def remove(self, path: str) -> None:
        self._unlink(path, recursive=False)

    def remove_tree(self, path: str) -> None:
        self._unlink(path, recursive=True)

    def _unlink(self, path: str, *, recursive: bool) -> None:
        if not path:
            raise PermissionError(errno.EPERM, "the root cannot be removed")
        with self._store as held:
            entry = held.find(self._at(path))
            if isinstance(entry, _Directory) and entry.entries and not recursive:
                raise OSError(errno.ENOTEMPTY, "directory not empty")
            parent, _, name = self._at(path).rpartition("/")
            holder = held.directory(parent)
            del holder.entries[name]
            holder.mtime = time.time()

    def address(self, path: str) -> tuple[object, str] | None:
        return id(self._store), self._at(path)

    def set_mtime(self, path: str, mtime: float) -> None:
        with self._store as held:
            held.find(self._at(path)).mtime = mtime
