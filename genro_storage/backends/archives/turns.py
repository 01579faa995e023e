"""Writers of one archive take turns: threads by a lock for its address, processes by the system."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from ..local_write import lock, unlock

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..context import Place

__all__ = ["LOCK_WAIT", "publishing", "turn_of"]

#: Seconds that a writer waits for another process to publish.
LOCK_WAIT = 30.0
_POLL = 0.005


class _Turn:
    """The lock of one archive, shared by every mount of it in this process."""

    def __init__(self, address: object) -> None:
        self.address = address
        self.lock = threading.RLock()


class _Turns:
    """Those that somebody waits for or holds."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a forked child: who holds a lock in the parent will never give it back here."""
        self._guard = threading.Lock()
        self._known: list[weakref.ref[_Turn]] = []

    def find(self, address: object) -> _Turn:
        """The turn of that address."""
        with self._guard:
            alive: list[weakref.ref[_Turn]] = []
            found: _Turn | None = None
            for reference in self._known:
                turn = reference()
                if turn is not None:
                    alive.append(reference)
                    # Addresses may hold dictionaries (options of a filesystem), without a hash.
                    if found is None and turn.address == address:
                        found = turn
            if found is None:
                found = _Turn(address)
                alive.append(weakref.ref(found))
            self._known = alive
            return found


_turns = _Turns()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_turns.forget)


@contextlib.contextmanager
def turn_of(place: Place) -> Generator[None]:
    """Wait for the turn to write this archive."""
    address = place.address()
    # A place without an address is known by its own name only.
    turn = _turns.find((place.label,) if address is None else address)
    with turn.lock:
        yield


@contextlib.contextmanager
def publishing(local: str | None) -> Generator[None]:
    """Keep other processes of this library from replacing a local archive meanwhile.

    The lock is that of the archive's directory, since the archive itself may not be there yet; the
    system drops it when the process dies. Where directories cannot be locked (NFS) or opened, only
    the look before the swap is left. ``TimeoutError`` after ``LOCK_WAIT`` seconds.
    """
    if local is None or os.name == "nt":
        yield
        return
    directory = os.path.dirname(os.path.realpath(local))
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        yield
        return
    try:
        deadline = time.monotonic() + LOCK_WAIT
        while _is_taken(descriptor):
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"another process has kept the directory {directory!r} locked for "
                    f"{LOCK_WAIT:g} seconds"
                )
            time.sleep(_POLL)
        yield
    finally:
        # Not by closing alone: a process that was forked meanwhile has the descriptor too, and would
        # keep the lock for as long as it lives.
        unlock(descriptor)
        os.close(descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        return lock(descriptor) is False
    except OSError as error:
        # NFS wants a file that is open for writing, which no directory can be.
        if error.errno != errno.EBADF:
            raise
        return False
