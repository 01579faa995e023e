"""What every node is made of: a mount, a path, maybe a version, and what a listing said."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..exceptions import MountNotFoundError

if TYPE_CHECKING:
    from typing import Self

    from ..info import FileInfo
    from ..manager import StorageManager
    from ..mount import Mount

__all__ = ["LOCAL_PATHS", "NodeCore", "no_node"]

#: How a path of this machine is reached, for the messages about one that was given for a node.
LOCAL_PATHS = (
    "a path of this machine is reached by a mount of type 'local', or as a file: with "
    "node.local_path() as path: shutil.copy(path, …)"
)


class NodeCore:
    """The state of a node, and how one node makes another.

    The classes of this package build on each other in one line, so that each may use those below
    it: core, names, history, facts, contents, tree, URLs, and ``StorageNode`` on top.
    """

    __slots__ = ("__weakref__", "_info", "_manager", "_mount", "_path", "_snapshot")

    def __init__(
        self,
        manager: StorageManager,
        mount_name: str,
        path: str = "",
        version: int | str | None = None,
    ) -> None:
        mount = manager._mount(mount_name)
        self._manager = manager
        self._mount: Mount = mount
        self._path: str = mount.normalise(path)
        self._snapshot: int | str | None = version
        self._info: FileInfo | None = None

    def _create_node(self, manager: StorageManager, mount_name: str, path: str) -> Self:
        """How a node makes another; a subclass with more constructor arguments overrides it."""
        return type(self)(manager, mount_name, path)

    def _derive(self, path: str, info: FileInfo | None = None) -> Self:
        """A node of the same mount value, even where the manager has a newer one by that name."""
        try:
            node = self._create_node(self._manager, self._mount.name, "")
        except MountNotFoundError:  # or none any more
            node = self.__copy__()
            node._snapshot = None
        node._mount, node._path, node._info = self._mount, path, info
        return node

    def _bound(self, like: NodeCore | None = None) -> Self:
        """This node with its callable root evaluated: for an operation of several steps.

        ``like`` is the bound node of the other side, which may be on the same mount.
        """
        mount = self._mount
        if like is not None and mount.name == like._mount.name and mount.is_bound_as(like._mount):
            bound = like._mount
        else:
            bound = mount.bind()
        if bound is mount:
            return self
        twin = self._derive(self._path, self._info)
        twin._mount, twin._snapshot = bound, self._snapshot
        return twin

    def _changed(self, new_path: str | None = None) -> None:
        """After a write: forget what a listing said, follow content that moved."""
        self._info = None
        if new_path is not None:
            self._path = new_path

    @property
    def fullpath(self) -> str:
        """``mount:path``; the root of a mount is ``mount:``."""
        return self._mount.fullpath(self._path)

    @property
    def _label(self) -> str:
        """The full path for messages, where content that is a path is cut short."""
        return self._mount.label(self._path)

    def __copy__(self) -> Self:
        # Not by __reduce__, which asks the manager for a mount that may be gone by now, and calls
        # a constructor that a subclass may have given more arguments.
        twin = type(self).__new__(type(self))
        state: Any = object.__getstate__(self)
        attributes, slots = state if isinstance(state, tuple) else (state, None)
        for name, value in {**(attributes or {}), **(slots or {})}.items():
            setattr(twin, name, value)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # What a node refers to is shared: managers, mounts and listings are values or services.
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._manager, self._mount.name, self._path, self._snapshot)


def no_node(wanted: str, given: object) -> TypeError:
    """For what was given in the place of a node."""
    fix = f"; {LOCAL_PATHS}" if isinstance(given, os.PathLike) else ""
    return TypeError(f"{wanted}, not {type(given).__name__}{fix}")


def _restore(
    kind: type[NodeCore],
    manager: StorageManager,
    name: str,
    path: str,
    version: int | str | None,
) -> NodeCore:
    """Unpickle a node."""
    node = kind(manager, name, "", version)
    node._path = path  # as it was, not as somebody might type it
    return node
