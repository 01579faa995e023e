"""One source of credentials for every thread and both clients of a mount."""

from __future__ import annotations

import copy
import errno
import logging
import math
import os
import threading
import time
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CredentialSource", "Credentials"]

_log = logging.getLogger("genro_storage")

#: Seconds before the end at which credentials are renewed, at most; and the part of their life
#: that is left then, at most.
_MARGIN = 300.0
_PART = 3.0
#: Seconds until a renewal that failed is tried again, at least and at most.
_SOONEST, _LATEST = 0.1, 30.0


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What signs requests; ``expires_at`` is in seconds of UTC, None for never. Shows nothing."""

    key: str
    secret: str
    token: str | None = None
    expires_at: float | None = None

    def __repr__(self) -> str:
        ends = "for ever" if self.expires_at is None else f"until {_shown(self.expires_at)}"
        return f"<Credentials {ends}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "credentials are not pickled: they are secret, and may have expired by then"
        )


@dataclass(frozen=True, slots=True)
class _Held:
    credentials: Credentials
    renew_at: float


class CredentialSource:
    """Credentials that are fetched when they are needed, and again before they expire.

    Thread-safe. However many threads ask, one fetches; the others go on with what there is as long
    as that is valid, and wait otherwise. They are fetched again when a third of their life is
    left, five minutes at most. Where that fails, the old ones serve until they end, and it is
    tried again meanwhile; whoever asks after their end gets the error.

    >>> source = CredentialSource(lambda: Credentials("key", "secret"), "the test")
    >>> source.get()
    <Credentials for ever>
    """

    def __init__(
        self,
        fetch: Callable[[], Credentials],
        name: str,
        *,
        renewable: bool = True,
        forget: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``name`` says in messages where they come from; ``renewable``, whether others may come.

        ``forget`` is called where the server has refused them, before they are fetched again.
        """
        self.name = name
        self.renewable = renewable
        #: Why the last attempt failed, None where it did not.
        self.failure: Exception | None = None
        self._fetch = fetch
        self._forget = forget
        self._refused: Credentials | None = None
        self._clock = clock
        self._held: _Held | None = None
        self._lock = threading.Lock()
        self._attempts = 0
        _living.add(self)

    def __repr__(self) -> str:
        return f"<CredentialSource {self.name}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} cannot be pickled: a mount makes its own where it is used")

    def peek(self) -> Credentials | None:
        """The credentials, if none are to be fetched now; never waits."""
        held = self._held
        return held.credentials if held is not None and self._clock() < held.renew_at else None

    def get(self) -> Credentials:
        """Valid credentials; may wait for them. Raises what fetching them raises."""
        return self.peek() or self._renew()

    def for_obstore(self) -> dict[str, Any]:
        """The same in the shape of obstore's ``S3Credential``: its ``credential_provider``.

        What may end is said to end soon. obstore asks again then, ten times a second at most, so
        that only this source decides when credentials are over.
        """
        found = self.get()
        ends = found.expires_at
        if self.renewable:
            ends = min(ends or math.inf, self._clock() + _MARGIN)
        return {
            "access_key_id": found.key,
            "secret_access_key": found.secret,
            "token": found.token,
            "expires_at": None if ends is None else datetime.fromtimestamp(ends, UTC),
        }

    def reject(self, refused: Credentials | None) -> Exception | None:
        """The server says that these have ended, whatever their date: others are fetched next.

        Returns the error with which a request is tried again; None where that is of no use.
        """
        if not self.renewable:
            return None
        held = self._held
        if held is not None and held.credentials is refused:
            self._held, self._refused = None, refused
            if self._forget is not None:
                self._forget()
        return ConnectionError(
            errno.EAGAIN, f"credentials from {self.name} have ended before their time; try again"
        )

    def _usable(self) -> Credentials | None:
        held = self._held
        if held is None:
            return None
        ends = held.credentials.expires_at
        return held.credentials if ends is None or self._clock() < ends else None

    def _renew(self) -> Credentials:
        attempts = self._attempts
        usable = self._usable()
        if not self._lock.acquire(blocking=usable is None):
            assert usable is not None
            return usable
        try:
            fresh = self.peek()
            if fresh is not None:
                return fresh
            usable = self._usable()
            if usable is None and self._attempts != attempts and self.failure is not None:
                # Somebody has tried while this thread waited: a thousand need not try in turn.
                raise _another(self.failure) from self.failure
            return self._fetch_now(usable)
        finally:
            self._lock.release()

    def _fetch_now(self, usable: Credentials | None) -> Credentials:
        try:
            found = self._fetch()
            refused, self._refused = self._refused, None
            if found == refused and not self._ends_soon(found):
                raise PermissionError(
                    errno.EACCES,
                    f"the server says that the credentials from {self.name} have ended; renew them",
                )
            self._hold(found)
        except Exception as error:
            self.failure = error
            self._attempts += 1
            ends = None if usable is None else usable.expires_at
            if usable is None or ends is None or ends <= self._clock():
                raise
            left = ends - self._clock()
            pause = min(max(left / _PART, _SOONEST), _LATEST)
            self._held = _Held(usable, self._clock() + pause)
            _log.warning(
                "%s could not be asked for new credentials; the old ones end in %.0f s: %s",
                self.name,
                left,
                error,
            )
            return usable
        self.failure = None
        self._attempts += 1
        return found

    def _ends_soon(self, found: Credentials) -> bool:
        ends = found.expires_at
        return ends is not None and ends < self._clock() + _MARGIN

    def _hold(self, found: Credentials) -> None:
        if found.expires_at is None:
            self._held = _Held(found, math.inf)
            return
        left = found.expires_at - self._clock()
        if left <= 0:
            raise PermissionError(
                errno.EACCES,
                f"{self.name} gave credentials that have ended at {_shown(found.expires_at)}; "
                "check the clocks",
            )
        self._held = _Held(found, found.expires_at - min(left / _PART, _MARGIN))

    def after_fork(self) -> None:
        """In the child, which has no other thread yet: whoever held the lock is not there."""
        self._lock = threading.Lock()


_living: weakref.WeakSet[CredentialSource] = weakref.WeakSet()


def _after_fork() -> None:
    for source in list(_living):
        source.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _another(error: Exception) -> Exception:
    """The same error to raise once more, or itself where its class takes no copies."""
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001 - whatever somebody's class raises
        return error


def _shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
