"""Several small objects read or written one after the other, with nothing in between.

What a thread does first after it has waited takes several times as long as what it has just done:
its instructions and data have left the caches. So the waiting, the comparing and the writing of
many small files are loops of their own, and what comes after a wait is little.
"""

from __future__ import annotations

import functools
import itertools
from _thread import get_ident
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ...info import Coming
from ..handoff import PROCESS
from .answered import Unfit
from .engine import AT_HAND, AT_ONCE, Body, Engine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SmallPut", "put_each", "read_each"]

_Answer = tuple[Body, bytes | None]


def read_each(engine: Engine, keys: Sequence[str]) -> Coming[_Answer] | None:
    """``Engine.read`` of each. After the first that fails the others are left: as it most often is
    the server that fails, each would be waited for in turn before anybody heard of it.

    None in the main thread, which must be interruptible.
    """
    fit = [] if get_ident() == PROCESS.main else list(itertools.takewhile(engine.can, keys))
    if not fit:
        return None
    native = engine._patient.get()
    get, store = native.get, native.store
    answers: list[tuple[Any, bytes | None] | BaseException] = []
    for key in fit:
        try:
            result = get(store, key)
            start, stop = result.range
            answers.append((result, bytes(result.bytes()) if stop - start <= AT_HAND else None))
        except BaseException as error:  # noqa: BLE001 - raised when it is its turn
            # By its traceback it would hold this call, and so what has come of all the others.
            answers.append(error.with_traceback(None))
            if not isinstance(error, FileNotFoundError):
                break
    come = not any(isinstance(each, BaseException) or each[1] is None for each in answers)
    ends = [
        functools.partial(_ended, engine, key, answer)
        for key, answer in zip(keys, answers, strict=False)
    ]
    left = len(keys) - len(ends)
    return Coming([*ends, *[None] * left], come and not left)


def _ended(engine: Engine, key: str, answer: tuple[Any, bytes | None] | BaseException) -> _Answer:
    """What has come of it; what has failed is repeated as ever."""
    error: BaseException
    if isinstance(answer, BaseException):
        error = answer
    else:
        try:
            return engine._taken(*answer, AT_ONCE)
        except BaseException as failed:  # noqa: BLE001 - raised below, or it is tried again
            error = failed
    try:
        return engine.once_more(
            error, lambda: engine._fetch(engine._patient.get(), key, None, AT_ONCE)
        )
    finally:
        del error, answer  # with their tracebacks they would be circles


class SmallPut(NamedTuple):
    """An object to be stored in one request, and the ETag that it should have, with its quotes."""

    key: str
    data: bytes
    headers: Mapping[str, str]
    etag: str


def put_each(
    engine: Engine,
    files: Sequence[SmallPut],
    is_stored: Callable[[SmallPut, str], bool],
    arrived: Callable[[int], bool],
) -> None:
    """``Engine.put`` of each, up to the first that fails; as ``Backend.write_together``.

    With an ETag of another kind ``is_stored`` decides, and the others are left. Not in the main
    thread, which must be interruptible.
    """
    # No list of their contents, which the traceback of a failure would hold.
    fit = sum(1 for _ in itertools.takewhile(lambda each: engine.can(each.key), files))
    if not fit or get_ident() == PROCESS.main:
        return
    native = engine._patient.get()
    put, store = native.put, native.store
    for each in itertools.islice(files, fit):
        key, data, headers, etag = each
        try:
            answer = put(store, key, data, attributes=headers, use_multipart=False)
        except BaseException as error:  # noqa: BLE001 - raised there, or tried again
            step = functools.partial(put, store, key, data, attributes=headers, use_multipart=False)
            try:
                answer = engine.once_more(error, step)
            except Unfit:
                return
        if answer["e_tag"] != etag:
            if is_stored(each, str(answer["e_tag"] or "")):
                arrived(len(data))
            return
        if not arrived(len(data)):
            return
