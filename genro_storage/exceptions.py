"""Every error that genro_storage raises, and the one table that translates foreign ones.

Each class is also the standard exception that people would catch::

    StorageError
    ├── StorageNotFoundError          FileNotFoundError
    │   └── MountNotFoundError        KeyError
    ├── StorageConflictError          OSError (EBUSY)
    │   └── StorageExistsError        FileExistsError
    │       └── StorageCollisionError (two names that would become one file)
    ├── StoragePermissionError        PermissionError
    ├── StorageUnsupportedError       PermissionError, io.UnsupportedOperation
    ├── StorageIsDirectoryError       IsADirectoryError, ValueError
    ├── StorageNotDirectoryError      NotADirectoryError, ValueError
    ├── StorageNotEmptyError          OSError (ENOTEMPTY)
    ├── StorageFullError              OSError (ENOSPC, EDQUOT)
    ├── StorageTimeoutError           TimeoutError
    ├── StorageConnectionError        ConnectionError
    ├── StorageIOError                OSError (every other errno)
    │   └── StorageChangedError       (a source that changed while it was copied)
    ├── StorageValueError             ValueError
    │   └── StoragePathError          (a path that cannot be a node's)
    ├── StorageVersionError           IndexError
    ├── StorageConfigError            ValueError
    │   └── MountRootNotFoundError    StorageNotFoundError (so a FileNotFoundError too)
    └── StorageMissingExtraError      ImportError

``translate`` maps by type, then by ``errno``, then by HTTP status. Only the mount and the
handles that it hands out call it, so a message always names the node as the user wrote it.
"""

from __future__ import annotations

import errno as _errno
import io
import os
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PLACE: Final = "genro_storage_place"
#: Characters of what others say (a server may say anything, at any length) that a message takes in.
_LONGEST_DETAIL: Final = 500

__all__ = [
    "MountNotFoundError",
    "MountRootNotFoundError",
    "StorageChangedError",
    "StorageCollisionError",
    "StorageConfigError",
    "StorageConflictError",
    "StorageConnectionError",
    "StorageError",
    "StorageExistsError",
    "StorageFullError",
    "StorageIOError",
    "StorageIsDirectoryError",
    "StorageMissingExtraError",
    "StorageNotDirectoryError",
    "StorageNotEmptyError",
    "StorageNotFoundError",
    "StoragePathError",
    "StoragePermissionError",
    "StorageTimeoutError",
    "StorageUnsupportedError",
    "StorageValueError",
    "StorageVersionError",
    "translate",
    "translating",
]


class StorageError(Exception):
    """Base of every error of this library.

    ``node`` is the place as the user wrote it (``mount:path``), or None where no single node
    is concerned. ``errno`` is set where the standard base class is an ``OSError``.
    """

    default_errno: ClassVar[int | None] = None

    def __init__(self, message: str = "", *, node: str | None = None, errno: int | None = None):
        message = _without_doubled_colon(message, node)
        super().__init__(message)
        self.message = message
        self.node = node
        _fill(self, self.default_errno if errno is None else errno, message, node)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError's own __reduce__ would rebuild from (errno, strerror) and lose the node.
        made = type(self), self.message, self.node, getattr(self, "errno", None)
        notes = getattr(self, "__notes__", None)
        return (_rebuild, made, {"__notes__": notes}) if notes else (_rebuild, made)


def _without_doubled_colon(message: str, node: str | None) -> str:
    """``up: not found`` where the place that a message begins with is a mount's root, ``up:``.

    >>> _without_doubled_colon("up:: not found (reading)", "up:")
    'up: not found (reading)'
    >>> _without_doubled_colon("up:: x: not found (reading)", "up:: x")
    'up:: x: not found (reading)'
    """
    # A root is ``name:``, and a mount's name has neither of the two signs.
    if node is None or node[-1:] != ":" or node.count(":") != 1 or "/" in node:
        return message
    return node + message[len(node) + 1 :] if message.startswith(f"{node}: ") else message


