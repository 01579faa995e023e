"""Several small objects read one after the other, before anything is made of the first.

What a thread does first after it has waited takes several times as long as what it has just done:
its instructions and data have left the caches. So the waiting, the comparing and the writing of
many small files are loops of their own.
"""

from __future__ import annotations

import functools
from _thread import get_ident
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...info import Coming
from ..handoff import PROCESS
from .engine import AT_HAND, AT_ONCE, Body, Engine

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["read_each"]

_Answer = tuple[Body, bytes | None]


def read_each(engine: Engine, keys: Sequence[str]) -> Coming[_Answer] | None:
    """``Engine.read`` of each. After the first that fails the others are left: as it most often is
    the server that fails, each would be waited for in turn before anybody heard of it.

    None in the main thread, which must be interruptible.
    """
    if get_ident() == PROCESS.main:
        return None
    ends: list[Callable[[], _Answer] | None] = []
    come = True
    for key in keys:
        answer: tuple[Any, bytes | None] | BaseException
        try:
            native = engine._native(key)
            result = native.get(native.store, key)
            start, stop = result.range
            is_small = stop - start <= AT_HAND
            answer = (result, bytes(result.bytes()) if is_small else None)
        except BaseException as error:  # noqa: BLE001 - raised when it is its turn
            answer = error
        ends.append(functools.partial(_ended, engine, key, answer))
        if isinstance(answer, BaseException) or answer[1] is None:
            come = False
        if isinstance(answer, BaseException) and not isinstance(answer, FileNotFoundError):
            break
    return Coming([*ends, *[None] * (len(keys) - len(ends))], come)


def _ended(engine: Engine, key: str, answer: tuple[Any, bytes | None] | BaseException) -> _Answer:
    """What has come of it; what has failed is repeated as ever."""
    if not isinstance(answer, BaseException):
        try:
            return engine._taken(*answer, AT_ONCE)
        except BaseException as error:  # noqa: BLE001 - raised below, or it is tried again
            answer = error
    failed = engine._explained(answer)

    def again() -> _Answer:
        native = engine._native(key)
        return engine.once(lambda: engine._fetch(native, key, None, AT_ONCE))

    try:
        return engine._after(failed, again)
    finally:
        del failed, answer  # with their tracebacks they would be circles
