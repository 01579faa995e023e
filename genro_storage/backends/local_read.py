"""The contents of open local files, in as few calls as they take."""

from __future__ import annotations

import errno
import os
import stat as st

from ..exceptions import SourceChangedError
from .local_sizes import may_be_untold
from .local_write import PLAIN

__all__ = ["READ", "length_of", "open_regular", "read_range", "read_unchanged", "require_regular"]

_BLOCK = 1 << 24

# O_NONBLOCK so that opening a named pipe fails instead of waiting for a writer for ever.
READ = os.O_RDONLY | PLAIN | getattr(os, "O_NONBLOCK", 0)


def require_regular(descriptor: int) -> os.stat_result:
    """The status of an open file; ``OSError`` where it is none that has a content."""
    found = os.fstat(descriptor)
    if st.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    if not st.S_ISREG(found.st_mode):
        raise PermissionError(errno.EACCES, "not a regular file (a device, socket or pipe)")
    return found


def open_regular(full: str) -> int:
    """Open a regular file, and nothing else that has its name by now, a link neither."""
    descriptor = os.open(full, READ)
    try:
        require_regular(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def length_of(descriptor: int) -> int:
    """Bytes of an open file, counted where the system does not surely say it."""
    found = os.fstat(descriptor)
    if not may_be_untold(found):
        return found.st_size
    length = 0
    while part := os.pread(descriptor, _BLOCK, length):
        length += len(part)
    return length


def read_range(descriptor: int, size: int, start: int, end: int | None) -> bytes:
    """The bytes from ``start`` up to ``end`` (None: to the end) of a file that had ``size``."""
    if start:
        os.lseek(descriptor, start, os.SEEK_SET)
    wanted = (size if end is None else end) - start
    if wanted <= 0 and end is not None:
        return b""
    # One byte more than expected, so that a file which grows is read to its end.
    data = os.read(descriptor, max(wanted, 0) + (end is None))
    if len(data) == wanted:
        return data
    return _read_on(descriptor, data, None if end is None else wanted)


def read_unchanged(descriptor: int, before: os.stat_result) -> bytes:
    """All of a file; ``SourceChangedError`` where somebody wrote into it meanwhile."""
    data = read_range(descriptor, before.st_size, 0, None)
    after = os.fstat(descriptor)
    is_told = len(data) == after.st_size or may_be_untold(before)
    if not is_told or after.st_mtime_ns != before.st_mtime_ns:
        raise SourceChangedError("the file changed while it was read")
    return data


def _read_on(descriptor: int, data: bytes, wanted: int | None) -> bytes:
    """Go on where one read gave less than all (over 2 GiB) or more than expected."""
    parts = [data]
    length = len(data)
    while wanted is None or length < wanted:
        more = os.read(descriptor, _BLOCK if wanted is None else wanted - length)
        if not more:
            break
        parts.append(more)
        length += len(more)
    return b"".join(parts)
