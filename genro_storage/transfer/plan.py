"""What a copy has to do: two sorted listings in, actions out. Pure: no I/O.

Both listings are in key order (``paths.order_key``), so one pass with constant memory finds for
each source entry what stands at its place in the target. The actions come in an order in which
a directory stands before what is inside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..exceptions import StorageIOError, StorageValueError
from ..paths import is_addressable
from ..strategy import SkipStrategy

if TYPE_CHECKING:
    from ..info import Checksum, FileInfo
    from .filters import Filters

__all__ = [
    "Action",
    "Conflict",
    "CopyFile",
    "Decide",
    "Filtered",
    "MakeDirectory",
    "SkipFile",
    "decide_by",
    "plan_file",
    "plan_tree",
]


@dataclass(frozen=True, slots=True)
class CopyFile:
    """Copy ``source`` to ``relpath``, replacing ``target`` where that is known to be there.

    ``relpath`` is relative to the roots of the copy; ``source.path`` is relative to its mount.
    """

    relpath: str
    source: FileInfo
    target: FileInfo | None
    reason: str


@dataclass(frozen=True, slots=True)
class SkipFile:
    """Leave ``source`` uncopied: the target needs no change, or it is no regular file."""

    relpath: str
    source: FileInfo
    target: FileInfo | None
    reason: str


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make sure that the directory ``relpath`` (``""``: the root of the copy) is there."""

    relpath: str


@dataclass(frozen=True, slots=True)
class Filtered:
    """``source`` does not take part: the filters say so."""

    relpath: str
    source: FileInfo
    reason: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """The entry cannot be copied without losing something; carrying it out is an error.

    ``kind`` says which: a directory stands where a file should go (``is_directory``), a file
    where a directory should go (``not_directory``), the two cannot be compared
    (``incomparable``), or the name would leave the tree (``path``).
    """

    relpath: str
    message: str
    kind: Literal["is_directory", "not_directory", "incomparable", "path"]


Action = CopyFile | SkipFile | MakeDirectory | Filtered | Conflict
Decide = Callable[[str, "FileInfo", "FileInfo"], CopyFile | SkipFile | Conflict]
Same = Callable[["FileInfo", "FileInfo"], "Checksum | None"]
SkipFunction = Callable[["FileInfo", "FileInfo"], object]

MISSING = "destination missing"
UNCOMPARED = "skip is 'never'"
# Sorts after every path: no storage takes a key of 4 KiB whose every character is the last one.
_END = chr(0x10FFFF) * 1025
_UNCOPYABLE = {
    "link": "symbolic link that leads nowhere or out of the mount",
    "other": "not a regular file",
}


def decide_by(
    strategy: SkipStrategy, *, same: Same | None = None, skip_fn: SkipFunction | None = None
) -> Decide:
    """The rule for a file that is at the destination already.

    ``same(source, target)`` returns the checksum that both have, or None where they differ
    (needed by ``hash``); ``skip_fn(source, target)`` is the user's (needed by ``custom``). What
    they raise passes through: a comparison that fails is no reason to overwrite.
    """
    if strategy is SkipStrategy.NEVER:
        return lambda relpath, source, target: CopyFile(relpath, source, target, UNCOMPARED)
    if strategy is SkipStrategy.EXISTS:
        return lambda relpath, source, target: SkipFile(
            relpath, source, target, "destination exists"
        )
    if strategy is SkipStrategy.SIZE:
        compare: Decide = _by_size
    elif strategy is SkipStrategy.HASH:
        if same is None:
            raise StorageValueError("skip='hash' requires something that compares content")
        compare = _by_content(same)
    else:
        if skip_fn is None:
            raise StorageValueError("skip='custom' requires skip_fn")
        compare = _by_function(skip_fn)

    def decide(relpath: str, source: FileInfo, target: FileInfo) -> CopyFile | SkipFile | Conflict:
        if target.type != "file":
            why = _UNCOPYABLE.get(target.type, target.type)
            return Conflict(relpath, f"the destination cannot be compared: {why}", "incomparable")
        return compare(relpath, source, target)

    return decide


