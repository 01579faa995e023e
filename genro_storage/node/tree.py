"""What a node does with the places around it: list, make, remove, copy, move."""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from typing import TYPE_CHECKING

from .. import paths
from ..exceptions import (
    StorageError,
    StorageExistsError,
    StorageIsDirectoryError,
    StorageNotDirectoryError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
)
from .copying import NodeCopying
from .globbing import glob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

    from ..info import FileInfo
    from .storage_node import StorageNode

    Patterns = str | Sequence[str] | None

__all__ = ["NodeTree"]

_log = logging.getLogger("genro_storage")
_CROSS_DEVICE = errno.EXDEV


class NodeTree(NodeCopying):
    """The directory half of :class:`~genro_storage.StorageNode`."""

    __slots__ = ()

    # -- listing ------------------------------------------------------------------------------

    def children(self) -> list[Self]:
        """The entries of this directory, sorted by name.

        Each carries what the listing said, so its size or type costs no further request. Raises
        ``StorageNotFoundError``, or ``StorageNotDirectoryError`` (a ValueError) for a file.
        """
        return [self._derive(info.path, info) for info in self._scan()]

    def _scan(self) -> list[FileInfo]:
        return sorted(self._mount.scan(self._path), key=lambda info: info.path)

    def iterdir(self) -> Iterator[Self]:
        """Iterate over :meth:`children`, as ``pathlib.Path.iterdir``; raises as that does."""
        return iter(self.children())

    def glob(self, pattern: str) -> Iterator[Self]:
        """The nodes below this directory that match, as ``pathlib.Path.glob``; sorted per level.

        >>> from genro_storage import StorageManager
        >>> storage = StorageManager()
        >>> storage.configure([{"name": "m", "type": "memory"}])
        >>> storage.node("m:a/b/c.txt").write_text("x")
        True
        >>> [node.path for node in storage.node("m:").glob("**/*.txt")]
        ['a/b/c.txt']
        """
        mount = self._mount.bind()

        def find(here: FileInfo, name: str) -> FileInfo | None:
            try:
                return mount.stat(paths.join(here.path, name))
            except (StorageNotFoundError, StorageNotDirectoryError):
                return None

        def scan(here: FileInfo) -> list[FileInfo]:
            return list(mount.scan(here.path))

        def below(here: FileInfo) -> Iterator[FileInfo]:
            return mount.find(here.path)

        root = mount.stat(self._path)
        for info in glob(pattern, root, scan, find, below):
            yield self._derive(info.path, info)

    def rglob(self, pattern: str) -> Iterator[Self]:
        """:meth:`glob` at any depth below this directory, as ``pathlib.Path.rglob``."""
        return self.glob(f"**/{pattern}")

    def walk(
        self, *, top_down: bool = True, on_error: Callable[[StorageError], object] | None = None
    ) -> Iterator[tuple[Self, list[str], list[str]]]:
        """``(directory, names of directories, names of files)`` for the tree, as ``Path.walk``.

        Top-down, names taken out of the second list are not entered. Listing errors are raised
        unless ``on_error`` takes them. Links to directories are named and not entered; links that
        lead nowhere or out count as files.
        """
        mount = self._mount.bind()
        # A stack rather than recursion: trees may be deeper than Python's call stack.
        waiting: list[Self | tuple[Self, list[str], list[str]]] = [self]
        while waiting:
            here = waiting.pop()
            if isinstance(here, tuple):
                yield here
                continue
            try:
                listed = sorted(mount.scan(here._path), key=lambda info: info.path)
            except StorageError as error:
                if on_error is None:
                    raise
                on_error(error)
                continue
            directories = [info.name for info in listed if info.type == "directory"]
            files = [info.name for info in listed if info.type != "directory"]
            if top_down:
                yield here, directories, files
            else:
                waiting.append((here, directories, files))
            linked = {info.name for info in listed if info.symlink}
            waiting.extend(
                self._derive(paths.join(here._path, name))
                for name in reversed(directories)
                if name not in linked
            )

    # -- making and removing ------------------------------------------------------------------

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Make this directory.

        Raises ``StorageExistsError`` where something is there already (with ``exist_ok`` only
        where it is no directory) and ``StorageNotFoundError`` where the parent is missing and
        ``parents`` was not asked for.
        """
        self._refuse_snapshot()
        mount = self._mount.bind()
        if parents:
            mount.make_parents(self._path)
        try:
            mount.mkdir(self._path)
        except StorageExistsError:
            if not (exist_ok and mount.stat(self._path).type == "directory"):
                raise
        except StorageNotFoundError as error:
            above = paths.parent_of(self._path)
            # A root that is missing is another matter, but a plain local path has no such root.
            if parents or (not above and mount.shown is None) or mount.exists(above):
                raise
            directory = mount.label(above).rstrip("/")
            raise StorageNotFoundError(
                f"{self._label}: the directory above, {directory}, is missing; parents=True makes it",
                node=self._label,
            ) from error
        self._changed()

    def touch(self, exist_ok: bool = True) -> None:
        """Make an empty file, or (``exist_ok``) set the time of the one that is there to now."""
        self._refuse_snapshot()
        mount = self._mount.bind()
        try:
            self._changed(mount.write_bytes(self._path, b"", if_absent=True))
        except (StorageExistsError, StorageIsDirectoryError):
            if not exist_ok:
                raise
            mount.set_mtime(self._path, time.time())
            self._changed()

    def delete(self, *, root: bool = False) -> None:
        """Remove this file, or this directory with everything in it; a missing one is no error.

        A symbolic link is removed, not what it leads to. The root of a mount is refused unless
        ``root=True``, which empties the mount and keeps its root.
        """
        self._refuse_snapshot()
        if root:
            if paths.physical(self._path):
                raise StorageValueError(
                    f"{self._label}: delete(root=True) is for the root of a mount",
                    node=self._label,
                )
            self._mount.clear()
        else:
            # Somebody else may have removed it, or a directory above it, and below a file there
            # is nothing: what was wanted is so.
            with contextlib.suppress(StorageNotFoundError, StorageNotDirectoryError):
                self._mount.remove_tree(self._path)
        self._changed()

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove this file, or this link to whatever, and not what it leads to.

        A directory is refused (``StorageIsDirectoryError``).
        """
        self._refuse_snapshot()
        mount = self._mount.bind()
        mount.require_delete(self._path)
        try:
            info = mount.stat(self._path)
            if info.type == "directory" and not info.symlink:
                raise StorageIsDirectoryError(
                    f"{self._label}: is a directory; use rmdir() or delete()",
                    node=self._label,
                )
            mount.remove(self._path)
        except StorageNotFoundError:
            if not missing_ok:
                raise
        self._changed()

    def rmdir(self) -> None:
        """Remove this directory, which must be empty (``StorageNotEmptyError``), and no link."""
        self._refuse_snapshot()
        mount = self._mount.bind()
        mount.require_delete(self._path)
        info = mount.stat(self._path)
        if info.type != "directory" or info.symlink:
            raise StorageNotDirectoryError(
                f"{self._label}: is not a directory; use unlink() or delete()",
                node=self._label,
            )
        mount.remove(self._path)
        self._changed()

    # -- moving -------------------------------------------------------------------------------

    def move_to(self, dest: StorageNode | str) -> Self:
        """Move this file or tree to ``dest``; afterwards this node is the one at ``dest``.

        Rights on both sides are checked first, and the source goes only after everything has
        arrived. Moving onto itself changes nothing; a directory is not moved into itself
        (``StorageValueError``). Raises ``StoragePermissionError`` before anything is copied.
        """
        target = self._resolve(dest)
        self._move(target)
        self._manager = target._manager
        self._mount, self._path = target._mount, target._path
        self._changed()
        return self

    move = move_to

    def rename(self, target: StorageNode | str) -> StorageNode:
        """Move to ``target`` and return its node, as ``pathlib.Path.rename``."""
        there = self._resolve(target)
        self._move(there)
        self._changed()
        return there

    def replace(self, target: StorageNode | str) -> StorageNode:
        """The same as :meth:`rename`: a file that is there is replaced."""
        return self.rename(target)

    def _move(self, target: StorageNode) -> None:
        self._refuse_snapshot()
        target._refuse_snapshot()
        self._mount.require_delete(self._path, "moving")
        target._mount.require_write(target._path, "moving")
        if not paths.physical(self._path):
            raise StoragePermissionError(
                f"{self._label}: the root of a mount cannot be moved; copy it instead",
                node=self._label,
            )
        here = self._bound()
        there = target._bound(here)
        if here._mount.same_place(here._path, there._mount, there._path):
            here._mount.stat(here._path)
            return
        inside = here._mount.contains(here._path, there._mount, there._path)
        if not inside and here._renamed(there):
            target._changed()
            return
        # Loading the transfer modules costs more than most programs' nodes do.
        from ..transfer import Place
        from ..transfer.moving import is_hidden_place, move_by_copying
        from ..transfer.planning.inside import refuse_into_itself

        places = Place(here._mount, here._path), Place(there._mount, there._path)
        if inside:
            refuse_into_itself(*places, "move")
        if not is_hidden_place(*places):
            target._changed(move_by_copying(here.plan_copy(there)))

    def _renamed(self, target: StorageNode) -> bool:
        """Rename inside one store where that loses nothing; False where it must be copied."""
        try:
            ours = self._mount.stat(self._path).type
        except StorageNotFoundError as error:
            raise StorageNotFoundError(
                f"Source not found: {self._label}", node=self._label
            ) from error
        if (
            ours == "directory"
            and target._mount.exists(target._path)
            and not self._is_other_case(target)
        ):
            return False  # directories merge, and a file in the way is the copy's error
        try:
            self._mount.move(self._path, target._mount, target._path)
        except StorageUnsupportedError:
            return False
        except StorageError as error:
            # Two file systems below one root: the kernel cannot rename across them.
            if getattr(error, "errno", None) != _CROSS_DEVICE:
                raise
            return False
        return True

    def _is_other_case(self, target: StorageNode) -> bool:
        """Whether two spellings, which differ in case only, are one directory to the storage."""
        ours, theirs = self._path, target._path
        if self._mount is not target._mount or ours.casefold() != theirs.casefold():
            return False
        beside = self._mount.scan(paths.parent_of(theirs))
        return sum(info.path.casefold() == theirs.casefold() for info in beside) == 1

    def samefile(self, other: StorageNode | str) -> bool:
        """Whether both are one place, through whatever mounts; contents are not compared."""
        here = self._bound()
        there = self._resolve(other)._bound(here)
        return here._mount.same_place(here._path, there._mount, there._path)
