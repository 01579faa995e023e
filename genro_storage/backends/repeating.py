"""Trying a request again: what may be, how often, and with which pauses."""

from __future__ import annotations

import errno
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ..hearing import note_retry
from .errors import UntrustedServerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Bounds", "BusyError", "is_transient", "repeated", "repeated_async"]

T = TypeVar("T")
_log = logging.getLogger("genro_storage")

#: Seconds to wait before the first repetition; doubled for each further one, up to the limit.
_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
#: Making a connection takes one round trip or a few: who is silent for longer is not there.
_CONNECT = 10.0
_FINAL = FileNotFoundError | PermissionError | FileExistsError | UntrustedServerError
_UNREACHABLE = (
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.ENETDOWN,
    errno.ETIMEDOUT,
    errno.ECONNRESET,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long (``timeout``, seconds an attempt) and how often (``retries`` more) to try.

    Before the first repetition pass ``pause`` seconds, ``base`` times as many before each further
    one, and never more than ``longest_pause``. None begins later than ``deadline`` seconds after
    the first attempt (None: whenever). ``connecting`` are the seconds for a connection, where it
    is not ``timeout``, ten at most.
    """

    timeout: float = 30.0
    retries: int = 2
    pause: float = _PAUSE
    longest_pause: float = _LONGEST_PAUSE
    base: float = 2.0
    deadline: float | None = None
    connecting: float | None = None

    @property
    def connect(self) -> float:
        """Seconds to wait for a connection."""
        return min(self.timeout, _CONNECT) if self.connecting is None else self.connecting


class BusyError(ConnectionError):
    """The server asks to come back later; ``wait`` is in seconds, None where it does not say.

    What repeats waits as long, if that is within its timeout, and gives up otherwise.
    """

    def __init__(self, message: str, wait: float | None) -> None:
        super().__init__(errno.EAGAIN, message)
        self.wait = wait

    def __reduce__(self) -> tuple[type[BusyError], tuple[str, float | None]]:
        return type(self), (str(self.strerror), self.wait)


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed in a moment: the network failed, not the request."""
    if isinstance(error, _FINAL | ConnectionError | TimeoutError | EOFError):
        return not isinstance(error, _FINAL)
    return isinstance(error, OSError) and error.errno in _UNREACHABLE


def repeated(
    bounds: Bounds, step: Callable[[int], T], when: Callable[[BaseException], bool] = is_transient
) -> T:
    """``step(attempt)``, again where it fails as ``when`` says; attempts count from 0.

    The pauses grow as ``bounds`` say, by default from 0.1 to 2 seconds, with jitter, so that many
    clients do not return at once.

    >>> def step(attempt):
    ...     if attempt < 1:
    ...         raise ConnectionResetError
    ...     return attempt
    >>> repeated(Bounds(retries=1), step)
    1
    """
    begun = time.monotonic()
    try:
        return step(0)  # tenacity takes longer to begin than a small request to be answered
    except Exception as error:
        if bounds.retries == 0 or not when(error):
            raise
        first = error
    import tenacity

    for attempt in tenacity.Retrying(**_rules(bounds, when, begun)):
        with attempt:
            number = attempt.retry_state.attempt_number - 1
            if number == 0:
                raise first
            return step(number)
    raise AssertionError("unreachable")  # it returns or raises


async def repeated_async(
    bounds: Bounds,
    step: Callable[[int], Awaitable[T]],
    when: Callable[[BaseException], bool] = is_transient,
) -> T:
    """As ``repeated``, where ``step`` is a coroutine function."""
    begun = time.monotonic()
    try:
        return await step(0)
    except Exception as error:
        if bounds.retries == 0 or not when(error):
            raise
        first = error
    import tenacity

    async for attempt in tenacity.AsyncRetrying(**_rules(bounds, when, begun)):
        with attempt:
            number = attempt.retry_state.attempt_number - 1
            if number == 0:
                raise first
            return await step(number)
    raise AssertionError("unreachable")  # it returns or raises


def _rules(bounds: Bounds, when: Callable[[BaseException], bool], begun: float) -> dict[str, Any]:
    """When to stop, what to repeat, and how long to wait; ``begun`` is when the first one was."""
    import tenacity

    def again(error: BaseException) -> bool:
        # An interrupt or a cancellation ends the attempts.
        too_long = isinstance(error, BusyError) and (error.wait or 0) > bounds.timeout
        return isinstance(error, Exception) and not too_long and when(error)

    usual = tenacity.wait_exponential(
        bounds.pause, bounds.longest_pause, bounds.base
    ) + tenacity.wait_random(0, bounds.pause)
    stop: Any = tenacity.stop_after_attempt(bounds.retries + 1)
    if bounds.deadline is not None:
        stop = stop | tenacity.stop_before_delay(begun + bounds.deadline - time.monotonic())

    def pause(state: tenacity.RetryCallState) -> float:
        error = None if state.outcome is None else state.outcome.exception()
        asked = error.wait if isinstance(error, BusyError) else None
        return (asked or 0.0) + usual(state)

    def tell(state: tenacity.RetryCallState) -> None:
        error = None if state.outcome is None else state.outcome.exception()
        if error is not None:
            note_retry(error)
        # Not a warning: a program that has configured no logging would have it on its error output.
        _log.info(
            "attempt %d failed, the next is in %.1f s: %s",
            state.attempt_number,
            state.upcoming_sleep,
            error,
        )

    return {
        "stop": stop,
        "retry": tenacity.retry_if_exception(again),
        "wait": pause,
        "before_sleep": tell,
        "reraise": True,
    }
