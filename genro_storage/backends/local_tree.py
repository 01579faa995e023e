"""Whole directory trees of this machine, of any depth: the standard library's ways recurse."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ..exceptions import locating

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["locating_below", "make_directories", "remove_directories", "walk_files"]

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


def _say_where(_: object, full: str, failed: Any) -> NoReturn:
    """The standard library knows the path, and leaves it out of what the system raised."""
    error = failed[1] if isinstance(failed, tuple) else failed
    if isinstance(error, OSError):
        error.filename = full
    raise error


_SAYING_WHERE: Final[dict[str, Any]] = {
    "onexc" if sys.version_info >= (3, 12) else "onerror": _say_where
}


def remove_directories(path: str) -> None:
    """``shutil.rmtree``, which holds an open directory per level, for any number of levels."""
    try:
        shutil.rmtree(path, **_SAYING_WHERE)
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


@contextlib.contextmanager
def locating_below(full: str, path: str) -> Generator[None]:
    """As ``locating``, where the system names the file itself; ``full`` is where ``path`` lies."""
    try:
        yield
    except OSError as error:
        above = full.rstrip("/") + "/"
        if isinstance(error.filename, str) and error.filename.startswith(above):
            below = error.filename.removeprefix(above)
            with locating(f"{path}/{below}" if path else below):
                raise
        raise


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
