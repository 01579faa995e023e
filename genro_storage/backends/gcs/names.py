"""Which names Google Cloud Storage can hold. Pure."""

from __future__ import annotations

import errno

__all__ = ["check_key"]

_LONGEST = 1024
_RESERVED = ".well-known/acme-challenge/"


def check_key(key: str) -> None:
    """Raise ``OSError`` for a name that the service refuses, or would take for another."""
    if "\n" in key or "\r" in key:
        raise OSError(errno.EINVAL, "Google Cloud Storage takes no line breaks in a name")
    if len(key.encode()) > _LONGEST:
        raise OSError(
            errno.ENAMETOOLONG,
            f"a name in Google Cloud Storage has at most {_LONGEST} bytes, with its directories",
        )
    if key.startswith(_RESERVED):
        raise OSError(errno.EINVAL, f"Google Cloud Storage keeps names in {_RESERVED!r} to itself")
