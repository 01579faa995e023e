"""Finding the way to one entry of an SFTP server, without leaving the mount's root by a link."""

from __future__ import annotations

import errno
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...info import FileInfo
from ..errors import RootNotFoundError
from . import packets as wire
from .packets import Attrs, ServerFailureError, text

if TYPE_CHECKING:
    from ...info import EntryType
    from .session import Session

__all__ = [
    "REGULAR",
    "SPACE",
    "Found",
    "Looker",
    "describe",
    "encode",
    "is_directory",
    "is_link",
    "parent",
]

REGULAR = 0o100000
_DIRECTORY = 0o040000
_LINK = 0o120000
_KINDS: dict[int, EntryType] = {REGULAR: "file", _DIRECTORY: "directory", _LINK: "link"}
#: As many links in a row as Linux follows.
_MOST_LINKS = 40
#: Nearly every file system has names of this many bytes, and some have longer ones.
_USUAL_LONGEST = 255
#: What tells how much room there is, and how long a name may be.
SPACE = b"statvfs@openssh.com"


def encode(name: str) -> bytes:
    """The bytes of a name or path; what was no UTF-8 in a listing becomes what it was."""
    return name.encode("utf-8", "surrogateescape")


def parent(full: bytes) -> bytes:
    """The directory of a full path, without a slash at its end."""
    return full.rpartition(b"/")[0]


def is_link(attrs: Attrs) -> bool:
    """Whether an entry itself is a symbolic link."""
    return attrs.format == _LINK


def is_directory(attrs: Attrs) -> bool:
    """Whether it is a directory."""
    return attrs.format == _DIRECTORY


def describe(path: str, attrs: Attrs, *, symlink: bool = False) -> FileInfo:
    """What the server tells about an entry, in the library's words."""
    kind = _KINDS.get(attrs.format, "other")
    return FileInfo(
        path,
        kind,
        attrs.size if kind == "file" else None,
        None if attrs.mtime is None else float(attrs.mtime),
        symlink=symlink,
    )


def _not_regular(attrs: Attrs) -> PermissionError:
    # Opening a pipe would keep the server waiting.
    kind = _KINDS.get(attrs.format, "other")
    return PermissionError(errno.EACCES, f"not a regular file: {kind}")


@dataclass(frozen=True)
class Found:
    """Where a path leads: ``attrs`` is None where nothing is, ``missing`` how much of it is not.

    ``in_the_way`` is what is no directory among the parents.
    """

    path: str
    full: bytes
    attrs: Attrs | None
    missing: int = 0
    in_the_way: str | None = None

    @property
    def size(self) -> int | None:
        """The size in bytes, where the server tells it."""
        return None if self.attrs is None else self.attrs.size

    def require_no_file_in_the_way(self) -> None:
        """``NotADirectoryError`` where a parent is a file."""
        if self.in_the_way is not None:
            raise NotADirectoryError(errno.ENOTDIR, "is not a directory", self.in_the_way)

    def missing_parents(self) -> list[bytes]:
        """The directories above it that are to be made, from the top."""
        names: list[bytes] = []
        full = self.full
        for _ in range(self.missing - 1):
            full = parent(full)
            names.append(full)
        return names[::-1]


