"""A share as the filesystem that ``FsspecBackend`` calls: each method a round trip or a few."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import struct
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from smbprotocol.exceptions import (
    AccessDenied,
    DeletePending,
    EndOfFile,
    FileIsADirectory,
    InvalidDeviceRequest,
    NoMoreFiles,
    NoSuchFile,
    NotSupported,
    ObjectNameNotFound,
    ObjectPathNotFound,
    SharingViolation,
    SMBConnectionClosed,
    SMBResponseException,
)
from smbprotocol.file_info import (
    FileAttributes,
    FileBasicInformation,
    FileDispositionInformation,
    FileEndOfFileInformation,
    FileInformationClass,
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
from smbprotocol.open import (
    CreateDisposition,
    QueryDirectoryFlags,
    ShareAccess,
    SMB2QueryDirectoryRequest,
    SMB2QueryDirectoryResponse,
)

from .errors import RootNotFoundError
from .smb_client import (
    ATTRIBUTES,
    CHUNK,
    DELETE,
    DIRECTORY,
    LINK_ITSELF,
    NO_DIRECTORY,
    READ,
    SET_ATTRIBUTES,
    WRITE,
    Link,
    control,
    pieces,
    setting,
)
from .smb_names import refuse, spelled
from .smb_stream import SmbReader, chunks_of, write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .remote import Bounds
    from .smb import SmbOptions
    from .smb_client import Action, Step

__all__ = ["Entry", "SmbFiles"]

T = TypeVar("T")

#: MS-FSCC 2.4.22, FILE_ID_FULL_DIR_INFORMATION, up to the name.
_ENTRY = struct.Struct("<IIqqqqqqIIIIQ")
_LISTING = 256 * 1024
#: 100 ns between 1601 and 1970.
_EPOCH = 116_444_736_000_000_000
_NEVER = -_EPOCH / 10_000_000
#: What is asked for together with opening, hoping that it is all: one round trip for a small file.
_FIRST = 256 * 1024
#: Reparse points that stand for another name: links and mount points, not deduplicated files.
_SURROGATE = 0x2000_0000
#: Statuses after which a session is of no use.
_LOST = frozenset((0xC000_00C9, 0xC000_0203, 0xC000_035C, 0xC000_020C, 0xC000_020D))
#: Seconds to wait for others to close a file, at most; what Windows itself does is less.
_PATIENCE = 5.0
_COPY_BATCH = 16


class Entry(NamedTuple):
    """One line of a listing. ``identity`` is what the server knows it by, 0 where unknown."""

    name: str
    attributes: int
    tag: int
    size: int
    written: int
    identity: int


class SmbFiles:
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
        self._inherited: list[Link] = []  # never closed here: they belong to the parent process

    # -- the connection -----------------------------------------------------------------------

    def _connected(self, lasting: bool) -> Link:
        link = self._links.get(lasting)
        if link is not None and link.is_alive:
            return link
        with self._lock:
            link = self._links.get(lasting)
            if link is not None:
                if link.is_alive:
                    return link
                if link.is_inherited:
                    self._inherited.append(link)
                link.drop()
                del self._links[lasting]
            options = self._options
            self._links[lasting] = link = Link(
                options.host,
                options.port,
                options.share,
                options.account,
                options.password.get_secret_value() if options.password else None,
                encrypt=options.encrypt,
                bounds=self._bounds,
            )
            return link

    def _do(self, path: str, step: Callable[[Link, str], T], *, lasting: bool = False) -> T:
        """``step(link, the path as the protocol has it)``, with the patience that files need.

        ``lasting``: for a file that stays open while others may want to replace it.
        """
        name = spelled(self._root, path)
        deadline = time.monotonic() + min(_PATIENCE, self._bounds.timeout)
        while True:
            link = self._connected(lasting)
            try:
                return step(link, name)
            except SharingViolation:
                # Another program has it open for itself: for a moment, as a rule.
                if time.monotonic() > deadline:
                    raise
                _pause()
            except SMBResponseException as error:
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

    def info(self, path: str) -> dict[str, Any]:
        def step(link: Link, name: str) -> dict[str, Any]:
            opened, _ = link.open(name, ATTRIBUTES, options=LINK_ITSELF)
            attributes = int(opened.file_attributes)
            tag = _tag(link, name) if attributes & _REPARSE else 0
            written = opened.last_write_time.timestamp()
            size = int(opened.end_of_file)
            return _described(path, attributes, tag, size, written if written > _NEVER else None)

        return self._do(path, step)

    def look(self, path: str) -> dict[str, Any] | None:
        """``info``; None where only the last name is missing, and so its directory is there."""
        try:
            return self.info(path)
        except ObjectNameNotFound:
            return None

    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]:
        base = f"{path}/" if path else ""
        return [
            _described(base + each.name, each.attributes, each.tag, each.size, _moment(each.written))
            for each in self.entries(path)
            if each.name not in (".", "..")
        ]

    def entries(self, path: str) -> list[Entry]:
        """All lines of a listing, with those of the directory itself and of the one above."""

        def step(link: Link, name: str) -> list[Entry]:
            size = min(_LISTING, int(link.max_transact_size))
            first = _listing(link, size, restart=True)
            opened, (data,) = link.open(
                name, READ, first, options=DIRECTORY, keep=True
            )
            found: list[Entry] = []
            try:
                while True:
                    found += _parsed(data)
                    data = link.ask(_listing(link, size, restart=False)(opened))
            except (NoMoreFiles, NoSuchFile):
                return found
            finally:
                link.close_file(opened)

        return self._do(path, step)

    def modified(self, path: str) -> datetime:
        return datetime.fromtimestamp(self.info(path)["mtime"], UTC)

    # -- reading ------------------------------------------------------------------------------

    def open(self, path: str, mode: str = "rb", **options: Any) -> SmbReader:
        if mode != "rb":
            raise ValueError("files are opened for reading only; pipe_file writes")

        def step(link: Link, name: str) -> SmbReader:
            opened, _ = link.open(name, READ, options=NO_DIRECTORY, keep=True)
            return SmbReader(link, opened)

        return self._do(path, step, lasting=True)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        begin = start or 0
        if end is not None and end <= begin:
            return b""

        def step(link: Link, name: str) -> bytes | None:
            piece = min(_FIRST, int(link.max_read_size))
            length = piece if end is None else min(piece, end - begin)
            opened, (data,) = link.open(
                name, READ, _reading(begin, length), options=NO_DIRECTORY
            )
            size = int(opened.end_of_file)
            complete = begin + len(data) >= (size if end is None else min(end, size))
            return bytes(data) if complete else None

        found = self._do(path, step)
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
            if 0 < len(value) <= min(CHUNK, int(link.max_write_size)):
                _, (count,) = link.open(
                    name,
                    WRITE,
                    lambda opened: opened.write(value, send=False),
                    disposition=CreateDisposition.FILE_OVERWRITE_IF,
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
        opened, _ = link.open(
            name,
            WRITE,
            disposition=CreateDisposition.FILE_OVERWRITE_IF,
            options=NO_DIRECTORY,
            keep=True,
        )
        try:
            write_all(link, opened, chunks)
        finally:
            link.close_file(opened)

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
                    info = FileEndOfFileInformation()
                    info["end_of_file"] = length
                    link.ask(setting(info, link)(opened))
                raise
            finally:
                link.close_file(opened)

        refuse(path)
        self._do(path, step)

    def set_time(self, path: str, mtime: float) -> None:
        """Set the time of the last modification."""
        info = FileBasicInformation()
        for field in ("creation_time", "last_access_time", "change_time", "file_attributes"):
            info[field] = 0
        info["last_write_time"] = _EPOCH + round(mtime * 10_000_000)
        self._do(
            path, lambda link, name: link.open(name, SET_ATTRIBUTES, setting(info, link)) and None
        )

    def cp_file(self, path1: str, path2: str) -> None:
        """Copy on the server; through this process where it cannot."""
        there = spelled(self._root, path2)

        def step(link: Link, name: str) -> None:
            source, _ = link.open(name, READ, options=NO_DIRECTORY, keep=True)
            try:
                target, _ = link.open(
                    there,
                    WRITE | READ,
                    disposition=CreateDisposition.FILE_OVERWRITE_IF,
                    options=NO_DIRECTORY,
                    keep=True,
                )
                try:
                    _copy(link, source, target)
                finally:
                    link.close_file(target)
            finally:
                link.close_file(source)

        refuse(path2)
        self._do(path1, step)

    # -- names --------------------------------------------------------------------------------

    def mv(self, path1: str, path2: str) -> None:
        self.rename(path1, path2, replace=True)

    def rename(self, path1: str, path2: str, *, replace: bool) -> None:
        """Rename at once. Without ``replace``, ``FileExistsError`` where the name is taken."""
        there = spelled(self._root, path2)
        info = FileRenameInformation()
        info["replace_if_exists"] = replace
        info["file_name"] = there

        def step(link: Link, name: str) -> None:
            deadline = time.monotonic() + min(_PATIENCE, self._bounds.timeout)
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
                    _pause()
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
            )
            and None,
        )

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        raise NotImplementedError  # directories are made one by one

    def rm_file(self, path: str) -> None:
        try:
            self._remove(path, NO_DIRECTORY)
        except FileIsADirectory:
            # A link to a directory goes as one; nothing else that is a directory does.
            if not self.info(path)["islink"] and not self.is_link(path):
                raise
            self._remove(path, DIRECTORY)

    def rmdir(self, path: str) -> None:
        self._remove(path, DIRECTORY)

    def _remove(self, path: str, kind: int) -> None:
        info = FileDispositionInformation()
        info["delete_pending"] = True
        self._do(
            path,
            lambda link, name: link.open(
                name, DELETE, setting(info, link), options=kind | LINK_ITSELF
            )
            and None,
        )

    # -- links that the server follows ---------------------------------------------------------

    def is_link(self, path: str) -> bool:
        """Whether the server has followed a link of its own to get to this directory.

        Samba does so and says nothing. But what lies above a directory is then not what its path
        says, and a link to a sibling has the sibling's identity.
        """
        above, _, leaf = path.rpartition("/")
        inside = {each.name: each.identity for each in self.entries(path)}
        if not (inside.get(".") and inside.get("..")):
            return False  # a server without identities, which no Samba is
        beside = self.entries(above)
        here = next((each.identity for each in beside if each.name == "."), 0)
        if here != inside[".."]:
            return True
        twins = [
            each.name
            for each in beside
            if each.identity == inside["."] and each.name not in (".", "..", leaf)
        ]
        return bool(twins)


_REPARSE: int = FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT
_IS_DIRECTORY: int = FileAttributes.FILE_ATTRIBUTE_DIRECTORY


def _pause() -> None:
    time.sleep(random.uniform(0.005, 0.05))  # noqa: S311 - only to get out of step


def _moment(filetime: int) -> float | None:
    return (filetime - _EPOCH) // 10 / 1_000_000 if filetime > 0 else None


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


def _reading(offset: int, length: int) -> Action:
    def action(opened: Any) -> Step:
        message, unpack = opened.read(offset, length, send=False)

        def read(request: Any) -> bytes:
            try:
                data: bytes = unpack(request)
            except EndOfFile:
                return b""
            return data

        return message, read

    return action


def _listing(link: Link, size: int, *, restart: bool) -> Action:
    def action(opened: Any) -> Step:
        message = SMB2QueryDirectoryRequest()
        message["file_information_class"] = (
            FileInformationClass.FILE_ID_FULL_DIRECTORY_INFORMATION
        )
        message["flags"] = QueryDirectoryFlags.SMB2_RESTART_SCANS if restart else 0
        message["file_id"] = opened.file_id
        message["output_buffer_length"] = size
        message["buffer"] = "*".encode("utf-16-le")

        def unpack(request: Any) -> bytes:
            answer = SMB2QueryDirectoryResponse()
            answer.unpack(link.raw(request))
            data: bytes = answer["buffer"].get_value()
            return data

        return message, unpack

    return action


def _parsed(data: bytes) -> list[Entry]:
    """The entries of one answer; by hand, which is twenty times as fast."""
    found: list[Entry] = []
    start = 0
    while True:
        following, _, _, _, written, _, size, _, attributes, length, tag, _, identity = (
            _ENTRY.unpack_from(data, start)
        )
        begin = start + _ENTRY.size
        # A name with half a surrogate pair is listed and left out above, like every such name.
        name = data[begin : begin + length].decode("utf-16-le", "surrogatepass")
        found.append(Entry(name, attributes, tag, size, written, identity))
        if not following:
            return found
        start += following


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
    chunks: list[Any] = []
    for offset, length in pieces(size, CHUNK):
        chunk = SMB2SrvCopyChunk()
        chunk["source_offset"] = chunk["target_offset"] = offset
        chunk["length"] = length
        chunks.append(chunk)
    for start in range(0, len(chunks), _COPY_BATCH):
        batch = chunks[start : start + _COPY_BATCH]
        order = SMB2SrvCopyChunkCopy()
        order["source_key"] = key["resume_key"].get_value()
        order["chunks"] = batch
        try:
            data = link.ask(
                control(CtlCode.FSCTL_SRV_COPYCHUNK_WRITE, fsctl, 12, link, order)(target)
            )
        except (NotSupported, InvalidDeviceRequest):
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
