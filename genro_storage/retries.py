"""What a backend says of its work while it goes on, to whoever asked for that work."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "hearing_bytes",
    "hearing_gone",
    "hearing_left_out",
    "hearing_retries",
    "note_bytes",
    "note_gone",
    "note_left_out",
    "note_retry",
]

_listener: ContextVar[Callable[[BaseException], object] | None] = ContextVar(
    "genro_storage_retries", default=None
)


_moved: ContextVar[Callable[[int], object] | None] = ContextVar("genro_storage_bytes", default=None)


_gone: ContextVar[Callable[[str], object] | None] = ContextVar("genro_storage_gone", default=None)


def note_gone(path: str) -> None:
    """Say that a directory was listed, and not there any more when it was to be gone through."""
    listener = _gone.get()
    if listener is not None:
        listener(path)


_left_out: ContextVar[Callable[[str], object] | None] = ContextVar(
    "genro_storage_left_out", default=None
)


def note_left_out(name: str) -> None:
    """Say that an entry is in no listing, because no path can express its name."""
    listener = _left_out.get()
    if listener is not None:
        listener(name)


def note_bytes(count: int) -> None:
    """Say that so many bytes more of a content have gone. For what takes long: not for small files."""
    listener = _moved.get()
    if listener is not None:
        listener(count)


class _Hearing:
    """A context manager, of which there is one for each file: so it is no generator."""

    __slots__ = ("_listener", "_token")
    _heard: ClassVar[ContextVar[Any]]

    def __init__(self, listener: Callable[[Any], object]) -> None:
        self._listener = listener

    def __enter__(self) -> None:
        self._token = self._heard.set(self._listener)

    def __exit__(self, *_: object) -> None:
        self._heard.reset(self._token)


class hearing_bytes(_Hearing):  # noqa: N801 - reads as the verb that it is
    """As ``hearing_retries``, of the bytes that a backend moves by itself.

    >>> heard = []
    >>> with hearing_bytes(heard.append):
    ...     note_bytes(4096)
    >>> heard
    [4096]
    """

    __slots__ = ()
    _heard = _moved


def note_retry(error: BaseException) -> None:
    """Say that ``error`` was no reason to give up. A backend does, before each further attempt."""
    listener = _listener.get()
    if listener is not None:
        listener(error)


class hearing_gone(_Hearing):  # noqa: N801 - reads as the verb that it is
    """As ``hearing_retries``, of directories that vanish while they are listed.

    What a listing that goes on without them tells is not the whole truth.
    """

    __slots__ = ()
    _heard = _gone


class hearing_left_out(_Hearing):  # noqa: N801 - reads as the verb that it is
    """As ``hearing_retries``, of entries that no listing has."""

    __slots__ = ()
    _heard = _left_out


class hearing_retries(_Hearing):  # noqa: N801 - reads as the verb that it is
    """Within the block a listener gets what this thread's requests failed with and are repeated for.

    Threads and coroutines that a backend starts for them must run in a copy of the context
    (``contextvars.copy_context``); ``asyncio`` does so by itself.

    >>> heard = []
    >>> with hearing_retries(heard.append):
    ...     note_retry(ConnectionResetError("gone"))
    >>> heard
    [ConnectionResetError('gone')]
    """

    __slots__ = ()
    _heard = _listener
