"""Nodes that have no place of their own: iternode, diffnode, and the node of nothing.

Iternodes and diffnodes are ordinary read-only nodes over a virtual backend: what a reader can do
works (``size``, ``copy_to``, ``md5hash``, ``local_path()`` …), writing raises. Only ``exists``
stays False, because there is no place that could exist.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, cast

from ..backends.virtual import VirtualBackend
from ..content import ZipEntry
from ..exceptions import StorageUnsupportedError, StorageValueError
from ..mount import Mount
from ..virtual import ConcatenatedReader, diff_text
from .storage_node import StorageNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from ..info import FileInfo
    from ..manager import StorageManager
    from .modes import OpenMode

__all__ = ["diff_node", "dummy_node", "iter_node"]


class _VirtualNode(StorageNode):
    """A node over a source that is read anew each time."""

    __slots__ = ("_sources",)

    def __init__(
        self,
        manager: StorageManager,
        read: Callable[[], BinaryIO],
        size: Callable[[], int | None],
        sources: Sequence[StorageNode] = (),
    ) -> None:
        self._manager = manager
        self._mount = Mount("None", VirtualBackend(read, size))
        self._path = ""
        self._snapshot = None
        self._info = None
        self._sources = list(sources)

    def _derive(self, path: str, info: FileInfo | None = None) -> Any:
        if path or info is not None:
            raise StorageValueError("a virtual node has nothing below it", node=self._label)
        return self

    def __copy__(self) -> Any:
        # The source of the backend belongs to one node; the twin's must read the twin's nodes.
        make, arguments = self.__reduce__()
        return make(*arguments)

    @property
    def path(self) -> Any:
        """None: these nodes alone have no path, and every other one should read as ``str``."""
        return None

    @property
    def exists(self) -> bool:
        return False

    def _refuse_snapshot(self) -> None:
        """Every way of writing asks this first."""
        raise StorageUnsupportedError(
            f"{self._label} Cannot write to a virtual node: it has no path of its own; "
            "copy it to a node that has one",
            node=self._label,
        )

    def _version_to_open(
        self, mode: OpenMode, version: int | str | None, as_of: datetime | None
    ) -> str | None:
        if mode.writes:
            self._refuse_snapshot()
        return super()._version_to_open(mode, version, as_of)

    def append(self, node: StorageNode) -> None:
        """Only an iternode takes further sources."""
        self.extend(node)

    def extend(self, *nodes: StorageNode) -> None:
        """Only an iternode takes further sources."""
        given = ", ".join(str(node) for node in nodes)
        raise StorageValueError(
            f"only an iternode takes further sources, this node cannot take: {given}",
            node=self._label,
        )


class _IterNode(_VirtualNode):
    __slots__ = ()

    def __init__(self, manager: StorageManager, sources: Sequence[StorageNode]) -> None:
        super().__init__(manager, self._opened, self._known_size, sources)

    def _known_size(self) -> int | None:
        sizes = [_size_now(node) for node in tuple(self._sources)]
        return None if None in sizes else sum(size or 0 for size in sizes)

    def _opened(self) -> BinaryIO:
        nodes = tuple(self._sources)
        return ConcatenatedReader(lambda: (node.open("rb") for node in nodes))

    def append(self, node: StorageNode) -> None:
        """Read ``node`` after what is there already."""
        self.extend(node)

    def extend(self, *nodes: StorageNode) -> None:
        """Read these nodes after what is there already."""
        for node in nodes:
            if not isinstance(node, StorageNode):
                raise TypeError(f"an iternode reads nodes, not {type(node).__name__}")
        self._sources.extend(nodes)

    def read_text(self, encoding: str = "utf-8") -> str:
        # Each source by itself: a character may not be cut at a seam, a BOM not doubled.
        return "".join(node.read_text(encoding) for node in tuple(self._sources))

    def _zip_entries(self) -> Iterator[ZipEntry]:
        for node in tuple(self._sources):
            info = node.stat()
            yield ZipEntry(node.basename or "file", _opener(node), info.mtime, info.size)

    def __reduce__(self) -> tuple[Any, ...]:
        return iter_node, (self._manager, tuple(self._sources))


def _size_now(node: StorageNode) -> int | None:
    """The size of a source, whatever a listing said about it; raises where it is no file."""
    node._info = None
    return node._file_info("cannot be read").size


def _opener(node: StorageNode) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        return cast("BinaryIO", node.open("rb"))

    return opened


class _DiffNode(_VirtualNode):
    __slots__ = ()

    def __init__(self, manager: StorageManager, node1: StorageNode, node2: StorageNode) -> None:
        super().__init__(manager, self._opened, self._known_size, (node1, node2))

    def _known_size(self) -> None:
        # Only reading tells how long a diff is, but looking tells whether there is one.
        for node in self._sources:
            _size_now(node)

    def _opened(self) -> BinaryIO:
        first, second = self._sources
        text = diff_text(first.read_bytes(), second.read_bytes(), first._label, second._label)
        return io.BytesIO(text.encode("utf-8"))

    def _zip_entries(self) -> Iterator[ZipEntry]:
        raise StorageValueError(
            "zip() packs files, directories and iternodes, not a diffnode", node=self._label
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return diff_node, (self._manager, *self._sources)


class _DummyNode(_VirtualNode):
    __slots__ = ()

    def __init__(self, manager: StorageManager) -> None:
        super().__init__(manager, self._opened, self._opened)

    def _stat_or_none(self) -> FileInfo | None:
        """Nothing, so that ``==`` says no: a list of nodes may hold this one."""
        return None

    @staticmethod
    def _opened() -> NoReturn:
        raise StorageValueError(
            "this node has no path, because node() was called without arguments; "
            "use node('mount:path')",
            node="None:",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return dummy_node, (self._manager,)


def iter_node(manager: StorageManager, nodes: Sequence[StorageNode]) -> StorageNode:
    """A node that reads as its sources one after the other."""
    made = _IterNode(manager, ())
    made.extend(*nodes)
    return made


def diff_node(manager: StorageManager, node1: StorageNode, node2: StorageNode) -> StorageNode:
    """A node that reads as the unified diff of two text nodes."""
    for node in (node1, node2):
        if not isinstance(node, StorageNode):
            raise TypeError(f"a diffnode compares nodes, not {type(node).__name__}")
    return _DiffNode(manager, node1, node2)


def dummy_node(manager: StorageManager) -> StorageNode:
    """A node of no place; every use of it raises."""
    return _DummyNode(manager)