class Looker:
    """Looks at paths through one session, for one call: nothing is remembered beyond it.

    Every entry on the way is looked at, all of them in one round trip. Links on the way are
    followed as long as they lead to something inside the root; nothing is outside of ``/``.
    """

    def __init__(self, session: Session, root: bytes, shown: str) -> None:
        self._session = session
        self._root = root
        self._shown = shown
        self._real_root: bytes | None = None

    # -- what callers want to know ------------------------------------------------------------

    def info(self, path: str) -> FileInfo:
        """What is there, through links; a link that leads nowhere or out is a ``link``."""
        found = self.look(path)
        if found.attrs is None:
            raise FileNotFoundError(errno.ENOENT, "not found", path)
        if is_link(found.attrs):
            return self.describe_link(path, found.full, found.attrs)
        return describe(path, found.attrs)

    def describe_link(self, path: str, full: bytes, attrs: Attrs) -> FileInfo:
        """What a link leads to, if that is inside the root and exists."""
        there = self._behind_link(full)
        return describe(path, attrs if there is None else there[1], symlink=True)

    def readable(self, path: str) -> Found:
        """A regular file, links followed; else the error that reading it would be."""
        found = self.followed(path)
        if found.attrs is None:
            raise FileNotFoundError(errno.ENOENT, "not found", path)
        if is_directory(found.attrs):
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        if found.attrs.format != REGULAR:
            raise _not_regular(found.attrs)
        return found

    def target(self, path: str, *, if_absent: bool) -> Found:
        """Where a file may be written; else the error that writing it would be."""
        if not path:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        found = self.look(path)
        found.require_no_file_in_the_way()
        if found.attrs is not None and is_link(found.attrs) and not if_absent:
            found = self.followed(path)
        attrs = found.attrs
        if attrs is None:
            return found
        if is_directory(attrs):
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        if if_absent:
            raise FileExistsError(errno.EEXIST, "already exists", path)
        if attrs.format != REGULAR:
            raise _not_regular(attrs)
        return found

    def followed(self, path: str) -> Found:
        """Where a path leads when its last link is followed too, as long as that stays inside.

        A link that leads nowhere or out is returned as itself.
        """
        found = self.look(path)
        if found.attrs is None or not is_link(found.attrs):
            return found
        there = self._behind_link(found.full)
        return found if there is None else Found(path, *there)

    # -- how ----------------------------------------------------------------------------------

    def look(self, path: str) -> Found:
        """Where a path leads, its last component not followed."""
        if not path:
            return Found("", self._root or b"/", self._root_attrs())
        return self._look_below(self._root, path.split("/"), 0, path)

    def _look_below(self, base: bytes, names: list[str], done: int, path: str) -> Found:
        """Look at ``names[done:]`` below ``base``, which is known to be inside the root."""
        steps: list[bytes] = []
        full = base
        for name in names[done:]:
            encoded = encode(name)
            if len(encoded) > _USUAL_LONGEST:
                self._require_room_for(encoded)
            full += b"/" + encoded
            steps.append(full)
        asked = [self._session.send(wire.LSTAT, text(step)) for step in steps]
        try:
            for position, step in enumerate(steps):
                attrs = self._session.attrs_or_none(asked.pop(0))
                last = position == len(steps) - 1
                if attrs is None:
                    if position == 0 and not done:
                        self._root_attrs()  # says so where it is the root that is missing
                    return Found(path, full, None, len(steps) - position)
                if last:
                    return Found(path, full, attrs)
                done += 1
                if is_link(attrs):
                    there = self._behind_link(step, strict=True)
                    if there is None:
                        return Found(path, full, None, in_the_way="/".join(names[:done]))
                    if is_directory(there[1]):
                        return self._look_below(there[0], names, done, path)
                    attrs = there[1]
                if not is_directory(attrs):
                    return Found(path, full, None, in_the_way="/".join(names[:done]))
        finally:
            self._session.forget(asked)
        raise AssertionError("unreachable")  # a path has at least one component

    def _require_room_for(self, name: bytes) -> None:
        """Refuse a name that the server's file system cannot hold, as far as it tells."""
        if SPACE in self._session.extensions:
            asked = text(SPACE), text(self._root or b"/")
            room = self._session.numbers(self._session.send(wire.EXTENDED, *asked))
            longest = (room[10] if len(room) > 10 else 0) or _USUAL_LONGEST
            if len(name) > longest:
                raise OSError(errno.ENAMETOOLONG, f"a name is longer than {longest} bytes")

    def _root_attrs(self) -> Attrs:
        """The root, which may be a link; ``RootNotFoundError`` where it is missing."""
        try:
            attrs = self._session.attrs(self._session.send(wire.STAT, text(self._root or b"/")))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RootNotFoundError(
                f"the directory {self._shown!r} does not exist on the server; "
                "make it there, or correct 'path'"
            ) from error
        if not is_directory(attrs):
            raise RootNotFoundError(
                f"{self._shown!r} is not a directory on the server; correct 'path'"
            )
        return attrs

    def _behind_link(self, full: bytes, *, strict: bool = False) -> tuple[bytes, Attrs] | None:
        """Where a link leads, and what is there; None where that is nothing, or not to be shown.

        With ``strict`` a link that leads out of the root is a ``PermissionError``.
        """
        try:
            real, attrs = self._resolve(full)
        except (FileNotFoundError, NotADirectoryError, ServerFailureError, io.UnsupportedOperation):
            return None
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EACCES, errno.EINVAL):
                raise
            if strict:
                raise
            return None
        inside = self._inside(real)
        if inside is None:
            if strict:
                raise PermissionError(
                    errno.EACCES,
                    "a symbolic link leads out of the mount's root; it is not followed",
                )
            return None
        return inside, attrs

    def _inside(self, real: bytes) -> bytes | None:
        """The same path, beginning like the root, which may lie behind a link itself."""
        if not self._root:
            return real
        if self._real_root is None:
            self._real_root = self._resolve(self._root)[0].rstrip(b"/")
        if real == self._real_root or real.startswith(self._real_root + b"/"):
            return self._root + real[len(self._real_root) :]
        return None

    def _resolve(self, full: bytes) -> tuple[bytes, Attrs]:
        """Follow every link of a path, step by step.

        Not by the server's REALPATH: some servers only tidy up the text of the path.
        """
        session = self._session
        pending = [name for name in full.split(b"/") if name][::-1]
        real, links = b"", 0
        attrs = Attrs(mode=_DIRECTORY)
        while pending:
            name = pending.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                real = parent(real)
                continue
            step = real + b"/" + name
            attrs = session.attrs(session.send(wire.LSTAT, text(step)))
            if not is_link(attrs):
                real = step
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, "symbolic links loop, or lead too deep")
            names = session.names(session.send(wire.READLINK, text(step)))
            target = names[0][0] if names else b""
            if target.startswith(b"/"):
                real = b""
            pending += target.split(b"/")[::-1]
        if is_link(attrs):  # to "..", or to "/"
            attrs = session.attrs(session.send(wire.LSTAT, text(real or b"/")))
        return real or b"/", attrs
