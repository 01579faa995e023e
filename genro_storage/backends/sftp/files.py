"""Changing files on an SFTP server: one method for each thing that is done."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import struct
from typing import TYPE_CHECKING, BinaryIO

from ..temporary_names import unique_name
from . import packets as wire
from .packets import ServerFailureError, encode_attrs, text
from .paths import REGULAR, SPACE, Found, encode, is_directory, is_link, parent
from .reading import SftpReading
from .transfer import is_part_of, read_chunks, write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    from ...info import Attributes
    from .pool import Pool
    from .session import Session

__all__ = ["COPY_DATA", "POSIX_RENAME", "SftpFiles"]

POSIX_RENAME = b"posix-rename@openssh.com"
_HARD_LINK = b"hardlink@openssh.com"
COPY_DATA = b"copy-data"
#: Bytes of one copy-data request: each must be answered before we lose patience.
_COPY_CHUNK = 64 * 1024 * 1024
_LAST_SECOND = 0xFFFFFFFF
_READ_ONLY = 1


class SftpFiles(SftpReading):
    """The files below ``root``. With ``atomic`` a file is replaced in one step or not at all."""

    def __init__(
        self,
        pool: Pool,
        root: str,
        *,
        atomic: bool = True,
        opened: Callable[[dict[bytes, bytes]], None] = lambda _: None,
    ) -> None:
        super().__init__(pool, root, opened=opened)
        self._atomic = atomic

    # -- contents ------------------------------------------------------------------------------

    def put(
        self,
        path: str,
        temporary: str,
        content: bytes | Path,
        attributes: Attributes | None,
        *,
        if_absent: bool,
    ) -> tuple[bytes, bytes]:
        """Write the content beside its target, under the name ``temporary``.

        Returns the full paths of both. Directories that are missing are made.
        """
        with self._session() as (session, looker):
            found = looker.target(path, if_absent=if_absent)
            self._make_missing(session, found)
            beside = parent(found.full) + b"/" + encode(temporary)
            mode, mtime = _wanted(found, attributes)
            with self._full_disk_explained(session, parent(found.full)):
                self._write(session, beside, content, mode, mtime)
            return beside, found.full

    def _write(
        self,
        session: Session,
        full: bytes,
        content: bytes | Path,
        mode: int | None,
        mtime: int | None,
    ) -> None:
        flags = wire.F_WRITE | wire.F_CREAT | wire.F_TRUNC
        handle = self._open(session, full, flags, encode_attrs(mode=mode))
        with _handle(session, handle):
            with _source(content) as source:
                write_all(session, handle, source)
            self._set(session, handle, mode, mtime)

    @staticmethod
    def _set(session: Session, handle: bytes, mode: int | None, mtime: int | None) -> None:
        if mode is None and mtime is None:
            return
        attrs = encode_attrs(mode=mode, mtime=mtime)
        # Some servers keep neither; the content is whole all the same, and the mode that was
        # asked for when the file was made is at most stricter.
        with contextlib.suppress(ServerFailureError, PermissionError, io.UnsupportedOperation):
            session.done(session.send(wire.FSETSTAT, text(handle), attrs))

    @contextlib.contextmanager
    def _full_disk_explained(self, session: Session, directory: bytes) -> Generator[None]:
        """Ask how much room there is where a write failed without a reason."""
        try:
            yield
        except ServerFailureError as error:
            if SPACE not in session.extensions:
                raise
            room = session.numbers(
                session.send(wire.EXTENDED, text(SPACE), text(directory or b"/"))
            )
            if len(room) > 9 and room[9] & _READ_ONLY:
                raise OSError(errno.EROFS, "the file system is read-only") from error
            # Blocks, and where the file system counts them, files.
            if len(room) > 7 and (not room[4] or (room[5] and not room[7])):
                raise OSError(errno.ENOSPC, "no space left on the server") from error
            raise

    def publish(self, temporary: bytes, target: bytes, *, asking: Callable[[], None]) -> None:
        """Give a finished file its name, replacing what has it; ``asking`` as for ``mkdir``."""
        with self._session() as (session, _):
            asking()
            self._rename(session, temporary, target)

    def publish_if_absent(self, temporary: bytes, target: bytes) -> None:
        """Give a finished file its name; ``FileExistsError`` where something has it."""
        with self._session() as (session, _):
            if _HARD_LINK in session.extensions and self._linked(session, temporary, target):
                return
            if POSIX_RENAME not in session.extensions:
                # By the protocol it refuses a name that is taken.
                with self._taken_explained(session, target):
                    session.done(session.send(wire.RENAME, text(temporary), text(target)))
                return
            # No hard links here: reserve the name, then replace it.
            flags = wire.F_WRITE | wire.F_CREAT | wire.F_EXCL
            with self._taken_explained(session, target):
                session.drop_handle(self._open(session, target, flags))
            try:
                self._rename(session, temporary, target)
            except OSError:
                with contextlib.suppress(OSError):
                    session.done(session.send(wire.REMOVE, text(target)))
                raise

    def _linked(self, session: Session, temporary: bytes, target: bytes) -> bool:
        """Whether a second name was given to the file, and the first one taken away."""
        request = text(_HARD_LINK), text(temporary), text(target)
        try:
            with self._taken_explained(session, target):
                session.done(session.send(wire.EXTENDED, *request))
        except (ServerFailureError, PermissionError, io.UnsupportedOperation):
            return False  # a file system without hard links
        # The file is there under its name, whatever comes now.
        with contextlib.suppress(OSError):
            session.done(session.send(wire.REMOVE, text(temporary)))
        return True

    @staticmethod
    @contextlib.contextmanager
    def _taken_explained(session: Session, target: bytes) -> Generator[None]:
        try:
            yield
        except ServerFailureError as error:
            if session.attrs_or_none(session.send(wire.LSTAT, text(target))) is None:
                raise
            raise FileExistsError(errno.EEXIST, "already exists") from error

    def discard(self, path: str, temporary: Iterable[str]) -> None:
        """Remove what is left of the attempts of a write."""
        with self._session() as (session, looker):
            above = parent(looker.followed(path).full)
            for name in temporary:
                with contextlib.suppress(FileNotFoundError):
                    session.done(session.send(wire.REMOVE, text(above + b"/" + encode(name))))

    def append(self, path: str, content: bytes | Path) -> None:
        """Add to the end of a file, which is made where it is missing; taken back on failure."""
        # Servers that know no appending are told the position, so that two of us would collide.
        with self._pool.turns, self._session() as (session, looker):
            found = looker.target(path, if_absent=False)
            self._make_missing(session, found)
            flags = wire.F_WRITE | wire.F_CREAT | wire.F_APPEND
            handle = self._open(session, found.full, flags)
            with _handle(session, handle), _source(content) as source:
                before = session.attrs(session.send(wire.FSTAT, text(handle))).size or 0
                try:
                    with self._full_disk_explained(session, parent(found.full)):
                        write_all(session, handle, source, before)
                except BaseException:
                    # The reason of the failure matters more than whether it can be taken back.
                    with contextlib.suppress(Exception):
                        self._take_back(session, found, before, source)
                    raise

    def _take_back(self, session: Session, found: Found, before: int, source: BinaryIO) -> None:
        """Cut a part of ``source`` off again; what others have added meanwhile stays."""
        if session.is_broken:
            with self._session() as (another, _):
                self._take_back(another, found, before, source)
            return
        handle = self._open(session, found.full, wire.F_READ | wire.F_WRITE)
        with _handle(session, handle):
            size = session.attrs(session.send(wire.FSTAT, text(handle))).size or 0
            source.seek(0)
            if size < before or not is_part_of(read_chunks(session, handle, before), source):
                return
            if found.attrs is None and not before:
                session.done(session.send(wire.REMOVE, text(found.full)))
            else:
                attrs = encode_attrs(size=before)
                session.done(session.send(wire.FSETSTAT, text(handle), attrs))

    def copy(self, source: str, target: str, temporary: str) -> tuple[bytes, bytes]:
        """As ``put``, with the content of a file of the server, by the server itself."""
        with self._reading(source) as (session, handle, found):
            looker = self._looker(session)
            there = looker.target(target, if_absent=False)
            self._make_missing(session, there)
            beside = parent(there.full) + b"/" + encode(temporary)
            assert found.attrs is not None
            mode, mtime = _wanted(there, None)
            mode = found.attrs.mode if mode is None else mode
            mtime = found.attrs.mtime
            flags = wire.F_WRITE | wire.F_CREAT | wire.F_TRUNC
            copied = self._open(session, beside, flags, encode_attrs(mode=_bits(mode)))
            with (
                _handle(session, copied),
                self._full_disk_explained(session, parent(there.full)),
            ):
                self._copy_data(session, handle, copied, found.attrs.size or 0)
                self._set(session, copied, _bits(mode), mtime)
            return beside, there.full

    @staticmethod
    def _copy_data(session: Session, source: bytes, target: bytes, size: int) -> None:
        offset = 0
        while offset < size:
            # The last one, of length 0, goes to wherever the end is by now.
            rest = size - offset
            length = 0 if rest <= _COPY_CHUNK else _COPY_CHUNK
            body = struct.pack(">QQ", offset, length)
            session.done(
                session.send(
                    wire.EXTENDED,
                    text(COPY_DATA),
                    text(source),
                    body,
                    text(target),
                    struct.pack(">Q", offset),
                )
            )
            offset += length or rest

    def set_mtime(self, path: str, mtime: float) -> None:
        """Set the time of the last change, in whole seconds from 1970 to 2106."""
        if not 0 <= mtime <= _LAST_SECOND:
            raise ValueError("SFTP can express times from 1970 to 2106 only")
        with self._session() as (session, looker):
            found = looker.followed(path)
            if found.attrs is None:
                raise FileNotFoundError(errno.ENOENT, "not found", path)
            if is_link(found.attrs):
                # The server would follow it, wherever it leads.
                raise PermissionError(
                    errno.EACCES, "a symbolic link leads nowhere, or out of the mount's root"
                )
            attrs = encode_attrs(mtime=int(mtime))
            session.done(session.send(wire.SETSTAT, text(found.full), attrs))

    # -- names --------------------------------------------------------------------------------

    # Both are repeated. ``asking`` is called when the request goes out: whoever repeats it must know
    # whether an earlier one may have done what this one finds done.

    def mkdir(self, path: str, *, asking: Callable[[], None]) -> None:
        """Make one directory."""
        with self._session() as (session, looker):
            found = looker.look(path)
            if found.attrs is not None:
                raise FileExistsError(errno.EEXIST, "already exists", path)
            found.require_no_file_in_the_way()
            if found.missing > 1:
                raise FileNotFoundError(errno.ENOENT, "the parent directory is missing", path)
            asking()
            with self._taken_explained(session, found.full):
                session.done(session.send(wire.MKDIR, text(found.full), bytes(4)))

    def make_parents(self, path: str) -> None:
        """Make the directories above a path that are missing."""
        with self._session() as (session, looker):
            found = looker.look(path)
            found.require_no_file_in_the_way()
            self._make_missing(session, found)

    def _make_missing(self, session: Session, found: Found) -> None:
        for directory in found.missing_parents():
            # Another thread may be making the same directories.
            with contextlib.suppress(FileExistsError), self._taken_explained(session, directory):
                session.done(session.send(wire.MKDIR, text(directory), bytes(4)))

    def rm_file(self, path: str) -> None:
        """Remove a file, or a link."""
        with self._session() as (session, looker):
            full = looker.look(path).full
            session.done(session.send(wire.REMOVE, text(full)))

    def remove_files(self, directory: str, names: list[str]) -> None:
        """Remove several entries of one directory; one that is gone is no error."""
        with self._session() as (session, looker):
            found = looker.look(directory)
            if found.attrs is None:
                return
            if not is_directory(found.attrs):
                raise NotADirectoryError(errno.ENOTDIR, "is not a directory", directory)
            above = found.full
            asked = [session.send(wire.REMOVE, text(above + b"/" + encode(name))) for name in names]
            try:
                while asked:
                    with contextlib.suppress(FileNotFoundError):
                        session.done(asked.pop(0))
            finally:
                session.forget(asked)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        with self._session() as (session, looker):
            full = looker.look(path).full
            try:
                session.done(session.send(wire.RMDIR, text(full)))
            except ServerFailureError as error:
                if self._listing(session, full):
                    raise OSError(errno.ENOTEMPTY, "directory not empty", path) from error
                raise

    def mv(self, source: str, target: str, *, asking: Callable[[], None]) -> None:
        """Rename a file or a directory, replacing a file."""
        with self._session() as (session, looker):
            here, there = looker.look(source), looker.look(target)
            if here.attrs is None:
                raise FileNotFoundError(errno.ENOENT, "not found", source)
            there.require_no_file_in_the_way()
            if here.full == there.full:
                return
            self._make_missing(session, there)
            if there.attrs is not None and is_directory(there.attrs) != is_directory(here.attrs):
                kind = IsADirectoryError if is_directory(there.attrs) else NotADirectoryError
                raise kind(errno.EISDIR if kind is IsADirectoryError else errno.ENOTDIR, "", target)
            asking()
            try:
                self._rename(session, here.full, there.full)
            except ServerFailureError as error:
                if there.attrs is None or not self._listing(session, there.full):
                    raise
                raise OSError(errno.ENOTEMPTY, "directory not empty", target) from error
            if there.attrs is not None and here.attrs == there.attrs:
                self._finish_rename(session, here, there)

    def _rename(self, session: Session, source: bytes, target: bytes) -> None:
        if POSIX_RENAME in session.extensions:
            names = text(POSIX_RENAME), text(source), text(target)
            session.done(session.send(wire.EXTENDED, *names))
            return
        try:
            with self._taken_explained(session, target):
                session.done(session.send(wire.RENAME, text(source), text(target)))
        except FileExistsError as error:
            if self._atomic:
                raise io.UnsupportedOperation(
                    "the server cannot replace a file in one step (it has no posix-rename); "
                    "'atomic: false' lets the mount remove the old one first"
                ) from error
            self._replace_in_steps(session, source, target)

    @staticmethod
    def _replace_in_steps(session: Session, source: bytes, target: bytes) -> None:
        """Until the new file has its name, the old one keeps another, which no clean-up removes."""
        aside = parent(target) + b"/" + encode(unique_name("")) + b".old"
        session.done(session.send(wire.RENAME, text(target), text(aside)))
        try:
            session.done(session.send(wire.RENAME, text(source), text(target)))
        except OSError:
            session.done(session.send(wire.RENAME, text(aside), text(target)))
            raise
        session.done(session.send(wire.REMOVE, text(aside)))

    def _finish_rename(self, session: Session, here: Found, there: Found) -> None:
        """Remove the source where both were hard links of one file: rename(2) did nothing then."""
        left = session.attrs_or_none(session.send(wire.LSTAT, text(here.full)))
        if left != here.attrs or left != there.attrs or left is None or left.format != REGULAR:
            return
        if self._are_two_names(session, here.full, there.full):
            session.done(session.send(wire.REMOVE, text(here.full)))

    def _are_two_names(self, session: Session, one: bytes, other: bytes) -> bool:
        """Whether the paths are two, rather than one for a server that ignores case or accents.

        Of one file the only name there is would be removed. What a directory lists is exact.
        """
        above = os.path.commonpath((one, other))
        depth = len([part for part in above.split(b"/") if part])
        names = {path.strip(b"/").split(b"/")[depth] for path in (one, other)}
        return names <= {name for name, _ in self._listing(session, above)}


def _bits(mode: int | None) -> int | None:
    return None if mode is None else mode & 0o7777


def _wanted(found: Found, attributes: Attributes | None) -> tuple[int | None, int | None]:
    """Mode and time of a new file: the mode of the one it replaces, else what the writer asks."""
    mode = mtime = None
    if attributes is not None:
        mode = None if attributes.mode is None else attributes.mode & 0o777
        if attributes.mtime is not None and 0 <= attributes.mtime <= _LAST_SECOND:
            mtime = int(attributes.mtime)
    if found.attrs is not None:
        mode = _bits(found.attrs.mode)
    return mode, mtime


@contextlib.contextmanager
def _handle(session: Session, handle: bytes) -> Generator[None]:
    """Close the file after the block, and wait for it: some errors of writing come only then."""
    try:
        yield
    except BaseException:
        session.drop_handle(handle)
        raise
    session.done(session.send(wire.CLOSE, text(handle)))


def _source(content: bytes | Path) -> BinaryIO:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
