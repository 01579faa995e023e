"""One SFTP channel: requests of many threads go out, each answer finds who asked. No SSH here.

The protocol is version 3, draft-ietf-secsh-filexfer-02, with the extensions of OpenSSH's PROTOCOL.
Names are bytes here: what they mean is between the people who use the server.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import struct
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Attrs", "Channel", "ChannelRefusedError", "ServerFailure", "Session", "encode_attrs"]

# Requests, replies and flags, by the names of the draft.
INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT = range(1, 11)
OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, REALPATH, STAT, RENAME, READLINK = range(11, 20)
STATUS, HANDLE, DATA, NAME, ATTRS = range(101, 106)
EXTENDED, EXTENDED_REPLY = 200, 201
F_READ, F_WRITE, F_APPEND, F_CREAT, F_TRUNC, F_EXCL = 1, 2, 4, 8, 16, 32
_SIZE, _OWNER, _MODE, _TIMES, _EXTRA = 1, 2, 4, 8, 0x80000000

_OK, _EOF, _FAILURE = 0, 1, 4
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
        errno.ENAMETOOLONG,
    )
}
_UNSUPPORTED = 8
_BROKEN = (6, 7)
#: No server sends longer packets; a larger number is text where a packet was expected.
_LONGEST = 1 << 24
_LETTERS = {b"d": 0o040000, b"l": 0o120000, b"-": 0o100000}
_FORMAT = 0o170000


class Channel(Protocol):
    """What is needed of a channel of the SSH library."""

    def send(self, s: bytes, /) -> int: ...
    def recv(self, nbytes: int, /) -> bytes: ...
    def settimeout(self, timeout: float, /) -> None: ...
    def close(self) -> None: ...


class ChannelRefusedError(ConnectionError):
    """The connection works, and the server allows no further channel on it (MaxSessions)."""


class ServerFailure(OSError):
    """The server answered "Failure", which says nothing about the reason."""


class Attrs(NamedTuple):
    """What the server tells about one entry; None for what it does not tell."""

    size: int | None = None
    mode: int | None = None
    mtime: int | None = None

    @property
    def format(self) -> int:
        """The type bits of the mode; a regular file where the server does not tell."""
        return ((self.mode or 0) & _FORMAT) or 0o100000


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


class _Reader:
    """Takes one packet apart."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

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


def _status_error(code: int, text: str) -> OSError:
    if code == _UNSUPPORTED:
        return io.UnsupportedOperation(f"the server does not support this ({text})")
    if code in _BROKEN:
        return ConnectionResetError(errno.ECONNRESET, f"the server lost its storage: {text}")
    number = _ERRNO.get(code)
    if code == _FAILURE:
        number = next((found for said, found in _SAID.items() if text.lower().endswith(said)), None)
    if number is None:
        return ServerFailure(errno.EIO, f"the server answered {text!r}")
    # OSError chooses its own subclass by the number (FileNotFoundError, PermissionError …). What
    # the server says beyond that holds paths of its own.
    return OSError(number, os.strerror(number))


