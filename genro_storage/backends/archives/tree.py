"""What an archive holds, as a tree of names: safe ones only, links resolved inside it."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...info import EntryType, FileInfo
from ...paths import join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "ArchiveLimitError",
    "BrokenArchiveError",
    "Entry",
    "Limits",
    "Tree",
    "TreeNode",
    "safe_path",
]

#: How many links one path may lead through.
_MOST_LINKS = 40
#: How deep an entry may lie: further down is only what was made to keep a program busy.
_DEEPEST = 1000
#: Entries up to this size (bytes) may be compressed as well as they like.
_HARMLESS = 64 * 1024 * 1024
_DRIVE = re.compile(r"[A-Za-z]:(?:[/\\]|\Z)")
#: An empty component, one of dots, or what may be a separator or drive in disguise.
_ODD = re.compile(r"(?:\A|/)\.{0,2}(?:/|\Z)|[\\\x00]|\A[A-Za-z]:")


class BrokenArchiveError(OSError):
    """The archive is damaged, cut short, or none at all."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EIO, message)

    def __reduce__(self) -> tuple[type[BrokenArchiveError], tuple[str]]:
        return type(self), (str(self.strerror),)


class ArchiveLimitError(PermissionError):
    """The archive is larger than the limits of the mount allow; the message names the option."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EPERM, message)

    def __reduce__(self) -> tuple[type[ArchiveLimitError], tuple[str]]:
        return type(self), (str(self.strerror),)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may grow to when it is read: entries, bytes in all, bytes for each byte."""

    entries: int = 500_000
    size: int = 64 * 1024**3
    ratio: float = 200.0

    def check_count(self, count: int) -> None:
        """Refuse an archive of too many entries, directories that are only implied included."""
        if count > self.entries:
            raise ArchiveLimitError(
                f"the archive has more than {self.entries} entries; raise 'max_entries' if you "
                "trust it"
            )

    def check_directory(self, size: int) -> None:
        """Refuse a directory (bytes) in which the entries would be absurdly large."""
        if size > self.entries * 1024:
            raise ArchiveLimitError(
                f"the directory of the archive is too large for {self.entries} entries; raise "
                "'max_entries' if you trust it"
            )

    def check_total(self, size: int, stored: int) -> None:
        """Refuse what would grow beyond the limit; what is no larger than stored is no bomb."""
        if size > self.size and size > stored:
            raise ArchiveLimitError(
                f"the content of the archive is larger than {self.size} bytes; raise 'max_size' "
                "if you trust it"
            )

    def check_ratio(self, name: str, size: int, stored: int) -> None:
        """Refuse an entry that a few bytes grow into."""
        if size > _HARMLESS and size > self.ratio * max(stored, 1):
            raise ArchiveLimitError(
                f"the entry {name!r} is {size / max(stored, 1):.0f} times as large as its "
                f"compressed form; raise 'max_ratio' (now {self.ratio:g}) if you trust the archive"
            )


class Entry:
    """One entry, as the archive describes it; a format's own class knows more."""

    __slots__ = ("hard", "link", "mtime", "name", "path", "size", "type")

    def __init__(
        self,
        name: str,
        kind: EntryType,
        size: int | None = None,
        mtime: float | None = None,
        link: str | None = None,
    ) -> None:
        #: As it is written in the archive, for messages.
        self.name: str = name
        self.type: EntryType = kind
        self.size: int | None = size
        self.mtime: float | None = mtime
        #: Where a symbolic link leads; None where nobody knows, and for everything else.
        self.link: str | None = link
        #: The entry that this one is another name of (a hard link).
        self.hard: Entry | None = None
        #: Where the tree has it; None where it was left out or replaced by a later one.
        self.path: str | None = None


class TreeNode:
    """A name in the tree. ``children`` is None for what is no directory."""

    __slots__ = ("children", "entry")

    def __init__(self) -> None:
        self.entry: Entry | None = None
        self.children: dict[str, TreeNode] | None = None


def safe_path(name: str) -> str | None:
    r"""The path that an entry's name stands for; None where it leads out or cannot be written.

    >>> safe_path("./a//b/"), safe_path("../x"), safe_path("/etc/passwd"), safe_path("..\\x")
    ('a/b', None, None, None)
    """
    if name.count("/") > _DEEPEST:
        return None
    bare = name.removesuffix("/")
    if _ODD.search(bare) is None:
        return bare
    if name.startswith(("/", "\\")) or "\x00" in name or _DRIVE.match(name):
        return None
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if any(part == ".." for part in re.split(r"[/\\]", name)):
        return None
    # A dot or two slashes in front may hide a drive letter.
    if parts and _DRIVE.match(parts[0] + "/"):
        return None
    return "/".join(parts)


