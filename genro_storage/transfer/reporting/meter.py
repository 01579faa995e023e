"""How far a copy is, how fast, and how long it may take: events in, numbers out. No I/O."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ..events import (
    BytesMoved,
    Event,
    FileDone,
    FileFailed,
    FileSkipped,
    FileStarted,
    Finished,
    Retried,
    Started,
)

__all__ = ["Meter", "Moving"]

# Seconds: the speed is that of the last ones, in steps so small that it does not jump.
_WINDOW = 15.0
_STEP = 0.25


@dataclass(slots=True)
class Moving:
    """A file under way, in bytes; more may have moved than it has, where something is sent again."""

    size: int | None
    moved: int = 0

    @property
    def settled(self) -> int:
        """How much of the file has moved."""
        return self.moved if self.size is None else min(self.moved, self.size)


class _Sample(NamedTuple):
    at: float
    moved: int
    files: int


class Meter:
    """A ``Reporter`` that keeps count.

    ``files_done`` and ``bytes_done`` count what is settled: copied, skipped or failed;
    ``bytes_moved`` what has really gone. ``running`` are the files under way, the oldest first.
    ``clock`` gives seconds.

    >>> now = iter([0.0, 0.0, 2.0, 2.0])
    >>> meter = Meter(clock=lambda: next(now))
    >>> for event in (Started(2, 300), FileStarted("a", 100), BytesMoved("a", 50)):
    ...     meter(event)
    >>> meter.bytes_done, meter.rate()
    (50, 25.0)
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.files_total: int | None = None
        self.bytes_total: int | None = None
        self.files_done: int = 0
        self.bytes_done: int = 0
        self.bytes_moved: int = 0
        self.skipped: int = 0
        self.failed: int = 0
        self.retried: int = 0
        self.finished: bool = False
        self.running: dict[str, Moving] = {}
        self._clock = clock
        self._started = clock()
        self._stopped: float | None = None
        self._samples: deque[_Sample] = deque([_Sample(self._started, 0, 0)])

    def __call__(self, event: Event) -> None:
        """Count what has happened."""
        if isinstance(event, BytesMoved):
            file = self.running.setdefault(event.relpath, Moving(None))
            before = file.settled
            file.moved += event.count
            self.bytes_done += file.settled - before
            self.bytes_moved += event.count
            self._sample()
        elif isinstance(event, FileStarted):
            self.running[event.relpath] = Moving(event.size)
        elif isinstance(event, FileDone):
            file = self.running.pop(event.relpath, Moving(event.size))
            self.bytes_done += event.size - file.settled
            # Where the storage has copied, or nobody told of the bytes, they have gone by now.
            self.bytes_moved += max(event.size - file.moved, 0)
            self.files_done += 1
            self._sample()
        elif isinstance(event, FileSkipped):
            self.bytes_done += event.size or 0
            self.skipped += 1
            self.files_done += 1
            self._sample()
        elif isinstance(event, FileFailed):
            file = self.running.pop(event.relpath, Moving(None))
            self.bytes_done += (file.size or file.settled) - file.settled
            self.failed += 1
            self.files_done += 1
        elif isinstance(event, Retried):
            self.retried += 1
        elif isinstance(event, Started):
            self.files_total, self.bytes_total = event.files, event.bytes
        else:
            assert isinstance(event, Finished)
            self.stop()

    def count_files(self, current: int, total: int) -> None:
        """As a ``progress`` callback: so many of so many files are done."""
        self.files_done, self.files_total = current, total
        self._sample()

    def stop(self) -> None:
        """Let no more time go by."""
        if self._stopped is None:
            self._stopped = self._clock()
        self.finished = True
        self.running.clear()

    @property
    def by_bytes(self) -> bool:
        """Whether progress is a matter of bytes; otherwise of files."""
        return bool(self.bytes_total)

    def fraction(self) -> float | None:
        """How much of it is done, from 0 to 1; None where nobody knows how much it is."""
        done, total = (
            (self.bytes_done, self.bytes_total)
            if self.by_bytes
            else (self.files_done, self.files_total)
        )
        if total is None:
            return None
        return min(done / total, 1.0) if total else float(self.finished)

    def elapsed(self) -> float:
        """Seconds since the beginning, until the end where there was one."""
        return (self._clock() if self._stopped is None else self._stopped) - self._started

    def rate(self) -> float | None:
        """Bytes per second: of late, and after the end on the whole. None where none has moved."""
        if self.finished:
            seconds, moved = self.elapsed(), self.bytes_moved
        else:
            seconds, moved, _ = self._lately()
        return moved / seconds if moved and seconds > 0 else None

    def seconds_left(self) -> float | None:
        """How long it may still take: by bytes where their sum is known, else by files."""
        if self.finished:
            return None
        seconds, moved, files = self._lately()
        if self.bytes_total:
            left, done = self.bytes_total - self.bytes_done, moved
        elif self.files_total is not None:
            left, done = self.files_total - self.files_done, files
        else:
            return None
        if left <= 0:
            return 0.0
        return left * seconds / done if done and seconds > 0 else None

    def _lately(self) -> tuple[float, int, int]:
        """The seconds of late, and how many bytes and files have gone in them."""
        since = self._samples[0]
        return (
            self._clock() - since.at,
            self.bytes_moved - since.moved,
            self.files_done - since.files,
        )

    def _sample(self) -> None:
        now = self._clock()
        samples = self._samples
        if now - samples[-1].at >= _STEP:
            samples.append(_Sample(now, self.bytes_moved, self.files_done))
            while len(samples) > 2 and now - samples[1].at >= _WINDOW:
                samples.popleft()
