"""What a verb makes of an archive, decided on its index alone. Pure."""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ...paths import join, parent_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...info import Attributes
    from .tree import Entry, Tree

__all__ = [
    "Addition",
    "Change",
    "Gathering",
    "Wanted",
    "is_there",
    "locate",
    "plan_directories",
    "plan_file",
    "plan_move",
    "plan_removal",
    "plan_several",
]


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


class Wanted(NamedTuple):
    """A file to write, with its content as ``_prepare`` left it, or a directory to make."""

    path: str
    directory: bool = False
    prepared: Any = None
    if_absent: bool = False
    attributes: Attributes | None = None


class Gathering:
    """Several files and directories in one ``Change`` of one state of an archive.

    What comes later finds what came before, as if that were in the archive already.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree: Tree = tree
        #: What is to come, by the paths through which no link leads.
        self.added: dict[str, Addition] = {}
        self._removed: set[Entry] = set()

    def add(self, wanted: Wanted) -> None:
        """Have this happen too; where it raises, nothing is noted."""
        self.note(self.check(wanted))

    def count_with(self, change: Change) -> int:
        """How many files and directories there will be with this too."""
        added = {addition.path for addition in change.added} - self.added.keys()
        removed = len(change.removed - self._removed)
        return self.tree.count - len(self._removed) - removed + len(self.added) + len(added)

    def note(self, change: Change) -> None:
        """Have happen what was checked."""
        self._removed |= change.removed
        for addition in change.added:
            # A directory is made once, a file is what was written last.
            if not (addition.directory and addition.path in self.added):
                self.added[addition.path] = addition

    def check(self, wanted: Wanted) -> Change:
        """What ``add`` would do on its own; raises what is wrong with it."""
        path = wanted.path
        if wanted.directory:
            change = plan_directories(self.tree, path)
        else:
            change = plan_file(
                self.tree, path, wanted.prepared, wanted.if_absent, wanted.attributes
            )
        for addition in change.added:
            before = self.added.get(addition.path)
            if before is None:
                continue
            if before.directory and not addition.directory:
                raise IsADirectoryError(errno.EISDIR, "is a directory", path)
            if addition.directory and not before.directory:
                raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path)
            if wanted.if_absent and not before.directory:
                raise FileExistsError(errno.EEXIST, "already exists", path)
        return change

    def find(self, path: str) -> Addition | None:
        """What is to come under this path."""
        return self.added.get(locate(self.tree, path)[0]) if path else None

    def change(self) -> Change:
        """All of it."""
        return Change(removed=set(self._removed), added=list(self.added.values()))


def is_there(tree: Tree, path: str) -> bool:
    """Whether anything has this name, a link that leads nowhere included."""
    try:
        tree.find(path, follow=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def locate(tree: Tree, path: str) -> tuple[str, list[str], bool]:
    """(the path by which no link leads, the names at its end that are missing, whether it is there)."""
    missing: list[str] = []
    above = path
    while True:
        try:
            node, real = tree.find(above)
        except FileNotFoundError:
            if is_there(tree, above):
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


def plan_directories(tree: Tree, path: str, now: float | None = None) -> Change:
    """The directories that are missing down to ``path``."""
    real, missing, there = locate(tree, path)
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


def plan_file(
    tree: Tree, path: str, prepared: Any, if_absent: bool, attributes: Attributes | None
) -> Change:
    """A file in a place that is free, or instead of a file."""
    if not path:
        raise IsADirectoryError(errno.EISDIR, "is a directory", path)
    real, _, there = locate(tree, path)
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
    elif if_absent and is_there(tree, path):
        raise FileExistsError(errno.EEXIST, "already exists", path)
    else:
        change = plan_directories(tree, parent_of(real))
    mtime = None if attributes is None else attributes.mtime
    mode = None if attributes is None else attributes.mode
    moment = time.time() if mtime is None else mtime
    change.added.append(Addition(real, False, moment, prepared, mode, like))
    return change


def plan_several(tree: Tree, wanted: Iterable[Wanted]) -> Change:
    """All of these in one step; the error of one of them names it."""
    gathering = Gathering(tree)
    for each in wanted:
        try:
            gathering.add(each)
        except OSError as error:
            raise type(error)(error.errno, f"{error.strerror}: {each.path!r}") from error
    return gathering.change()


def plan_removal(tree: Tree, paths: Iterable[str], *, whole: bool) -> Change:
    """What is at these paths goes; ``whole``: with everything below it."""
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


def plan_move(tree: Tree, source: str, target: str) -> Change:
    """Another path for a file, a link, or a directory with everything below it."""
    if not source or not target:
        raise PermissionError(errno.EPERM, "the root cannot be moved or replaced")
    node, here = tree.find(source, follow=False)
    above, _, _ = locate(tree, parent_of(target))
    there = join(above, target.rpartition("/")[2])
    if here == there:
        return Change()
    if node.children is not None and there.startswith(here + "/"):
        raise OSError(errno.EINVAL, "a directory cannot move into itself")
    change = plan_directories(tree, parent_of(there))
    if is_there(tree, there):
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
