"""How many parts of an upload go at a time: no more than make it faster."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .side_by_side import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pace"]

#: One is read, and its digest made, while another is sent.
_LEAST = 2
#: Parts that are counted for a rate. Fewer say more of chance than of the line.
_COUNTED = 8
#: What fewer at a time may cost, as a share of the rate, to be kept to.
_AS_FAST = 0.97
#: How much more than that more at a time must bring.
_FASTER = 1.05
#: Rates with a number that is kept to, before another is tried, which may not be worth it: at first,
#: and after it was not worth it again and again.
_STEADY, _MOST_STEADY = 4, 64


class Pace:
    """The fewest parts at a time that bring an upload along as fast as more of them.

    It begins with the most, since a long line needs them: each connection is slower there than the
    line. Then it climbs down as long as that costs nothing, and looks up now and then, since lines
    change. Where the line, the server or this machine is what all wait for, more parts only wait
    for each other: to a server on a machine of two processors, two are a tenth faster than four.

    Several uploads at a time share what there is, so that to go down costs each of them: they stay
    with the most.
    """

    def __init__(self, most: int = AT_ONCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = max(_LEAST, most)
        self._clock = clock
        self._at_once = self._most
        #: The number that is kept to, and its last rate in bytes per second.
        self._kept = self._most
        self._rate = 0.0
        #: Where to look next, and how many rates before that.
        self._step = -1
        self._left = 1
        self._patience = _STEADY
        self._settling = self._most
        self._begin()

    def __call__(self) -> int:
        """How many may be on their way now."""
        return self._at_once

    def arrived(self, size: int) -> None:
        """A part of so many bytes has been sent."""
        if self._settling > 0:
            self._settling -= 1
            self._begin()
            return
        self._parts += 1
        self._bytes += size
        if self._parts < _COUNTED:
            return
        following = self._judge(self._bytes / max(self._clock() - self._begun, 1e-9))
        if following != self._at_once:
            # What is on its way, or comes beside it, is neither the one nor the other.
            self._settling = max(following, self._at_once)
            self._at_once = following
        self._begin()

    def _begin(self) -> None:
        self._begun = self._clock()
        self._parts = self._bytes = 0

    def _judge(self, rate: float) -> int:
        """The number to go on with, after that rate with the present one."""
        if self._at_once == self._kept:
            self._rate = rate
            self._left -= 1
            return self._kept if self._left > 0 else self._next()
        if rate < self._rate * (_FASTER if self._at_once > self._kept else _AS_FAST):
            self._left = self._patience
            self._patience = min(2 * self._patience, _MOST_STEADY)
            self._step = -self._step
            return self._kept
        self._kept, self._rate = self._at_once, rate
        self._patience = _STEADY
        if _LEAST <= self._kept + self._step <= self._most:
            return self._kept + self._step
        self._left = self._patience
        return self._kept

    def _next(self) -> int:
        if not _LEAST <= self._kept + self._step <= self._most:
            self._step = -self._step
        following = self._kept + self._step
        return following if _LEAST <= following <= self._most else self._kept
