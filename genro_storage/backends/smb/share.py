"""A share: the connections to it, and what can be asked without changing anything."""

from __future__ import annotations

import errno
import random
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from smbprotocol.exceptions import (
    DeletePending,
    NoMoreFiles,
    NoSuchFile,
    ObjectNameNotFound,
    ObjectPathNotFound,
    SharingViolation,
    SMBConnectionClosed,
    SMBResponseException,
)
from smbprotocol.file_info import FileAttributes
from smbprotocol.ioctl import CtlCode, IOCTLFlags

from ..errors import RootNotFoundError
from .client import ATTRIBUTES, DIRECTORY, LINK_ITSELF, READ, Link
from .messages import EPOCH, Entry, asking, control, entries_of, listing, moment_of
from .names import spelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..remote import Bounds
    from . import SmbOptions

__all__ = ["PATIENCE", "SmbShare", "pause", "written_of"]

T = TypeVar("T")

_LISTING = 256 * 1024
_NEVER = -EPOCH / 10_000_000
#: Reparse points that stand for another name: links and mount points, not deduplicated files.
_SURROGATE = 0x2000_0000
#: Statuses after which a session is of no use.
_LOST = frozenset((0xC000_00C9, 0xC000_0203, 0xC000_035C, 0xC000_020C, 0xC000_020D))
#: Seconds to wait for others to close a file, at most; what Windows itself does is less.
PATIENCE = 5.0
#: Seconds for which a file is doubted that was being deleted a moment ago.
_DOUBTED = 0.25
_REPARSE: int = FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT
_IS_DIRECTORY: int = FileAttributes.FILE_ATTRIBUTE_DIRECTORY


