"""How directories of this machine take names: found out in each, since they differ on one disk.

NTFS and ext4 fold case directory by directory, and a share or another disk may be mounted anywhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from .local_write import PLAIN, lock
from .spellings import CLOSED, Told, told_by
from .temporary_names import spelling_name, unique_name

if TYPE_CHECKING:
    from ..paths import Folding

__all__ = ["LocalNames"]

_KNOWN = 256
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | PLAIN
#: The file system has no such letter.
_UNKNOWN = (errno.EILSEQ, errno.EINVAL)


class LocalNames:
    """What was found out, by directory."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Folding] = {}

    def folding(self, directory: str) -> Folding:
        """Of a physical directory.

        An empty file is made there for a moment, under a hidden name; where that is not to be, the
        names that are there must do.
        """
        found = os.stat(directory)
        place = found.st_dev, found.st_ino
        known = self._known.get(place)
        if known is None:
            known = _look(directory).folding()
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[place] = known
        return known


def _look(directory: str) -> Told:
    for name in (spelling_name(), unique_name("")):
        try:
            descriptor = os.open(f"{directory}/{name}", _FLAGS, 0o600)
        except UnicodeEncodeError:
            continue
        except OSError as error:
            if error.errno in _UNKNOWN:
                continue
            if error.errno in CLOSED:
                break
            raise
        try:
            lock(descriptor)  # against cleanup() in another process
            return told_by([name], lambda other: _is_there(f"{directory}/{other}"))
        finally:
            os.close(descriptor)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{directory}/{name}")
    try:
        names = os.listdir(directory)
    except PermissionError:
        return Told()
    return told_by(names, lambda other: _is_there(f"{directory}/{other}"))


def _is_there(full: str) -> bool:
    try:
        os.lstat(full)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
        return False
    return True
