"""The values that every layer speaks: what is known about a file, a version, a checksum."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = ["Attributes", "Checksum", "CleanupCount", "EntryType", "FileInfo", "FileVersion"]

EntryType = Literal["file", "directory", "link", "other"]


class Checksum(NamedTuple):
    """A digest and the name of its algorithm, as in ``hashlib`` (``md5``, ``sha256`` …)."""

    algorithm: str
    hexdigest: str


class CleanupCount(int):
    """How many temporary files ``cleanup`` has removed; ``left``: how many were too young to go.

    >>> found = CleanupCount(2, left=1)
    >>> found == 2, found.left
    (True, 1)
    """

    left: int

    def __new__(cls, removed: int, left: int = 0) -> Self:
        """A count, and how many were left."""
        made = super().__new__(cls, removed)
        made.left = left
        return made


class FileInfo(NamedTuple):
    """What a listing or a stat says about one entry.

    ``path`` is relative to whoever was asked, without leading or trailing slash; the root is
    ``""``. ``size`` is in bytes, None for a directory or where the storage does not say.
    ``mtime`` is in seconds since the epoch (UTC), None where unknown: never "now".
    ``type`` is ``link`` for a symbolic link that leads nowhere, in circles or out of the mount,
    and ``other`` for a device, socket or pipe; links that lead inside show what they lead to.
    ``symlink`` says that the entry itself is a link: removing it leaves what it leads to.
    ``etag`` is opaque and only says "changed or not"; a digest stands in ``checksum``.
    """

    path: str
    type: EntryType
    size: int | None = None
    mtime: float | None = None
    etag: str | None = None
    checksum: Checksum | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] | None = None
    version: str | None = None
    symlink: bool = False

    @property
    def name(self) -> str:
        """The last component of the path."""
        return self.path.rpartition("/")[2]

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file, or a link to one."""
        return self.type == "file"

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory, or a link to one."""
        return self.type == "directory"


class Attributes(NamedTuple):
    """What a writer asks a backend to keep beside the content, as far as the backend can.

    ``mtime`` in seconds since the epoch (UTC), ``mode`` the permission bits of a local file.
    """

    mtime: float | None = None
    mode: int | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One version of a file. ``last_modified`` is timezone-aware, ``size`` in bytes.

    ``is_delete_marker``: from then on the file was missing; such a version has no content.
    """

    version_id: str
    is_latest: bool
    last_modified: datetime
    size: int | None = None
    etag: str | None = None
    is_delete_marker: bool = False
    checksum: Checksum | None = None
