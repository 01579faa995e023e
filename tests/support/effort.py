"""What work costs, by something that a busy machine does not change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["assert_no_square"]

#: Four times as much is four times the work, or sixteen times where it grows with the square.
_MORE = 4
_MOST = 8.0
#: Seconds of work that are too few to be compared. A square must cost far more.
_NOTHING = 0.25
_RUNS = 3


def assert_no_square(work: Callable[[int], object], size: int) -> None:
    """The cost of ``work(size)`` may grow with ``size``, and not with its square.

    It is the work of this thread that counts, not the time that passes, since others may have the
    processor meanwhile; and the smallest of a few runs. ``size`` is to be such that a square would
    cost a tenth of a second or more.
    """
    once, more = [], []
    for _ in range(_RUNS):
        once.append(_cost(work, size))
        more.append(_cost(work, _MORE * size))
    assert min(more) < max(_MOST * min(once), _NOTHING), (once, more)


def _cost(work: Callable[[int], object], size: int) -> float:
    started = time.thread_time()
    work(size)
    return time.thread_time() - started
