"""What the backends of git repositories share: one commit, read as a tree of files.

A technology gives ``Snapshot``: the entries of a git tree by its id. Looking paths up, following
symbolic links inside the mount, listing and refusing to write are here.
"""

from __future__ import annotations

import copy
import errno
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple, Self

from ...capabilities import BackendCapabilities
from ...info import EntryType, FileInfo
from ...paths import is_addressable, join, parent_of
from ..base import Backend, WriteHandle
from ..errors import RootNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ...info import Attributes

__all__ = ["EMPTY_TREE", "READ_ONLY", "Entry", "Found", "Snapshot", "TreeBackend", "kind_of"]

_log = logging.getLogger("genro_storage")

Kind = Literal["file", "directory", "link", "submodule"]

#: The id of the tree without entries; a repository without commits shows it.
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
#: As many links in a row as Linux follows.
_MOST_LINKS = 40

READ_ONLY = BackendCapabilities(
    write=False,
    delete=False,
    mkdir=False,
    versioning=True,
    version_listing=True,
    version_access=True,
    atomic_operations=False,
    readonly=True,
)

_TYPES: Mapping[Kind, EntryType] = {
    "file": "file",
    "directory": "directory",
    "link": "link",
    "submodule": "other",
}


def kind_of(mode: int) -> Kind:
    """What the mode of a tree's entry says (``gitformat-tree``).

    >>> kind_of(0o100755), kind_of(0o40000), kind_of(0o120000), kind_of(0o160000)
    ('file', 'directory', 'link', 'submodule')
    """
    kinds: dict[int, Kind] = {0o040000: "directory", 0o120000: "link", 0o160000: "submodule"}
    return kinds.get(mode & 0o170000, "file")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a git tree; ``id`` is the object's, ``size`` in bytes where it came along."""

    name: str
    kind: Kind
    id: str
    size: int | None = None


class Found(NamedTuple):
    """Where a path has led: the entry, and its path in the repository without links."""

    path: str
    entry: Entry


class Snapshot(ABC):
    """One commit: ``commit`` and ``tree`` are ids; ``commit`` is None where there is none yet."""

    def __init__(self, commit: str | None, tree: str) -> None:
        self.commit = commit
        self.tree = tree

    @abstractmethod
    def entries(self, tree: str) -> list[Entry]:
        """Everything in a tree, complete or an exception."""

    @abstractmethod
    def entry(self, tree: str, name: str) -> Entry | None:
        """One entry of a tree by its name."""

    @abstractmethod
    def link_target(self, entry: Entry) -> str:
        """What a symbolic link says."""

    def prepare(self, found: Found, *, pruned: bool) -> None:
        """What is below this directory is about to be listed: all of it, unless ``pruned``."""

    def size(self, entry: Entry) -> int | None:
        """The size of a file in bytes, None where it is not known."""
        return entry.size


