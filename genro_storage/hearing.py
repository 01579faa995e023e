"""What a backend says of its work while it goes on, to whoever asked for that work.

Within ``with hearing_…(listener):`` the listener gets what this thread's calls ``note_…``. Threads
and coroutines that a backend starts for them must run in a copy of the context
(``contextvars.copy_context``); ``asyncio`` does so by itself.

>>> heard = []
>>> with hearing_retries(heard.append):
...     note_retry(ConnectionResetError("gone"))
>>> heard
[ConnectionResetError('gone')]
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

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

T = TypeVar("T")


class _Subject(Generic[T]):
    """One thing that can be told, and who hears of it in this context."""

    __slots__ = ("_listener",)

    def __init__(self, name: str) -> None:
        self._listener: ContextVar[Callable[[T], object] | None] = ContextVar(
            f"genro_storage_{name}", default=None
        )

    def tell(self, what: T) -> None:
        """To the listener, if there is one."""
        listener = self._listener.get()
        if listener is not None:
            listener(what)

    def heard_by(self, listener: Callable[[T], object]) -> _Hearing:
        """A block in which this listener hears of it, instead of an outer one."""
        return _Hearing(self._listener, listener)


class _Hearing:
    """A context manager, of which there is one for each file: so it is no generator."""

    __slots__ = ("_listener", "_token", "_variable")

    def __init__(self, variable: ContextVar[Any], listener: Callable[[Any], object]) -> None:
        self._variable = variable
        self._listener = listener

    def __enter__(self) -> None:
        self._token = self._variable.set(self._listener)

    def __exit__(self, *_: object) -> None:
        self._variable.reset(self._token)


_retries: _Subject[BaseException] = _Subject("retries")
_bytes: _Subject[int] = _Subject("bytes")
_gone: _Subject[str] = _Subject("gone")
_left_out: _Subject[str] = _Subject("left_out")

#: An error was no reason to give up: before each further attempt.
note_retry: Callable[[BaseException], None] = _retries.tell
hearing_retries: Callable[[Callable[[BaseException], object]], _Hearing] = _retries.heard_by

#: So many bytes more of a content have gone. For what takes long: not for small files.
note_bytes: Callable[[int], None] = _bytes.tell
hearing_bytes: Callable[[Callable[[int], object]], _Hearing] = _bytes.heard_by

#: The path of a directory that was listed, and not there any more when it was to be gone through:
#: what a listing that goes on without it tells is not the whole truth.
note_gone: Callable[[str], None] = _gone.tell
hearing_gone: Callable[[Callable[[str], object]], _Hearing] = _gone.heard_by

#: The name of an entry that is in no listing, because no path can express it.
note_left_out: Callable[[str], None] = _left_out.tell
hearing_left_out: Callable[[Callable[[str], object]], _Hearing] = _left_out.heard_by
