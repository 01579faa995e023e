"""How an archive is changed: written anew beside itself, and swapped in whole.

What a verb changes is decided on the index alone (a ``Change``), and a format writes the new
archive from the old one and that. Nothing is ever changed in place, so that a reader, a kill or a
full disk meets the old archive or the new one.
"""

from __future__ import annotations

import errno
import os
import stat as st
import time
from abc import abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..capabilities import BackendCapabilities
from ..paths import join, parent_of
from .archive_backend import TRIES, ArchiveBackend, ArchiveIndex
from .archive_sources import BytesSource, Source
from .archive_tree import Entry, Limits, Tree, safe_path
from .archive_turns import publishing, turn_of
from .fsspec_write import Content, SpooledWrite
from .local_write import remove_stale
from .temporary_names import is_temporary, numbered_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..info import Attributes
    from .archive_sources import Spool
    from .base import WriteHandle
    from .context import Place

__all__ = ["Addition", "Change", "Sink", "WritableArchive"]


@dataclass(frozen=True)
class Addition:
    """An entry to come: a directory, or a file with its content as ``_prepare`` left it."""

    path: str
    directory: bool
    mtime: float
    prepared: Any = None
    mode: int | None = None
    #: The entry that it replaces, whose permissions it keeps.
    like: Entry | None = None


@dataclass
class Change:
    """What one step makes of an archive."""

    removed: set[Entry] = field(default_factory=set)
    #: The new paths of entries that stay.
    moved: dict[Entry, str] = field(default_factory=dict)
    #: New times of entries that stay.
    times: dict[Entry, float] = field(default_factory=dict)
    added: list[Addition] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.removed or self.moved or self.times or self.added)


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

    def take(self, spool: Spool) -> None:
        """Take over what was collected."""
        for piece in spool.pieces():
            self.write(piece)


