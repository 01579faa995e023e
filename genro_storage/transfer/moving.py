"""Moving by copying: what has arrived goes from its old place, and nothing else does."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ..exceptions import (
    StorageError,
    StorageNotDirectoryError,
    StorageNotEmptyError,
    StorageNotFoundError,
    StorageValueError,
)
from ..paths import join, parent_of, split
from .applying import executor_for
from .place import Place
from .planning.actions import CopyFile, MakeDirectory, SkipFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..info import FileInfo
    from .copying import CopyPlan
    from .execution.execute import Done, Transfer
    from .planning.actions import Action

__all__ = ["is_hidden_place", "move_by_copying"]


def move_by_copying(plan: CopyPlan) -> str | None:
    """Carry a fresh plan out, then remove what it has copied; the new path as in ``CopyResult``.

    A source stays where it is no longer what was copied (``StorageError``), where something else
    appeared beside it (``StorageNotEmptyError``), and where the plan has put another file in its
    place: then it is a destination. Nothing is removed where an entry could not be copied.
    """
    moved = _Moved(plan)
    report = plan.apply(executor=moved, fresh=True)
    if moved.left:
        raise StorageError(
            f"{plan.source}: copied to {plan.target} but not removed, "
            f"because {len(moved.left)} entries cannot be copied, the first being "
            f"{plan.source.mount.label(moved.left[0])} (a link out of the mount, a device …)",
            node=str(plan.source),
        )
    if plan.info.symlink or not plan.info.is_dir:
        moved.remove_entry()
    else:
        moved.remove_tree()
    return report.new_path


class _Moved:
    """Carries actions out, and remembers what went where."""

    #: What carries out for it is chosen by the plan.
    keeps_order = True

    def __init__(self, plan: CopyPlan) -> None:
        self._plan = plan
        self.source, self.target = plan.source, plan.target
        self.left: list[str] = []
        self._files: dict[str, list[FileInfo]] = {}
        self._directories = {plan.source.path}
        # Where two trees overlap, through links too, one file's destination may be another's
        # source. In two stores that cannot be.
        ours, theirs = plan.source.address(), plan.target.address()
        self._may_meet = ours is not None and theirs is not None and ours[0] == theirs[0]
        self._arrived: set[str] = set()
        self._changed: list[str] = []
        self._kept: set[str] = set()

    # -- copying ------------------------------------------------------------------------------

    def run(self, actions: Iterable[Action], transfer: Transfer) -> Iterator[Done]:
        """As any other executor, with a memory."""
        for done in executor_for(self._plan, transfer).run(actions, transfer):
            if done.error is None:
                self._remember(done.action)
            yield done

    def _remember(self, action: Action) -> None:
        if isinstance(action, CopyFile):
            path = action.source.path
            self._files.setdefault(parent_of(path), []).append(action.source)
        elif isinstance(action, MakeDirectory):
            if action.relpath:
                self._directories.add(join(self.source.path, action.relpath))
        else:
            if isinstance(action, SkipFile):
                self.left.append(action.source.path)
            return
        if self._may_meet:
            target = Place(self.target.mount, join(self.target.path, action.relpath)).address()
            if target is not None:
                self._arrived.add(target[1])

    # -- removing -----------------------------------------------------------------------------

    def remove_entry(self) -> None:
        """Remove a single file, or a link to whatever."""
        mount, path = self.source.mount, self.source.path
        try:
            now = mount.stat(path)
        except StorageNotFoundError:
            return
        for copied in self._files.get(parent_of(path), ()):
            if copied.path == path and not _is_as_copied(copied, now):
                self._changed.append(path)
                self._complain()
        mount.remove(path)

    def remove_tree(self) -> None:
        """Remove the files that have arrived, and the directories that are empty then."""
        # Parents come first: what is read through a link belongs to another tree.
        elsewhere: set[str] = set()
        emptied: list[str] = []
        for directory in sorted(self._directories):
            if directory in elsewhere or parent_of(directory) in elsewhere:
                elsewhere.add(directory)
            elif self._remove_files(directory, elsewhere):
                emptied.append(directory)
        appeared = self._remove_directories(emptied)
        self._complain()
        if appeared:
            label = self.source.mount.label(appeared[-1])
            raise StorageNotEmptyError(
                f"{label}: files appeared here while the directory was being moved; they were "
                "left in place",
                node=label,
            )

    def _remove_files(self, directory: str, elsewhere: set[str]) -> bool:
        """Remove what was copied from one directory; False where that is gone itself."""
        mount = self.source.mount
        try:
            # Like with like: some storages say a time more exactly when asked for one file.
            now = {info.path: info for info in mount.scan(directory)}
        except StorageNotFoundError:
            return False
        except StorageNotDirectoryError:  # a file has taken its place meanwhile
            self._changed.append(directory)
            self._keep(directory)
            return False
        links = [path for path, info in now.items() if info.symlink and info.is_dir]
        removable = [path for path in links if path in self._directories]
        elsewhere.update(removable)
        for copied in self._files.get(directory, ()):
            path = copied.path
            found = now.get(path)
            if found is None:
                continue
            if self._has_arrived(path):
                self._keep(path)
            elif _is_as_copied(copied, found):
                removable.append(path)
            else:
                self._changed.append(path)
                self._keep(path)
        mount.remove_many(removable)
        return True

    def _remove_directories(self, directories: list[str]) -> list[str]:
        """Remove directories that should be empty, the innermost first; those that are not."""
        appeared: list[str] = []
        for path in reversed(directories):
            if path in self._kept:
                continue
            if self._has_arrived(path):
                self._keep(path)
                continue
            try:
                self.source.mount.remove(path)
            except StorageNotFoundError:
                continue  # a store in which a directory ends with its last file
            except StorageNotEmptyError:
                appeared.append(path)
                self._keep(path)
        return appeared

    def _has_arrived(self, path: str) -> bool:
        place = Place(self.source.mount, path).address() if self._may_meet else None
        return place is not None and place[1] in self._arrived

    def _keep(self, path: str) -> None:
        """Leave this in place, and so every directory above it."""
        while path not in self._kept:
            self._kept.add(path)
            if path == self.source.path:
                return
            path = parent_of(path)

    def _complain(self) -> None:
        if not self._changed:
            return
        label = self.source.mount.label(self._changed[0])
        more = f" (and {len(self._changed) - 1} more files)" if len(self._changed) > 1 else ""
        raise StorageError(
            f"{label}{more}: changed while {self.source} was being moved to {self.target}, so it "
            "was left in place; the destination may have the old content. Move it again",
            node=label,
        )


def _is_as_copied(copied: FileInfo, now: FileInfo) -> bool:
    """Whether an entry still looks as it did in the listing that it was copied by."""
    return now.type == copied.type and all(
        before is None or after is None or before == after
        for before, after in (
            (copied.size, now.size),
            (copied.mtime, now.mtime),
            (copied.etag, now.etag),
        )
    )


# -- one place, two stores ------------------------------------------------------------------------


def is_hidden_place(source: Place, target: Place) -> bool:
    """Whether two places are one although their stores do not know of each other.

    Two filesystem objects may show the same files (fsspec's ``dir`` over another one). What a
    copy writes there cannot be told from what it reads, by size and time neither, since copies
    keep the time. So an empty file is made beside the source and looked for at the target, and
    removed again. Raises ``StorageValueError`` where
    one place turns out to lie inside the other.
    """
    if source.mount.can_compare_places(source.path, target.mount, target.path):
        return False
    try:
        ours = source.mount.stat(source.path)
    except StorageNotFoundError:
        return False
    try:
        theirs = target.mount.stat(target.path)
    except StorageNotFoundError:
        # It cannot be the source, but it can lie inside it.
        return ours.type == "directory" and _shows(source, target)
    if ours.type != theirs.type:
        return False
    if ours.type == "directory":
        return _shows(source, target)
    if ours.size != theirs.size and None not in (ours.size, theirs.size):
        return False
    if source.path.rpartition("/")[2] != target.path.rpartition("/")[2]:
        return False
    above, there = parent_of(source.path), parent_of(target.path)
    return _shows(Place(source.mount, above), Place(target.mount, there), inside=False)


def _shows(source: Place, target: Place, *, inside: bool = True) -> bool:
    name = f".genro-move-{secrets.token_hex(8)}"
    probe = join(source.path, name)
    source.mount.write_bytes(probe, b"")
    try:
        if target.mount.exists(join(target.path, name)):
            return True
        if inside and any(target.mount.exists(place) for place in _around(source, target, name)):
            raise StorageValueError(
                f"cannot move {source} to {target}: they overlap, though through different "
                "storages; use one mount for both",
                node=str(source),
            )
        return False
    finally:
        source.mount.remove(probe)


def _around(source: Place, target: Place, name: str) -> Iterator[str]:
    """Where the target's mount would show the source if one lay inside the other."""
    parts = split(source.path)
    for start in range(len(parts)):
        yield join(target.path, "/".join((*parts[start:], name)))
    above = target.path
    while above:
        above = parent_of(above)
        yield join(above, name)