def _fill(error: object, errno: int | None, message: str, node: str | None) -> None:
    """Give an error that is an OSError too what its handlers look for."""
    if isinstance(error, OSError):
        error.errno, error.strerror, error.filename = errno, message, node


def _rebuild(kind: type[StorageError], text: str, node: str | None, no: int | None) -> StorageError:
    return kind(text, node=node, errno=no)


class StorageNotFoundError(StorageError, FileNotFoundError):
    """The file, directory or mount does not exist."""

    default_errno: ClassVar[int | None] = _errno.ENOENT


class MountNotFoundError(StorageNotFoundError, KeyError):
    """No mount of that name is configured."""


class StorageConflictError(StorageError, OSError):
    """What is there is not what the caller has said: ``if_match`` or ``if_absent`` did not hold."""

    default_errno: ClassVar[int | None] = _errno.EBUSY


class StorageExistsError(StorageConflictError, FileExistsError):
    """Something is already there, and the call was not allowed to replace it."""

    default_errno: ClassVar[int | None] = _errno.EEXIST


class StorageCollisionError(StorageExistsError):
    """Two names would become one file where they are to go; nothing was written."""


class StoragePermissionError(StorageError, PermissionError):
    """The mount's permissions, or the storage behind it, forbid the operation."""

    default_errno: ClassVar[int | None] = _errno.EACCES


class StorageUnsupportedError(StorageError, PermissionError, io.UnsupportedOperation):
    """The backend cannot do this at all; its capabilities say so."""

    default_errno: ClassVar[int | None] = _errno.ENOTSUP


class StorageIsDirectoryError(StorageError, IsADirectoryError, ValueError):
    """A file was needed and a directory is there."""

    default_errno: ClassVar[int | None] = _errno.EISDIR


class StorageNotDirectoryError(StorageError, NotADirectoryError, ValueError):
    """A directory was needed and a file is there."""

    default_errno: ClassVar[int | None] = _errno.ENOTDIR


class StorageNotEmptyError(StorageError, OSError):
    """The directory still has entries."""

    default_errno: ClassVar[int | None] = _errno.ENOTEMPTY


class StorageFullError(StorageError, OSError):
    """No space, or no quota, is left."""

    default_errno: ClassVar[int | None] = _errno.ENOSPC


class StorageTimeoutError(StorageError, TimeoutError):
    """The storage did not answer in time."""

    default_errno: ClassVar[int | None] = _errno.ETIMEDOUT


class StorageConnectionError(StorageError, ConnectionError):
    """The storage could not be reached, or the connection broke."""

    default_errno: ClassVar[int | None] = _errno.ECONNRESET


class StorageIOError(StorageError, OSError):
    """Any other failure of the storage; ``errno`` holds its number where there is one."""

    default_errno: ClassVar[int | None] = _errno.EIO


class StorageChangedError(StorageIOError):
    """The source changed while it was being copied; the destination is as it was before."""


class StorageValueError(StorageError, ValueError):
    """An argument has a value that cannot be honoured."""


class StoragePathError(StorageValueError):
    """The text cannot be a node's path (``..``, NUL, an absolute or drive path)."""


class StorageVersionError(StorageError, IndexError):
    """The version asked for is not there."""


class StorageConfigError(StorageError, ValueError):
    """The configuration is wrong; the message names the mount, its type and the key."""


class MountRootNotFoundError(StorageConfigError, StorageNotFoundError):
    """The directory that a mount is to be rooted in does not exist."""


class StorageMissingExtraError(StorageError, ImportError):
    """An optional dependency is not installed; the message says what to install."""


class ChangedError(OSError):
    """What a backend raises where a file has not the ETag, any more, that a write was bound to."""

    def __init__(self, message: str = "it was changed or deleted meanwhile; read it again") -> None:
        super().__init__(_errno.EBUSY, message)

    def __reduce__(self) -> tuple[type[ChangedError], tuple[str]]:
        return type(self), (str(self.strerror),)


