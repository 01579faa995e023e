"""How the local backend copies files of this machine: by the system, and many small ones together."""

from __future__ import annotations

import contextlib
import functools
import os
import stat as st
from typing import TYPE_CHECKING, ClassVar

from ..exceptions import SourceChangedError
from ..info import Attributes
from .base import COPY_CHUNK
from .local_partial import PartialFiles
from .local_read import READ, require_regular
from .local_tree import make_directories
from .local_write import (
    CAN_LINK,
    PLAIN,
    AtomicFile,
    copy_content,
    copy_unchanged,
    link,
    unnamed,
)
from .temporary_names import is_temporary, refuse_temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from ..info import FileInfo
    from .base import Backend

__all__ = ["LocalCopies"]

_AS_THE_SOURCE = Attributes()
_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | PLAIN
_UNNAMED = os.O_RDWR | getattr(os, "O_TMPFILE", 0) | PLAIN
#: Where the system has a name for each file that this process has open.
_NUMBERS = "/proc/self/fd"


def _is_time_of(found: os.stat_result, attributes: Attributes | None) -> bool:
    """Whether only the file's own time is wanted; a float cannot say it to the nanosecond."""
    return (
        attributes is not None
        and attributes.mode is None
        and attributes.mtime is not None
        and abs(attributes.mtime - found.st_mtime) < 1e-6
    )


def copy_new(source: int, before: os.stat_result, target: str) -> bool:
    """Copy an open file to a name that nothing has; False where that takes an ``AtomicFile``.

    The way of a tree of small files, without an object per file: mode and time are the source's.
    """
    descriptor = unnamed(target.rpartition("/")[0] or "/")
    if descriptor is None:
        return False
    try:
        _copy_all(source, before, descriptor)
        link(descriptor, target)
    except FileExistsError:  # somebody took the name meanwhile
        os.lseek(source, 0, os.SEEK_SET)
        return False
    finally:
        os.close(descriptor)
    return True


def _copy_all(source: int, before: os.stat_result, target: int) -> int:
    """The content, the mode and the times of an open file; bytes."""
    os.fchmod(target, before.st_mode & 0o777)
    count = copy_unchanged(source, before, target)
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    return count


def _write_all(data: bytes, attributes: Attributes, target: int) -> int:
    """A content with its mode and time, where it has such; bytes."""
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
    if attributes.mode is not None:
        os.fchmod(target, attributes.mode & 0o777)
    if attributes.mtime is not None:
        nanoseconds = int(attributes.mtime * 1e9)
        os.utime(target, ns=(nanoseconds, nanoseconds))
    return len(data)


def _make_beside(there: int, numbers: int, name: str, fill: Callable[[int], int]) -> int:
    """A new file in an open directory, whole or not at all; what ``fill`` returns.

    By names that begin at open directories, of which none is looked up from the root again.
    ``FileExistsError`` where the name is taken.
    """
    made = os.open(".", _UNNAMED, 0o666, dir_fd=there)
    try:
        count = fill(made)
        os.link(str(made), name, src_dir_fd=numbers, dst_dir_fd=there, follow_symlinks=True)
    finally:
        os.close(made)
    return count


def _copy_beside(here: int, there: int, numbers: int, name: str, told: FileInfo) -> int:
    """The file ``name`` of one open directory to another, as ``_make_beside``; bytes.

    ``SourceChangedError`` where it is not as a listing has told it.
    """
    size = told.size or 0
    source = os.open(name, READ, dir_fd=here)
    try:  # step by step, since a call more for each step of a small file is what one would notice
        made = os.open(".", _UNNAMED, 0o666, dir_fd=there)
        try:
            try:
                count = os.copy_file_range(source, made, size)
            except OSError:  # not from one file system to the other, say
                require_regular(source)
                count = copy_content(source, made, size)
            found = os.fstat(source)
            if count != size or found.st_size != size or found.st_mtime != told.mtime:
                raise SourceChangedError("it is not what was listed")
            os.fchmod(made, found.st_mode & 0o777)
            os.utime(made, ns=(found.st_atime_ns, found.st_mtime_ns))
            os.link(str(made), name, src_dir_fd=numbers, dst_dir_fd=there, follow_symlinks=True)
        finally:
            os.close(made)
    finally:
        os.close(source)
    return count


def _opened(stack: contextlib.ExitStack, directory: str) -> int:
    descriptor = os.open(directory, _DIRECTORY)
    stack.callback(os.close, descriptor)
    return descriptor


