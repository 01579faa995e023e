"""How both backends of local files append: in one go, in turns, and cut off again on failure."""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import BinaryIO, cast

from ..temporary_files import SpooledFile
from .base import COPY_CHUNK, WriteHandle
from .local_write import PLAIN, is_at, lock

__all__ = ["AppendFile", "append_content"]

#: Seconds that an append waits for another program's lock on the file.
LOCK_WAIT = 30.0
_POLL = 0.01
_SPOOL = 8 * 1024 * 1024


class AppendFile(WriteHandle):
    """An addition in the making: spooled aside, then appended in one go at ``close()``.

    Nothing touches the file before ``close()``, and a failed append is cut off again. A kill in
    the very moment of appending can leave a part of the addition, never damage what was there.
    """

    def __init__(self, target: str, *, fsync: bool = False) -> None:
        super().__init__()
        self._spool = SpooledFile(_SPOOL)
        self._target = target
        self._fsync = fsync

    def write(self, data: object) -> int:
        return self._spool.write(data)

    def tell(self) -> int:
        return self._spool.tell()

    def _commit(self) -> None:
        append_content(self._target, cast("BinaryIO", self._spool), fsync=self._fsync)
        self._spool.close()

    def _abort(self) -> None:
        self._spool.close()


def append_content(target: str, source: BinaryIO, *, fsync: bool = False) -> None:
    """Add all of ``source`` to the end of ``target``, which is made where it is missing.

    Appenders of this library take turns by a lock on the file (flock), so that a failed one can
    be cut off; where there are no locks, ``O_APPEND`` still keeps their bytes apart. Another
    program that holds the lock is waited for ``LOCK_WAIT`` seconds, then ``TimeoutError``.
    """
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        descriptor, made = _open(target)
        try:
            _await_turn(descriptor, deadline)
            # While this one waited, the file may have been replaced or removed.
            if is_at(descriptor, target):
                _add(descriptor, target, source, made, fsync)
                return
        finally:
            os.close(descriptor)


def _open(target: str) -> tuple[int, bool]:
    """The open file, and whether it was made for this append."""
    # O_NONBLOCK: a pipe that has taken the name since must not be waited for.
    flags = os.O_WRONLY | os.O_APPEND | PLAIN | getattr(os, "O_NONBLOCK", 0)
    while True:
        try:
            descriptor = os.open(target, flags)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise PermissionError(errno.EACCES, "not a regular file (a device, socket or pipe)")
            return descriptor, False
        except FileNotFoundError:
            try:
                return os.open(target, flags | os.O_CREAT | os.O_EXCL, 0o666), True
            except FileExistsError:
                continue  # somebody was faster


def _await_turn(descriptor: int, deadline: float) -> None:
    while lock(descriptor) is False:
        if time.monotonic() >= deadline:
            raise TimeoutError(
                errno.ETIMEDOUT,
                f"waited {LOCK_WAIT:g} s for whoever holds the lock (flock) of the file; "
                "nothing was appended",
            )
        time.sleep(_POLL)


def _add(descriptor: int, target: str, source: BinaryIO, made: bool, fsync: bool) -> None:
    before = os.fstat(descriptor).st_size
    source.seek(0)
    written = 0
    try:
        while chunk := source.read(COPY_CHUNK):
            view = memoryview(chunk)
            while view:
                count = os.write(descriptor, view)
                written += count
                view = view[count:]
        if fsync:
            os.fsync(descriptor)
    except BaseException as error:
        # What a program that takes no turns has added meanwhile is not ours to cut off.
        if os.fstat(descriptor).st_size == before + written or (
            # An interrupt hides how much the last write took.
            not isinstance(error, OSError) and _ends_with_a_part_of(source, target, before)
        ):
            os.ftruncate(descriptor, before)
            if made and not before and is_at(descriptor, target):
                os.unlink(target)
        raise


def _ends_with_a_part_of(source: BinaryIO, target: str, start: int) -> bool:
    """Whether everything in the file from ``start`` on is how ``source`` begins."""
    source.seek(0)
    with open(target, "rb", buffering=0) as found:
        found.seek(start)
        while chunk := found.read(COPY_CHUNK):
            if chunk != source.read(len(chunk)):
                return False
    return True
