"""What the answer to a GET has brought."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ..object_stores.verifying import Known

__all__ = ["Fetched", "part_of"]


class Fetched(NamedTuple):
    """A part of an object: its bytes, how large the whole is, and which content it was.

    ``told``: the whole answer.
    """

    data: bytes
    total: int
    etag: str | None
    known: Known = Known()
    told: Mapping[str, Any] = MappingProxyType({})


def part_of(answer: dict[str, Any], data: bytes, start: int, end: int | None) -> Fetched:
    """The bytes from ``start`` up to ``end``, which an answer holds; ``OSError`` if it does not."""
    etag = answer.get("ETag")
    found = str(answer.get("ContentRange") or "")
    extent, slash, total = found.partition("/")
    if slash and total.isdigit():
        if extent.partition("-")[0] != f"bytes {start}":
            raise OSError(errno.EIO, "the server sent another range than was asked for")
        return Fetched(data, int(total), etag)
    # A server that gives the whole, whatever was asked.
    return Fetched(data[start:end], len(data), etag)
