"""How many bytes a second a copy may move: one budget for all its threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

from ...exceptions import StorageValueError
from ...sizes import in_bytes, size_text

__all__ = ["Bandwidth"]

# Seconds: what was not used for so long may be used later; and nobody waits longer than that
# for somebody else's turn, however large the blocks are.
_BURST = 1.0
_TURN = 0.25
# Bytes of the smallest block, however narrow the limit.
_LEAST = 4096
# Shorter waits are not worth a sleep: they add up, and are made with the next one.
_SHORTEST = 0.001

Sleep = Callable[[float, "threading.Event | None"], object]


def _pause(seconds: float, stop: threading.Event | None) -> None:
    if stop is None:
        time.sleep(seconds)
    else:
        stop.wait(seconds)


class Bandwidth:
    """At most ``bytes_per_second``, a number or a text such as ``"10M"``, over all threads.

    A token bucket that holds what a second is worth. Whoever comes first is served first, in turns
    of a quarter of a second at most, so that large blocks do not shut out small ones. None is no
    limit, costs nothing, and is false. One value may serve several copies at once; a copy of it in
    another process has a budget of its own. ``clock`` gives seconds, ``sleep(seconds, stop)``
    waits. ``StorageValueError`` for what is no rate.

    >>> bandwidth = Bandwidth("10M")
    >>> bandwidth, bandwidth.take(4096)
    (Bandwidth('10 MiB/s'), True)
    >>> bool(Bandwidth(None))
    False
    """

    __slots__ = ("_clock", "_lock", "_paid_until", "_sleep", "bytes_per_second")

    def __init__(
        self,
        bytes_per_second: float | str | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = _pause,
    ) -> None:
        self.bytes_per_second: int | None = _rate(bytes_per_second)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        # Everything that was taken is paid for at that time; further back than a burst does not
        # count.
        self._paid_until = clock() - _BURST

    @classmethod
    def of(cls, given: Bandwidth | float | str | None) -> Bandwidth:
        """What is a ``Bandwidth`` already, or one of that many bytes a second."""
        return given if isinstance(given, Bandwidth) else cls(given)

    def __bool__(self) -> bool:
        """Whether there is a limit."""
        return self.bytes_per_second is not None

    def __repr__(self) -> str:
        if self.bytes_per_second is None:
            return "Bandwidth(None)"
        return f"Bandwidth('{size_text(self.bytes_per_second)}/s')"

    def __reduce__(self) -> tuple[type[Self], tuple[int | None]]:
        return type(self), (self.bytes_per_second,)

    def block(self, most: int) -> int:
        """How many bytes to move at once: ``most``, or what a turn is worth, so that each shows.

        >>> Bandwidth("1M").block(10_000_000), Bandwidth(None).block(10_000_000)
        (262144, 10000000)
        """
        rate = self.bytes_per_second
        return most if rate is None else min(most, max(int(rate * _TURN), _LEAST))

    def take(self, count: int, stop: threading.Event | None = None) -> bool:
        """Wait until ``count`` bytes may be moved; False where ``stop`` was set meanwhile.

        To be called before they are moved. What was taken and not moved is lost.
        """
        rate = self.bytes_per_second
        if rate is None:
            return stop is None or not stop.is_set()
        turn = max(int(rate * _TURN), 1)
        while True:
            if stop is not None and stop.is_set():
                return False
            part = min(count, turn)
            if part <= 0:
                return True
            if not self._wait_for(part / rate, stop):
                return False
            count -= part

    def _wait_for(self, cost: float, stop: threading.Event | None) -> bool:
        """Take so many seconds' worth, and wait until they are over."""
        with self._lock:
            # Taking fixes when it is one's turn: the lock is held for that only.
            self._paid_until = max(self._paid_until, self._clock() - _BURST) + cost
            until = self._paid_until
        while (seconds := until - self._clock()) > _SHORTEST:
            self._sleep(seconds, stop)
            if stop is not None and stop.is_set():
                return False
        return True


def _rate(given: object) -> int | None:
    if given is None:
        return None
    try:
        if isinstance(given, str):
            # "10M/s" says what is meant, too.
            rate = in_bytes(given.strip().removesuffix("/s"), "bandwidth")
        else:
            rate = in_bytes(given, "bandwidth")
    except ValueError:
        rate = 0
    if rate <= 0:
        raise StorageValueError(
            f"the bandwidth is {given!r}; it is a number of bytes per second above 0, or a text such "
            "as 10M, or None for no limit"
        )
    return rate
