"""What the findings about servers have in common: clocks, keys that are half shown, failures."""

from __future__ import annotations

import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ..info import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MOST_SKEW", "clock", "found_out", "half_shown"]

#: Seconds by which the clocks of signer and server may differ, for Amazon, Google and Microsoft.
MOST_SKEW = 900.0
#: An HTTP date has whole seconds, and an answer takes its time.
_UNSURE = 2.0


def clock(date: str | None, now: float | None = None) -> Finding:
    """How far the clock of this machine is from the server's, by the ``Date`` of its answer.

    >>> clock("Thu, 01 Jan 1970 00:20:00 GMT", now=0.0).ok
    False
    """
    try:
        moment = parsedate_to_datetime(date or "")
    except ValueError:
        why = "the server does not say what time it is"
        return Finding("clock", "unknown", ok=None, detail=why)
    if moment.tzinfo is None:  # "-0000": UTC, from a server that knows no time zone
        moment = moment.replace(tzinfo=UTC)
    skew = moment.timestamp() - (time.time() if now is None else now)
    source = "Date of an answer"
    if abs(skew) <= _UNSURE:
        return Finding("clock", "right", source)
    side = "behind" if skew > 0 else "ahead of"
    value = f"{abs(skew):.0f} s {side} the server"
    if abs(skew) < MOST_SKEW:
        return Finding("clock", value, source)
    fix = f"signatures are refused from {MOST_SKEW:.0f} s on; set the clock of this machine"
    return Finding("clock", value, source, ok=False, detail=fix)


def found_out(name: str, step: Callable[[], Finding]) -> Finding:
    """What ``step`` finds; where the server does not tell, that and why."""
    try:
        return step()
    except OSError as error:
        return Finding(name, "unknown", ok=None, detail=str(error.strerror or error))


def half_shown(name: str | None) -> str:
    """The name of a key, so far that its owner knows it.

    >>> half_shown("AKIAIOSFODNN7EXAMPLE"), half_shown("MINIOADMIN"), half_shown("short")
    ('AKIA…MPLE', 'MINI…', '…')
    """
    found = name or ""
    return f"{found[:4] if len(found) >= 8 else ''}…{found[-4:] if len(found) >= 16 else ''}"
