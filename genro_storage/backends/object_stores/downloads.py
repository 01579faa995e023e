"""Large contents: one connection first, and more beside it where that is too slow.

Many servers send one stream as fast as they can, and some read the whole object anew for every
range. So further connections are opened only while the rest would take long at the speed that was
seen. Where the first answer is the beginning only, each connection asks for one window after the
other: all of them work on the front of what is missing, so that a digest of the whole can be made
meanwhile. Where it is all, they take halves of the tail. Nothing is held in memory but what a step
brings.
"""

from __future__ import annotations

import contextvars
import io
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from ...hearing import note_retry
from ..remote import is_transient
from ..repeating import BusyError
from .engine import Unfit
from .verifying import VerifyingSink

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..remote import Bounds

__all__ = ["WINDOW", "MemorySink", "PositionedSink", "Ranges", "Streamed", "download"]

#: Bytes that a connection asks for at a time, one of several, and the fewest where the end is near.
#: Some servers read far ahead of a request without an end, for which they take twice the time.
WINDOW = 64 * 1024 * 1024
_SHARED = 16 * 1024 * 1024
_SMALLEST = 4 * 1024 * 1024
#: The most connections of one transfer.
_LANES = 6
#: Seconds after which the speed is judged, and judged again, by what the last few looks have seen:
#: a connection that stalls for a moment is no slow one.
_LOOK = 0.25
_LOOKS = 4
#: Seconds for the rest that are worth no further connection.
_SOON = 1.0
#: Bytes a second that no network limits by connection: there it is this machine, or the other one,
#: that has no more time, and none for further connections.
_FAST = 160 * 1024 * 1024
#: What twice as many connections must have brought at least, for still more of them: on a busy
#: machine all of them only take turns.
_GAIN = 1.5
#: Bytes that are worth a connection.
_WORTH = 16 * 1024 * 1024
#: Seconds to wait before a broken stream goes on; doubled each time that it brings nothing.
_PAUSE = 0.1
_LONGEST_PAUSE = 2.0


class PositionedSink(Protocol):
    """Where the bytes go; called by several threads at once."""

    def write(self, at: int, data: bytes, /) -> None:
        """All of ``data``, from the byte ``at`` on; raises where the transfer is over."""
        ...


class Streamed(Protocol):
    """Bytes of an object that come as they are read, by one thread: ``Body``, or another's."""

    start: int
    stop: int

    @property
    def etag(self) -> str:
        """What names the content, for ``Ranges``."""
        ...

    def next(self) -> bytes:
        """The next bytes; none at the end. A connection that breaks raises."""
        ...

    def close(self) -> None:
        """Give up what was not read."""
        ...


class Ranges(Protocol):
    """``Engine.open`` of one key, or what another client has for it."""

    def __call__(self, start: int, end: int | None, etag: str | None, /) -> Streamed:
        """A body that begins at ``start``; asked once."""
        ...


