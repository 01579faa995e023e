"""Which spellings of a name are one file: seen by looking for a name in another spelling."""

from __future__ import annotations

import errno
import string
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from ..paths import Folding, parent_of
from .errors import RootNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .base import Backend

__all__ = ["CLOSED", "Told", "nearest_directory", "told_by"]

#: A directory takes no file; whoever copies into it is told so.
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)

# Systems agree on these; whoever folds other letters folds these, too.
_LETTERS = string.ascii_lowercase + string.ascii_uppercase
_SWAPPED = str.maketrans(_LETTERS, _LETTERS.swapcase())


class Told(NamedTuple):
    """As ``Folding``; None where nothing has told."""

    case: bool | None = None
    unicode: bool | None = None

    @property
    def is_sure(self) -> bool:
        """Whether all of it is known."""
        return None not in self

    def folding(self, *, case: bool = False) -> Folding:
        """What to believe, where ``case`` is what to believe of a storage that has not told."""
        return Folding(case if self.case is None else self.case, bool(self.unicode))


def told_by(names: Collection[str], is_there: Callable[[str], bool]) -> Told:
    """What the names of a directory tell, which are all of its names, or its only ones of a kind.

    A name whose other spelling is no entry of its own, and is there, has been found by folding.
    ``is_there`` is asked about few of them.
    """
    return Told(_told(names, _in_other_case, is_there), _told(names, _in_other_form, is_there))


def _told(
    names: Collection[str], spelled: Callable[[str], str], is_there: Callable[[str], bool]
) -> bool | None:
    known = names if isinstance(names, set | frozenset) else set(names)
    for name in names:
        other = spelled(name)
        if other in known:  # its own spelling, or somebody has made both
            continue
        if is_there(other):
            return True
        if is_there(name):
            return False
        # Removed since it was listed: the next one.
    return None


def _in_other_case(name: str) -> str:
    return name.translate(_SWAPPED)


def _in_other_form(name: str) -> str:
    composed = unicodedata.normalize("NFC", name)
    return composed if composed != name else unicodedata.normalize("NFD", name)


def nearest_directory(backend: Backend, path: str) -> str:
    """``path``, or the nearest above it that is a directory."""
    while path:
        try:
            if backend.stat(path).type == "directory":
                return path
        except RootNotFoundError:
            raise
        except (FileNotFoundError, NotADirectoryError):
            pass
        path = parent_of(path)
    return path
