"""Which names Azure Blob Storage can hold. Pure."""

from __future__ import annotations

import errno
import re

__all__ = ["check_key"]

_LONGEST = 1024
_DEEPEST = 254
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]")


def check_key(key: str) -> None:
    """Raise ``OSError`` for a name that the service refuses, or would take for another.

    It reads a backslash as a slash, and drops a dot at the end of a component.
    """
    if _CONTROL.search(key):
        raise OSError(errno.EINVAL, "Azure takes no control characters in a name")
    if "\\" in key:
        raise OSError(errno.EINVAL, "Azure takes a backslash in a name for a slash")
    parts = key.split("/")
    if any(part.endswith(".") for part in parts):
        raise OSError(errno.EINVAL, "Azure drops a dot at the end of a name")
    if len(parts) > _DEEPEST:
        raise OSError(errno.ENAMETOOLONG, f"Azure takes at most {_DEEPEST} nested directories")
    # UTF-16 units, as .NET counts.
    if len(key.encode("utf-16-le")) // 2 > _LONGEST:
        raise OSError(
            errno.ENAMETOOLONG,
            f"a name in Azure has at most {_LONGEST} characters, with its directories",
        )
