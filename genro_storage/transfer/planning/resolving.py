"""Plans for people to look at: what the listings leave open is compared, in order and in threads."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from .actions import CompareFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .actions import Action
    from .rules import Decide

__all__ = ["resolved"]

#: How many comparisons each thread has waiting.
_AHEAD = 4


def resolved(actions: Iterator[Action], settle: Decide, concurrency: int) -> Iterator[Action]:
    """The same actions in the same order, with what has come of each ``CompareFile``."""
    if concurrency == 1:
        for action in actions:
            if isinstance(action, CompareFile):
                yield settle(action.relpath, action.source, action.target)
            else:
                yield action
        return
    waiting: deque[Future[Action] | Action] = deque()
    pool: ThreadPoolExecutor | None = None
    try:
        for action in actions:
            if isinstance(action, CompareFile):
                if pool is None:
                    pool = ThreadPoolExecutor(concurrency, "genro-storage-compare")
                waiting.append(pool.submit(settle, action.relpath, action.source, action.target))
            elif not waiting:
                yield action
                continue
            else:
                waiting.append(action)
            while len(waiting) > concurrency * _AHEAD:
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _result(found: Future[Action] | Action) -> Action:
    return found.result() if isinstance(found, Future) else found
