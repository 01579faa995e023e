"""Who hears of a request that is tried again: whoever asked for the work that it belongs to."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["hearing_retries", "note_retry"]

_listener: ContextVar[Callable[[BaseException], object] | None] = ContextVar(
    "genro_storage_retries", default=None
)


def note_retry(error: BaseException) -> None:
    """Say that ``error`` was no reason to give up. A backend does, before each further attempt."""
    listener = _listener.get()
    if listener is not None:
        listener(error)


@contextmanager
def hearing_retries(listener: Callable[[BaseException], object]) -> Generator[None]:
    """Within the block ``listener`` gets what this thread's requests failed with and are repeated for.

    Threads and coroutines that a backend starts for them must run in a copy of the context
    (``contextvars.copy_context``); ``asyncio`` does so by itself.

    >>> heard = []
    >>> with hearing_retries(heard.append):
    ...     note_retry(ConnectionResetError("gone"))
    >>> heard
    [ConnectionResetError('gone')]
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
