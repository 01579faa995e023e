"""A share as the filesystem that ``FsspecBackend`` calls: each method a round trip or a few."""

from __future__ import annotations

import contextlib
import errno
import math
import time
from typing import TYPE_CHECKING, Any

from smbprotocol.exceptions import (
    AccessDenied,
    DeletePending,
    DirectoryNotEmpty,
    FileIsADirectory,
    InvalidDeviceRequest,
    InvalidParameter,
    NotSupported,
    SharingViolation,
    SMBConnectionClosed,
    SMBResponseException,
)
from smbprotocol.file_info import (
    FileBasicInformation,
    FileDispositionInformation,
    FileEndOfFileInformation,
    FileRenameInformation,
)
from smbprotocol.ioctl import (
    CtlCode,
    IOCTLFlags,
    SMB2SrvCopyChunk,
    SMB2SrvCopyChunkCopy,
    SMB2SrvCopyChunkResponse,
    SMB2SrvRequestResumeKey,
)
from smbprotocol.open import CreateAction, CreateDisposition, ShareAccess

from ..temporary_names import unique_name
from .client import (
    ATTRIBUTES,
    CHUNK,
    DELETE,
    DIRECTORY,
    EVERYBODY,
    LINK_ITSELF,
    NO_DIRECTORY,
    READ,
    SET_ATTRIBUTES,
    WRITE,
    WRITE_CHUNK,
    Link,
)
from .messages import control, filetime_of, reading, setting
from .names import refuse, spelled
from .share import PATIENCE, SmbShare, pause, written_of
from .stream import SmbReader, chunks_of, write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["SmbFiles"]

#: What is asked for together with opening, hoping that it is all: one round trip for a small file.
_FIRST = 256 * 1024
_COPY_BATCH = 16
#: Files are written from their beginning, and cut in the end rather than first: a server that was
#: silent may still carry out an opening that its client has given up and repeated, and would empty
#: what is complete by then. Everything else of such an attempt writes the same bytes once more.
_UNCUT: int = CreateDisposition.FILE_OPEN_IF


