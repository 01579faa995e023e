"""Files that are handed out one by one: which is next, and how many bytes are under way at a time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ..planning.actions import WITH_CONTENT

if TYPE_CHECKING:
    from ..planning.actions import Action

__all__ = ["HEAVY", "Weighed"]

_KIB, _MIB = 1024, 1024 * 1024

#: Bytes of a heavy file: the clients of some stores hold all of it, so that the sum is bounded.
HEAVY = _MIB
#: Bytes of a big one: it goes in parts, several at a time, whose sum is what is in memory.
_BIG = 32 * _MIB


class _Room(NamedTuple):
    """What may be under way at a time, in bytes but for ``big_files``.

    A big file counts as ``big``, heavy ones and those count ``heavy`` in all. ``weighed`` is what
    a file has more of that is counted at all; those that are not heavy count ``light`` in all.
    """

    big_files: int
    big: int
    heavy: int
    weighed: int
    light: int


_USUAL = _Room(2, 32 * _MIB, 128 * _MIB, HEAVY, 0)
#: Where a kill is to be made good, what was under way then has to be sent again. A big file has a
#: few small parts under way, and one such is enough for a line that loses connections.
_RESUMED = _Room(1, 20 * _MIB, 20 * _MIB, 128 * _KIB, 4 * _MIB)


class Weighed:
    """Those that wait, and what is under way of those that do not; used by one thread.

    Nothing waits for more than there has to be: of each kind one always goes, and light files go
    beside whatever is heavy.
    """

    def __init__(self, *, to_resume: bool) -> None:
        self._room = _RESUMED if to_resume else _USUAL
        self._least = min(self._room.weighed, _BIG)
        self._big: deque[Action] = deque()
        self._heavy: deque[Action] = deque()
        self._light: deque[Action] = deque()
        #: Files under way, and bytes: big and heavy ones together, and light ones.
        self._big_files = self._heavy_files = 0
        self._bytes = self._light_bytes = 0

    def weight(self, action: Action) -> int:
        """The bytes of a file that is handed out by itself; 0 for others, and for what is none."""
        size = action.source.size or 0 if isinstance(action, WITH_CONTENT) else 0
        return size if size > self._least else 0

    @property
    def waiting(self) -> int:
        """How many have been added, and not taken."""
        return len(self._big) + len(self._heavy) + len(self._light)

    @property
    def has_next(self) -> bool:
        """Whether there is one that may be begun now."""
        return self._next() is not None

    def add(self, action: Action, weight: int) -> None:
        """It waits for its turn."""
        if weight > _BIG:
            self._big.append(action)
        else:
            (self._heavy if weight > HEAVY else self._light).append(action)

    def take(self) -> tuple[Action, int] | None:
        """The next, with its weight, which is under way from now on; None where none may go now."""
        line = self._next()
        if line is None:
            return None
        action = line.popleft()
        weight = self.weight(action)
        self._count(weight, 1)
        return action, weight

    def has_ended(self, weight: int) -> None:
        """A file of this weight is under way no more."""
        self._count(weight, -1)

    def _next(self) -> deque[Action] | None:
        # Big ones first: the others fill what those leave, and never keep them waiting.
        if self._big and self._big_files < self._room.big_files:
            if not self._bytes or self._bytes + self._room.big <= self._room.heavy:
                return self._big
        elif self._heavy:
            # One goes beside a big one whatever it weighs: that may take hours.
            more = self.weight(self._heavy[0])
            if not self._heavy_files or self._bytes + more <= self._room.heavy:
                return self._heavy
        if self._light and self._light_bytes < self._room.light:
            return self._light
        return None

    def _count(self, weight: int, sign: int) -> None:
        if weight > _BIG:
            self._big_files += sign
            self._bytes += sign * self._room.big
        elif weight > HEAVY:
            self._heavy_files += sign
            self._bytes += sign * weight
        else:
            self._light_bytes += sign * weight
