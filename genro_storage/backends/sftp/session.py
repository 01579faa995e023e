"""One SFTP channel: requests of many threads go out, each answer finds who asked. No SSH here.

The protocol is version 3, draft-ietf-secsh-filexfer-02, with the extensions of OpenSSH's PROTOCOL.
"""

from __future__ import annotations

import contextlib
import errno
import struct
import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

from .packets import (
    ATTRS,
    CLOSE,
    DATA,
    EOF,
    EXTENDED_REPLY,
    FORMAT,
    HANDLE,
    INIT,
    LETTERS,
    NAME,
    OK,
    STATUS,
    VERSION,
    Attrs,
    Reader,
    ServerFailureError,
    status_error,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Channel", "ChannelRefusedError", "Session"]


class Channel(Protocol):
    """What is needed of a channel of the SSH library."""

    def send(self, s: bytes, /) -> int: ...
    def recv(self, nbytes: int, /) -> bytes: ...
    def settimeout(self, timeout: float, /) -> None: ...
    def close(self) -> None: ...


class ChannelRefusedError(ConnectionError):
    """The connection works, and the server allows no further channel on it (MaxSessions)."""


#: No server sends longer packets; a larger number is text where a packet was expected.
_LONGEST = 1 << 24


class Session:
    """Sends requests and hands out their answers; every method may be called by any thread.

    A thread of its own always reads, so that the server can never wait for us to read while we
    wait for it to read. An answer is waited for as long as nothing at all comes for ``timeout``
    seconds; then, and after any error of the channel, the session is broken for good. ``failures``
    are what the channel raises beside the exceptions of the standard library.
    """

    def __init__(self, channel: Channel, timeout: float, *failures: type[Exception]) -> None:
        self._channel = channel
        self._timeout = timeout
        self._failures: tuple[type[Exception], ...] = (OSError, EOFError, *failures)
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._replies: dict[int, tuple[int, bytes] | None] = {}
        self._closer: threading.Thread | None = None
        self._dropped: SimpleQueue[bytes | None] = SimpleQueue()
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

    @property
    def fell_silent(self) -> bool:
        """Whether it is broken because nothing came for too long."""
        return isinstance(self._error, TimeoutError)

    def close(self) -> None:
        """End the channel; whoever waits for an answer gets an error. Never raises."""
        self._break(ConnectionAbortedError(errno.ECONNABORTED, "the connection was closed"))
        # Broken channels cannot say goodbye, and in what way they fail is of no interest.
        with contextlib.suppress(Exception):
            self._channel.close()

    def abandon(self) -> None:
        """In a forked child: be broken, without asking for locks whose holder was not forked."""
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._error = ConnectionAbortedError(
            errno.ECONNABORTED,
            "the connection belongs to the process that this one was forked from",
        )

    # -- sending ------------------------------------------------------------------------------

    def send(self, kind: int, *fields: bytes | int) -> int:
        """Ask, without waiting; the number is for the methods that wait, or for ``forget``."""
        body = b"".join(
            struct.pack(">I", field) if isinstance(field, int) else field for field in fields
        )
        with self._sending:
            self._number = number = (self._number + 1) & 0xFFFFFFFF
            self._replies[number] = None
            self._transmit(kind, number, body)
        return number

    def drop_handle(self, handle: bytes) -> None:
        """Close a file of the server in passing; the answer is not waited for."""
        # A session that cannot send has lost its handles already.
        with contextlib.suppress(OSError), self._sending:
            self._number = (self._number + 1) & 0xFFFFFFFF
            self._transmit(CLOSE, self._number, text(handle))

    def expect_drops(self) -> None:
        """Get ready for ``drop_later``."""
        with self._changed:
            if self._closer is None:
                self._closer = threading.Thread(
                    target=self._close_handles, name="genro-storage-sftp-closer", daemon=True
                )
                self._closer.start()

    def drop_later(self, handle: bytes) -> None:
        """As ``drop_handle``, from another thread.

        The garbage collector may call it, in the middle of anything: in a thread that holds the
        very locks that sending takes.
        """
        self._dropped.put(handle)

    def _close_handles(self) -> None:
        """The body of the thread that closes what others dropped."""
        while (handle := self._dropped.get()) is not None:
            self.drop_handle(handle)

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
            if isinstance(error, self._failures):
                raise self._again() from error
            # What a handler of signals raises (Ctrl-C, a time limit) is for whoever set it.
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
        kind, reader = packet[0], Reader(packet[1:])
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
        except Exception as error:  # noqa: BLE001
            self._break(_channel_error(error, self._timeout))

    def _break(self, error: OSError) -> None:
        with self._changed:
            if self._error is None:
                self._error = error
            self._changed.notify_all()
        self._dropped.put(None)

    def _again(self) -> OSError:
        error = self._error
        assert error is not None
        # A new one each time: several threads raise it, each with a traceback of its own.
        return type(error)(*error.args)

    def forget(self, numbers: Iterable[int]) -> None:
        """Take no interest any more in the answers of these requests."""
        # Not in the middle of an answer being put away, which would stay for ever.
        with self._changed:
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
                        self._break(_silence(self._timeout))
                        raise self._again()
                    self._changed.wait(left)
                return reply
            finally:
                self._replies.pop(number, None)

    # -- answers ------------------------------------------------------------------------------

    def _answer(self, number: int, wanted: int) -> Reader | None:
        """The answer of that kind, None for "end of file"; raises what any other status says."""
        kind, data = self._wait(number)
        reader = Reader(data)
        if kind == wanted != STATUS:
            return reader
        if kind != STATUS:
            raise OSError(errno.EPROTO, f"the server answered with a packet of type {kind}")
        code = reader.number()
        if code == OK and wanted == STATUS:
            return reader
        if code == EOF:
            return None
        said = reader.text() if reader.more() else b""
        raise status_error(code, said.decode("utf-8", "replace") or f"status {code}")

    def done(self, number: int) -> None:
        """Wait until it is done; raises what the server says went wrong."""
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
            if not (attrs.mode or 0) & FORMAT:
                # Some servers tell the type in the line for people only.
                attrs = attrs._replace(mode=(attrs.mode or 0) | LETTERS.get(line[:1], 0o100000))
            found.append((name, attrs))
        return found

    def numbers(self, number: int) -> list[int]:
        """The answer of an extended request, as the numbers of eight bytes that it holds."""
        reader = self._sure(number, EXTENDED_REPLY)
        count = (len(reader.data) - reader.at) // 8
        return [reader.long() for _ in range(count)]

    def _sure(self, number: int, kind: int) -> Reader:
        found = self._answer(number, kind)
        if found is None:
            raise ServerFailureError(errno.EIO, "the server answered with the end of a file")
        return found


def _silence(seconds: float) -> TimeoutError:
    return TimeoutError(errno.ETIMEDOUT, f"the server was silent for {seconds:g} seconds")


def _channel_error(error: BaseException, seconds: float) -> OSError:
    """What ends a session, in the words of the standard library."""
    if isinstance(error, TimeoutError):
        return _silence(seconds)
    if isinstance(error, OSError) and error.errno == errno.EPROTO:
        return error
    return ConnectionResetError(errno.ECONNRESET, "the connection to the server broke")
