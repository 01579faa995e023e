"""Any fsspec filesystem as a backend.

Only single-path calls are made (``Filesystem`` lists them), because the bulk calls expand
patterns and the predicates turn a refused request into "not there". A row for one technology
subclasses ``FsspecBackend`` or passes a ``Profile``; the methods under "quirk points" are the
places where filesystems differ.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped]

from ..capabilities import BackendCapabilities
from ..info import FileInfo
from ..paths import is_addressable, join, order_key, parent_of
from .base import COPY_CHUNK, Backend
from .fsspec_info import Commit, Filesystem, Profile, file_info, profile_of, protocols_of
from .fsspec_write import Content, GuardedReader, SpooledWrite, is_temporary, temporary_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ..info import Attributes
    from .base import WriteHandle

__all__ = ["FsspecBackend"]

_log = logging.getLogger("genro_storage")


class FsspecBackend(Backend):
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
    >>> backend = FsspecBackend(fsspec.filesystem("memory", skip_instance_cache=True), "/doc")
    >>> backend.write_bytes("a/b.txt", b"hello")
    >>> [info.path for info in backend.find("")]
    ['a', 'a/b.txt']
    """

    def __new__(cls, fs: Filesystem, *_arguments: Any, **_options: Any) -> FsspecBackend:
        if cls is FsspecBackend:
            from .fsspec_kinds import KINDS  # that module subclasses this one

            for name in protocols_of(fs):
                cls = KINDS.get(name, cls)
        return cast("FsspecBackend", super().__new__(cls))

    def __init__(
        self,
        fs: Filesystem,
        root: str = "",
        *,
        commit: Commit | None = None,
        capabilities: BackendCapabilities | None = None,
        readonly: bool | None = None,
        profile: Profile | None = None,
    ) -> None:
        self._fs = fs
        known = profile or profile_of(fs)
        if commit is not None:
            known = replace(known, commit=commit)
        if readonly is not None:
            known = replace(known, readonly=readonly)
        self._profile = known
        self._root = self._strip_root(root)
        self._guard: contextlib.AbstractContextManager[Any] = (
            contextlib.nullcontext()
            if known.threadsafe or getattr(fs, "async_impl", False)
            else self._make_lock()
        )
        if known.commit == "rename" and not known.readonly and not self._can_rename():
            raise ValueError(
                f"the {protocols_of(fs)[0]!r} filesystem cannot rename; "
                "choose 'put' or 'stream' for commit"
            )
        self.capabilities = capabilities or self._declare()
        cache = getattr(fs, "dircache", None)
        if cache is not None:
            # Not by the constructor: some (sftp) hand unknown keywords on to their client.
            cache.use_listings_cache = False

    @property
    def root(self) -> str:
        """Where the backend starts inside the filesystem."""
        return self._full("")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {protocols_of(self._fs)[0]}>"

    # -- quirk points -------------------------------------------------------------------------

    def _declare(self) -> BackendCapabilities:
        """What works here; from the profile alone, never from what methods exist."""
        known = self._profile
        found = BackendCapabilities(
            mkdir=not known.implicit_directories,
            list_dir=known.lists,
            atomic_operations=known.commit in ("rename", "put"),
            copy_optimization=known.copies,
            append_mode=known.appends,
            seek_support=known.seeks,
            temporary=known.temporary,
        )
        return found.without_writing() if known.readonly else found

    def _make_lock(self) -> contextlib.AbstractContextManager[Any]:
        """What makes the calls of a filesystem take turns that is not thread-safe."""
        return threading.RLock()

    def _strip_root(self, root: str) -> str:
        stripped = self._fs._strip_protocol(root) if root else ""
        return stripped if stripped == "/" else stripped.rstrip("/")

    def _full(self, path: str) -> str:
        """The filesystem's own spelling of a path (a place for quoting)."""
        if not path:
            return self._root or self._fs.root_marker
        if not self._root:
            return self._fs.root_marker + path
        return self._root + path if self._root.endswith("/") else f"{self._root}/{path}"

    def _followed(self, path: str) -> str:
        """``_full`` where content is read or written: links that stay inside are followed."""
        return self._full(path)

    def _leaf(self, directory: str, raw: Mapping[str, Any]) -> str | None:
        """The name of a listed entry below ``directory`` (its ``_full``, bare of slashes).

        ``""`` is the directory itself, None what is no child of it.
        """
        name = str(raw["name"]).strip("/")
        if name == directory:
            return ""
        if not directory or name.startswith(directory + "/"):
            name = name[len(directory) + 1 :] if directory else name
        return None if "/" in name else name

    def _describe(self, path: str, raw: Mapping[str, Any]) -> FileInfo:
        """The normaliser, for one entry as ``info`` or ``ls`` gave it."""
        return file_info(path, raw)

    def _info(self, path: str) -> dict[str, Any]:
        return self._fs.info(self._full(path))

    def _is_link(self, path: str) -> bool:
        """Whether a directory is reached through a link, which removing must not follow."""
        return False

    def _root_is_implied(self) -> bool:
        """Whether a root without entries is an empty directory rather than missing."""
        return self._profile.implicit_directories

    def _open_stream(self, path: str) -> Any:
        return self._fs.open(self._followed(path), "rb")

    def _put_options(self, attributes: Attributes | None) -> dict[str, Any]:
        """Keywords for ``pipe_file`` and ``put_file`` that keep what a writer asks to keep."""
        return {}

    def _put(self, content: Content, full: str, options: dict[str, Any]) -> None:
        if isinstance(content, bytes):
            self._fs.pipe_file(full, content, **options)
        else:
            self._fs.put_file(str(content), full, **options)

    def _append(self, content: Content, full: str) -> None:
        """Add to the end in one go; a kill meanwhile can leave a part of the addition."""
        with self._fs.open(full, "ab") as stream:
            if isinstance(content, bytes):
                stream.write(content)
                return
            with content.open("rb") as source:
                while chunk := source.read(COPY_CHUNK):
                    stream.write(chunk)

    def _can_rename(self) -> bool:
        """fsspec's own ``mv`` copies and deletes, and expands patterns; only an override counts."""
        return type(self._fs).mv is not AbstractFileSystem.mv

    def _prepare(self, temporary: str, target: str) -> None:
        """Make ready for putting the content beside its target."""

    def _settle(self, temporary: str, target: str, attributes: Attributes | None) -> None:
        """Give the new file what belongs to the name, before it is renamed."""

    def _rename(self, source: str, target: str) -> None:
        """Rename at once, replacing a file."""
        self._fs.mv(source, target)

    def _rename_if_absent(self, source: str, target: str, path: str) -> None:
        self._require_absent(path)
        self._rename(source, target)

    def _make_directory(self, full: str) -> None:
        self._fs.mkdir(full, create_parents=False)

    def _remove_file(self, full: str) -> None:
        self._fs.rm_file(full)

    def _remove_directory(self, full: str) -> None:
        self._fs.rmdir(full)

    def _copy_file(self, source: str, target: str) -> None:
        self._fs.cp_file(source, target)

    def _fetch(self, full: str, target: Path) -> None:
        self._fs.get_file(full, str(target))

    # -- looking ------------------------------------------------------------------------------

    def stat(self, path: str) -> FileInfo:
        try:
            with self._guard:
                return self._describe(path, self._info(path))
        except FileNotFoundError:
            if not path and self._root_is_implied():
                return FileInfo("", "directory")
            raise
        except NotADirectoryError as error:  # below a file there is nothing
            raise FileNotFoundError(errno.ENOENT, "not found", path) from error

    def scan(self, path: str) -> Iterator[FileInfo]:
        return (info for info in self._entries(path) if not is_temporary(info.name))

    def _entries(self, path: str) -> list[FileInfo]:
        """One level, with what writers keep beside their targets."""
        if not self.capabilities.list_dir:
            raise self._unsupported("listing directories")
        full = self._followed(path)
        try:
            with self._guard:
                listed = self._read_listing(path, full)
        except FileNotFoundError:
            if not path and self._root_is_implied():
                return []
            raise
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
        size = self._require_file(path).size
        # Beyond the end some stores answer 416, and fsspec reads a negative length as "all".
        if end is not None and end <= start or start and size is not None and start >= size:
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
        source: Path,
        path: str,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        self._require_write(path, if_absent)
        with source.open("rb"):  # put_file makes a directory of a directory, so ask first
            pass
        self._publish(source, path, if_absent, attributes)
        return None

    def _require_write(self, path: str, if_absent: bool) -> None:
        """Refuse early what could not be published, without touching anything."""
        if not self.capabilities.write:
            raise self._unsupported("writing")
        if not path:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        if self._profile.implicit_directories:
            # Nothing can be in the way of a key, so that only if_absent is worth a request.
            if if_absent:
                self._require_absent(path)
            return
        above = path
        while above:
            with contextlib.suppress(FileNotFoundError):
                found = self.stat(above).type
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
            above = parent_of(above)

    def _require_absent(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.stat(path)
            raise FileExistsError(errno.EEXIST, "already exists", path)

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
    def _sibling(self, full: str) -> Iterator[str]:
        """A temporary name beside the target, gone again where the block fails."""
        directory, _, name = full.rpartition("/")
        temporary = f"{directory}/{temporary_name(name)}"
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
            if not all(is_temporary(info.name) for info in entries):
                raise OSError(errno.ENOTEMPTY, "directory not empty", path)
            # What killed writers left is invisible, so it must not keep a directory alive.
            for info in entries:
                self._remove_file(self._full(info.path))
            if not self._profile.implicit_directories:
                self._remove_directory(self._full(path))

    def remove_tree(self, path: str) -> None:
        if not self._require_removable(path):
            with self._guard:
                self._remove_file(self._full(path))
            return
        for info in sorted(self._entries(path), key=order_key):
            # What another client has removed already needs no removing.
            with contextlib.suppress(FileNotFoundError):
                self.remove_tree(info.path)
        if not self._profile.implicit_directories:
            # Some filesystems forget a directory with the last file in it.
            with contextlib.suppress(FileNotFoundError), self._guard:
                self._remove_directory(self._full(path))

    def _require_removable(self, path: str) -> bool:
        """Whether a directory, rather than a file or a link, is to be removed."""
        if not self.capabilities.delete:
            raise self._unsupported("deleting")
        if not path:
            raise PermissionError(errno.EPERM, "the root cannot be removed")
        return self.stat(path).type == "directory" and not self._is_link(path)

    def cleanup(self, older_than: float) -> int:
        """Remove the temporary files of killed writers; one of unknown age only for 0 seconds."""
        if self._profile.commit != "rename" or not self.capabilities.delete:
            return 0
        return self._clean("", time.time() - older_than, older_than <= 0)

    def _clean(self, path: str, limit: float, ageless: bool) -> int:
        removed = 0
        for info in self._entries(path):
            with contextlib.suppress(FileNotFoundError):  # somebody was faster
                if info.type == "directory":
                    if not self._is_link(info.path):
                        removed += self._clean(info.path, limit, ageless)
                elif is_temporary(info.name) and (
                    ageless if info.mtime is None else info.mtime <= limit
                ):
                    with self._guard:
                        self._remove_file(self._full(info.path))
                    removed += 1
        return removed

    def close(self) -> None:
        close = getattr(self._fs, "close", None)
        if callable(close):
            with self._guard:
                close()
