"""Making a file under a hidden name: each attempt of a repetition under one of its own.

A server that was silent may still carry out what its client has given up: while the next attempt
is made, or between that and the renaming. Were the name the same, it would cut short what is
complete by then, and a part would be renamed.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, cast

from ..remote import repeated
from ..temporary_names import unique_name
from .settings import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from ..remote import Bounds, RemoteFilesystem
    from .filesystem import WebdavFilesystem

    #: What makes a file of that name.
    Step = Callable[[WebdavFilesystem, str], None]

__all__ = ["beside"]

_log = logging.getLogger("genro_storage")


@contextlib.contextmanager
def beside(remote: RemoteFilesystem, bounds: Bounds, full: str) -> Generator[Callable[[Step], str]]:
    """What makes a file beside ``full`` by a step, repeated, and returns its name.

    The block gives it another name. What failed attempts have left is removed in the end, and
    the file itself where the block fails.
    """
    above = full[: full.rfind("/") + 1]
    left: list[str] = []

    def attempt(step: Step) -> str:
        def once(_: int) -> str:
            name = above + unique_name(full)
            left.append(name)
            try:
                remote.once(lambda fs: step(cast("WebdavFilesystem", fs), name))
            except (FileNotFoundError, BadRequestError):
                left.remove(name)  # there was nothing to make it in
                raise
            return name

        return repeated(bounds, once)

    try:
        yield attempt
        left.pop()
    finally:
        for name in reversed(left):
            try:
                remote.rm_file(name)
            except FileNotFoundError:
                continue
            except OSError as error:  # whatever has failed before matters more
                _log.debug("%r is left behind: %s", name, error)
                break
