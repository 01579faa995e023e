"""The values that every layer speaks: what is known about a file, a version, a checksum."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypedDict, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Self

__all__ = [
    "Attributes",
    "Checksum",
    "CleanupCount",
    "Coming",
    "Descriptor",
    "EntryType",
    "FileInfo",
    "FileVersion",
    "Finding",
    "Loaded",
    "WriteOptions",
]

T = TypeVar("T")
U = TypeVar("U")

EntryType = Literal["file", "directory", "link", "other"]


class Checksum(NamedTuple):
    """A digest and the name of its algorithm, as in ``hashlib`` (``md5``, ``sha256`` …)."""

    algorithm: str
    hexdigest: str


class CleanupCount(int):
    """How many temporary files ``cleanup`` has removed; ``left``: how many were too young to go.

    ``names`` and ``left_names`` are the files that they were to become, where that is known: those
    of unfinished uploads to a bucket.

    >>> found = CleanupCount(2, left=1)
    >>> found == 2, found.left
    (True, 1)
    """

    left: int
    names: tuple[str, ...]
    left_names: tuple[str, ...]

    def __new__(
        cls,
        removed: int,
        left: int = 0,
        names: Iterable[str] = (),
        left_names: Iterable[str] = (),
    ) -> Self:
        """A count, how many were left, and the names of both."""
        made = super().__new__(cls, removed)
        made.left = left
        made.names, made.left_names = tuple(names), tuple(left_names)
        return made

    def below(self, directory: str, path: str = "") -> Self:
        """The same with names as told where ``directory``, at or below which all are, is ``path``.

        >>> CleanupCount(2, names=["a/b", "a"]).below("a").names
        ('b', '')
        """

        def told(name: str) -> str:
            rest = name.removeprefix(directory).removeprefix("/") if directory else name
            return f"{path}/{rest}" if path and rest else path or rest

        return type(self)(self, self.left, map(told, self.names), map(told, self.left_names))


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
    """What a writer asks a backend to keep beside the content.

    ``mtime`` in seconds since the epoch (UTC), ``mode`` the permission bits of a local file. The
    headers are those of HTTP. ``encryption`` is what the service calls it: ``AES256``, ``aws:kms``
    or ``aws:kms:KEY`` on S3, the name of a key of Cloud KMS, the name of an encryption scope of
    Azure. ``offered`` says that nobody has asked for them: they are kept as far as the backend
    can, and otherwise dropped, as a copy does with what it knows of its source.

    >>> Attributes(content_type="text/html", metadata={}).given
    ('content_type',)
    """

    mtime: float | None = None
    mode: int | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    storage_class: str | None = None
    tags: Mapping[str, str] | None = None
    encryption: str | None = None
    offered: bool = False

    @property
    def given(self) -> tuple[str, ...]:
        """The names of those that say something."""
        named = zip(self._fields[:-1], self[:-1], strict=True)
        return tuple(name for name, value in named if value is not None and value != {})


class Loaded(NamedTuple):
    """All of a file: its content, and what was kept with it (``offered`` to whom it is copied).

    ``told_size`` is the size in bytes that the storage says it has, where that is another one: the
    system makes up those of some of its own files.
    """

    data: bytes
    attributes: Attributes
    told_size: int | None = None


class Coming(NamedTuple, Generic[T]):
    """Small files that were asked for together; each ends by its own call, as ``load`` would.

    ``ends`` has None for what is to be loaded by itself after all. ``have_come``: none of the calls
    waits for anybody.

    >>> Coming([lambda: 1, None], True).ended_by("ab", lambda path, end: (path, end())).ends[0]()
    ('a', 1)
    """

    ends: Sequence[Callable[[], T] | None]
    have_come: bool

    def ended_by(self, paths: Sequence[str], end: Callable[[str, Callable[[], T]], U]) -> Coming[U]:
        """The same for whoever knows each by its path, and makes something of it at its end."""
        ends = [
            step and functools.partial(end, path, step)
            for path, step in zip(paths, self.ends, strict=True)
        ]
        return Coming(ends, self.have_come)


class WriteOptions(TypedDict, total=False):
    """The keywords of everything that writes: what to keep, and when to write at all.

    All but the last two are :class:`Attributes`. ``if_absent`` writes only where nothing is;
    ``if_match`` only where what is there still has this ETag.
    """

    mtime: float | None
    content_type: str | None
    metadata: Mapping[str, str] | None
    cache_control: str | None
    content_disposition: str | None
    content_encoding: str | None
    content_language: str | None
    storage_class: str | None
    tags: Mapping[str, str] | None
    encryption: str | None
    if_absent: bool
    if_match: str | None


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Everything that one request tells about a file; None where the storage does not say.

    ``size`` in bytes. ``mtime`` in seconds since the epoch (UTC): the one that the uploader kept
    with the object, else that of ``stat()``. ``etag`` is what ``if_match`` takes. ``checksums``
    are digests of the whole content, the surest first. ``encryption`` can be written again as it is.
    """

    path: str
    type: EntryType
    size: int | None = None
    mtime: float | None = None
    content_type: str | None = None
    etag: str | None = None
    checksums: tuple[Checksum, ...] = ()
    version: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    storage_class: str | None = None
    encryption: str | None = None

    @classmethod
    def of(cls, info: FileInfo) -> Self:
        """What a stat says, and no more."""
        return cls(
            info.path,
            info.type,
            info.size,
            info.mtime,
            info.content_type,
            info.etag,
            () if info.checksum is None else (info.checksum,),
            info.version,
            dict(info.metadata or {}),
        )

    def checksum(self, algorithm: str) -> str | None:
        """The hex digest by this algorithm, if it is among those that are known."""
        return next((each.hexdigest for each in self.checksums if each[0] == algorithm), None)


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


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about a mount, as ``doctor`` finds it: what, its value, and where that is from.

    ``ok`` is False where the mount cannot work like that, and None where it could not be found
    out or was not tried; ``detail`` says more, with the fix where something is wrong.
    """

    name: str
    value: str
    source: str = ""
    ok: bool | None = True
    detail: str = ""
