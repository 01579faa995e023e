"""Taking turns at a name: what creates a file only if it is absent, exactly.

The conditional requests of HTTP do not: measured with eight clients at once, Apache 2.4 and
wsgidav 4 let several of them succeed with ``If-None-Match: *``, with ``Overwrite: F`` and (Apache)
with LOCK on a new name, since they look first and act later. Making a directory succeeds once, on
every server over a file system. So whoever creates a file makes a hidden directory beside it first
and removes it afterwards; who finds one waits, and takes one away that was left by a killed
client. Other programs that use the conditions are respected as far as the server does.
"""

from __future__ import annotations

import contextlib
import errno
import random
import time
from typing import TYPE_CHECKING, cast

from ..temporary_names import is_temporary, numbered_name, unique_name
from .settings import FailedError, is_misread

if TYPE_CHECKING:
    from collections.abc import Generator

    from ...info import FileInfo
    from ..remote import RemoteFilesystem
    from .filesystem import WebdavFilesystem

__all__ = ["is_turn", "turn"]

#: A turn is two requests long; one that is this old (seconds) belongs to nobody any more.
_STALE = 30.0
_LONGEST_PAUSE = 0.2
#: Refusals after which they are believed: some ten seconds.
_REFUSALS = 50
# No process has the number 0, so that no file of a writer is called so.
_MARK = "-000000000000"


def _turn_of(full: str) -> str:
    above, slash, name = full.rpartition("/")
    return f"{above}{slash}{numbered_name(name, 0)}{_MARK}"


def is_turn(info: FileInfo) -> bool:
    """Whether it is the directory of somebody's turn."""
    return info.type == "directory" and info.name.endswith(f"-0{_MARK}") and is_temporary(info.name)


@contextlib.contextmanager
def turn(remote: RemoteFilesystem, full: str) -> Generator[None]:
    """The block runs while no other one runs for the same name, by any client of this library.

    Raises ``TimeoutError`` where the name is never free for half a minute and a bit.
    """
    place = _turn_of(full)
    deadline = time.monotonic() + 2 * _STALE
    pause = 0.01
    refusals = 0
    while True:
        try:
            # Once: after an attempt whose answer is lost nobody knows whose turn it is.
            remote.once(lambda fs: fs.mkdir(place, create_parents=False))
            break
        except FileExistsError:
            refusals = 0
        except (PermissionError, FailedError):
            # Also what Apache and wsgidav say where another was first, who may have finished by now.
            refusals += 1
            if refusals == _REFUSALS:
                raise
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "others are creating it all the time")
        _take_away_if_stale(remote, place)
        time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - not a secret
        pause = min(2 * pause, _LONGEST_PAUSE)
    try:
        yield
    finally:
        # What came of the block matters more; one that stays is taken away by the next.
        with contextlib.suppress(OSError):
            remote.rmdir(place)


def _take_away_if_stale(remote: RemoteFilesystem, place: str) -> None:
    # Whatever is wrong shows again when the turn is asked for.
    with contextlib.suppress(OSError):
        age = remote.call(lambda fs: cast("WebdavFilesystem", fs).age(place))
        if age is None or age < _STALE:
            return
        if is_misread(place):
            remote.rmdir(place)
            return
        # By its new name only one of those who find it stale removes it.
        gone = f"{place.rpartition('/')[0]}/{unique_name(place)}".lstrip("/")
        remote.once(lambda fs: cast("WebdavFilesystem", fs).mv_if_absent(place, gone))
        age = remote.call(lambda fs: cast("WebdavFilesystem", fs).age(gone))
        if age is not None and age < _STALE:
            # Somebody was faster, and the turn is another one by now: it gets its place back.
            remote.once(lambda fs: cast("WebdavFilesystem", fs).mv_if_absent(gone, place))
            return
        remote.rmdir(gone)
