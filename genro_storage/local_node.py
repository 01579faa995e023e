"""Nodes for plain local paths, without a mount that somebody configured.

The command line takes ``./x`` and ``/tmp/x`` beside ``mount:path``. Both become nodes, so that
everything behind them is the same code.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from .backends.local import LocalBackend
from .exceptions import StoragePathError, translate
from .mount import Mount
from .node import StorageNode

if TYPE_CHECKING:
    from .info import FileInfo
    from .manager import StorageManager

__all__ = ["local_node"]


@functools.cache
def _whole_machine() -> LocalBackend:
    """One backend for all of them: between two local paths a move is a rename."""
    return LocalBackend("/")


class _LocalNode(StorageNode):
    """A node of a mount that no manager knows by name."""

    __slots__ = ()

    def __init__(self, manager: StorageManager, mount: Mount, path: str = "") -> None:
        self._manager = manager
        self._mount = mount
        self._path = path
        self._snapshot = None
        self._info = None

    def _derive(self, path: str, info: FileInfo | None = None) -> Any:
        node = type(self)(self._manager, self._mount, path)
        node._info = info
        return node

    def __reduce__(self) -> tuple[Any, ...]:
        # Where another process stands is another question: only the real place travels.
        return local_node, (self._manager, f"/{self._mount.prefix}/{self._path}")


def local_node(manager: StorageManager, path: str) -> StorageNode:
    """The node of a local path, absolute or not; messages show it as it was written.

    ``~`` and ``~user`` are the home directories. Links are followed wherever they lead, as the
    user could do. Raises ``StoragePathError`` for an empty path and one with a NUL.
    """
    if not path or "\x00" in path:
        raise StoragePathError(f"{path!r}: a local path cannot be empty or contain NUL", node=path)
    written = path.rstrip("/")
    directory, slash, name = written.rpartition("/")
    if (name.startswith("~") and not slash) or name in ("", ".", ".."):
        # It is no name that could be looked for in a directory.
        directory, slash, name = written, "/", ""
    try:
        real = os.path.realpath(os.path.expanduser(directory + slash) or ".")
    except OSError as error:  # the current directory has been removed
        raise translate(error, node=path, action="finding the directory") from error
    mount = Mount("local", _whole_machine(), prefix=real.strip("/"), shown=directory + slash)
    return _LocalNode(manager, mount, name)
