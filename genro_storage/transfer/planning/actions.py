"""What a plan consists of: values that say what becomes of one entry. Pure: no I/O."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ...info import FileInfo

__all__ = [
    "WITH_CONTENT",
    "Action",
    "CompareFile",
    "Conflict",
    "CopyFile",
    "DeleteDirectory",
    "DeleteFile",
    "Filtered",
    "MakeDirectory",
    "SkipFile",
]


@dataclass(frozen=True, slots=True)
class CopyFile:
    """Copy ``source`` to ``relpath``, replacing ``target`` where that is known to be there.

    ``relpath`` is relative to the roots of the copy; ``source.path`` is relative to its mount.
    """

    relpath: str
    source: FileInfo
    target: FileInfo | None
    reason: str


@dataclass(frozen=True, slots=True)
class SkipFile:
    """Leave ``source`` uncopied: the target needs no change, or it is no regular file."""

    relpath: str
    source: FileInfo
    target: FileInfo | None
    reason: str


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make sure that the directory ``relpath`` (``""``: the root of the copy) is there."""

    relpath: str


@dataclass(frozen=True, slots=True)
class Filtered:
    """``source`` does not take part: the filters say so."""

    relpath: str
    source: FileInfo
    reason: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """The entry cannot be copied without losing something; carrying it out is an error.

    ``kind`` says which: a directory stands where a file should go (``is_directory``), a file
    where a directory should go (``not_directory``), the two cannot be compared
    (``incomparable``), or the name would leave the tree (``path``).
    """

    relpath: str
    message: str
    kind: Literal["is_directory", "not_directory", "incomparable", "path"]


@dataclass(frozen=True, slots=True)
class CompareFile:
    """Copy ``source`` over ``target`` unless both turn out to be the same.

    What the listings tell was not enough to decide. Whoever carries it out compares, which may
    take requests or reading, and does what ``CopyFile``, ``SkipFile`` or ``Conflict`` would say.
    """

    relpath: str
    source: FileInfo
    target: FileInfo


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """Remove ``target``, a file or a link, which the source has not (a mirror only)."""

    relpath: str
    target: FileInfo


@dataclass(frozen=True, slots=True)
class DeleteDirectory:
    """Remove the directory ``target``, which the source has not, where nothing is left in it."""

    relpath: str
    target: FileInfo


#: Whose content may be read. A tuple, as a union is made anew each time that it is asked about.
WITH_CONTENT = (CopyFile, CompareFile)

Action = (
    CopyFile
    | SkipFile
    | CompareFile
    | MakeDirectory
    | Filtered
    | Conflict
    | DeleteFile
    | DeleteDirectory
)


def _hasten(kind: Any) -> None:
    """Have values of a frozen class with these four fields made in half the time.

    What ``dataclass`` writes looks each field up by its name, and there is one such value for each
    file of a plan.
    """
    set_relpath, set_source, set_target, set_reason = (
        getattr(kind, each.name).__set__ for each in fields(kind)
    )

    def __init__(  # noqa: N807 - that is what it becomes
        self: Any, relpath: str, source: FileInfo, target: FileInfo | None, reason: str
    ) -> None:
        set_relpath(self, relpath)
        set_source(self, source)
        set_target(self, target)
        set_reason(self, reason)

    __init__.__qualname__ = f"{kind.__name__}.__init__"
    kind.__init__ = __init__


_hasten(CopyFile)
_hasten(SkipFile)
