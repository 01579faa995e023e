"""One connection to one share, shared by all threads of a mount, on which nothing waits for ever.

``smbclient`` keeps its sessions per process, so that a second mount with a wrong password would
work, and its waits are without limit. So this stands on ``smbprotocol`` itself: a connection of
our own, with a bound for each answer and each send, and a turn for each credit.
"""

from __future__ import annotations

import contextlib
import errno
import os
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from smbprotocol.exceptions import (
    AccessDenied,
    SMBConnectionClosed,
    SMBException,
    SMBResponseException,
)
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from .connection import _BoundedConnection, hang_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..remote import Bounds

    #: A message, and what makes a result of its answered request.
    Step = tuple[Any, Callable[[Any], Any]]
    #: A further message to a file that the first one of the same packet opens.
    Action = Callable[[Any], Step]

__all__ = [
    "ATTRIBUTES",
    "CHUNK",
    "DELETE",
    "DIRECTORY",
    "EVERYBODY",
    "LINK_ITSELF",
    "NO_DIRECTORY",
    "READ",
    "SET_ATTRIBUTES",
    "WRITE",
    "WRITE_CHUNK",
    "Link",
]

#: Bytes of one read: large enough to hide the round trip.
CHUNK = 1024 * 1024
#: Bytes of one write. Of what is sent nothing is heard before the answer, which even a slow line
#: must bring within the bound.
WRITE_CHUNK = 512 * 1024
#: Seconds that a good-bye may take: the server notices also without one.
_FAREWELL = 2.0

_MASK = FilePipePrinterAccessMask
ATTRIBUTES: int = _MASK.FILE_READ_ATTRIBUTES | _MASK.SYNCHRONIZE
READ: int = _MASK.FILE_READ_DATA | _MASK.FILE_READ_ATTRIBUTES | _MASK.SYNCHRONIZE
WRITE: int = (
    _MASK.FILE_WRITE_DATA
    | _MASK.FILE_APPEND_DATA
    | _MASK.FILE_READ_ATTRIBUTES
    | _MASK.FILE_WRITE_ATTRIBUTES
    | _MASK.SYNCHRONIZE
)
SET_ATTRIBUTES: int = _MASK.FILE_WRITE_ATTRIBUTES | _MASK.SYNCHRONIZE
DELETE: int = _MASK.DELETE | _MASK.FILE_READ_ATTRIBUTES | _MASK.SYNCHRONIZE
DIRECTORY: int = CreateOptions.FILE_DIRECTORY_FILE
NO_DIRECTORY: int = CreateOptions.FILE_NON_DIRECTORY_FILE
LINK_ITSELF: int = CreateOptions.FILE_OPEN_REPARSE_POINT
EVERYBODY: int = (
    ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
)


