"""What happens while a copy runs, as values. Pure: no I/O.

A ``Reporter`` is called with each, in the thread that started the copy; what it raises stops it.
One whose attribute ``needs_totals`` is false is not told beforehand how much a tree is: then it is
copied while it is listed, and not held in memory. One whose ``follows_files`` is false hears only
what has become of each file, which costs less; of small files within this machine, up to 32 at a
time. One with a true ``from_any_thread`` may be called by any thread, one after the other or at
once, and so hears at once of bytes that other threads move.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from .report import TransferReport

__all__ = [
    "BytesMoved",
    "Event",
    "FileDone",
    "FileFailed",
    "FileSkipped",
    "FileStarted",
    "Finished",
    "Reporter",
    "Retried",
    "Started",
]


class _Told:
    __slots__ = ()

    event: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json.dumps`` takes, ``event`` first."""
        found: dict[str, Any] = {"event": self.event}
        for field in fields(self):  # type: ignore[arg-type]  # each kind is a dataclass
            found[field.name] = getattr(self, field.name)
        return found


class _ToldWithCause(_Told):
    __slots__ = ()

    error: BaseException

    def to_dict(self) -> dict[str, Any]:
        """Plain values; ``error`` is what it says, ``error_type`` the name of its class."""
        found = super().to_dict()
        found.update(error=str(self.error), error_type=type(self.error).__name__)
        return found


@dataclass(frozen=True, slots=True)
class Started(_Told):
    """The copy begins, or knows more about how much it is; None where nobody knows.

    ``files`` counts all that will be told of, copied or skipped; ``bytes`` sums up their sizes.
    """

    event: ClassVar[str] = "started"

    files: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class FileStarted(_Told):
    """A file is being copied; ``size`` in bytes, None where the source does not say."""

    event: ClassVar[str] = "file_started"

    relpath: str
    size: int | None


@dataclass(frozen=True, slots=True)
class BytesMoved(_Told):
    """So many more bytes of the file have gone; what is sent twice is told twice.

    >>> BytesMoved("a.bin", 1024).to_dict()
    {'event': 'bytes_moved', 'relpath': 'a.bin', 'count': 1024}
    """

    event: ClassVar[str] = "bytes_moved"

    relpath: str
    count: int


@dataclass(frozen=True, slots=True)
class FileDone(_Told):
    """The file is at its destination, all ``size`` bytes of it, whoever has moved them."""

    event: ClassVar[str] = "file_done"

    relpath: str
    size: int


@dataclass(frozen=True, slots=True)
class FileSkipped(_Told):
    """The file was left alone, and why."""

    event: ClassVar[str] = "file_skipped"

    relpath: str
    size: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class FileFailed(_ToldWithCause):
    """The file could not be copied; what stood at its destination still does."""

    event: ClassVar[str] = "file_failed"

    relpath: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class Retried(_ToldWithCause):
    """A request about the file has failed and is made once more.

    >>> Retried("a", TimeoutError("no answer")).to_dict()["error_type"]
    'TimeoutError'
    """

    event: ClassVar[str] = "retried"

    relpath: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class Finished(_Told):
    """Nothing more comes; also after a copy that has failed."""

    event: ClassVar[str] = "finished"

    report: TransferReport

    def to_dict(self) -> dict[str, Any]:
        """Plain values; ``report`` as ``TransferReport.to_dict`` gives it."""
        return {"event": self.event, "report": self.report.to_dict()}


Event = (
    Started | FileStarted | BytesMoved | FileDone | FileSkipped | FileFailed | Retried | Finished
)
Reporter = Callable[[Event], object]
