"""What ``Content-Range`` says of an answer (RFC 9110, section 14.4). Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["content_range", "unsatisfied_size"]

_CONTENT_RANGE = re.compile(r"\s*bytes\s+(\d{1,19})-(\d{1,19})/(\d{1,19}|\*)\s*", re.IGNORECASE)
_UNSATISFIED = re.compile(r"\s*bytes\s+\*/(\d{1,19})\s*", re.IGNORECASE)


def content_range(headers: Mapping[str, str]) -> tuple[int, int, int | None] | None:
    """First byte, the one after the last, and the size of the file; None for nonsense."""
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range") or "")
    if found is None:
        return None
    first, last = int(found[1]), int(found[2])
    size = None if found[3] == "*" else int(found[3])
    if last < first or (size is not None and last >= size):
        return None
    return first, last + 1, size


def unsatisfied_size(headers: Mapping[str, str]) -> int | None:
    """The size of the file in an answer that refuses a range beyond its end."""
    found = _UNSATISFIED.fullmatch(headers.get("Content-Range") or "")
    return None if found is None else int(found[1])
