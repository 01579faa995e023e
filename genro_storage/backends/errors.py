"""The one error of a backend that the standard library has no class for."""

from __future__ import annotations

import errno

__all__ = ["RootNotFoundError"]


class RootNotFoundError(FileNotFoundError):
    """What a mount stands on is not there: its bucket, share, archive, repository.

    Everything in it is "not found" as well, but the fix is another one, so that the message must
    survive: ``RootNotFoundError("the bucket 'x' does not exist; create it or correct 'bucket'")``.
    """

    def __init__(self, message: str) -> None:
        super().__init__(errno.ENOENT, message)

    def __reduce__(self) -> tuple[type[RootNotFoundError], tuple[str]]:
        return type(self), (str(self.strerror),)
