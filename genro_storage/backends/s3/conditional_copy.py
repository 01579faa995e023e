"""Copying inside a bucket where nothing has the target's name, by what the server understands."""

from __future__ import annotations

import errno
from typing import NamedTuple

__all__ = ["CopyCondition", "status_of"]

_SHAPES = "multipart, header:NAME:VALUE or header-with-status:NAME:VALUE:STATUS"
_FAILED = 412


class CopyCondition(NamedTuple):
    """The header that makes a copy conditional, and the status that says it did not hold.

    Without a header the copy is made in parts, whose last request has the condition.

    >>> CopyCondition.of("header: cf-copy-destination-if-none-match: *")
    CopyCondition(name='cf-copy-destination-if-none-match', value='*', status=412)
    >>> CopyCondition.of("multipart").name is None
    True
    """

    name: str | None = None
    value: str = ""
    status: int = _FAILED

    @classmethod
    def of(cls, text: str) -> CopyCondition:
        """From the option; ``ValueError`` for another shape."""
        kind, *rest = (part.strip() for part in text.split(":"))
        if kind == "multipart" and not rest:
            return cls()
        if kind == "header" and len(rest) == 2 and all(rest):
            return cls(rest[0], rest[1])
        if kind == "header-with-status" and len(rest) == 3 and all(rest) and rest[2].isdigit():
            return cls(rest[0], rest[1], int(rest[2]))
        raise ValueError(f"it must be {_SHAPES}")

    def explained(self, error: OSError, target: str) -> OSError:
        """The error of a copy, which may be that the name is taken."""
        if self.name is not None and status_of(error) == self.status:
            return FileExistsError(errno.EEXIST, "already exists", target)
        return error


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status of the server's answer that an exception stands for."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return status if isinstance(status, int) else None
        error = error.__cause__
    return None