class WritableArchive(ArchiveBackend):
    """An archive that may be written. A format adds ``_prepare``, ``_compose`` and ``_check_name``."""

    def __init__(self, place: Place, limits: Limits, mount: str, *, writable: bool) -> None:
        super().__init__(place, limits, mount)
        self._wanted = writable

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

    # -- for formats --------------------------------------------------------------------------

    @abstractmethod
    def _prepare(self, content: Content) -> Any:
        """Compress a content, or read it once, before anybody waits for it."""

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
        return self._new() if self._wanted and self._place.writable else None

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
        opened = self._file.open()
        if opened is None:
            source, state = BytesSource(b""), None
            index = self._new()
        else:
            source, state = opened
        try:
            if state is not None:
                try:
                    index = self._index_of(source, state)
                except OSError:
                    if not source.pinned and self._file.state() != state:
                        return False
                    raise
            change = plan(index.tree)
            if not change:
                return True
            return self._swap(index, source, state, change, locked=locked)
        finally:
            source.close()

    def _swap(
        self, index: ArchiveIndex, source: Source, state: Any, change: Change, *, locked: bool
    ) -> bool:
        """Write the new archive and put it in the place of the old one, if that is still there."""
        handle = self._place.open_write()
        try:
            self._compose(index, source, change, Sink(handle))
            with publishing(None if locked else self._place.local_path()):
                if self._file.state() != state:
                    handle.abort()
                    return False
                self._kept.forget()
                handle.close()
        except BaseException:
            handle.abort()
            raise
        return True

    def _require_writable(self) -> None:
        if not self.capabilities.write:
            raise self._unsupported("writing: the archive is read-only")

    # -- files --------------------------------------------------------------------------------

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        self._check_write(path, if_absent)
        if append:
            raise self._unsupported("appending")
        return SpooledWrite(lambda content: self._store(content, path, if_absent, attributes))

    def write_bytes(
        self,
        path: str,
        data: bytes,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        self._check_write(path, if_absent)
        self._store(bytes(data), path, if_absent, attributes)
        return None

    def upload(
        self,
        source: str | os.PathLike[str],
        path: str,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        self._check_write(path, if_absent)
        mode = os.stat(source).st_mode
        if attributes is None or attributes.mode is None:
            attributes = _with_mode(attributes, st.S_IMODE(mode))
        self._store(Path(source), path, if_absent, attributes)
        return None

    def _check_write(self, path: str, if_absent: bool) -> None:
        """Say early what the commit would say, so that nobody writes a gigabyte in vain."""
        self._require_writable()
        _plan_file(self._index().tree, path, None, if_absent, None)
        self._check_path(path)

    def _check_path(self, path: str) -> None:
        if safe_path(path) != path:
            raise OSError(errno.EINVAL, "no archive can hold this name safely; choose another name")
        self._check_name(path)

    def _store(
        self, content: Content, path: str, if_absent: bool, attributes: Attributes | None
    ) -> None:
        prepared = self._prepare(content)
        self._rewrite(lambda tree: _plan_file(tree, path, prepared, if_absent, attributes))

    # -- names --------------------------------------------------------------------------------

    def mkdir(self, path: str) -> None:
        self._check_path(path)

        def plan(tree: Tree) -> Change:
            real, missing, there = _locate(tree, path)
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
        if _plan_directories(self._index().tree, above):
            self._rewrite(lambda tree: _plan_directories(tree, above))

    def remove(self, path: str) -> None:
        self._rewrite(lambda tree: _plan_removal(tree, [path], whole=False))

    def remove_tree(self, path: str) -> None:
        self._rewrite(lambda tree: _plan_removal(tree, [path], whole=True))

    def remove_many(self, paths: Iterable[str]) -> None:
        """All of them in one step."""
        listed = list(paths)

        def plan(tree: Tree) -> Change:
            there = [path for path in listed if _is_there(tree, path)]
            return _plan_removal(tree, there, whole=False)

        self._rewrite(plan)

    def move(self, source: str, target: str) -> None:
        self._check_path(target)
        self._rewrite(lambda tree: _plan_move(tree, source, target))

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
        removed = 0
        for left in os.listdir(directory):
            if left.startswith(stem) and is_temporary(left):
                full = os.path.join(directory, left)
                if os.lstat(full).st_mtime <= limit and remove_stale(full, by_age=True):
                    removed += 1
        return removed


# -- what a verb changes: pure ------------------------------------------------------------------


def _with_mode(attributes: Attributes | None, mode: int) -> Attributes:
    from ..info import Attributes as Kind

    return (attributes or Kind())._replace(mode=mode)


def _is_there(tree: Tree, path: str) -> bool:
    try:
        tree.find(path, follow=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _locate(tree: Tree, path: str) -> tuple[str, list[str], bool]:
    """(the path by which no link leads, the names at its end that are missing, whether it is there)."""
    missing: list[str] = []
    above = path
    while True:
        try:
            node, real = tree.find(above)
        except FileNotFoundError:
            if _is_there(tree, above):
                raise PermissionError(
                    errno.EACCES, "a symbolic link leads nowhere", above
                ) from None
            missing.append(above.rpartition("/")[2])
            above = parent_of(above)
            continue
        break
    if missing and node.children is None:
        raise NotADirectoryError(errno.ENOTDIR, "is not a directory", above)
    missing.reverse()
    return "/".join((real, *missing)) if real else "/".join(missing), missing, not missing


def _plan_directories(tree: Tree, path: str, now: float | None = None) -> Change:
    """The directories that are missing down to ``path``."""
    real, missing, there = _locate(tree, path)
    if there:
        if tree.find(real)[0].children is None:
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path)
        return Change()
    moment = time.time() if now is None else now
    added: list[Addition] = []
    for _ in missing:
        added.append(Addition(real, True, moment))
        real = parent_of(real)
    return Change(added=added[::-1])


def _plan_file(
    tree: Tree, path: str, prepared: Any, if_absent: bool, attributes: Attributes | None
) -> Change:
    """A file in a place that is free, or instead of a file."""
    if not path:
        raise IsADirectoryError(errno.EISDIR, "is a directory", path)
    real, _, there = _locate(tree, path)
    like: Entry | None = None
    change = Change()
    if there:
        node, _ = tree.find(real)
        like = node.entry
        if node.children is not None or like is None:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        if if_absent:
            raise FileExistsError(errno.EEXIST, "already exists", path)
        final = like
        while final.hard is not None:
            final = final.hard
        if final.type != "file":
            raise PermissionError(errno.EACCES, f"not a regular file: {final.type}")
        change.removed.add(like)
    elif if_absent and _is_there(tree, path):
        raise FileExistsError(errno.EEXIST, "already exists", path)
    else:
        change = _plan_directories(tree, parent_of(real))
    mtime = None if attributes is None else attributes.mtime
    mode = None if attributes is None else attributes.mode
    moment = time.time() if mtime is None else mtime
    change.added.append(Addition(real, False, moment, prepared, mode, like))
    return change


def _plan_removal(tree: Tree, paths: Iterable[str], *, whole: bool) -> Change:
    change = Change()
    for path in paths:
        if not path:
            raise PermissionError(errno.EPERM, "the root cannot be removed")
        node, real = tree.find(path, follow=False)
        if node.children and not whole:
            raise OSError(errno.ENOTEMPTY, "directory not empty", path)
        change.removed.update(tree.below(real))
        _keep_parent(tree, real, change)
    return change


def _keep_parent(tree: Tree, path: str, change: Change) -> None:
    """A directory stays when its last entry goes, also one that was only implied."""
    above = parent_of(path)
    if not above or tree.find(above)[0].entry is not None:
        return
    if all(addition.path != above for addition in change.added):
        change.added.append(Addition(above, True, time.time()))


def _plan_move(tree: Tree, source: str, target: str) -> Change:
    if not source or not target:
        raise PermissionError(errno.EPERM, "the root cannot be moved or replaced")
    node, here = tree.find(source, follow=False)
    above, _, _ = _locate(tree, parent_of(target))
    there = join(above, target.rpartition("/")[2])
    if here == there:
        return Change()
    if node.children is not None and there.startswith(here + "/"):
        raise OSError(errno.EINVAL, "a directory cannot move into itself")
    change = _plan_directories(tree, parent_of(there))
    if _is_there(tree, there):
        taken, _ = tree.find(there, follow=False)
        if node.children is None and taken.children is not None:
            raise IsADirectoryError(errno.EISDIR, "is a directory", target)
        if node.children is not None and taken.children is None:
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", target)
        if taken.children:
            raise OSError(errno.ENOTEMPTY, "directory not empty", target)
        change.removed.update(tree.below(there))
    if node.children is not None and node.entry is None:
        change.added.append(Addition(there, True, time.time()))
    for entry in tree.below(here):
        assert entry.path is not None
        change.moved[entry] = there + entry.path[len(here) :]
    _keep_parent(tree, here, change)
    return change
