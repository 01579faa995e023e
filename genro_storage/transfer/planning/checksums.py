"""Digests of local files that are remembered as long as the files look unchanged."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from typing import TYPE_CHECKING

from ...exceptions import StorageValueError
from ...info import Checksum

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = ["ChecksumCache"]

_SCHEMA = """
create table if not exists digests (
    path text not null, algorithm text not null, size integer not null, mtime_ns integer not null,
    inode integer not null, device integer not null, ctime_ns integer not null, digest text not null,
    primary key (path, algorithm)
) without rowid
"""
#: Nanoseconds: a file that was modified a moment ago may be modified again within one tick of its
#: file system's clock, and look the same (the "racy" entries of Git's index).
_TOO_FRESH = 2_000_000_000


class ChecksumCache:
    """A file that remembers digests by path, size, time of modification and of change, and inode.

    For trees whose unchanged files are compared by content again and again (``skip="hash"``).
    Safe to use from several threads and processes at once. Losing the file costs reading.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     name = os.path.join(directory, "a.txt")
    ...     with open(name, "w") as file:
    ...         _ = file.write("a")
    ...     os.utime(name, (0, 0))
    ...     with ChecksumCache(os.path.join(directory, "digests.db")) as cache:
    ...         cache.get(name, "md5", lambda: Checksum("md5", "0cc1…")).hexdigest
    '0cc1…'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """``path`` is the file, which is made where it is missing; its directory must be there."""
        self.path: str = os.fspath(path)
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(self.path, check_same_thread=False, timeout=30)
            # A lost last entry after a crash is no harm.
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = off")
            self._database.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise StorageValueError(
                f"{self.path}: cannot be used to remember checksums ({error}); name a file that "
                "is to be made, in a directory that can be written to"
            ) from error

    def get(self, path: str, algorithm: str, compute: Callable[[], Checksum]) -> Checksum:
        """The digest of a local file: the remembered one, or ``compute()``, which is remembered."""
        before = os.stat(path)
        real = os.path.realpath(path)
        with self._lock:
            row = self._database.execute(
                "select size, mtime_ns, inode, device, ctime_ns, digest from digests "
                "where path = ? and algorithm = ?",
                (os.fsencode(real), algorithm),
            ).fetchone()
        if row is not None and row[:5] == _look(before):
            return Checksum(algorithm, row[5])
        found = compute()
        after = os.stat(path)
        if _look(after) == _look(before) and time.time_ns() - after.st_mtime_ns > _TOO_FRESH:
            with self._lock, self._database:
                self._database.execute(
                    "insert or replace into digests values (?, ?, ?, ?, ?, ?, ?, ?)",
                    (os.fsencode(real), algorithm, *_look(after), found.hexdigest),
                )
        return found

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _look(found: os.stat_result) -> tuple[int, int, int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev, found.st_ctime_ns
