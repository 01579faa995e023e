"""Renaming a file to its own name in other letters, where the server takes both for one file."""

from __future__ import annotations

import contextlib
import unicodedata
from typing import TYPE_CHECKING, cast

from ..temporary_names import unique_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..remote import RemoteFilesystem
    from .filesystem import WebdavFilesystem

__all__ = ["first_difference", "respell"]


def first_difference(source: str, target: str) -> tuple[str, str, str] | None:
    """Where two paths part that some server may take for one: the directory, and both names in it.

    Windows and macOS ignore case, the former also dots and spaces at the end of a name, the latter
    how an accent is encoded. None for paths that are two to every server.

    >>> first_difference("d/A.TXT/x", "d/a.txt./x"), first_difference("a", "b")
    (('d', 'A.TXT', 'a.txt.'), None)
    """
    if source == target or _folded(source) != _folded(target):
        return None
    above: list[str] = []
    for mine, other in zip(source.split("/"), target.split("/"), strict=True):
        if mine != other:
            return "/".join(above), mine, other
        above.append(mine)
    return None


def _folded(path: str) -> str:
    plain = unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())
    return "/".join(part.rstrip(". ") for part in plain.split("/"))


def respell(
    remote: RemoteFilesystem, here: str, there: str, take_name: Callable[[str], None]
) -> None:
    """Give the file its other name; ``take_name`` renames a copy of it to ``there``.

    To make room for a MOVE the server would remove what is to be moved; so it does that for a copy.
    """
    temporary = there[: there.rfind("/") + 1] + unique_name(there)
    try:
        remote.cp_file(here, temporary)
        take_name(temporary)
    except BaseException:
        if _is_there(remote, here):
            with contextlib.suppress(FileNotFoundError):
                remote.rm_file(temporary)
        else:
            # The server has made room, and no more: the copy is all there is.
            remote.call_until_done(
                lambda fs: cast("WebdavFilesystem", fs).mv_if_absent(temporary, here),
                FileNotFoundError,
            )
        raise


def _is_there(remote: RemoteFilesystem, full: str) -> bool:
    try:
        remote.info(full)
    except FileNotFoundError:
        return False
    return True
