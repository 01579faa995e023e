"""What a copy has to do: two sorted listings in, actions out. Pure: no I/O.

Both listings are in key order (``paths.order_key``), so one pass with constant memory finds for
each source entry what stands at its place in the target. The actions come in an order in which
a directory stands before what is inside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...exceptions import StorageIOError
from ...paths import is_addressable
from .actions import (
    Conflict,
    CopyFile,
    DeleteDirectory,
    DeleteFile,
    Filtered,
    MakeDirectory,
    SkipFile,
)
from .rules import MISSING, UNCOMPARED, UNCOPYABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ...info import FileInfo
    from .actions import Action
    from .filters import Filters
    from .rules import Decide

__all__ = ["plan_file", "plan_tree"]

# Sorts after every path: no storage takes a key of 4 KiB whose every character is the last one.
_END = chr(0x10FFFF) * 1025


def plan_file(source: FileInfo, target: FileInfo | None, decide: Decide) -> Action:
    """The one action of copying a single file to a place where ``target`` stands (or nothing)."""
    if target is None:
        return CopyFile("", source, None, MISSING)
    if target.type == "directory":
        return _file_over_directory("")
    return decide("", source, target)


def plan_tree(  # noqa: PLR0915 - one pass over two listings, step by step
    source: Iterable[FileInfo],
    target: Iterable[FileInfo] | None,
    decide: Decide,
    *,
    filters: Filters | None = None,
    source_root: str = "",
    target_root: str = "",
    delete: bool = False,
    extra_filters: Filters | None = None,
    around: Callable[[FileInfo, str], str | None] | None = None,
) -> Iterator[Action]:
    """Merge two listings in key order, each of what is below its root, into actions.

    ``target`` is empty where the destination is missing, and None where nobody needs to know
    (nothing is ever skipped). With ``delete`` what only the target has is to go, except what the
    filters leave out, which takes no part on either side, and what lies behind a link, or where
    the source has a link that leads nowhere. ``extra_filters`` are those for what only the target
    has, where a function is among them that is told of a node. ``around`` has words for a link to
    a directory that the destination is in (``""``: it is left out): what is copied would turn up in
    what is listed.
    ``StorageIOError`` is raised where a listing is out of order, since a merge would then be
    silently wrong.
    """
    reason = filters.reason if filters else None
    keeps = filters.keeps_directory if filters else None
    wanted = _Ordered(source, source_root, "source")
    there = None if target is None else _Ordered(target, target_root, "destination")
    mirror = there is not None and delete
    if there is not None and delete:
        there.extras = _Extras(filters if extra_filters is None else extra_filters)
    waiting: list[tuple[str, CopyFile]] = []
    missing = MISSING if there is not None else UNCOMPARED
    # Below a directory that cannot be made, everything would fail for the same reason.
    blocked: str | None = None
    while wanted.advance():
        key, relpath, info = wanted.key, wanted.relpath, wanted.info
        if blocked is not None:
            if key.startswith(blocked):
                continue
            blocked = None
        if mirror and there is not None:
            # Whatever becomes of it, the source has something of this name.
            if there.key < key:
                yield from _pass(there, key, waiting)
            there.matched = there.key == key
            if info.type != "directory" and there.extras is not None:
                spare = info.type != "file" or (
                    reason is not None and reason(info, relpath) is not None
                )
                if spare:
                    there.extras.spare_below(key)
        if ".." in relpath and not is_addressable(relpath):
            yield Conflict(relpath, f"the name {relpath!r} would leave the tree", "path")
            continue
        if info.type == "directory":
            if keeps is not None and not keeps(relpath):
                continue
            words = around(info, relpath) if info.symlink and around is not None else None
            if words is not None:
                blocked = key
                if words:
                    yield Conflict(relpath, words, "path")
                continue
        else:
            if reason is not None and (why := reason(info, relpath)) is not None:
                yield Filtered(relpath, info, why)
                continue
            if info.type != "file":
                yield SkipFile(relpath, info, None, UNCOPYABLE[info.type])
                continue
        if there is None:
            yield (
                MakeDirectory(relpath)
                if info.type == "directory"
                else CopyFile(relpath, info, None, missing)
            )
            continue
        if there.key < key:
            if waiting or mirror:
                yield from _pass(there, key, waiting)
            else:  # nothing to say of what is passed, for which a generator would be made each time
                there.advance_to(key)
        if info.type == "directory":
            if there.key == key:
                continue
            if there.is_file_passed(key):
                blocked = key
                yield Conflict(relpath, "a file is where a directory should go", "not_directory")
            else:
                yield MakeDirectory(relpath)
        elif there.key == key:
            there.matched = True
            yield decide(relpath, info, there.info)
        else:
            copy = CopyFile(relpath, info, None, missing)
            place = key + "/"
            if there.key > place:
                yield copy
            else:
                # Whether a directory of this name is there shows only further on: "a-b" and
                # "a.txt" stand between "a" and "a/". Those that wait are prefixes of each other,
                # so there are never more of them than a name has characters.
                waiting.append((place, copy))
                if there.key == place:
                    yield from _settle(there.key, waiting)
    if there is not None and (waiting or mirror):
        yield from _pass(there, _END if mirror else waiting[0][0], waiting)


def _pass(there: _Ordered, key: str, waiting: list[tuple[str, CopyFile]]) -> Iterator[Action]:
    """Step through the target up to ``key``, and settle what waited for that."""
    while there.key < key:
        if not there.matched:
            there.remember_file()
        if there.extras is not None and there.key:
            yield from there.extras.of(there)
        there.advance()
        if waiting and waiting[-1][0] <= there.key:
            yield from _settle(there.key, waiting)


def _settle(key: str, waiting: list[tuple[str, CopyFile]]) -> Iterator[Action]:
    """Decide about the waiting files whose directory's place the target has reached."""
    while waiting and waiting[-1][0] <= key:
        place, copy = waiting.pop()
        yield _file_over_directory(copy.relpath) if place == key else copy


