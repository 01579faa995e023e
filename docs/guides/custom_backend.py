"""A backend of one's own in its smallest form: files in a dictionary, six methods, one row."""

from __future__ import annotations

import errno
import io
import threading
from typing import TYPE_CHECKING, BinaryIO

from genro_storage import BackendCapabilities, BackendType, FileInfo
from genro_storage.backends.base import Backend
from genro_storage.backends.collected import CollectedWrite
from genro_storage.backends.options import BackendOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genro_storage.backends.base import WriteHandle
    from genro_storage.info import Attributes
    from genro_storage.registry import BuildContext


class DictBackend(Backend):
    """Maps paths to contents; a directory is a path that maps to None."""

    capabilities = BackendCapabilities(temporary=True)

    def __init__(self) -> None:
        self.entries: dict[str, bytes | None] = {"": None}
        self.lock = threading.RLock()

    def stat(self, path: str) -> FileInfo:
        data = self._entry(path)
        return FileInfo(path, "directory") if data is None else FileInfo(path, "file", len(data))

    def scan(self, path: str) -> Iterator[FileInfo]:
        if self._entry(path) is not None:
            raise NotADirectoryError(errno.ENOTDIR, "is a file")
        with self.lock:
            names = [name for name in self.entries if name and name.rpartition("/")[0] == path]
            return iter([self.stat(name) for name in names])

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        data = self._entry(path)
        if data is None:
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        return io.BytesIO(data)

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        if append:
            raise io.UnsupportedOperation("appending")
        return DictWriter(self, path, if_absent)

    def mkdir(self, path: str) -> None:
        with self.lock:
            if path in self.entries:
                raise FileExistsError(errno.EEXIST, "already exists")
            if self._entry(path.rpartition("/")[0]) is not None:
                raise NotADirectoryError(errno.ENOTDIR, "the parent is a file")
            self.entries[path] = None

    def remove(self, path: str) -> None:
        with self.lock:
            if self._entry(path) is None and any(self.scan(path)):
                raise OSError(errno.ENOTEMPTY, "directory not empty")
            del self.entries[path]

    def _entry(self, path: str) -> bytes | None:
        try:
            return self.entries[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "not found") from None


class DictWriter(CollectedWrite):
    """Collects the content; ``_publish`` makes it visible in one step."""

    def __init__(self, backend: DictBackend, path: str, if_absent: bool) -> None:
        super().__init__()
        self.backend, self.path, self.if_absent = backend, path, if_absent
        self._check()

    def _check(self) -> None:
        taken = self.path in self.backend.entries
        if taken and self.backend.entries[self.path] is None:
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        if taken and self.if_absent:
            raise FileExistsError(errno.EEXIST, "already exists")

    def _publish(self, content: bytes) -> None:
        with self.backend.lock:
            self._check()
            self.backend.make_parents(self.path)
            self.backend.entries[self.path] = content


class DictOptions(BackendOptions):
    """A mount ``type: dict`` has no options of its own."""


def build(options: DictOptions, context: BuildContext) -> DictBackend:
    """Called once for each mount; ``context.keep`` lets it survive a reconfiguration."""
    return context.keep("store", DictBackend)


#: What ``register()`` takes, and what the entry point names.
BACKEND = BackendType("dict", DictOptions, build, summary="files in a dictionary")
