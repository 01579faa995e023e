"""Durations as people write them: ``30``, ``"30s"``, ``"2m 30s"``, or a ``timedelta``. Pure."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from numbers import Real
from typing import Any

__all__ = ["in_seconds", "seconds"]

# The words that obstore knows, and so do its users.
_UNITS = {
    1e-9: ("nsec", "ns"),
    1e-6: ("usec", "us"),
    1e-3: ("msec", "ms"),
    1.0: ("seconds", "second", "sec", "s"),
    60.0: ("minutes", "minute", "min", "m"),
    3600.0: ("hours", "hour", "hr", "h"),
    86400.0: ("days", "day", "d"),
    604800.0: ("weeks", "week", "w"),
}
_LENGTH = {word: length for length, words in _UNITS.items() for word in words}
_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)", re.ASCII)
_NUMBER = re.compile(r"\s*\d+(?:\.\d+)?\s*", re.ASCII)


def seconds(value: object) -> object:
    """The number of seconds that a duration means; what is none comes back as it is.

    Raises ``ValueError`` for a text that is no duration.

    >>> seconds("2m 30s"), seconds("500ms"), seconds("7"), seconds(7)
    (150.0, 0.5, 7.0, 7)
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    if not isinstance(value, str):
        return value
    if _NUMBER.fullmatch(value):
        return float(value)
    total, end = 0.0, 0
    found = _SPAN.match(value)
    while found is not None and found[2] in _LENGTH:
        total, end = total + float(found[1]) * _LENGTH[found[2]], found.end()
        found = _SPAN.match(value, end)
    if not end or value[end:].strip():
        raise ValueError(
            "a duration is a number of seconds, or a text such as 500ms, 30s or 2m 30s"
        )
    return total


def in_seconds(value: object, name: str) -> Any:
    """The same of an argument called ``name``, where it can be a whole number as one.

    Any kind of real number is one. What is no duration comes back as it is: whoever uses it knows
    what it must be. ``ValueError`` for a text that is none.

    >>> in_seconds("1h", "expires_in"), in_seconds(timedelta(minutes=1.5), "expires_in")
    (3600, 90)
    >>> in_seconds(Decimal("0.5"), "timeout")
    0.5
    """
    try:
        found: Any = seconds(value)
        if not isinstance(found, int | float) and isinstance(found, Decimal | Real):
            found = float(found)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name} is {value!r}; {error}") from None
    return int(found) if isinstance(found, float) and found.is_integer() else found
