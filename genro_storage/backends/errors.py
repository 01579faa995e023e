"""The errors of backends that the standard library has no class for."""

from __future__ import annotations

import errno

__all__ = ["RootNotFoundError", "UntrustedServerError", "WrongServerError", "root_missing"]


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


class UntrustedServerError(ConnectionError):
    """No secure connection comes about, and none would at another attempt."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EPROTO, message)

    def __reduce__(self) -> tuple[type[UntrustedServerError], tuple[str]]:
        return type(self), (str(self.strerror),)