class Session:
    """Sends requests and hands out their answers; every method may be called by any thread.

    A thread of its own always reads, so that the server can never wait for us to read while we
    wait for it to read. An answer is waited for as long as nothing at all comes for ``timeout``
    seconds; then, and after any error of the channel, the session is broken for good.
    """

    def __init__(self, channel: Channel, timeout: float) -> None:
        self._channel = channel
        self._timeout = timeout
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._replies: dict[int, tuple[int, bytes] | None] = {}
        self._dropped: deque[bytes] = deque()
        self._number = 0
        self._heard = time.monotonic()
        self._error: OSError | None = None
        self._buffer = bytearray()
        #: What the server offers beyond the protocol, with the versions it says.
        self.extensions: dict[bytes, bytes] = {}
        channel.settimeout(timeout)
        self._greet()
        threading.Thread(target=self._listen, name="genro-storage-sftp", daemon=True).start()

    @property
    def is_broken(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._error is not None

    def close(self) -> None:
        """End the channel; whoever waits for an answer gets an error. Never raises."""
        self._break(ConnectionAbortedError(errno.ECONNABORTED, "the connection was closed"))
        # Broken channels cannot say goodbye, and in what way they fail is of no interest.
        with contextlib.suppress(Exception):
            self._channel.close()

    # -- sending ------------------------------------------------------------------------------

    def send(self, kind: int, *fields: bytes | int) -> int:
        """Ask, without waiting; the number is for the methods that wait, or for ``forget``."""
        body = b"".join(
            struct.pack(">I", field) if isinstance(field, int) else field for field in fields
        )
        with self._sending:
            self._drop_handles()
            self._number = number = (self._number + 1) & 0xFFFFFFFF
            self._replies[number] = None
            self._transmit(kind, number, body)
        return number

    def drop_handle(self, handle: bytes) -> None:
        """Close a file of the server in passing; the answer is not waited for.

        Safe at any moment, also where the garbage collector calls it in the middle of ``send``.
        """
        self._dropped.append(handle)
        if self._sending.acquire(blocking=False):
            try:
                # A session that cannot send has lost its handles already.
                with contextlib.suppress(OSError):
                    self._drop_handles()
            finally:
                self._sending.release()

    def _drop_handles(self) -> None:
        while self._dropped:
            handle = self._dropped.popleft()
            self._number = (self._number + 1) & 0xFFFFFFFF
            self._transmit(CLOSE, self._number, text(handle))

    def _transmit(self, kind: int, number: int, body: bytes) -> None:
        if self._error is not None:
            self._replies.pop(number, None)
            raise self._again()
        rest = memoryview(struct.pack(">IBI", len(body) + 5, kind, number) + body)
        try:
            while rest:
                # Anything but bytes or a memoryview of them would be copied whole each time.
                count = self._channel.send(rest)  # type: ignore[arg-type]
                if count <= 0:
                    raise EOFError
                rest = rest[count:]
        except BaseException as error:
            # A packet of which only a part went out makes the rest meaningless.
            self._replies.pop(number, None)
            self._break(_channel_error(error, self._timeout))
            if isinstance(error, Exception):
                raise self._again() from error
            raise

    # -- receiving ----------------------------------------------------------------------------

    def _greet(self) -> None:
        body = struct.pack(">IBI", 5, INIT, 3)
        try:
            self._channel.send(body)
            while (packet := self._next_packet()) is None:
                data = self._channel.recv(65_536)
                if not data:
                    raise ConnectionResetError(
                        errno.ECONNRESET, "the server closed the channel instead of speaking SFTP"
                    )
                self._buffer += data
        except (OSError, EOFError) as error:
            raise _channel_error(error, self._timeout) from error
        kind, reader = packet[0], _Reader(packet[1:])
        if kind != VERSION or reader.number() < 3:
            raise OSError(errno.EPROTO, "the server does not speak version 3 of SFTP")
        while reader.more():
            name = reader.text()
            self.extensions[name] = reader.text()

    def _next_packet(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        (length,) = struct.unpack_from(">I", buffer)
        if not 0 < length < _LONGEST:
            raise OSError(
                errno.EPROTO,
                "the server sends something else than SFTP; perhaps the login shell prints text "
                "before it starts",
            )
        if len(buffer) < 4 + length:
            return None
        packet = bytes(memoryview(buffer)[4 : 4 + length])
        del buffer[: 4 + length]
        return packet

    def _listen(self) -> None:
        """The body of the reading thread."""
        try:
            while self._error is None:
                try:
                    data = self._channel.recv(262_144)
                except TimeoutError:
                    continue  # nobody asked, or who asked keeps the time
                if not data:
                    raise EOFError
                self._buffer += data
                with self._changed:
                    self._heard = time.monotonic()
                    while (packet := self._next_packet()) is not None:
                        (number,) = struct.unpack_from(">I", packet, 1)
                        # Of what was forgotten the answer is of no interest.
                        if number in self._replies:
                            self._replies[number] = packet[0], packet[5:]
                    self._changed.notify_all()
        # Whatever ends the reading is told to everybody who waits.
        except Exception as error:
            self._break(_channel_error(error, self._timeout))

    def _break(self, error: OSError) -> None:
        with self._changed:
            if self._error is None:
                self._error = error
            self._changed.notify_all()

    def _again(self) -> OSError:
        error = self._error
        assert error is not None
        # A new one each time: several threads raise it, each with a traceback of its own.
        return type(error)(*error.args)

    def forget(self, numbers: Iterable[int]) -> None:
        """Take no interest any more in the answers of these requests."""
        for number in numbers:
            self._replies.pop(number, None)

    def _wait(self, number: int) -> tuple[int, bytes]:
        asked = time.monotonic()
        with self._changed:
            try:
                while (reply := self._replies[number]) is None:
                    if self._error is not None:
                        raise self._again()
                    left = max(asked, self._heard) + self._timeout - time.monotonic()
                    if left <= 0:
                        self._error = _silence(self._timeout)
                        self._changed.notify_all()
                        raise self._again()
                    self._changed.wait(left)
                return reply
            finally:
                self._replies.pop(number, None)

    # -- answers ------------------------------------------------------------------------------

    def _answer(self, number: int, wanted: int) -> _Reader | None:
        """The answer of that kind, None for "end of file"; raises what any other status says."""
        kind, data = self._wait(number)
        reader = _Reader(data)
        if kind == wanted != STATUS:
            return reader
        if kind != STATUS:
            raise OSError(errno.EPROTO, f"the server answered with a packet of type {kind}")
        code = reader.number()
        if code == _OK and wanted == STATUS:
            return reader
        if code == _EOF:
            return None
        said = reader.text() if reader.more() else b""
        raise _status_error(code, said.decode("utf-8", "replace") or f"status {code}")

    def done(self, number: int) -> None:
        """Wait until it is done; ``FileNotFoundError``, ``PermissionError``, ``ServerFailure`` …"""
        self._answer(number, STATUS)

    def handle(self, number: int) -> bytes:
        """The handle of what ``OPEN`` or ``OPENDIR`` opened."""
        return self._sure(number, HANDLE).text()

    def attrs(self, number: int) -> Attrs:
        """The answer of ``LSTAT``, ``STAT`` and ``FSTAT``."""
        return self._sure(number, ATTRS).attrs()

    def attrs_or_none(self, number: int) -> Attrs | None:
        """The same, None where nothing is there."""
        try:
            return self.attrs(number)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def data(self, number: int) -> bytes:
        """The answer of ``READ``: some bytes, none at the end of the file."""
        found = self._answer(number, DATA)
        return b"" if found is None else found.text()

    def names(self, number: int) -> list[tuple[bytes, Attrs]] | None:
        """The answer of ``READDIR``, ``READLINK`` and ``REALPATH``; None at the end."""
        reader = self._answer(number, NAME)
        if reader is None:
            return None
        found: list[tuple[bytes, Attrs]] = []
        for _ in range(reader.number()):
            name, line, attrs = reader.text(), reader.text(), reader.attrs()
            if not (attrs.mode or 0) & _FORMAT:
                # Some servers tell the type in the line for people only.
                attrs = attrs._replace(mode=(attrs.mode or 0) | _LETTERS.get(line[:1], 0o100000))
            found.append((name, attrs))
        return found

    def numbers(self, number: int) -> list[int]:
        """The answer of an extended request, as the numbers of eight bytes that it holds."""
        reader = self._sure(number, EXTENDED_REPLY)
        count = (len(reader.data) - reader.at) // 8
        return [reader.long() for _ in range(count)]

    def _sure(self, number: int, kind: int) -> _Reader:
        found = self._answer(number, kind)
        if found is None:
            raise ServerFailure(errno.EIO, "the server answered with the end of a file")
        return found


def text(value: bytes) -> bytes:
    """A field of bytes, as it is sent."""
    return struct.pack(">I", len(value)) + value


def _silence(seconds: float) -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, f"the server was silent for {seconds:g} seconds")


def _channel_error(error: BaseException, seconds: float) -> OSError:
    """What ends a session, in the words of the standard library."""
    if isinstance(error, TimeoutError):
        return _silence(seconds)
    if isinstance(error, OSError) and error.errno == errno.EPROTO:
        return error
    return ConnectionResetError(errno.ECONNRESET, "the connection to the server broke")
