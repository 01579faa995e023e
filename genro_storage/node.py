"""StorageNode: what people hold. A mount, a path, and maybe a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import external
from .contents import NodeContents
from .exceptions import (
    StorageIsDirectoryError,
    StorageNotFoundError,
    StorageValueError,
    StorageVersionError,
)
from .info import FileInfo
from .strategy import SkipStrategy
from .tree import NodeTree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from typing_extensions import Self

    from .capabilities import BackendCapabilities
    from .manager import StorageManager
    from .mount import Mount

__all__ = ["SkipStrategy", "StorageNode"]


class StorageNode(NodeTree, NodeContents):
    """A file or directory on a mount, existing or not.

    Nodes are cheap and hold no connection. ``==`` compares contents, so a node cannot be a
    dictionary key: use ``node.fullpath``. Errors are always ``StorageError`` subclasses that name
    ``mount:path``.

    >>> from genro_storage import StorageManager
    >>> storage = StorageManager()
    >>> storage.configure([{"name": "docs", "type": "memory"}])
    >>> node = storage.node("docs:2026/report.txt")
    >>> node.write_text("done")
    True
    >>> node.size, node.parent.fullpath
    (4, 'docs:2026')
    """

    __slots__ = ("__weakref__", "_info", "_manager", "_mount", "_path", "_snapshot")

    def __init__(
        self,
        manager: StorageManager,
        mount_name: str,
        path: str = "",
        version: int | str | None = None,
    ) -> None:
        mount = manager._mount(mount_name)  # noqa: SLF001 - manager and node are one unit
        self._manager = manager
        self._mount: Mount = mount
        self._path: str = mount.normalise(path)
        self._snapshot = version
        self._info: FileInfo | None = None

    def _create_node(self, manager: StorageManager, mount_name: str, path: str) -> Self:
        """How a node makes another; a subclass with more constructor arguments overrides it."""
        return type(self)(manager, mount_name, path)

    def _derive(self, path: str, info: FileInfo | None = None) -> Self:
        """A node of the same mount value, even where the manager has a newer one by that name."""
        node = self._create_node(self._manager, self._mount.name, "")
        node._mount, node._path, node._info = self._mount, path, info
        return node

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._manager, self._mount.name, self._path, self._snapshot)

    # -- looking ------------------------------------------------------------------------------

    def stat(self) -> FileInfo:
        """Everything that one request tells; ``StorageNotFoundError`` where nothing is."""
        self._info = None
        return self._look()

    def _look(self) -> FileInfo:
        """What is known: from the listing that made this node, else from the storage."""
        if self._info is not None:
            return self._info
        if self._snapshot is not None:
            return self._version_info()
        return self._mount.stat(self._path)

    def _changed(self, new_path: str | None = None) -> None:
        """After a write: forget what a listing said, follow content that moved."""
        self._info = None
        if new_path is not None:
            self._path = new_path

    def _look_or_none(self) -> FileInfo | None:
        try:
            return self._look()
        except (StorageNotFoundError, StorageVersionError, NotADirectoryError):
            return None

    @property
    def exists(self) -> bool:
        """Whether something is here now. An unreachable storage raises: it is not "no"."""
        if self._snapshot is not None:
            return self._look_or_none() is not None
        return self._mount.exists(self._path)

    @property
    def isfile(self) -> bool:
        """Whether a file is here."""
        info = self._look_or_none()
        return info is not None and info.type == "file"

    @property
    def isdir(self) -> bool:
        """Whether a directory is here."""
        info = self._look_or_none()
        return info is not None and info.type == "directory"

    def is_file(self) -> bool:
        """The same as :attr:`isfile`."""
        return self.isfile

    def is_dir(self) -> bool:
        """The same as :attr:`isdir`."""
        return self.isdir

    @property
    def size(self) -> int:
        """Bytes of the file. Raises ``StorageIsDirectoryError`` (a ValueError) for a directory."""
        info = self._file_info("has no size")
        if info.size is None:
            return sum(len(chunk) for chunk in self._chunks())
        return info.size

    def _file_info(self, problem: str) -> FileInfo:
        info = self._look()
        if info.type == "directory":
            raise StorageIsDirectoryError(
                f"{self.fullpath}: is a directory and {problem}", node=self.fullpath
            )
        if info.type == "link":
            raise StorageNotFoundError(
                f"{self.fullpath}: is a symbolic link that leads nowhere or out of the mount",
                node=self.fullpath,
            )
        return info

    @property
    def mtime(self) -> float | None:
        """Seconds since the epoch (UTC) of the last change; None where the storage says none."""
        return self._look().mtime

    @property
    def ext_attributes(self) -> tuple[float | None, int | None, bool]:
        """``(mtime, size, isdir)`` from one request; ``(None, None, False)`` where missing."""
        info = self._look_or_none()
        return (None, None, False) if info is None else (info.mtime, info.size, info.is_dir)

    @property
    def capabilities(self) -> BackendCapabilities:
        """What this node's mount can do, as far as its permissions allow it."""
        found = self._mount.capabilities
        return found if self._snapshot is None else found.without_versions()

    # -- external tools -----------------------------------------------------------------------

    def local_path(self, mode: str = "r") -> AbstractContextManager[str]:
        """A real path for tools that need one, as ``with node.local_path() as path:``.

        ``r`` downloads, ``w`` uploads at the end, ``rw`` does both; on a local mount it is the
        file itself. An exception in the body uploads nothing.
        """
        self._info = None
        return external.local_path(
            self._mount,
            self._path,
            mode,
            version=self._version_id(),
            on_new_path=self._changed,
        )

    def call(
        self,
        *args: object,
        callback: Callable[[], object] | None = None,
        async_mode: bool = False,
        return_output: bool = False,
        on_error: Callable[[BaseException], object] | None = None,
        **subprocess_kwargs: Any,
    ) -> str | None:
        """Run a command; nodes among ``args`` become local paths, uploaded if they changed.

        Returns the output with ``return_output``. Raises ``CalledProcessError`` (and uploads
        nothing), ``FileNotFoundError`` for an unknown command. With ``async_mode`` it runs in a
        thread: ``callback()`` follows success, ``on_error(error)`` failure.
        """
        return external.call(
            args,
            resolve=_binding,
            callback=callback,
            async_mode=async_mode,
            return_output=return_output,
            on_error=on_error,
            **subprocess_kwargs,
        )

    @property
    def resolved_path(self) -> str | None:
        """The absolute path on a local mount, existing or not; None elsewhere."""
        return self._mount.local_path(self._path)

    def __fspath__(self) -> str:
        found = None if self._snapshot is not None else self._mount.local_path(self._path)
        if found is None:
            raise TypeError(
                f"{self.fullpath} is not on a local mount; use 'with node.local_path() as path:'"
            )
        return found

    # -- metadata and URLs --------------------------------------------------------------------

    def get_metadata(self) -> dict[str, str]:
        """The user metadata; empty where the backend keeps none."""
        return self._mount.get_metadata(self._path)

    def set_metadata(self, metadata: Mapping[str, str]) -> None:
        """Replace the user metadata. Raises ``StorageUnsupportedError`` (a PermissionError)
        where the backend keeps none, ``StorageValueError`` for anything but text.
        """
        self._refuse_snapshot()
        if not isinstance(metadata, dict) or not all(
            isinstance(text, str) for pair in metadata.items() for text in pair
        ):
            raise StorageValueError(f"{self.fullpath}: metadata must be a dict of str to str")
        self._mount.set_metadata(self._path, metadata)
        self._changed()

    def url(self, expires_in: int = 3600, **kwargs: Any) -> str | None:
        """A URL that serves the file (for ``expires_in`` seconds); None where there is none."""
        return self._mount.url(self._path, expires_in=expires_in, **kwargs)

    def internal_url(self, nocache: bool = False) -> str | None:
        """A URL for use inside the application; None where there is none."""
        return self._mount.internal_url(self._path, nocache=nocache)


def _restore(
    kind: type[StorageNode],
    manager: StorageManager,
    name: str,
    path: str,
    version: int | str | None,
) -> StorageNode:
    """Unpickle a node."""
    node = kind(manager, name, "", version)
    node._path = path  # noqa: SLF001 - as it was, not as somebody might type it
    return node


def _binding(argument: object) -> external.PathBinding | None:
    """What ``call`` needs to know of an argument that is a node."""
    if not isinstance(argument, StorageNode):
        return None
    return external.PathBinding(
        argument._mount,  # noqa: SLF001 - nodes are one family
        argument._path,  # noqa: SLF001
        argument._version_id(),  # noqa: SLF001
        argument._changed,  # noqa: SLF001
    )
