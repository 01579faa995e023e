"""How one fsspec filesystem is called: the places where filesystems differ, each a method."""

from __future__ import annotations

import contextlib
import errno
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fsspec.spec import AbstractFileSystem

from ..capabilities import BackendCapabilities
from .base import COPY_CHUNK, Backend
from .fsspec_info import (
    Commit,
    Filesystem,
    Profile,
    calls_may_overlap,
    file_info,
    profile_of,
    protocols_of,
)
from .fsspec_write import Content

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..info import Attributes, FileInfo

__all__ = ["FilesystemCalls"]


class FilesystemCalls(Backend):
    """What ``FsspecBackend`` is made of; a subclass for one technology overrides these methods.

    ``full`` is a path as the filesystem spells it, ``path`` one of the backend's. All of them
    run while ``_guard`` is held, except ``_full``, ``_followed`` and ``_is_link``.
    """

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
            if known.threadsafe or calls_may_overlap(fs)
            else self._make_lock()
        )
        if known.commit == "rename" and not known.readonly and not self._can_rename():
            raise ValueError(
                f"the {protocols_of(fs)[0]!r} filesystem cannot rename; "
                "choose 'put' or 'stream' for commit"
            )
        self.capabilities: BackendCapabilities = capabilities or self._declare()
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
            copy_optimization=known.copies and not known.readonly,
            append_mode=known.appends,
            seek_support=known.seeks,
            temporary=known.temporary,
        )
        return found.without_writing() if known.readonly else found

    def _make_lock(self) -> contextlib.AbstractContextManager[Any]:
        """What makes the calls of a filesystem take turns that is not thread-safe."""
        return threading.RLock()

    def _strip_root(self, root: str) -> str:
        # What every fsspec method does to a path first; part of its protocol.
        stripped = self._fs._strip_protocol(root) if root else ""
        return stripped if stripped == "/" else stripped.rstrip("/")

    def _full(self, path: str) -> str:
        """The filesystem's own spelling of a path (a place for quoting)."""
        if not path:
            return self._root or self._fs.root_marker
        if not self._root:
            return self._fs.root_marker + path
        return self._root + path if self._root.endswith("/") else f"{self._root}/{path}"

    def address(self, path: str) -> tuple[object, str] | None:
        # Two mounts of one store may overlap; only the very same options surely mean one store.
        options = getattr(self._fs, "storage_options", None)
        store = id(self._fs) if options is None else options
        return (protocols_of(self._fs), store), self._full(path).strip("/")

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

    def filesystem(self) -> Any:
        """The filesystem itself; paths in it begin with the mount's root."""
        from fsspec import AbstractFileSystem

        # Several technologies stand on something that has a few of its methods only.
        return self._fs if isinstance(self._fs, AbstractFileSystem) else super().filesystem()

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
        """The ``mv`` of fsspec itself expands patterns, copies and deletes: only an override counts."""
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

    def _require_absent(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.stat(path)
            raise FileExistsError(errno.EEXIST, "already exists", path)

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
