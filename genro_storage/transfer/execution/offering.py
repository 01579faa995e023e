"""What goes along with the content of a file, as far as the destination keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...info import Attributes

if TYPE_CHECKING:
    from ...info import FileInfo

__all__ = ["joined", "offered"]


def offered(info: FileInfo, kept_mtime: float | None = None) -> Attributes:
    """What its listing says, and the time that was kept with it where one was."""
    mtime = info.mtime if kept_mtime is None else kept_mtime
    return Attributes(mtime, None, info.content_type, info.metadata, offered=True)


def joined(info: FileInfo, kept: Attributes) -> Attributes:
    """What was kept with a file, and where that says nothing, what its listing says."""
    return Attributes(
        info.mtime if kept.mtime is None else kept.mtime,
        kept.mode,
        kept.content_type or info.content_type,
        kept.metadata if kept.metadata is not None else info.metadata,
        offered=True,
    )