class TreeBackend(Backend):
    """A read-only backend of one ref of a repository; the mount's root is ``prefix`` in it.

    Each operation asks for the commit anew, so that a branch that moves is seen, and keeps it
    until it ends: a listing, also of a whole tree, is of one commit.
    """

    capabilities: BackendCapabilities = READ_ONLY

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._held: Snapshot | None = None

    # -- for subclasses -----------------------------------------------------------------------

    @abstractmethod
    def _resolve(self) -> Snapshot:
        """The commit that the ref leads to now; ``RootNotFoundError`` where it leads nowhere."""

    @abstractmethod
    def _resolve_version(self, version: str) -> Snapshot:
        """A commit of the ref's history by its id, ``FileNotFoundError`` where there is none."""

    @abstractmethod
    def _open(self, snapshot: Snapshot, entry: Entry) -> BinaryIO:
        """The content of a file."""

    def _time(self, snapshot: Snapshot, found: Found) -> float | None:
        """When it was changed last; None where nobody knows."""
        return None

    # -- finding ------------------------------------------------------------------------------

    def _snapshot(self, version: str | None = None) -> Snapshot:
        if version is not None:
            return self._resolve_version(version)
        return self._held or self._resolve()

    def _pinned(self, snapshot: Snapshot) -> Self:
        """The same backend, of this commit only."""
        pinned = copy.copy(self)
        pinned._held = snapshot
        return pinned

    def _root(self, snapshot: Snapshot) -> Found:
        root = Found("", Entry("", "directory", snapshot.tree))
        if not self._prefix:
            return root
        try:
            found = _walk(snapshot, root, self._prefix)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._no_prefix() from error
        if found.entry.kind != "directory":
            raise self._no_prefix()
        return found

    def _no_prefix(self) -> RootNotFoundError:
        return RootNotFoundError(
            f"there is no directory {self._prefix!r} in the repository; correct 'prefix'"
        )

    def _locate(self, snapshot: Snapshot, path: str) -> Found:
        return _walk(snapshot, self._root(snapshot), path)

    def _locate_file(self, snapshot: Snapshot, path: str) -> Found:
        found = self._locate(snapshot, path)
        if found.entry.kind == "directory":
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        if found.entry.kind == "submodule":
            raise self._unsupported(
                "reading a submodule: its files are in another repository, mount that one"
            )
        return found

    # -- looking ------------------------------------------------------------------------------

    def stat(self, path: str) -> FileInfo:
        snapshot = self._snapshot()
        root = self._root(snapshot)
        if not path:
            return self._info(snapshot, path, root)
        above = _walk(snapshot, root, parent_of(path))
        if above.entry.kind != "directory":
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", parent_of(path))
        entry = snapshot.entry(above.entry.id, path.rpartition("/")[2])
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, "no such file or directory", path)
        return self._look(snapshot, root, path, Found(join(above.path, entry.name), entry))

    def scan(self, path: str) -> Iterator[FileInfo]:
        snapshot = self._snapshot()
        root = self._root(snapshot)
        here = _walk(snapshot, root, path)
        if here.entry.kind != "directory":
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path)
        for entry in snapshot.entries(here.entry.id):
            if "/" in entry.name or not is_addressable(entry.name):
                # git itself checks no such tree out: ".." in it would be this one's parent.
                _log.warning("left out the entry %r, whose name no path can express", entry.name)
                continue
            found = Found(join(here.path, entry.name), entry)
            yield self._look(snapshot, root, join(path, entry.name), found)

    def find(
        self, path: str, *, enter: Callable[[FileInfo], bool] | None = None
    ) -> Iterator[FileInfo]:
        snapshot = self._snapshot()
        found = self._locate(snapshot, path)
        if found.entry.kind == "directory":
            snapshot.prepare(found, pruned=enter is not None)
        yield from Backend.find(self._pinned(snapshot), path, enter=enter)

    def _look(self, snapshot: Snapshot, root: Found, path: str, found: Found) -> FileInfo:
        """What stands at ``path``: where that is a link that leads to something, that."""
        if found.entry.kind != "link":
            return self._info(snapshot, path, found)
        try:
            # From the link's own place: the path that led to it may have gone through links.
            target = _walk(snapshot, root, found.path[len(root.path) :].lstrip("/"))
        except OSError as error:
            if not _leads_nowhere(error):
                raise
            return FileInfo(path, "link", symlink=True)
        return self._info(snapshot, path, target)._replace(symlink=True)

    def _info(self, snapshot: Snapshot, path: str, found: Found) -> FileInfo:
        entry = found.entry
        is_file = entry.kind == "file"
        return FileInfo(
            path,
            _TYPES[entry.kind],
            snapshot.size(entry) if is_file else None,
            self._time(snapshot, found),
            entry.id if is_file else None,
        )

    def _real_directory(self, path: str) -> str:
        snapshot = self._snapshot()
        found = self._locate(snapshot, path)
        if found.entry.kind != "directory":
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path)
        return found.path

    def check(self) -> None:
        """Look the ref and the root up."""
        self._root(self._snapshot())

    # -- reading ------------------------------------------------------------------------------

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        snapshot = self._snapshot(version)
        return self._open(snapshot, self._locate_file(snapshot, path).entry)

    # -- writing: there is none ---------------------------------------------------------------

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        raise self._unsupported("writing: it shows commits")

    def mkdir(self, path: str) -> None:
        raise self._unsupported("making directories: it shows commits")

    def remove(self, path: str) -> None:
        raise self._unsupported("deleting: it shows commits")


def _leads_nowhere(error: OSError) -> bool:
    """Whether a link's target is to blame, rather than the repository."""
    if isinstance(error, RootNotFoundError):
        return False
    return isinstance(error, FileNotFoundError | NotADirectoryError) or error.errno in (
        errno.ELOOP,
        errno.EACCES,
    )


def _walk(snapshot: Snapshot, root: Found, path: str) -> Found:
    """Where ``path`` leads, with every link in it followed, the last component's too.

    ``PermissionError`` for a link that leads out of ``root``.
    """
    trail = [root]
    pending = list(reversed(path.split("/")))
    links = 0
    while pending:
        name = pending.pop()
        if name in ("", "."):
            continue
        here = trail[-1]
        if here.entry.kind != "directory":
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", here.path)
        if name == "..":
            if len(trail) == 1:
                raise _leads_out()
            trail.pop()
            continue
        entry = snapshot.entry(here.entry.id, name)
        if entry is None:
            raise FileNotFoundError(errno.ENOENT, "no such file or directory", path)
        if entry.kind != "link":
            trail.append(Found(join(here.path, name), entry))
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, "too many symbolic links in a row", path)
        target = snapshot.link_target(entry)
        if target.startswith("/"):
            raise _leads_out()
        pending.extend(reversed(target.split("/")))
    return trail[-1]


def _leads_out() -> PermissionError:
    return PermissionError(
        errno.EACCES, "a symbolic link leads out of the mount's root; it is not followed"
    )
