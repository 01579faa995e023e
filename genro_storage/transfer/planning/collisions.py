"""Names of a source that would be one file at a destination which does not tell them apart.

``A.txt`` and ``a.txt`` are two files on Linux and one on Windows, where the copy of the second
replaces that of the first. ``collisions`` is pure; ``require_no_collisions`` asks the mounts.
"""

from __future__ import annotations

import glob
import heapq
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...exceptions import StorageCollisionError
from ...paths import Folding, join, order_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ...info import FileInfo
    from ..place import Place
    from .filters import Filters

__all__ = ["Collision", "collisions", "require_no_collisions"]

#: Pairs that a message names.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Collision:
    """``second``, of the source, would be one file with ``first``; ``directories``: one directory.

    Both are relative to the roots of the copy. ``existing``: ``first`` stands at the destination;
    otherwise it is of the source too, and comes first in its listing.
    """

    first: str
    second: str
    existing: bool = False
    directories: bool = False


def collisions(
    listing: Iterable[FileInfo],
    root: str,
    folding: Folding,
    existing: Iterable[FileInfo] | None = None,
    *,
    existing_root: str = "",
) -> Iterator[Collision]:
    """Names of ``listing``, what takes part below ``root`` in key order, that fold to one.

    Two directories are a collision where both hold a file: nobody could tell any more which of
    them it came from. What two such directories hold is not compared with each other, since it is
    the pair that has to be resolved. One in which no file takes part disturbs no other directory.

    A name of the source that is another spelling of what stands at the destination replaces it.
    Whoever copies ``readme`` over ``README`` to such a system expects that, so it is no collision
    by itself. Whoever decides by what is there would take it for missing, and replace it undecided,
    or delete that very file as one that the source lacks. They give the destination's listing, from
    ``existing_root``, as ``existing``: then it is one.

    Memory is bounded by the largest directories on the way down: ``a-b`` stands between ``a`` and
    ``a/``, so siblings are no neighbours in key order.

    >>> from genro_storage import FileInfo
    >>> from genro_storage.paths import Folding
    >>> files = [FileInfo(path, "file") for path in ("d/A.txt", "d/a.txt", "d/b.txt")]
    >>> [(each.first, each.second) for each in collisions(files, "", Folding(case=True))]
    [('d/A.txt', 'd/a.txt')]
    >>> list(collisions(files, "", Folding()))
    []
    """
    if not folding:
        return
    levels = [_Level("", None, folding)]
    entries = _keys(listing, root, wanted=True)
    if existing is not None:
        # Of equal keys the existing one comes first: False is less than True.
        entries = heapq.merge(_keys(existing, existing_root, wanted=False), entries)
    for key, wanted in entries:
        while not key.startswith(levels[-1].prefix) or key == levels[-1].prefix:
            levels.pop()
        *directories, name = key[len(levels[-1].prefix) :].split("/")
        for directory in directories:  # several where a listing has no entries for directories
            above = levels[-1]
            entry = above.entry_of(directory)
            levels.append(_Level(f"{above.prefix}{directory}/", entry, folding))
        yield from _note(levels, wanted, is_file=bool(name))
        if name:
            found = levels[-1].add_file(name, wanted)
            if found is not None:
                yield found


def _keys(listing: Iterable[FileInfo], root: str, *, wanted: bool) -> Iterator[tuple[str, bool]]:
    """Keys below the root; of a source, without what is never copied."""
    start = len(root) + 1 if root else 0
    for info in listing:
        if not wanted or info.type in ("file", "directory"):
            yield order_key(info)[start:], wanted


class _Entry:
    """A name in a directory: what it is, who has it, and whether a file of the source is in it."""

    __slots__ = ("exists", "holds_file", "is_file", "name", "told", "wanted")

    def __init__(self, name: str, *, is_file: bool = False) -> None:
        self.name = name
        self.is_file = is_file
        self.holds_file = False
        self.wanted = is_file
        self.exists = False
        self.told = False


