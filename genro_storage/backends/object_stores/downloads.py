"""Large contents: one stream first, and more beside it where that is too slow.

Many servers send one stream as fast as they can, and some read the whole object anew for every
range. So further connections, each for a part of the tail, are opened only while the rest would
take long at the speed that was seen. Nothing is held in memory but what a step brings.
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

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..remote import Bounds

__all__ = ["MemorySink", "PositionedSink", "Ranges", "Streamed", "download"]

#: The most connections of one transfer.
_LANES = 6
#: Seconds after which the speed is judged, and judged again, by what the last few looks have seen:
#: a connection that stalls for a moment is no slow one.
_LOOK = 0.25
_LOOKS = 4
#: Seconds for the rest that are worth no further connection.
_SOON = 1.0
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
    body: Streamed, again: Ranges, sink: PositionedSink, bounds: Bounds, *, base: int | None = None
) -> None:
    """Write all of ``body`` to ``sink``, from its byte ``base`` on, which is 0 for the first.

    All of one content, or an error: ``OSError`` where it was replaced meanwhile, ``Unfit`` where
    the server does not do what resuming needs. ``base`` is where the body begins by default. An
    interrupt ends it at once; after that nothing is asked for, and ``sink`` must refuse what was
    on its way.
    """
    _Download(body, again, sink, bounds, body.start if base is None else base).run(body)


class _Download:
    def __init__(
        self, body: Streamed, again: Ranges, sink: PositionedSink, bounds: Bounds, base: int
    ) -> None:
        self._again = again
        self._sink = sink
        self._bounds = bounds
        self._base = base
        self._etag = body.etag
        self._left = body.stop - body.start
        self._changed = threading.Condition()
        self._lanes: list[_Lane] = []
        self._running = 0
        self._opening = False
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
            if self._left * (now - first) > (before - self._left) * _SOON:
                self._widen()

    def _widen(self) -> None:
        """Have another lane take half of the longest tail, if that is worth it."""
        active = [lane for lane in self._lanes if lane.at < lane.stop]
        if self._alone or self._opening or not active or len(active) >= _LANES:
            return
        donor = max(active, key=lambda lane: lane.stop - lane.at)
        if donor.stop - donor.at < 2 * _WORTH:
            return
        middle = (donor.at + donor.stop) // 2
        self._opening = True
        self._start(lambda: self._join(donor, middle, donor.stop))

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

    def _join(self, donor: _Lane, start: int, stop: int) -> None:
        try:
            body = self._again(start, stop, self._etag)
        except (Unfit, OSError) as error:
            # One connection is enough, so nothing has failed yet. The next look tries again where
            # that is worth the while; what else is wrong the first connection finds out itself.
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
            return
        finally:
            self._opening = False
        lane = _Lane(start, stop)
        with self._changed:
            late = donor.at >= start or donor.stop != stop
            if not late:
                donor.stop = start
                self._lanes.append(lane)
                self._running += 1
        if late:  # the donor was faster
            body.close()
        else:
            self._pump(lane, body)

    def _pump(self, lane: _Lane, body: Streamed | None) -> None:
        """Bring the bytes of a lane. A stream that breaks goes on from where it was."""
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
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def _drain(self, lane: _Lane, body: Streamed) -> None:
        while lane.at < lane.stop and not self._over.is_set():
            data = body.next()
            if not data:
                raise ConnectionResetError("the connection ended before the content")
            with self._changed:
                data = data[: lane.stop - lane.at]
            self._sink.write(lane.at - self._base, data)
            with self._changed:
                lane.at += len(data)
                self._left -= len(data)
