"""Sizes as people write them: ``10``, ``"10M"``, ``"1.5 GiB"``. Pure.

The letters are those of GNU's tools: ``K``, ``M``, ``G``, ``T`` and ``P``, alone or as ``KiB``, are
powers of 1024; ``kB``, ``MB`` and so on are powers of 1000. Capitals and small letters are the same.
"""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["in_bytes", "size_text"]

_LETTERS = "kmgtp"
_UNITS = {
    **dict.fromkeys(("", "b", "byte", "bytes"), 1),
    **{
        letter + ending: 1024**power
        for power, letter in enumerate(_LETTERS, start=1)
        for ending in ("", "i", "ib")
    },
    **{f"{letter}b": 1000**power for power, letter in enumerate(_LETTERS, start=1)},
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.ASCII | re.IGNORECASE)


def in_bytes(value: object, name: str) -> int:
    """The number of bytes that a size called ``name`` means, rounded down.

    ``ValueError`` for what is none, or negative.

    >>> in_bytes("1.5 GiB", "max_size"), in_bytes("10M", "max_size"), in_bytes("10MB", "max_size")
    (1610612736, 10485760, 10000000)
    """
    if isinstance(value, str):
        found = _SIZE.fullmatch(value)
        unit = _UNITS.get(found[2].lower()) if found is not None else None
        if found is not None and unit is not None:
            return int(Decimal(found[1]) * unit)
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    elif isinstance(value, float) and value >= 0 and value.is_integer():
        return int(value)
    raise ValueError(f"{name} is {value!r}; a size is a number of bytes, or a text such as 10M")


def size_text(count: float) -> str:
    """A number of bytes for people, in powers of 1024 and at most seven characters wide.

    >>> size_text(0), size_text(1023), size_text(1536), size_text(10 * 1024**2), size_text(2**40)
    ('0 B', '1023 B', '1.5 KiB', '10 MiB', '1.0 TiB')
    """
    if count < 1024:
        return f"{count:.0f} B"
    unit = ""
    for letter in _LETTERS.upper():
        count, unit = count / 1024, f"{letter}iB"
        if count < 1023.5:  # what rounds to 1024 of a unit is one of the next
            break
    return f"{count:.1f} {unit}" if count < 9.95 else f"{count:.0f} {unit}"