class SmbShare:
    """The share, from the mount's root down. Paths have slashes and begin at that root.

    Connects at its first call, and again after the connection broke. Raises what
    ``smbprotocol`` raises, and standard exceptions.
    """

    protocol: str | tuple[str, ...] = "smb"
    root_marker = ""

    def __init__(self, options: SmbOptions, bounds: Bounds) -> None:
        self._options = options
        self._bounds = bounds
        self._root = options.path
        self._lock = threading.Lock()
        # Samba serves each connection by a process, which replaces no file that it has open
        # itself: so what stays open for long is opened on a connection of its own.
        self._links: dict[bool, Link] = {}
        self._attempts = 0
        self._failure: Exception | None = None  # of the last attempt to connect
        self._inherited: list[Link] = []  # never closed here: they belong to the parent process

    # -- the connection -----------------------------------------------------------------------

    def _connected(self, lasting: bool) -> Link:
        link = self._links.get(lasting)
        if link is not None and link.is_alive:
            return link
        seen = self._attempts
        with self._lock:
            link = self._links.get(lasting)
            if link is not None:
                if link.is_alive:
                    return link
                if link.is_inherited:
                    self._inherited.append(link)
                link.drop()
                del self._links[lasting]
            if self._attempts != seen and self._failure is not None:
                # Whoever was first has tried in vain meanwhile. If all tried one after another,
                # the last would wait for many times its bound.
                raise self._failure
            self._attempts += 1
            try:
                self._links[lasting] = link = self._connect()
            except Exception as error:
                self._failure = error
                raise
            self._failure = None
            return link

    def _connect(self) -> Link:
        options = self._options
        return Link(
            options.host,
            options.port,
            options.share,
            options.account,
            options.password.get_secret_value() if options.password else None,
            encrypt=options.encrypt,
            bounds=self._bounds,
        )

    def _do(
        self,
        path: str,
        step: Callable[[Link, str], T],
        *,
        lasting: bool = False,
        doubting: bool = False,
    ) -> T:
        """``step(link, the path as the protocol has it)``, with the patience that files need.

        ``lasting``: for a file that stays open while others may want to replace it.
        ``doubting``: what is not found is asked for once more. Of a file that is just being
        replaced, and so always there, Samba says now and then that it is not.
        """
        name = spelled(self._root, path)
        deadline = time.monotonic() + min(PATIENCE, self._bounds.timeout)
        while True:
            link = self._connected(lasting)
            try:
                return step(link, name)
            except SharingViolation:
                # Another program has it open for itself: for a moment, as a rule.
                if time.monotonic() > deadline:
                    raise
                pause()
            except SMBResponseException as error:
                if doubting and isinstance(error, ObjectNameNotFound):
                    doubting = False
                    continue
                if error.status in _LOST:
                    link.drop()
                    raise ConnectionResetError(errno.ECONNRESET, "the session has ended") from error
                self._require_root(link, path, error)
                raise
            except (SMBConnectionClosed, ConnectionError, TimeoutError):
                link.drop()
                raise

    def _require_root(self, link: Link, path: str, error: SMBResponseException) -> None:
        """Say so where nothing is found because the mount's own directory is missing."""
        if not self._root or not isinstance(error, ObjectNameNotFound | ObjectPathNotFound):
            return
        if path:
            if isinstance(error, ObjectNameNotFound):
                return  # its directory is there
            try:
                link.open(spelled(self._root, ""), ATTRIBUTES)
            except (ObjectNameNotFound, ObjectPathNotFound):
                pass
            else:
                return
        raise RootNotFoundError(
            f"the directory {self._root!r} does not exist on the share {self._options.share!r}; "
            "create it or correct 'path'"
        ) from error

    def close(self) -> None:
        """End the connection; a later call would make another."""
        with self._lock:
            links, self._links = self._links, {}
        for link in links.values():
            link.close()

    # -- looking ------------------------------------------------------------------------------

    def _strip_protocol(self, path: str) -> str:
        return path

    def reach(self) -> None:
        """Whether the mount's root is there, a directory, and open to this user; raises if not."""
        self._do("", lambda link, name: link.open(name, READ, options=DIRECTORY))

    def info(self, path: str, *, doubting: bool = True) -> dict[str, Any]:
        def step(link: Link, name: str) -> dict[str, Any]:
            opened, _ = link.open(name, ATTRIBUTES, options=LINK_ITSELF)
            attributes = int(opened.file_attributes)
            tag = _tag(link, name) if attributes & _REPARSE else 0
            size = int(opened.end_of_file)
            return _described(path, attributes, tag, size, written_of(opened))

        return self._do(path, step, doubting=doubting)

    def look(self, path: str) -> dict[str, Any] | None:
        """``info``; None where only the last name is missing, and so its directory is there.

        For whoever is going to write: a file that is being deleted, and still open elsewhere, is
        waited for. Samba removes by its name, and so would remove what is put there meanwhile.
        """
        deadline = time.monotonic() + min(PATIENCE, self._bounds.timeout)
        # Between the last reader's going and the removal Samba shows the file once more, for a
        # moment in which nothing is pending: it is there only if it stays.
        doubted = 0.0
        while True:
            try:
                # Whoever takes it for missing replaces it, or is told by the renaming.
                found = self.info(path, doubting=False)
                if time.monotonic() >= doubted:
                    return found
                pause()
            except ObjectNameNotFound:
                return None
            except DeletePending:
                doubted = time.monotonic() + _DOUBTED
                if time.monotonic() > deadline:
                    raise PermissionError(
                        errno.EACCES,
                        "it is being deleted, and another program has it open; close it there",
                    ) from None
                pause()

    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]:
        return self.survey(path)[1]

    def survey(self, path: str) -> tuple[int, list[dict[str, Any]]]:
        """The ``identity`` of a directory, and its entries with theirs."""
        base = f"{path}/" if path else ""
        here = 0
        found: list[dict[str, Any]] = []
        for each in self.entries(path):
            if each.name == ".":
                here = each.identity
            elif each.name != "..":
                mtime = moment_of(each.written)
                raw = _described(base + each.name, each.attributes, each.tag, each.size, mtime)
                found.append({**raw, "identity": each.identity})
        return here, found

    def entries(self, path: str) -> list[Entry]:
        """All lines of a listing, with those of the directory itself and of the one above."""

        def step(link: Link, name: str) -> list[Entry]:
            size = min(_LISTING, link.max_transact_size)
            first = listing(link, size, restart=True)
            opened, (data,) = link.open(name, READ, first, options=DIRECTORY, keep=True)
            found: list[Entry] = []
            try:
                while True:
                    found += entries_of(data)
                    data = link.ask(listing(link, size, restart=False)(opened))
            except (NoMoreFiles, NoSuchFile):
                return found
            finally:
                link.close_file(opened)

        return self._do(path, step)

    def modified(self, path: str) -> datetime:
        return datetime.fromtimestamp(self.info(path)["mtime"], UTC)

    # -- links that the server follows ---------------------------------------------------------

    # Samba follows links to directories and says nothing, so that removing one with all that is
    # in it would empty what it leads to. But what lies above a directory is then not what its path
    # says; only a link to a directory beside it cannot be told from that one.

    def is_link(self, path: str) -> bool:
        """Whether the server has followed a link out of its place to get to this directory."""
        inside = {each.name: each.identity for each in self.entries(path)}
        expected = self.identity(path.rpartition("/")[0])
        # A server without identities has none of these links either: it is no Samba.
        return bool(inside.get("..") and expected) and inside[".."] != expected

    def twins(self, path: str) -> list[str]:
        """The other names, in the same directory, under which the server shows this directory."""
        above, _, leaf = path.rpartition("/")
        identity = self.identity(path)
        return [
            each.name
            for each in self.entries(above)
            if identity == each.identity != 0 and each.name.lower() not in (".", "..", leaf.lower())
        ]

    def identity(self, path: str) -> int:
        """What the server knows a file or directory by; 0 where it does not say."""

        def step(link: Link, name: str) -> int:
            _, (number,) = link.open(name, ATTRIBUTES, asking(link))
            return int(number)

        return self._do(path, step)


def pause() -> None:
    """Wait a moment, of no fixed length, so that several who wait get out of step."""
    time.sleep(random.uniform(0.005, 0.05))  # noqa: S311 - only to get out of step


def written_of(opened: Any) -> float | None:
    """The time of the last modification, as opening has told it."""
    written = opened.last_write_time
    if written.tzinfo is None:  # what the library makes of years that it cannot express
        return None
    moment = float(written.timestamp())
    return moment if moment > _NEVER else None


def _described(
    path: str, attributes: int, tag: int, size: int, mtime: float | None
) -> dict[str, Any]:
    linked = bool(attributes & _REPARSE and tag & _SURROGATE)
    directory = bool(attributes & _IS_DIRECTORY)
    return {
        "name": path,
        "type": "directory" if directory else "file",
        "islink": linked,
        "size": None if directory else size,
        "mtime": mtime,
    }


def _tag(link: Link, name: str) -> int:
    """What kind of reparse point it is."""
    _, (data,) = link.open(
        name,
        ATTRIBUTES,
        control(CtlCode.FSCTL_GET_REPARSE_POINT, IOCTLFlags.SMB2_0_IOCTL_IS_FSCTL, 16_384, link),
        options=LINK_ITSELF,
    )
    return int.from_bytes(data[:4], "little")
