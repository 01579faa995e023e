"""The archive as one file that may change: what state it is in, and a reader of that state."""

from __future__ import annotations

import os
import stat as st
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from ..errors import RootNotFoundError
from .sources import FileSource, RangeSource, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from ..context import Place

__all__ = ["ArchiveFile", "Kept", "State"]

T = TypeVar("T")

#: Seconds within which a second change may leave the time of a file as it is: what a clock of
#: whole seconds can hide (FAT counts in twos), and what the tick of a kernel can.
_COARSE = 2.0
_FINE = 0.05
#: A file that has not been touched for this long (seconds) is not in the middle of anything: where
#: the clock is that of this machine, and where the clocks of two machines may differ.
_QUIET_HERE, _QUIET = 10.0, 3600.0


@dataclass(frozen=True, slots=True)
class State:
    """What tells one content of the file from another."""

    token: Hashable
    size: int
    #: For how long, in seconds, another change may bear the same token; None: for ever.
    blur: float | None = field(default=0.0, compare=False)


class ArchiveFile:
    """One place, asked for its state before each use."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def state(self) -> State | None:
        """What is there now; None where no file is, in a directory that exists."""
        local = self.place.local_path()
        if local is not None:
            try:
                return self._local_state(os.stat(local))
            except OSError:
                pass  # the place itself says what is wrong, in its own words
        try:
            info = self.place.stat()
        except RootNotFoundError:
            raise
        except FileNotFoundError as error:
            if isinstance(error.__cause__, RootNotFoundError):
                raise  # not the archive is missing but what it should lie in
            return None
        if info.type == "directory":
            raise self._no_file("a directory")
        if info.type != "file":
            raise self._no_file("no regular file")
        size = self._measure() if info.size is None else info.size
        token = (size, info.mtime, info.etag, info.version)
        if info.etag is not None or info.version is not None:
            return State(token, size)
        if info.mtime is None:
            return State(token, size, None)
        return State(token, size, _blur(info.mtime, info.mtime % 1 == 0, _QUIET))

    def _no_file(self, what: str) -> OSError:
        return RootNotFoundError(
            f"the archive {self.place.label!r} is {what}; correct 'file', which names an archive"
        )

    def _measure(self) -> int:
        size = 0
        with self.place.open_read() as stream:
            while chunk := stream.read(1024 * 1024):
                size += len(chunk)
        return size

    def _local_state(self, found: os.stat_result) -> State:
        if st.S_ISDIR(found.st_mode):
            raise self._no_file("a directory")
        if not st.S_ISREG(found.st_mode):
            raise self._no_file("no regular file")
        token = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        coarse = found.st_ctime_ns % 10**9 == 0
        return State(token, found.st_size, _blur(found.st_ctime, coarse, _QUIET_HERE))

    def open(self) -> tuple[Source, State] | None:
        """A reader, and the state that it reads; None where there is no file."""
        if self.place.local_path() is None:
            state = self.state()
            if state is None:
                return None
            return RangeSource(self.place, state.size, lambda: self.state() == state), state
        try:
            stream = self.place.open_read()
        except RootNotFoundError:
            raise
        except FileNotFoundError as error:
            if isinstance(error.__cause__, RootNotFoundError):
                raise
            return None
        except IsADirectoryError:
            raise self._no_file("a directory") from None
        try:
            state = self._local_state(os.fstat(stream.fileno()))
        except BaseException:
            stream.close()
            raise
        return FileSource(stream, state.size), state

    def missing(self) -> RootNotFoundError:
        """The error for an archive that must be there."""
        return RootNotFoundError(
            f"the archive {self.place.label!r} does not exist; create it or correct 'file'"
        )


def _blur(changed: float, coarse: bool, quiet: float) -> float:
    if time.time() - changed > quiet:
        return 0.0
    return _COARSE if coarse else _FINE


class Kept(Generic[T]):
    """What was made of one state of the archive, for as long as it is in that state.

    A file that was changed a moment ago may change again without a trace in its size and time,
    so what was read then is read again, until it has been the same for longer than a clock hides.
    What was read too early stays doubtful, however long ago that was.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._state: State | None = None
        self._first_seen = 0.0
        self._made_at = 0.0
        self._blur: float | None = 0.0
        self._value: T | None = None

    def find(self, state: State) -> T | None:
        """What was made of this state, if that is to be trusted."""
        with self._lock:
            if self._value is None or self._state is None or state.token != self._state.token:
                return None
            # The blur of then, not of now: the second change may have come right after the reading.
            if self._blur == 0.0:
                return self._value
            if self._blur is None or self._made_at - self._first_seen <= self._blur:
                return None
            return self._value

    def make(self, state: State, make: Callable[[], T]) -> T:
        """Make it anew, one thread at a time; what another began meanwhile will do."""
        asked = time.monotonic()
        with self._lock:
            found = self.find(state)
            if found is not None:
                return found
            same = self._state is not None and self._state.token == state.token
            if same and self._value is not None and self._made_at >= asked:
                return self._value
            now = time.monotonic()
            value = make()
            if self._state is None or self._state.token != state.token:
                self._state, self._first_seen = state, now
            self._made_at, self._blur, self._value = now, state.blur, value
            return value

    def forget(self) -> None:
        """Make it anew the next time."""
        with self._lock:
            self._value = None
