"""Walking through the commits of a repository: the versions of a file, the times of entries.

Both follow history as ``git log -- path`` does without options: from a commit to the first parent
that shows the same, to all parents where none does. So what they say of a file is what git says.
"""

from __future__ import annotations

import heapq
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pygit2

__all__ = ["Change", "file_changes", "last_changes", "moment"]

_ENTRY = re.compile(rb"(\d+) ([^\0]+)\0(.{20})", re.DOTALL)
_LINK = b"120000"
# Bytes of a tree, about forty an entry, from which on libgit2 compares it.
_LARGE = 16_384
# Trees that are kept while walking: a commit's tree is compared again as the parent's.
_KEPT = 64

T = TypeVar("T")
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
        if seconds < 0:
            return datetime.min.replace(tzinfo=UTC)
        return datetime.max.replace(tzinfo=UTC)


class _Trees:
    """What differs between two trees; the latest few trees are kept.

    Small trees are compared here. libgit2 compares large ones faster, and a pair of small ones,
    which is what most commits have at each level, much more slowly.
    """

    def __init__(self, repository: pygit2.Repository) -> None:
        self._repository = repository
        self._small: dict[bytes, _Entries | None] = {}
        self._large: dict[bytes, pygit2.Tree] = {}

    def differences(
        self, one: bytes | None, other: bytes | None
    ) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
        """The names that differ, each with the trees of that name; None is a tree of nothing."""
        mine, theirs = self._entries(one), self._entries(other)
        if mine is not None and theirs is not None:
            for name in {name for name, _ in mine.items() ^ theirs.items()}:
                yield name, _tree(mine.get(name)), _tree(theirs.get(name))
            return
        here, there = self._tree(one), self._tree(other)
        if here is not None and there is not None:
            deltas = there.diff_to_tree(here, context_lines=0).deltas
        else:
            whole = here or there
            assert whole is not None
            deltas = whole.diff_to_tree(context_lines=0).deltas
        names: set[bytes] = set()
        for delta in deltas:
            names.add(delta.new_file.raw_path.partition(b"/")[0])
            names.add(delta.old_file.raw_path.partition(b"/")[0])
        for name in names:
            yield name, _subtree(here, name), _subtree(there, name)

    def _entries(self, tree: bytes | None) -> _Entries | None:
        """The entries of a small tree; None for a large one."""
        if tree is None:
            return {}
        if tree in self._small:
            return self._small[tree]
        import pygit2

        raw = self._repository.odb.read(pygit2.Oid(raw=tree))[1]
        found: _Entries | None = None
        if len(raw) <= _LARGE:
            found = {name: (mode, id_) for mode, name, id_ in _ENTRY.findall(raw)}
        _keep(self._small, tree, found)
        return found

    def _tree(self, tree: bytes | None) -> pygit2.Tree | None:
        if tree is None:
            return None
        found = self._large.get(tree)
        if found is None:
            import pygit2

            found = self._repository[pygit2.Oid(raw=tree)].peel(pygit2.Tree)
            _keep(self._large, tree, found)
        return found


def _keep(kept: dict[bytes, T], tree: bytes, value: T) -> None:
    while len(kept) >= _KEPT:
        del kept[next(iter(kept))]
    kept[tree] = value


def _subtree(tree: pygit2.Tree | None, name: bytes) -> bytes | None:
    text = name.decode("utf-8", "surrogateescape")
    if tree is None or text not in tree:
        return None
    entry = tree[text]
    return entry.id.raw if entry.type_str == "tree" else None


def _is_tree(mode: bytes) -> bool:
    return mode in (b"40000", b"040000")


# -- the versions of one file -----------------------------------------------------------------


def file_changes(
    repository: pygit2.Repository, head: str, path: bytes, *, only_last: bool = False
) -> list[Change]:
    """The commits that changed one file, newest first, removals included."""
    look = _FileLook(repository, path.split(b"/"))
    start: pygit2.Commit = repository[head]  # type: ignore[assignment]
    queue = [(-start.commit_time, 0, start)]
    seen = {start.id}
    changes: list[Change] = []
    while queue:
        _, _, commit = heapq.heappop(queue)
        mine = look.at(commit)
        parents = _parents(repository, commit)
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


def _parents(repository: pygit2.Repository, commit: pygit2.Commit) -> list[pygit2.Commit]:
    """The parents that are there: a shallow clone ends somewhere."""
    found = (repository.get(id_) for id_ in commit.parent_ids)
    return [each for each in found if each is not None]  # type: ignore[misc]


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
        for parent in _parents(repository, commit) if paths else ():
            if not paths:
                break
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
        directory = path
        while directory:
            directory = directory.rpartition(b"/")[0]
            if directory in above:
                break
            above.add(directory)
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
        for name, here, there in trees.differences(one, other):
            path = prefix + name
            if path in paths:
                changed.add(path)
            if path in above and here != there:
                pending.append((path + b"/", here, there))
    return changed


def _tree(entry: tuple[bytes, bytes] | None) -> bytes | None:
    return entry[1] if entry is not None and _is_tree(entry[0]) else None
