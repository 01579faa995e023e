"""Walking through the commits of a repository: the versions of a file, the times of entries.

Both follow history as ``git log -- path`` does without options: from a commit to the first parent
that shows the same, to all parents where none does. So what they say of a file is what git says.
"""

from __future__ import annotations

import heapq
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pygit2

__all__ = ["Change", "file_changes", "last_changes", "moment"]

_ENTRY = re.compile(rb"(\d+) ([^\0]+)\0(.{20})", re.DOTALL)
_LINK = b"120000"
# Trees whose entries are kept while walking: a commit's tree is the next one's parent.
_PARSED = 64

_Entries = dict[bytes, tuple[bytes, bytes]]  # name -> mode, id


class Change(NamedTuple):
    """One commit that changed a file; ``blob`` is None where it removed it."""

    commit: str
    time: int
    blob: str | None
    is_link: bool = False


def moment(seconds: int) -> datetime:
    """A commit's time; what lies beyond the calendar is put at its end."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        edge = datetime.max if seconds > 0 else datetime.min
        return edge.replace(tzinfo=UTC)


class _Trees:
    """Parsed trees, the latest few of them."""

    def __init__(self, repository: pygit2.Repository) -> None:
        self._repository = repository
        self._parsed: dict[bytes, _Entries] = {}

    def entries(self, tree: bytes | None) -> _Entries:
        """The entries of a tree; none for what is no tree."""
        if tree is None:
            return {}
        found = self._parsed.get(tree)
        if found is None:
            import pygit2

            raw = self._repository.odb.read(pygit2.Oid(raw=tree))[1]
            found = {name: (mode, id_) for mode, name, id_ in _ENTRY.findall(raw)}
            while len(self._parsed) >= _PARSED:
                del self._parsed[next(iter(self._parsed))]
            self._parsed[tree] = found
        return found


def _is_tree(mode: bytes) -> bool:
    return mode in (b"40000", b"040000")


# -- the versions of one file -----------------------------------------------------------------


def file_changes(
    repository: pygit2.Repository, head: str, path: bytes, *, only_last: bool = False
) -> list[Change]:
    """The commits that changed one file, newest first, removals included."""
    look = _FileLook(repository, path.split(b"/"))
    start = repository[head]
    queue = [(-start.commit_time, 0, start)]
    seen = {start.id}
    changes: list[Change] = []
    while queue:
        _, _, commit = heapq.heappop(queue)
        mine = look.at(commit)
        parents = [found for id_ in commit.parent_ids if (found := repository.get(id_)) is not None]
        theirs = [look.at(parent) for parent in parents]
        if mine in theirs:
            parents = [parents[theirs.index(mine)]]
        elif mine is not None or parents:
            blob = None if mine is None else mine[1].hex()
            is_link = mine is not None and mine[0] == _LINK
            changes.append(Change(str(commit.id), commit.commit_time, blob, is_link))
            if only_last:
                break
        for parent in parents:
            if parent.id not in seen:
                seen.add(parent.id)
                heapq.heappush(queue, (-parent.commit_time, len(seen), parent))
    return changes


class _FileLook:
    """Mode and blob of one path in many commits, whose trees are mostly the same below."""

    def __init__(self, repository: pygit2.Repository, parts: list[bytes]) -> None:
        self._repository = repository
        self._parts = [part.decode("utf-8", "surrogateescape") for part in parts]
        self._known: dict[tuple[int, pygit2.Oid], tuple[bytes, bytes] | None] = {}

    def at(self, commit: pygit2.Commit) -> tuple[bytes, bytes] | None:
        return self._below(0, commit.tree_id)

    def _below(self, level: int, tree_id: pygit2.Oid) -> tuple[bytes, bytes] | None:
        key = level, tree_id
        if key in self._known:
            return self._known[key]
        found: tuple[bytes, bytes] | None = None
        tree: pygit2.Tree = self._repository[tree_id]  # type: ignore[assignment]
        part = self._parts[level]
        if part in tree:
            entry = tree[part]
            last = level == len(self._parts) - 1
            if not last and entry.type_str == "tree":
                found = self._below(level + 1, entry.id)
            elif last and entry.type_str == "blob":
                found = b"%o" % (entry.filemode or 0), entry.id.raw
        self._known[key] = found
        return found


# -- the times of many entries ----------------------------------------------------------------


def last_changes(
    repository: pygit2.Repository,
    head: str,
    wanted: Iterable[bytes],
    known: tuple[str, Mapping[bytes, int]] | None = None,
) -> dict[bytes, int]:
    """The time of the last commit that changed each path (a directory: anything below it).

    All of ``wanted`` in one walk through history. ``known`` is what an earlier walk from another
    commit found: where the walk comes by that commit, it goes no further for those paths.
    """
    trees = _Trees(repository)
    start: pygit2.Commit = repository[head]  # type: ignore[assignment]
    open_paths: dict[pygit2.Oid, set[bytes]] = {start.id: set(wanted)}
    above = _directories_above(open_paths[start.id])
    queue = [(-start.commit_time, 0, start)]
    count = 0
    found: dict[bytes, int] = {}
    while queue:
        _, _, commit = heapq.heappop(queue)
        paths = open_paths.pop(commit.id, set())
        if known is not None and str(commit.id) == known[0]:
            earlier = {path: known[1][path] for path in paths if path in known[1]}
            found.update(earlier)
            paths -= earlier.keys()
        for parent_id in commit.parent_ids:
            if not paths:
                break
            parent: pygit2.Commit | None = repository.get(parent_id)  # type: ignore[assignment]
            if parent is None:  # a shallow clone ends here
                continue
            changed = _changed(trees, commit.tree_id.raw, parent.tree_id.raw, paths, above)
            same = paths - changed
            if same:
                if parent.id not in open_paths:
                    count += 1
                    heapq.heappush(queue, (-parent.commit_time, count, parent))
                open_paths.setdefault(parent.id, set()).update(same)
            paths = changed
        found.update(dict.fromkeys(paths, commit.commit_time))
    return found


def _directories_above(paths: set[bytes]) -> set[bytes]:
    above: set[bytes] = set()
    for path in paths:
        while path:
            path = path.rpartition(b"/")[0]
            if path in above:
                break
            above.add(path)
    return above


def _changed(
    trees: _Trees, new: bytes | None, old: bytes | None, paths: set[bytes], above: set[bytes]
) -> set[bytes]:
    """Those of ``paths`` that differ between two trees; ``above`` are the directories of them."""
    if new == old:
        return set()
    changed = {b""} & paths
    pending: list[tuple[bytes, bytes | None, bytes | None]] = [(b"", new, old)]
    while pending:
        prefix, one, other = pending.pop()
        mine, theirs = trees.entries(one), trees.entries(other)
        for name, _ in mine.items() ^ theirs.items():
            path = prefix + name
            if path in paths:
                changed.add(path)
            if path in above:
                here, there = _tree(mine.get(name)), _tree(theirs.get(name))
                if here != there:
                    pending.append((path + b"/", here, there))
    return changed


def _tree(entry: tuple[bytes, bytes] | None) -> bytes | None:
    return entry[1] if entry is not None and _is_tree(entry[0]) else None