class SourceChangedError(OSError):
    """What a backend raises where the local file changes that it uploads."""

    def __init__(self, message: str = "the local file was changed while it was uploaded") -> None:
        super().__init__(_errno.EBUSY, message)

    def __reduce__(self) -> tuple[type[SourceChangedError], tuple[str]]:
        return type(self), (str(self.strerror),)


class TemporaryFileError(OSError):
    """A temporary file of this machine failed, and no storage did; its text names the fix.

    A directory for them that is missing is no file that is missing: its number decides no class.
    """


# -- where in a tree it happened ------------------------------------------------------------------


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


# -- translating ----------------------------------------------------------------------------------

# Order matters: the first row whose types match wins, subclasses before their bases.
_BY_TYPE: tuple[tuple[type[BaseException], type[StorageError], str], ...] = (
    (ChangedError, StorageConflictError, "has another ETag"),
    (SourceChangedError, StorageChangedError, "the source changed"),
    (FileNotFoundError, StorageNotFoundError, "not found"),
    (FileExistsError, StorageExistsError, "already exists"),
    (IsADirectoryError, StorageIsDirectoryError, "is a directory"),
    (NotADirectoryError, StorageNotDirectoryError, "is not a directory"),
    (PermissionError, StoragePermissionError, "permission denied"),
    (TimeoutError, StorageTimeoutError, "timed out"),
    (ConnectionError, StorageConnectionError, "connection failed"),
    (io.UnsupportedOperation, StorageUnsupportedError, "not supported"),
    (NotImplementedError, StorageUnsupportedError, "not supported"),
    (ImportError, StorageMissingExtraError, "a module is missing"),
    (UnicodeError, StoragePathError, "the name or text cannot be encoded"),
)

_BY_ERRNO: dict[int, tuple[type[StorageError], str]] = {
    _errno.ENOENT: (StorageNotFoundError, "not found"),
    _errno.EEXIST: (StorageExistsError, "already exists"),
    _errno.EISDIR: (StorageIsDirectoryError, "is a directory"),
    _errno.ENOTDIR: (StorageNotDirectoryError, "is not a directory"),
    _errno.ENOTEMPTY: (StorageNotEmptyError, "directory not empty"),
    _errno.EACCES: (StoragePermissionError, "permission denied"),
    _errno.EPERM: (StoragePermissionError, "operation not permitted"),
    _errno.EROFS: (StoragePermissionError, "the file system is read-only"),
    _errno.ENOSPC: (StorageFullError, "no space left on the storage"),
    _errno.EDQUOT: (StorageFullError, "quota exceeded"),
    _errno.EFBIG: (StorageFullError, "file too large for the storage"),
    _errno.ENAMETOOLONG: (StoragePathError, "name too long"),
    _errno.EINVAL: (StorageValueError, "invalid argument or name"),
    _errno.ELOOP: (StoragePermissionError, "symbolic links loop, or lead too deep"),
    _errno.ETIMEDOUT: (StorageTimeoutError, "timed out"),
    _errno.EHOSTUNREACH: (StorageConnectionError, "host unreachable"),
    _errno.ENETUNREACH: (StorageConnectionError, "network unreachable"),
    _errno.ENOTSUP: (StorageUnsupportedError, "not supported"),
    _errno.EPROTONOSUPPORT: (StorageConnectionError, "another kind of server"),
}

_BY_STATUS: dict[int, tuple[type[StorageError], str]] = {
    401: (StoragePermissionError, "the credentials were refused"),
    403: (StoragePermissionError, "access denied"),
    404: (StorageNotFoundError, "not found"),
    405: (StorageUnsupportedError, "not supported"),
    408: (StorageTimeoutError, "timed out"),
    409: (StorageExistsError, "conflicts with what is there"),
    410: (StorageNotFoundError, "not found"),
    412: (StorageExistsError, "a precondition failed"),
    416: (StorageValueError, "the requested range is outside the file"),
    429: (StorageConnectionError, "too many requests; try again later"),
    501: (StorageUnsupportedError, "not supported"),
    503: (StorageConnectionError, "the service is unavailable; try again later"),
    504: (StorageTimeoutError, "timed out"),
    507: (StorageFullError, "no space left on the storage"),
}


