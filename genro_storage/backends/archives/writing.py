"""How an archive is changed: written anew beside itself, and swapped in whole.

What a verb changes is decided on the index alone (a ``Change``), and a format writes the new
archive from the old one and that. Nothing is ever changed in place, so that a reader, a kill or a
full disk meets the old archive or the new one.
"""

from __future__ import annotations

import errno
import os
import time
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...capabilities import BackendCapabilities
from ...info import CleanupCount
from ...paths import parent_of
from ..local_write import remove_stale
from ..temporary_names import is_temporary, numbered_name
from .backend import TRIES, ArchiveBackend, ArchiveIndex
from .changes import (
    Addition,
    Change,
    is_there,
    locate,
    plan_directories,
    plan_file,
    plan_move,
    plan_removal,
)
from .deposits import Deposits
from .sources import BytesSource, Source, Spool
from .tree import Limits, Tree, safe_path
from .turns import publishing, turn_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ...info import Attributes
    from ..batches import Batch
    from ..context import Place
    from ..fsspec_write import Content
    from .file import State
    from .sources import SpoolPart

__all__ = ["Sink", "WritableArchive"]


class Sink:
    """Where a new archive goes, with its position."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.position: int = 0

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        self.position += len(view)
        while view:
            view = view[self._handle.write(view) or 0 :]

    def copy(self, source: Source, start: int, end: int) -> None:
        """Take over a part of the old archive as it is."""
        for piece in source.pieces(start, end):
            self.write(piece)

    def take(self, content: SpoolPart) -> None:
        """Take over what was collected."""
        for piece in content.pieces():
            self.write(piece)


class WritableArchive(Deposits, ArchiveBackend):
    """An archive that may be written. A format adds ``_prepare``, ``_compose`` and ``_check_name``."""

    def __init__(
        self, place: Place, limits: Limits, mount: str, *, writable: bool, create: bool = True
    ) -> None:
        super().__init__(place, limits, mount)
        self._wanted = writable
        self._create = create

    @property
    def capabilities(self) -> BackendCapabilities:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What works: it depends on whoever keeps the archive, who may be replaced."""
        holder = self._place.capabilities
        found = BackendCapabilities(
            atomic_operations=holder.atomic_operations, temporary=holder.temporary
        )
        if self._wanted and self._place.writable:
            return found
        return replace(found, atomic_operations=True).without_writing()

    @property
    def why_not(self) -> Mapping[str, str]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """Why the archive cannot be changed, where it cannot."""
        why = "the archive is mounted for reading; write `mode: a` to change it"
        if self._wanted:
            why = "the archive lies where nothing can be written"
        return dict.fromkeys(("write", "delete", "mkdir"), why)

    # -- for formats --------------------------------------------------------------------------

    @abstractmethod
    def _prepare(self, content: Content, packed: SpoolPart) -> Any:
        """Compress a content, or read it once, into ``packed``, before anybody waits for it.

        What it returns has a ``size``: that of the content, in bytes.
        """

    @abstractmethod
    def _compose(self, index: ArchiveIndex, source: Source, change: Change, sink: Sink) -> None:
        """Write the changed archive."""

    @abstractmethod
    def _check_name(self, path: str) -> None:
        """``OSError`` for a name that the format cannot hold."""

    @abstractmethod
    def _new(self) -> ArchiveIndex:
        """The index of an archive of nothing."""

    def _empty(self) -> ArchiveIndex | None:
        return self._new() if self._wanted and self._create and self._place.writable else None

    # -- one step -----------------------------------------------------------------------------

    def _rewrite(self, plan: Callable[[Tree], Change]) -> None:
        """Carry out what ``plan`` makes of the archive as it is then.

        Where another process changes it meanwhile, all is done again on what is there now.
        """
        self._require_writable()
        with turn_of(self._place):
            for attempt in range(TRIES):
                # Whoever lost twice keeps the others out from the start.
                with publishing(self._place.local_path() if attempt >= 2 else None):
                    if self._attempt(plan, locked=attempt >= 2):
                        return
        raise OSError(errno.EAGAIN, "the archive keeps changing while it is written; try again")

    def _attempt(self, plan: Callable[[Tree], Change], *, locked: bool) -> bool:
        """Whether it is done; False where the archive has changed meanwhile."""
        opened = self._file.open()
        source: Source = BytesSource(b"") if opened is None else opened[0]
        state = None if opened is None else opened[1]
        try:
            try:
                index = self._empty() if state is None else self._index_of(source, state)
                if index is None:
                    raise self._file.missing()
            except OSError:
                if not source.pinned and self._file.state() != state:
                    return False
                raise
            change = plan(index.tree)
            return not change or self._swap(index, source, state, change, locked=locked)
        finally:
            source.close()

    def _swap(
        self,
        index: ArchiveIndex,
        source: Source,
        state: State | None,
        change: Change,
        *,
        locked: bool,
    ) -> bool:
        """Write the new archive and put it in the place of the old one, if that is still there."""
        # An archive that was not there must not replace one: another program has just made it, or
        # the storage only said that there is none.
        try:
            handle = self._place.open_write(if_absent=state is None)
        except FileExistsError:
            return False
        try:
            self._compose(index, source, change, Sink(handle))
            with publishing(None if locked else self._place.local_path()):
                if self._file.state() != state:
                    handle.abort()
                    return False
                self._kept.forget()
                try:
                    handle.close()
                except FileExistsError:
                    if state is not None:
                        raise
                    handle.abort()
                    return False
        except BaseException:
            handle.abort()
            raise
        return True

    def _require_writable(self) -> None:
        if not self.capabilities.write:
            raise self._unsupported("writing: the archive is read-only")

    # -- files --------------------------------------------------------------------------------

    def begin_batch(self) -> Batch | None:
        """Many files at the price of one: the archive is written anew for all of them."""
        from .batch import ArchiveBatch

        self._require_writable()
        return ArchiveBatch(self)

    def _check_write(self, path: str, if_absent: bool) -> None:
        self._require_writable()
        plan_file(self._index().tree, path, None, if_absent, None)
        self._check_path(path)

    def _check_path(self, path: str) -> None:
        if safe_path(path) != path:
            raise OSError(errno.EINVAL, "no archive can hold this name safely; choose another name")
        self._check_name(path)

    def _store(
        self, content: Content, path: str, if_absent: bool, attributes: Attributes | None
    ) -> None:
        prepared = self._prepare(content, Spool().part())
        self._rewrite(lambda tree: plan_file(tree, path, prepared, if_absent, attributes))

    # -- names --------------------------------------------------------------------------------

    def mkdir(self, path: str) -> None:
        self._check_path(path)

        def plan(tree: Tree) -> Change:
            real, missing, there = locate(tree, path)
            if there:
                raise FileExistsError(errno.EEXIST, "already exists", path)
            if len(missing) > 1:
                raise FileNotFoundError(errno.ENOENT, "the directory above is missing", path)
            return Change(added=[Addition(real, True, time.time())])

        self._rewrite(plan)

    def make_parents(self, path: str) -> None:
        above = parent_of(path)
        self._check_path(above)
        # Most parents are there, and that is no reason to write.
        if plan_directories(self._index().tree, above):
            self._rewrite(lambda tree: plan_directories(tree, above))

    def remove(self, path: str) -> None:
        self._rewrite(lambda tree: plan_removal(tree, [path], whole=False))

    def remove_tree(self, path: str) -> None:
        self._rewrite(lambda tree: plan_removal(tree, [path], whole=True))

    def remove_many(self, paths: Iterable[str]) -> None:
        """All of them in one step."""
        listed = list(paths)

        def plan(tree: Tree) -> Change:
            there = [path for path in listed if is_there(tree, path)]
            return plan_removal(tree, there, whole=False)

        self._rewrite(plan)

    def move(self, source: str, target: str) -> None:
        self._check_path(target)
        self._rewrite(lambda tree: plan_move(tree, source, target))

    def set_mtime(self, path: str, mtime: float) -> None:
        def plan(tree: Tree) -> Change:
            node, real = tree.find(path)
            if node.entry is not None:
                return Change(times={node.entry: mtime})
            if not real:
                raise self._unsupported("setting the time of the root")
            return Change(added=[Addition(real, True, mtime)])

        self._rewrite(plan)

    def cleanup(self, path: str, older_than: float) -> int:
        """Remove what killed writers of this archive left beside it; ``path`` has no part in it."""
        local = self._place.local_path()
        if local is None or not self.capabilities.write:
            return 0
        directory, name = os.path.split(os.path.realpath(local))
        stem = numbered_name(name, 0)[:-1]
        limit = time.time() - older_than
        removed = young = 0
        for left in os.listdir(directory):
            if left.startswith(stem) and is_temporary(left):
                full = os.path.join(directory, left)
                if os.lstat(full).st_mtime > limit:
                    young += 1
                elif remove_stale(full, by_age=True):
                    removed += 1
        return CleanupCount(removed, young)