class SmbFiles(SmbShare):
    """The files of a share. Raises what ``smbprotocol`` raises, and standard exceptions."""

    # -- reading ------------------------------------------------------------------------------

    def open(self, path: str, mode: str = "rb", **options: Any) -> SmbReader:
        if mode != "rb":
            raise ValueError("files are opened for reading only; pipe_file writes")

        def step(link: Link, name: str) -> SmbReader:
            opened, _ = link.open(name, READ, options=NO_DIRECTORY, keep=True)
            return SmbReader(link, opened)

        return self._do(path, step, lasting=True, doubting=True)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        begin = start or 0
        if end is not None and end <= begin:
            return b""

        def step(link: Link, name: str) -> bytes | None:
            piece = min(_FIRST, link.max_read_size)
            length = piece if end is None else min(piece, end - begin)
            opened, (data,) = link.open(name, READ, reading(begin, length), options=NO_DIRECTORY)
            size = int(opened.end_of_file)
            complete = begin + len(data) >= (size if end is None else min(end, size))
            return bytes(data) if complete else None

        found = self._do(path, step, doubting=True)
        if found is not None:
            return found
        # More than one piece, all of it through one handle: it may be replaced meanwhile.
        with contextlib.closing(self.open(path)) as stream:
            stream.seek(begin)
            return stream.read(-1 if end is None else end - begin)

    def get_file(self, rpath: str, lpath: str) -> None:
        with contextlib.closing(self.open(rpath)) as stream, open(lpath, "wb") as sink:
            while chunk := stream.read(CHUNK):
                sink.write(chunk)

    # -- writing ------------------------------------------------------------------------------

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        def step(link: Link, name: str) -> None:
            if 0 < len(value) <= min(WRITE_CHUNK, link.max_write_size):
                _, (count, _) = link.open(
                    name,
                    WRITE,
                    lambda opened: opened.write(value, send=False),
                    setting(_length(len(value)), link),
                    disposition=_UNCUT,
                    options=NO_DIRECTORY,
                )
                if count != len(value):
                    raise OSError(errno.EIO, "the server has written less than it was given")
            else:
                self._store(link, name, [value])

        refuse(path)
        self._do(path, step)

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        def step(link: Link, name: str) -> None:
            with open(lpath, "rb") as source:
                self._store(link, name, chunks_of(source))

        refuse(rpath)
        self._do(rpath, step)

    @staticmethod
    def _store(link: Link, name: str, chunks: Iterable[bytes]) -> None:
        opened, _ = link.open(name, WRITE, disposition=_UNCUT, options=NO_DIRECTORY, keep=True)
        try:
            _cut(link, opened, write_all(link, opened, chunks))
        except BaseException:
            link.close_file(opened)
            raise
        link.close_written(opened)

    def append(self, path: str, chunks: Callable[[], Iterable[bytes]]) -> None:
        """Add to the end, alone: whoever else appends waits for it. All of it, or nothing."""

        def step(link: Link, name: str) -> None:
            opened, _ = link.open(
                name,
                WRITE,
                disposition=CreateDisposition.FILE_OPEN_IF,
                options=NO_DIRECTORY,
                sharing=ShareAccess.FILE_SHARE_READ,
                keep=True,
            )
            length = int(opened.end_of_file)
            try:
                write_all(link, opened, chunks(), length)
            except BaseException:
                # Where that fails as well, what was wrong first says more.
                with contextlib.suppress(SMBResponseException, SMBConnectionClosed, OSError):
                    link.ask(setting(_length(length), link)(opened))
                    link.close_file(opened)
                    if opened.create_action == CreateAction.FILE_CREATED:
                        _remove_if_empty(link, name)
                raise
            finally:
                link.close_file(opened)

        refuse(path)
        self._do(path, step)

    def set_time(self, path: str, mtime: float, *, strict: bool = True) -> None:
        """Set the time of the last modification.

        One that no share can keep is refused (``OSError``), or left away where not ``strict``.
        """
        info = _dated(mtime)
        if info is not None:
            self._do(path, lambda link, name: link.open(name, SET_ATTRIBUTES, setting(info, link)))
        elif strict:
            raise OSError(errno.EINVAL, "a share keeps times from the year 1601 on")

    def cp_file(self, path1: str, path2: str) -> None:
        """Copy on the server, through this process where it cannot; with its time."""
        there = spelled(self._root, path2)

        def step(link: Link, name: str) -> None:
            source, _ = link.open(name, READ, options=NO_DIRECTORY, keep=True)
            try:
                target, _ = link.open(
                    there, WRITE | READ, disposition=_UNCUT, options=NO_DIRECTORY, keep=True
                )
                try:
                    _copy(link, source, target)
                    _cut(link, target, int(source.end_of_file))
                    written = written_of(source)
                    dated = None if written is None else _dated(written)
                    if dated is not None:
                        link.ask(setting(dated, link)(target))
                except BaseException:
                    link.close_file(target)
                    raise
                link.close_written(target)
            finally:
                link.close_file(source)

        refuse(path2)
        self._do(path1, step, doubting=True)

    # -- names --------------------------------------------------------------------------------

    def mv(self, path1: str, path2: str) -> None:
        self.rename(path1, path2, replace=True)

    def rename(self, path1: str, path2: str, *, replace: bool) -> None:
        """Rename at once. Without ``replace``, ``FileExistsError`` where the name is taken."""
        there = spelled(self._root, path2)
        info = _renaming(there, replace=replace)

        def step(link: Link, name: str) -> None:
            deadline = time.monotonic() + min(PATIENCE, self._bounds.timeout)
            denied = 0
            while True:
                try:
                    link.open(name, DELETE, setting(info, link), options=LINK_ITSELF)
                except AccessDenied:
                    # Also said where the file to be replaced is open anywhere.
                    in_use = _is_in_use(link, there)
                    denied += not in_use
                    if denied > 2:
                        raise
                    if time.monotonic() > deadline:
                        raise PermissionError(
                            errno.EACCES, "it is open elsewhere, and cannot be replaced meanwhile"
                        ) from None
                    pause()
                else:
                    return

        refuse(path2)
        self._do(path1, step)

    def mkdir(self, path: str, create_parents: bool = True) -> None:
        refuse(path)
        self._do(
            path,
            lambda link, name: link.open(
                name, ATTRIBUTES, disposition=CreateDisposition.FILE_CREATE, options=DIRECTORY
            ),
        )

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        raise NotImplementedError  # directories are made one by one

    def rm_file(self, path: str) -> None:
        try:
            self._do(path, _delete_at_once)
        except FileIsADirectory:
            # A link to a directory goes as one; nothing else that is a directory does.
            if not self.info(path)["islink"] and not self.is_link(path):
                raise
            try:
                self._remove(path, DIRECTORY)
            except DirectoryNotEmpty:
                raise PermissionError(
                    errno.EACCES,
                    "it is a symbolic link on the server, which removes no link to a directory "
                    "with entries; remove it on the server itself",
                ) from None

    def rmdir(self, path: str) -> None:
        self._remove(path, DIRECTORY)

    def _remove(self, path: str, kind: int) -> None:
        self._do(path, lambda link, name: _delete(link, name, kind))


