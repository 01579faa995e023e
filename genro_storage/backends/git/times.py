"""When the entries of a repository were changed last, remembered by directory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from ...paths import join, parent_of
from .history import last_changes
from .objects import raw
from .trees import Entry

if TYPE_CHECKING:
    from .objects import GitSnapshot, Repository
    from .trees import Found

__all__ = ["Times"]

#: Entries whose times are remembered, over all directories.
_MOST = 200_000
#: What stands for the directory that the root of the repository is in.
_ABOVE = "/"

_Known = tuple[str, dict[bytes, int]]  # a commit, and times by path


class Times:
    """One walk through history answers for a whole directory, or for a whole tree.

    What was found stays, so that after a new commit the walk ends at the one that is known.
    """

    def __init__(self, place: Repository) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._count = 0

    def of(self, snapshot: GitSnapshot, found: Found) -> float | None:
        """Seconds since the epoch; None where the path is not in the commit."""
        directory = parent_of(found.path) if found.path else _ABOVE
        if snapshot.whole is not None and snapshot.times is None:
            self._load_tree(snapshot, snapshot.whole)
        times = None if snapshot.times is None else snapshot.times.get(directory)
        if times is None:
            times = self._in_directory(snapshot, directory)
        when = times.get(raw(found.path))
        return None if when is None else float(when)

    def _in_directory(self, snapshot: GitSnapshot, directory: str) -> dict[bytes, int]:
        assert snapshot.commit is not None
        known = self._recall(directory)
        if known is not None and known[0] == snapshot.commit:
            return known[1]
        if directory == _ABOVE:
            wanted = [b""]
        else:
            tree = _tree_of(snapshot, directory)
            wanted = [] if tree is None else _paths(directory, snapshot.entries(tree))
        with self._place.opened() as repository:
            found = last_changes(repository, snapshot.commit, wanted, known)
        self._keep(directory, (snapshot.commit, found))
        return found

    def _load_tree(self, snapshot: GitSnapshot, top: str) -> None:
        """The times of everything below ``top``, in one walk."""
        assert snapshot.commit is not None
        snapshot.times = {}
        inside: dict[str, list[bytes]] = {}
        pending = [(top, _tree_of(snapshot, top))]
        while pending:
            directory, tree = pending.pop()
            if tree is None:
                continue
            entries = snapshot.entries(tree)
            inside[directory] = _paths(directory, entries)
            pending += [
                (join(directory, entry.name), entry.id)
                for entry in entries
                if entry.kind == "directory"
            ]
        recalled = {directory: self._recall(directory) for directory in inside}
        base = recalled.get(top)
        known: _Known | None = None
        if base is not None:
            known = base[0], {}
            for each in recalled.values():
                if each is not None and each[0] == base[0]:
                    known[1].update(each[1])
        with self._place.opened() as repository:
            wanted = [path for paths in inside.values() for path in paths]
            found = last_changes(repository, snapshot.commit, wanted, known)
        for directory, paths in inside.items():
            times = {path: found[path] for path in paths if path in found}
            snapshot.times[directory] = times
            self._keep(directory, (snapshot.commit, times))

    def _recall(self, directory: str) -> _Known | None:
        with self._lock:
            known = self._known.get(directory)
            if known is not None:
                self._known.move_to_end(directory)
            return known

    def _keep(self, directory: str, known: _Known) -> None:
        with self._lock:
            before = self._known.pop(directory, None)
            self._count += len(known[1]) + 1 - (0 if before is None else len(before[1]) + 1)
            self._known[directory] = known
            while self._count > _MOST and len(self._known) > 1:
                _, (_, oldest) = self._known.popitem(last=False)
                self._count -= len(oldest) + 1


def _paths(directory: str, entries: list[Entry]) -> list[bytes]:
    return [raw(join(directory, entry.name)) for entry in entries]


def _tree_of(snapshot: GitSnapshot, directory: str) -> str | None:
    tree = snapshot.tree
    for name in directory.split("/") if directory else ():
        entry = snapshot.entry(tree, name)
        if entry is None or entry.kind != "directory":
            return None
        tree = entry.id
    return tree