class Link:
    """A session on a share. Raises what ``smbprotocol`` raises, and ``TimeoutError``."""

    def __init__(
        self,
        host: str,
        port: int,
        share: str,
        username: str | None,
        password: str | None,
        *,
        encrypt: bool,
        bounds: Bounds,
    ) -> None:
        self._pid = os.getpid()
        self._forgotten: deque[tuple[Any, list[Any]]] = deque()
        self._connection: Any = _BoundedConnection(host, port, bounds.connect)
        self._connection.connect()
        # The thread that receives keeps the connection alive, whoever has forgotten it.
        weakref.finalize(self, hang_up, self._connection, self._pid).atexit = False
        try:
            self._session: Any = Session(
                self._connection, username, password, require_encryption=encrypt
            )
            self._session.connect()
            self._tree: Any = TreeConnect(self._session, rf"\\{host}\{share}")
            try:
                self._tree.connect()
            except AccessDenied:
                raise PermissionError(
                    errno.EACCES,
                    f"the share {share!r} does not let this user in; check 'username' and 'share'",
                ) from None
        except BaseException:
            self._connection.cut()
            raise
        self._connection.bound(bounds.timeout)
        self._prefix = rf"{host}\{share}" if self._tree.is_dfs_share else ""

    @property
    def is_alive(self) -> bool:
        """Whether it can be used, as far as this side knows; never after a fork."""
        return bool(self._connection.transport.connected) and not self.is_inherited

    @property
    def is_busy_here(self) -> bool:
        """Whether this very thread is inside of the connection, where it must not wait for it."""
        return self.is_inherited or self._connection.is_sending

    @property
    def is_inherited(self) -> bool:
        """Whether it belongs to the process that this one was forked from."""
        return self._pid != os.getpid()

    @property
    def max_read_size(self) -> int:
        """Bytes of the largest answer to a read."""
        return int(self._connection.max_read_size)

    @property
    def max_write_size(self) -> int:
        """Bytes of the largest write."""
        return int(self._connection.max_write_size)

    @property
    def max_transact_size(self) -> int:
        """Bytes of the largest part of a listing."""
        return int(self._connection.max_transact_size)

    # -- messages -----------------------------------------------------------------------------

    def ask(self, step: Step) -> Any:
        """Send one message and return its result."""
        return self.answer(self.send(step))

    def send(self, step: Step) -> tuple[Any, Callable[[Any], Any]]:
        """Send one message; its result is what ``answer`` gives for the returned value."""
        message, unpack = step
        return self._connection.send(message, *self._ids), unpack

    @staticmethod
    def answer(sent: tuple[Any, Callable[[Any], Any]]) -> Any:
        """Wait for the result of a message."""
        request, unpack = sent
        return unpack(request)

    @property
    def _ids(self) -> tuple[int, int]:
        return self._session.session_id, self._tree.tree_connect_id

    def raw(self, request: Any) -> bytes:
        """The body of the answer."""
        data: bytes = self._connection.receive(request)["data"].get_value()
        return data

    def open(
        self,
        path: str,
        access: int,
        *actions: Action,
        disposition: int = CreateDisposition.FILE_OPEN,
        options: int = 0,
        sharing: int = EVERYBODY,
        keep: bool = False,
    ) -> tuple[Any, list[Any]]:
        """Open, do ``actions``, and close unless ``keep``: all of it in one round trip.

        Returns the open file and the results of the actions. The first error is raised, after
        every answer has come; the file is closed then.
        """
        self._close_forgotten()
        opened: Any = Open(self._tree, "\\".join(part for part in (self._prefix, path) if part))
        steps = [
            opened.create(
                ImpersonationLevel.Impersonation,
                access,
                0,
                sharing,
                disposition,
                options,
                send=False,
            ),
            *(action(opened) for action in actions),
        ]
        if not keep:
            steps.append(opened.close(send=False))
        requests = self._connection.send_compound(
            [each[0] for each in steps], *self._ids, related=True
        )
        results: list[Any] = []
        failure: SMBResponseException | None = None
        awaited = [(request, unpack) for request, (_, unpack) in zip(requests, steps, strict=True)]
        for position, (request, unpack) in enumerate(awaited):
            try:
                results.append(unpack(request))
            except SMBResponseException as error:
                failure = failure or error
            except BaseException:
                # Interrupted: what the server opens nevertheless is closed before the next call.
                self._forgotten.append((opened, awaited[position:]))
                raise
        if failure is not None:
            if opened.connected:
                self.close_file(opened)
            raise failure
        return opened, results[1 : 1 + len(actions)]

    def close_written(self, opened: Any) -> None:
        """Close a file that was written to; raises where the server does not confirm it."""
        opened.close()

    def close_file(self, opened: Any) -> None:
        """Close what ``open(keep=True)`` returned; a connection that is gone has closed it."""
        if self.is_inherited or not opened.connected:
            return
        if self._connection.is_sending:
            self._forgotten.append((opened, []))
            return
        with contextlib.suppress(SMBConnectionClosed, TimeoutError, ConnectionError):
            opened.close()

    def _close_forgotten(self) -> None:
        while self._forgotten:
            with contextlib.suppress(IndexError):  # another thread was faster
                opened, awaited = self._forgotten.popleft()
                for request, unpack in awaited:
                    with contextlib.suppress(SMBException, OSError):
                        unpack(request)
                self.close_file(opened)

    # -- the end ------------------------------------------------------------------------------

    def drop(self) -> None:
        """End it without a word, because it is broken."""
        if not self.is_inherited:
            self._connection.cut()

    def close(self) -> None:
        """Take leave and end it, within two seconds."""
        if self.is_inherited:
            return
        if self.is_alive:
            self._connection.timeout = min(self._connection.timeout, _FAREWELL)
            # Whatever goes wrong, the server forgets us as soon as the connection has ended.
            with contextlib.suppress(SMBException, OSError):
                self._connection.disconnect(close=True)
        self._connection.cut()
