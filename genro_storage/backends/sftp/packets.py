"""The packets of SFTP version 3, draft-ietf-secsh-filexfer-02, put together and taken apart. Pure.

Names are bytes here: what they mean is between the people who use the server.
"""

from __future__ import annotations

import errno
import io
import os
import struct
from typing import NamedTuple

# Requests, replies and flags, by the names of the draft.
INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT = range(1, 11)
OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, REALPATH, STAT, RENAME, READLINK = range(11, 20)
STATUS, HANDLE, DATA, NAME, ATTRS = range(101, 106)
EXTENDED, EXTENDED_REPLY = 200, 201
F_READ, F_WRITE, F_APPEND, F_CREAT, F_TRUNC, F_EXCL = 1, 2, 4, 8, 16, 32
_SIZE, _OWNER, _MODE, _TIMES, _EXTRA = 1, 2, 4, 8, 0x80000000

OK, EOF, _FAILURE = 0, 1, 4
# Beyond 8 they are of later versions; some servers send them all the same.
_ERRNO = {
    2: errno.ENOENT,
    3: errno.EACCES,
    5: errno.EINVAL,
    10: errno.ENOENT,
    11: errno.EEXIST,
    12: errno.EROFS,
    14: errno.ENOSPC,
    15: errno.EDQUOT,
    18: errno.ENOTEMPTY,
    19: errno.ENOTDIR,
    20: errno.EINVAL,
    21: errno.ELOOP,
    24: errno.EISDIR,
}
# Many a server says in words what version 3 has no code for.
_SAID = {
    os.strerror(number).lower(): number
    for number in (
        errno.ENOENT,
        errno.EEXIST,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ENOTEMPTY,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.ENAMETOOLONG,
    )
}
_UNSUPPORTED = 8
_BROKEN = (6, 7)
LETTERS = {b"d": 0o040000, b"l": 0o120000, b"-": 0o100000}
FORMAT = 0o170000


class ServerFailureError(OSError):
    """The server answered "Failure", which says nothing about the reason."""


class Attrs(NamedTuple):
    """What the server tells about one entry; None for what it does not tell."""

    size: int | None = None
    mode: int | None = None
    mtime: int | None = None

    @property
    def format(self) -> int:
        """The type bits of the mode; a regular file where the server does not tell."""
        return ((self.mode or 0) & FORMAT) or 0o100000


def encode_attrs(
    *, size: int | None = None, mode: int | None = None, mtime: int | None = None
) -> bytes:
    """Attributes to be set; those that are None stay as they are."""
    flags, body = 0, b""
    if size is not None:
        flags |= _SIZE
        body += struct.pack(">Q", size)
    if mode is not None:
        flags |= _MODE
        body += struct.pack(">I", mode)
    if mtime is not None:
        flags |= _TIMES
        body += struct.pack(">II", mtime, mtime)
    return struct.pack(">I", flags) + body


class Reader:
    """Takes one packet apart."""

    def __init__(self, data: bytes) -> None:
        self.data: bytes = data
        self.at: int = 0

    def number(self) -> int:
        (value,) = struct.unpack_from(">I", self.data, self.at)
        self.at += 4
        return int(value)

    def long(self) -> int:
        (value,) = struct.unpack_from(">Q", self.data, self.at)
        self.at += 8
        return int(value)

    def text(self) -> bytes:
        length = self.number()
        found = self.data[self.at : self.at + length]
        self.at += length
        return found

    def more(self) -> bool:
        return self.at < len(self.data)

    def attrs(self) -> Attrs:
        flags = self.number()
        size = self.long() if flags & _SIZE else None
        if flags & _OWNER:
            self.at += 8
        mode = self.number() if flags & _MODE else None
        mtime = None
        if flags & _TIMES:
            self.at += 4
            mtime = self.number()
        if flags & _EXTRA:
            for _ in range(2 * self.number()):
                self.text()
        return Attrs(size, mode, mtime)


def status_error(code: int, text: str) -> OSError:
    """What a status other than OK says, as the standard exceptions say it."""
    if code == _UNSUPPORTED:
        return io.UnsupportedOperation(f"the server does not support this ({text})")
    if code in _BROKEN:
        return ConnectionResetError(errno.ECONNRESET, f"the server lost its storage: {text}")
    number = _ERRNO.get(code)
    if code == _FAILURE:
        number = next((found for said, found in _SAID.items() if text.lower().endswith(said)), None)
    if number is None:
        return ServerFailureError(errno.EIO, f"the server answered {text!r}")
    # OSError chooses its own subclass by the number (FileNotFoundError, PermissionError …). What
    # the server says beyond that holds paths of its own.
    return OSError(number, os.strerror(number), "")


def text(value: bytes) -> bytes:
    """A field of bytes, as it is sent."""
    return struct.pack(">I", len(value)) + value
