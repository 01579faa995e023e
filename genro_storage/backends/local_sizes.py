"""Local files of which the system does not say the size, as below /proc and /sys, or on FUSE."""

from __future__ import annotations

import os
import stat as st

__all__ = ["is_size_untold", "may_be_untold"]

#: Up to here a size that no block stands for may be one that is said of every file.
_MADE_UP = 64 * 1024


def may_be_untold(found: os.stat_result) -> bool:
    """Whether there may be more, or less, in a file than this says: nothing of it is on a disk."""
    return (
        st.S_ISREG(found.st_mode)
        and getattr(found, "st_blocks", 0) == 0
        and found.st_size <= _MADE_UP
    )


def is_size_untold(path: str | os.PathLike[str]) -> bool:
    """Whether a file has another length than the system says. Others are not even opened."""
    if not may_be_untold(os.stat(path)):
        return False
    with open(path, "rb", buffering=0) as file:
        said = os.fstat(file.fileno()).st_size
        length = 0
        while length <= said and (part := file.read(said + 1 - length)):
            length += len(part)
    return length != said
