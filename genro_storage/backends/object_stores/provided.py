"""Credentials that a function hands out: fetched again before they end, once for all threads."""

from __future__ import annotations

import asyncio
import errno
import importlib
import inspect
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CredentialSource", "Given", "check_provider", "found_provider"]

T = TypeVar("T")
#: They are fetched again when this part of their life is left, or so many seconds.
_PART, _MARGIN = 1 / 3, 300.0
#: Seconds between two attempts to get new ones while the old ones are still good.
_PAUSE = 1.0


class Given(NamedTuple):
    """What a provider has given: its mapping, and when that ends (seconds, UTC; None: never)."""

    values: Mapping[str, Any]
    ends: float | None

    def __repr__(self) -> str:
        return f"Given(ends={self.ends})"


def check_provider(value: Any) -> Any:
    """A callable, or ``"module:name"``; ``ValueError`` for anything else."""
    if value is None or callable(value):
        return value
    if isinstance(value, str):
        module, colon, name = value.partition(":")
        if colon and name and all(part.isidentifier() for part in f"{module}.{name}".split(".")):
            return value
    raise ValueError('it must be a callable, or the text "module:name" that leads to one')


def found_provider(provider: Any) -> Callable[[], Any]:
    """The callable itself; ``ValueError`` where a text leads to none."""
    if not isinstance(provider, str):
        return provider  # type: ignore[no-any-return]
    module, _, name = provider.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        if not callable(found):
            raise TypeError("it cannot be called")
    except (ImportError, AttributeError, TypeError) as error:
        raise ValueError(
            f"'credential_provider' leads to nothing: {provider!r} ({type(error).__name__}); "
            "check the module's name, and that it can be imported"
        ) from error
    return found  # type: ignore[no-any-return]


class CredentialSource(Generic[T]):
    """Asks ``provider`` when it must, and keeps what ``understand`` makes of the answer.

    ``get`` may be called by any thread at any time: while the credentials are good it costs
    nothing, and of many threads that need new ones one fetches them. Where that fails, old ones
    that are still good are used, and it is tried again after a second.
    """

    def __init__(
        self,
        provider: Any,
        understand: Callable[[Mapping[str, Any]], T],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._provider = provider
        self._understand = understand
        self._clock = clock
        self._lock = threading.Lock()
        self._current: tuple[T, float | None] | None = None
        self._fresh_until = 0.0

    def __repr__(self) -> str:
        return "<CredentialSource>"

    def get(self) -> T:
        """Credentials that are good now; ``PermissionError`` where there are none to be had."""
        return self.current()[0]

    def current(self) -> tuple[T, float | None]:
        """The same, with when they end (seconds, UTC); None: never."""
        current = self._current
        if current is not None and self._clock() < self._fresh_until:
            return current
        with self._lock:
            current = self._current
            now = self._clock()
            if current is not None and now < self._fresh_until:
                return current
            try:
                value, ends = self._fetch(now)
            except Exception:
                if current is None or current[1] is None or now >= current[1]:
                    raise
                self._fresh_until = min(now + _PAUSE, current[1])
                return current
            self._fresh_until = (
                float("inf") if ends is None else ends - min(_MARGIN, (ends - now) * _PART)
            )
            self._current = value, ends
            return self._current

    def _fetch(self, now: float) -> tuple[T, float | None]:
        try:
            provider = found_provider(self._provider)
        except ValueError as error:
            raise PermissionError(errno.EACCES, str(error)) from error
        try:
            found = provider()
            if inspect.isawaitable(found):
                found = _awaited(found)
        except Exception as error:
            # Not chained to the provider's own error, whose text may hold what it was given.
            raise PermissionError(
                errno.EACCES,
                f"'credential_provider' gave no credentials ({type(error).__name__})",
            ) from error
        given = _checked(found)
        if given.ends is not None and given.ends <= now:
            raise PermissionError(
                errno.EACCES, "'credential_provider' gave credentials that have ended already"
            )
        try:
            return self._understand(given.values), given.ends
        except ValueError as error:
            raise PermissionError(errno.EACCES, f"'credential_provider': {error}") from None


def _checked(found: Any) -> Given:
    if not isinstance(found, dict):
        raise PermissionError(
            errno.EACCES, "'credential_provider' must return a mapping, and did not"
        )
    ends = found.get("expires_at")
    if ends is None:
        return Given(found, None)
    if not isinstance(ends, datetime) or ends.tzinfo is None:
        raise PermissionError(
            errno.EACCES,
            "'expires_at' of 'credential_provider' must be a datetime with a time zone, as "
            "datetime.now(UTC) has one",
        )
    return Given(found, ends.astimezone(UTC).timestamp())


def _awaited(waiting: Any) -> Any:
    """The result of a coroutine, from a thread of its own: this one may run a loop already."""

    async def step() -> Any:
        return await waiting

    with ThreadPoolExecutor(1, thread_name_prefix="genro-storage") as pool:
        return pool.submit(asyncio.run, step()).result()