class MemorySink:
    """A sink for what is wanted in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream = io.BytesIO()

    def write(self, at: int, data: bytes) -> None:
        """All of ``data``, from the byte ``at`` on."""
        with self._lock:
            self._stream.seek(at)
            self._stream.write(data)

    def value(self) -> bytes:
        """All that was written."""
        with self._lock:
            return self._stream.getvalue()


class _Lane:
    """A stream, from ``at`` on; ``stop`` comes nearer when another lane takes the tail."""

    def __init__(self, at: int, stop: int) -> None:
        self.at = at
        self.stop = stop


def download(
    body: Streamed,
    again: Ranges,
    sink: PositionedSink,
    bounds: Bounds,
    *,
    base: int | None = None,
    stop: int | None = None,
    window: int | None = None,
) -> None:
    """Write all of ``body`` to ``sink``, from its byte ``base`` on, which is 0 for the first.

    And what follows it up to the byte ``stop``, if that is given, in requests of ``window`` bytes
    at most (by default ``WINDOW``). ``base`` is where the body begins by default. All of one
    content, or an error: ``OSError`` where it was replaced meanwhile, ``Unfit`` where the server
    does not do what resuming needs. An interrupt ends it at once; after that nothing is asked for,
    and ``sink`` must refuse what was on its way.
    """
    first = body.start if base is None else base
    last = body.stop if stop is None else stop
    _Download(body, again, sink, bounds, first, last, window or WINDOW).run(body)


class _Download:
    def __init__(
        self,
        body: Streamed,
        again: Ranges,
        sink: PositionedSink,
        bounds: Bounds,
        base: int,
        stop: int,
        window: int,
    ) -> None:
        self._again = again
        self._sink = sink
        self._bounds = bounds
        self._base = base
        self._etag = body.etag
        #: Whether those that bring the bytes wait for their digest, as more of them would.
        self._is_behind = sink.is_behind if isinstance(sink, VerifyingSink) else lambda: False
        self._left = stop - body.start
        #: What nobody brings yet: all from here on, and windows that somebody could not open.
        self._next = body.stop
        self._stop = stop
        self._window = window
        self._returned: list[tuple[int, int]] = []
        self._changed = threading.Condition()
        self._lanes: list[_Lane] = []
        self._running = 0
        #: How many lanes are being opened, and how fast it was before the last ones were.
        self._opening = 0
        self._speed_before = 0.0
        self._alone = False
        #: How many of the further connections came to nothing.
        self._vain = 0
        self._failure: BaseException | None = None
        self._over = threading.Event()

    def run(self, body: Streamed) -> None:
        first = _Lane(body.start, body.stop)
        self._lanes.append(first)
        self._running = 1
        self._start(lambda: self._pump(first, body))
        try:
            with self._changed:
                self._wait()
        finally:
            self._over.set()
        if self._failure is not None:
            raise self._failure
        if self._left > 0:
            raise RuntimeError(f"{self._left} bytes of a download were brought by nobody")

    def _wait(self) -> None:
        seen = time.monotonic()
        looks = deque([(seen, self._left)], maxlen=_LOOKS + 1)
        while self._running and self._failure is None:
            self._changed.wait(max(0.0, seen + _LOOK - time.monotonic()))
            now = time.monotonic()
            if now < seen + _LOOK:
                continue
            (first, before), seen = looks[0], now
            looks.append((now, self._left))
            come, seconds = before - self._left, now - first
            if self._left * seconds > come * _SOON and self._widen(come / seconds):
                looks.clear()  # what they are worth is seen from now on
                looks.append((now, self._left))

    def _widen(self, speed: float) -> bool:
        """Double the lanes, where more are worth it; whether any is being opened.

        ``speed``: bytes a second, of all of them.
        """
        active = [lane for lane in self._lanes if lane.at < lane.stop]
        if self._alone or self._opening or not active or len(active) >= _LANES:
            return False
        if speed >= _FAST * len(active) or self._is_behind():
            return False
        if len(active) > 1 and speed < _GAIN * self._speed_before:
            return False  # the last ones have brought little
        added = 0
        for _ in range(min(len(active), _LANES - len(active))):
            added += self._add(active, may_halve=not added)
        if added:
            self._speed_before = speed
        return added > 0

    def _add(self, active: list[_Lane], *, may_halve: bool) -> bool:
        """Have another lane take a window, or half of the longest tail, if that is worth it."""
        if self._stop - self._next >= _WORTH:
            window = self._claim(len(active) + 1)
            assert window is not None
            self._running += 1  # from now on: nobody else brings this window
            if not self._can_join(None, *window):
                self._running -= 1
                self._returned.append(window)
                return False
            return True
        donor = max(active, key=lambda lane: lane.stop - lane.at)
        if not may_halve or donor.stop - donor.at < 2 * _WORTH:
            return False
        return self._can_join(donor, (donor.at + donor.stop) // 2, donor.stop)

    def _can_join(self, donor: _Lane | None, start: int, stop: int) -> bool:
        self._opening += 1
        try:
            self._start(lambda: self._join(donor, start, stop))
        except RuntimeError:  # the system has no more threads
            self._opening -= 1
            self._alone = True
            return False
        return True

    def _claim(self, lanes: int) -> tuple[int, int] | None:
        """The first window that nobody brings; None where there is none. With the lock held.

        The nearer the end, the smaller, so that all of them end at the same time.
        """
        if self._returned:
            return self._returned.pop()
        left = self._stop - self._next
        if left <= 0:
            return None
        size = self._window
        if lanes > 1:
            size = min(size, _SHARED, max(_SMALLEST, left // (2 * lanes)))
        start = self._next
        self._next = min(start + size, self._stop)
        return start, self._next

    def _start(self, work: Callable[[], None]) -> None:
        # In the context of the caller, who may want to hear of what is tried again.
        threading.Thread(
            target=contextvars.copy_context().run,
            args=(self._noting, work),
            name="genro-storage-download",
            daemon=True,
        ).start()

    def _noting(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            with self._changed:
                if self._failure is None:
                    self._failure = error
                self._changed.notify_all()

    def _join(self, donor: _Lane | None, start: int, stop: int) -> None:
        """Bring a window, or what ``donor`` gives away, and whatever is left after it."""
        lane = _Lane(start, stop)
        body: Streamed | None = None
        try:
            body = self._again(start, stop, self._etag)
        except (Unfit, OSError) as error:
            # One connection is enough, so nothing has failed yet. The next look tries again where
            # that is worth the while; what else is wrong the first connection finds out itself.
            self._note_vain(error)
            if donor is not None or self._has_returned(start, stop):
                return
        finally:
            with self._changed:
                self._opening -= 1
        with self._changed:
            late = donor is not None and (donor.at >= start or donor.stop != stop)
            if not late:
                self._lanes.append(lane)
                if donor is not None:
                    donor.stop = start
                    self._running += 1
        if not late:
            self._pump(lane, body)
        elif body is not None:  # the donor was faster
            body.close()

    def _note_vain(self, error: Exception) -> None:
        self._vain += 1
        if self._over.is_set():
            return
        if (
            isinstance(error, BusyError)
            or self._vain > self._bounds.retries
            or not is_transient(error)
        ):
            self._alone = True
        else:
            note_retry(error)

    def _has_returned(self, start: int, stop: int) -> bool:
        """Leave a window to those that are still at work; False where there is nobody else."""
        with self._changed:
            if self._running == 1:
                return False
            self._running -= 1
            self._returned.append((start, stop))
            return True

    def _pump(self, lane: _Lane, body: Streamed | None) -> None:
        """Bring the bytes of a lane, and window after window while there is one."""
        while True:
            self._bring(lane, body)
            body = None
            with self._changed:
                lanes = sum(each.at < each.stop for each in self._lanes) + 1
                window = None if self._over.is_set() else self._claim(lanes)
                if window is None:
                    self._running -= 1
                    self._changed.notify_all()
                    return
                lane.at, lane.stop = window

    def _bring(self, lane: _Lane, body: Streamed | None) -> None:
        """The bytes of a lane. A stream that breaks goes on from where it was."""
        vain = 0
        while lane.at < lane.stop and not self._over.is_set():
            at = lane.at
            try:
                if body is None:
                    body = self._again(lane.at, lane.stop, self._etag)
                if body.start != lane.at:
                    raise Unfit("another range came than the one that was asked for")
                self._drain(lane, body)
            except OSError as error:
                vain = vain + 1 if lane.at == at else 0
                if self._over.is_set() or vain > self._bounds.retries or not is_transient(error):
                    raise
                note_retry(error)
                time.sleep(min(_PAUSE * 2**vain, _LONGEST_PAUSE))
            finally:
                if body is not None:
                    body.close()
            body = None
        if body is not None:  # it is over already
            body.close()

    def _drain(self, lane: _Lane, body: Streamed) -> None:
        while lane.at < lane.stop and not self._over.is_set():
            data = body.next()
            if not data:
                raise ConnectionResetError("the connection ended before the content")
            with self._changed:
                # Before it is written: nobody must be given what is on its way.
                at, data = lane.at, data[: lane.stop - lane.at]
                lane.at += len(data)
                self._left -= len(data)
            try:
                self._sink.write(at - self._base, data)
            except BaseException:
                with self._changed:
                    lane.at = at
                    self._left += len(data)
                raise
