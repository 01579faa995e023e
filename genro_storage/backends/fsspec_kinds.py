"""Filesystems that fsspec itself brings and that need more than the generic class."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat as st
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .fsspec_backend import FsspecBackend
from .fsspec_info import file_info, protocols_of
from .fsspec_write import Content
from .local_append import append_content
from .local_links import follow_inside, publish_exclusively, rename
from .local_names import LocalNames
from .local_read import open_regular
from .spellings import nearest_directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..capabilities import BackendCapabilities
    from ..info import Attributes, FileInfo
    from ..paths import Folding
    from .fsspec_info import Filesystem

__all__ = [
    "KINDS",
    "HttpFsspecBackend",
    "LocalFsspecBackend",
    "MemoryFsspecBackend",
    "backend_for",
]

_LINK_LEADS_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES)


class LocalFsspecBackend(FsspecBackend):
    """fsspec's local filesystem, with real renames and with links kept inside the root."""

    def __init__(self, fs: Any, root: str = "", **options: Any) -> None:
        super().__init__(fs, root, **options)
        self._shown = self._root or "/"
        self._root = os.path.realpath(self._shown)
        self._names = LocalNames()

    def _declare(self) -> BackendCapabilities:
        return replace(super()._declare(), symbolic_links=os.name != "nt")

    # -- links --------------------------------------------------------------------------------

    def _full(self, path: str) -> str:
        full = super()._full(path)
        if not path:
            return full
        parent, _, name = full.rpartition("/")
        return f"{self._inside(parent).rstrip('/')}/{name}"

    def _followed(self, path: str) -> str:
        full = self._full(path)
        return self._inside(full) if os.path.islink(full) else full

    def _inside(self, full: str) -> str:
        return follow_inside(full, self._root)

    def _info(self, path: str) -> dict[str, Any]:
        full = self._full(path)
        try:
            return self._fs.info(full)
        except OSError:
            if not os.path.islink(full):
                raise
            return {"name": full, "type": "link", "mtime": os.lstat(full).st_mtime}

    def _describe(self, path: str, raw: Mapping[str, Any]) -> FileInfo:
        if raw.get("islink"):
            try:
                there = self._fs.info(self._followed(path))
            except OSError as error:
                if error.errno not in _LINK_LEADS_NOWHERE:
                    raise
            else:
                return file_info(path, there)._replace(symlink=True)
            return super()._describe(path, raw)._replace(symlink=True)
        return super()._describe(path, raw)

    def _is_link(self, path: str) -> bool:
        return os.path.islink(self._full(path))

    def _real_directory(self, path: str) -> str:
        return self._followed(path)

    def address(self, path: str) -> tuple[object, str] | None:
        return "local", os.path.realpath(f"{self._root}/{path}")

    def folding(self, path: str) -> Folding:
        return self._names.folding(self._followed(nearest_directory(self, path)))

    # -- reading ------------------------------------------------------------------------------

    def open_local(self, path: str) -> int:
        return open_regular(self._followed(path))

    # -- writing ------------------------------------------------------------------------------

    def _can_rename(self) -> bool:
        return True

    def _prepare(self, temporary: str, target: str) -> None:
        # What replaces a private file must not be readable meanwhile.
        mode = 0o600 if os.path.exists(target) else 0o666
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))

    def _settle(self, temporary: str, target: str, attributes: Attributes | None) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, st.S_IMODE(os.stat(target).st_mode))
            attributes = attributes and attributes._replace(mode=None)
        if attributes is not None and attributes.mode is not None:
            os.chmod(temporary, attributes.mode & 0o777)
        if attributes is not None and attributes.mtime is not None:
            self._set_mtime(temporary, attributes.mtime)

    def _rename(self, source: str, target: str) -> None:
        # Not fsspec's mv: it moves into a directory that is in the way.
        rename(source, target)

    def _rename_if_absent(self, source: str, target: str, path: str) -> None:
        publish_exclusively(source, target)

    def _append(self, content: Content, full: str) -> None:
        # Not by fsspec's stream, which does not tell how much of the addition a full disk took.
        with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as source:
            append_content(full, source)

    def _copy_file(self, source: str, target: str) -> None:
        super()._copy_file(source, target)
        found = os.stat(source)
        os.chmod(target, st.S_IMODE(found.st_mode))
        os.utime(target, ns=(found.st_mtime_ns, found.st_mtime_ns))

    def set_mtime(self, path: str, mtime: float) -> None:
        if not self.capabilities.write:
            raise self._unsupported("setting modification times")
        self._set_mtime(self._followed(path), mtime)

    @staticmethod
    def _set_mtime(full: str, mtime: float) -> None:
        nanoseconds = int(mtime * 1e9)
        os.utime(full, ns=(nanoseconds, nanoseconds))

    def local_path(self, path: str) -> str | None:
        if not path:
            return self._shown
        self._followed(path)  # refuses what leads out
        return f"{self._shown.rstrip('/')}/{path}"


