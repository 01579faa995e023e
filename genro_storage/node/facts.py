"""What one request tells about a node: whether it exists, what it is, how large, how old."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exceptions import (
    StorageIsDirectoryError,
    StorageNotDirectoryError,
    StorageNotFoundError,
    StorageVersionError,
)
from .history import NodeHistory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..capabilities import BackendCapabilities
    from ..info import FileInfo

__all__ = ["NodeFacts"]

_BLOCK = 1024 * 1024


class NodeFacts(NodeHistory):
    """Asking the storage, or the listing that made this node."""

    __slots__ = ()

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

    def _look_or_none(self) -> FileInfo | None:
        try:
            return self._look()
        except (StorageNotFoundError, StorageNotDirectoryError, StorageVersionError):
            return None

    def _stat_or_none(self) -> FileInfo | None:
        """What is here now: for what is said about contents, a listing may be too old."""
        self._info = None
        return self._look_or_none()

    @property
    def exists(self) -> bool:
        """Whether something is here now. An unreachable storage raises: it is not "no"."""
        if self._snapshot is not None:
            return self._look_or_none() is not None
        return self._mount.exists(self._path)

    @property
    def isfile(self) -> bool:
        """Whether a file is here, or a link to one; False where nothing is."""
        info = self._look_or_none()
        return info is not None and info.type == "file"

    @property
    def isdir(self) -> bool:
        """Whether a directory is here, or a link to one; False where nothing is."""
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
        """Bytes of the file.

        Raises ``StorageNotFoundError``, or ``StorageIsDirectoryError`` (a ValueError) for a
        directory. Where the storage does not say the size, the file is read to count it.
        """
        info = self._file_info("has no size")
        if info.size is None and self._info is not None:
            # A listing may say less than a look does, and reading the whole file is dear.
            self._info = None
            info = self._file_info("has no size")
        if info.size is None:
            return sum(len(chunk) for chunk in self._chunks())
        return info.size

    def _file_info(self, problem: str) -> FileInfo:
        info = self._look()
        if info.type == "directory":
            raise StorageIsDirectoryError(
                f"{self._label}: is a directory and {problem}", node=self._label
            )
        if info.type == "link":
            raise StorageNotFoundError(
                f"{self._label}: is a symbolic link that leads nowhere or out of the mount",
                node=self._label,
            )
        return info

    @property
    def mtime(self) -> float | None:
        """Seconds since the epoch (UTC) of the last change; None where the storage says none.

        Raises ``StorageNotFoundError`` where nothing is.
        """
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

    def _chunks(self) -> Iterator[bytes]:
        with self._mount.open_read(self._path, version=self._version_id()) as stream:
            while chunk := stream.read(_BLOCK):
                yield chunk