def _delete(link: Link, name: str, kind: int, sharing: int = EVERYBODY) -> None:
    info = FileDispositionInformation()
    info["delete_pending"] = True
    link.open(name, DELETE, setting(info, link), options=kind | LINK_ITSELF, sharing=sharing)


def _renaming(there: str, *, replace: bool) -> FileRenameInformation:
    info = FileRenameInformation()
    info["replace_if_exists"] = replace
    info["file_name"] = there
    return info


def _delete_at_once(link: Link, name: str) -> None:
    """Delete a file so that its name is free, whoever has it open.

    Of a file that is open elsewhere the server only notes that it is to go. It keeps the name until
    the last one has closed it, and Samba then removes by that name, whatever has it by then. So
    such a file is given a hidden name first.
    """
    with contextlib.suppress(SharingViolation):
        _delete(link, name, NO_DIRECTORY, sharing=0)
        return
    above, slash, leaf = name.rpartition("\\")
    aside = above + slash + unique_name(leaf)
    link.open(
        name,
        DELETE,
        setting(_renaming(aside, replace=False), link),
        options=NO_DIRECTORY | LINK_ITSELF,
    )
    try:
        _delete(link, aside, NO_DIRECTORY)
    except SMBResponseException:
        link.open(aside, DELETE, setting(_renaming(name, replace=False), link), options=LINK_ITSELF)
        raise


def _dated(mtime: float) -> FileBasicInformation | None:
    """What sets the time of the last modification, and only that; None where it cannot be kept."""
    count = filetime_of(mtime) if math.isfinite(mtime) else None
    if count is None:
        return None
    info = FileBasicInformation()
    for field in ("creation_time", "last_access_time", "change_time", "file_attributes"):
        info[field] = 0
    info["last_write_time"] = count
    return info


def _length(size: int) -> FileEndOfFileInformation:
    info = FileEndOfFileInformation()
    info["end_of_file"] = size
    return info


def _cut(link: Link, opened: Any, size: int) -> None:
    """End a file behind what was written, where it was longer when it was opened."""
    if int(opened.end_of_file) > size:
        link.ask(setting(_length(size), link)(opened))


def _remove_if_empty(link: Link, name: str) -> None:
    """Remove a file that holds nothing, while nobody else has it open."""
    opened, _ = link.open(name, DELETE, options=NO_DIRECTORY | LINK_ITSELF, sharing=0, keep=True)
    try:
        if not int(opened.end_of_file):
            info = FileDispositionInformation()
            info["delete_pending"] = True
            link.ask(setting(info, link)(opened))
    finally:
        link.close_file(opened)


def _copy(link: Link, source: Any, target: Any) -> None:
    size = int(source.end_of_file)
    fsctl = IOCTLFlags.SMB2_0_IOCTL_IS_FSCTL
    try:
        data = link.ask(control(CtlCode.FSCTL_SRV_REQUEST_RESUME_KEY, fsctl, 32, link)(source))
    except (NotSupported, InvalidDeviceRequest):
        _copy_through(link, source, target)
        return
    key = SMB2SrvRequestResumeKey()
    key.unpack(data)
    for start in range(0, size, _COPY_BATCH * CHUNK):
        batch: list[Any] = []
        for offset in range(start, min(size, start + _COPY_BATCH * CHUNK), CHUNK):
            chunk = SMB2SrvCopyChunk()
            chunk["source_offset"] = chunk["target_offset"] = offset
            chunk["length"] = min(CHUNK, size - offset)
            batch.append(chunk)
        order = SMB2SrvCopyChunkCopy()
        order["source_key"] = key["resume_key"].get_value()
        order["chunks"] = batch
        try:
            data = link.ask(
                control(CtlCode.FSCTL_SRV_COPYCHUNK_WRITE, fsctl, 12, link, order)(target)
            )
        except (NotSupported, InvalidDeviceRequest, InvalidParameter):
            # The last says that the server takes less at a time.
            _copy_through(link, source, target)
            return
        answer = SMB2SrvCopyChunkResponse()
        answer.unpack(data)
        if answer["chunks_written"].get_value() != len(batch):
            raise OSError(errno.EIO, "the server has copied only a part")


def _copy_through(link: Link, source: Any, target: Any) -> None:
    reader = SmbReader(link, source)
    write_all(link, target, chunks_of(reader))


def _is_in_use(link: Link, name: str) -> bool:
    """Whether anybody has the file open: then nobody may have it alone."""
    try:
        link.open(name, DELETE, options=NO_DIRECTORY | LINK_ITSELF, sharing=0)
    except (SharingViolation, DeletePending):
        return True
    except SMBResponseException:
        return False
    return False
