"""Coroutines that run a few at a time, and none of which is left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

__all__ = ["AT_ONCE", "few_at_a_time"]

#: How many run at most, where nobody says otherwise. Two parts of an upload at a time are 2 to 5 %
#: faster than four to a server on this machine; to find that out by their rates costs a third of
#: the time and more where each connection is slower than the line, since parts that begin together
#: end together, and a few of them tell no rate.
AT_ONCE = 4


async def few_at_a_time(
    steps: Iterable[Coroutine[Any, Any, Any]], at_once: Callable[[], int] = lambda: AT_ONCE
) -> list[Any]:
    """The results in order. Where one fails the others are cancelled, and none runs any more.

    ``at_once`` says how many may run, before each one that begins.
    """
    results: list[asyncio.Task[Any]] = []
    pending: set[asyncio.Task[Any]] = set()
    try:
        waiting = iter(steps)
        while True:
            while len(pending) >= max(1, at_once()):
                _, pending = await _first(pending)
            step = next(waiting, None)  # not before there is room: it must be awaited
            if step is None:
                break
            task = asyncio.ensure_future(step)
            pending.add(task)
            results.append(task)
        while pending:
            _, pending = await _first(pending)
    except BaseException:
        for task in pending:
            task.cancel()
        await asyncio.gather(*results, return_exceptions=True)
        raise
    return [task.result() for task in results]


async def _first(pending: set[asyncio.Task[Any]]) -> Any:
    done, rest = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return done, rest
