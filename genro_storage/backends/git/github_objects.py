"""Git's objects as GitHub sends them, remembered by their ids."""

from __future__ import annotations

import errno
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

from ...paths import parent_of
from .trees import EMPTY_TREE, Entry, Found, Snapshot, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .github_client import Api

__all__ = ["GithubSnapshot", "Objects"]

_Tree = dict[str, Entry]

#: Entries of trees that are remembered, over all trees, and commits.
_MOST_ENTRIES = 200_000
_MOST_COMMITS = 4096


class Objects:
    """The trees and commits of one repository, by ids that stand for one content for ever."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = Lock()
        self._trees: OrderedDict[str, _Tree] = OrderedDict()
        self._entries = 0
        self._commits: OrderedDict[str, str] = OrderedDict()

    def tree_of(self, commit: str) -> str:
        """The tree of a commit; ``RefusedError`` where there is no such commit."""
        with self._lock:
            tree = self._commits.get(commit)
        if tree is None:
            with self._api.understood():
                tree = str(self._api.get(f"/git/commits/{commit}").value["tree"]["sha"])
            self.know(commit, tree)
        return tree

    def know(self, commit: str, tree: str) -> None:
        """Remember the tree of a commit."""
        with self._lock:
            self._commits[commit] = tree
            while len(self._commits) > _MOST_COMMITS:
                self._commits.popitem(last=False)

    def cached(self, tree: str) -> _Tree | None:
        """The entries of a tree, if they are known."""
        if tree == EMPTY_TREE:
            return {}
        with self._lock:
            found = self._trees.get(tree)
            if found is not None:
                self._trees.move_to_end(tree)
            return found

    def tree(self, tree: str) -> _Tree:
        """All entries of one tree."""
        found = self.cached(tree)
        if found is None:
            with self._api.understood():
                answer = self._api.get(f"/git/trees/{tree}").value
                named = [(str(each["path"]), each) for each in answer["tree"]]
                found = {name: _entry(name, each) for name, each in named}
                is_truncated = bool(answer.get("truncated"))
            if is_truncated:
                raise OSError(
                    errno.EIO,
                    f"GitHub lists only {len(found)} entries of this directory, which has more; "
                    "mount a clone of the repository instead (type: git)",
                )
            self.keep(tree, found)
        return found

    def trees_below(self, tree: str) -> dict[str, _Tree] | None:
        """A tree with all that is below it, by one request; None where that is too much for it."""
        known = self._all_cached(tree)
        if known is not None:
            return known
        with self._api.understood():
            answer = self._api.get(f"/git/trees/{tree}", recursive=1).value
            if answer.get("truncated"):
                return None
            found = _trees_of(tree, answer["tree"])
        for id_, entries in found.items():
            self.keep(id_, entries)
        return found

    def _all_cached(self, tree: str) -> dict[str, _Tree] | None:
        found: dict[str, _Tree] = {}
        pending = [tree]
        while pending:
            id_ = pending.pop()
            entries = self.cached(id_)
            if entries is None:
                return None
            found[id_] = entries
            pending += [each.id for each in entries.values() if each.kind == "directory"]
        return found

    def keep(self, tree: str, entries: _Tree) -> None:
        """Remember a tree, and forget what nobody has asked for the longest time."""
        with self._lock:
            before = self._trees.pop(tree, None)
            self._entries += len(entries) + 1 - (0 if before is None else len(before) + 1)
            self._trees[tree] = entries
            while self._entries > _MOST_ENTRIES and len(self._trees) > 1:
                _, oldest = self._trees.popitem(last=False)
                self._entries -= len(oldest) + 1


def _trees_of(tree: str, listed: list[dict[str, Any]]) -> dict[str, _Tree]:
    """A tree and those below it, by their ids, from one list of paths."""
    ids = {"": tree}
    found: dict[str, _Tree] = {tree: {}}
    for each in sorted(listed, key=lambda each: str(each["path"]).count("/")):
        path = str(each["path"])
        name = path.rpartition("/")[2]
        entry = _entry(name, each)
        found[ids[parent_of(path)]][name] = entry
        if entry.kind == "directory":
            ids[path] = entry.id
            found.setdefault(entry.id, {})
    return found


def _entry(name: str, said: dict[str, Any]) -> Entry:
    size = said.get("size")
    return Entry(
        name,
        kind_of(int(str(said["mode"]), 8)),
        str(said["sha"]),
        size if isinstance(size, int) else None,
    )


class GithubSnapshot(Snapshot):
    """One commit; ``read`` gets the content of a small file."""

    def __init__(
        self, objects: Objects, read: Callable[[Entry], bytes], commit: str | None, tree: str
    ) -> None:
        super().__init__(commit, tree)
        self._objects = objects
        self._read = read
        self._held: dict[str, _Tree] = {}

    def _tree(self, tree: str) -> _Tree:
        held = self._held.get(tree)
        return self._objects.tree(tree) if held is None else held

    def entries(self, tree: str) -> list[Entry]:
        return list(self._tree(tree).values())

    def entry(self, tree: str, name: str) -> Entry | None:
        return self._tree(tree).get(name)

    def link_target(self, entry: Entry) -> str:
        return self._read(entry).decode("utf-8", "surrogateescape")

    def prepare(self, found: Found, *, pruned: bool) -> None:
        self._held = self._objects.trees_below(found.entry.id) or {}