# The store belongs to the process, so that its lock does too.
_MEMORY_LOCK = threading.RLock()


class MemoryFsspecBackend(FsspecBackend):
    """fsspec's memory filesystem: one store for the whole process, below ``root`` here.

    Its open files *are* the stored objects and share one position, so reading takes a copy and
    adding puts a new object. A root that holds nothing yet is an empty directory.
    """

    def _make_lock(self) -> contextlib.AbstractContextManager[Any]:
        return _MEMORY_LOCK

    def _root_is_implied(self) -> bool:
        return True

    def _describe(self, path: str, raw: Mapping[str, Any]) -> FileInfo:
        info = super()._describe(path, raw)
        if info.type == "file":
            # "created" is all that info tells, and no time of modification.
            return info._replace(mtime=self._fs.modified(self._full(path)).timestamp())
        return info

    def _open_stream(self, path: str) -> Any:
        return io.BytesIO(self._fs.cat_file(self._full(path)))

    def _fetch(self, full: str, target: Path) -> None:
        target.write_bytes(self._fs.cat_file(full))

    def _put(self, content: Content, full: str, options: dict[str, Any]) -> None:
        # put_file would show the new file empty first, and a part if the source fails.
        super()._put(content if isinstance(content, bytes) else content.read_bytes(), full, options)

    def _append(self, content: Content, full: str) -> None:
        try:
            before = self._fs.cat_file(full)
        except FileNotFoundError:
            before = b""
        more = content if isinstance(content, bytes) else content.read_bytes()
        self._fs.pipe_file(full, before + more)


class HttpFsspecBackend(FsspecBackend):
    """fsspec's web client, to which a dead server and a refused password are a missing file."""

    def _info(self, path: str) -> dict[str, Any]:
        try:
            return super()._info(path)
        except FileNotFoundError as error:
            raise _reason_of(error) from None  # its text is the URL, which may hold a password


def _reason_of(error: FileNotFoundError) -> OSError:
    """What has really happened, as the cause says."""
    cause = error.__cause__
    status = getattr(cause, "status", None)
    if cause is None or isinstance(cause, FileNotFoundError) or status in (404, 410):
        return FileNotFoundError(errno.ENOENT, "not found")
    if status in (401, 403):
        return PermissionError(errno.EACCES, f"the server refuses it (status {status})")
    if isinstance(status, int):
        return OSError(errno.EIO, f"the server answered with status {status}")
    if isinstance(cause, TimeoutError):
        return TimeoutError(errno.ETIMEDOUT, "the server did not answer in time")
    return ConnectionError(errno.ECONNABORTED, f"it cannot be reached ({type(cause).__name__})")


#: What needs more than the generic class, by protocol.
KINDS: dict[str, type[FsspecBackend]] = {
    "file": LocalFsspecBackend,
    "local": LocalFsspecBackend,
    "http": HttpFsspecBackend,
    "https": HttpFsspecBackend,
    "memory": MemoryFsspecBackend,
}


def backend_for(fs: Filesystem, root: str = "", **options: Any) -> FsspecBackend:
    """The backend over any fsspec filesystem; ``options`` are those of ``FsspecBackend``."""
    kinds = (KINDS[name] for name in protocols_of(fs) if name in KINDS)
    return next(kinds, FsspecBackend)(fs, root, **options)