class LocalCopies(PartialFiles):
    """The verbs of the local backend for what is a file of this machine already."""

    #: Whether several files are made by one call: where the system can, and no class derived from
    #: the backend has a say in how a file is opened, read or written.
    _goes_together: ClassVar[bool] = CAN_LINK
    _meets_files: bool = False
    _in_real_parent: Callable[[str], str]

    def _open(self, path: str) -> int:
        raise NotImplementedError

    def _begin(
        self, path: str, if_absent: bool, attributes: Attributes | None, mode: int | None = None
    ) -> AtomicFile:
        raise NotImplementedError

    def _real_directory(self, path: str) -> str:
        raise NotImplementedError

    def upload(
        self,
        source: str | os.PathLike[str],
        path: str,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            self._copy_in(descriptor, path, if_absent, attributes)
        finally:
            os.close(descriptor)
        return None

    def upload_open(
        self,
        source: int,
        path: str,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        self._copy_in(source, path, if_absent, attributes)
        return None

    def copy(self, source: str, target: str) -> None:
        descriptor = self._open(source)
        try:
            self._copy_in(descriptor, target, False, _AS_THE_SOURCE)
        finally:
            os.close(descriptor)

    def _copy_in(
        self, source: int, path: str, if_absent: bool, attributes: Attributes | None
    ) -> None:
        """Copy an open file; a small new one by the short way."""
        refuse_temporary(path)
        before = require_regular(source)
        keeps_time = attributes is _AS_THE_SOURCE or _is_time_of(before, attributes)
        if keeps_time and not self._fsync and path:
            full = self._in_real_parent(path)
            # Whoever copies a tree to a new place meets nothing there, and whoever copies it
            # again meets a file each time: the last answer says whether it pays to ask first. A
            # large file is never copied in vain.
            ask = self._meets_files or before.st_size > COPY_CHUNK
            if not (ask and os.access(full, os.F_OK, follow_symlinks=False)):
                try:
                    self._meets_files = not copy_new(source, before, full)
                except FileNotFoundError:
                    make_directories(os.path.dirname(full))
                else:
                    if not self._meets_files:
                        return
        self._copy_from(source, before, path, if_absent, attributes, keeps_time)

    def _copy_from(
        self,
        source: int,
        before: os.stat_result,
        path: str,
        if_absent: bool,
        attributes: Attributes | None,
        keeps_time: bool,
    ) -> None:
        handle = self._begin(path, if_absent, attributes, st.S_IMODE(before.st_mode))
        try:
            copy_unchanged(source, before, handle.fileno())
            if keeps_time:
                handle.set_mtime_ns(before.st_mtime_ns)
        except BaseException:
            handle.abort()
            raise
        handle.close()

    def download(self, path: str, target: Path, *, version: str | None = None) -> None:
        if version is not None:
            raise self._unsupported("versioning")
        source = self._open(path)
        try:
            size = require_regular(source).st_size
            with target.open("wb") as sink:
                copy_content(source, sink.fileno(), size)
        finally:
            os.close(source)

    def copy_together(
        self,
        origin: Backend,
        directory: str,
        files: Iterable[FileInfo],
        target: str,
        sizes: list[int],
    ) -> None:
        if not (isinstance(origin, LocalCopies) and origin._goes_together):
            return
        if self._fsync or not self._goes_together:
            return
        # Copied by itself, the file that was met says what is the matter with it.
        with contextlib.suppress(OSError, SourceChangedError), contextlib.ExitStack() as stack:
            here = _opened(stack, origin._real_directory(directory))
            there = _opened(stack, self._real_directory(target))
            numbers = _opened(stack, _NUMBERS)
            for told in files:
                name = told.path.rpartition("/")[2]
                if is_temporary(name):
                    return
                sizes.append(_copy_beside(here, there, numbers, name, told))

    def write_together(
        self,
        directory: str,
        files: Sequence[tuple[str, bytes, Attributes]],
        arrived: Callable[[int], bool],
    ) -> None:
        if self._fsync or not self._goes_together:
            return
        there = numbers = -1
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for name, data, attributes in files:
                if is_temporary(name):
                    return
                if there < 0:
                    there = self._made_directory(stack, directory)
                    numbers = _opened(stack, _NUMBERS)
                fill = functools.partial(_write_all, data, attributes)
                if not arrived(_make_beside(there, numbers, name, fill)):
                    return

    def _made_directory(self, stack: contextlib.ExitStack, directory: str) -> int:
        real = self._real_directory(directory)
        try:
            return _opened(stack, real)
        except FileNotFoundError:
            make_directories(real)
            return _opened(stack, real)
