"""The names that writers give to what is not finished yet, and how they are told from others.

The local backend numbers them (``.genro-tmp-<digest>-<slot>``), since its locks tell a living
writer's file from a dead one's; fsspec's are unique (``.genro-tmp-<digest>-<process>-<random>``).
Both backends hide the files of both, since they may look at one directory, and nothing else: a
directory or a link of such a name is somebody's own. What is made to see how a directory takes
names (``spelling_name``) is unique, and ends in an accented letter.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets

__all__ = [
    "PREFIX",
    "is_temporary",
    "numbered_name",
    "refuse_temporary",
    "spelling_name",
    "unique_name",
]

PREFIX = ".genro-tmp-"
# The accented letter in both of its forms: some systems list another than the one that was written.
_PATTERN = re.compile(r"\.genro-tmp-[0-9a-f]{20}-[0-9]+(-[0-9a-f]{12}(-(\u00e9|e\u0301))?)?\Z")


def _stem(name: str) -> str:
    """Short whatever the length of ``name``."""
    # Names of other systems may hold what no encoding has: the bytes only have to differ.
    encoded = name.encode("utf-8", "surrogatepass")
    return PREFIX + hashlib.blake2b(encoded, digest_size=10).hexdigest()


def numbered_name(name: str, slot: int) -> str:
    """A hidden sibling name for what will be ``name``; the same one for the same ``slot``."""
    return f"{_stem(name)}-{slot}"


def unique_name(name: str) -> str:
    """A hidden sibling name for what will be ``name`` that nobody else makes."""
    return f"{_stem(name)}-{os.getpid()}-{secrets.token_hex(6)}"


def spelling_name() -> str:
    """A hidden name with more than one spelling, in case and in normal form, that nobody else makes."""
    return unique_name("") + "-\u00e9"


def is_temporary(name: str) -> bool:
    """Whether a writer of this library made this name.

    >>> is_temporary(".genro-tmp-0123456789abcdef0123-0"), is_temporary(".genro-tmp-notes.txt")
    (True, False)
    """
    return name.startswith(PREFIX) and _PATTERN.match(name) is not None


def refuse_temporary(path: str) -> None:
    """Raise ``OSError`` where a new file would vanish among the temporary ones."""
    if PREFIX in path and is_temporary(path.rpartition("/")[2]):
        raise OSError(
            errno.EINVAL,
            f"names of the form {PREFIX}<20 hex digits>-<number> are those of unfinished writes, "
            "which are hidden and removed; choose another name",
        )
