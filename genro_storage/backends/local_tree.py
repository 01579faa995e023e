"""Whole directory trees of this machine, of any depth: the standard library's ways recurse."""

from __future__ import annotations

import errno
import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["make_directories", "remove_directories", "walk_files"]

_TOO_DEEP = (errno.EMFILE, errno.ENFILE)


def make_directories(path: str) -> None:
    """``os.makedirs(path, exist_ok=True)`` for more levels than Python's stack has."""
    missing: list[str] = []
    while True:
        try:
            os.mkdir(path)
        except FileNotFoundError:
            missing.append(path)
            path = os.path.dirname(path)
            continue
        except FileExistsError:
            if not os.path.isdir(path):
                raise NotADirectoryError(errno.ENOTDIR, "a part of the path is a file") from None
        if not missing:
            return
        path = missing.pop()


def remove_directories(path: str) -> None:
    """``shutil.rmtree``, which holds an open directory per level, for any number of levels."""
    try:
        shutil.rmtree(path)
    except RecursionError:
        pass
    except OSError as error:
        if error.errno not in _TOO_DEEP:
            raise
    else:
        return
    order = [path]
    for above in order:  # grows while it is walked: each directory stands before what is in it
        with os.scandir(above) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    order.append(entry.path)
                else:
                    os.unlink(entry.path)
    for directory in reversed(order):
        os.rmdir(directory)


def walk_files(path: str) -> Iterator[str]:
    """Every entry below ``path`` that is no directory; links are entries, never followed."""
    waiting = [path]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry.path
        except FileNotFoundError:
            continue  # removed since its name was read
