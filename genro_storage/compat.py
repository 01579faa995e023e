"""The verbs that 0.4 offered on ``storage._mounts[name]``, over today's mounts.

Applications and tests written for 0.4 reach the storage below a manager that way. Each verb is
the node's, so permissions, relative mounts and errors are the same as everywhere; new code asks
nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .exceptions import StorageNotDirectoryError, StorageNotFoundError
from .node import StorageNode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from .capabilities import BackendCapabilities
    from .manager import StorageManager

__all__ = ["MountTable", "MountView"]


class MountTable(Mapping[str, "MountView"]):
    """The mounts of a manager as they are now, by name; read-only, in configuration order."""

    __slots__ = ("_manager",)

    def __init__(self, manager: StorageManager) -> None:
        self._manager = manager

    def __getitem__(self, name: str) -> MountView:
        """The view of one mount; ``MountNotFoundError`` (a KeyError)."""
        return MountView(StorageNode(self._manager, name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._manager.get_mount_names())

    def __len__(self) -> int:
        return len(self._manager.get_mount_names())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._manager.has_mount(name)

    def __repr__(self) -> str:
        return f"MountTable([{', '.join(self)}])"


class MountView:
    """One mount with the backend verbs of 0.4; every path is relative to the mount."""

    __slots__ = ("_root",)

    def __init__(self, node: StorageNode) -> None:
        self._root = node._derive("")  # of the same mount value, whatever the manager has by now

    def _at(self, path: str) -> StorageNode:
        return self._root._derive(self._root._mount.normalise(path))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._root._mount.name!r})"

    # -- what the mount is --------------------------------------------------------------------

    @property
    def capabilities(self) -> BackendCapabilities:
        """What the mount can do, as far as its permissions allow it."""
        return self._root.capabilities

    @property
    def base_path(self) -> Path | str:
        """The root: a ``Path`` on a local mount, where a callable root is asked anew each time.

        Elsewhere the path of a relative mount inside its parent's storage; "" for its root.
        """
        real = self._root.resolved_path
        return self._root._mount.prefix if real is None else Path(real)

    def close(self) -> None:
        """Nothing: backends are shared, and the manager closes one that no mount uses any more."""

    # -- looking ------------------------------------------------------------------------------

    def exists(self, path: str) -> bool:
        """Whether something is there."""
        return self._at(path).exists

    def is_file(self, path: str) -> bool:
        """Whether a file is there."""
        return self._at(path).isfile

    def is_dir(self, path: str) -> bool:
        """Whether a directory is there."""
        return self._at(path).isdir

    def size(self, path: str) -> int:
        """Bytes of the file."""
        return self._at(path).size

    def mtime(self, path: str) -> float | None:
        """Seconds since the epoch (UTC), None where unknown."""
        return self._at(path).mtime

    def ext_attributes(self, path: str) -> tuple[float | None, int | None, bool]:
        """``(mtime, size, isdir)``; ``(None, None, False)`` where nothing is."""
        return self._at(path).ext_attributes

    def list_dir(self, path: str = "") -> list[str]:
        """The names in a directory, sorted."""
        return [node.name for node in self._at(path).children()]

    def get_hash(self, path: str) -> str | None:
        """The MD5 that the storage knows without reading the file; None where it knows none."""
        node = self._at(path)
        known = node._mount.checksum(node.stat())
        return known.hexdigest if known is not None and known.algorithm == "md5" else None

    def resolved_path(self, path: str) -> str | None:
        """The absolute path on a local mount, existing or not; None elsewhere."""
        return self._at(path).resolved_path

    def local_path(self, path: str, mode: str = "r") -> AbstractContextManager[str]:
        """As ``StorageNode.local_path``."""
        return self._at(path).local_path(mode)

    def url(self, path: str, expires_in: int = 3600, **kwargs: Any) -> str | None:
        """A URL for the outside world, None where there is none."""
        return self._at(path).url(expires_in, **kwargs)

    def internal_url(self, path: str, nocache: bool = False) -> str | None:
        """A URL for use inside the application, None where there is none."""
        return self._at(path).internal_url(nocache)

    # -- contents -----------------------------------------------------------------------------

    def open(self, path: str, mode: str = "rb") -> IO[Any]:
        """As ``StorageNode.open``, in binary unless asked otherwise."""
        return self._at(path).open(mode)

    def read_bytes(self, path: str) -> bytes:
        """The whole content."""
        return self._at(path).read_bytes()

    def read_text(self, path: str, encoding: str = "utf-8") -> str:
        """The whole content as text."""
        return self._at(path).read_text(encoding)

    def write_bytes(self, path: str, data: bytes) -> str | None:
        """Replace the content; the new path where the content is the path (base64), else None."""
        node = self._at(path)
        node.write_bytes(data)
        return self._moved(node)

    def write_text(self, path: str, text: str, encoding: str = "utf-8") -> str | None:
        """Replace the content by text; returns what ``write_bytes`` returns."""
        node = self._at(path)
        node.write_text(text, encoding)
        return self._moved(node)

    @staticmethod
    def _moved(node: StorageNode) -> str | None:
        return node.path if node.capabilities.path_is_content else None

    def mkdir(self, path: str, parents: bool = False, exist_ok: bool = False) -> None:
        """As ``StorageNode.mkdir``."""
        self._at(path).mkdir(parents, exist_ok)

    def delete(self, path: str, recursive: bool = False) -> None:
        """Remove a file, or a directory (an empty one unless ``recursive``); missing: no error."""
        node = self._at(path)
        if recursive:
            node.delete()
            return
        try:
            node._mount.remove(node._path)
        except (StorageNotFoundError, StorageNotDirectoryError):
            return

    def copy(self, source: str, dest_backend: MountView, dest: str) -> str | None:
        """Copy a file or tree to another mount; the new path where the content is the path."""
        target = dest_backend._at(dest)
        self._at(source).copy_to(target)
        return self._moved(target)

    # -- metadata and versions ----------------------------------------------------------------

    def get_metadata(self, path: str) -> dict[str, str]:
        """The user metadata; empty where the backend keeps none."""
        return self._at(path).get_metadata()

    def set_metadata(self, path: str, metadata: dict[str, str]) -> None:
        """Replace the user metadata."""
        self._at(path).set_metadata(metadata)

    def get_versions(self, path: str) -> list[dict[str, Any]]:
        """As ``StorageNode.versions``."""
        return self._at(path).versions

    def open_version(self, path: str, version_id: str, mode: str = "rb") -> IO[Any]:
        """Open one version for reading."""
        return self._at(path).open(mode, version=version_id)

    def delete_version(self, path: str, version_id: str) -> None:
        """Remove one version for good."""
        node = self._at(path)
        node._mount.delete_version(node._path, version_id)
