"""A connection on which nothing waits for ever: a bound for each answer and each send."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBException, SMBResponseException
from smbprotocol.header import NtStatus

from .wire import NO_SERVER, _Wire

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["hang_up"]

#: How many requests the connection may have under way, in units of 64 KiB.
_CREDITS = 512
#: Seconds between looks whether the server has granted more.
_TURN = 0.002
#: How many times the bound an answer may take that comes slowly.
_AT_MOST = 10


class _Requests(dict[int, Any]):
    """What is under way. The receiving thread walks over it while others add and remove."""

    def values(self) -> Any:
        return list(super().values())


class _BoundedConnection(Connection):  # type: ignore[misc]  # the library has no annotations
    """A connection whose every wait ends, with ``TimeoutError`` and the end of the connection."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        # A GUID of its own: Samba serves all connections of one GUID in one process, which lets
        # no file be replaced that it has open itself.
        super().__init__(uuid.uuid4(), host, port, require_signing=True)
        self.outstanding_requests: dict[int, Any] = _Requests()
        self.timeout: float = timeout
        self._turn = threading.Lock()
        self._senders: set[int] = set()

    @property
    def transport(self) -> Any:
        """What the library has made, as one of ours."""
        return self._wire

    @transport.setter
    def transport(self, made: Any) -> None:
        self._wire: Any = made and _Wire(made.server, made.port, made.timeout)

    def connect(self, *args: Any, **kwargs: Any) -> None:
        try:
            bound: Any = self.timeout  # annotated as an integer, which it need not be
            super().connect(*args, timeout=bound, **kwargs)
        except (struct.error, TypeError, LookupError) as error:  # of the answer
            self.cut()
            raise SMBException(NO_SERVER) from error
        except BaseException:
            self.cut()
            raise

    def bound(self, timeout: float) -> None:
        """From now on each answer, and each piece sent, may take ``timeout`` seconds."""
        self.timeout = timeout
        with contextlib.suppress(OSError):  # closed already, which the next use will see
            self.transport._sock.settimeout(timeout)

    # -- sending ------------------------------------------------------------------------------

    def send(self, message: Any, *args: Any, **kwargs: Any) -> Any:
        if self._is_worker():
            # The library's own sign of life; it must not wait for what only it can receive.
            return super().send(message, *args, **kwargs)
        need = max(1, self._calculate_credit_charge(message))

        def step() -> Any:
            if len(args) < 3:
                lacking = _CREDITS - self._available()
                kwargs.setdefault("credit_request", need + max(0, lacking))
            return super(_BoundedConnection, self).send(message, *args, **kwargs)

        return self._in_turn(need, step)

    def send_compound(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        need = sum(max(1, self._calculate_credit_charge(message)) for message in messages)
        return self._in_turn(
            need, lambda: super(_BoundedConnection, self).send_compound(messages, *args, **kwargs)
        )

    def _available(self) -> int:
        return int(self.sequence_window["high"] - self.sequence_window["low"])

    def _in_turn(self, need: int, step: Callable[[], Any]) -> Any:
        """Send when the server has granted enough: the library itself raises instead of waiting."""
        started = time.monotonic()
        here = threading.get_ident()
        # Before the lock is taken, which the garbage collector might ask for once more.
        self._senders.add(here)
        try:
            while True:
                with self._turn:
                    if self._available() >= need or not self.transport.connected:
                        return self._sent_whole(step)
                if self._patience(started, self.timeout) <= 0:
                    self.cut()
                    raise TimeoutError("the server grants no further request")
                time.sleep(_TURN)
        finally:
            self._senders.discard(here)

    def _sent_whole(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except OSError as error:
            self.cut()  # a message may have gone out in part
            if isinstance(error, TimeoutError):
                raise
            if self._t_exc is not None:
                self._check_worker_running()  # what ended the connection says more
            raise ConnectionResetError(errno.ECONNRESET, str(error)) from error
        except SMBException:
            raise  # said before anything was sent
        except BaseException:
            self.cut()  # interrupted, perhaps in the middle of a message
            raise

    def _patience(self, started: float, limit: float) -> float:
        """How much longer to wait: ``limit`` seconds of silence, ten times as long in all.

        A large answer may take its time on a slow line, as long as it comes nearer.
        """
        now = time.monotonic()
        moved: float = max(started, self.transport._sock.moved)
        return min(limit - (now - moved), _AT_MOST * limit - (now - started))

    # -- receiving ----------------------------------------------------------------------------

    def receive(
        self,
        request: Any,
        wait: bool = True,
        timeout: float | None = None,
        resolve_symlinks: bool = False,
    ) -> Any:
        # Links are never followed from here: what they lead to may be outside of the mount.
        limit = self.timeout if timeout is None else min(timeout, self.timeout)
        started = time.monotonic()
        while (left := self._patience(started, limit)) > 0:
            if request.response_event.wait(left) and not (wait and self._is_interim(request)):
                break
        if request.response_event.is_set():
            if request.response is None:
                self._check_worker_running()
                self.cut()  # the thread that receives has ended, and says nothing
                raise SMBException(NO_SERVER)
            try:
                return super().receive(
                    request, wait=wait, timeout=max(1, round(limit)), resolve_symlinks=False
                )
            except SMBResponseException:
                raise
            except SMBException:
                if request.response_event.is_set():
                    raise
        self.cut()
        raise TimeoutError("no answer")

    @staticmethod
    def _is_interim(request: Any) -> bool:
        """Whether all that has come is that it will take longer; then the rest is awaited anew.

        A busy server says so (MS-SMB2 3.3.4.2), and one whose line is full. The library would wait
        for the rest too, but only for seconds in all, and not for as long as something comes.
        """
        with request.response_event_lock:
            response = request.response
            if response is None or response["status"].get_value() != NtStatus.STATUS_PENDING:
                return False
            request.response_event.clear()
            return True

    def _check_worker_running(self) -> None:
        try:
            super()._check_worker_running()
        except (SMBException, OSError):
            raise
        except Exception as error:
            # Whatever the thread that receives has stumbled over.
            raise SMBException(NO_SERVER) from error

    # -- the end ------------------------------------------------------------------------------

    def _is_worker(self) -> bool:
        return self._t_worker is not None and threading.get_ident() == self._t_worker.ident

    @property
    def is_sending(self) -> bool:
        """Whether this very thread is in the middle of a send, or the one that receives.

        The garbage collector can close a forgotten file at any moment, also there.
        """
        return threading.get_ident() in self._senders or self._is_worker()

    def cut(self) -> None:
        """End the connection at once, also under the hands of a thread that sends."""
        if self.transport is None:
            return
        if self.transport._sock is not None:
            # Without the lock of the transport, which a blocked send holds.
            with contextlib.suppress(OSError):
                self.transport._sock.shutdown(socket.SHUT_RDWR)
        self.disconnect(close=False)


def hang_up(connection: Any, pid: int) -> None:
    """End a connection that nobody knows any more, so that its thread ends as well.

    Without any lock: the garbage collector may have interrupted whoever holds it.
    """
    sock = connection.transport._sock
    if pid == os.getpid() and sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
