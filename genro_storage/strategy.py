"""When a copy leaves a file alone: the names of the strategies."""

from __future__ import annotations

import difflib
from enum import StrEnum

from .exceptions import StorageValueError

__all__ = ["SkipStrategy", "parse_strategy"]


class SkipStrategy(StrEnum):
    """When ``copy_to`` skips a file that is at the destination already.

    Each equals its string; where the destination is missing, nothing is ever skipped.

    >>> SkipStrategy.HASH == "hash"
    True
    """

    NEVER = "never"
    EXISTS = "exists"
    SIZE = "size"
    MTIME = "mtime"
    HASH = "hash"
    CUSTOM = "custom"


#: What other tools call them, or users would, and no spelling of ours is near to.
_MEANT = {
    "time": SkipStrategy.MTIME,
    "checksum": SkipStrategy.HASH,
    "content": SkipStrategy.HASH,
    "md5": SkipStrategy.HASH,
}
#: What other tools call a strategy that we have not: who is told the nearest one would lose files.
_NEWER = ("newer", "update")


def parse_strategy(value: str | SkipStrategy) -> SkipStrategy:
    """The strategy of that name; ``StorageValueError`` with the nearest name for a typo.

    >>> parse_strategy("hash")
    <SkipStrategy.HASH: 'hash'>
    """
    try:
        return SkipStrategy(value)
    except ValueError:
        known = [strategy.value for strategy in SkipStrategy]
        if str(value).lower() in _NEWER:
            raise StorageValueError(
                f"unknown skip strategy {value!r}; 'mtime' copies whatever has another time, also "
                "where the destination is newer; to leave that alone, say 'custom' with a skip_fn "
                "that compares mtime"
            ) from None
        meant = _MEANT.get(str(value).lower())
        near = [meant.value] if meant else difflib.get_close_matches(str(value), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; use one of {', '.join(known)}"
        raise StorageValueError(f"unknown skip strategy {value!r}{hint}") from None