def _by_size(relpath: str, source: FileInfo, target: FileInfo) -> CopyFile | SkipFile | Conflict:
    if source.size is None or target.size is None:
        side = "source" if source.size is None else "destination"
        message = f"the {side} does not say its size; compare with skip='hash'"
        return Conflict(relpath, message, "incomparable")
    if source.size == target.size:
        return SkipFile(relpath, source, target, f"same size ({source.size} bytes)")
    return CopyFile(relpath, source, target, "size differs")


def _by_content(same: Same) -> Decide:
    def compare(relpath: str, source: FileInfo, target: FileInfo) -> CopyFile | SkipFile:
        found = same(source, target)
        if found is None:
            return CopyFile(relpath, source, target, "content differs")
        reason = f"same content ({found.algorithm.upper()}: {found.hexdigest[:8]}...)"
        return SkipFile(relpath, source, target, reason)

    return compare


def _by_function(skip_fn: SkipFunction) -> Decide:
    def compare(relpath: str, source: FileInfo, target: FileInfo) -> CopyFile | SkipFile:
        if skip_fn(source, target):
            return SkipFile(relpath, source, target, "custom function returned True")
        return CopyFile(relpath, source, target, "custom function returned False")

    return compare


def plan_file(source: FileInfo, target: FileInfo | None, decide: Decide) -> Action:
    """The one action of copying a single file to a place where ``target`` stands (or nothing)."""
    if target is None:
        return CopyFile("", source, None, MISSING)
    if target.type == "directory":
        return _file_over_directory("")
    return decide("", source, target)


def plan_tree(
    source: Iterable[FileInfo],
    target: Iterable[FileInfo] | None,
    decide: Decide,
    *,
    filters: Filters | None = None,
    source_root: str = "",
    target_root: str = "",
) -> Iterator[Action]:
    """Merge two listings in key order, each of what is below its root, into actions.

    ``target`` is empty where the destination is missing, and None where nobody needs to know
    (nothing is ever skipped). ``StorageIOError`` is raised where a listing is out of order, since
    a merge would then be silently wrong.
    """
    reason = filters.reason if filters else None
    wanted = _Ordered(source, source_root, "source")
    there = None if target is None else _Ordered(target, target_root, "destination")
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
        if ".." in relpath and not is_addressable(relpath):
            yield Conflict(relpath, f"the name {relpath!r} would leave the tree", "path")
            continue
        if info.type != "directory":
            if reason is not None and (why := reason(info, relpath)) is not None:
                yield Filtered(relpath, info, why)
                continue
            if info.type != "file":
                yield SkipFile(relpath, info, None, _UNCOPYABLE[info.type])
                continue
        if there is None:
            yield (
                MakeDirectory(relpath)
                if info.type == "directory"
                else CopyFile(relpath, info, None, missing)
            )
            continue
        if there.key < key:
            yield from _pass(there, key, waiting)
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
    if there is not None and waiting:
        yield from _pass(there, waiting[0][0], waiting)


def _pass(there: _Ordered, key: str, waiting: list[tuple[str, CopyFile]]) -> Iterator[Action]:
    """Step through the target up to ``key``, and settle what waited for that."""
    while there.key < key:
        there.remember_file()
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


class _Ordered:
    """A listing, one entry at a time: the key, path and info of the current one.

    Before the first entry the key is empty, after the last one it is greater than any other.
    """

    __slots__ = ("_entries", "_files", "_side", "_start", "info", "key", "matched", "relpath")

    info: FileInfo

    def __init__(self, listing: Iterable[FileInfo], root: str, side: str) -> None:
        self._entries = iter(listing)
        self._start = len(root) + 1 if root else 0
        self._side = side
        self._files: list[str] = []
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

    def remember_file(self) -> None:
        """Keep the current entry, which the source lacks, in case its name is a directory there.

        Only names that start with each other can be in question at once, hence a short stack.
        """
        if self.key and not self.matched and self.info.type != "directory":
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
