"""Several small objects read one after the other, before anything is made of the first.

What a thread does first after it has waited takes several times as long as what it has just done:
its instructions and data have left the caches. So the waiting, the comparing and the writing of
many small files are loops of their own.
"""

from __future__ import annotations

import functools
from _thread import get_ident
from typing import TYPE_CHECKING, Any

from ..handoff import PROCESS
from .engine import AT_HAND, AT_ONCE, Body, Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["read_each"]


def read_each(engine: Engine, keys: Sequence[str]) -> list[Callable[[], tuple[Body, bytes | None]]]:
    """As ``Engine.read`` of each, which ends by its own call, and raises there.

    Outside of the main thread all answers have come by then: that one must be interruptible.
    """
    if get_ident() == PROCESS.main:
        return [functools.partial(engine.read, key) for key in keys]
    found: list[tuple[Any, bytes | None] | BaseException] = []
    for key in keys:
        try:
            native = engine._native(key)
            result = native.get(native.store, key)
            start, stop = result.range
            found.append((result, bytes(result.bytes()) if stop - start <= AT_HAND else None))
        except BaseException as error:  # noqa: BLE001 - raised when it is its turn
            found.append(error)
    return [functools.partial(_ended, engine, *each) for each in zip(keys, found, strict=True)]


def _ended(
    engine: Engine, key: str, answer: tuple[Any, bytes | None] | BaseException
) -> tuple[Body, bytes | None]:
    """What has come of it; what has failed is repeated as ever."""
    if not isinstance(answer, BaseException):
        try:
            return engine._taken(*answer, AT_ONCE)
        except BaseException as error:  # noqa: BLE001 - raised below, or it is tried again
            answer = error
    failed = engine._explained(answer)

    def again() -> tuple[Body, bytes | None]:
        native = engine._native(key)
        return engine.once(lambda: engine._fetch(native, key, None, AT_ONCE))

    try:
        return engine._after(failed, again)
    finally:
        del failed, answer  # with their tracebacks they would be circles