def translate(error: BaseException, *, node: str, action: str) -> StorageError:
    """Turn whatever a backend raised into ours, in the words the user used.

    ``node`` is ``mount:path``; ``action`` is a gerund phrase ("reading"). A StorageError comes
    back as it is. The caller raises the result ``from error``.

    >>> error = FileNotFoundError(2, "No such file or directory", "/srv/docs/a.txt")
    >>> str(translate(error, node="docs:a.txt", action="reading"))
    'docs:a.txt: not found (reading)'
    """
    if isinstance(error, StorageError):
        return error
    (kind, reason), detail = _classify(error), _detail(error)
    number = error.errno if isinstance(error, OSError) else None
    if number == _errno.ENAMETOOLONG and detail in ("", os.strerror(_errno.ENAMETOOLONG)):
        # A file system, which does not say its limit; other storages have their own and say it.
        detail = "most file systems allow 255 bytes a name"
    if detail == reason:
        detail = ""
    text = f"{node}: {reason} ({action})" + (f": {detail}" if detail else "")
    return kind(text, node=node, errno=number)


class translating:  # noqa: N801 - reads as the verb that it is, like contextlib.suppress
    """``with translating(node, action):`` raises whatever comes out of the block as ours.

    >>> with translating("docs:a.txt", "reading"):
    ...     raise TimeoutError
    Traceback (most recent call last):
      ...
    genro_storage.exceptions.StorageTimeoutError: docs:a.txt: timed out (reading)
    """

    __slots__ = ("_action", "_node")

    def __init__(self, node: str | Callable[[], str], action: str) -> None:
        """``node`` may be a function, where making the text costs and is seldom needed."""
        self._node = node
        self._action = action

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, StorageError):
            node = self._node if isinstance(self._node, str) else self._node()
            raise translate(error, node=node, action=self._action) from error


def _classify(error: BaseException) -> tuple[type[StorageError], str]:
    if isinstance(error, TemporaryFileError):
        full = _BY_ERRNO.get(error.errno or 0, (StorageIOError,))[0] is StorageFullError
        return (StorageFullError if full else StorageIOError), error.strerror or "failed"
    for foreign, kind, reason in _BY_TYPE:
        if isinstance(error, foreign):
            # EPERM and EACCES share a class but not a meaning, so errno refines the words.
            number = error.errno if isinstance(error, OSError) else None
            exact = _BY_ERRNO.get(number) if number is not None else None
            return exact if exact is not None and exact[0] is kind else (kind, reason)
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number in _BY_ERRNO:
        return _BY_ERRNO[number]
    status = _http_status(error)
    if status is not None:
        if status in _BY_STATUS:
            return _BY_STATUS[status]
        if 500 <= status < 600:
            return StorageConnectionError, f"the service failed with status {status}"
    if isinstance(error, OSError):
        return StorageIOError, "the storage failed"
    if isinstance(error, ValueError):
        return StorageValueError, "invalid value"
    return StorageIOError, f"{type(error).__name__}"


def _http_status(error: BaseException) -> int | None:
    """Where clients keep the status: on the error, on its response, or in botocore's dict."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        response = response.get("ResponseMetadata", {})
        candidate = response.get("HTTPStatusCode") if isinstance(response, dict) else None
        return candidate if isinstance(candidate, int) else None
    for holder in (error, response):
        for name in ("status", "status_code", "code"):
            candidate = getattr(holder, name, None)
            if isinstance(candidate, int) and 100 <= candidate < 600:
                return candidate
    return None


def _detail(error: BaseException) -> str:
    """What the foreign error adds: nothing where it only repeats errno and a physical path."""
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return ""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    # Cut before anything looks at all of it.
    text = text[: 2 * _LONGEST_DETAIL].strip()
    return text if len(text) <= _LONGEST_DETAIL else f"{text[:_LONGEST_DETAIL]}…"
