"""What is known about fsspec filesystems: the calls used, the profiles, one normaliser. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..info import EntryType, FileInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "Commit",
    "Filesystem",
    "Profile",
    "calls_may_overlap",
    "file_info",
    "moment",
    "profile_of",
    "protocols_of",
]

#: How a finished write becomes visible: see ``FsspecBackend``.
Commit = Literal["rename", "put", "stream"]


class Filesystem(Protocol):
    """The single-path calls of ``fsspec.AbstractFileSystem`` that are made, and no others.

    The bulk calls (``rm copy mv(recursive) get put glob``) expand patterns, nest directories or
    swallow errors; ``exists``, ``isfile`` and ``isdir`` answer False on a 403.
    """

    protocol: str | tuple[str, ...]
    root_marker: str

    def _strip_protocol(self, path: str) -> str: ...
    def info(self, path: str) -> dict[str, Any]: ...
    def ls(self, path: str, detail: bool = True) -> list[dict[str, Any]]: ...
    def open(self, path: str, mode: str = "rb", **options: Any) -> Any: ...
    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes: ...
    def pipe_file(self, path: str, value: bytes, **options: Any) -> Any: ...
    def put_file(self, lpath: str, rpath: str, **options: Any) -> Any: ...
    def get_file(self, rpath: str, lpath: str) -> Any: ...
    def cp_file(self, path1: str, path2: str) -> Any: ...
    def mv(self, path1: str, path2: str) -> Any: ...
    def rm_file(self, path: str) -> Any: ...
    def mkdir(self, path: str, create_parents: bool = True) -> Any: ...
    def rmdir(self, path: str) -> Any: ...
    def makedirs(self, path: str, exist_ok: bool = False) -> Any: ...
    def modified(self, path: str) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Profile:
    """What a filesystem can be trusted with. The defaults are for one that nobody has tried.

    ``implicit_directories``: an object store, where a directory is a prefix that some key has.
    ``exclusive``: ``pipe_file`` and ``put_file`` honour ``mode="create"`` atomically.
    ``appends``: mode ``ab`` adds to what is there. ``copies``: ``cp_file`` works in the store.
    ``threadsafe``: calls may overlap; without it they take turns.
    """

    commit: Commit = "stream"
    readonly: bool = False
    lists: bool = True
    seeks: bool = True
    implicit_directories: bool = False
    exclusive: bool = False
    appends: bool = False
    copies: bool = False
    temporary: bool = False
    threadsafe: bool = False


_LOCAL = Profile(commit="rename", appends=True, copies=True, threadsafe=True)
_MEMORY = Profile(commit="put", exclusive=True, appends=True, copies=True, temporary=True)
# Puts of object stores are atomic; whatever else they offer is for their own rows to declare.
_STORE = Profile(commit="put", implicit_directories=True, threadsafe=True)
_READ_ONLY = Profile(readonly=True)
_PAGES = Profile(readonly=True, lists=False)

_PROFILES: dict[str, Profile] = {
    "file": _LOCAL,
    "local": _LOCAL,
    "memory": _MEMORY,
    **dict.fromkeys(("s3", "s3a", "gcs", "gs", "az", "abfs", "oss", "oci", "tos"), _STORE),
    **dict.fromkeys(("git", "github", "gist", "tar", "libarchive", "reference"), _READ_ONLY),
    **dict.fromkeys(("http", "https", "data"), _PAGES),
}


def protocols_of(filesystem: Filesystem) -> tuple[str, ...]:
    """The names under which fsspec knows this filesystem."""
    names = filesystem.protocol
    return (names,) if isinstance(names, str) else tuple(names)


def profile_of(filesystem: Filesystem) -> Profile:
    """The profile of the filesystem's protocol; the careful default for one that is not known."""
    for name in protocols_of(filesystem):
        if name in _PROFILES:
            return _PROFILES[name]
        if name == "zip" and getattr(filesystem, "mode", "r") == "r":
            return _READ_ONLY
    return Profile()


def calls_may_overlap(filesystem: Any) -> bool:
    """Whether an asynchronous filesystem runs the calls, on one loop, all the way down.

    Wrappers (``dir``) call themselves asynchronous whatever they wrap.
    """
    while getattr(filesystem, "async_impl", False):
        inner = getattr(filesystem, "fs", None)
        if inner is None:
            return True
        filesystem = inner
    return False


# -- the normaliser ---------------------------------------------------------------------------

# The time of the last change of the content. "created" is none.
_MTIME = ("LastModified", "mtime", "updated", "last_modified", "modified", "modify")
_ETAG = ("ETag", "etag", "e_tag")
_SIZE = ("size", "Size", "ContentLength")
_CONTENT_TYPE = ("ContentType", "contentType", "content_type", "mimetype", "Content-Type")
_TYPES: dict[str, EntryType] = {
    "file": "file",
    "directory": "directory",
    "dir": "directory",
    "link": "link",
    "symlink": "link",
}


def file_info(path: str, raw: Mapping[str, Any]) -> FileInfo:
    """Turn what ``info`` or ``ls`` said about one entry into the library's words.

    >>> file_info("a", {"type": "file", "size": 3, "ETag": '"x"', "mtime": 7}).mtime
    7.0
    """
    kind: EntryType = "link" if raw.get("islink") else _TYPES.get(str(raw.get("type")), "other")
    etag = _first(raw, _ETAG)
    content_type = _first(raw, _CONTENT_TYPE)
    return FileInfo(
        path,
        kind,
        _size(_first(raw, _SIZE)) if kind == "file" else None,
        next((found for key in _MTIME if (found := moment(raw.get(key))) is not None), None),
        etag.strip('"') if isinstance(etag, str) and etag else None,
        None,
        content_type if isinstance(content_type, str) and kind == "file" else None,
    )


def _first(raw: Mapping[str, Any], keys: tuple[str, ...]) -> object:
    return next((raw[key] for key in keys if raw.get(key) is not None), None)


def _size(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def moment(value: object) -> float | None:
    """Seconds since the epoch (UTC) of a datetime, a number or a text; None for anything else.

    A time without a zone is taken as UTC, which is what the protocols that drop it send.

    >>> moment("2026-11-20T16:00:00Z") == moment("Fri, 20 Nov 2026 16:00:00 GMT")
    True
    """
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value) if math.isfinite(value) else None
        except OverflowError:  # an integer that no time can be
            return None
    return _parse(value) if isinstance(value, str) else None


def _parse(text: str) -> float | None:
    readers: list[Callable[[], datetime]]
    if len(text) == 14 and text.isascii() and text.isdigit():  # RFC 3659 §2.3, an FTP listing
        readers = [lambda: datetime.strptime(text + "Z", "%Y%m%d%H%M%S%z")]
    else:
        readers = [lambda: datetime.fromisoformat(text), lambda: parsedate_to_datetime(text)]
    for read in readers:
        try:
            return moment(read())
        except ValueError:
            continue  # not this notation
    return None
