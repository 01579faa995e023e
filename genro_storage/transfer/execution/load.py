"""How busy the threads of a copy are, and whether more of them would find something to do."""

from __future__ import annotations

import time

__all__ = ["LOOK", "Load"]

#: Seconds between two looks.
LOOK = 0.05
#: The part of one core from which on the threads are busy; from which on the process has none left;
#: up to which it does next to nothing; and how much one look counts.
_BUSY = 0.5
_FULL = 0.7
_IDLE = 0.2
_WEIGHT = 0.3


class Load:
    """How busy the threads of the crew are, of the one core that they share."""

    def __init__(self) -> None:
        #: When it was looked at, and what this thread and the process had worked by then.
        self._seen: tuple[float, float, float] | None = None
        self._worked = 0.0
        self._share = 1.0
        self.is_full: bool = False
        #: How many times as many threads would find a core that does nothing, as far as is known.
        self.room: int = 1

    def begin(self) -> None:
        """From now on there is something to do."""
        if self._seen is None:
            self._seen = time.perf_counter(), time.thread_time(), time.process_time()

    def add(self, worked: float) -> bool:
        """Seconds of work of another thread; looked at after some time, in the one that plans.

        Whether it was looked at now.
        """
        self._worked += worked
        now = time.perf_counter(), time.thread_time(), time.process_time()
        before = self._seen or now
        seconds, own, process = (each - then for each, then in zip(now, before, strict=True))
        if seconds < LOOK:
            return False
        share = (self._worked + own) / seconds
        self.is_full = share > _BUSY
        # Portions are counted when they end, so that one look says little of them. What others do
        # in this process counts only as far as the threads are busy, too.
        self._share += _WEIGHT * (share - self._share)
        if process < _IDLE * seconds:
            self.room = 4
        else:
            self.room = 2 if self._share < _BUSY / 2 or process < _FULL * seconds else 1
        self._seen, self._worked = now, 0.0
        return True
