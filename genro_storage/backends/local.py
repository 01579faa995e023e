"""Directories of this machine.

Symbolic links inside the root are followed as long as they stay inside; one that leads out, to
nowhere or in circles is an entry of type ``link`` that can be listed and removed, never opened.
The check precedes the access, so it protects against links that are there, not against another
local user who swaps a directory for a link in the same instant.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat as st
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, TypeVar

from ..capabilities import BackendCapabilities
from ..info import Attributes, CleanupCount, Coming, FileInfo, Loaded
from .local_append import AppendFile
from .local_copying import LocalCopies
from .local_links import RealParents, follow_inside, rename
from .local_names import LocalNames
from .local_read import READ, read_range, read_unchanged, require_regular
from .local_tree import locating_below, make_directories, remove_directories, walk_files
from .local_write import (
    AtomicFile,
    remove_stale,
)
from .spellings import nearest_directory
from .temporary_names import is_temporary, refuse_temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..paths import Folding
    from .base import WriteHandle

__all__ = ["LocalBackend"]

_Result = TypeVar("_Result")
#: By what files are opened, read and written one at a time.
_ONE_BY_ONE = frozenset(
    [
        "_begin",
        "_open",
        "_physical",
        "_target",
        "copy",
        "copy_from",
        "copy_listed",
        "load",
        "open_local",
        "open_read",
        "open_write",
        "read_bytes",
        "upload",
        "upload_open",
        "write_bytes",
    ]
)


class LocalBackend(LocalCopies):
    """A directory tree of this machine, read and written through the operating system."""

    capabilities: BackendCapabilities = BackendCapabilities(
        symbolic_links=os.name != "nt", copy_optimization=True, append_mode=True
    )
    address_is_sure: ClassVar[bool] = True
    kept_attributes: frozenset[str] = frozenset({"mtime", "mode"})

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not _ONE_BY_ONE.isdisjoint(vars(cls)):
            cls._goes_together = False

    def __init__(self, root: str | os.PathLike[str], *, fsync: bool = False) -> None:
        self.base_path: Path = Path(root)
        self._shown = os.fspath(root).rstrip("/") or "/"
        self._root = os.path.realpath(root)
        self._prefix = self._root if self._root.endswith(os.sep) else self._root + os.sep
        self._fsync = fsync
        self._names = LocalNames()
        self._in_real_parent = RealParents(self._root, self._prefix).full_path

    # -- where a path is ----------------------------------------------------------------------

    def _inside(self, full: str) -> str:
        return follow_inside(full, self._root)

    def _physical(self, path: str) -> str:
        """The physical path with all links followed, the last one too."""
        if not path:
            return self._root
        full = self._in_real_parent(path)
        return self._inside(full) if os.path.islink(full) else full

    # -- looking ------------------------------------------------------------------------------

    def stat(self, path: str) -> FileInfo:
        if not path:
            return FileInfo("", "directory", None, os.stat(self._root).st_mtime)
        full = self._in_real_parent(path)
        return self._describe(path, full, os.lstat(full))

    def _describe(self, path: str, full: str, found: os.stat_result) -> FileInfo:
        mode = found.st_mode
        if st.S_ISREG(mode):
            return FileInfo(path, "file", found.st_size, found.st_mtime)
        if st.S_ISDIR(mode):
            return FileInfo(path, "directory", None, found.st_mtime)
        if st.S_ISLNK(mode):
            try:
                real = self._inside(full)
                there = os.lstat(real)
            except (FileNotFoundError, PermissionError):
                return FileInfo(path, "link", None, found.st_mtime, symlink=True)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                return FileInfo(path, "link", None, found.st_mtime, symlink=True)
            if st.S_ISLNK(there.st_mode):  # realpath gives up on a loop and names a link
                return FileInfo(path, "link", None, found.st_mtime, symlink=True)
            return self._describe(path, real, there)._replace(symlink=True)
        return FileInfo(path, "other", None, found.st_mtime)

    def scan(self, path: str) -> Iterator[FileInfo]:
        return self._scan_real(path, self._physical(path))

    def _scan_real(self, path: str, real: str) -> Iterator[FileInfo]:
        above = f"{path}/" if path else ""
        with os.scandir(real) as entries:
            for entry in entries:
                name = entry.name
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # removed since the directory was read
                mode = found.st_mode
                if st.S_ISREG(mode):
                    if is_temporary(name):
                        continue
                    yield FileInfo(above + name, "file", found.st_size, found.st_mtime)
                elif st.S_ISDIR(mode):
                    yield FileInfo(above + name, "directory", None, found.st_mtime)
                else:
                    yield self._describe(above + name, entry.path, found)

    def _real_directory(self, path: str) -> str:
        return self._physical(path)

    def local_path(self, path: str) -> str | None:
        if not path:
            return self._shown
        self._physical(path)  # refuses what leads out
        return f"{self._shown.rstrip('/')}/{path}"

    # -- reading ------------------------------------------------------------------------------

    def _open(self, path: str) -> int:
        full = self._in_real_parent(path) if path else self._root
        try:
            descriptor = os.open(full, READ)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EMLINK) or not os.path.islink(full):
                raise
            descriptor = os.open(self._inside(full), READ)
        return descriptor

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        if version is not None:
            raise self._unsupported("versioning")
        return io.FileIO(self.open_local(path), "rb")

    def open_local(self, path: str) -> int:
        descriptor = self._open(path)
        try:
            require_regular(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        if version is not None:
            raise self._unsupported("versioning")
        descriptor = self._open(path)
        try:
            return read_range(descriptor, require_regular(descriptor).st_size, start, end)
        finally:
            os.close(descriptor)

    def load(self, path: str) -> Loaded:
        descriptor = self._open(path)
        try:
            before = require_regular(descriptor)
            data = read_unchanged(descriptor, before)
        finally:
            os.close(descriptor)
        kept = Attributes(before.st_mtime, st.S_IMODE(before.st_mode), offered=True)
        return Loaded(data, kept, before.st_size)

    def load_each(self, paths: Sequence[str]) -> Coming[Loaded]:
        return Coming([self._loaded(path) for path in paths], True)

    def _loaded(self, path: str) -> Callable[[], Loaded]:
        try:
            found = self.load(path)
        except Exception as error:  # noqa: BLE001 - raised when it is its turn
            failure = error

            def fail() -> Loaded:
                raise failure

            return fail
        return lambda: found

    # -- writing ------------------------------------------------------------------------------

    def _target(self, path: str) -> tuple[str, os.stat_result | None]:
        """Where a write to ``path`` goes, and the regular file that it will replace."""
        if not path:
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        refuse_temporary(path)
        full = self._in_real_parent(path)
        try:
            found = os.lstat(full)
        except FileNotFoundError:
            return full, None
        if st.S_ISLNK(found.st_mode):
            full = self._inside(full)
            try:
                found = os.lstat(full)
            except FileNotFoundError:
                return full, None
            if st.S_ISLNK(found.st_mode):
                raise OSError(errno.ELOOP, "symbolic links loop")
        if st.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        if not st.S_ISREG(found.st_mode):
            raise PermissionError(errno.EACCES, "not a regular file (a device, socket or pipe)")
        return full, found

    def _begin(
        self, path: str, if_absent: bool, attributes: Attributes | None, mode: int | None = None
    ) -> AtomicFile:
        full, replaced = self._target(path)
        if if_absent and replaced is not None:
            raise FileExistsError(errno.EEXIST, "already exists")
        if replaced is None and mode is not None and (attributes is None or not attributes.mode):
            attributes = (attributes or Attributes())._replace(mode=mode)

        def begin() -> AtomicFile:
            return AtomicFile(
                full, replaced, if_absent=if_absent, fsync=self._fsync, attributes=attributes
            )

        return self._with_parents(full, begin)

    @staticmethod
    def _with_parents(full: str, begin: Callable[[], _Result]) -> _Result:
        try:
            return begin()
        except FileNotFoundError:
            make_directories(os.path.dirname(full))
            return begin()

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        if not append:
            return self._begin(path, if_absent, attributes)
        full, _ = self._target(path)
        make_directories(os.path.dirname(full))
        return AppendFile(full, fsync=self._fsync)

    def write_bytes(
        self,
        path: str,
        data: bytes,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        with self._begin(path, if_absent, attributes) as handle:
            view = memoryview(data).cast("B")
            while view:
                view = view[handle.write(view) :]
        return None

    # -- names --------------------------------------------------------------------------------

    def mkdir(self, path: str) -> None:
        os.mkdir(self._in_real_parent(path) if path else self._root)

    def make_parents(self, path: str) -> None:
        make_directories(os.path.dirname(self._in_real_parent(path)))

    def folding(self, path: str) -> Folding:
        return self._names.folding(self._physical(nearest_directory(self, path)))

    def move(self, source: str, target: str) -> None:
        here = self._in_real_parent(source)
        there = self._in_real_parent(target)
        found = os.lstat(here)
        if not st.S_ISDIR(found.st_mode):
            refuse_temporary(target)
            if os.path.isdir(there) and not os.path.islink(there):
                raise IsADirectoryError(errno.EISDIR, "is a directory")
        self._with_parents(there, lambda: rename(here, there))

    def remove(self, path: str) -> None:
        if not path:
            raise PermissionError(errno.EPERM, "the root cannot be removed")
        full = self._in_real_parent(path)
        if not st.S_ISDIR(os.lstat(full).st_mode):
            os.unlink(full)
            return
        try:
            os.rmdir(full)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            # What killed writers left is invisible, so it must not keep a directory alive.
            names = os.listdir(full)
            if not all(is_temporary(name) for name in names):
                raise
            for name in names:
                remove_stale(f"{full}/{name}")
            os.rmdir(full)

    def remove_tree(self, path: str) -> None:
        if not path:
            raise PermissionError(errno.EPERM, "the root cannot be removed")
        full = self._in_real_parent(path)
        if st.S_ISDIR(os.lstat(full).st_mode):
            with locating_below(full, path):
                remove_directories(full)
        else:
            os.unlink(full)

    def set_mtime(self, path: str, mtime: float) -> None:
        nanoseconds = int(mtime * 1e9)
        os.utime(self._physical(path), ns=(nanoseconds, nanoseconds))

    def address(self, path: str) -> tuple[object, str] | None:
        return "local", os.path.realpath(self._prefix + path)

    def cleanup(self, path: str, older_than: float) -> int:
        limit = time.time() - older_than
        removed = left = 0
        root = self._physical(path)
        with locating_below(root, path):
            for full in walk_files(root):
                if is_temporary(full.rpartition("/")[2]):
                    with contextlib.suppress(FileNotFoundError):
                        if os.lstat(full).st_mtime > limit:
                            left += 1
                        elif remove_stale(full, by_age=True):
                            removed += 1
        return CleanupCount(removed, left)
