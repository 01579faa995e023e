"""What goes wrong between a client and a busy server, by a seed, so that it can be repeated."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Fault", "Faults"]

Fault = Literal[
    "error",  # 500 in place of the request
    "slow_down",  # 503 SlowDown in place of the request
    "lost_answer",  # the request is done, the answer is 500
    "reset_before",  # the connection is reset before the server hears of it
    "reset_after",  # the connection is reset when the server has done it
    "cut_upload",  # half of the body arrives at the server, then both ends are cut
    "cut_download",  # half of the answer's body, then the end
    "delay",  # it takes longer
]


class Faults:
    """Which requests meet which fault: ``rate`` of them (0.05 is 5 %), evenly of each kind.

    ``met`` counts what was chosen. A fault that needs a body may meet a request that has none,
    and is a reset then.
    """

    #: Seconds of a delay.
    pause = 0.2

    def __init__(
        self, rate: float, *, seed: int = 1, kinds: Sequence[Fault] = get_args(Fault)
    ) -> None:
        self.rate = rate
        self.kinds = tuple(kinds)
        self.met: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def next(self) -> Fault | None:
        """What the next request meets."""
        with self._lock:
            if self._random.random() >= self.rate:
                return None
            found = self._random.choice(self.kinds)
            self.met[found] += 1
            return found
