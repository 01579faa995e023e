"""What a backend says of its work while it goes on, to whoever asked for that work."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["hearing_bytes", "hearing_retries", "note_bytes", "note_retry"]

_listener: ContextVar[Callable[[BaseException], object] | None] = ContextVar(
    "genro_storage_retries", default=None
)


_moved: ContextVar[Callable[[int], object] | None] = ContextVar("genro_storage_bytes", default=None)


def note_bytes(count: int) -> None:
    """Say that so many bytes more of a content have gone. For what takes long: not for small files."""
    listener = _moved.get()
    if listener is not None:
        listener(count)


@contextmanager
def hearing_bytes(listener: Callable[[int], object]) -> Generator[None]:
    """As ``hearing_retries``, of the bytes that a backend moves by itself.

    >>> heard = []
    >>> with hearing_bytes(heard.append):
    ...     note_bytes(4096)
    >>> heard
    [4096]
    """
    token = _moved.set(listener)
    try:
        yield
    finally:
        _moved.reset(token)


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