class Tree:
    """The names of one state of an archive. Nothing in it changes after it was built."""

    def __init__(self, entries: Iterable[Entry], limits: Limits) -> None:
        self.root: TreeNode = TreeNode()
        self.root.children = {}
        #: Every entry in the order of the archive, also those that no path leads to.
        self.entries: list[Entry] = []
        self.left_out: list[str] = []
        #: What a later entry of the same name stands for.
        self.replaced: list[Entry] = []
        #: How many names there are, directories that are only implied included.
        self.count: int = 0
        self._limits = limits
        for entry in entries:
            self.entries.append(entry)
            limits.check_count(len(self.entries))
            path = safe_path(entry.name)
            if path is None:
                self.left_out.append(entry.name)
            else:
                self._insert(path, entry)
        self._settle(self.root, "")

    # -- building -----------------------------------------------------------------------------

    def _insert(self, path: str, entry: Entry) -> None:
        node = self.root
        for part in path.split("/") if path else ():
            if node.children is None:
                node.children = {}
            child = node.children.get(part)
            if child is None:
                child = node.children[part] = TreeNode()
                self.count += 1
                self._limits.check_count(self.count)
            node = child
        if node is self.root:
            if entry.type != "directory":
                self.left_out.append(entry.name)
            return
        if node.entry is not None:
            node.entry.path = None  # of several with one name, the last one counts
            self.replaced.append(node.entry)
        node.entry, entry.path = entry, path

    def _settle(self, node: TreeNode, path: str) -> None:
        """Make directories of what the archive calls so, and leave out what is below a file."""
        pending = [node]
        while pending:
            here = pending.pop()
            entry = here.entry
            if entry is None or entry.type == "directory":
                if here.children is None:
                    here.children = {}
                pending += here.children.values()
            elif here.children is not None:
                for lost in _entries_below(here):
                    lost.path = None
                    self.left_out.append(lost.name)
                here.children = None

    # -- finding ------------------------------------------------------------------------------

    def find(self, path: str, *, follow: bool = True) -> tuple[TreeNode, str]:
        """What is at ``path``, and its path by which no link leads.

        ``FileNotFoundError``, ``NotADirectoryError`` (below a file), ``PermissionError`` (through
        a link that leads out), ``OSError`` with ELOOP. ``follow`` is about the last link.
        """
        nodes, names = [self.root], [""]
        pending = path.split("/")[::-1] if path else []
        links = 0
        while pending:
            name = pending.pop()
            here = nodes[-1]
            if name in ("", "."):
                continue
            if here.children is None:
                raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path)
            if name == "..":
                if len(nodes) == 1:
                    raise _leads_out(path)
                nodes.pop()
                names.pop()
                continue
            child = here.children.get(name)
            if child is None:
                raise FileNotFoundError(errno.ENOENT, "not found", path)
            target = self._target(child) if pending or follow else None
            if target is None:
                nodes.append(child)
                names.append(name)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, "symbolic links loop, or lead too deep", path)
            if target.startswith(("/", "\\")) or "\x00" in target or _DRIVE.match(target):
                raise _leads_out(path)
            pending += target.split("/")[::-1]
        return nodes[-1], "/".join(names[1:])

    def _target(self, node: TreeNode) -> str | None:
        """Where a symbolic link leads; None where it is none."""
        entry = node.entry
        while entry is not None and entry.hard is not None:
            entry = entry.hard
        return None if entry is None or entry.type != "link" else entry.link or "/"

    # -- describing ---------------------------------------------------------------------------

    def describe(self, path: str, node: TreeNode) -> FileInfo:
        """What is known of a node; a link that leads somewhere shows what it leads to."""
        if self._target(node) is None:
            return _info(path, node)
        assert node.entry is not None
        try:
            there, _ = self.find(path)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return FileInfo(path, "link", None, node.entry.mtime, symlink=True)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            return FileInfo(path, "link", None, node.entry.mtime, symlink=True)
        return _info(path, there)._replace(symlink=True)

    def stat(self, path: str) -> FileInfo:
        """As ``Backend.stat``."""
        return self.describe(path, self.find(path, follow=False)[0])

    def scan(self, path: str) -> Iterator[FileInfo]:
        """As ``Backend.scan``."""
        node, _ = self.find(path)
        if node.children is None:
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path)
        return (self.describe(join(path, name), child) for name, child in node.children.items())

    def file(self, path: str) -> Entry:
        """The entry whose content is that of ``path``; raises where it is no file."""
        node, _ = self.find(path)
        entry = node.entry
        if node.children is not None or entry is None:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        while entry.hard is not None:
            entry = entry.hard
        if entry.type != "file":
            raise PermissionError(errno.EACCES, f"not a regular file: {entry.type}")
        return entry

    def below(self, path: str) -> list[Entry]:
        """The entries at and below a path, by which no link leads."""
        node, _ = self.find(path, follow=False)
        found = [] if node.entry is None else [node.entry]
        return found + _entries_below(node)


def _entries_below(node: TreeNode) -> list[Entry]:
    found: list[Entry] = []
    pending = list((node.children or {}).values())
    while pending:
        here = pending.pop()
        if here.entry is not None:
            found.append(here.entry)
        pending += (here.children or {}).values()
    return found


def _info(path: str, node: TreeNode) -> FileInfo:
    entry = node.entry
    if node.children is not None or entry is None:
        return FileInfo(path, "directory", None, None if entry is None else entry.mtime)
    final = entry
    while final.hard is not None:
        final = final.hard
    size = final.size if final.type == "file" else None
    return FileInfo(path, final.type, size, entry.mtime)


def _leads_out(path: str) -> PermissionError:
    return PermissionError(errno.EACCES, "a symbolic link leads out of the archive")
