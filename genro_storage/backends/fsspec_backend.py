"""Any fsspec filesystem as a backend.

Only single-path calls are made (``Filesystem`` lists them), because the bulk calls expand
patterns and the predicates turn a refused request into "not there". A row for one technology
subclasses ``FsspecBackend`` or passes a ``Profile``; ``FilesystemCalls`` holds the methods to
override.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from ..exceptions import locating
from ..info import CleanupCount, FileInfo
from ..paths import is_addressable, join, order_key, parent_of
from .errors import RootNotFoundError
from .fsspec_calls import FilesystemCalls
from .fsspec_write import Content, GuardedReader, SpooledWrite
from .local_sizes import is_size_untold
from .temporary_names import is_temporary, refuse_temporary, unique_name

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterator

    from ..info import Attributes
    from .base import WriteHandle

__all__ = ["FsspecBackend"]

_log = logging.getLogger("genro_storage")


class FsspecBackend(FilesystemCalls):
    """A filesystem that fsspec knows, from ``root`` downwards.

    ``commit`` says how a finished write becomes visible: ``rename`` puts it beside its target and
    renames; ``put`` trusts one put call to be atomic (object stores); ``stream`` puts it straight
    into the target, where a put that breaks off can leave a part: such a mount declares
    ``atomic_operations=False``. Nothing is touched before the content is complete in any of them.

    The filesystem belongs to the backend from now on: its listing cache is switched off, and
    ``close()`` closes it. One that is not known to be thread-safe is called in turns. A stream
    keeps the block cache of its filesystem (fsspec's read-ahead of some MiB by default): whoever
    wants a range asks ``read_bytes``, which fetches exactly that.

    ``if_absent`` is exact where the profile says ``exclusive`` and on local files; elsewhere it
    is a look just before the commit.

    >>> import fsspec
    >>> from genro_storage.backends.fsspec import backend_for
    >>> backend = backend_for(fsspec.filesystem("memory", skip_instance_cache=True), "/doc")
    >>> backend.write_bytes("a/b.txt", b"hello")
    >>> [info.path for info in backend.find("")]
    ['a', 'a/b.txt']
    """

    # -- looking ------------------------------------------------------------------------------

    def stat(self, path: str) -> FileInfo:
        try:
            with self._guard:
                return self._describe(path, self._info(path))
        except RootNotFoundError:
            raise
        except (FileNotFoundError, NotADirectoryError) as error:  # below a file there is nothing
            if not path and self._root_is_implied():
                return FileInfo("", "directory")
            # Anew, since the filesystem names its own key, which is not what people wrote.
            raise FileNotFoundError(errno.ENOENT, "not found", path) from error

    def scan(self, path: str) -> Iterator[FileInfo]:
        return (info for info in self._entries(path) if not _is_unfinished(info))

    def _entries(self, path: str) -> list[FileInfo]:
        """One level, with what writers keep beside their targets."""
        if not self.capabilities.list_dir:
            raise self._unsupported("listing directories")
        full = self._followed(path)
        try:
            with self._guard:
                listed = self._read_listing(path, full)
        except RootNotFoundError:
            raise
        except FileNotFoundError as error:
            if not path and self._root_is_implied():
                return []
            raise FileNotFoundError(errno.ENOENT, "not found", path) from error
        # A file lists itself on many filesystems, and a missing directory is empty on some.
        if not listed and self.stat(path).type != "directory":
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path)
        return listed

    def _read_listing(self, path: str, full: str) -> list[FileInfo]:
        found: dict[str, FileInfo] = {}
        for raw in self._fs.ls(full, detail=True):
            leaf = self._leaf(full.strip("/"), raw)
            if not leaf:
                continue  # the directory's own marker, or something deeper
            child = join(path, leaf)
            if not is_addressable(child):
                _log.warning("left out the entry %r, whose name no path can express", child)
                continue
            info = self._describe(child, raw)
            if info.type == "file" and str(raw["name"]).endswith("/"):
                info = FileInfo(child, "directory")  # a marker for an empty directory
            before = found.get(leaf)
            # Where a store has a file and a prefix of one name, stat finds the file.
            if before is None or before.type != "file" or info.type == "file":
                found[leaf] = info
        return list(found.values())

    def _require_file(self, path: str) -> FileInfo:
        """What is there, if it can be read as a file.

        Asked before every reading, since several filesystems open a directory as an empty file.
        """
        info = self.stat(path)
        if info.type == "directory":
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        if info.type != "file":
            raise PermissionError(errno.EACCES, f"not a regular file: {info.type}", path)
        return info

    # -- reading ------------------------------------------------------------------------------

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        self._refuse_version(version)
        self._require_file(path)
        with self._guard:
            stream = self._open_stream(path)
        return cast("BinaryIO", GuardedReader(stream, self._guard))

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        self._refuse_version(version)
        if end is not None and end <= start:
            # fsspec reads a negative length as "all". Nothing is fetched, so that nobody else
            # says whether there is a file.
            FsspecBackend._require_file(self, path)
            return b""
        size = self._require_file(path).size
        # Beyond the end some stores answer 416.
        if start and size is not None and start >= size:
            return b""
        limits: dict[str, int] = {}
        if start:
            limits["start"] = start
        if end is not None:
            limits["end"] = end if size is None else min(end, size)
            if limits["end"] <= start:
                return b""
        with self._guard:
            return bytes(self._fs.cat_file(self._followed(path), **limits))

    def download(self, path: str, target: Path, *, version: str | None = None) -> None:
        self._refuse_version(version)
        self._require_file(path)
        with self._guard:
            self._fetch(self._followed(path), target)

    def _refuse_version(self, version: str | None) -> None:
        if version is not None:
            raise self._unsupported("versioning")

    # -- writing ------------------------------------------------------------------------------

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        self._require_write(path, if_absent)
        if not append:
            return SpooledWrite(lambda data: self._publish(data, path, if_absent, attributes))
        if not self.capabilities.append_mode:
            raise self._unsupported("appending")
        return SpooledWrite(lambda data: self._add(data, path), seekable=False)

    def write_bytes(
        self,
        path: str,
        data: bytes,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        self._require_write(path, if_absent)
        self._publish(bytes(data), path, if_absent, attributes)
        return None

    def upload(
        self,
        source: str | os.PathLike[str],
        path: str,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        self._require_write(path, if_absent)
        with open(source, "rb"):  # put_file makes a directory of a directory, so ask first
            pass
        if is_size_untold(source):  # the length that is announced for it would be wrong
            return super().upload(source, path, if_absent=if_absent, attributes=attributes)
        self._publish(Path(source), path, if_absent, attributes)
        return None

    def _require_write(self, path: str, if_absent: bool) -> None:
        """Refuse early what could not be published, without touching anything."""
        if not self.capabilities.write:
            raise self._unsupported("writing")
        if not path:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        refuse_temporary(path)
        if self._profile.implicit_directories:
            # Nothing can be in the way of a key, so that only if_absent is worth a request.
            if if_absent:
                self._require_absent(path)
            return
        above = path
        while above:
            try:
                found = self.stat(above).type
            except RootNotFoundError:
                raise
            except FileNotFoundError:
                above = parent_of(above)
                continue
            if above != path:
                if found != "directory":
                    raise NotADirectoryError(errno.ENOTDIR, "is not a directory", above)
            elif found == "directory":
                raise IsADirectoryError(errno.EISDIR, "is a directory", path)
            elif if_absent:
                raise FileExistsError(errno.EEXIST, "already exists", path)
            elif found != "file":
                raise PermissionError(errno.EACCES, f"not a regular file: {found}", path)
            return

    def _publish(
        self, content: Content, path: str, if_absent: bool, attributes: Attributes | None
    ) -> None:
        self.make_parents(path)
        options = self._put_options(attributes)
        with self._guard:
            full = self._followed(path)
            if self._profile.commit == "rename":
                with self._sibling(full) as temporary:
                    self._prepare(temporary, full)
                    self._put(content, temporary, options)
                    self._settle(temporary, full, attributes)
                    if if_absent:
                        self._rename_if_absent(temporary, full, path)
                    else:
                        self._rename(temporary, full)
                return
            if if_absent and self._profile.exclusive:
                options = {**options, "mode": "create"}
            elif if_absent:
                self._require_absent(path)
            self._put(content, full, options)

    @contextlib.contextmanager
    def _sibling(self, full: str) -> Generator[str]:
        """A temporary name beside the target, gone again where the block fails."""
        name = full.rpartition("/")[2]
        temporary = full[: len(full) - len(name)] + unique_name(name)
        try:
            yield temporary
        except BaseException:
            # The reason of the failure matters more than whether the part can be removed, and
            # cleanup() finds it; any filesystem raises what it likes here.
            with contextlib.suppress(Exception):
                self._remove_file(temporary)
            raise

    def _add(self, content: Content, path: str) -> None:
        self.make_parents(path)
        with self._guard:
            self._append(content, self._followed(path))

    # -- names --------------------------------------------------------------------------------

    def mkdir(self, path: str) -> None:
        """Make one directory.

        A store without directories has nothing to make: there this only checks that the name is
        free, ``capabilities.mkdir`` is False, and the directory shows once it holds a file.
        """
        if self._profile.readonly or not self.capabilities.write:
            raise self._unsupported("making directories")
        if not path:
            raise FileExistsError(errno.EEXIST, "already exists", path)
        with self._guard:
            self._require_absent(path)
            if self._profile.implicit_directories:
                return
            if self.stat(parent_of(path)).type != "directory":
                raise NotADirectoryError(errno.ENOTDIR, "is not a directory", parent_of(path))
            self._make_directory(self._full(path))

    def make_parents(self, path: str) -> None:
        if not self._profile.implicit_directories:
            super().make_parents(path)

    def copy(self, source: str, target: str) -> None:
        if not self.capabilities.copy_optimization:
            raise self._unsupported("copy inside the store")
        self._require_file(source)
        self._require_write(target, False)
        if self._full(source) == self._full(target):
            return
        self.make_parents(target)
        with self._guard:
            here, there = self._followed(source), self._followed(target)
            if self._profile.commit != "rename":
                self._copy_file(here, there)
                return
            with self._sibling(there) as temporary:
                self._prepare(temporary, there)
                self._copy_file(here, temporary)
                self._settle(temporary, there, None)
                self._rename(temporary, there)

    def move(self, source: str, target: str) -> None:
        if self._profile.commit != "rename" or not self.capabilities.delete:
            raise self._unsupported("rename inside the store")
        if not source or not target:
            raise PermissionError(errno.EPERM, "the root cannot be moved or replaced")
        moved = self.stat(source).type
        if self._full(source) == self._full(target):
            return
        if moved != "directory":
            self._require_write(target, False)
        self.make_parents(target)
        with self._guard:
            self._rename(self._full(source), self._full(target))

    def remove(self, path: str) -> None:
        directory = self._require_removable(path)
        with self._guard:
            if not directory:
                self._remove_file(self._full(path))
                return
            entries = self._entries(path)
            if not all(_is_unfinished(info) for info in entries):
                raise OSError(errno.ENOTEMPTY, "directory not empty", path)
            # What killed writers left is invisible, so it must not keep a directory alive.
            for info in entries:
                with contextlib.suppress(FileNotFoundError):  # somebody was faster
                    self._remove_file(self._full(info.path))
            self._drop_directory(path)

    def remove_tree(self, path: str) -> None:
        if not self._require_removable(path):
            with self._guard:
                self._remove_file(self._full(path))
            return
        # A stack rather than recursion: trees may be deeper than Python's call stack.
        levels = [(path, iter(sorted(self._entries(path), key=order_key)))]
        while levels:
            directory, entries = levels[-1]
            info = next(entries, None)
            here = directory if info is None else info.path
            # What another client has removed already needs no removing, and some filesystems
            # forget a directory with the last file in it.
            with locating(here), contextlib.suppress(FileNotFoundError):
                if info is None:
                    levels.pop()
                    self._drop_directory(directory)
                elif info.type == "directory" and not self._is_link(info.path):
                    below = sorted(self._entries(info.path), key=order_key)
                    levels.append((info.path, iter(below)))
                else:
                    with self._guard:
                        self._remove_file(self._full(info.path))

    def _drop_directory(self, path: str) -> None:
        if not self._profile.implicit_directories:
            with self._guard:
                self._remove_directory(self._full(path))

    def _require_removable(self, path: str) -> bool:
        """Whether a directory, rather than a file or a link, is to be removed."""
        if not self.capabilities.delete:
            raise self._unsupported("deleting")
        if not path:
            raise PermissionError(errno.EPERM, "the root cannot be removed")
        return self.stat(path).type == "directory" and not self._is_link(path)

    def cleanup(self, path: str, older_than: float) -> int:
        """Remove the temporary files of killed writers; one of unknown age only for 0 seconds."""
        if self._profile.commit != "rename" or not self.capabilities.delete:
            return 0
        limit = time.time() - older_than
        removed = left = 0
        pending = [path]
        while pending:
            here = pending.pop()
            with locating(here), contextlib.suppress(FileNotFoundError):  # somebody was faster
                for info in self._entries(here):
                    if info.type == "directory" and not self._is_link(info.path):
                        pending.append(info.path)
                    elif _is_unfinished(info):
                        if _is_old(info, limit, older_than):
                            removed += self._remove_stale(info.path)
                        else:
                            left += 1
        return CleanupCount(removed, left)

    def _remove_stale(self, path: str) -> int:
        try:
            with self._guard:
                self._remove_file(self._full(path))
        except FileNotFoundError:
            return 0
        return 1

    def close(self) -> None:
        close = getattr(self._fs, "close", None)
        if callable(close):
            with self._guard:
                close()


def _is_unfinished(info: FileInfo) -> bool:
    return info.type == "file" and not info.symlink and is_temporary(info.name)


def _is_old(info: FileInfo, limit: float, older_than: float) -> bool:
    return older_than <= 0 if info.mtime is None else info.mtime <= limit
