"""Which names a share can hold: those that Windows can, whatever the server would do. Pure.

A Samba server takes some names that Windows cannot open (``CON``, a dot at the end) and then lists
them under an invented one, so that a file would not be found by the name it was written under.
Others mean something else in the protocol: a backslash separates, a colon names a stream.
"""

from __future__ import annotations

import errno
import re

__all__ = ["refusal", "refuse", "spelled"]

_LONGEST = 255
_FORBIDDEN = re.compile(r'[\x00-\x1f\\:*?"<>|]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³])[ ]*(?:\.|\Z)", re.IGNORECASE)


def refusal(path: str) -> str | None:
    """Why this path cannot be made on a share; None where it can.

    >>> refusal("a/b [1].txt") is None
    True
    >>> refusal("a/what?.txt")
    "'?' cannot be in a name on an SMB share"
    """
    problem = _meaningless(path)
    if problem is not None:
        return problem
    for name in path.split("/"):
        if name.endswith((".", " ")):
            return "a name on an SMB share cannot end with a dot or a space"
        if _RESERVED.match(name):
            return f"{name!r} is the name of a device on Windows; no share can hold it"
    return None


def refuse(path: str) -> None:
    """Raise ``OSError`` where the path cannot be made on a share."""
    problem = refusal(path)
    if problem is not None:
        raise OSError(errno.EINVAL, problem)


def spelled(root: str, path: str) -> str:
    """The path as the protocol has it; ``FileNotFoundError`` where no server can have it.

    Less strict than ``refuse``: what a listing shows, whoever made it, can be read and removed.
    """
    problem = _meaningless(path)
    if problem is not None:
        raise FileNotFoundError(errno.ENOENT, problem)
    return "\\".join(part for part in (root.replace("/", "\\"), path.replace("/", "\\")) if part)


def _meaningless(path: str) -> str | None:
    """Why the protocol cannot express a path."""
    for name in path.split("/"):
        found = _FORBIDDEN.search(name)
        if found is not None:
            return f"{found[0]!r} cannot be in a name on an SMB share"
        try:
            units = len(name.encode("utf-16-le")) // 2
        except UnicodeEncodeError:
            return "a name on an SMB share must be valid Unicode"
        if units > _LONGEST:
            return f"a name on an SMB share has at most {_LONGEST} characters"
    return None