class _Level:
    """The names of one directory so far, by what the destination makes of them.

    ``entry`` is the directory's own in the level above. A name alone stands for a file of the
    source that is the only one of its key, as nearly all are.
    """

    __slots__ = ("_folding", "_names", "entry", "prefix")

    def __init__(self, prefix: str, entry: _Entry | None, folding: Folding) -> None:
        self.prefix = prefix
        self.entry = entry
        self._folding = folding
        self._names: dict[str, str | list[_Entry]] = {}

    def _entries(self, key: str) -> list[_Entry]:
        found = self._names.get(key, [])
        if isinstance(found, str):
            found = [_Entry(found, is_file=True)]
        self._names[key] = found
        return found

    def entry_of(self, name: str) -> _Entry:
        """The entry of a name, made where it is new."""
        entries = self._entries(self._folding.key(name))
        for entry in entries:
            if entry.name == name:
                return entry
        entries.append(_Entry(name))
        return entries[-1]

    def add_file(self, name: str, wanted: bool) -> Collision | None:
        """Note a file (or whatever is no directory), and what it collides with."""
        key = self._folding.key(name)
        if wanted and key not in self._names:
            self._names[key] = name if name != key else key
            return None
        entry = self.entry_of(name)
        entry.is_file = True
        entry.wanted |= wanted
        entry.exists |= not wanted
        return self.collision_of(entry)

    def collision_of(self, entry: _Entry) -> Collision | None:
        """With the first name that the destination takes for that of ``entry``; told once."""
        if entry.told:
            return None
        for other in self._entries(self._folding.key(entry.name)):
            if other is entry or not _collide(other, entry):
                continue
            entry.told = True
            first, second = (other, entry) if entry.wanted else (entry, other)
            return Collision(
                self.prefix + first.name,
                self.prefix + second.name,
                existing=not first.wanted,
                directories=not (first.is_file or second.is_file),
            )
        return None


def _collide(one: _Entry, other: _Entry) -> bool:
    if one.exists and other.exists:
        return False  # the destination has both, so it tells them apart
    if not (one.wanted and other.wanted):
        return one.wanted or other.wanted
    return one.is_file or other.is_file or (one.holds_file and other.holds_file)


def _note(levels: list[_Level], wanted: bool, *, is_file: bool) -> Iterator[Collision]:
    """Tell the directories on the way down what is in the last one, or that it is there."""
    holds_file = wanted and is_file
    for depth in range(len(levels) - 1, 0, -1):
        entry = levels[depth].entry
        assert entry is not None  # only the root has none
        if (entry.wanted if wanted else entry.exists) and (entry.holds_file or not holds_file):
            return
        entry.wanted |= wanted
        entry.exists |= not wanted
        entry.holds_file |= holds_file
        found = levels[depth - 1].collision_of(entry)
        if found is not None:
            yield found


# -- before the first byte ------------------------------------------------------------------------


def require_no_collisions(
    listing: Callable[[], Iterable[FileInfo]],
    source: Place,
    target: Place,
    *,
    filters: Filters | None = None,
    existing: Callable[[], Iterable[FileInfo]] | None = None,
) -> None:
    """``StorageCollisionError`` where files of the source would be one at the destination.

    ``listing()`` lists the source anew, in key order, and is called only where the destination
    folds names. ``existing()`` lists the destination, for whoever decides by what is there.
    What ``filters`` leave out takes no part on either side.
    """
    folding = target.mount.folding(target.path)
    if not folding:
        return
    wanted = _passing(listing(), source, filters)
    there = None if existing is None else _passing(existing(), target, filters)
    found = list(
        itertools.islice(
            collisions(wanted, source.path, folding, there, existing_root=target.path), _SHOWN + 1
        )
    )
    if found:
        raise StorageCollisionError(
            _message(found, source, target, folding),
            node=target.mount.label(join(target.path, found[0].first)),
        )


def _passing(
    listing: Iterable[FileInfo], place: Place, filters: Filters | None
) -> Iterable[FileInfo]:
    if not filters:
        return listing
    start = len(place.path) + 1 if place.path else 0
    reason = filters.reason
    return (
        info
        for info in listing
        if info.type == "directory" or reason(info, info.path[start:]) is None
    )


def _message(found: list[Collision], source: Place, target: Place, folding: Folding) -> str:
    def label(place: Place, relpath: str) -> str:
        return place.mount.label(join(place.path, relpath))

    def pair(each: Collision) -> str:
        return f"{label(target if each.existing else source, each.first)} and {label(source, each.second)}"

    first = found[0]
    differences = [
        *(["small from capital letters"] if folding.case else []),
        *(["one encoding of an accent from another"] if folding.unicode else []),
    ]
    kind = "directory" if first.directories else "file"
    where = label(target, first.first)
    text = (
        f"{pair(first)} would be one {kind} at {where} "
        f"(its names do not tell {' or '.join(differences)}); "
    )
    if first.existing:
        text += "rename one, since what is there is compared, or deleted, by its name"
    elif first.directories:
        text += f"rename one, or leave out what is in one with exclude={glob.escape(first.second) + '/*'!r}"
    else:
        text += f"rename one, or leave one out with exclude={glob.escape(first.second)!r}"
    more = [pair(each) for each in found[1:_SHOWN]]
    if more:
        text += f". The same holds for {', for '.join(more)}"
        text += ", and for more" if len(found) > _SHOWN else ""
    return text
