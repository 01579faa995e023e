"""What the standard library has no error for: a missing root, and where in a tree something failed."""

from __future__ import annotations

import errno
from typing import Final

__all__ = ["RootNotFoundError", "WrongServerError", "locating", "place_of", "root_missing"]

_PLACE: Final = "genro_storage_place"


class RootNotFoundError(FileNotFoundError):
    """What a mount stands on is not there: its bucket, share, archive, repository.

    Everything in it is "not found" as well, but the fix is another one, so that the message must
    survive: ``RootNotFoundError("the bucket 'x' does not exist; create it or correct 'bucket'")``.
    """

    def __init__(self, message: str) -> None:
        super().__init__(errno.ENOENT, message)

    def __reduce__(self) -> tuple[type[RootNotFoundError], tuple[str]]:
        return type(self), (str(self.strerror),)


def root_missing(error: FileNotFoundError) -> RootNotFoundError:
    """The same where a whole bucket or container is not found, and the server has not said that."""
    if isinstance(error, RootNotFoundError):
        return error
    return RootNotFoundError(
        "the server answers, and knows nothing of this bucket or container; check its name, and "
        "that 'endpoint_url' leads to a server of this kind"
    )


class WrongServerError(OSError):
    """What answers speaks another protocol: asking again is in vain, and nothing was "denied".

    The text names the address, and the key that leads there.
    """

    def __init__(self, message: str) -> None:
        super().__init__(errno.EPROTONOSUPPORT, message)

    def __reduce__(self) -> tuple[type[WrongServerError], tuple[str]]:
        return type(self), (str(self.strerror),)


class locating:  # noqa: N801 - reads as a clause: with locating("d/closed")
    """Whatever comes out of the block failed at this path of the backend, not at the tree's root.

    The innermost block knows best: a place that is known already stays.

    >>> try:
    ...     with locating("d"), locating("d/closed"):
    ...         raise PermissionError
    ... except PermissionError as error:
    ...     place_of(error)
    'd/closed'
    """

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            vars(error).setdefault(_PLACE, self._path)


def place_of(error: BaseException) -> str | None:
    """Where in the backend a call on a whole tree failed, where that is known."""
    found = vars(error).get(_PLACE)
    return found if isinstance(found, str) else None
