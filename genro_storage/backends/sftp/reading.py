"""Looking at an SFTP server and reading from it, each thing in as few round trips as it takes."""

from __future__ import annotations

import contextlib
import errno
import logging
from typing import TYPE_CHECKING, Any

from ...info import FileInfo
from ...paths import is_addressable, join
from . import packets as wire
from .packets import Attrs, ServerFailureError, text
from .paths import Found, Looker, describe, encode, is_directory, is_link
from .transfer import FileReader, read_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .pool import Pool
    from .session import Session

__all__ = ["SftpReading"]

_log = logging.getLogger("genro_storage")


class SftpReading:
    """The files below ``root`` as one login sees them.

    ``path`` is always one of the backend's, relative to the root. Failures are standard
    exceptions. ``opened`` is told the extensions of the server after each look at it.
    """

    protocol: str = "sftp"
    root_marker: str = ""

    def __init__(
        self,
        pool: Pool,
        root: str,
        *,
        opened: Callable[[dict[bytes, bytes]], None] = lambda _: None,
    ) -> None:
        self._pool = pool
        self._root = root
        self._opened = opened
        self._home: bytes | None = None

    def close(self) -> None:
        """End the connection."""
        self._pool.close()

    @contextlib.contextmanager
    def _session(self) -> Generator[tuple[Session, Looker]]:
        with self._pool.session() as session:
            yield session, self._looker(session)

    def _looker(self, session: Session) -> Looker:
        self._opened(session.extensions)
        return Looker(session, self._absolute_root(session), self._root)

    def _absolute_root(self, session: Session) -> bytes:
        """The root without a slash at its end; where it is relative, it starts at the login's home."""
        if self._root.startswith("/"):
            return encode(self._root).rstrip(b"/")
        if self._home is None:
            names = session.names(session.send(wire.REALPATH, text(b".")))
            if not names:
                raise ServerFailureError(
                    errno.EIO, "the server does not tell the login's directory"
                )
            self._home = names[0][0].rstrip(b"/")
        return self._home + b"/" + encode(self._root) if self._root else self._home

    # -- looking ------------------------------------------------------------------------------

    def info(self, path: str) -> FileInfo:
        """What is at the path; ``FileNotFoundError``."""
        with self._session() as (_, looker):
            return looker.info(path)

    def check(self) -> None:
        """Whether the root is there, and may be listed."""
        with self._session() as (session, looker):
            root = looker.look("").full
            session.drop_handle(session.handle(session.send(wire.OPENDIR, text(root))))

    def check_source(self, path: str) -> None:
        """Raise what would keep a file from being read."""
        with self._session() as (_, looker):
            looker.readable(path)

    def check_target(self, path: str, *, if_absent: bool) -> None:
        """Raise what would keep a file from being written there."""
        with self._session() as (_, looker):
            looker.target(path, if_absent=if_absent)

    def real_directory(self, path: str) -> str:
        """One name for a directory by whatever links it is reached."""
        with self._session() as (_, looker):
            return looker.followed(path).full.decode("utf-8", "surrogateescape")

    def entries(self, path: str, *, follow: bool = True) -> list[FileInfo]:
        """The entries of a directory; what no path can express is left out.

        ``follow``: whether a link to a directory is one.
        """
        with self._session() as (session, looker):
            found = looker.followed(path) if follow else looker.look(path)
            if found.attrs is None:
                raise FileNotFoundError(errno.ENOENT, "not found", path)
            if not is_directory(found.attrs):
                raise NotADirectoryError(errno.ENOTDIR, "is not a directory", path)
            listed: list[FileInfo] = []
            for name, attrs in self._listing(session, found.full):
                child = join(path, name.decode("utf-8", "surrogateescape"))
                if b"/" in name or not is_addressable(child):
                    _log.warning("left out the entry %r, whose name no path can express", child)
                elif is_link(attrs):
                    listed.append(looker.describe_link(child, found.full + b"/" + name, attrs))
                else:
                    listed.append(describe(child, attrs))
            return listed

    @staticmethod
    def _listing(session: Session, full: bytes) -> list[tuple[bytes, Attrs]]:
        handle = session.handle(session.send(wire.OPENDIR, text(full)))
        found: list[tuple[bytes, Attrs]] = []
        asked: list[int] = []
        ahead = 2
        try:
            while True:
                while len(asked) < ahead:
                    asked.append(session.send(wire.READDIR, text(handle)))
                names = session.names(asked.pop(0))
                if names is None:
                    break
                found += names
                ahead = min(16, 2 * ahead)
        finally:
            session.forget(asked)
            session.drop_handle(handle)
        return [(name, attrs) for name, attrs in found if name not in (b".", b"..", b"")]

    # -- reading ------------------------------------------------------------------------------

    def open(self, path: str, mode: str = "rb", **_: Any) -> FileReader:
        """A stream from the start of the file."""
        lease = self._pool.lease()
        try:
            found = self._looker(lease.session).readable(path)
            handle = self._open(lease.session, found.full, wire.F_READ)
        except BaseException:
            lease.release()
            raise
        return FileReader(lease.session, handle, found.size, lease.release)

    @contextlib.contextmanager
    def _reading(self, path: str) -> Generator[tuple[Session, bytes, Found]]:
        with self._session() as (session, looker):
            found = looker.readable(path)
            handle = self._open(session, found.full, wire.F_READ)
            try:
                yield session, handle, found
            finally:
                session.drop_handle(handle)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes from ``start`` up to ``end``."""
        with self._reading(path) as (session, handle, _):
            return b"".join(read_chunks(session, handle, start or 0, end))

    def get_file(self, path: str, target: str) -> None:
        """Copy the content into a local file."""
        with self._reading(path) as (session, handle, _), open(target, "wb") as sink:
            sink.writelines(read_chunks(session, handle))

    @staticmethod
    def _open(session: Session, full: bytes, flags: int, attrs: bytes = bytes(4)) -> bytes:
        return session.handle(session.send(wire.OPEN, text(full), flags, attrs))