def _file_over_directory(relpath: str) -> Conflict:
    return Conflict(relpath, "a directory is where a file should go", "is_directory")


class _Extras:
    """What only the target has, as a mirror removes it."""

    def __init__(self, filters: Filters | None) -> None:
        self._reason = filters.reason if filters else None
        self._may_hold = filters.may_hold if filters else None
        #: What the keys begin with that are left alone.
        self._spared: str | None = None
        self._unknown: list[str] = []

    def spare_below(self, key: str) -> None:
        """Leave a directory alone that has the name of something which the source does not copy.

        It may be a link that led to a disk, whose files are here.
        """
        self._unknown = [each for each in self._unknown if each > key or key.startswith(each)]
        self._unknown.append(key + "/")

    def of(self, there: _Ordered) -> Iterator[Action]:
        """What is to be done about the target's current entry, which the merge steps beyond."""
        key, relpath, info = there.key, there.relpath, there.info
        if self._spared is not None:
            if key.startswith(self._spared):
                return
            self._spared = None
        if self._unknown and any(key.startswith(each) for each in self._unknown):
            return
        if info.type == "directory":
            if info.symlink:
                self._spared = key  # which is another place, whose files are no copies of ours
            elif self._may_hold is not None and not self._may_hold(relpath):
                self._spared = key
                return
        if there.matched:
            return
        if info.type == "directory" and not info.symlink:
            yield DeleteDirectory(relpath, info)
        elif self._reason is None or self._reason(info, relpath) is None:
            yield DeleteFile(relpath, info)


class _Ordered:
    """A listing, one entry at a time: the key, path and info of the current one.

    Before the first entry the key is empty, after the last one it is greater than any other.
    """

    __slots__ = (
        "_entries",
        "_files",
        "_side",
        "_start",
        "extras",
        "info",
        "key",
        "matched",
        "relpath",
    )

    info: FileInfo
    extras: _Extras | None

    def __init__(self, listing: Iterable[FileInfo], root: str, side: str) -> None:
        self._entries = iter(listing)
        self._start = len(root) + 1 if root else 0
        self._side = side
        self._files: list[str] = []
        self.extras = None
        self.key = ""
        self.relpath = ""
        self.matched = False

    def advance(self) -> bool:
        """Step to the next entry; False at the end."""
        info = next(self._entries, None)
        if info is None:
            self.key = _END
            return False
        relpath = info.path[self._start :]
        key = relpath + "/" if info.type == "directory" else relpath
        if key <= self.key:
            raise StorageIOError(
                f"the listing of the {self._side} is out of order: {key!r} came after {self.key!r}"
            )
        self.key, self.relpath, self.info, self.matched = key, relpath, info, False
        return True

    def advance_to(self, key: str) -> None:
        """Step to the first entry that is not before ``key``."""
        while self.key < key:
            if not self.matched:
                self.remember_file()
            self.advance()

    def remember_file(self) -> None:
        """Keep the current entry, which the source lacks, in case its name is a directory there.

        Only names that start with each other can be in question at once, hence a short stack.
        """
        if self.key and self.info.type != "directory":
            files = self._files
            while files and files[-1] < self.key:
                files.pop()
            files.append(self.key + "/")

    def is_file_passed(self, key: str) -> bool:
        """Whether a file was passed whose name is that of the directory ``key``."""
        files = self._files
        while files and files[-1] < key:
            files.pop()
        return bool(files) and files[-1] == key
