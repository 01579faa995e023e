"""Executors of ``concurrent.futures`` that show what they are given, and lose it as they are told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

__all__ = ["Couriers", "Lost"]


class Lost(Exception):  # noqa: N818 - what happens
    """What a pool says of a worker that is gone."""


class Couriers(Executor):
    """Workers that get bytes and give bytes back, as processes do, in threads.

    ``lose(number)`` says of each shard, counted from 1, whether its worker is lost ``"before"`` or
    ``"after"`` it has worked, or None.
    """

    def __init__(self, lose: Callable[[int], str | None] = lambda _: None) -> None:
        self.sent: list[bytes] = []
        self.most = 0
        self._under_way = 0
        self._lose = lose
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(2)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand one shard to a thread."""
        with self._lock:
            self.sent.append(args[0])
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        return self._pool.submit(self._work, len(self.sent), fn, *args, **kwargs)

    def _work(self, number: int, fn: Callable[..., Any], data: bytes) -> Any:
        fate = self._lose(number)
        try:
            if fate == "before":
                raise Lost(f"worker {number} is gone")
            answer = fn(data)
            if fate == "after":
                raise Lost(f"worker {number} is gone, and what it has done is here")
            return answer
        finally:
            with self._lock:
                self._under_way -= 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """No more."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)
